//! The rules for metadata, with the server's words.

use serde_json::{Value, json};

use super::world::{Answer, Patch, World};

behaviours![
    a_name_that_is_no_dns_subdomain_is_refused,
    a_name_of_254_characters_is_refused,
    a_name_of_253_characters_with_dots_is_accepted,
    a_namespace_is_named_by_one_dns_label,
    a_namespace_name_of_64_characters_is_refused,
    an_invalid_label_key_is_refused,
    an_invalid_label_value_is_refused,
    a_label_value_of_64_bytes_is_refused,
    a_label_key_with_two_slashes_is_refused,
    an_empty_label_key_is_refused_for_two_reasons,
    an_empty_label_value_is_accepted,
    an_invalid_annotation_key_is_refused,
    annotation_values_are_free,
    annotations_over_256_kib_are_refused,
    a_finalizer_with_a_name_part_of_64_bytes_is_refused,
    a_finalizer_with_two_slashes_or_a_colon_is_refused,
    a_finalizer_without_a_prefix_is_accepted_on_custom_objects_only,
    a_finalizer_whose_prefix_ends_with_a_dot_is_refused,
    both_finalizers_of_the_collector_at_once_are_refused,
    the_collectors_own_finalizers_are_accepted,
    an_owner_reference_needs_all_four_fields,
    two_controlling_owners_are_refused,
    an_event_is_no_owner,
    labels_that_are_no_strings_are_refused,
    a_patch_with_an_invalid_label_changes_nothing,
    several_faults_are_all_named,
];

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const LABEL_KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an \
    optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

/// Both kinds refuse such metadata for one and the same reason.
async fn refused(world: &World, metadata: Value, field: &str, cause: &str, text: &str) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        let object = collection.with("a", metadata.clone());
        let answer = collection.create(object).await;
        answer.invalid(subject, field, cause, text);
    }
}

async fn a_name_that_is_no_dns_subdomain_is_refused(world: World) {
    for name in ["A", "a_b", "a/b", "a%b", "-a", "a-", "a..b", "."] {
        for (collection, kind) in [
            (world.configmaps(), "ConfigMap"),
            (world.widgets(), "Widget.conformance.example.com"),
            (world.leases(), "Lease.coordination.k8s.io"),
        ] {
            collection.create(collection.object(name)).await.invalid(
                &format!("{kind} \"{name}\""),
                "metadata.name",
                "FieldValueInvalid",
                &format!("Invalid value: \"{name}\": {SUBDOMAIN}"),
            );
        }
    }
}

async fn a_name_of_254_characters_is_refused(world: World) {
    let name = "x".repeat(254);
    let maps = world.configmaps();
    maps.create(maps.object(&name)).await.invalid(
        &format!("ConfigMap \"{name}\""),
        "metadata.name",
        "FieldValueInvalid",
        &format!("Invalid value: \"{name}\": must be no more than 253 characters"),
    );
}

async fn a_name_of_253_characters_with_dots_is_accepted(world: World) {
    let name = format!("a.{}", "x".repeat(251));
    world.configmaps().made(&name, json!({})).await;
    world.widgets().made(&name, json!({})).await;
}

async fn a_namespace_is_named_by_one_dns_label(world: World) {
    let namespaces = world.namespaces();
    namespaces.create(namespaces.object("a.b")).await.invalid(
        "Namespace \"a.b\"",
        "metadata.name",
        "FieldValueInvalid",
        "Invalid value: \"a.b\": must not contain dots",
    );
}

async fn a_namespace_name_of_64_characters_is_refused(world: World) {
    let (namespaces, name) = (world.namespaces(), "x".repeat(64));
    let answer = namespaces.create(namespaces.object(&name)).await;
    let message = format!(
        "Namespace \"{name}\" is invalid: [metadata.name: Invalid value: \"{name}\": must be no \
         more than 63 characters, metadata.labels: Invalid value: \"{name}\": must be no more \
         than 63 bytes]"
    );
    answer.refused(422, "Invalid", &message);
}

async fn an_invalid_label_key_is_refused(world: World) {
    let text = format!("Invalid value: \"-a\": {NAME_PART}");
    let labels = json!({"labels": {"-a": "b"}});
    refused(
        &world,
        labels,
        "metadata.labels",
        "FieldValueInvalid",
        &text,
    )
    .await;
}

