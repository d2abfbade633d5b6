//! What the server asks of an object before it takes it: its metadata, and the content of the kinds
//! that are built in.
//!
//! Rules, order and wording follow `k8s.io/apimachinery/pkg/api/validation` and the strategies of
//! the server's registry. Objects come here after their types have been checked. Where the server
//! says the same thing several times (the causes of one `Status` then repeat it), so does this.

mod builtin;
mod metadata;
pub(crate) mod name;

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::field::{FieldError, Path};

pub(crate) use metadata::{NameRule, duplicate_owners, finalizer_warnings};

/// The kinds whose content is known here; every other kind is a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    ConfigMap,
    Event { group: EventGroup },
    Lease,
    Namespace,
    Secret,
    ServiceAccount,
}

/// Through which of its two groups an Event is written; the newer one is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventGroup {
    Core,
    Events,
}

/// What is wrong with a new object of a built-in kind.
///
/// Events are expected in the form of `events.k8s.io`'s older sibling, the core group, in which
/// the server checks both.
pub(crate) fn create(kind: BuiltIn, object: &Value) -> Vec<FieldError> {
    let errors = builtin::create(kind, object);
    if !errors.is_empty() {
        return errors;
    }
    let namespaced = kind != BuiltIn::Namespace;
    metadata::validate(metadata_of(object), namespaced, NameRule::PathSegment)
}

/// What is wrong with an object of a built-in kind that takes the place of another.
pub(crate) fn update(kind: BuiltIn, new: &Value, old: &Value) -> Vec<FieldError> {
    let namespaced = kind != BuiltIn::Namespace;
    let mut errors = common_update(new, old, namespaced);
    errors.extend(builtin::update(kind, new, old));
    errors
}

/// What is wrong with the metadata of a new object of another kind. `content` tells what is wrong
/// with the rest of it.
pub(crate) fn create_custom(
    object: &Value,
    namespaced: bool,
    content: Vec<FieldError>,
) -> Vec<FieldError> {
    create_named(object, namespaced, NameRule::Subdomain, content)
}

/// As [`create_custom`], for a kind whose names follow another rule.
pub(crate) fn create_named(
    object: &Value,
    namespaced: bool,
    rule: NameRule<'_>,
    content: Vec<FieldError>,
) -> Vec<FieldError> {
    let mut errors = metadata::validate(metadata_of(object), namespaced, rule);
    errors.extend(content);
    if errors.is_empty() {
        errors = metadata::validate(metadata_of(object), namespaced, NameRule::PathSegment);
    }
    errors
}

/// As [`create_custom`], for an object that takes the place of another.
pub(crate) fn update_custom(
    new: &Value,
    old: &Value,
    namespaced: bool,
    content: Vec<FieldError>,
) -> Vec<FieldError> {
    let mut errors = common_update(new, old, namespaced);
    errors.extend(metadata::validate_update(
        metadata_of(new),
        metadata_of(old),
    ));
    errors.extend(content);
    errors
}

/// What is wrong with the metadata of an object within another, at this path. It needs no name.
pub(crate) fn embedded(object: &Value, path: Path<'_>) -> Vec<FieldError> {
    let mut metadata = metadata_of(object).clone();
    let is_named = |metadata: &Map<String, Value>| {
        let name = metadata.get("name").and_then(Value::as_str);
        name.is_some_and(|name| !name.is_empty())
    };
    if !is_named(&metadata) {
        metadata.insert("name".to_owned(), "fakename".into());
    }
    let namespaced = metadata.contains_key("namespace");
    metadata::validate_at(path, &metadata, namespaced, NameRule::PathSegment)
}

/// What the server looks at when anything is updated, before the kind has its say.
pub(crate) fn common_update(new: &Value, old: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = metadata::validate(metadata_of(new), namespaced, NameRule::PathSegment);
    errors.extend(metadata::validate_update(
        metadata_of(new),
        metadata_of(old),
    ));
    errors
}

fn metadata_of(object: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&NONE)
}

#[cfg(test)]
mod tests;
