//! `metadata`: names, labels, annotations, owners, finalizers, and what an update may not change.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::name;
use crate::field::{FieldError, Path, go_json, quote};

const ANNOTATIONS_MAX: usize = 256 * 1024;
const NO_NEW_FINALIZERS: &str =
    "no new finalizers can be added if the object is being deleted, found new finalizers";
const ROOT: Path<'static> = Path::Root("metadata");

/// The finalizers that need no prefix.
const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

/// What the name of an object must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule<'a> {
    /// This name, that of a definition, which must be a subdomain.
    Definition(&'a str),
    Label,
    PathSegment,
    Subdomain,
}

type Fields = Map<String, Value>;

impl NameRule<'_> {
    fn check(self, name: &str) -> Vec<String> {
        match self {
            Self::Label => name::dns_label(name),
            Self::PathSegment => name::path_segment(name),
            Self::Subdomain => name::dns_subdomain(name),
            Self::Definition(expected) => {
                let mut errors = name::dns_subdomain(name);
                errors.extend(wrong_name(name, expected));
                errors
            }
        }
    }

    /// What a name begins with that is completed by the server may end with a dash.
    fn check_prefix(self, prefix: &str) -> Vec<String> {
        match self {
            Self::PathSegment => return name::path_segment_prefix(prefix),
            Self::Definition(expected) => {
                let mut errors = NameRule::Subdomain.check_prefix(prefix);
                errors.extend(wrong_name(prefix, expected));
                return errors;
            }
            Self::Label | Self::Subdomain => {}
        }
        match prefix.strip_suffix('-') {
            Some(rest) if !rest.is_empty() => {
                let mut masked: String = rest.to_owned();
                masked.pop();
                masked.push('a');
                self.check(&masked)
            }
            _ => self.check(prefix),
        }
    }
}

fn wrong_name(name: &str, expected: &str) -> Option<String> {
    (name != expected).then(|| "must be spec.names.plural+\".\"+spec.group".to_owned())
}

/// What is wrong with the metadata of any object.
pub(super) fn validate(metadata: &Fields, namespaced: bool, rule: NameRule<'_>) -> Vec<FieldError> {
    validate_at(ROOT, metadata, namespaced, rule)
}

/// As [`validate`], of metadata at this path.
pub(super) fn validate_at(
    root: Path<'_>,
    metadata: &Fields,
    namespaced: bool,
    rule: NameRule<'_>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let generate_name = text(metadata, "generateName");
    if !generate_name.is_empty() {
        let wrong = rule.check_prefix(generate_name);
        invalid(
            &mut errors,
            root.child("generateName"),
            generate_name,
            wrong,
        );
    }
    let name = text(metadata, "name");
    if name.is_empty() {
        let path = root.child("name");
        errors.push(FieldError::required(
            path,
            "name or generateName is required",
        ));
    } else {
        invalid(&mut errors, root.child("name"), name, rule.check(name));
    }
    let namespace = text(metadata, "namespace");
    let path = root.child("namespace");
    match (namespaced, namespace) {
        (true, "") => errors.push(FieldError::required(path, "")),
        (true, _) => invalid(&mut errors, path, namespace, name::dns_label(namespace)),
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden(path, "not allowed on this type")),
    }
    let generation = metadata.get("generation").and_then(Value::as_i64);
    if let Some(generation) = generation.filter(|generation| *generation < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(
            root.child("generation"),
            generation,
            why,
        ));
    }
    labels(root, metadata, &mut errors);
    annotations(root, metadata, &mut errors);
    owners(root, metadata, &mut errors);
    finalizers(root, metadata, &mut errors);
    errors
}

fn invalid(errors: &mut Vec<FieldError>, path: Path<'_>, value: &str, wrong: Vec<String>) {
    let wrong = wrong.into_iter();
    errors.extend(wrong.map(|why| FieldError::invalid(path, value, why)));
}

/// What is wrong with metadata that takes the place of other metadata.
///
/// What a client may leave out (the UID, the time of creation, …) has been filled in by now.
pub(super) fn validate_update(new: &Fields, old: &Fields) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.contains_key("deletionTimestamp") {
        let known: BTreeSet<&str> = finalizers_of(old).collect();
        let added: BTreeSet<&str> = finalizers_of(new)
            .filter(|finalizer| !known.contains(finalizer))
            .collect();
        if !added.is_empty() {
            let added: Vec<String> = added.into_iter().map(quote).collect();
            errors.push(FieldError::forbidden(
                ROOT.child("finalizers"),
                format!("{NO_NEW_FINALIZERS} []string{{{}}}", added.join(", ")),
            ));
        }
    }
    if text(new, "resourceVersion").is_empty() {
        let why = "must be specified for an update";
        errors.push(FieldError::invalid(ROOT.child("resourceVersion"), "", why));
    }
    let generation = |fields: &Fields| {
        fields
            .get("generation")
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    if generation(new) < generation(old) {
        let path = ROOT.child("generation");
        let why = "must not be decremented";
        errors.push(FieldError::invalid(path, generation(new), why));
    }
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let value = new.get(key);
        if value != old.get(key) {
            let value = value.cloned().unwrap_or_else(|| match key {
                "name" | "namespace" | "uid" => "".into(),
                _ => Value::Null,
            });
            errors.push(FieldError::invalid(
                ROOT.child(key),
                value,
                "field is immutable",
            ));
        }
    }
    labels(ROOT, new, &mut errors);
    annotations(ROOT, new, &mut errors);
    owners(ROOT, new, &mut errors);
    errors
}

/// What core kinds ask of their finalizers beyond that: a prefix.
pub(super) fn unqualified_finalizers(metadata: &Fields) -> Vec<FieldError> {
    let path = ROOT.child("finalizers");
    finalizers_of(metadata)
        .enumerate()
        .filter_map(|(index, finalizer)| unqualified(path.index(index), finalizer))
        .collect()
}

