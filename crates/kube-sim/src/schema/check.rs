//! Whether a value is what a schema asks for.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::format::Format;
use super::{Additional, Bound, Idiom, Kind, ListType, Node};
use crate::field::{FieldError, Path, float_text, go_json, quote};

/// Where a value stands, from where its schema begins. Only spelled out once something is wrong.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    Root,
    Field(&'a Name<'a>, &'a str),
    /// An entry of a map; the server puts a dot in front of it even at the root.
    Entry(&'a Name<'a>, &'a str),
    Index(&'a Name<'a>, usize),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) | Self::Entry(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Collects what is wrong.
pub(super) struct Check<'e, 'p> {
    errors: &'e mut Vec<FieldError>,
    /// Where in the object the schema begins, unless at its root.
    prefix: Option<Path<'p>>,
}

impl<'e, 'p> Check<'e, 'p> {
    pub(super) fn new(errors: &'e mut Vec<FieldError>, prefix: Option<Path<'p>>) -> Self {
        Self { errors, prefix }
    }

    /// Checks a value; `name` is its path from where the schema begins. What is as it was is not
    /// complained of.
    pub(super) fn value(
        &mut self,
        node: &Node,
        name: Name<'_>,
        value: &Value,
        old: Option<&Value>,
    ) {
        let before = self.errors.len();
        self.kind(node, name, value);
        match value {
            Value::String(text) => self.string(node, name, text),
            Value::Number(number) => self.number(node, name, number),
            Value::Array(items) => self.items(node, name, items, old),
            _ => {}
        }
        self.one_of_values(node, name, value);
        if let Value::Object(fields) = value {
            self.fields(node, name, fields, old);
        }
        if self.errors.len() > before && old == Some(value) {
            self.errors.truncate(before);
        }
    }

    /// The path of an error about what has this name.
    fn at(&self, name: Name<'_>) -> String {
        let name = name.to_string();
        let name = name.strip_prefix('.').unwrap_or(&name);
        match (&self.prefix, name) {
            (None, "") => Path::Nil.to_string(),
            (None, name) => name.to_owned(),
            (Some(prefix), "") => prefix.to_string(),
            (Some(prefix), name) => format!("{prefix}.{name}"),
        }
    }

    fn invalid(&mut self, name: Name<'_>, value: impl Into<Value>, why: impl fmt::Display) {
        let why = format!("{name} in body {why}");
        self.errors
            .push(FieldError::invalid(self.at(name), value, why));
    }

    fn wrong_type(&mut self, name: Name<'_>, expected: &str, found: &str) {
        let why = format!(
            "{name} in body must be of type {expected}: {}",
            quote(found)
        );
        self.errors
            .push(FieldError::type_invalid(self.at(name), found, why));
    }

    /// What the server says without knowing where.
    fn nowhere(&mut self, why: String) {
        let at = self.at(Name::Root);
        self.errors.push(FieldError::invalid(at, "", why));
    }

    fn kind(&mut self, node: &Node, name: Name<'_>, value: &Value) {
        let Some(expected) = node.kind else { return };
        if value.is_null() {
            if !node.nullable {
                self.wrong_type(name, expected.name(), "null");
            }
            return;
        }
        let found = type_name(value);
        if expected.accepts(value) {
            return;
        }
        if let Some(format) = node.limits.format {
            // With a format, the server looks at that instead of the type.
            let is_numeric = matches!(expected, Kind::Integer | Kind::Number);
            match value {
                Value::String(_) | Value::Array(_) if !is_numeric => return,
                Value::String(_) | Value::Array(_) => {}
                Value::Number(number) => {
                    let found = if number.is_f64() { "float64" } else { "int64" };
                    return self.wrong_type(name, format.name(), found);
                }
                _ => return self.wrong_type(name, format.name(), ""),
            }
        }
        self.wrong_type(name, expected.name(), found);
        match node.idiom {
            None => {}
            Some(Idiom::AnyOf) => self.no_idiom(name, value),
            Some(Idiom::AllOf) => {
                self.no_idiom(name, value);
                let why = format!(
                    "{} must validate all the schemas (allOf). None validated",
                    quote(&name.to_string())
                );
                self.nowhere(why);
            }
        }
    }

    /// A value that is neither an integer nor a string, once more.
    fn no_idiom(&mut self, name: Name<'_>, value: &Value) {
        let why = format!(
            "{} must validate at least one schema (anyOf)",
            quote(&name.to_string())
        );
        self.nowhere(why);
        self.wrong_type(name, "integer", type_name(value));
        if value.is_number() {
            self.nowhere(out_of_range("Checked", name, "integer", None));
        }
    }

    fn string(&mut self, node: &Node, name: Name<'_>, text: &str) {
        let limits = &node.limits;
        let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(max) = limits.max_length.filter(|max| length() > *max) {
            let max = usize::try_from(max).unwrap_or_default();
            self.errors.push(FieldError::too_long(self.at(name), max));
        } else if let Some(min) = limits.min_length.filter(|min| length() < *min) {
            let why = format!("should be at least {min} chars long");
            self.invalid(name, text, why);
        } else if let Some((pattern, regex)) = &limits.pattern
            && !regex.is_match(text)
        {
            self.invalid(name, text, format!("should match '{pattern}'"));
        }
        if let Some(format) = limits.format.filter(|format| !format.matches(text)) {
            self.wrong_type(name, format.name(), text);
        }
    }

    fn number(&mut self, node: &Node, name: Name<'_>, number: &Number) {
        let limits = &node.limits;
        let integer = number.as_i64();
        let float = number.as_f64().unwrap_or_default();
        let out_of_range = |what: &str| {
            let kind = node.kind.map_or("", Kind::name);
            out_of_range(what, name, kind, limits.format)
        };
        if !fits(node, integer, float) {
            self.nowhere(out_of_range("Checked"));
        }
        let shown = || Value::Number(number.clone());
        if let Some(factor) = limits.multiple_of {
            // A factor that no value can have is complained of, and looked at nonetheless.
            let is_good = fits(node, whole(factor), factor);
            if factor > 0.0 && !is_good {
                self.nowhere(out_of_range("MultipleOf"));
            }
            // Of two integers, Go looks at the factor as one.
            let integer = integer.filter(|_| is_good);
            let factor = integer.map_or(factor, |_| factor.trunc());
            if factor <= 0.0 {
                self.nowhere(format!(
                    "factor MultipleOf declared for {name} must be positive: {}",
                    float_text(factor)
                ));
            } else if !is_multiple(integer, float, factor) {
                let why = format!("should be a multiple of {}", float_text(factor));
                self.invalid(name, shown(), why);
            }
        }
        for (bound, is_minimum) in [(limits.minimum, true), (limits.maximum, false)] {
            let Some(Bound { value, exclusive }) = bound else {
                continue;
            };
            // A bound that no value can have is complained of, and looked at nonetheless.
            let is_good = fits(node, whole(value), value);
            if !is_good {
                let side = if is_minimum { "Minimum" } else { "Maximum" };
                self.nowhere(out_of_range(&format!("{side} boundary")));
            }
            let (below, equal) = compare(integer.filter(|_| is_good), float, value);
            let outside = if is_minimum { below } else { !below && !equal };
            if outside || (exclusive && equal) {
                let than = if is_minimum {
                    "greater than"
                } else {
                    "less than"
                };
                let or_equal = if exclusive { "" } else { " or equal to" };
                let why = format!("should be {than}{or_equal} {}", float_text(value));
                self.invalid(name, shown(), why);
            }
        }
    }

    fn items(&mut self, node: &Node, name: Name<'_>, items: &[Value], old: Option<&Value>) {
        if let Some(inner) = &node.items {
            for (index, item) in items.iter().enumerate() {
                let old = counterpart(node, item, old);
                self.value(inner, Name::Index(&name, index), item, old);
            }
        }
        let count = items.len();
        if let Some(min) = node.limits.min_items.filter(|min| less(count, *min)) {
            self.invalid(name, count, format!("should have at least {min} items"));
        }
        if let Some(max) = node.limits.max_items.filter(|max| more(count, *max)) {
            let max = usize::try_from(max).unwrap_or_default();
            self.errors
                .push(FieldError::too_many(self.at(name), count, max));
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        name: Name<'_>,
        fields: &Map<String, Value>,
        old: Option<&Value>,
    ) {
        let count = fields.len();
        if let Some(min) = node.limits.min_properties.filter(|min| less(count, *min)) {
            self.invalid(
                name,
                count,
                format!("should have at least {min} properties"),
            );
        }
        if let Some(max) = node.limits.max_properties.filter(|max| more(count, *max)) {
            let max = usize::try_from(max).unwrap_or_default();
            self.errors
                .push(FieldError::too_many(self.at(name), count, max));
        }
        for (key, value) in fields {
            match (node.properties.get(key), &node.additional) {
                (Some(inner), _) => {
                    // The server cannot tell what the type of an object was before.
                    let is_type =
                        matches!(name, Name::Root) && matches!(key.as_str(), "kind" | "apiVersion");
                    let old = old.filter(|_| !is_type).and_then(|old| old.get(key));
                    self.value(inner, Name::Field(&name, key), value, old);
                }
                (None, Additional::Schema(inner)) => {
                    let old = old.and_then(|old| old.get(key));
                    self.value(inner, Name::Entry(&name, key), value, old);
                }
                (None, Additional::Allowed(false)) => {
                    let why = format!("{name}.{key} in body is a forbidden property");
                    let at = self.at(name);
                    self.errors.push(FieldError::invalid(at, key.as_str(), why));
                }
                (None, _) => {}
            }
        }
        for key in &node.limits.required {
            if !fields.contains_key(key) {
                let at = self.at(Name::Entry(&name, key));
                self.errors.push(FieldError::required(at, ""));
            }
        }
    }

    fn one_of_values(&mut self, node: &Node, name: Name<'_>, value: &Value) {
        let values = &node.limits.values;
        if values.is_empty() || values.contains(value) {
            return;
        }
        let shown: Vec<String> = values
            .iter()
            .map(|value| match value {
                Value::String(text) => text.clone(),
                other => go_json(other),
            })
            .collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let at = self.at(name);
        self.errors
            .push(FieldError::not_supported(at, value.clone(), &shown));
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::IntegerOrString => "integer,string",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64(),
            Self::IntegerOrString => value.is_i64() || value.is_string(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::String => value.is_string(),
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Which element of the old list this one was; only lists with keys can tell.
fn counterpart<'o>(node: &Node, item: &Value, old: Option<&'o Value>) -> Option<&'o Value> {
    let ListType::Map(keys) = &node.list else {
        return None;
    };
    let old = old?.as_array()?;
    old.iter()
        .find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
}

fn out_of_range(what: &str, name: Name<'_>, kind: &str, format: Option<Format>) -> String {
    let format = match format {
        Some(format) => format!("with format {}", format.name()),
        None => "(default format)".to_owned(),
    };
    format!("{what} value must be of type {kind} {format} in {name}")
}

/// Whether a number can be a value of this type and format.
#[allow(clippy::cast_possible_truncation)]
fn fits(node: &Node, integer: Option<i64>, float: f64) -> bool {
    match (node.kind, node.limits.format) {
        (Some(Kind::Integer), Some(Format::Int32)) => {
            integer.is_some_and(|integer| i32::try_from(integer).is_ok())
        }
        (Some(Kind::Integer), _) => integer.is_some(),
        (Some(Kind::Number), Some(Format::Float)) => (float as f32).is_finite(),
        _ => true,
    }
}

/// A float as an integer, if it is one.
#[allow(clippy::cast_possible_truncation)]
fn whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64)
}

/// Whether a number is below a bound, or equal to it. An integer is compared with what is left of
/// the bound as an integer.
#[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
fn compare(integer: Option<i64>, float: f64, bound: f64) -> (bool, bool) {
    match integer {
        Some(integer) => (integer < bound as i64, integer == bound as i64),
        None => (float < bound, float == bound),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp
)]
fn is_multiple(integer: Option<i64>, float: f64, factor: f64) -> bool {
    // What is larger is no integer of JSON.
    const MOST: f64 = 9_007_199_254_740_991.0;
    if let Some(integer) = integer {
        return integer % (factor as i64) == 0;
    }
    let quotient = if factor < 1.0 {
        1.0 / factor * float
    } else {
        float / factor
    };
    let whole = quotient.trunc();
    let difference = (quotient - whole).abs();
    quotient.abs() <= MOST
        && (quotient == whole || difference / (quotient.abs() + whole.abs()) < 1e-9)
}

fn less(count: usize, limit: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count < limit)
}

fn more(count: usize, limit: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count > limit)
}
