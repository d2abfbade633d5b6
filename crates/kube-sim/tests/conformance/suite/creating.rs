//! POST: what an object gets, and what keeps it from being created.

use http::Method;
use serde_json::json;

use super::world::{Patch, World, name, query, uid, version};

behaviours![
    a_new_object_gets_a_uid_a_version_and_a_time,
    a_new_custom_object_has_generation_1_and_a_configmap_has_none,
    what_only_the_server_may_say_is_overwritten_at_creation,
    an_object_is_not_created_twice,
    a_taken_name_is_refused_before_a_failed_validation_of_nothing_else,
    a_generated_name_is_the_prefix_and_five_more_characters,
    a_generated_name_is_cut_to_63_characters,
    generated_names_differ,
    a_name_wins_over_generate_name,
    an_object_without_name_or_generate_name_is_refused,
    a_resource_version_at_creation_is_an_internal_error,
    a_uid_at_creation_is_replaced,
    the_namespace_comes_from_the_path,
    another_namespace_in_the_body_than_in_the_path_is_refused,
    a_built_in_body_needs_neither_kind_nor_version,
    a_custom_body_without_kind_is_refused,
    a_custom_body_without_version_is_refused,
    a_custom_body_of_another_version_is_refused,
    a_custom_body_of_another_kind_is_refused,
    a_built_in_body_of_another_kind_is_refused,
    a_built_in_body_of_an_unknown_version_is_refused,
    nothing_is_created_in_a_namespace_that_does_not_exist,
    a_dry_run_creates_nothing_and_answers_the_object,
    a_dry_run_of_a_taken_name_is_refused,
    an_unknown_dry_run_is_refused,
    a_body_that_is_no_json_is_refused,
    a_body_of_another_media_type_is_refused,
    a_custom_object_keeps_fields_in_the_order_of_their_names,
    null_labels_are_dropped,
    a_field_manager_of_over_128_bytes_is_refused,
    a_field_manager_that_cannot_be_printed_is_refused,
    a_body_of_over_3_mib_is_refused,
    an_object_that_etcd_does_not_take_is_refused,
    a_key_that_means_something_to_this_language_is_a_key,
    a_hundred_faults_of_a_built_in_body_are_told,
    a_hundred_duplicates_of_a_custom_body_and_all_unknown_fields_are_told,
    warnings_are_told_up_to_4096_characters,
];

async fn a_new_object_gets_a_uid_a_version_and_a_time(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        assert_eq!(uid(&object).len(), 36);
        assert!(version(&object).parse::<u64>().expect("a number") > 0);
        let time = object["metadata"]["creationTimestamp"].as_str();
        let time = time.expect("a time");
        assert_eq!((time.len(), &time[10..11], &time[19..]), (20, "T", "Z"));
        assert_eq!(collection.get("a").await.ok(), object);
    }
}

async fn a_new_custom_object_has_generation_1_and_a_configmap_has_none(world: World) {
    let widget = world.widgets().made("a", json!({})).await;
    assert_eq!(widget["metadata"]["generation"], 1);
    let map = world.configmaps().made("a", json!({})).await;
    assert_eq!(map["metadata"].get("generation"), None);
}

async fn what_only_the_server_may_say_is_overwritten_at_creation(world: World) {
    let long_ago = "2001-01-01T00:00:00Z";
    let metadata = json!({
        "generation": 7,
        "creationTimestamp": long_ago,
        "deletionTimestamp": long_ago,
        "deletionGracePeriodSeconds": 5,
        "selfLink": "/x",
    });
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", metadata.clone()).await;
        let metadata = &object["metadata"];
        assert_ne!(metadata["creationTimestamp"], long_ago);
        assert_eq!(metadata.get("deletionTimestamp"), None);
        assert_eq!(metadata.get("deletionGracePeriodSeconds"), None);
        assert_eq!(metadata.get("selfLink"), None);
    }
    let widget = world.widgets().get("a").await.ok();
    assert_eq!(widget["metadata"]["generation"], 1);
}

