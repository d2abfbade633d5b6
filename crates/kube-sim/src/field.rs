//! What is wrong with one field, in the words of `k8s.io/apimachinery/pkg/util/validation/field`.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::json;

/// Where a field is; it is only spelled out once something is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// Nowhere, for what is not part of an object.
    Nil,
    /// A path that starts here.
    Root(&'a str),
    /// `parent.name`.
    Field(&'a Path<'a>, &'a str),
    /// `parent[key]`.
    Key(&'a Path<'a>, &'a str),
    /// `parent[0]`.
    Index(&'a Path<'a>, usize),
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    path: String,
    kind: FieldErrorKind,
    /// As it is shown, which not every error does.
    value: Option<String>,
    detail: String,
}

/// In which way a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldErrorKind {
    /// A value that must be given is missing.
    Required,
    /// The value is malformed.
    Invalid,
    /// The value is none of those that are allowed.
    NotSupported,
    /// The value may not be given here, or not be changed.
    Forbidden,
    /// The value is there twice.
    Duplicate,
    /// The value is too long.
    TooLong,
    /// There are too many values.
    TooMany,
    /// The value is of another type.
    TypeInvalid,
}

impl<'a> Path<'a> {
    pub(crate) fn child(&'a self, name: &'a str) -> Path<'a> {
        match self {
            Self::Nil => Path::Root(name),
            _ => Path::Field(self, name),
        }
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Root(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl FieldError {
    pub(crate) fn new(
        kind: FieldErrorKind,
        path: impl fmt::Display,
        value: Option<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_string(),
            kind,
            value,
            detail: detail.into(),
        }
    }

    pub(crate) fn required(path: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, path, None, detail)
    }

    pub(crate) fn invalid(
        path: impl fmt::Display,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::invalid_shown(path, show(&value.into()), detail)
    }

    /// As [`Self::invalid`], of a value whose fields the server shows in an order of its own.
    pub(crate) fn invalid_shown(
        path: impl fmt::Display,
        value: String,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(FieldErrorKind::Invalid, path, Some(value), detail)
    }

    pub(crate) fn type_invalid(
        path: impl fmt::Display,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(
            FieldErrorKind::TypeInvalid,
            path,
            Some(show(&value.into())),
            detail,
        )
    }

    pub(crate) fn not_supported(
        path: impl fmt::Display,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let quoted: Vec<String> = supported.iter().map(|value| quote(value)).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self::new(
            FieldErrorKind::NotSupported,
            path,
            Some(show(&value.into())),
            detail,
        )
    }

    pub(crate) fn forbidden(path: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, path, None, detail)
    }

    pub(crate) fn duplicate(path: impl fmt::Display, value: impl Into<Value>) -> Self {
        Self::new(
            FieldErrorKind::Duplicate,
            path,
            Some(show(&value.into())),
            "",
        )
    }

    pub(crate) fn too_long(path: impl fmt::Display, max: usize) -> Self {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {max} {bytes}");
        Self::new(FieldErrorKind::TooLong, path, None, detail)
    }

    pub(crate) fn too_many(path: impl fmt::Display, count: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {items}");
        Self::new(
            FieldErrorKind::TooMany,
            path,
            Some(count.to_string()),
            detail,
        )
    }

    /// The entry of `details.causes` of a `Status`.
    pub(crate) fn cause(&self) -> Value {
        json!({
            "reason": self.kind.reason(),
            "message": self.body(),
            "field": self.path,
        })
    }

    /// All of them in one message: each text once, in brackets if there is more than one.
    pub(crate) fn summary(errors: &[Self]) -> String {
        let mut seen = BTreeSet::new();
        let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.retain(|text| seen.insert(text.clone()));
        match texts.len() {
            1 => texts.remove(0),
            _ => format!("[{}]", texts.join(", ")),
        }
    }

    /// Everything but the path.
    fn body(&self) -> String {
        let mut text = self.kind.title().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// A value as an error shows it: scalars as Go prints them, everything else as Go's JSON.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float_text(float),
            _ => number.to_string(),
        },
        _ => go_json(value),
    }
}

/// A float as Go's `%v` prints it: the shortest digits, with an exponent when it is small or big.
pub(crate) fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format!("{float}");
    }
    let (digits, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// JSON as Go writes it: characters that mean something in HTML are escaped.
pub(crate) fn go_json(value: &Value) -> String {
    let mut text = String::new();
    for c in json::text(value).chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            _ => text.push(c),
        }
    }
    text
}

/// A value as Go's `%v` prints what it reads from JSON: `map[a:1 b:[x y]]`.
pub(crate) fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(key, value)| format!("{key}:{}", go_value(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Bool(_) | Value::Number(_) => show(value),
    }
}

/// Whether Go calls the character printable.
pub(crate) fn is_printable(c: char) -> bool {
    // After another one, so that marks that combine are taken for what they are.
    matches!(c, '"' | '\\' | '\'') || format!("a{c}").escape_debug().count() == 2
}

/// A string in quotes as Go's `%q` writes it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => quoted.write_str("\\\""),
            '\\' => quoted.write_str("\\\\"),
            '\x07' => quoted.write_str("\\a"),
            '\x08' => quoted.write_str("\\b"),
            '\x0c' => quoted.write_str("\\f"),
            '\n' => quoted.write_str("\\n"),
            '\r' => quoted.write_str("\\r"),
            '\t' => quoted.write_str("\\t"),
            '\x0b' => quoted.write_str("\\v"),
            '\'' => quoted.write_char(c),
            _ if c.is_ascii_control() => write!(quoted, "\\x{:02x}", u32::from(c)),
            _ if is_printable(c) => quoted.write_char(c),
            _ if u32::from(c) < 0x1_0000 => write!(quoted, "\\u{:04x}", u32::from(c)),
            _ => write!(quoted, "\\U{:08x}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
