//! `CustomResourceDefinitions` from their creation to their end.

use http::Method;
use serde_json::{Value, json};

use super::{
    kinds::definition,
    world::{Collection, Patch, World, uid, unique, until, version},
};

behaviours![
    a_definition_is_established_and_its_kind_served,
    a_definition_gets_defaults_for_its_names,
    a_kind_is_not_served_before_its_definition_is_there,
    a_deleted_definition_takes_its_objects_with_it,
    a_deleted_definition_waits_for_finalizers_of_its_objects,
    a_kind_is_a_plain_text_404_after_its_definition_is_gone,
    a_replaced_definition_starts_with_no_objects,
    a_definition_whose_name_does_not_fit_is_refused,
    a_definition_without_a_schema_is_refused,
    a_definition_with_two_storage_versions_is_refused,
    a_definition_without_a_storage_version_is_refused,
    a_group_of_one_word_is_accepted_or_refused_by_its_form,
    a_version_that_is_not_served_is_a_plain_text_404,
    the_versions_of_a_kind_share_their_objects,
    a_kind_whose_name_is_taken_is_not_established,
    a_changed_schema_applies_to_the_next_write,
    a_pattern_that_go_does_not_read_is_refused,
    a_pattern_matches_as_in_go,
    a_multiple_is_one_as_in_go,
    a_generation_of_a_definition_moves_with_its_spec,
    objects_of_a_kind_without_namespaces_are_listed_at_its_path,
    a_watch_ends_when_the_definition_goes,
];

/// A kind of its own, served.
struct Kind {
    group: String,
    definition: Value,
    objects: Collection,
}

fn free() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn some_definition() -> (String, Value) {
    let group = format!("{}.example.com", unique("own"));
    let definition = definition(&group, "Namespaced", "things", "Thing", &free());
    (group, definition)
}

fn name_in(group: &str) -> String {
    format!("things.{group}")
}

async fn own_kind(world: &World) -> Kind {
    let (group, definition) = some_definition();
    serve(world, group, definition).await
}

async fn serve(world: &World, group: String, definition: Value) -> Kind {
    let definition = world.definitions().create(definition).await.created();
    let api_version = format!("{group}/v1");
    let objects = world.within(&world.namespace, &api_version, "Thing", "things");
    served(&objects).await;
    Kind {
        group,
        definition,
        objects,
    }
}

