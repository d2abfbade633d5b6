//! The content of `ConfigMap`s, `Event`s, `Lease`s, `Namespace`s, `Secret`s and `ServiceAccount`s.

use serde_json::{Map, Value};

use super::metadata::{self, NameRule};
use super::{BuiltIn, EventGroup, metadata_of, name};
use crate::field::{FieldError, Path, go_json, show};
use crate::{base64, json};

/// What fits into a `ConfigMap` or a `Secret`.
const DATA_MAX: usize = 1024 * 1024;
const IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub(super) fn create(kind: BuiltIn, object: &Value) -> Vec<FieldError> {
    let mut errors = match kind {
        BuiltIn::Event {
            group: EventGroup::Core,
        } => Vec::new(),
        BuiltIn::Lease => metadata::validate(metadata_of(object), true, NameRule::Subdomain),
        BuiltIn::Event {
            group: EventGroup::Events,
        } => legacy_event(object, EventGroup::Events),
        BuiltIn::Namespace => core_metadata(object, false, NameRule::Label),
        BuiltIn::ConfigMap | BuiltIn::Secret | BuiltIn::ServiceAccount => {
            core_metadata(object, true, NameRule::Subdomain)
        }
    };
    match kind {
        BuiltIn::ConfigMap => errors.extend(config_map(object)),
        BuiltIn::Event {
            group: EventGroup::Core,
        } => {
            errors.extend(legacy_event(object, EventGroup::Core));
        }
        BuiltIn::Event {
            group: EventGroup::Events,
        } => {
            errors.extend(core_metadata(object, true, NameRule::Subdomain));
            errors.extend(event(object));
        }
        BuiltIn::Lease => errors.extend(lease(object)),
        BuiltIn::Namespace => errors.extend(namespace(object)),
        BuiltIn::Secret => errors.extend(secret(object)),
        BuiltIn::ServiceAccount => {}
    }
    errors
}

/// What the kind adds to what the server asks of every update.
pub(super) fn update(kind: BuiltIn, new: &Value, old: &Value) -> Vec<FieldError> {
    let core_update = || {
        let mut errors = metadata::validate_update(metadata_of(new), metadata_of(old));
        errors.extend(metadata::unqualified_finalizers(metadata_of(new)));
        errors
    };
    match kind {
        BuiltIn::ConfigMap | BuiltIn::Secret | BuiltIn::ServiceAccount => {
            let mut errors = core_update();
            if kind == BuiltIn::Secret && new.get("type") != old.get("type") {
                let path = Path::Root("type");
                let value = new.get("type").cloned().unwrap_or_else(|| "".into());
                errors.push(FieldError::invalid(path, value, "field is immutable"));
            }
            if old.get("immutable") == Some(&Value::Bool(true)) {
                errors.extend(frozen(kind, new, old));
            }
            errors.extend(create(kind, new));
            errors
        }
        BuiltIn::Namespace => {
            let mut errors = create(kind, new);
            errors.extend(core_update());
            errors
        }
        BuiltIn::Lease => {
            let mut errors = metadata::validate_update(metadata_of(new), metadata_of(old));
            errors.extend(lease(new));
            errors
        }
        BuiltIn::Event {
            group: EventGroup::Core,
        } => legacy_event(new, EventGroup::Core),
        BuiltIn::Event {
            group: EventGroup::Events,
        } => {
            let mut errors = legacy_event(new, EventGroup::Events);
            errors.extend(core_update());
            errors.extend(event_update(new, old));
            errors
        }
    }
}

fn core_metadata(object: &Value, namespaced: bool, rule: NameRule<'_>) -> Vec<FieldError> {
    let mut errors = metadata::validate(metadata_of(object), namespaced, rule);
    errors.extend(metadata::unqualified_finalizers(metadata_of(object)));
    errors
}

fn namespace(object: &Value) -> Vec<FieldError> {
    let spec = Path::Root("spec");
    let path = spec.child("finalizers");
    let mut errors = Vec::new();
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
        let wrong = name::label_key(finalizer).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(path, finalizer, why)));
        errors.extend(metadata::unqualified(path, finalizer));
    }
    errors
}

