//! Which schemas a definition may have.
//!
//! The server looks three times: whether a schema is structural, whether its defaults are good, and
//! whether it keeps to what `OpenAPI` means here. What it accepts and nobody evaluates here is refused
//! afterwards.

use serde_json::{Map, Value};

use super::check::{Check, Name};
use super::format::Format;
use super::{
    Idiom, Kind, Node, embedded,
    pattern::{self, PatternError},
    prune,
};
use crate::field::{FieldError, Path, quote};

mod openapi;
mod structure;

/// The fields of a schema, in the order in which the server looks at them, and whether they are
/// allowed at the root if there is a `status` subresource.
const ROOT_FIELDS: [(&str, &str, bool); 40] = [
    ("id", "ID", false),
    ("$schema", "Schema", false),
    ("$ref", "Ref", false),
    ("description", "Description", true),
    ("type", "Type", true),
    ("nullable", "Nullable", false),
    ("format", "Format", true),
    ("title", "Title", true),
    ("default", "Default", false),
    ("maximum", "Maximum", true),
    ("exclusiveMaximum", "ExclusiveMaximum", true),
    ("minimum", "Minimum", true),
    ("exclusiveMinimum", "ExclusiveMinimum", true),
    ("maxLength", "MaxLength", true),
    ("minLength", "MinLength", true),
    ("pattern", "Pattern", true),
    ("maxItems", "MaxItems", true),
    ("minItems", "MinItems", true),
    ("uniqueItems", "UniqueItems", true),
    ("multipleOf", "MultipleOf", true),
    ("enum", "Enum", false),
    ("maxProperties", "MaxProperties", false),
    ("minProperties", "MinProperties", false),
    ("required", "Required", true),
    ("items", "Items", true),
    ("allOf", "AllOf", false),
    ("oneOf", "OneOf", false),
    ("anyOf", "AnyOf", false),
    ("not", "Not", false),
    ("properties", "Properties", true),
    ("additionalProperties", "AdditionalProperties", false),
    ("patternProperties", "PatternProperties", false),
    ("dependencies", "Dependencies", false),
    ("additionalItems", "AdditionalItems", false),
    ("definitions", "Definitions", false),
    ("externalDocs", "ExternalDocs", true),
    ("example", "Example", true),
    (
        "x-kubernetes-preserve-unknown-fields",
        "XPreserveUnknownFields",
        true,
    ),
    ("x-kubernetes-embedded-resource", "XEmbeddedResource", false),
    ("x-kubernetes-validations", "XValidations", true),
];

/// What is wrong with the schema at this path. `status` is whether the version has a `status`
/// subresource.
pub(crate) fn check(schema: &Value, path: &str, status: bool) -> Vec<FieldError> {
    let path = Path::Root(path);
    let mut errors = Vec::new();
    if status {
        errors.extend(root_field(schema, path));
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        let path = path.child("nullable");
        errors.push(FieldError::forbidden(
            path,
            "nullable cannot be true at the root",
        ));
    }
    let unreadable = structure::unreadable(schema);
    if unreadable.is_none() {
        let mut found = structure::check(schema, path);
        if found.is_empty() {
            defaults(schema, &Node::compile(schema), path, true, &mut found);
        }
        errors.extend(found);
    }
    openapi::check(schema, path, &mut errors);
    if errors.is_empty() {
        errors.extend(unreadable.map(|why| FieldError::invalid(path, "", why)));
    }
    if errors.is_empty() {
        unevaluated(schema, path, &mut errors);
    }
    errors
}

/// What the server warns of: formats that it does not know.
pub(crate) fn warnings(schema: &Value, found: &mut Vec<String>) {
    if let Some(name) = schema.get("format").and_then(Value::as_str)
        && Format::of(name, Kind::of(schema)) == Ok(None)
    {
        found.push(format!("unrecognized format {}", quote(name)));
    }
    for (_, inner) in inner_schemas(schema) {
        warnings(inner, found);
    }
}