/// The refusal of one finalizer without a prefix, if it is not a standard one.
pub(super) fn unqualified(path: Path<'_>, finalizer: &str) -> Option<FieldError> {
    let is_fine = finalizer.contains('/') || STANDARD_FINALIZERS.contains(&finalizer);
    (!is_fine).then(|| {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        FieldError::invalid(path, finalizer, why)
    })
}

/// What the server warns of when a custom resource gets a finalizer without a prefix.
pub(crate) fn finalizer_warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known: BTreeSet<&str> = old.into_iter().flat_map(object_finalizers).collect();
    let added: BTreeSet<&str> = object_finalizers(new)
        .filter(|finalizer| !known.contains(finalizer))
        .collect();
    added
        .into_iter()
        .filter(|added| !added.contains('/') && !STANDARD_FINALIZERS.contains(added))
        .map(|finalizer| {
            let path = if finalizer.contains('.') {
                " including a path (/)"
            } else {
                ""
            };
            format!(
                "metadata.finalizers: {}: prefer a domain-qualified finalizer name{path} to avoid \
                 accidental conflicts with other finalizer writers",
                quote(finalizer)
            )
        })
        .collect()
}

/// Takes out owners that are there twice, and says what the server warns of.
pub(crate) fn duplicate_owners(object: &mut Value) -> Option<String> {
    let owners = object
        .pointer_mut("/metadata/ownerReferences")?
        .as_array_mut()?;
    let mut seen = HashSet::new();
    let mut twice = BTreeSet::new();
    owners.retain(|owner| {
        let is_new = seen.insert(owner.clone());
        if !is_new && let Some(uid) = owner.get("uid").and_then(Value::as_str) {
            twice.insert(uid.to_owned());
        }
        is_new
    });
    if twice.is_empty() {
        return None;
    }
    let twice: Vec<String> = twice.into_iter().collect();
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references \
         in 1.20+, and may reject such requests as early as 1.24; please fix your requests; \
         duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}

fn labels(root: Path<'_>, metadata: &Fields, errors: &mut Vec<FieldError>) {
    let path = root.child("labels");
    for (key, value) in strings(metadata, "labels") {
        invalid(errors, path, key, name::label_key(key));
        invalid(errors, path, value, name::label_value(value));
    }
}

fn annotations(root: Path<'_>, metadata: &Fields, errors: &mut Vec<FieldError>) {
    let path = root.child("annotations");
    let mut size = 0;
    for (key, value) in strings(metadata, "annotations") {
        size += key.len() + value.len();
        let wrong = if key.bytes().any(|b| b.is_ascii_uppercase()) {
            name::label_key(&key.to_lowercase())
        } else {
            name::label_key(key)
        };
        invalid(errors, path, key, wrong);
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_MAX));
    }
}

fn owners(root: Path<'_>, metadata: &Fields, errors: &mut Vec<FieldError>) {
    let path = root.child("ownerReferences");
    let Some(owners) = metadata.get("ownerReferences").and_then(Value::as_array) else {
        return;
    };
    let mut controller: Option<String> = None;
    for owner in owners.iter().filter_map(Value::as_object) {
        let api_version = text(owner, "apiVersion");
        let has_version = match api_version.split_once('/') {
            None => !api_version.is_empty(),
            Some((_, version)) => !version.is_empty() && !version.contains('/'),
        };
        if !has_version {
            let why = "version must not be empty";
            errors.push(FieldError::invalid(
                path.child("apiVersion"),
                api_version,
                why,
            ));
        }
        for key in ["kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                errors.push(FieldError::invalid(
                    path.child(key),
                    "",
                    "must not be empty",
                ));
            }
        }
        let kind = text(owner, "kind");
        if api_version == "v1" && kind == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_shown(path, show_owner(owner), why));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{kind}/{}", text(owner, "name"));
            if let Some(first) = &controller {
                let shown: Vec<String> = owners
                    .iter()
                    .filter_map(Value::as_object)
                    .map(show_owner)
                    .collect();
                errors.push(FieldError::invalid_shown(
                    path,
                    format!("[{}]", shown.join(",")),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in \
                         references for {first} and {this}"
                    ),
                ));
            } else {
                controller = Some(this);
            }
        }
    }
}

fn finalizers(root: Path<'_>, metadata: &Fields, errors: &mut Vec<FieldError>) {
    let path = root.child("finalizers");
    let (mut orphans, mut foreground) = (false, false);
    for finalizer in finalizers_of(metadata) {
        invalid(errors, path, finalizer, name::label_key(finalizer));
        orphans |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphans && foreground {
        let all = metadata.get("finalizers").cloned().unwrap_or_default();
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path, all, why));
    }
}

/// An owner with its fields in the order in which the server shows them.
fn show_owner(owner: &Fields) -> String {
    let mut shown = Vec::new();
    for key in ["apiVersion", "kind", "name", "uid"] {
        let value = owner.get(key).cloned().unwrap_or_else(|| "".into());
        shown.push(format!("\"{key}\":{}", go_json(&value)));
    }
    for key in ["controller", "blockOwnerDeletion"] {
        if let Some(value) = owner.get(key) {
            shown.push(format!("\"{key}\":{value}"));
        }
    }
    format!("{{{}}}", shown.join(","))
}

fn text<'a>(fields: &'a Fields, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn strings<'a>(fields: &'a Fields, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = fields.get(key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

fn finalizers_of(metadata: &Fields) -> impl Iterator<Item = &str> {
    let list = metadata.get("finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn object_finalizers(object: &Value) -> impl Iterator<Item = &str> {
    finalizers_of(super::metadata_of(object))
}
