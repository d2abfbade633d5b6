//! Reads the protobuf in which `kubectl create namespace`, `configmap`, `secret` and
//! `serviceaccount` send their objects; it has no other form of them.
//!
//! Of these kinds exactly what a client creates is understood. Other kinds, and fields that
//! nobody creates an object with, are refused. Answers are never protobuf.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{base64, status::Status};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What an object in protobuf begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The object in a request's body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Status> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| malformed("it does not begin as one"))?;
    let mut raw: &[u8] = &[];
    let mut object = Map::new();
    for field in Fields(envelope) {
        match field? {
            (1, Wire::Bytes(meta)) => object = message(meta, TYPE_META)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let is = |field: &str, value| object.get(field).is_some_and(|found| *found == value);
    let layout = KINDS
        .iter()
        .find(|(kind, _)| is("apiVersion", "v1") && is("kind", *kind));
    let (_, layout) = layout.ok_or_else(unsupported)?;
    object.append(&mut message(raw, layout)?);
    Ok(object.into())
}

/// The refusal of a form that is not understood.
pub(crate) fn unsupported() -> Status {
    Status::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml",
    )
}

fn malformed(why: &str) -> Status {
    Status::bad_request(format!(
        "provided data does not appear to be a protobuf message: {why}"
    ))
}

/// The fields of a message that are understood: number, name in JSON, and type.
type Layout = &'static [(u64, &'static str, Type)];

#[derive(Clone, Copy)]
enum Type {
    Text,
    Flag,
    Number,
    /// A time that is left empty by a client, because the server sets it.
    Unset,
    Message(Layout),
    /// Any number of a type.
    List(&'static Type),
    /// A map from texts.
    Map(&'static Type),
    /// Bytes, which JSON has as base64.
    Bytes,
}

const TYPE_META: Layout = &[(1, "apiVersion", Type::Text), (2, "kind", Type::Text)];

const KINDS: [(&str, Layout); 4] = [
    (
        "Namespace",
        &[
            (1, "metadata", Type::Message(OBJECT_META)),
            (
                2,
                "spec",
                Type::Message(&[(1, "finalizers", Type::List(&Type::Text))]),
            ),
            (3, "status", Type::Message(&[(1, "phase", Type::Text)])),
        ],
    ),
    (
        "ConfigMap",
        &[
            (1, "metadata", Type::Message(OBJECT_META)),
            (2, "data", Type::Map(&Type::Text)),
            (3, "binaryData", Type::Map(&Type::Bytes)),
            (4, "immutable", Type::Flag),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Type::Message(OBJECT_META)),
            (2, "data", Type::Map(&Type::Bytes)),
            (3, "type", Type::Text),
            (4, "stringData", Type::Map(&Type::Text)),
            (5, "immutable", Type::Flag),
        ],
    ),
    (
        "ServiceAccount",
        &[
            (1, "metadata", Type::Message(OBJECT_META)),
            (4, "automountServiceAccountToken", Type::Flag),
        ],
    ),
];

const OBJECT_META: Layout = &[
    (1, "name", Type::Text),
    (2, "generateName", Type::Text),
    (3, "namespace", Type::Text),
    (4, "selfLink", Type::Text),
    (5, "uid", Type::Text),
    (6, "resourceVersion", Type::Text),
    (7, "generation", Type::Number),
    (8, "creationTimestamp", Type::Unset),
    (11, "labels", Type::Map(&Type::Text)),
    (12, "annotations", Type::Map(&Type::Text)),
    (13, "ownerReferences", Type::List(&Type::Message(OWNER))),
    (14, "finalizers", Type::List(&Type::Text)),
];

const OWNER: Layout = &[
    (1, "kind", Type::Text),
    (3, "name", Type::Text),
    (4, "uid", Type::Text),
    (5, "apiVersion", Type::Text),
    (6, "controller", Type::Flag),
    (7, "blockOwnerDeletion", Type::Flag),
];

/// Reads a message. What is empty is left out, as JSON leaves it out.
fn message(bytes: &[u8], layout: Layout) -> Result<Map<String, Value>, Status> {
    let mut object = Map::new();
    for field in Fields(bytes) {
        let (number, wire) = field?;
        let known = layout.iter().find(|(known, ..)| *known == number);
        let (_, name, kind) = known.ok_or_else(unsupported)?;
        let name = (*name).to_owned();
        match kind {
            Type::List(item) => {
                let value = value(wire, **item)?;
                let list = object.entry(name).or_insert_with(|| json!([]));
                list.as_array_mut().expect("a list").push(value);
            }
            Type::Map(item) => {
                let (key, value) = entry(wire, **item)?;
                let map = object.entry(name).or_insert_with(|| json!({}));
                map[key] = value;
            }
            kind => {
                let value = value(wire, *kind)?;
                if !is_empty(&value) {
                    object.insert(name, value);
                }
            }
        }
    }
    Ok(object)
}

/// A flag is written only when it is set, to whatever.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        value => value.is_null(),
    }
}