/// The first field that may not stand at the root, since the schema of the status is cut out.
fn root_field(schema: &Value, path: Path<'_>) -> Option<FieldError> {
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let set = ROOT_FIELDS
        .into_iter()
        .filter(|(key, _, _)| schema.get(key).is_some_and(is_set));
    for (key, _, allowed) in set {
        if key == "type" && schema["type"] != "object" {
            let why = "only \"object\" is allowed as the type at the root of the schema if the \
                       status subresource is enabled";
            let kind = schema["type"].clone();
            return Some(FieldError::invalid(path.child("type"), kind, why));
        }
        if !allowed {
            let allowed = ROOT_FIELDS.into_iter().filter(|(_, _, allowed)| *allowed);
            let names: Vec<&str> = allowed.map(|(_, name, _)| name).collect();
            let why = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource \
                 is enabled",
                names.join(" ")
            );
            return Some(FieldError::invalid(path, schema.clone(), why));
        }
    }
    None
}

/// Whether defaults are what their own schema asks for.
fn defaults(schema: &Value, node: &Node, path: Path<'_>, root: bool, errors: &mut Vec<FieldError>) {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let at = path.child("default");
        let mut pruned = default.clone();
        prune::value(Some(node), &mut pruned);
        if pruned != *default {
            let why = "must not have unknown fields";
            errors.push(FieldError::invalid(at, default.clone(), why));
        }
        let before = errors.len();
        if root || node.embedded {
            embedded::check_one(at, default, errors);
        }
        if errors.len() == before {
            Check::new(errors, Some(at)).value(node, Name::Root, default, None);
        }
    }
    if let (Some(items), Some(node)) = (schema.get("items"), &node.items) {
        defaults(items, node, path.child("items"), false, errors);
    }
    let properties = path.child("properties");
    for (name, inner) in map(schema, "properties") {
        if let Some(node) = node.properties.get(name) {
            defaults(inner, node, properties.key(name), false, errors);
        }
    }
}

/// What the server evaluates and this one does not.
fn unevaluated(schema: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let mut refuse = |key: &str, what: &str| {
        let why = format!("kube-sim does not evaluate {what}");
        errors.push(FieldError::forbidden(path.child(key), why));
    };
    let is_set = |key: &str| match schema.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if is_set("x-kubernetes-validations") {
        refuse("x-kubernetes-validations", "CEL rules");
    }
    let idiom = Idiom::of(schema)
        .filter(|_| schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)));
    for key in ["allOf", "anyOf", "oneOf", "not"] {
        let is_idiom = match idiom {
            Some(Idiom::AnyOf) => key == "anyOf",
            Some(Idiom::AllOf) => key == "allOf" && schema["allOf"] == only_idiom(),
            None => false,
        };
        if is_set(key) && !is_idiom {
            refuse(key, "value validations that are combined");
        }
    }
    if let Some(name) = schema.get("format").and_then(Value::as_str)
        && Format::of(name, Kind::of(schema)).is_err()
    {
        refuse("format", "this format");
    }
    if let Some(text) = schema.get("pattern").and_then(Value::as_str)
        && pattern::compile(text).is_err_and(|error| error == PatternError::Unsupported)
    {
        refuse("pattern", "this pattern");
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        unevaluated(items, path.child("items"), errors);
    }
    let additional = schema.get("additionalProperties");
    if let Some(inner) = additional.filter(|inner| inner.is_object()) {
        unevaluated(inner, path.child("additionalProperties"), errors);
    }
    let properties = path.child("properties");
    for (name, inner) in map(schema, "properties") {
        unevaluated(inner, properties.key(name), errors);
    }
}

/// "An integer or a string", said with `allOf` and nothing else.
fn only_idiom() -> Value {
    serde_json::json!([{"anyOf": [{"type": "integer"}, {"type": "string"}]}])
}

/// The schemas right below this one: of items, properties and additional properties.
fn inner_schemas(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let items = schema.get("items").map(|items| ("items", items));
    let additional = schema.get("additionalProperties");
    let additional = additional.map(|inner| ("additionalProperties", inner));
    items
        .into_iter()
        .chain(additional)
        .filter(|(_, inner)| inner.is_object())
        .chain(map(schema, "properties"))
}

fn map<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let fields: Option<&Map<String, Value>> = schema.get(key).and_then(Value::as_object);
    fields
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}