async fn an_invalid_label_value_is_refused(world: World) {
    for value in ["-b", "b-", "a/b", "a:b", "a b", " "] {
        let text = format!("Invalid value: \"{value}\": {LABEL_VALUE}");
        let labels = json!({"labels": {"a": value}});
        refused(
            &world,
            labels,
            "metadata.labels",
            "FieldValueInvalid",
            &text,
        )
        .await;
    }
}

async fn a_label_value_of_64_bytes_is_refused(world: World) {
    let value = "x".repeat(64);
    let text = format!("Invalid value: \"{value}\": must be no more than 63 bytes");
    let labels = json!({"labels": {"a": value}});
    refused(
        &world,
        labels,
        "metadata.labels",
        "FieldValueInvalid",
        &text,
    )
    .await;
    let labels = json!({"labels": {"a": "x".repeat(63)}});
    world.configmaps().made("a", labels).await;
}

async fn a_label_key_with_two_slashes_is_refused(world: World) {
    let text = format!("Invalid value: \"a/b/c\": {LABEL_KEY}");
    let labels = json!({"labels": {"a/b/c": ""}});
    refused(
        &world,
        labels,
        "metadata.labels",
        "FieldValueInvalid",
        &text,
    )
    .await;
}

async fn an_empty_label_key_is_refused_for_two_reasons(world: World) {
    let maps = world.configmaps();
    let answer = maps
        .create(maps.with("a", json!({"labels": {"": "x"}})))
        .await;
    let message = format!(
        "ConfigMap \"a\" is invalid: [metadata.labels: Invalid value: \"\": name part must be \
         non-empty, metadata.labels: Invalid value: \"\": {NAME_PART}]"
    );
    let answer = answer.refused(422, "Invalid", &message);
    assert_eq!(causes(&answer), ["metadata.labels"; 2]);
}

fn causes(answer: &Answer) -> Vec<&str> {
    let causes = answer.body["details"]["causes"].as_array();
    let causes = causes.expect("causes").iter();
    causes
        .map(|cause| cause["field"].as_str().expect("a field"))
        .collect()
}

async fn an_empty_label_value_is_accepted(world: World) {
    let object = world
        .widgets()
        .made("a", json!({"labels": {"a": ""}}))
        .await;
    assert_eq!(object["metadata"]["labels"], json!({"a": ""}));
}

async fn an_invalid_annotation_key_is_refused(world: World) {
    let text = format!("Invalid value: \"-a\": {NAME_PART}");
    let annotations = json!({"annotations": {"-a": "b"}});
    let field = "metadata.annotations";
    refused(&world, annotations, field, "FieldValueInvalid", &text).await;
}

async fn annotation_values_are_free(world: World) {
    let annotations = json!({"annotations": {"a": "-/:\n ü", "example.com/b": ""}});
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", annotations.clone()).await;
        assert_eq!(
            object["metadata"]["annotations"],
            annotations["annotations"]
        );
    }
}

async fn annotations_over_256_kib_are_refused(world: World) {
    let annotations = json!({"annotations": {"a": "x".repeat(256 * 1024)}});
    refused(
        &world,
        annotations,
        "metadata.annotations",
        "FieldValueTooLong",
        "Too long: may not be more than 262144 bytes",
    )
    .await;
}

async fn a_finalizer_with_a_name_part_of_64_bytes_is_refused(world: World) {
    let long = format!("networks.example.com/{}", "x".repeat(64));
    let text = format!("Invalid value: \"{long}\": name part must be no more than 63 bytes");
    let finalizers = json!({"finalizers": [long]});
    let field = "metadata.finalizers";
    refused(&world, finalizers, field, "FieldValueInvalid", &text).await;
    let fits = format!("networks.example.com/{}", "x".repeat(63));
    world
        .widgets()
        .made("b", json!({"finalizers": [fits]}))
        .await;
}

async fn a_finalizer_with_two_slashes_or_a_colon_is_refused(world: World) {
    for (finalizer, rule) in [
        ("networks.example.com/a/b", LABEL_KEY),
        ("networks.example.com/system:x", NAME_PART),
    ] {
        let text = format!("Invalid value: \"{finalizer}\": {rule}");
        let finalizers = json!({"finalizers": [finalizer]});
        let field = "metadata.finalizers";
        refused(&world, finalizers, field, "FieldValueInvalid", &text).await;
    }
}

