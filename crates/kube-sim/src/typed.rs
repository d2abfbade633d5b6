//! Objects of built-in kinds, as the server reads them into its own types.
//!
//! What the type lacks is dropped and told, a value of another type is refused, and what says as
//! much as its absence is left out. Refusals name the types that JSON has; where the server has a
//! name of its own for a text, such as the type of a Secret, its message has that instead.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::openapi;

/// Reads an object of a built-in kind, and returns what was dropped: paths such as
/// `metadata.ownerReferences[0].name`.
///
/// # Errors
///
/// The server's message about the first value of another type.
pub(crate) fn read(
    group: &str,
    version: &str,
    kind: &str,
    object: &mut Map<String, Value>,
) -> Result<Vec<String>, String> {
    let Some((name, schema)) = openapi::built_in(group, version, kind) else {
        return Ok(Vec::new());
    };
    let mut reader = Reader {
        unknown: Vec::new(),
    };
    let place = Place {
        owner: short(name),
        names: String::new(),
        path: String::new(),
    };
    reader.fields(schema, object, &place)?;
    leave_out(kind, object);
    Ok(reader.unknown)
}

/// Takes away texts, maps and lists that are empty, where the server's types do not tell them from
/// absent ones.
fn leave_out(kind: &str, object: &mut Map<String, Value>) {
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|_, value| !is_empty(value));
    }
    if kind != "CustomResourceDefinition" {
        object.retain(|field, value| field == "metadata" || !is_empty(value));
    }
}

/// Where a value is.
struct Place<'a> {
    /// The type of the innermost structure around it.
    owner: &'a str,
    /// The names of the fields that lead to it.
    names: String,
    /// The same with the places in lists and the keys of maps.
    path: String,
}

impl<'a> Place<'a> {
    fn field(&self, name: &str) -> Self {
        let after = |before: &str| match before {
            "" => name.to_owned(),
            before => format!("{before}.{name}"),
        };
        Self {
            owner: self.owner,
            names: after(&self.names),
            path: after(&self.path),
        }
    }

    fn within(&self, owner: &'a str) -> Self {
        Self {
            owner,
            names: self.names.clone(),
            path: self.path.clone(),
        }
    }

    fn item(&self, place: usize) -> Self {
        Self {
            owner: self.owner,
            names: self.names.clone(),
            path: format!("{}[{place}]", self.path),
        }
    }

    fn key(&self, key: &str) -> Self {
        Self {
            owner: self.owner,
            names: self.names.clone(),
            path: format!("{}[{key}]", self.path),
        }
    }
}

struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn fields(
        &mut self,
        schema: &'static Value,
        object: &mut Map<String, Value>,
        place: &Place<'_>,
    ) -> Result<(), String> {
        for (name, value) in object.iter_mut() {
            let place = place.field(name);
            match schema["properties"].get(name) {
                Some(schema) => self.value(schema, value, &place)?,
                None => {
                    self.unknown.push(place.path);
                    *value = Value::Null;
                }
            }
        }
        object.retain(|_, value| !value.is_null());
        Ok(())
    }

    fn value(
        &mut self,
        schema: &'static Value,
        value: &mut Value,
        place: &Place<'_>,
    ) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        let referred = openapi::referred(schema);
        let (owner, schema) = match referred {
            Some((name, schema)) if schema["properties"].is_object() => (short(name), schema),
            Some((_, schema)) => (place.owner, schema),
            None => (place.owner, schema),
        };
        match (schema["type"].as_str(), value) {
            (Some("object"), value) if schema["properties"].is_object() => match value {
                Value::Object(object) => self.fields(schema, object, &place.within(owner)),
                value => Err(mismatch(value, place, &format!("v1.{owner}"))),
            },
            (Some("object"), value) => match (value, schema.get("additionalProperties")) {
                (Value::Object(map), Some(schema)) => map
                    .iter_mut()
                    .try_for_each(|(key, value)| self.value(schema, value, &place.key(key))),
                (value, Some(items)) if !value.is_object() => {
                    let kind = format!("map[string]{}", type_name(items));
                    Err(mismatch(value, place, &kind))
                }
                _ => Ok(()),
            },
            (Some("array"), Value::Array(list)) => {
                list.iter_mut().enumerate().try_for_each(|(index, value)| {
                    self.value(&schema["items"], value, &place.item(index))
                })
            }
            (Some("string"), Value::String(text)) => check_text(schema["format"].as_str(), text),
            (Some("boolean"), Value::Bool(_)) | (None, _) => Ok(()),
            (Some("integer"), Value::Number(number)) if number.is_i64() => Ok(()),
            (Some("number"), Value::Number(_)) => Ok(()),
            (Some(_), value) => Err(mismatch(value, place, &type_name(schema))),
        }
    }
}

/// `ConfigMap` of `io.k8s.api.core.v1.ConfigMap`.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How Go calls the type.
fn type_name(schema: &Value) -> String {
    if let Some((name, referred)) = openapi::referred(schema)
        && referred["type"] == "object"
    {
        return format!("v1.{}", short(name));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("[]{}", type_name(&schema["items"])),
        (Some("object"), _) => {
            format!("map[string]{}", type_name(&schema["additionalProperties"]))
        }
        (Some("string"), Some("byte")) => "[]uint8".to_owned(),
        (Some("boolean"), _) => "bool".to_owned(),
        (Some("number"), _) => "float64".to_owned(),
        (Some("integer"), format) => format.unwrap_or("int64").to_owned(),
        _ => "string".to_owned(),
    }
}

