//! `recorded.json` holds a schema, objects, and what a kube-apiserver 1.36.3 made of them.

use proptest::prelude::*;

use super::{pattern::PatternError, *};
use crate::json;

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

fn schema(properties: &Value) -> Schema {
    let schema = serde_json::json!({"type": "object", "properties": properties});
    Schema::compile(&schema)
}

#[test]
fn objects_are_treated_as_the_real_server_does() {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).expect("JSON");
    for group in recorded.as_array().expect("groups") {
        let schema = Schema::compile(&group["schema"]);
        for row in group["rows"].as_array().expect("rows") {
            check_row(&schema, row);
        }
    }
}

fn check_row(schema: &Schema, row: &Value) {
    let mut text = row["object"].to_string();
    if let Some(raw) = row["text"].as_str() {
        raw.clone_into(&mut text);
    }
    let mut object = json::parse(text.as_bytes()).expect(&text).value;
    let metadata = serde_json::json!({"name": "a"});
    let fields = object.as_object_mut().expect("an object");
    fields.entry("metadata").or_insert(metadata);
    let mut unknown = schema.read(&mut object).expect("it can be read");
    schema.default(&mut object);
    let errors = schema.validate(&object);
    if let Some(expected) = row.get("causes") {
        let expected: Vec<[String; 3]> = serde_json::from_value(expected.clone()).expect("causes");
        assert_eq!(causes(&errors), expected, "{text}");
        return;
    }
    assert_eq!(errors, [], "{text}");
    let fields = object.as_object_mut().expect("an object");
    fields.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
    assert_eq!(object, row["result"], "{text}");
    let warnings = row
        .get("warnings")
        .cloned()
        .unwrap_or_else(|| Value::Array(Vec::new()));
    let warnings: Vec<String> = serde_json::from_value(warnings).expect("warnings");
    unknown.sort();
    assert_eq!(unknown, warnings, "{text}");
}

/// What is wrong with an update under a schema that has become stricter.
fn strict_update(new: &Value) -> String {
    let schema = Schema::compile(&serde_json::json!({
        "type": "object",
        "required": ["spec", "extra"],
        "properties": {
            "spec": {
                "type": "object", "minProperties": 2, "required": ["b"],
                "properties": {
                    "a": {"type": "string", "maxLength": 2, "enum": ["x"]},
                    "b": {"type": "string", "maxLength": 1},
                    "l": {
                        "type": "array", "maxItems": 1,
                        "items": {"type": "string", "maxLength": 1},
                    },
                },
            },
            "extra": {"type": "string"},
        },
    }));
    let old = serde_json::json!({"metadata": {"labels": {}}, "spec": {"a": "long"}});
    FieldError::summary(&schema.validate_update(new, &old))
}

/// The texts are those of the real server for the same updates.
#[test]
fn what_was_wrong_before_and_stays_is_tolerated() {
    let extra = "extra: Required value";
    let object = |spec: Value| serde_json::json!({"metadata": {}, "spec": spec});
    for (spec, expected) in [
        (serde_json::json!({"a": "long"}), extra.to_owned()),
        (serde_json::json!({"a": "long", "b": "x"}), extra.to_owned()),
        (
            serde_json::json!({"a": "other"}),
            format!(
                "[spec: Invalid value: 1: spec in body should have at least 2 properties, spec.a: Too long: may not be more than 2 bytes, spec.a: Unsupported value: \"other\": supported values: \"x\", spec.b: Required value, {extra}]"
            ),
        ),
        (
            serde_json::json!({"a": "long", "b": "xxx"}),
            format!("[spec.b: Too long: may not be more than 1 byte, {extra}]"),
        ),
        (
            serde_json::json!({"a": "long", "l": ["aa", "bb"]}),
            format!(
                "[spec.l[0]: Too long: may not be more than 1 byte, spec.l[1]: Too long: may not be more than 1 byte, spec.l: Too many: 2: must have at most 1 item, spec.b: Required value, {extra}]"
            ),
        ),
    ] {
        assert_eq!(strict_update(&object(spec)), expected);
    }
    let new = serde_json::json!({"metadata": {}, "extra": "x", "spec": {"a": "long"}});
    assert_eq!(strict_update(&new), "[]");
}

#[test]
fn a_status_is_checked_by_its_own_schema() {
    let schema = schema(&serde_json::json!({
        "spec": {"type": "string"},
        "status": {"type": "object", "properties": {"b": {"type": "string"}}},
    }));
    let check = |status: Value| {
        let new = serde_json::json!({"spec": 5, "status": status});
        FieldError::summary(&schema.validate_status(&new, &Value::Null))
    };
    assert_eq!(check(serde_json::json!({"b": "x"})), "[]");
    assert_eq!(
        check(serde_json::json!({"b": 5})),
        "status.b: Invalid value: \"integer\": b in body must be of type string: \"integer\""
    );
    assert_eq!(
        check(5.into()),
        "status: Invalid value: \"integer\":  in body must be of type object: \"integer\""
    );
}

