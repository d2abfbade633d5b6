//! Whether a schema keeps to the part of `OpenAPI` that definitions may use.

use std::collections::BTreeSet;

use serde_json::Value;

use super::map;
use crate::field::{FieldError, Path};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What is different about a schema because of where it stands.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    root: bool,
    /// Within `metadata`, `kind` or `apiVersion`.
    in_metadata: bool,
    /// Why there may be no default, if so.
    no_default: Option<&'a str>,
}

pub(super) fn check(schema: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let place = Place {
        root: true,
        ..Place::default()
    };
    visit(schema, path, place, errors);
}

fn visit(schema: &Value, path: Path<'_>, place: Place<'_>, errors: &mut Vec<FieldError>) {
    supported(schema, path, place, errors);
    let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    if is("uniqueItems") {
        let why =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(path.child("uniqueItems"), why));
    }
    let below = Place {
        root: false,
        ..place
    };
    if let Some(additional) = schema.get("additionalProperties") {
        let at = path.child("additionalProperties");
        let has_properties = map(schema, "properties").next().is_some();
        if has_properties && *additional != Value::Bool(true) {
            let why = "additionalProperties and properties are mutual exclusive";
            errors.push(FieldError::forbidden(at, why));
        }
        if additional.is_object() {
            let reason = "inside additionalProperties applying to object metadata";
            let no_default = if place.in_metadata {
                Some(reason)
            } else {
                place.no_default
            };
            let place = Place {
                no_default,
                ..below
            };
            visit(additional, at, place, errors);
        }
    }
    let properties = path.child("properties");
    for (name, inner) in map(schema, "properties") {
        let is_type = matches!(name, "metadata" | "kind" | "apiVersion");
        let in_head = is_type && (place.root || is("x-kubernetes-embedded-resource"));
        let reason = format!("in top-level {name}");
        let inner_place = Place {
            in_metadata: place.in_metadata || in_head,
            no_default: if in_head && place.root {
                Some(&reason)
            } else {
                place.no_default
            },
            ..below
        };
        visit(inner, properties.key(name), inner_place, errors);
    }
    if let Some(inner) = schema.get("not") {
        visit(inner, path.child("not"), below, errors);
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        let at = path.child(key);
        let schemas = schema.get(key).and_then(Value::as_array);
        for (index, inner) in schemas.into_iter().flatten().enumerate() {
            visit(inner, at.index(index), below, errors);
        }
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        visit(items, path.child("items"), below, errors);
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let at = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(at, false, "must be true or undefined"));
    }
    maps(schema, path, errors);
    lists(schema, path, errors);
}

fn supported(schema: &Value, path: Path<'_>, place: Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = text(schema, "type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(path.child("type"), kind, &TYPES));
    }
    let has_default = schema
        .get("default")
        .is_some_and(|default| !default.is_null());
    if let Some(reason) = place.no_default.filter(|_| has_default) {
        let why = format!("must not be set {reason}");
        errors.push(FieldError::forbidden(path.child("default"), why));
    }
    for key in [
        "id",
        "additionalItems",
        "patternProperties",
        "definitions",
        "dependencies",
        "$ref",
    ] {
        let is_empty = |value: &Value| match value {
            Value::Object(fields) => fields.is_empty(),
            Value::String(text) => text.is_empty() && key == "id",
            other => other.is_null(),
        };
        if schema.get(key).is_some_and(|value| !is_empty(value)) {
            let why = format!("{key} is not supported");
            errors.push(FieldError::forbidden(path.child(key), why));
        }
    }
    if kind == "null" {
        let why = "type cannot be set to null, use nullable as an alternative";
        errors.push(FieldError::forbidden(path.child("type"), why));
    }
    if schema
        .get("items")
        .and_then(Value::as_array)
        .is_some_and(|items| !items.is_empty())
    {
        let why = "items must be a schema object and not an array";
        errors.push(FieldError::forbidden(path.child("items"), why));
    }
    if place.in_metadata && schema.get("x-kubernetes-embedded-resource") == Some(&true.into()) {
        let at = path.child("x-kubernetes-embedded-resource");
        errors.push(FieldError::forbidden(
            at,
            "must not be used inside of resource meta",
        ));
    }
}

fn maps(schema: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(map_type) = schema.get("x-kubernetes-map-type").and_then(Value::as_str) else {
        return;
    };
    let why = "must be object if x-kubernetes-map-type is specified";
    errors.extend(wrong_type(schema, path, "object", why));
    if !matches!(map_type, "atomic" | "granular") {
        let at = path.child("x-kubernetes-map-type");
        errors.push(FieldError::not_supported(
            at,
            map_type,
            &["atomic", "granular"],
        ));
    }
}

