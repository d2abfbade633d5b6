//! JSON as the server reads it: numbers as Go keeps them, fields that occur twice, and what Go says
//! of text that is no JSON.

use std::{
    fmt::{self, Write as _},
    io,
};

use serde::{
    Serialize,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, ser::Formatter};

mod syntax;

/// How deep objects and lists may be nested to be read; a limit of `serde_json`.
pub(crate) const DEEPEST: usize = 127;

/// The most faults of one kind that are remembered of a document; Go's decoder stops there, too.
pub(crate) const MOST_FAULTS: usize = 100;

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) value: Value,
    /// The paths of fields that occur twice in one object, the last of which counts; the first
    /// [`MOST_FAULTS`] of them.
    pub(crate) duplicates: Vec<String>,
}

/// Reads one document.
///
/// # Errors
///
/// The text of Go's `encoding/json`, where it finds fault too.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, String> {
    let mut seed = Reader::default();
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let read = Node(&mut seed).deserialize(&mut source);
    match read.and_then(|value| source.end().map(|()| value)) {
        Ok(value) => Ok(Document {
            value,
            duplicates: seed.duplicates,
        }),
        Err(error) => Err(syntax::error(bytes).unwrap_or_else(|| error.to_string())),
    }
}

/// Reads JSON as it is written.
///
/// `serde_json`'s own `Value` takes an object whose first key is one of its private names for
/// something else than an object, and anybody may store such a key.
pub(crate) fn read(bytes: &[u8]) -> Option<Value> {
    quietly(bytes, true)
}

/// Reads what [`write`] has written; numbers are what they are to the server.
pub(crate) fn stored(bytes: &[u8]) -> Option<Value> {
    quietly(bytes, false)
}

fn quietly(bytes: &[u8], keeps_numbers: bool) -> Option<Value> {
    let mut seed = Reader {
        is_quiet: true,
        keeps_numbers,
        ..Reader::default()
    };
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = Node(&mut seed).deserialize(&mut source).ok()?;
    source.end().ok().map(|()| value)
}

/// Writes JSON into memory, with floats as Go writes them: in digits, unless there were very many.
pub(crate) fn write(memory: impl io::Write, value: &(impl Serialize + ?Sized)) {
    let mut serializer = serde_json::Serializer::with_formatter(memory, GoNumbers);
    let written = value.serialize(&mut serializer);
    written.expect("JSON values are serialised into memory");
}

/// What [`write`] writes.
pub(crate) fn text(value: &Value) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes, value);
    String::from_utf8(bytes).expect("JSON is text")
}

struct GoNumbers;

impl Formatter for GoNumbers {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if value == 0.0 || (1e-6..1e21).contains(&size) {
            return write!(writer, "{value}");
        }
        let shortest = format!("{value:e}");
        let sign = if size < 1.0 { "e" } else { "e+" };
        writer.write_all(shortest.replace('e', sign).as_bytes())
    }
}

/// How deep objects and lists are nested.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// `object`, `array`, `string`, `number`, `bool`, `null`: what Go calls a value that it did not
/// expect.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What is wrong with a value that is to say of which kind and version it is.
pub(crate) fn untyped(value: &Value) -> Option<String> {
    const WHOLE: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind \
                         string \"json:\\\"kind,omitempty\\\"\" }";
    let why = match value {
        Value::Object(fields) => {
            let wrong = ["apiVersion", "kind"].into_iter().find_map(|key| {
                let value = fields.get(key)?;
                let fits = value.is_string() || value.is_null();
                (!fits)
                    .then(|| format!("{} into Go struct field .{key} of type string", kind(value)))
            });
            wrong?
        }
        Value::Null => return None,
        other => format!("{} into Go value of type {WHOLE}", kind(other)),
    };
    Some(format!(
        "couldn't get version/kind; json parse error: json: cannot unmarshal {why}"
    ))
}

/// Where the reader is, and what it came across.
#[derive(Default)]
struct Reader {
    /// Whether nobody will ask for duplicates.
    is_quiet: bool,
    /// Whether numbers stay as they are.
    keeps_numbers: bool,
    path: String,
    duplicates: Vec<String>,
    /// How long all paths are that were looked up among them.
    compared: usize,
}

/// So many bytes of paths are enough: a long one is as long for each field below it.
const MOST_COMPARED: usize = 1024 * 1024;

impl Reader {
    fn found_twice(&mut self) {
        self.compared += self.path.len();
        let is_enough = self.duplicates.len() == MOST_FAULTS || self.compared > MOST_COMPARED;
        if !is_enough && !self.duplicates.contains(&self.path) {
            self.duplicates.push(self.path.clone());
        }
    }
}

/// One value that is about to be read.
struct Node<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    /// What does not fit into an `int64` is a float to the server.
    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) if self.0.keeps_numbers => Ok(value.into()),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    /// To the server, too, a float that is whole is an integer, as long as it is exact.
    #[allow(clippy::cast_possible_truncation)]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        const EXACT: f64 = 9_007_199_254_740_991.0;
        if value.fract() == 0.0 && value.abs() <= EXACT && !self.0.keeps_numbers {
            return Ok((value as i64).into());
        }
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let length = self.0.path.len();
        let mut list = Vec::new();
        loop {
            if !self.0.is_quiet {
                let _ = write!(self.0.path, "[{}]", list.len());
            }
            let item = items.next_element_seed(Node(self.0))?;
            self.0.path.truncate(length);
            match item {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let length = self.0.path.len();
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.0.is_quiet {
                map.insert(key, entries.next_value_seed(Node(self.0))?);
                continue;
            }
            if length > 0 {
                self.0.path.push('.');
            }
            self.0.path.push_str(&key);
            let value = entries.next_value_seed(Node(self.0))?;
            if map.insert(key, value).is_some() {
                self.0.found_twice();
            }
            self.0.path.truncate(length);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests;