/// The real server serves a kind on one path before it does on another.
async fn served(objects: &Collection) {
    until("the kind is served", async || {
        let object = objects.object("served");
        let listed = objects.list("").await.code == 200;
        listed && objects.create_with("dryRun=All", object).await.code == 201
    })
    .await;
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = definition["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

async fn a_definition_is_established_and_its_kind_served(world: World) {
    let (group, definition) = some_definition();
    world.definitions().create(definition).await.created();
    let name = name_in(&group);
    until("it is established", async || {
        let definition = world.definitions().get(&name).await.ok();
        condition(&definition, "Established").is_some_and(|found| found["status"] == "True")
    })
    .await;
    let definition = world.definitions().get(&name).await.ok();
    let accepted = condition(&definition, "NamesAccepted").expect("the condition");
    assert_eq!(
        (
            &accepted["status"],
            &accepted["reason"],
            &accepted["message"]
        ),
        (
            &json!("True"),
            &json!("NoConflicts"),
            &json!("no conflicts found")
        )
    );
    let established = condition(&definition, "Established").expect("the condition");
    assert_eq!(
        (&established["reason"], &established["message"]),
        (
            &json!("InitialNamesAccepted"),
            &json!("the initial names have been accepted")
        )
    );
    assert_eq!(
        definition["status"]["acceptedNames"],
        definition["spec"]["names"]
    );
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    let api_version = format!("{group}/v1");
    let objects = world.within(&world.namespace, &api_version, "Thing", "things");
    served(&objects).await;
    objects.made("a", json!({})).await;
}

async fn a_definition_gets_defaults_for_its_names(world: World) {
    let (_, mut definition) = some_definition();
    let names = definition["spec"]["names"].as_object_mut().expect("names");
    names.remove("singular");
    let definition = world.definitions().create(definition).await.created();
    assert_eq!(
        definition["spec"]["names"],
        json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"})
    );
    assert_eq!(
        definition["spec"]["conversion"],
        json!({"strategy": "None"})
    );
    assert_eq!(definition["metadata"]["generation"], 1);
}

async fn a_kind_is_not_served_before_its_definition_is_there(world: World) {
    let (group, definition) = some_definition();
    let path = format!("/apis/{group}/v1/things");
    world.get(&path).await.not_served();
    let kind = serve(&world, group, definition).await;
    assert_eq!(kind.objects.names("").await, [""; 0]);
}

async fn a_deleted_definition_takes_its_objects_with_it(world: World) {
    let kind = own_kind(&world).await;
    kind.objects.made("a", json!({})).await;
    let name = name_in(&kind.group);
    let answer = world.definitions().delete(&name, json!({})).await.ok();
    assert_eq!(
        answer["metadata"]["finalizers"],
        json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    world.definitions().gone(&name).await;
    until("the objects are gone", async || {
        kind.objects.get("a").await.code == 404
    })
    .await;
}

async fn a_deleted_definition_waits_for_finalizers_of_its_objects(world: World) {
    let kind = own_kind(&world).await;
    kind.objects
        .made("a", json!({"finalizers": ["a.b/c"]}))
        .await;
    let name = name_in(&kind.group);
    world.definitions().delete(&name, json!({})).await.ok();
    until("the object terminates", async || {
        let object = kind.objects.get("a").await.ok();
        object["metadata"].get("deletionTimestamp").is_some()
    })
    .await;
    assert!(world.definitions().exists(&name).await);
    until("nothing more is created", async || {
        let object = kind.objects.object("b");
        let created = kind.objects.create_with("dryRun=All", object).await;
        created.code == 403
    })
    .await;
    let name_of_b = format!("{name} \"b\"");
    let message = format!(
        "{name_of_b} is forbidden: create not allowed while custom resource definition is \
         terminating"
    );
    let answer = kind.objects.create(kind.objects.object("b")).await;
    answer.refused(403, "Forbidden", &message);
    kind.objects
        .merge("a", json!({"metadata": {"finalizers": null}}))
        .await;
    world.definitions().gone(&name).await;
}

async fn a_kind_is_a_plain_text_404_after_its_definition_is_gone(world: World) {
    let kind = own_kind(&world).await;
    let name = name_in(&kind.group);
    world.definitions().delete(&name, json!({})).await.ok();
    world.definitions().gone(&name).await;
    until("it is not served", async || {
        let answer = world.get(&kind.objects.path).await;
        answer.code == 404 && answer.text == "404 page not found\n"
    })
    .await;
}

async fn a_replaced_definition_starts_with_no_objects(world: World) {
    let kind = own_kind(&world).await;
    let old = kind.objects.made("a", json!({})).await;
    let name = name_in(&kind.group);
    world.definitions().delete(&name, json!({})).await.ok();
    world.definitions().gone(&name).await;
    let again = definition(&kind.group, "Namespaced", "things", "Thing", &free());
    let again = serve(&world, kind.group.clone(), again).await;
    assert_ne!(uid(&again.definition), uid(&kind.definition));
    again
        .objects
        .get("a")
        .await
        .refused(404, "NotFound", &format!("{name} \"a\" not found"));
    let new = again.objects.made("a", json!({})).await;
    assert_ne!(uid(&new), uid(&old));
}

async fn invalid(world: &World, definition: Value, field: &str, cause: &str, text: &str) {
    let name = definition["metadata"]["name"].as_str().expect("a name");
    let subject = format!("CustomResourceDefinition.apiextensions.k8s.io \"{name}\"");
    let answer = world.definitions().create(definition.clone()).await;
    let causes = answer.body["details"]["causes"].as_array().cloned();
    let expected = json!({"reason": cause, "message": text, "field": field});
    assert!(
        causes.unwrap_or_default().contains(&expected),
        "{expected} in {}",
        answer.text
    );
    assert!(
        answer
            .message()
            .starts_with(&format!("{subject} is invalid: "))
    );
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
}

async fn a_definition_whose_name_does_not_fit_is_refused(world: World) {
    let (group, mut definition) = some_definition();
    definition["metadata"]["name"] = format!("other.{group}").into();
    let text =
        format!("Invalid value: \"other.{group}\": must be spec.names.plural+\".\"+spec.group");
    invalid(
        &world,
        definition,
        "metadata.name",
        "FieldValueInvalid",
        &text,
    )
    .await;
}

async fn a_definition_without_a_schema_is_refused(world: World) {
    let (_, mut definition) = some_definition();
    let version = definition["spec"]["versions"][0].as_object_mut();
    version.expect("a version").remove("schema");
    invalid(
        &world,
        definition,
        "spec.versions[0].schema.openAPIV3Schema",
        "FieldValueRequired",
        "Required value",
    )
    .await;
}

async fn a_definition_with_two_storage_versions_is_refused(world: World) {
    let (_, mut definition) = some_definition();
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    let versions = definition["spec"]["versions"].as_array_mut();
    versions.expect("versions").push(second);
    let shown = "must have exactly one version marked as storage version";
    let answer = world.definitions().create(definition).await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    assert!(answer.message().contains(shown), "{}", answer.message());
}

async fn a_definition_without_a_storage_version_is_refused(world: World) {
    let (_, mut definition) = some_definition();
    definition["spec"]["versions"][0]["storage"] = json!(false);
    let shown = "must have exactly one version marked as storage version";
    let answer = world.definitions().create(definition).await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    assert!(answer.message().contains(shown), "{}", answer.message());
}

async fn a_group_of_one_word_is_accepted_or_refused_by_its_form(world: World) {
    let bad = definition("one", "Namespaced", "things", "Thing", &free());
    let text = "Invalid value: \"one\": should be a domain with at least one dot";
    invalid(&world, bad, "spec.group", "FieldValueInvalid", text).await;
}

async fn a_version_that_is_not_served_is_a_plain_text_404(world: World) {
    let (group, mut definition) = some_definition();
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = json!(false);
    second["served"] = json!(false);
    let versions = definition["spec"]["versions"].as_array_mut();
    versions.expect("versions").push(second);
    let kind = serve(&world, group, definition).await;
    let path = kind.objects.path.replace("/v1/", "/v2/");
    world.get(&path).await.not_served();
}

async fn the_versions_of_a_kind_share_their_objects(world: World) {
    let (group, mut definition) = some_definition();
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = json!(false);
    let versions = definition["spec"]["versions"].as_array_mut();
    versions.expect("versions").push(second);
    let kind = serve(&world, group, definition).await;
    let api_version = format!("{}/v2", kind.group);
    let second = world.within(&world.namespace, &api_version, "Thing", "things");
    served(&second).await;
    let made = kind.objects.made("a", json!({})).await;
    let mut seen = second.get("a").await.ok();
    assert_eq!(seen["apiVersion"], api_version.as_str());
    seen["apiVersion"] = made["apiVersion"].clone();
    assert_eq!(seen, made);
    second.delete("a", json!({})).await.ok();
    assert!(!kind.objects.exists("a").await);
}

async fn a_kind_whose_name_is_taken_is_not_established(world: World) {
    let kind = own_kind(&world).await;
    let second = definition(&kind.group, "Namespaced", "items", "Thing", &free());
    world.definitions().create(second).await.created();
    let name = format!("items.{}", kind.group);
    until("its names are refused", async || {
        let definition = world.definitions().get(&name).await.ok();
        condition(&definition, "NamesAccepted").is_some_and(|found| found["status"] == "False")
    })
    .await;
    let definition = world.definitions().get(&name).await.ok();
    let accepted = condition(&definition, "NamesAccepted").expect("the condition");
    // Kind and list kind are both taken; the last one that was looked at is named.
    assert_eq!(accepted["reason"], "ListKindConflict");
    assert_eq!(accepted["message"], "\"ThingList\" is already in use");
    let established = condition(&definition, "Established").expect("the condition");
    assert_eq!(
        (&established["status"], &established["reason"]),
        (&json!("False"), &json!("NotAccepted"))
    );
    world
        .get(&format!("/apis/{}/v1/items", kind.group))
        .await
        .not_served();
}

async fn a_changed_schema_applies_to_the_next_write(world: World) {
    let kind = own_kind(&world).await;
    let mut object = kind.objects.object("a");
    object["spec"] = json!({"size": "large"});
    let object = kind.objects.create(object).await.created();
    assert_eq!(object["spec"]["size"], "large");
    let schema = json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
    });
    let patch = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": schema,
    }]);
    let name = name_in(&kind.group);
    world
        .definitions()
        .patch(&name, Patch::Json, patch)
        .await
        .ok();
    until("the schema is in force", async || {
        let mut object = kind.objects.object("b");
        object["spec"] = json!({"size": "large"});
        kind.objects.create_with("dryRun=All", object).await.code == 422
    })
    .await;
    // What is there stays as it is, until it is written.
    let kept = kind.objects.get("a").await.ok();
    assert_eq!(kept["spec"]["size"], "large");
    assert_eq!(version(&kept), version(&object));
}