fn lists(schema: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let at_type = path.child("x-kubernetes-list-type");
    let items = schema.get("items").filter(|items| items.is_object());
    let at_items = path.child("items");
    if list_type.is_some() {
        let why = "must be array if x-kubernetes-list-type is specified";
        match wrong_type(schema, path, "array", why) {
            Some(error) => errors.push(error),
            None => errors.extend(set_of_composites(list_type, items, at_items)),
        }
    }
    if let Some(name) = list_type.filter(|name| !matches!(*name, "atomic" | "set" | "map")) {
        errors.push(FieldError::not_supported(
            at_type,
            name,
            &["atomic", "set", "map"],
        ));
    }
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !keys.is_empty() && list_type != Some("map") {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match list_type {
            None => FieldError::required(at_type, why),
            Some(name) => FieldError::invalid(at_type, name, why),
        });
    }
    if list_type == Some("map") {
        map_keys(schema, path, &keys, items, errors);
    }
    if let (Some(name @ ("set" | "map")), Some(items)) = (list_type, items) {
        if items.get("nullable") == Some(&Value::Bool(true)) {
            let why = format!("cannot be nullable when x-kubernetes-list-type is {name}");
            errors.push(FieldError::forbidden(at_items.child("nullable"), why));
        }
        if name == "map" {
            key_fields(&keys, items, at_items, errors);
        }
    }
}

/// The elements of a set must be told apart as a whole.
fn set_of_composites(
    list_type: Option<&str>,
    items: Option<&Value>,
    path: Path<'_>,
) -> Option<FieldError> {
    let items = items.filter(|_| list_type == Some("set"))?;
    let inner_list = items.get("x-kubernetes-list-type").and_then(Value::as_str);
    let key = match text(items, "type") {
        "array" if inner_list.is_some_and(|name| name != "atomic") => "x-kubernetes-list-type",
        "object" if text(items, "x-kubernetes-map-type") != "atomic" => "x-kubernetes-map-type",
        _ => return None,
    };
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let shown = inner_list.map_or(Value::Null, Value::from);
    Some(FieldError::invalid(path.child(key), shown, why))
}

fn map_keys(
    schema: &Value,
    path: Path<'_>,
    keys: &[&str],
    items: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let at_keys = path.child("x-kubernetes-list-map-keys");
    let at_items = path.child("items");
    if keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        errors.push(FieldError::required(at_keys, why));
    }
    if schema.get("items").is_none() {
        let why = "must have a schema if x-kubernetes-list-type is map";
        errors.push(FieldError::required(at_items, why));
    }
    let Some(items) = items else { return };
    let kind = text(items, "type");
    if kind != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(at_items.child("type"), kind, why));
        return;
    }
    let properties = at_items.child("properties");
    let mut seen = BTreeSet::new();
    for key in keys {
        match items.get("properties").and_then(|fields| fields.get(key)) {
            Some(field) if matches!(text(field, "type"), "array" | "object") => {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                let at = properties.key(key);
                errors.push(FieldError::invalid(at.child("type"), kind, why));
            }
            Some(_) => {}
            None => {
                let why = "entries must all be names of item properties";
                errors.push(FieldError::invalid(at_keys, keys.to_vec(), why));
            }
        }
        if !seen.insert(*key) {
            let why = "must not contain duplicate entries";
            errors.push(FieldError::invalid(at_keys, keys.to_vec(), why));
        }
    }
}

/// The key of an element must always be there.
fn key_fields(keys: &[&str], items: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let properties = path.child("properties");
    let required = items.get("required").and_then(Value::as_array);
    for key in keys {
        let Some(field) = items.get("properties").and_then(|fields| fields.get(key)) else {
            continue;
        };
        let at = properties.key(key);
        let is_required = required.is_some_and(|names| names.iter().any(|name| name == key));
        if !is_required && field.get("default").is_none_or(Value::is_null) {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default \
                       or be a required property";
            errors.push(FieldError::required(at.child("default"), why));
        }
        if field.get("nullable") == Some(&Value::Bool(true)) {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(at.child("nullable"), why));
        }
    }
}

fn wrong_type(schema: &Value, path: Path<'_>, expected: &str, why: &str) -> Option<FieldError> {
    let at = path.child("type");
    match text(schema, "type") {
        kind if kind == expected => None,
        "" => Some(FieldError::required(at, why)),
        kind => Some(FieldError::invalid(at, kind, why)),
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}