async fn an_object_is_not_created_twice(world: World) {
    let (maps, widgets) = (world.configmaps(), world.widgets());
    let first = maps.made("a", json!({})).await;
    let answer = maps
        .create(maps.with("a", json!({"labels": {"a": "b"}})))
        .await;
    let answer = answer.refused(409, "AlreadyExists", "configmaps \"a\" already exists");
    assert_eq!(
        answer.body["details"],
        json!({"name": "a", "kind": "configmaps"})
    );
    assert_eq!(maps.get("a").await.ok(), first);
    widgets.made("a", json!({})).await;
    let answer = widgets.create(widgets.object("a")).await.refused(
        409,
        "AlreadyExists",
        "widgets.conformance.example.com \"a\" already exists",
    );
    assert_eq!(
        answer.body["details"],
        json!({"name": "a", "group": "conformance.example.com", "kind": "widgets"})
    );
}

async fn a_taken_name_is_refused_before_a_failed_validation_of_nothing_else(world: World) {
    let maps = world.configmaps();
    maps.made("a", json!({})).await;
    let invalid = maps.with("a", json!({"labels": {"a": "-"}}));
    assert_eq!(maps.create(invalid).await.reason(), "Invalid");
}

async fn a_generated_name_is_the_prefix_and_five_more_characters(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut object = collection.with("", json!({"generateName": "a-"}));
        object["metadata"]
            .as_object_mut()
            .expect("it is one")
            .remove("name");
        let object = collection.create(object).await.created();
        let suffix = name(&object).strip_prefix("a-").map(str::to_owned);
        let suffix = suffix.expect("the prefix is kept");
        let consonants_and_digits = "bcdfghjklmnpqrstvwxz2456789";
        assert!(
            suffix.len() == 5 && suffix.chars().all(|c| consonants_and_digits.contains(c)),
            "{suffix}"
        );
        assert_eq!(object["metadata"]["generateName"], "a-");
    }
}

async fn a_generated_name_is_cut_to_63_characters(world: World) {
    let maps = world.configmaps();
    let prefix = "x".repeat(70);
    let object = maps.with("", json!({"generateName": prefix}));
    let object = maps.create(object).await.created();
    assert_eq!(name(&object).len(), 63);
    assert!(name(&object).starts_with(&prefix[..58]));
}

async fn generated_names_differ(world: World) {
    let maps = world.configmaps();
    for _ in 0..10 {
        let object = maps.with("", json!({"generateName": "a-"}));
        maps.create(object).await.created();
    }
    let names = maps.names("").await;
    assert_eq!(names.len(), 10, "{names:?}");
}

async fn a_name_wins_over_generate_name(world: World) {
    let object = world
        .widgets()
        .made("a", json!({"generateName": "b-"}))
        .await;
    assert_eq!(name(&object), "a");
    assert_eq!(object["metadata"]["generateName"], "b-");
}

async fn an_object_without_name_or_generate_name_is_refused(world: World) {
    let text = "Required value: name or generateName is required";
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"\""),
        (world.widgets(), "Widget.conformance.example.com \"\""),
    ] {
        collection.create(collection.object("")).await.invalid(
            subject,
            "metadata.name",
            "FieldValueRequired",
            text,
        );
    }
}

async fn a_resource_version_at_creation_is_an_internal_error(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.with("a", json!({"resourceVersion": "5"}));
        let answer = collection.create(object).await;
        answer.refused(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        );
        assert!(!collection.exists("a").await);
    }
}

async fn a_uid_at_creation_is_replaced(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({"uid": "mine"})).await;
        assert_ne!(uid(&object), "mine");
    }
}

async fn the_namespace_comes_from_the_path(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        assert_eq!(object["metadata"]["namespace"], world.namespace.as_str());
    }
}

async fn another_namespace_in_the_body_than_in_the_path_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.with("a", json!({"namespace": "default"}));
        collection.create(object).await.refused(
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        );
    }
}