fn with_patterns<'a>(group: &str, patterns: impl Iterator<Item = &'a str>) -> Value {
    let properties: serde_json::Map<_, _> = patterns
        .enumerate()
        .map(|(number, pattern)| {
            let schema = json!({"type": "string", "pattern": pattern});
            (format!("s{number}"), schema)
        })
        .collect();
    let schema = json!({"type": "object", "properties": properties});
    definition(group, "Namespaced", "things", "Thing", &schema)
}

async fn a_pattern_that_go_does_not_read_is_refused(world: World) {
    for (pattern, why) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a--b]", "invalid character class range: `a--`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        (
            "[[:alphas:]]",
            "invalid character class range: `[:alphas:]`",
        ),
        ("[]", "missing closing ]: `[]`"),
        ("[a-\\d]", "invalid escape sequence: `\\d`"),
        ("\\u0041", "invalid escape sequence: `\\u`"),
        ("\\Z", "invalid escape sequence: `\\Z`"),
        ("\\C", "invalid escape sequence: `\\C`"),
        ("\\7", "invalid escape sequence: `\\7`"),
        ("a\\x4", "invalid escape sequence: `\\x"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("x{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(?x)a b", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?u)a", "invalid or unsupported Perl syntax: `(?u`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?#c)", "invalid or unsupported Perl syntax: `(?#`"),
    ] {
        let definition = with_patterns("patterns.example.com", [pattern].into_iter());
        let definitions = world.definitions();
        let answer = definitions.create_with("dryRun=All", definition).await;
        assert_eq!(answer.code, 422, "{pattern}: {}", answer.text);
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        assert!(answer.message().contains(&why), "{}", answer.message());
    }
}

