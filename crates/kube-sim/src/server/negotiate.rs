//! Which form of an answer a client wants, and how objects take it.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{StatusCode, header::ACCEPT};
use serde_json::{Value, json};

use super::request::Request;
use crate::{
    registry::Served,
    status::Status,
    store::object::Stored,
    table::{IncludeObject, TableOptions, table},
};

/// A form in which objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects themselves.
    Object,
    /// Their metadata alone.
    Metadata,
    /// As rows of a table, printed at a time.
    Table(TableOptions, SystemTime),
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
    pub(super) fn of(request: &Request<'_>, shape: Shape) -> Result<Self, Status> {
        let mut clauses = request
            .parts
            .headers
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
        let mut form = clauses
            .find_map(|clause| Self::of_clause(clause, shape, request.now))
            .ok_or_else(not_acceptable)?;
        if let Self::Table(options, _) = &mut form {
            options.include = IncludeObject::parse(request.query("includeObject"))?;
        }
        Ok(form)
    }

    /// The form of the next object in a watch. Only a first table has headers.
    pub(super) fn next(&mut self, now: SystemTime) -> Self {
        if let Self::Table(_, printed) = self {
            *printed = now;
        }
        let next = *self;
        if let Self::Table(options, _) = self {
            options.headers = false;
        }
        next
    }

    fn of_clause(clause: &str, shape: Shape, now: SystemTime) -> Option<Self> {
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
        let table = |version| {
            let options = TableOptions {
                version,
                include: IncludeObject::default(),
                headers: true,
            };
            Some(Self::Table(options, now))
        };
        match (kind, shape, meta) {
            ("PartialObjectMetadata", Shape::One, [Some("meta.k8s.io"), Some("v1")])
            | ("PartialObjectMetadataList", Shape::List, [Some("meta.k8s.io"), Some("v1")]) => {
                Some(Self::Metadata)
            }
            ("Table", _, [Some("meta.k8s.io"), Some("v1")]) => table("v1"),
            ("Table", _, [Some("meta.k8s.io"), Some("v1beta1")]) => table("v1beta1"),
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
            Self::Table(options, now) => {
                let object = Value::Object(served.read(stored));
                let metadata = json!({ "resourceVersion": stored.revision.to_string() });
                let table = table(&served.resource, [object], metadata, now, options);
                Bytes::from(table.to_string())
            }
        }
    }

    /// A list.
    pub(super) fn list(self, served: &Served, items: &[Arc<Stored>], metadata: Value) -> Vec<u8> {
        let (kind, version) = match self {
            Self::Table(options, now) => {
                let objects = items
                    .iter()
                    .map(|stored| Value::Object(served.read(stored)));
                let table = table(&served.resource, objects, metadata, now, options);
                return table.to_string().into_bytes();
            }
            Self::Object => (
                served.resource.list_kind.as_str(),
                served.resource.api_version(),
            ),
            Self::Metadata => ("PartialObjectMetadataList", META_VERSION.to_owned()),
        };
        let mut body = Vec::with_capacity(128 + items.len() * 512);
        body.extend_from_slice(
            format!(
                "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
                Value::from(kind),
                Value::from(version),
            )
            .as_bytes(),
        );
        for (index, stored) in items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            self.item(served, stored, &mut body);
        }
        body.extend_from_slice(b"]}");
        body
    }

    /// One item of a list: without its type where the type of the list says it.
    fn item(self, served: &Served, stored: &Stored, bytes: &mut Vec<u8>) {
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
            Self::Metadata | Self::Table(..) => bytes.extend(self.show(served, stored)),
        }
    }

    /// The object of a bookmark.
    pub(super) fn bookmark(self, served: &Served, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, version) = match self {
            Self::Object => (served.resource.kind.as_str(), served.resource.api_version()),
            Self::Metadata => ("PartialObjectMetadata", META_VERSION.to_owned()),
            Self::Table(options, now) => {
                let list = json!({ "resourceVersion": metadata["resourceVersion"] });
                let object = json!({ "metadata": metadata });
                return table(&served.resource, [object], list, now, options);
            }
        };
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