async fn a_built_in_body_needs_neither_kind_nor_version(world: World) {
    let maps = world.configmaps();
    let answer = maps.create(json!({"metadata": {"name": "a"}})).await;
    let object = answer.created();
    assert_eq!(
        (&object["kind"], &object["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
}

async fn a_custom_body_without_kind_is_refused(world: World) {
    let widgets = world.widgets();
    let body = r#"{"apiVersion": "conformance.example.com/v1", "metadata": {"name": "a"}}"#;
    let answer = world
        .call_raw(Method::POST, &widgets.path, "application/json", body)
        .await;
    let message = format!(
        "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing \
         in '{body}' ({{\"apiVersion\": \"conforma ...)"
    );
    assert_eq!((answer.code, answer.reason()), (400, "BadRequest"));
    let start = &message[..message.len() - 30];
    assert!(answer.message().starts_with(start), "{}", answer.message());
}

async fn a_custom_body_without_version_is_refused(world: World) {
    let widgets = world.widgets();
    let answer = widgets.create(json!({"kind": "Widget", "metadata": {"name": "a"}}));
    answer.await.refused(
        400,
        "BadRequest",
        "the API version in the data () does not match the expected API version \
         (conformance.example.com/v1)",
    );
}

async fn a_custom_body_of_another_version_is_refused(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["apiVersion"] = "conformance.example.com/v2".into();
    widgets.create(object).await.refused(
        400,
        "BadRequest",
        "the API version in the data (conformance.example.com/v2) does not match the expected API \
         version (conformance.example.com/v1)",
    );
}

async fn a_custom_body_of_another_kind_is_refused(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["kind"] = "Gadget".into();
    widgets.create(object).await.invalid(
        "Gadget.conformance.example.com \"a\"",
        "kind",
        "FieldValueInvalid",
        "Invalid value: \"Gadget\": must be Widget",
    );
}

async fn a_built_in_body_of_another_kind_is_refused(world: World) {
    let maps = world.configmaps();
    let answer = maps.create(world.secrets().object("a")).await;
    answer.refused(
        400,
        "BadRequest",
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to \
         (core.ConfigMap): unknown conversion",
    );
}

async fn a_built_in_body_of_an_unknown_version_is_refused(world: World) {
    let maps = world.configmaps();
    let mut object = maps.object("a");
    object["apiVersion"] = "v2".into();
    maps.create(object).await.refused(
        400,
        "BadRequest",
        "ConfigMap in version \"v2\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is \
         registered for version \"v2\" in scheme \"pkg/runtime/scheme.go:111\"",
    );
}

async fn nothing_is_created_in_a_namespace_that_does_not_exist(world: World) {
    for (api_version, kind, plural) in [
        ("v1", "ConfigMap", "configmaps"),
        (super::kinds::V1, "Widget", "widgets"),
    ] {
        let collection = world.within("nowhere", api_version, kind, plural);
        let answer = collection.create(collection.object("a")).await;
        let answer = answer.refused(404, "NotFound", "namespaces \"nowhere\" not found");
        assert_eq!(
            answer.body["details"],
            json!({"name": "nowhere", "kind": "namespaces"})
        );
    }
}

async fn a_dry_run_creates_nothing_and_answers_the_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.list("").await.version();
        let answer = collection.create_with("dryRun=All", collection.object("a"));
        let object = answer.await.created();
        assert_eq!(uid(&object).len(), 36);
        assert_eq!(object["metadata"].get("resourceVersion"), None);
        assert!(!collection.exists("a").await);
        let maps = collection.names("").await;
        assert!(maps.is_empty(), "{maps:?} since {before}");
    }
}

async fn a_dry_run_of_a_taken_name_is_refused(world: World) {
    let maps = world.configmaps();
    maps.made("a", json!({})).await;
    let answer = maps.create_with("dryRun=All", maps.object("a")).await;
    answer.refused(409, "AlreadyExists", "configmaps \"a\" already exists");
}

async fn an_unknown_dry_run_is_refused(world: World) {
    let maps = world.configmaps();
    let answer = maps.create_with("dryRun=Some", maps.object("a")).await;
    answer.invalid(
        "CreateOptions.meta.k8s.io \"\"",
        "dryRun",
        "FieldValueNotSupported",
        "Unsupported value: [\"Some\"]: supported values: \"All\"",
    );
}

async fn a_body_that_is_no_json_is_refused(world: World) {
    for (collection, kind) in [
        (world.configmaps(), "ConfigMap"),
        (world.widgets(), "Widget"),
    ] {
        for (body, error, shown) in [
            (
                "{bad",
                "invalid character 'b' looking for beginning of object key string",
                "{bad",
            ),
            ("", "unexpected end of JSON input", "<empty>"),
        ] {
            let answer = world
                .call_raw(Method::POST, &collection.path, "application/json", body)
                .await;
            let message = format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get \
                 version/kind; json parse error: {error} ({shown})"
            );
            answer.refused(400, "BadRequest", &message);
        }
    }
}

async fn a_body_of_another_media_type_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let body = collection.object("a").to_string();
        let answer = world
            .call_raw(Method::POST, &collection.path, "text/csv", body)
            .await;
        assert_eq!(
            (answer.code, answer.reason()),
            (415, "UnsupportedMediaType")
        );
    }
}