fn config_map(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    let (data, binary) = (map(object, "data"), map(object, "binaryData"));
    for (key, value) in data.into_iter().flatten() {
        let root = Path::Root("data");
        let wrong = name::config_key(key).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(root.key(key), key.as_str(), why)));
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            let why = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(root.key(key), key.as_str(), why));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in binary.into_iter().flatten() {
        let root = Path::Root("binaryData");
        let wrong = name::config_key(key).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(root.key(key), key.as_str(), why)));
        size += decoded_length(value);
    }
    if size > DATA_MAX {
        // The path of the whole object.
        errors.push(FieldError::too_long("[]", DATA_MAX));
    }
    errors
}

fn secret(object: &Value) -> Vec<FieldError> {
    let path = Path::Root("data");
    let data = map(object, "data");
    let has = |key: &str| data.is_some_and(|data| data.contains_key(key));
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in data.into_iter().flatten() {
        let wrong = name::config_key(key).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(path.key(key), key.as_str(), why)));
        size += decoded_length(value);
    }
    if size > DATA_MAX {
        errors.push(FieldError::too_long(path, DATA_MAX));
    }
    let mut required = |keys: &[&str]| {
        for key in keys.iter().filter(|key| !has(key)) {
            errors.push(FieldError::required(path.key(key), ""));
        }
    };
    match object
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            let annotations = metadata_of(object).get("annotations");
            let account = annotations
                .and_then(|all| all.get(key))
                .and_then(Value::as_str);
            if account.unwrap_or_default().is_empty() {
                let metadata = Path::Root("metadata");
                let annotations = metadata.child("annotations");
                errors.push(FieldError::required(annotations.key(key), ""));
            }
        }
        "kubernetes.io/dockercfg" => {
            required(&[".dockercfg"]);
            errors.extend(docker_config(data, ".dockercfg"));
        }
        "kubernetes.io/dockerconfigjson" => {
            required(&[".dockerconfigjson"]);
            errors.extend(docker_config(data, ".dockerconfigjson"));
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            required(&["username", "password"]);
        }
        "kubernetes.io/ssh-auth" => {
            let key = data.and_then(|data| data.get("ssh-privatekey"));
            if key.is_none_or(|key| decoded_length(key) == 0) {
                errors.push(FieldError::required(path.key("ssh-privatekey"), ""));
            }
        }
        "kubernetes.io/tls" => required(&["tls.crt", "tls.key"]),
        _ => {}
    }
    errors
}

/// A registry's credentials must be a JSON object.
fn docker_config(data: Option<&Map<String, Value>>, key: &str) -> Option<FieldError> {
    let encoded = data?.get(key)?.as_str()?;
    let why = match json::parse(&base64::from_standard(encoded).ok()?) {
        Ok(document) if document.value.is_object() || document.value.is_null() => return None,
        Ok(document) => format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json::kind(&document.value)
        ),
        Err(why) => why,
    };
    let root = Path::Root("data");
    let redacted = "<secret contents redacted>";
    Some(FieldError::invalid(root.key(key), redacted, why))
}

/// What an object may not change any more that is immutable.
fn frozen(kind: BuiltIn, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut fields = Vec::new();
    if new.get("immutable") != Some(&Value::Bool(true)) {
        fields.push("immutable");
    }
    let data: &[&str] = match kind {
        BuiltIn::ConfigMap => &["data", "binaryData"],
        BuiltIn::Secret => &["data"],
        _ => return Vec::new(),
    };
    fields.extend(data.iter().filter(|key| new.get(**key) != old.get(**key)));
    let forbid = |key| FieldError::forbidden(Path::Root(key), IMMUTABLE);
    fields.into_iter().map(forbid).collect()
}

fn lease(object: &Value) -> Vec<FieldError> {
    let spec = Path::Root("spec");
    let number = |key: &str| object.get("spec")?.get(key)?.as_i64();
    let mut errors = Vec::new();
    if let Some(seconds) = number("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        let path = spec.child("leaseDurationSeconds");
        errors.push(FieldError::invalid(path, seconds, "must be greater than 0"));
    }
    if let Some(count) = number("leaseTransitions").filter(|count| *count < 0) {
        let path = spec.child("leaseTransitions");
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(path, count, why));
    }
    errors
}