async fn a_pattern_matches_as_in_go(world: World) {
    let many = "b".repeat(100);
    let cases = [
        ("^\\d+$", "12", "\u{663}"),
        ("^[\\w-]+$", "a_b-c", "\u{e9}"),
        ("^\\W$", "\u{e9}", "e"),
        ("^[\\D]$", "\u{663}", "3"),
        ("^\\s$", "\t", "\u{b}"),
        ("\\ba\\b", "\u{e9}a", "ea"),
        ("^\\<a\\>$", "<a>", "a"),
        ("^[a&&b]$", "&", "c"),
        ("^[a~~b]$", "~", "c"),
        ("^[a-c--d]$", "b", "e"),
        ("^[[a]$", "[", "b"),
        ("^[]a]+$", "a]", "b"),
        ("^[^]a]$", "b", "]"),
        ("^[[:alpha:]_]+$", "a_", "1"),
        ("^[[:^alpha:]]$", "1", "a"),
        ("^a{,2}$", "a{,2}", "aa"),
        ("^{$", "{", "}"),
        ("^a{2,}$", "aaa", "a"),
        ("^\\Qa.b\\E$", "a.b", "axb"),
        ("^\\x41\\x{42}\\103$", "ABC", "abc"),
        ("^\\pL\\p{Greek}\\P{Greek}$", "a\u{3b1}b", "\u{3b1}bb"),
        ("^\\p{^Greek}$", "b", "\u{3b1}"),
        ("^(?i)k$", "\u{212a}", "l"),
        ("^(?i:[k])k$", "Kk", "kK"),
        ("^(?P<n>a)(?<m>b)$", "ab", "a"),
        ("^.$", "\u{e9}", "\n"),
        ("^(?s).$", "\n", "ab"),
        ("^\\_\\-\\/$", "_-/", "a"),
        ("^(|a)*$", "aa", "b"),
        ("^a b#c$", "a b#c", "ab"),
        ("^(?P<n>a)(?P<n>b)$", "ab", "a"),
        ("^((a{100}){0}b){100}$", &many, "b"),
    ];
    let group = format!("{}.example.com", unique("pattern"));
    let definition = with_patterns(&group, cases.iter().map(|(pattern, ..)| *pattern));
    let kind = serve(&world, group, definition).await;
    for (number, (pattern, matches, fails)) in cases.into_iter().enumerate() {
        for (text, code) in [(matches, 201), (fails, 422)] {
            let mut object = kind.objects.object("a");
            object[format!("s{number}")] = json!(text);
            let answer = kind.objects.create_with("dryRun=All", object).await;
            assert_eq!(answer.code, code, "{pattern} on {text:?}: {}", answer.text);
        }
    }
}

