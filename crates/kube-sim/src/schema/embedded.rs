//! Objects within objects (`x-kubernetes-embedded-resource`): they have a type and metadata of their
//! own, which no schema mentions.

use serde_json::Value;

use super::Node;
use crate::field::{FieldError, Path};
use crate::shape;
use crate::validate::{self, name};

/// Reads the type and the metadata of each, and reports the fields that are not known.
///
/// # Errors
///
/// What cannot be read, as the server says it.
pub(super) fn read(
    path: Path<'_>,
    node: &Node,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    if node.embedded {
        read_one(path, value, unknown)?;
    }
    match value {
        Value::Object(fields) => fields.iter_mut().try_for_each(|(key, value)| {
            if let Some(inner) = node.properties.get(key) {
                read(path.child(key), inner, value, unknown)
            } else if let Some(inner) = node.field(key) {
                read(path.key(key), inner, value, unknown)
            } else {
                Ok(())
            }
        }),
        Value::Array(items) => {
            let Some(inner) = &node.items else {
                return Ok(());
            };
            let mut items = items.iter_mut().enumerate();
            items.try_for_each(|(index, item)| read(path.index(index), inner, item, unknown))
        }
        _ => Ok(()),
    }
}

fn read_one(path: Path<'_>, value: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
    if !value.is_object() {
        return Ok(());
    }
    for key in ["apiVersion", "kind"] {
        if let Some(found) = value.get(key).filter(|found| !found.is_string()) {
            let error = FieldError::invalid(path.child(key), found.clone(), "must be a string");
            return Err(error.to_string());
        }
    }
    let metadata = value.get("metadata").cloned();
    match shape::read_metadata(value, &path.to_string()) {
        Ok(found) => {
            unknown.extend(found);
            Ok(())
        }
        Err(why) => {
            let metadata = metadata.unwrap_or_default();
            Err(FieldError::invalid(path.child("metadata"), metadata, why).to_string())
        }
    }
}

/// What is wrong with the type and the metadata of each.
pub(super) fn check(path: Path<'_>, node: &Node, value: &Value, errors: &mut Vec<FieldError>) {
    if node.embedded && value.is_object() {
        check_one(path, value, errors);
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let Some(inner) = node.properties.get(key) {
                    check(path.child(key), inner, value, errors);
                } else if let Some(inner) = node.field(key) {
                    check(path.key(key), inner, value, errors);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(inner) = &node.items {
                    check(path.index(index), inner, item, errors);
                }
            }
        }
        _ => {}
    }
}

/// Checks one embedded object, which must say of which type it is.
pub(super) fn check_one(path: Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
    for key in ["apiVersion", "kind"] {
        let at = path.child(key);
        match value.get(key).and_then(Value::as_str) {
            None => errors.push(FieldError::required(at, "")),
            Some("") => errors.push(FieldError::invalid(at, "", "must not be empty")),
            Some(text) => {
                let why = wrong_type(key, text);
                errors.extend(why.map(|why| FieldError::invalid(at, text, why)));
            }
        }
    }
    if value.get("metadata").is_some_and(Value::is_object) {
        errors.extend(validate::embedded(value, path.child("metadata")));
    }
}

fn wrong_type(key: &str, text: &str) -> Option<String> {
    if key == "apiVersion" {
        let is_wrong = text.matches('/').count() > 1;
        return is_wrong.then(|| format!("unexpected GroupVersion string: {text}"));
    }
    let wrong = name::dns_1035_label(&text.to_lowercase());
    (!wrong.is_empty()).then(|| {
        format!(
            "may have mixed case, but should otherwise match: {}",
            wrong.join(",")
        )
    })
}
