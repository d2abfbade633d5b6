//! Which form of an answer a client wants, and how objects take it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::ACCEPT};
use serde_json::{Value, json};

use crate::{registry::Served, status::Status, store::object::Stored};

/// A form in which objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects themselves.
    Object,
    /// Their metadata alone.
    Metadata,
}

/// What is asked for: one object (also each object of a watch), or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
}

const META_VERSION: &str = "meta.k8s.io/v1";

impl Form {
    /// Reads the `Accept` header; the first clause that can be served wins.
    pub(super) fn of(headers: &HeaderMap, shape: Shape) -> Result<Self, Status> {
        let mut clauses = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|clause| !clause.is_empty())
            .peekable();
        if clauses.peek().is_none() {
            return Ok(Self::Object);
        }
        clauses
            .find_map(|clause| Self::of_clause(clause, shape))
            .ok_or_else(not_acceptable)
    }

    fn of_clause(clause: &str, shape: Shape) -> Option<Self> {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next()?;
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let mut kind = None;
        let mut meta = [None, None];
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("as", value)) => kind = Some(value),
                Some(("g", value)) => meta[0] = Some(value),
                Some(("v", value)) => meta[1] = Some(value),
                _ => {}
            }
        }
        let Some(kind) = kind else {
            return Some(Self::Object);
        };
        if meta != [Some("meta.k8s.io"), Some("v1")] {
            return None;
        }
        match (kind, shape) {
            ("PartialObjectMetadata", Shape::One) | ("PartialObjectMetadataList", Shape::List) => {
                Some(Self::Metadata)
            }
            _ => None,
        }
    }

    /// One object, with its type.
    pub(super) fn show(self, served: &Served, stored: &Stored) -> Bytes {
        match self {
            Self::Object if served.wrote(stored) => stored.bytes().clone(),
            Self::Object => Bytes::from(Value::Object(served.read(stored)).to_string()),
            Self::Metadata => {
                let mut bytes = partial_head();
                bytes.extend_from_slice(&stored.metadata());
                bytes.push(b'}');
                bytes.into()
            }
        }
    }

    /// One item of a list: without its type where the type of the list says it.
    pub(super) fn item(self, served: &Served, stored: &Stored, bytes: &mut Vec<u8>) {
        match self {
            Self::Object if served.is_custom() => bytes.extend(self.show(served, stored)),
            Self::Object if served.wrote(stored) => {
                bytes.push(b'{');
                bytes.extend_from_slice(&stored.tail());
            }
            Self::Object => {
                let mut object = served.read(stored);
                object.remove("apiVersion");
                object.remove("kind");
                bytes.extend(Value::Object(object).to_string().into_bytes());
            }
            Self::Metadata => bytes.extend(self.show(served, stored)),
        }
    }

    /// The kind and the version of a list of these.
    pub(super) fn list_type(self, served: &Served) -> (String, String) {
        match self {
            Self::Object => (
                served.resource.list_kind.clone(),
                served.resource.api_version(),
            ),
            Self::Metadata => (
                "PartialObjectMetadataList".to_owned(),
                META_VERSION.to_owned(),
            ),
        }
    }

    /// The object of a bookmark.
    pub(super) fn bookmark(self, served: &Served, revision: u64, initial_end: bool) -> Value {
        let (kind, version) = match self {
            Self::Object => (served.resource.kind.as_str(), served.resource.api_version()),
            Self::Metadata => ("PartialObjectMetadata", META_VERSION.to_owned()),
        };
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        json!({ "kind": kind, "apiVersion": version, "metadata": metadata })
    }
}

fn partial_head() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    bytes.extend_from_slice(META_VERSION.as_bytes());
    bytes.extend_from_slice(b"\",\"metadata\":");
    bytes
}

fn not_acceptable() -> Status {
    Status::new(
        StatusCode::NOT_ACCEPTABLE,
        "NotAcceptable",
        "only the following media types are accepted: application/json",
    )
}