fn value(wire: Wire<'_>, kind: Type) -> Result<Value, Status> {
    match (kind, wire) {
        (Type::Text, Wire::Bytes(bytes)) => std::str::from_utf8(bytes)
            .map(Value::from)
            .map_err(|_| malformed("a text is not UTF-8")),
        (Type::Flag, Wire::Number(number)) => Ok((number != 0).into()),
        (Type::Number, Wire::Number(number)) => Ok(number.into()),
        (Type::Bytes, Wire::Bytes(bytes)) => Ok(base64::standard(bytes).into()),
        (Type::Message(layout), Wire::Bytes(bytes)) => message(bytes, layout).map(Value::from),
        (Type::Unset, Wire::Bytes([])) => Ok(Value::Null),
        (Type::Unset, Wire::Bytes(_)) => Err(unsupported()),
        _ => Err(malformed("a field is of another type")),
    }
}

/// One entry of a map: a message with a key and a value, of which an empty one is left out.
fn entry(wire: Wire<'_>, kind: Type) -> Result<(String, Value), Status> {
    let Wire::Bytes(bytes) = wire else {
        return Err(malformed("a map has no entries"));
    };
    let (mut key, mut item) = (Value::from(""), Value::from(""));
    for field in Fields(bytes) {
        match field? {
            (1, wire) => key = value(wire, Type::Text)?,
            (2, wire) => item = value(wire, kind)?,
            _ => return Err(malformed("an entry has more than a key and a value")),
        }
    }
    Ok((key.as_str().unwrap_or_default().to_owned(), item))
}

/// A field as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or_else(|| malformed("unexpected EOF"));
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.number()?;
        let wire = match tag & 0b111 {
            0 => Wire::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            // Fractions and fixed numbers, which no object here has.
            _ => return None,
        };
        Some((tag >> 3, wire))
    }

    /// Seven bits in each byte, the lowest first; all but the last byte have the eighth bit set.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as `kubectl` showed them in its log.
    fn recorded(hex: &str) -> Vec<u8> {
        hex.split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    }

    fn check(hex: &str, expected: &Value) {
        assert_eq!(decode(&recorded(hex)).unwrap(), *expected);
    }

    #[test]
    fn what_kubectl_creates_is_read() {
        check(
            "6b 38 73 00 0a 0f 0a 02 76 31 12 09 4e 61 6d 65 73 70 61 63 65 12 1b 0a 13 0a 03 72 \
             65 63 12 00 1a 00 22 00 2a 00 32 00 38 00 42 00 12 00 1a 02 0a 00 1a 00 22 00",
            &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "rec" } }),
        );
        check(
            "6b 38 73 00 0a 0f 0a 02 76 31 12 09 43 6f 6e 66 69 67 4d 61 70 12 20 0a 16 0a 03 66 \
             6f 6f 12 00 1a 03 72 65 63 22 00 2a 00 32 00 38 00 42 00 12 06 0a 01 61 12 01 62 1a \
             00 22 00",
            &json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "foo", "namespace": "rec" }, "data": { "a": "b" },
            }),
        );
        check(
            "6b 38 73 00 0a 0c 0a 02 76 31 12 06 53 65 63 72 65 74 12 22 0a 16 0a 03 66 6f 6f 12 \
             00 1a 03 72 65 63 22 00 2a 00 32 00 38 00 42 00 12 06 0a 01 61 12 01 62 1a 00 1a 00 \
             22 00",
            &json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": "foo", "namespace": "rec" }, "data": { "a": "Yg==" },
            }),
        );
        check(
            "6b 38 73 00 0a 14 0a 02 76 31 12 0e 53 65 72 76 69 63 65 41 63 63 6f 75 6e 74 12 18 \
             0a 16 0a 03 66 6f 6f 12 00 1a 03 72 65 63 22 00 2a 00 32 00 38 00 42 00 1a 00 22 00",
            &json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": "foo", "namespace": "rec" },
            }),
        );
    }

    #[test]
    fn what_is_cut_or_not_protobuf_is_a_bad_request() {
        let whole = recorded(
            "6b 38 73 00 0a 0f 0a 02 76 31 12 09 4e 61 6d 65 73 70 61 63 65 12 07 0a 05 0a 03 72 \
             65 63",
        );
        assert!(decode(&whole).is_ok());
        let bad = [&b""[..], b"{}", &whole[..whole.len() - 1]];
        for body in bad {
            assert_eq!(decode(body).unwrap_err().code(), 400, "{body:?}");
        }
        // Without an end.
        let mut endless = whole;
        endless.extend([0xff; 20]);
        assert_eq!(decode(&endless).unwrap_err().code(), 400);
    }

    #[test]
    fn other_kinds_and_other_fields_are_refused() {
        let pod = "6b 38 73 00 0a 09 0a 02 76 31 12 03 50 6f 64 12 00";
        assert_eq!(decode(&recorded(pod)).unwrap_err().code(), 415);
        // Field 9 of the metadata: a deletion timestamp.
        let deleted = "6b 38 73 00 0a 0f 0a 02 76 31 12 09 4e 61 6d 65 73 70 61 63 65 12 04 0a \
                       02 4a 00";
        assert_eq!(decode(&recorded(deleted)).unwrap_err().code(), 415);
    }
}
