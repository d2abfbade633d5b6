//! From the JSON of a schema to what is evaluated.

use serde_json::Value;

use super::format::Format;
use super::{Additional, Bound, Idiom, Kind, Limits, ListType, Node, pattern, prune};

impl Node {
    /// Compiles a schema that has been accepted; what is malformed nonetheless says nothing.
    pub(super) fn compile(schema: &Value) -> Self {
        let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let kind = Kind::of(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = match schema.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
            Some(schema @ Value::Object(_)) => Additional::Schema(Box::new(Self::compile(schema))),
            _ => Additional::Unsaid,
        };
        let mut node = Self {
            kind,
            nullable: is("nullable"),
            preserves: is("x-kubernetes-preserve-unknown-fields"),
            embedded: is("x-kubernetes-embedded-resource"),
            default: None,
            properties: properties
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::compile(schema)))
                .collect(),
            additional,
            items: schema
                .get("items")
                .filter(|items| items.is_object())
                .map(|items| Box::new(Self::compile(items))),
            list: list_type(schema),
            idiom: Idiom::of(schema),
            limits: limits(schema, kind),
        };
        let default = schema.get("default").filter(|default| !default.is_null());
        node.default = default.cloned().map(|mut default| {
            prune::value(Some(&node), &mut default);
            default
        });
        node
    }
}

impl Kind {
    /// What a schema says that values are.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            return Some(Self::IntegerOrString);
        }
        Some(match schema.get("type")?.as_str()? {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        })
    }
}

impl Idiom {
    /// How a schema says once more that it is about an integer or a string.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let is_idiom = |schemas: Option<&Value>| {
            let expected = serde_json::json!([{"type": "integer"}, {"type": "string"}]);
            schemas == Some(&expected)
        };
        if is_idiom(schema.get("anyOf")) {
            return Some(Self::AnyOf);
        }
        let first = schema.get("allOf")?.get(0)?;
        is_idiom(first.get("anyOf")).then_some(Self::AllOf)
    }
}

fn list_type(schema: &Value) -> ListType {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(schema, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn limits(schema: &Value, kind: Option<Kind>) -> Limits {
    let integer = |key: &str| schema.get(key).and_then(Value::as_i64);
    let float = |key: &str| schema.get(key).and_then(Value::as_f64);
    let bound = |key: &str, exclusive: &str| {
        let exclusive = schema.get(exclusive) == Some(&Value::Bool(true));
        float(key).map(|value| Bound { value, exclusive })
    };
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    Limits {
        values: schema
            .get("enum")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        required: strings(schema, "required"),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: float("multipleOf"),
        min_length: integer("minLength"),
        max_length: integer("maxLength"),
        min_items: integer("minItems"),
        max_items: integer("maxItems"),
        min_properties: integer("minProperties"),
        max_properties: integer("maxProperties"),
        pattern: text("pattern")
            .and_then(|text| Some((text.to_owned(), pattern::compile(text).ok()?))),
        format: text("format").and_then(|name| Format::of(name, kind).ok()?),
    }
}

fn strings(schema: &Value, key: &str) -> Vec<String> {
    let items = schema.get(key).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}