/// What has always been asked of an Event, in the form of the core group.
fn legacy_event(object: &Value, group: EventGroup) -> Vec<FieldError> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let involved = Path::Root("involvedObject");
    let (namespace, about) = (
        text("/metadata/namespace"),
        text("/involvedObject/namespace"),
    );
    let mismatch = || {
        let path = involved.child("namespace");
        FieldError::invalid(path, about, "does not match event.namespace")
    };
    let mut errors = Vec::new();
    if text("/eventTime").is_empty() {
        let agrees = namespace == about
            || (about.is_empty() && (namespace.is_empty() || namespace == "default"));
        if !agrees {
            errors.push(mismatch());
        }
    } else {
        if about.is_empty() && namespace != "default" && namespace != "kube-system" {
            errors.push(mismatch());
        }
        let controller = Path::Root(match group {
            EventGroup::Core => "reportingComponent",
            EventGroup::Events => "reportingController",
        });
        let name = text("/reportingComponent");
        if name.is_empty() {
            errors.push(FieldError::required(controller, ""));
        }
        let wrong = name::label_key(name).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(controller, name, why)));
        for (key, pointer, required, max) in [
            ("reportingInstance", "/reportingInstance", true, 128),
            ("action", "/action", true, 128),
            ("reason", "/reason", true, 128),
            ("message", "/message", false, 1024),
        ] {
            let length = text(pointer).len();
            if required && length == 0 {
                errors.push(FieldError::required(Path::Root(key), ""));
            }
            if length > max {
                let why = format!("can have at most {max} characters");
                errors.push(FieldError::invalid(Path::Root(key), "", why));
            }
        }
    }
    let wrong = name::dns_subdomain(namespace).into_iter();
    errors.extend(wrong.map(|why| FieldError::invalid(Path::Root("namespace"), namespace, why)));
    errors
}

/// What is asked of a new Event of `events.k8s.io`.
fn event(object: &Value) -> Vec<FieldError> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut errors = event_series(object);
    if text("/eventTime").is_empty() {
        errors.push(FieldError::required(Path::Root("eventTime"), ""));
    }
    let kind = text("/type");
    if kind != "Normal" && kind != "Warning" {
        let why = format!("has invalid value: {kind}");
        errors.push(FieldError::invalid(Path::Root("type"), "", why));
    }
    let is_set = |key: &str| match object.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Object(map)) => !map.is_empty(),
        Some(value) => value.as_i64() != Some(0),
    };
    for key in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if is_set(key) {
            errors.push(FieldError::invalid(
                Path::Root(key),
                "",
                "needs to be unset",
            ));
        }
    }
    errors
}

fn event_series(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(series) = object.get("series").filter(|series| series.is_object()) {
        let count = series
            .get("count")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        if count < 2 {
            let path = Path::Root("series.count");
            errors.push(FieldError::invalid(path, "", "should be at least 2"));
        }
        if series.get("lastObservedTime").is_none_or(Value::is_null) {
            errors.push(FieldError::required(
                Path::Root("series.lastObservedTime"),
                "",
            ));
        }
    }
    errors
}

/// An Event of `events.k8s.io` may change little but its series.
fn event_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if new.get("series") != old.get("series") {
        errors.extend(event_series(new));
    }
    // The reason is looked at twice.
    for (shown, key) in [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("message", "message"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        ("reason", "reason"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingComponent"),
        ("reportingInstance", "reportingInstance"),
    ] {
        if new.get(key) != old.get(key) {
            let value = new.get(key).unwrap_or(&Value::Null);
            let value = show_internal(key, value);
            let path = Path::Root(shown);
            errors.push(FieldError::invalid_shown(path, value, "field is immutable"));
        }
    }
    errors
}

/// A field of an Event as the server shows it, in the form that no client sees.
fn show_internal(key: &str, value: &Value) -> String {
    let fields: &[(&str, &str)] = match key {
        "involvedObject" | "related" => &[
            ("Kind", "kind"),
            ("Namespace", "namespace"),
            ("Name", "name"),
            ("UID", "uid"),
            ("APIVersion", "apiVersion"),
            ("ResourceVersion", "resourceVersion"),
            ("FieldPath", "fieldPath"),
        ],
        "source" => &[("Component", "component"), ("Host", "host")],
        _ => &[],
    };
    if fields.is_empty() || value.is_null() {
        return show(value);
    }
    let shown: Vec<String> = fields
        .iter()
        .map(|(internal, field)| {
            let text = value.get(field).and_then(Value::as_str).unwrap_or_default();
            format!("\"{internal}\":{}", go_json(&text.into()))
        })
        .collect();
    format!("{{{}}}", shown.join(","))
}

fn map<'a>(object: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    object.get(key).and_then(Value::as_object)
}

/// How many bytes a base64 text stands for.
fn decoded_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default().trim_end_matches('=');
    text.len() * 3 / 4
}
