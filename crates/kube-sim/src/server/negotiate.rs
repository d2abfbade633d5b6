//! Which form of an answer a client wants, and how objects take it.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::request::Request;
use crate::{
    document,
    registry::Served,
    status::Status,
    store::object::Stored,
    table::{self, IncludeObject, TableOptions},
};

/// A form in which objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects themselves.
    Object,
    /// Their metadata alone.
    Metadata,
    /// A row for each, as of a time.
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
    pub(super) fn of(
        request: &Request<'_>,
        served: &Served,
        shape: Shape,
        now: SystemTime,
    ) -> Result<Self, Status> {
        let form = document::negotiate(&request.parts.headers, |media, parameters| {
            if document::is_json(media) {
                Self::of_parameters(parameters, shape, now)
            } else {
                None
            }
        });
        let mut form = form.ok_or_else(|| not_acceptable(request, served, shape))?;
        if let Self::Table(options, _) = &mut form {
            options.include = IncludeObject::parse(request.query("includeObject"))?;
        }
        Ok(form)
    }

    fn of_parameters(parameters: &[(&str, &str)], shape: Shape, now: SystemTime) -> Option<Self> {
        let find = |name| parameters.iter().find(|(key, _)| *key == name);
        let Some((_, kind)) = find("as") else {
            return Some(Self::Object);
        };
        if find("g") != Some(&("g", "meta.k8s.io")) {
            return None;
        }
        let version = match find("v") {
            Some((_, "v1")) => "v1",
            Some((_, "v1beta1")) => "v1beta1",
            _ => return None,
        };
        match (*kind, shape) {
            ("Table", _) => Some(Self::Table(
                TableOptions {
                    version,
                    include: IncludeObject::default(),
                    headers: true,
                },
                now,
            )),
            ("PartialObjectMetadata", Shape::One) | ("PartialObjectMetadataList", Shape::List)
                if version == "v1" =>
            {
                Some(Self::Metadata)
            }
            _ => None,
        }
    }

    /// The form of the next event of a watch. Columns are only named once, ages are as of now.
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
                let table = table::table(&served.resource, [object], &metadata, now, options);
                table.to_string().into()
            }
        }
    }

    /// An object of which nothing is shown but its type; custom resources then have no metadata.
    pub(super) fn show_blank(self, served: &Served, blank: &Stored) -> Bytes {
        match self {
            Self::Object if served.is_custom() => {
                let (kind, version) = (&served.resource.kind, served.resource.api_version());
                let object = json!({ "kind": kind, "apiVersion": version });
                Bytes::from(object.to_string())
            }
            _ => self.show(served, blank),
        }
    }

    /// A list as it goes over the wire.
    pub(super) fn list(
        self,
        served: &Served,
        items: &[Arc<Stored>],
        mut metadata: Value,
    ) -> Vec<u8> {
        if let Self::Table(options, now) = self {
            let objects = items
                .iter()
                .map(|stored| Value::Object(served.read(stored)));
            let table = table::table(&served.resource, objects, &metadata, now, options);
            return table.to_string().into_bytes();
        }
        let (kind, version) = match self {
            Self::Metadata => ("PartialObjectMetadataList", META_VERSION.to_owned()),
            _ => (
                served.resource.list_kind.as_str(),
                served.resource.api_version(),
            ),
        };
        if self == Self::Object && served.is_custom() && metadata.get("continue").is_none() {
            // The server keeps this list as a map, in which the token is always set.
            metadata["continue"] = "".into();
        }
        let mut body = Vec::with_capacity(128 + items.len() * 512);
        let head = format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":",
            Value::from(kind),
            Value::from(version),
        );
        body.extend_from_slice(head.as_bytes());
        if items.is_empty() && self == Self::Metadata {
            // The server makes this list by appending to nothing.
            body.extend_from_slice(b"null}");
            return body;
        }
        body.push(b'[');
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
        let (kind, version) = match self {
            Self::Metadata => ("PartialObjectMetadata", META_VERSION.to_owned()),
            _ => (served.resource.kind.as_str(), served.resource.api_version()),
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

fn not_acceptable(request: &Request<'_>, served: &Served, shape: Shape) -> Status {
    let accept = request.parts.headers.get(http::header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    let refuse = |message| Status::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message);
    let kind = &served.resource.kind;
    match shape {
        Shape::List if accept.contains("as=PartialObjectMetadata;") => {
            let list = if served.is_custom() {
                "unstructured.UnstructuredList".to_owned()
            } else {
                format!("v1.{kind}List")
            };
            refuse(format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*{list})"
            ))
        }
        Shape::One if accept.contains("as=PartialObjectMetadataList;") => {
            if served.is_custom() {
                return Status::internal("content is not a list");
            }
            refuse(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list \
                 (*v1.{kind})"
            ))
        }
        _ if accept.contains("application/yaml") => refuse(
            "kube-sim does not serve application/yaml; it serves application/json".to_owned(),
        ),
        _ => refuse(
            "only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
                .to_owned(),
        ),
    }
}
