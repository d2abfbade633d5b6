//! The two groups through which Events are seen. They are stored as the core group has them.

use serde_json::Value;

use crate::{
    shape,
    store::object::{Object, text},
};

/// What a field is called in the core group, and in `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

pub(super) fn from_core(object: &mut Object) {
    for (core, event) in NAMES {
        rename(object, core, event);
    }
    reshape(object, &shape::EVENTS_EVENT);
}

pub(super) fn to_core(object: &mut Object) {
    for (core, event) in NAMES {
        rename(object, event, core);
    }
    reshape(object, &shape::EVENT);
}

/// The fields by which Events can be selected, given the name of what they are about.
pub(super) fn fields(about: &str) -> Vec<String> {
    let about = [
        "kind",
        "namespace",
        "name",
        "uid",
        "apiVersion",
        "resourceVersion",
        "fieldPath",
    ]
    .map(|field| format!("{about}.{field}"));
    let component = if about[0].starts_with("regarding") {
        "reportingController"
    } else {
        "reportingComponent"
    };
    let mut fields = super::fields(&["reason", component, "source", "type"]);
    fields.extend(about);
    fields
}

fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}

/// Brings back what its new form always shows, and takes away what it does not.
fn reshape(object: &mut Object, shape: &'static shape::Struct) {
    let mut value = Value::Object(std::mem::take(object));
    // Both forms know every field.
    let _ = shape::read(shape, &mut value);
    if let Value::Object(shaped) = value {
        *object = shaped;
    }
    debug_assert!(!text(object, "kind").is_empty());
}