async fn a_custom_object_keeps_fields_in_the_order_of_their_names(world: World) {
    let mut object = world.crates().object("a");
    object["zeta"] = json!({"b": 1, "a": [2, {"d": 1.5, "c": null}]});
    world.crates().create(object).await.created();
    let text = world.crates().get("a").await.text;
    assert!(
        text.contains(r#""zeta":{"a":[2,{"c":null,"d":1.5}],"b":1}"#),
        "{text}"
    );
}

async fn null_labels_are_dropped(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let metadata = json!({"labels": null, "annotations": {}, "finalizers": []});
        let object = collection.made("a", metadata).await;
        let metadata = object["metadata"].as_object().expect("it is one");
        assert!(!metadata.contains_key("labels"), "{object}");
        assert!(!metadata.contains_key("annotations"), "{object}");
        assert!(!metadata.contains_key("finalizers"), "{object}");
    }
}

async fn a_field_manager_of_over_128_bytes_is_refused(world: World) {
    let maps = world.configmaps();
    let manager = query("fieldManager", &"x".repeat(129));
    let answer = maps.create_with(&manager, maps.object("a")).await;
    answer.invalid(
        "CreateOptions.meta.k8s.io \"\"",
        "fieldManager",
        "FieldValueTooLong",
        "Too long: may not be more than 128 bytes",
    );
}

async fn a_field_manager_that_cannot_be_printed_is_refused(world: World) {
    let maps = world.configmaps();
    for (manager, quoted, why) in [
        ("a\u{1}b", "a\\x01b", "U+0001 (at position 1)"),
        ("\u{fc}\u{200b}", "\u{fc}\\u200b", "U+200B (at position 2)"),
        ("\n", "\\n", "U+000A (at position 0)"),
        ("\u{a0}", "\\u00a0", "U+00A0 (at position 0)"),
    ] {
        let query = query("fieldManager", manager);
        let answer = maps.create_with(&query, maps.object("a")).await;
        answer.invalid(
            "CreateOptions.meta.k8s.io \"\"",
            "fieldManager",
            "FieldValueInvalid",
            &format!("Invalid value: \"{quoted}\": invalid character {why}"),
        );
    }
    let query_of_two = query("fieldManager", "\n\u{1}");
    let answer = maps.create_with(&query_of_two, maps.object("a")).await;
    let causes = answer.body["details"]["causes"].as_array().cloned();
    assert_eq!(causes.unwrap_or_default().len(), 2, "{}", answer.text);
    for manager in [" ", "\u{fc}", "e\u{301}", "\"'\\"] {
        let query = format!("dryRun=All&{}", query("fieldManager", manager));
        maps.create_with(&query, maps.object("a")).await.created();
    }
}

async fn a_body_of_over_3_mib_is_refused(world: World) {
    const MIB: usize = 1024 * 1024;
    let (crates, message) = (world.crates(), "Request entity too large: limit is 3145728");
    let mut large = crates.object("a");
    large["spec"] = json!({"note": "x".repeat(3 * MIB)});
    crates.made("a", json!({})).await;
    let refused = |answer: super::world::Answer| {
        answer.refused(413, "RequestEntityTooLarge", message);
    };
    refused(crates.create(large.clone()).await);
    refused(crates.replace("a", large.clone()).await);
    refused(crates.patch("a", Patch::Merge, large.clone()).await);
    refused(crates.delete("a", large).await);
    assert!(crates.exists("a").await);
}

async fn an_object_that_etcd_does_not_take_is_refused(world: World) {
    const MIB: usize = 1024 * 1024;
    let crates = world.crates();
    let spec = |length: usize| json!({"spec": {"note": "x".repeat(length)}});
    let mut object = crates.object("a");
    object["spec"] = spec(7 * MIB / 4)["spec"].clone();
    // What is not stored may be as large as it likes.
    let dry = crates.create_with("dryRun=All", object.clone()).await;
    dry.created();
    let message = "etcdserver: request is too large";
    crates.create(object).await.refused(500, "", message);
    assert!(!crates.exists("a").await);
    crates.made("a", json!({})).await;
    crates.merge("a", spec(7 * MIB / 8)).await;
    let more = json!({"more": "x".repeat(3 * MIB / 4)});
    let answer = crates.patch("a", Patch::Merge, more).await;
    answer.refused(500, "", message);
    assert!(crates.get("a").await.ok().get("more").is_none());
    // What a small patch makes of it counts, and not what was sent.
    let copy = json!([{"op": "copy", "from": "/spec/note", "path": "/more"}]);
    let answer = crates.patch("a", Patch::Json, copy).await;
    answer.refused(500, "", message);
}

