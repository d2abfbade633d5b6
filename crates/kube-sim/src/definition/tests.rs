//! `recorded.json` holds definitions and what a kube-apiserver 1.36.3 said of them.

use super::*;
use crate::field::FieldError;
use crate::shape;

fn recorded() -> Vec<Value> {
    serde_json::from_str(include_str!("recorded.json")).expect("JSON")
}

/// A definition as it comes to validation: the one of a row, or a plain one with the row's schema.
fn read(row: &Value) -> Value {
    let subresources = if row["status"] == true {
        json!({"status": {}})
    } else {
        Value::Null
    };
    let mut definition = row.get("definition").cloned().unwrap_or_else(|| {
        json!({
            "metadata": {"name": "things.r.example.com"},
            "spec": {
                "group": "r.example.com",
                "names": {"plural": "things", "kind": "Thing"},
                "scope": "Namespaced",
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": row["schema"]}, "subresources": subresources,
                }],
            },
        })
    });
    shape::read(&shape::DEFINITION, &mut definition).expect("a definition");
    fill_in(&mut definition);
    definition
}

fn causes(errors: &[FieldError]) -> Vec<[String; 3]> {
    let mut causes: Vec<[String; 3]> = errors
        .iter()
        .map(|error| {
            let cause = error.cause();
            ["field", "reason", "message"].map(|key| cause[key].as_str().unwrap_or("").to_owned())
        })
        .collect();
    causes.sort();
    causes
}

/// Whether this is a refusal of what the real server accepts.
fn is_our_own(error: &FieldError) -> bool {
    error.to_string().contains("kube-sim does not")
}

#[test]
fn definitions_are_refused_as_the_real_server_does() {
    for row in recorded() {
        let mut definition = read(&row);
        if definition["metadata"]["name"].is_null() {
            // A name is generated before anything is looked at.
            let prefix = definition["metadata"]["generateName"].as_str();
            if let Some(prefix) = prefix.map(str::to_owned) {
                let message = row["causes"][1][2].as_str().expect("about the name");
                let name = message.split('"').nth(1).expect("quoted");
                assert!(name.starts_with(&prefix));
                definition["metadata"]["name"] = name.into();
            }
        }
        let errors = create(&definition);
        if row["accepted"] == true {
            assert!(errors.iter().all(is_our_own), "{errors:?}\n{definition}");
            continue;
        }
        let expected: Vec<[String; 3]> =
            serde_json::from_value(row["causes"].clone()).expect("causes");
        let pattern = |causes: &[[String; 3]]| {
            // What is wrong with a pattern is said in other words.
            let cut = |text: &str| {
                text.split("error parsing regexp")
                    .next()
                    .unwrap_or("")
                    .to_owned()
            };
            causes
                .iter()
                .map(|[field, reason, message]| (field.clone(), reason.clone(), cut(message)))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            pattern(&causes(&errors)),
            pattern(&expected),
            "{definition}"
        );
    }
}

/// The texts are those of the real server for the same changes.
#[test]
fn what_a_definition_may_change_is_limited() {
    let definition = json!({
        "metadata": {"name": "things.r.example.com", "uid": "1", "resourceVersion": "1"},
        "spec": {
            "group": "r.example.com",
            "names": {"plural": "things", "kind": "Thing"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {"foo": {"type": "string", "format": "foo"}},
                }},
            }],
        },
        "status": {
            "storedVersions": ["v1"],
            "conditions": [{"type": "Established", "status": "True"}],
        },
    });
    let old = read(&json!({"definition": definition}));
    let renamed = "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions";
    let immutable =
        |path: &str, value: &str| format!("{path}: Invalid value: \"{value}\": field is immutable");
    for (pointer, value, expected) in [
        ("/spec/scope", "Namespaced", "[]".to_owned()),
        ("/spec/scope", "Cluster", immutable("spec.scope", "Cluster")),
        (
            "/spec/names/kind",
            "Other",
            immutable("spec.names.kind", "Other"),
        ),
        (
            "/spec/group",
            "q.example.com",
            immutable("spec.group", "q.example.com"),
        ),
        (
            "/spec/names/plural",
            "q",
            immutable("spec.names.plural", "q"),
        ),
        (
            "/spec/versions/0/name",
            "v2",
            format!("status.storedVersions[0]: Invalid value: \"v1\": {renamed}"),
        ),
    ] {
        let mut new = old.clone();
        *new.pointer_mut(pointer).expect(pointer) = value.into();
        assert_eq!(FieldError::summary(&update(&new, &old)), expected);
    }
    let mut new = old.clone();
    let mut second = new["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    new["spec"]["versions"][0]["storage"] = false.into();
    new["spec"]["versions"]
        .as_array_mut()
        .expect("versions")
        .push(second);
    assert_eq!(update(&new, &old), []);
    assert_eq!(stored_versions(&new, &old), ["v1", "v2"]);

    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let formats = json!({"a": {"type": "string", "format": "bar"}, "foo": {"format": "foo", "type": "string"}});
    *new.pointer_mut(properties).expect("properties") = formats;
    assert_eq!(warnings(&new, Some(&old)), ["unrecognized format \"bar\""]);
}

