//! Whether a schema is structural: every field has a type, whatever else is said of it.

use serde_json::Value;

use super::map;
use crate::field::{FieldError, Path};
use crate::schema::{
    Idiom,
    pattern::{self, PatternError},
};

/// Where in a schema a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What the server cannot even read as a structural schema, at any depth.
pub(super) fn unreadable(schema: &Value) -> Option<String> {
    let is_set = |key: &str| match schema.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    };
    for (key, name) in [
        ("id", "id"),
        ("$schema", "schema"),
        ("$ref", "$ref"),
        ("patternProperties", "patternProperties"),
        ("dependencies", "dependencies"),
        ("additionalItems", "additionalItems"),
        ("definitions", "definitions"),
    ] {
        if is_set(key) {
            return Some(format!("OpenAPIV3Schema '{name}' is not supported"));
        }
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let why =
            "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
        return Some(why.to_owned());
    }
    if schema.get("items").is_some_and(Value::is_array) {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    super::inner_schemas(schema).find_map(|(_, inner)| unreadable(inner))
}

/// What keeps a schema from being structural, sorted by text.
pub(super) fn check(schema: &Value, path: Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn invariants(schema: &Value, level: Level, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let items = schema.get("items").filter(|items| items.is_object());
    if kind == "array" && items.is_none() {
        errors.push(FieldError::required(
            path.child("items"),
            "must be specified",
        ));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, path.child("items"), errors);
    }
    let properties = path.child("properties");
    for (name, inner) in map(schema, "properties") {
        invariants(inner, Level::Field, properties.key(name), errors);
    }
    let additional = schema.get("additionalProperties");
    if let Some(additional) = additional {
        let path = path.child("additionalProperties");
        if level == Level::Root {
            errors.push(FieldError::forbidden(path, "must not be used at the root"));
        }
        if additional.is_object() {
            invariants(additional, Level::Field, path, errors);
        }
    }
    let (int_or_string, preserves, embedded) = (
        is("x-kubernetes-int-or-string"),
        is("x-kubernetes-preserve-unknown-fields"),
        is("x-kubernetes-embedded-resource"),
    );
    for (key, set) in [
        ("x-kubernetes-preserve-unknown-fields", preserves),
        ("x-kubernetes-embedded-resource", embedded),
    ] {
        if int_or_string && set {
            let why = "must be false if x-kubernetes-int-or-string is true";
            errors.push(FieldError::invalid(path.child(key), true, why));
        }
    }
    value_validation(schema, path, Idiom::of(schema), errors);
    let at_type = path.child("type");
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match kind {
            "" => FieldError::required(at_type, why),
            kind => FieldError::invalid(at_type, kind, why),
        });
    } else if kind.is_empty() && !int_or_string && !preserves {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(at_type, why));
    }
    if embedded && additional.is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(
            path.child("additionalProperties"),
            why,
        ));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(
            at_type,
            kind,
            "must be object at the root",
        ));
    }
    if level == Level::Root || embedded {
        head(schema, level, properties, errors);
    }
    let has_properties = map(schema, "properties").next().is_some();
    if embedded && !preserves && !has_properties {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(properties, why));
    }
}

/// The type and the metadata of an object, of which a schema may say little.
fn head(schema: &Value, level: Level, properties: Path<'_>, errors: &mut Vec<FieldError>) {
    let field = |name: &str| schema.get("properties")?.get(name);
    for name in ["kind", "apiVersion"] {
        let Some(field) = field(name) else { continue };
        let kind = field
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind != "string" {
            let at = properties.key(name);
            errors.push(FieldError::invalid(
                at.child("type"),
                kind,
                "must be string",
            ));
        }
    }
    if let Some(metadata) = field("metadata") {
        metadata_schema(metadata, level, properties.key("metadata"), errors);
    }
}

/// Of metadata, a schema may only restrict the name.
fn metadata_schema(schema: &Value, level: Level, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind != "object" {
        errors.push(FieldError::invalid(
            path.child("type"),
            kind,
            "must be object",
        ));
    }
    if level != Level::Root {
        return;
    }
    let is_name = |name: &str| matches!(name, "name" | "generateName");
    let restricts_names = map(schema, "properties").all(|(name, _)| is_name(name));
    let fields = schema.as_object();
    let says_more = fields
        .into_iter()
        .flatten()
        .any(|(key, _)| !matches!(key.as_str(), "type" | "default" | "properties"));
    if says_more || !restricts_names {
        let why = "must not specify anything other than name and generateName, but metadata is \
                   implicitly specified";
        errors.push(FieldError::forbidden(path, why));
    }
}

/// What is said of values beyond their structure. The idiom for an integer or a string may name
/// types.
fn value_validation(
    schema: &Value,
    path: Path<'_>,
    idiom: Option<Idiom>,
    errors: &mut Vec<FieldError>,
) {
    for key in ["anyOf", "allOf", "oneOf"] {
        let schemas = schema.get(key).and_then(Value::as_array);
        let at = path.child(key);
        for (index, inner) in schemas.into_iter().flatten().enumerate() {
            match idiom {
                Some(Idiom::AnyOf) if key == "anyOf" => {}
                Some(Idiom::AllOf) if key == "allOf" && index == 0 => {
                    nested(inner, at.index(index), Some(Idiom::AnyOf), errors);
                }
                _ => nested(inner, at.index(index), None, errors),
            }
        }
    }
    if let Some(inner) = schema.get("not") {
        nested(inner, path.child("not"), None, errors);
    }
    let text = schema.get("pattern").and_then(Value::as_str);
    if let Some((text, Err(PatternError::Invalid(why)))) =
        text.map(|text| (text, pattern::translate(text)))
    {
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        errors.push(FieldError::invalid(path.child("pattern"), text, why));
    }
}

fn nested(schema: &Value, path: Path<'_>, idiom: Option<Idiom>, errors: &mut Vec<FieldError>) {
    value_validation(schema, path, idiom, errors);
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        nested(items, path.child("items"), None, errors);
    }
    let properties = path.child("properties");
    for (name, inner) in map(schema, "properties") {
        nested(inner, properties.key(name), None, errors);
    }
    for (key, why) in [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-embedded-resource",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-int-or-string",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-list-map-keys",
            "must be empty to be structural",
        ),
        (
            "x-kubernetes-list-type",
            "must be undefined to be structural",
        ),
        (
            "x-kubernetes-map-type",
            "must be undefined to be structural",
        ),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        if schema
            .get(key)
            .is_some_and(|value| *value != Value::Bool(false))
        {
            errors.push(FieldError::forbidden(path.child(key), why));
        }
    }
    if map(schema, "properties").any(|(name, _)| name == "metadata") {
        let why = "must not be specified in a nested context";
        errors.push(FieldError::forbidden(properties.key("metadata"), why));
    }
}