/// `serde_json` takes an object with such a key for text that is JSON.
async fn a_key_that_means_something_to_this_language_is_a_key(world: World) {
    let crates = world.crates();
    let mut object = crates.object("a");
    let spec = json!({"$serde_json::private::RawValue": "no JSON"});
    object["spec"] = spec.clone();
    let is_kept = |text: &str| assert!(text.contains(&spec.to_string()), "{text}");
    is_kept(&crates.create(object).await.text);
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    is_kept(&crates.patch("a", Patch::Merge, patch).await.text);
    is_kept(&crates.get("a").await.text);
    let deleted = crates.delete("a", json!({})).await;
    assert_eq!(deleted.code, 200, "{}", deleted.text);
    crates.gone("a").await;
}

/// So many fields that nobody knows, and as many that are there twice.
fn faults(range: std::ops::Range<usize>) -> (String, String) {
    let unknown = range.clone().map(|number| format!(r#""u{number}":1"#));
    let twice = range.map(|number| format!(r#""d{number}":"","d{number}":"""#));
    let joined = |fields: Vec<String>| fields.join(",");
    (joined(unknown.collect()), joined(twice.collect()))
}

async fn a_hundred_faults_of_a_built_in_body_are_told(world: World) {
    let maps = world.configmaps();
    let (unknown, twice) = faults(0..150);
    let head = r#""apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}"#;
    for (body, told) in [
        (format!("{{{head},{unknown}}}"), [100, 0]),
        (format!(r#"{{{head},"data":{{{twice}}}}}"#), [0, 100]),
        (
            format!(r#"{{{head},"data":{{{twice}}},{unknown}}}"#),
            [0, 100],
        ),
    ] {
        let strict = format!("{}?fieldValidation=Strict", maps.path);
        let json = "application/json";
        let answer = world.call_raw(Method::POST, &strict, json, body);
        let answer = answer.await;
        assert_eq!((answer.code, faults_in(answer.message())), (400, told));
    }
    maps.made("a", json!({})).await;
    let operation = format!(r#"[{{"op":"test","path":"/kind","value":"ConfigMap",{unknown}}}]"#);
    let path = format!("{}?fieldValidation=Strict", maps.at("a"));
    let how = Patch::Json.content_type();
    let answer = world.call_raw(Method::PATCH, &path, how, operation).await;
    assert_eq!(faults_in(answer.message()), [100, 0]);
}

async fn a_hundred_duplicates_of_a_custom_body_and_all_unknown_fields_are_told(world: World) {
    let widgets = world.widgets();
    let (unknown, twice) = faults(0..150);
    let head = r#""kind":"Widget","metadata":{"name":"a"}"#;
    let version = widgets.object("a")["apiVersion"].to_string();
    let body = format!(r#"{{"apiVersion":{version},{head},"spec":{{{twice},{unknown}}}}}"#);
    let strict = format!("{}?fieldValidation=Strict", widgets.path);
    let json = "application/json";
    let answer = world.call_raw(Method::POST, &strict, json, body);
    let answer = answer.await;
    assert_eq!(
        (answer.code, faults_in(answer.message())),
        (400, [300, 100])
    );
}

async fn warnings_are_told_up_to_4096_characters(world: World) {
    let widgets = world.widgets();
    let told = async |name: &str, length: usize, count: usize| {
        let mut object = widgets.object(name);
        for number in 0..count {
            object["spec"][format!("{number:0>length$}")] = 1.into();
        }
        let answer = widgets.create_with("fieldValidation=Warn", object).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
        let text = |header: &String| header.replace('\\', "").len() - r#"299 - """#.len();
        answer.warnings.iter().map(text).collect::<Vec<_>>()
    };
    // `unknown field "spec.…"` has 21 more characters.
    assert_eq!(told("all", 107, 32).await, [128; 32]);
    // What goes beyond is told, too, if there is nothing to cut.
    assert_eq!(told("beyond", 107, 40).await, [128; 33]);
    assert_eq!(told("cut", 300, 20).await, [256; 16]);
    assert_eq!(told("long", 5000, 1).await, [256]);
}

/// How many unknown fields are told of, and how many that are there twice.
fn faults_in(text: &str) -> [usize; 2] {
    ["unknown field", "duplicate field"].map(|fault| text.matches(fault).count())
}
