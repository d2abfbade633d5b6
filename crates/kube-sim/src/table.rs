//! Tables: what `kubectl get` asks for, with one row for each object.
//!
//! The cells are what the server prints, ages included. The columns of custom resources are as
//! their definitions say; those of built-in resources have no descriptions.

use std::{fmt, time::SystemTime};

use jiff::Timestamp;
use serde_json::{Number, Value, json};

use crate::{
    resource::{Origin, Resource},
    status::Status,
};

pub(crate) mod jsonpath;

use jsonpath::JsonPath;

/// How much of the objects goes along with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum IncludeObject {
    /// Their metadata, which is what clients get that do not ask.
    #[default]
    Metadata,
    /// All of them.
    Object,
    /// Nothing.
    None,
}

impl IncludeObject {
    /// Reads the parameter of a request, empty when there is none.
    pub(crate) fn parse(parameter: &str) -> Result<Self, Status> {
        match parameter {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            _ => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: \
                 \"{parameter}\": must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// What a client wants of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableOptions {
    /// `v1` or `v1beta1`.
    pub(crate) version: &'static str,
    pub(crate) include: IncludeObject,
    /// Whether the columns are named; in a watch, only the first table does so.
    pub(crate) headers: bool,
}

/// The table of these objects.
///
/// `metadata` is that of the list; of a single object, its `resourceVersion` alone.
pub(crate) fn table(
    resource: &Resource,
    objects: impl IntoIterator<Item = Value>,
    metadata: &Value,
    now: SystemTime,
    options: TableOptions,
) -> Value {
    let api_version = format!("meta.k8s.io/{}", options.version);
    let columns = columns(resource);
    let printed_at = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let cells: Vec<Value> = columns
                .iter()
                .map(|column| column.content.cell(&object, printed_at))
                .collect();
            json!({ "cells": cells, "object": included(object, options.include, &api_version) })
        })
        .collect();
    let definitions: Option<Vec<Value>> = options
        .headers
        .then(|| columns.iter().map(Column::definition).collect());
    json!({
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn included(mut object: Value, include: IncludeObject, api_version: &str) -> Value {
    match include {
        IncludeObject::Object => object,
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": api_version,
            "metadata": object["metadata"].take(),
        }),
    }
}

struct Column<'a> {
    name: &'a str,
    kind: &'a str,
    format: &'a str,
    description: String,
    /// Columns of priority 0 are always shown, the others on demand.
    priority: i64,
    content: Content<'a>,
}

/// Where the cells of a column come from.
enum Content<'a> {
    /// A function of the object and the time.
    Print(fn(&Value, Timestamp) -> Value),
    /// What stands at a path, shown as of a type.
    Path(JsonPath, &'a str),
    /// A definition that was accepted has no such path.
    Unreadable,
}

impl Column<'_> {
    fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }
}

impl Content<'_> {
    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match self {
            Self::Print(print) => print(object, now),
            Self::Unreadable => Value::Null,
            Self::Path(path, kind) => {
                let found = path.find(object).unwrap_or_default();
                found
                    .first()
                    .map_or(Value::Null, |value| custom_cell(value, kind, now))
            }
        }
    }
}

fn columns(resource: &Resource) -> Vec<Column<'_>> {
    let mut columns = match (&resource.origin, resource.plural.as_str()) {
        (Origin::BuiltIn, "events") => return event_columns(),
        (Origin::BuiltIn, "customresourcedefinitions") => {
            return vec![
                name(0),
                Column {
                    kind: "date",
                    ..built_in("Created At", 0, |object, _| {
                        object["metadata"]["creationTimestamp"].clone()
                    })
                },
            ];
        }
        _ => vec![name(0)],
    };
    match (&resource.origin, resource.plural.as_str()) {
        (Origin::BuiltIn, plural) => {
            match plural {
                "namespaces" => columns.push(built_in("Status", 0, |object, _| {
                    text(&object["status"]["phase"]).into()
                })),
                "configmaps" => columns.push(built_in("Data", 0, |object, _| {
                    (length(&object["data"]) + length(&object["binaryData"])).into()
                })),
                "secrets" => {
                    columns.push(built_in("Type", 0, |object, _| {
                        text(&object["type"]).into()
                    }));
                    columns.push(built_in("Data", 0, |object, _| {
                        length(&object["data"]).into()
                    }));
                }
                "leases" => columns.push(built_in("Holder", 0, |object, _| {
                    text(&object["spec"]["holderIdentity"]).into()
                })),
                _ => {}
            }
            columns.push(age());
        }
        (Origin::Definition { .. }, _) if resource.columns.is_empty() => columns.push(Column {
            kind: "date",
            ..age()
        }),
        (Origin::Definition { .. }, _) => {
            columns.extend(resource.columns.iter().map(custom_column));
        }
    }
    columns
}

fn name(priority: i64) -> Column<'static> {
    Column {
        format: "name",
        ..built_in("Name", priority, |object, _| {
            text(&object["metadata"]["name"]).into()
        })
    }
}

fn age() -> Column<'static> {
    built_in("Age", 0, |object, now| {
        since(&object["metadata"]["creationTimestamp"], now).into()
    })
}

fn built_in(
    name: &'static str,
    priority: i64,
    print: fn(&Value, Timestamp) -> Value,
) -> Column<'static> {
    Column {
        name,
        kind: "string",
        format: "",
        description: String::new(),
        priority,
        content: Content::Print(print),
    }
}