#[test]
fn patterns_are_read_as_go_does() {
    for (pattern, text, matches) in [
        ("^\\d+$", "12", true),
        ("^\\d+$", "\u{0663}", false),
        ("^[\\w-]+$", "a_b-c", true),
        ("^[\\w-]+$", "\u{e9}", false),
        ("^.{2}$", "\u{e9}\u{e9}", true),
        ("^[a&&b]$", "&", true),
        ("^[]a]+$", "a]", true),
        ("^[^]a]$", "b", true),
        ("^[[:alpha:]]+$", "ab", true),
        ("b", "abc", true),
    ] {
        let regex = pattern::compile(pattern).expect(pattern);
        assert_eq!(regex.is_match(text), matches, "{pattern} on {text}");
    }
    let refused = |pattern| pattern::compile(pattern).expect_err(pattern);
    assert!(matches!(refused("("), PatternError::Invalid(_)));
    let long = "a".repeat(9000);
    assert_eq!(refused(&long), PatternError::Unsupported);
    // Go takes these, and this engine means something else by them, or nothing.
    for pattern in [
        "\\Ba",
        "\\p{greek}",
        "\\p{GREEK}",
        "\\p{Old_Italic}",
        "\\p{Thai}",
        "\\p{Nonsense}",
        "\\pL{100}",
        "a*(?i)*",
        "a+(?)?",
        "a{600}(?){2}",
        "a*\\Q\\E*",
        "\\x{d800}",
    ] {
        assert_eq!(refused(pattern), PatternError::Unsupported, "{pattern}");
    }
}

#[test]
fn formats_are_checked_as_the_server_does() {
    for (name, text, matches) in [
        ("date-time", "2020-01-01T00:00:00Z", true),
        ("date-time", "2020-01-01t23:59:59.5+01:00", true),
        ("date-time", "2020-01-01T24:00:00Z", false),
        ("date-time", "2020-01-01T00:00:00", false),
        ("date", "2020-02-30", false),
        ("date", "2020-2-3", false),
        ("byte", "eA==", true),
        ("byte", "eA=", false),
        ("uuid", "12345678123412341234123456789ABC", true),
        ("uuid4", "12345678-1234-4234-8234-123456789abc", true),
        ("uuid4", "12345678-1234-1234-8234-123456789abc", false),
        ("ipv4", "1.2.3", false),
        ("ipv6", "::1", true),
    ] {
        let format = Format::of(name, Some(Kind::String))
            .expect(name)
            .expect(name);
        assert_eq!(format.matches(text), matches, "{name} {text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        (0..3i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 24, 3, |inner| {
        let map = prop::collection::btree_map("[abcd]", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            map.prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn what_is_unknown_is_told_as_far_as_anybody_reads() {
    let schema = schema(
        &serde_json::json!({"a": {"type": "object", "additionalProperties": {
            "type": "object",
        }}}),
    );
    let unknown: serde_json::Map<_, _> = (0..5000)
        .map(|number| (number.to_string(), 1.into()))
        .collect();
    let key = "k".repeat(1000);
    let mut object = serde_json::json!({"a": {key: unknown}});
    let told = schema.read(&mut object).expect("it can be read");
    assert!((1000..1100).contains(&told.len()), "{}", told.len());
    let left = object["a"].as_object().expect("a map").values().next();
    assert_eq!(left, Some(&serde_json::json!({})), "all of it is pruned");
}

proptest! {
    #[test]
    fn what_has_been_pruned_and_defaulted_stays(object in any_json()) {
        let node = serde_json::json!({
            "type": "object", "default": {},
            "properties": {
                "a": {"type": "string", "default": "x"},
                "b": {"type": "array", "items": {"type": "object", "properties": {
                    "a": {"type": "integer", "nullable": true, "default": 1},
                }}},
                "c": {"type": "object", "additionalProperties": {"type": "string"}},
                "d": {"x-kubernetes-preserve-unknown-fields": true},
            },
        });
        let schema = schema(&serde_json::json!({"a": node, "b": node}));
        let treat = |object: &Value| {
            let mut object = object.clone();
            let unknown = schema.read(&mut object).expect("it can be read");
            schema.default(&mut object);
            (object, unknown)
        };
        let (once, _) = treat(&object);
        let (twice, unknown) = treat(&once);
        prop_assert_eq!(&once, &twice);
        prop_assert!(unknown.is_empty());
        let _ = schema.validate(&once);
        prop_assert!(schema.validate_update(&once, &once).is_empty());
    }
}