#[test]
fn what_is_not_served_is_refused() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"type": "string", "x-kubernetes-validations": [{"rule": "true"}]},
            "b": {"type": "string", "anyOf": [{"minLength": 1}]},
            "c": {"type": "string", "format": "email"},
        },
    });
    let mut definition = read(&json!({"schema": schema}));
    let at = "spec.validation.openAPIV3Schema.properties";
    let never = "Forbidden: kube-sim does not evaluate";
    assert_eq!(
        FieldError::summary(&create(&definition)),
        format!(
            "[{at}[a].x-kubernetes-validations: {never} CEL rules, {at}[b].anyOf: {never} value validations that are combined, {at}[c].format: {never} this format]"
        )
    );
    let version = &mut definition["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] = json!({"type": "object"});
    version["subresources"] = json!({"scale": {
        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
    }});
    assert_eq!(
        FieldError::summary(&create(&definition)),
        "spec.versions[0].subresources.scale: Forbidden: kube-sim does not serve the scale subresource"
    );
}

#[test]
fn a_column_whose_path_is_not_evaluated_is_refused() {
    let mut definition = read(&json!({ "schema": { "type": "object" } }));
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        { "name": "Fine", "type": "string", "jsonPath": ".spec.list[?(@.a=='b')].c" },
        { "name": "Deep", "type": "string", "jsonPath": ".spec..c" },
    ]);
    let errors = create(&definition);
    assert!(!errors.is_empty() && errors.iter().all(is_our_own));
    let columns = &mut definition["spec"]["versions"][0]["additionalPrinterColumns"];
    columns.as_array_mut().expect("a list").pop();
    assert_eq!(create(&definition), []);
}

#[test]
fn clients_of_a_deprecated_version_are_told_of_a_newer_one() {
    let check = |versions: Value, expected: &[Option<&str>]| {
        let definition = json!({
            "metadata": { "name": "things.r.example.com" },
            "spec": {
                "group": "r.example.com",
                "names": { "plural": "things", "kind": "Thing" },
                "versions": versions,
            },
        });
        let versions = versions_of(&definition);
        let told: Vec<_> = versions
            .map(|version| deprecation(&definition, version))
            .collect();
        let told: Vec<_> = told.iter().map(Option::as_deref).collect();
        assert_eq!(told, expected);
    };
    let version = |name: &str, deprecated: bool, served: bool| json!({ "name": name, "deprecated": deprecated, "served": served });
    check(
        json!([
            version("v1alpha1", true, true),
            version("v1beta1", false, true),
            version("v1", false, true),
            version("v2", false, false),
        ]),
        &[
            Some("r.example.com/v1alpha1 Thing is deprecated; use r.example.com/v1 Thing"),
            None,
            None,
            None,
        ],
    );
    let mut own = version("v2", true, true);
    own["deprecationWarning"] = "stop it".into();
    check(
        json!([version("v1", false, true), own, version("v3", true, true)]),
        &[
            None,
            Some("stop it"),
            Some("r.example.com/v3 Thing is deprecated"),
        ],
    );
}
