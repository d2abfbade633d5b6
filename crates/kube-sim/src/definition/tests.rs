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
