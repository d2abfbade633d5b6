//! One object as it is kept: its bytes, and the few facts that the server asks for all the time.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// A version of an object, serialised and never changed again.
#[derive(Debug)]
pub(crate) struct Stored {
    /// `namespace/name`, or the name alone of what is cluster-scoped: the order of keys is the
    /// order of lists.
    pub(crate) key: Arc<str>,
    pub(crate) uid: Arc<str>,
    /// 0 if this was never stored: the result of a dry run.
    pub(crate) revision: u64,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    pub(crate) finalizers: Box<[Box<str>]>,
    pub(crate) owners: Box<[Owner]>,
    /// Whether it has a `deletionTimestamp`.
    pub(crate) terminating: bool,
    /// Under which state of its definition it was written; see [`crate::registry::Served`].
    pub(crate) epoch: u32,
    bytes: Bytes,
    /// Where the value of `metadata` begins and ends.
    metadata: (u32, u32),
}

/// An owner reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) api_version: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    /// `blockOwnerDeletion`.
    pub(crate) blocks: bool,
}

impl Stored {
    /// Serialises an object; `head` is what [`head`] makes of its type.
    pub(crate) fn new(key: Arc<str>, head: &str, epoch: u32, object: &Object) -> Self {
        let none = Object::new();
        let metadata = object
            .get("metadata")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(b"\"metadata\":");
        let start = bytes.len();
        json::write(&mut bytes, metadata);
        let end = bytes.len();
        for (field, value) in object {
            if matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            bytes.push(b',');
            json::write(&mut bytes, field);
            bytes.push(b':');
            json::write(&mut bytes, value);
        }
        bytes.push(b'}');
        Self {
            key,
            uid: text(metadata, "uid").into(),
            revision: text(metadata, "resourceVersion").parse().unwrap_or(0),
            labels: labels(metadata),
            finalizers: finalizers(metadata),
            owners: owners(metadata),
            terminating: metadata.contains_key("deletionTimestamp"),
            epoch,
            bytes: bytes.into(),
            metadata: (offset(start), offset(end)),
        }
    }

    /// The namespace, if the object is in one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.key.split_once('/').map(|(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        match self.key.split_once('/') {
            Some((_, name)) => name,
            None => &self.key,
        }
    }

    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|held| **held == *finalizer)
    }

    /// The whole object as it was written.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The object from its `metadata` key on, with what comes after it.
    pub(crate) fn tail(&self) -> Bytes {
        let start = self.metadata.0 as usize - b"\"metadata\":".len();
        self.bytes.slice(start..)
    }

    /// The value of `metadata`.
    pub(crate) fn metadata(&self) -> Bytes {
        self.bytes.slice(self.metadata_range())
    }

    pub(crate) fn object(&self) -> Object {
        match json::stored(&self.bytes) {
            Some(Value::Object(object)) => object,
            _ => unreachable!("what was written can be read, and is an object"),
        }
    }

    /// The same object as if it had been written at another revision, as the last event about an
    /// object shows it.
    pub(crate) fn at_revision(&self, revision: u64) -> Self {
        let range = self.revision_range();
        let mut bytes = Vec::with_capacity(self.bytes.len() + 4);
        bytes.extend_from_slice(&self.bytes[..range.start]);
        bytes.extend_from_slice(revision.to_string().as_bytes());
        bytes.extend_from_slice(&self.bytes[range.end..]);
        let grown = bytes.len() - self.bytes.len().min(bytes.len());
        let shrunk = self.bytes.len() - self.bytes.len().min(bytes.len());
        Self {
            key: Arc::clone(&self.key),
            uid: Arc::clone(&self.uid),
            revision,
            labels: self.labels.clone(),
            finalizers: self.finalizers.clone(),
            owners: self.owners.clone(),
            terminating: self.terminating,
            epoch: self.epoch,
            bytes: bytes.into(),
            metadata: (
                self.metadata.0,
                self.metadata.1 + offset(grown) - offset(shrunk),
            ),
        }
    }

    fn metadata_range(&self) -> Range<usize> {
        self.metadata.0 as usize..self.metadata.1 as usize
    }

    /// Where the digits of `resourceVersion` are; an empty range at the start of `metadata`'s
    /// value if there is none.
    fn revision_range(&self) -> Range<usize> {
        // Behind it come only fields whose content cannot look like it.
        const KEY: &[u8] = b"\"resourceVersion\":\"";
        let range = self.metadata_range();
        let metadata = &self.bytes[range.clone()];
        let Some(at) = metadata.windows(KEY.len()).rposition(|part| part == KEY) else {
            return range.start..range.start;
        };
        let start = range.start + at + KEY.len();
        let digits = self.bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        start..start + digits
    }
}

/// How every object of a type begins.
pub(crate) fn head(api_version: &str, kind: &str) -> String {
    format!(
        "{{\"apiVersion\":{},\"kind\":{},",
        Value::from(api_version),
        Value::from(kind)
    )
}

/// The key of an object.
pub(crate) fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// A text in an object; empty if it is missing.
pub(crate) fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or("")
}

/// The finalizers in a metadata object.
pub(crate) fn finalizers(metadata: &Object) -> Box<[Box<str>]> {
    let listed = metadata.get("finalizers").and_then(Value::as_array);
    let listed = listed.into_iter().flatten();
    listed.filter_map(Value::as_str).map(Box::from).collect()
}

fn labels(metadata: &Object) -> Box<[(Box<str>, Box<str>)]> {
    let labels = metadata.get("labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((Box::from(key.as_str()), Box::from(value.as_str()?))))
        .collect()
}

fn owners(metadata: &Object) -> Box<[Owner]> {
    let listed = metadata.get("ownerReferences").and_then(Value::as_array);
    let listed = listed.into_iter().flatten();
    listed
        .filter_map(Value::as_object)
        .map(|reference| Owner {
            api_version: text(reference, "apiVersion").into(),
            kind: text(reference, "kind").into(),
            name: text(reference, "name").into(),
            uid: text(reference, "uid").into(),
            blocks: reference
                .get("blockOwnerDeletion")
                .is_some_and(|value| *value == Value::Bool(true)),
        })
        .collect()
}

/// Objects are far smaller than 4 GiB: requests are limited to 3 MiB.
fn offset(position: usize) -> u32 {
    u32::try_from(position).expect("objects are smaller than 4 GiB")
}
