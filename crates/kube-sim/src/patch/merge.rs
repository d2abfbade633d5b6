//! Merge patches, after RFC 7386.

use serde_json::{Map, Value};

use super::FieldValidation;
use crate::json;
use crate::status::Status;

pub(super) fn apply(
    mut object: Value,
    patch: &[u8],
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Status> {
    let bad_patch = || Status::bad_request("Invalid JSON Patch");
    let lenient = validation == FieldValidation::Ignore;
    let decoded = json::parse(patch);
    let read = match decoded {
        Ok(read) => read,
        Err(_) if lenient => return Err(bad_patch()),
        Err(why) => return Err(Status::bad_request(format!("error decoding patch: {why}"))),
    };
    match read.value {
        Value::Object(patch) => {
            if let Value::Object(target) = &mut object {
                merge(target, patch);
            }
        }
        Value::Null => return Err(bad_patch()),
        Value::Array(_) if lenient => {
            object = read.value;
            drop_nulls(&mut object);
        }
        _ if lenient => return Err(bad_patch()),
        other => {
            return Err(Status::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {} into Go value of type \
                 map[string]interface {{}}",
                json::kind(&other)
            )));
        }
    }
    let duplicates = read.duplicates.iter();
    let strict = duplicates.map(|path| format!("duplicate field \"{path}\""));
    Ok((object, strict.collect()))
}

fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match (target.get_mut(&key), value) {
            (_, Value::Null) => {
                target.remove(&key);
            }
            (Some(Value::Object(current)), Value::Object(patch)) => merge(current, patch),
            // Here the server does not look for nulls.
            (Some(current @ Value::Object(_)), other) => *current = other,
            (_, mut other) => {
                drop_nulls(&mut other);
                target.insert(key, other);
            }
        }
    }
}

/// Takes fields that are null out of objects, at any depth; elements of lists stay.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
