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