/// The columns of events, which have two forms on the wire: those of the core group, and those of
/// their own group under other names.
fn event_columns() -> Vec<Column<'static>> {
    vec![
        built_in("Last Seen", 0, |event, now| last_seen(event, now).into()),
        built_in("Type", 0, |event, _| text(&event["type"]).into()),
        built_in("Reason", 0, |event, _| text(&event["reason"]).into()),
        built_in("Object", 0, |event, _| {
            let object = either(event, "involvedObject", "regarding");
            let kind = text(&object["kind"]).to_lowercase();
            match text(&object["name"]) {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }),
        built_in("Subobject", 1, |event, _| {
            let object = either(event, "involvedObject", "regarding");
            text(&object["fieldPath"]).into()
        }),
        built_in("Source", 1, |event, _| {
            let source = either(event, "source", "deprecatedSource");
            let first = |one: &'static str, other: &'static str| match text(&source[one]) {
                "" => text(&event[other]),
                found => found,
            };
            let component = match first("component", "reportingComponent") {
                "" => text(&event["reportingController"]),
                found => found,
            };
            match first("host", "reportingInstance") {
                "" => component.into(),
                instance => format!("{component}, {instance}").into(),
            }
        }),
        built_in("Message", 0, |event, _| {
            text(either(event, "message", "note")).trim().into()
        }),
        built_in("First Seen", 1, |event, now| first_seen(event, now).into()),
        built_in("Count", 1, |event, _| {
            let series = &event["series"]["count"];
            let count = either(event, "count", "deprecatedCount");
            let count = series.as_i64().or(count.as_i64()).unwrap_or_default();
            // One that never was repeated may not have been counted.
            if series.is_null() {
                count.max(1)
            } else {
                count
            }
            .into()
        }),
        name(1),
    ]
}

fn first_seen(event: &Value, now: Timestamp) -> String {
    match either(event, "firstTimestamp", "deprecatedFirstTimestamp") {
        Value::Null => since(&event["eventTime"], now),
        time => since(time, now),
    }
}

fn last_seen(event: &Value, now: Timestamp) -> String {
    if !event["series"].is_null() {
        return since(&event["series"]["lastObservedTime"], now);
    }
    match either(event, "lastTimestamp", "deprecatedLastTimestamp") {
        Value::Null => first_seen(event, now),
        time => since(time, now),
    }
}

/// The field that is there.
fn either<'a>(object: &'a Value, one: &str, other: &str) -> &'a Value {
    match &object[one] {
        Value::Null => &object[other],
        found => found,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn length(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn custom_column(definition: &Value) -> Column<'_> {
    let path = text(&definition["jsonPath"]);
    let description = match text(&definition["description"]) {
        "" => format!("Custom resource definition column (in JSONPath format): {path}"),
        description => description.to_owned(),
    };
    let kind = text(&definition["type"]);
    Column {
        name: text(&definition["name"]),
        kind,
        format: text(&definition["format"]),
        description,
        priority: definition["priority"].as_i64().unwrap_or_default(),
        content: match JsonPath::parse(path) {
            Some(path) => Content::Path(path, kind),
            None => Content::Unreadable,
        },
    }
}

/// A value as a cell of the column's type; nothing when it is of another one.
fn custom_cell(value: &Value, kind: &str, now: Timestamp) -> Value {
    match (kind, value) {
        ("string", _) => printed(value).into(),
        ("integer", Value::Number(number)) => integer(number),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(time)) if time.is_empty() => UNKNOWN.into(),
        ("date", Value::String(_)) => since(value, now).into(),
        _ => Value::Null,
    }
}

/// A fraction without what is behind the point.
fn integer(number: &Number) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "this is what the server does, and it is only shown"
    )]
    let truncated = || number.as_f64().map(|fraction| fraction as i64);
    number.as_i64().or_else(truncated).into()
}

/// A value as text.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // Go's encoder keeps these out of its output, for the sake of browsers.
        Value::Array(_) | Value::Object(_) => ["<", ">", "&"]
            .into_iter()
            .zip(["\\u003c", "\\u003e", "\\u0026"])
            .fold(value.to_string(), |text, (from, to)| text.replace(from, to)),
    }
}

const UNKNOWN: &str = "<unknown>";

/// How long ago this time was.
fn since(time: &Value, now: Timestamp) -> String {
    match time {
        Value::String(time) => match time.parse::<Timestamp>() {
            Ok(time) => Age(now.duration_since(time)).to_string(),
            Err(_) => "<invalid>".to_owned(),
        },
        _ => UNKNOWN.to_owned(),
    }
}

/// A span of time with the two or three digits that matter.
struct Age(jiff::SignedDuration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Writes the greater unit, and the rest of the smaller one unless it is zero.
        fn units(
            f: &mut fmt::Formatter<'_>,
            (great, unit): (i64, char),
            (small, smaller): (i64, char),
        ) -> fmt::Result {
            write!(f, "{great}{unit}")?;
            if small == 0 {
                return Ok(());
            }
            write!(f, "{small}{smaller}")
        }

        let seconds = self.0.as_secs();
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        let (days, years) = (hours / 24, hours / 24 / 365);
        match () {
            // Clocks differ by as much.
            () if seconds < -1 => f.write_str("<invalid>"),
            () if seconds < 0 => f.write_str("0s"),
            () if seconds < 120 => write!(f, "{seconds}s"),
            () if minutes < 10 => units(f, (minutes, 'm'), (seconds % 60, 's')),
            () if minutes < 180 => write!(f, "{minutes}m"),
            () if hours < 8 => units(f, (hours, 'h'), (minutes % 60, 'm')),
            () if hours < 48 => write!(f, "{hours}h"),
            () if days < 8 => units(f, (days, 'd'), (hours % 24, 'h')),
            () if years < 2 => write!(f, "{days}d"),
            () if years < 8 => units(f, (years, 'y'), (days % 365, 'd')),
            () => write!(f, "{years}y"),
        }
    }
}

#[cfg(test)]
mod tests;
