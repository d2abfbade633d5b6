//! The shape of what the server knows by type: metadata, and the kinds that are built in.
//!
//! The server reads such objects into Go structs and writes them back. What comes of that is done
//! here to the JSON itself: unknown fields go, and are reported; fields that hold nothing go, if
//! their type says so; times come to UTC; a value of another type is refused in Go's words.

mod kinds;
mod time;

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use crate::{base64, json, status::Status};

pub(crate) use kinds::{
    CONFIG_MAP, DEFINITION, DELETE_OPTIONS, EVENT, EVENTS_EVENT, LEASE, NAMESPACE, SECRET,
};
pub(crate) use kinds::{METADATA, SERVICE_ACCOUNT};

/// The fields of a Go struct.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Its name in messages, without the package.
    name: &'static str,
    /// The package, which is shown where a whole struct is expected.
    package: &'static str,
    fields: &'static [Field],
}

/// A field: its JSON name, its type, and what becomes of it when it holds nothing.
#[derive(Debug)]
struct Field(&'static str, Type, Zero);

/// What becomes of a field that holds the zero value of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zero {
    /// It is left out.
    Omit,
    /// It is left out if it was absent or null: the field is a pointer.
    Absent,
    /// It is always there.
    Show,
}

#[derive(Debug)]
enum Type {
    Text,
    /// A string type of this name.
    Named(&'static str),
    Bool,
    Int32,
    Int64,
    Float,
    Bytes,
    Time,
    MicroTime,
    /// Values of one type under any key, and the name of the Go type.
    Map(&'static Type, &'static str),
    List(&'static Type, &'static str),
    Struct(&'static Struct),
    /// Any JSON at all.
    Any,
    /// A schema or a boolean.
    SchemaOrBool(&'static Struct),
    /// A schema or a list of them.
    SchemaOrList(&'static Struct),
}

/// Reads an object of a built-in kind: `apiVersion`, `kind`, and these fields.
///
/// Returns what a strict server refuses and a lenient one warns of, such as
/// `unknown field "spec.x"`.
///
/// # Errors
///
/// Go's words for a value of the wrong type.
pub(crate) fn read(shape: &'static Struct, object: &mut Value) -> Result<Vec<String>, String> {
    let mut reader = Reader::default();
    let Value::Object(fields) = object else {
        let found = json::kind(object);
        return Err(format!(
            "json: cannot unmarshal {found} into Go value of type {}.{}",
            shape.package, shape.name
        ));
    };
    let kind = fields.remove("kind");
    let api_version = fields.remove("apiVersion");
    reader.fields(shape, fields)?;
    for (key, value) in [("kind", kind), ("apiVersion", api_version)] {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    }
    Ok(reader.unknown)
}

/// Reads the metadata of an object of any other kind, which may stand at a path within another;
/// see [`read`].
pub(crate) fn read_metadata(object: &mut Value, path: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader::default();
    let Some(metadata) = object.get_mut("metadata") else {
        return Ok(Vec::new());
    };
    match metadata {
        Value::Null => *metadata = Value::Object(Map::new()),
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            reader.path = format!("{path}{dot}metadata");
            reader.fields(&METADATA, fields)?;
        }
        other => {
            let found = json::kind(other);
            return Err(format!(
                "json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"
            ));
        }
    }
    Ok(reader.unknown)
}

/// 400: a body that does not have the shape of its kind.
///
/// `kind` and `version` are those of the body, `expected` is the kind that is served.
pub(crate) fn refuse(kind: &str, version: &str, expected: &str, why: &str) -> Status {
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {expected}: {why}"
    ))
}

/// What a strict server says of the fields that it does not know.
pub(crate) fn strict_error(strict: &[String]) -> String {
    format!("strict decoding error: {}", strict.join(", "))
}

#[derive(Default)]
struct Reader {
    /// With indices and keys, as unknown fields are reported.
    path: String,
    /// Without them, as Go's `encoding/json` reports a mismatch.
    fields: Vec<&'static str>,
    /// The innermost struct.
    structure: &'static str,
    unknown: Vec<String>,
    /// Whether unknown fields go unnoticed here.
    quiet: bool,
}

impl Reader {
    fn fields(
        &mut self,
        shape: &'static Struct,
        object: &mut Map<String, Value>,
    ) -> Result<(), String> {
        let outer = std::mem::replace(&mut self.structure, shape.name);
        let length = self.path.len();
        let mut failure = None;
        object.retain(|key, value| {
            if failure.is_some() {
                return true;
            }
            let Some(field) = shape.fields.iter().find(|field| field.0 == key) else {
                if !self.quiet && self.unknown.len() < json::MOST_FAULTS {
                    let dot = if length > 0 { "." } else { "" };
                    let unknown = format!("unknown field \"{}{dot}{key}\"", self.path);
                    self.unknown.push(unknown);
                }
                return false;
            };
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(key);
            self.fields.push(field.0);
            let is_absent = value.is_null();
            failure = self.value(&field.1, value).err();
            self.fields.pop();
            self.path.truncate(length);
            match field.2 {
                Zero::Absent => !is_absent,
                Zero::Omit => !is_zero(&field.1, value),
                Zero::Show => true,
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        for field in shape.fields.iter().filter(|field| field.2 == Zero::Show) {
            if object.get(field.0).is_none_or(Value::is_null) {
                object.insert(field.0.to_owned(), field.1.zero());
            }
        }
        self.structure = outer;
        Ok(())
    }

    fn value(&mut self, expected: &'static Type, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        match (expected, &mut *value) {
            (Type::Text | Type::Named(_), Value::String(_))
            | (Type::Bool | Type::SchemaOrBool(_), Value::Bool(_))
            | (Type::Float, Value::Number(_))
            | (Type::Any, _) => Ok(()),
            (Type::Bytes, Value::String(text)) => {
                *text = normalise_base64(text)?;
                Ok(())
            }
            (Type::Bytes, Value::Array(items)) => {
                let bytes: Result<Vec<_>, _> = items.iter().map(|item| self.byte(item)).collect();
                *value = base64::standard(&bytes?).into();
                Ok(())
            }
            (Type::Time | Type::MicroTime, Value::String(text)) => {
                let is_micro = matches!(expected, Type::MicroTime);
                *value = time::normalise(text, is_micro)?.into();
                Ok(())
            }
            (Type::Int32, Value::Number(number)) => {
                let fits = number
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok());
                if fits {
                    Ok(())
                } else {
                    Err(self.bad_number(number, "int32"))
                }
            }
            (Type::Int64, Value::Number(number)) => {
                if number.is_i64() {
                    Ok(())
                } else {
                    Err(self.bad_number(number, "int64"))
                }
            }
            (Type::Map(inner, _), Value::Object(map)) => {
                let length = self.path.len();
                for (key, value) in map {
                    self.path.push('.');
                    self.path.push_str(key);
                    self.value(inner, value)?;
                    if value.is_null() {
                        *value = inner.zero();
                    }
                    self.path.truncate(length);
                }
                Ok(())
            }
            (Type::List(inner, _), Value::Array(items)) => self.items(inner, items),
            (Type::Struct(shape), Value::Object(fields)) => self.fields(shape, fields),
            (Type::SchemaOrBool(shape) | Type::SchemaOrList(shape), Value::Object(fields)) => {
                self.quietly(|reader| reader.fields(shape, fields))
            }
            (Type::SchemaOrList(shape), Value::Array(items)) => self.quietly(|reader| {
                items.iter_mut().try_for_each(|item| match item {
                    Value::Object(fields) => reader.fields(shape, fields),
                    _ => Ok(()),
                })
            }),
            (Type::SchemaOrBool(_), _) => Err("boolean or JSON schema expected".to_owned()),
            (_, found) => {
                let found = json::kind(found);
                Err(self.mismatch(found, &expected.go_name()))
            }
        }
    }

    fn items(&mut self, inner: &'static Type, items: &mut [Value]) -> Result<(), String> {
        let length = self.path.len();
        for (index, item) in items.iter_mut().enumerate() {
            let _ = write!(self.path, "[{index}]");
            self.value(inner, item)?;
            if item.is_null() {
                *item = inner.zero();
                self.value(inner, item)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    /// Go reads bytes from a list of numbers, too.
    fn byte(&self, item: &Value) -> Result<u8, String> {
        let fits = |number: &Number| number.as_u64().and_then(|byte| u8::try_from(byte).ok());
        match item {
            Value::Null => Ok(0),
            Value::Number(number) => fits(number).ok_or_else(|| self.bad_number(number, "uint8")),
            other => Err(self.mismatch(json::kind(other), "uint8")),
        }
    }

    fn quietly(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let before = std::mem::replace(&mut self.quiet, true);
        let outcome = read(self);
        self.quiet = before;
        outcome
    }

    fn bad_number(&self, number: &Number, go_type: &str) -> String {
        self.mismatch(&format!("number {number}"), go_type)
    }

    fn mismatch(&self, found: &str, go_type: &str) -> String {
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {go_type}",
            self.structure,
            self.fields.join(".")
        )
    }
}

impl Type {
    fn go_name(&self) -> String {
        match self {
            Self::Text | Self::Time | Self::MicroTime => "string".to_owned(),
            Self::Named(name) | Self::Map(_, name) | Self::List(_, name) => (*name).to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int32 => "int32".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Float => "float64".to_owned(),
            Self::Bytes => "[]uint8".to_owned(),
            Self::Struct(shape) | Self::SchemaOrBool(shape) | Self::SchemaOrList(shape) => {
                format!("{}.{}", shape.package, shape.name)
            }
            Self::Any => "v1.JSON".to_owned(),
        }
    }

    /// What Go writes for a value that nobody set.
    fn zero(&self) -> Value {
        match self {
            Self::Text | Self::Named(_) | Self::Bytes => "".into(),
            Self::Bool => false.into(),
            Self::Int32 | Self::Int64 | Self::Float => 0.into(),
            Self::Struct(shape) => {
                let shown = shape.fields.iter().filter(|field| field.2 == Zero::Show);
                let fields = shown.map(|field| (field.0.to_owned(), field.1.zero()));
                Value::Object(fields.collect())
            }
            _ => Value::Null,
        }
    }
}

fn is_zero(expected: &Type, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        // Only maps can hold nothing; a struct is something.
        Value::Object(map) => map.is_empty() && matches!(expected, Type::Map(..)),
    }
}

/// Bytes as the server writes them, or Go's words for text that is no base64.
fn normalise_base64(text: &str) -> Result<String, String> {
    match base64::from_standard(text) {
        Ok(bytes) => Ok(base64::standard(&bytes)),
        Err(at) => Err(format!("illegal base64 data at input byte {at}")),
    }
}

#[cfg(test)]
mod tests;