fn mismatch(value: &Value, place: &Place<'_>, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    let (owner, names) = (place.owner, &place.names);
    format!("json: cannot unmarshal {found} into Go struct field {owner}.{names} of type {wanted}")
}

fn check_text(format: Option<&str>, text: &str) -> Result<(), String> {
    match format {
        Some("byte") => match first_that_is_not_base64(text) {
            Some(at) => Err(format!("illegal base64 data at input byte {at}")),
            None => Ok(()),
        },
        Some("date-time") if text.parse::<Timestamp>().is_err() => Err(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \
             \"2006\""
        )),
        _ => Ok(()),
    }
}

/// RFC 4648, section 4: digits in groups of four, the last of which may be padded.
fn first_that_is_not_base64(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=').len();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let wrong = text.bytes().take(digits).position(|byte| !is_digit(&byte));
    let padding = text.len() - digits;
    wrong.or((text.len() % 4 != 0 || padding > 2).then_some(text.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_value(group: &str, kind: &str, object: &Value) -> Result<(Value, Vec<String>), String> {
        let mut object = object.as_object().unwrap().clone();
        let unknown = read(group, "v1", kind, &mut object)?;
        Ok((object.into(), unknown))
    }

    #[test]
    fn fields_that_the_type_lacks_are_dropped_and_told() {
        let object = json!({
            "metadata": {
                "name": "x", "foo": 1,
                "ownerReferences": [{ "uid": "a", "x": 1 }, { "y": null }],
            },
            "dta": { "a": 1 },
            "data": { "a": "b" },
        });
        let (read, unknown) = read_value("", "ConfigMap", &object).unwrap();
        assert_eq!(
            unknown,
            [
                "dta",
                "metadata.foo",
                "metadata.ownerReferences[0].x",
                "metadata.ownerReferences[1].y",
            ]
        );
        let expected = json!({
            "metadata": { "name": "x", "ownerReferences": [{ "uid": "a" }, {}] },
            "data": { "a": "b" },
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_empty_is_left_out_where_the_server_does() {
        let check = |group, kind, object: Value, expected: Value| {
            let (read, unknown) = read_value(group, kind, &object).unwrap();
            assert_eq!((read, unknown), (expected, Vec::new()));
        };
        check(
            "",
            "ConfigMap",
            json!({ "metadata": { "labels": {}, "finalizers": [] }, "data": {}, "immutable": null }),
            json!({ "metadata": {} }),
        );
        check(
            "",
            "ServiceAccount",
            json!({ "secrets": [], "imagePullSecrets": [{}] }),
            json!({ "imagePullSecrets": [{}] }),
        );
        let lease = json!({ "spec": { "holderIdentity": "", "leaseDurationSeconds": 3 } });
        check("coordination.k8s.io", "Lease", lease.clone(), lease);
    }

    #[test]
    fn values_of_another_type_are_refused_in_the_servers_words() {
        let check = |group, kind, object: Value, expected: &str| {
            assert_eq!(read_value(group, kind, &object).unwrap_err(), expected);
        };
        let go = "json: cannot unmarshal";
        let field = "into Go struct field";
        check(
            "",
            "ConfigMap",
            json!({ "data": { "a": 1 } }),
            &format!("{go} number {field} ConfigMap.data of type string"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "data": "s" }),
            &format!("{go} string {field} ConfigMap.data of type map[string]string"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "immutable": "yes" }),
            &format!("{go} string {field} ConfigMap.immutable of type bool"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "metadata": [] }),
            &format!("{go} array {field} ConfigMap.metadata of type v1.ObjectMeta"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "metadata": { "labels": { "a": 1 } } }),
            &format!("{go} number {field} ObjectMeta.metadata.labels of type string"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "metadata": { "finalizers": "a" } }),
            &format!("{go} string {field} ObjectMeta.metadata.finalizers of type []string"),
        );
        check(
            "",
            "ConfigMap",
            json!({ "metadata": { "creationTimestamp": "a" } }),
            "parsing time \"a\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"a\" as \"2006\"",
        );
        check(
            "coordination.k8s.io",
            "Lease",
            json!({ "spec": { "leaseDurationSeconds": 1.5 } }),
            &format!("{go} number 1.5 {field} LeaseSpec.spec.leaseDurationSeconds of type int32"),
        );
        check(
            "coordination.k8s.io",
            "Lease",
            json!({ "spec": { "leaseDurationSeconds": "a" } }),
            &format!("{go} string {field} LeaseSpec.spec.leaseDurationSeconds of type int32"),
        );
        check(
            "",
            "Secret",
            json!({ "data": { "a": "!!!" } }),
            "illegal base64 data at input byte 0",
        );
    }

    #[test]
    fn definitions_keep_what_is_free_in_them() {
        let definition = json!({
            "metadata": { "name": "x" },
            "spec": {
                "versions": [{
                    "name": "v1",
                    "schema": { "openAPIV3Schema": {
                        "type": "object",
                        "properties": { "a": { "default": "", "enum": [null] } },
                        "additionalProperties": false,
                    } },
                }],
            },
        });
        let (read, unknown) = read_value(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            &definition,
        )
        .unwrap();
        assert_eq!(unknown, Vec::<String>::new());
        assert_eq!(read, definition);
    }
}