async fn a_multiple_is_one_as_in_go(world: World) {
    let cases = [
        ("integer", 3.0_f64, json!(6), json!(7)),
        ("number", 0.5, json!(1.5), json!(1.2)),
        ("number", 0.5, json!(-2.5), json!(1e17)),
        // Of an integer only the whole part of the factor counts.
        ("number", 2.5, json!(4), json!(5)),
        ("number", 0.5, json!(null), json!(2)),
        // A fraction of which integers are multiples is none that the server takes.
        ("integer", 1.5, json!(null), json!(2)),
        ("integer", 1.5, json!(null), json!(3)),
        ("integer", 0.5, json!(null), json!(3)),
    ];
    let group = format!("{}.example.com", unique("multiple"));
    let properties = cases
        .iter()
        .enumerate()
        .map(|(number, (kind, factor, ..))| {
            let schema = json!({"type": kind, "multipleOf": factor});
            (format!("n{number}"), schema)
        });
    let properties: serde_json::Map<_, _> = properties.collect();
    let schema = json!({"type": "object", "properties": properties});
    let definition = definition(&group, "Namespaced", "things", "Thing", &schema);
    let kind = serve(&world, group, definition).await;
    for (number, (is, factor, good, bad)) in cases.into_iter().enumerate() {
        for (value, code) in [(good, 201), (bad, 422)] {
            let mut object = kind.objects.object("a");
            object[format!("n{number}")] = value.clone();
            let answer = kind.objects.create_with("dryRun=All", object).await;
            assert_eq!(answer.code, code, "{value} of {factor}: {}", answer.text);
            let foreign = "MultipleOf value must be of type integer (default format)";
            let is_foreign = code == 422 && is == "integer" && factor.fract() != 0.0;
            assert_eq!(answer.text.contains(foreign), is_foreign, "{}", answer.text);
        }
    }
}

async fn a_generation_of_a_definition_moves_with_its_spec(world: World) {
    let kind = own_kind(&world).await;
    let name = name_in(&kind.group);
    let definition = world.definitions().get(&name).await.ok();
    assert_eq!(definition["metadata"]["generation"], 1);
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let definition = world.definitions().merge(&name, patch).await;
    assert_eq!(definition["metadata"]["generation"], 1);
    let patch = json!({"spec": {"names": {"shortNames": ["th"]}}});
    let definition = world.definitions().merge(&name, patch).await;
    assert_eq!(definition["metadata"]["generation"], 2);
}

async fn objects_of_a_kind_without_namespaces_are_listed_at_its_path(world: World) {
    let planets = world.planets();
    let name = unique("planet");
    let planet = planets.made(&name, json!({})).await;
    assert_eq!(planet["metadata"].get("namespace"), None);
    assert!(planets.names("").await.contains(&name));
    planets.delete(&name, json!({})).await.ok();
}

async fn a_watch_ends_when_the_definition_goes(world: World) {
    let kind = own_kind(&world).await;
    kind.objects.made("a", json!({})).await;
    let mut watch = kind.objects.watch_from_now("").await;
    let name = name_in(&kind.group);
    let answer = world
        .call(Method::DELETE, &world.definitions().at(&name), json!({}))
        .await;
    answer.ok();
    assert_eq!(watch.next_name().await, ("DELETED".into(), "a".into()));
    assert_eq!(watch.event().await, None);
}