async fn a_finalizer_without_a_prefix_is_accepted_on_custom_objects_only(world: World) {
    let finalizers = json!({"finalizers": ["a"]});
    world.widgets().made("a", finalizers.clone()).await;
    let maps = world.configmaps();
    maps.create(maps.with("a", finalizers)).await.invalid(
        "ConfigMap \"a\"",
        "metadata.finalizers[0]",
        "FieldValueInvalid",
        "Invalid value: \"a\": name is neither a standard finalizer name nor is it fully qualified",
    );
}

async fn a_finalizer_whose_prefix_ends_with_a_dot_is_refused(world: World) {
    let text = format!("Invalid value: \"configmaps./x\": prefix part {SUBDOMAIN}");
    let finalizers = json!({"finalizers": ["configmaps./x"]});
    let field = "metadata.finalizers";
    refused(&world, finalizers, field, "FieldValueInvalid", &text).await;
    let finalizers = json!({"finalizers": ["configmaps/x"]});
    world.configmaps().made("b", finalizers).await;
}

async fn both_finalizers_of_the_collector_at_once_are_refused(world: World) {
    refused(
        &world,
        json!({"finalizers": ["orphan", "foregroundDeletion"]}),
        "metadata.finalizers",
        "FieldValueInvalid",
        "Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and \
         foregroundDeletion cannot be both set",
    )
    .await;
}

async fn the_collectors_own_finalizers_are_accepted(world: World) {
    for finalizer in ["orphan", "foregroundDeletion", "kubernetes"] {
        let finalizers = json!({"finalizers": [finalizer]});
        world
            .configmaps()
            .made(&finalizer.to_lowercase(), finalizers)
            .await;
    }
}

async fn an_owner_reference_needs_all_four_fields(world: World) {
    let maps = world.configmaps();
    let answer = maps
        .create(maps.with("a", json!({"ownerReferences": [{}]})))
        .await;
    let answer = answer.refused(
        422,
        "Invalid",
        "ConfigMap \"a\" is invalid: [metadata.ownerReferences.apiVersion: Invalid value: \"\": \
         version must not be empty, metadata.ownerReferences.kind: Invalid value: \"\": must not \
         be empty, metadata.ownerReferences.name: Invalid value: \"\": must not be empty, \
         metadata.ownerReferences.uid: Invalid value: \"\": must not be empty]",
    );
    assert_eq!(causes(&answer).len(), 4);
}

async fn two_controlling_owners_are_refused(world: World) {
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": true});
    refused(
        &world,
        json!({"ownerReferences": [owner("b"), owner("c")]}),
        "metadata.ownerReferences",
        "FieldValueInvalid",
        "Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"b\",\"uid\":\"b\",\
         \"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"c\",\"uid\":\"c\",\
         \"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" \
         in references for ConfigMap/b and ConfigMap/c",
    )
    .await;
}

async fn an_event_is_no_owner(world: World) {
    refused(
        &world,
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "b", "uid": "c"}]}),
        "metadata.ownerReferences",
        "FieldValueInvalid",
        "Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"b\",\"uid\":\"c\"}: \
         /v1, Kind=Event is disallowed from being an owner",
    )
    .await;
}

async fn labels_that_are_no_strings_are_refused(world: World) {
    let metadata = json!({"labels": {"a": 1}});
    let maps = world.configmaps();
    maps.create(maps.with("a", metadata.clone())).await.refused(
        400,
        "BadRequest",
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal \
         number into Go struct field ObjectMeta.metadata.labels of type string",
    );
    let widgets = world.widgets();
    widgets.create(widgets.with("a", metadata)).await.refused(
        400,
        "BadRequest",
        "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number \
         into Go struct field ObjectMeta.labels of type string",
    );
}

async fn a_patch_with_an_invalid_label_changes_nothing(world: World) {
    let widgets = world.widgets();
    let before = widgets.made("a", json!({})).await;
    let patch = json!({"metadata": {"labels": {"a": "-"}}, "spec": {"size": 1}});
    let answer = widgets.patch("a", Patch::Merge, patch).await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    assert_eq!(widgets.get("a").await.ok(), before);
}

async fn several_faults_are_all_named(world: World) {
    let maps = world.configmaps();
    let object = maps.with("A", json!({"labels": {"a": "-"}, "finalizers": ["x/y/z"]}));
    let answer = maps.create(object).await;
    assert_eq!(
        causes(&answer),
        ["metadata.name", "metadata.labels", "metadata.finalizers"]
    );
}
