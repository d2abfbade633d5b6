//! What is asked of a definition, in the server's order and words.
//!
//! What all versions have in common, the server moves to the top of the definition before it looks
//! at it: that is why its complaints about a schema are about `spec.validation`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{schema_of, versions_of};
use crate::field::{FieldError, Path, quote};
use crate::schema;
use crate::table::jsonpath::JsonPath;
use crate::validate::name;

const SPEC: Path<'static> = Path::Root("spec");
const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
const APPROVAL: &str = "api-approved.kubernetes.io";
const SELECTABLE_MAX: usize = 8;

/// What is wrong with `spec`.
pub(super) fn spec(definition: &Value) -> Vec<FieldError> {
    let spec = &definition["spec"];
    let mut errors = Vec::new();
    group(spec, &mut errors);
    one_of(spec, SPEC, "scope", &["Cluster", "Namespaced"], &mut errors);
    let versions: Vec<&Value> = versions_of(definition).collect();
    let common = |key: &str| {
        let first = versions.first()?.get(key);
        let is_common = versions.iter().all(|version| version.get(key) == first);
        is_common.then(|| first.unwrap_or(&Value::Null))
    };
    let at_versions = SPEC.child("versions");
    let has_common_schema = common("schema")
        .is_some_and(|schema| schema.get("openAPIV3Schema").is_some_and(Value::is_object));
    if !has_common_schema {
        for (index, version) in versions.iter().enumerate() {
            if schema_of(version).is_null() {
                let at = at_versions.index(index);
                let schema = at.child("schema");
                errors.push(FieldError::required(schema.child("openAPIV3Schema"), ""));
            }
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let at = at_versions.index(index);
        let name = text(version, "name");
        errors.extend(dns_1035(at.child("name"), name));
        deprecation(version, at, &mut errors);
        parts(version, at, false, |key| common(key).is_none(), &mut errors);
    }
    let names: BTreeSet<&str> = versions
        .iter()
        .map(|version| text(version, "name"))
        .collect();
    if names.len() < versions.len() {
        let why = "must contain unique version names";
        errors.push(FieldError::invalid_shown(
            at_versions,
            show_versions(spec),
            why,
        ));
    }
    let storage = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count();
    if storage != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid_shown(
            at_versions,
            show_versions(spec),
            why,
        ));
    }
    if let Some(first) = versions.first() {
        errors.extend(dns_1035(SPEC.child("version"), text(first, "name")));
    }
    names_of(&spec["names"], &mut errors);
    if let Some(first) = versions.first() {
        let has_status = versions.iter().any(|version| has_status(version));
        parts(
            first,
            SPEC,
            has_status,
            |key| common(key).is_some(),
            &mut errors,
        );
    }
    conversion(spec, &mut errors);
    errors
}

/// What may not be changed, some of it only once the definition is established.
pub(super) fn immutable(new: &Value, old: &Value) -> Vec<FieldError> {
    let conditions = old.pointer("/status/conditions").and_then(Value::as_array);
    let is_established = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    [
        ("spec.scope", "/spec/scope", is_established),
        ("spec.names.kind", "/spec/names/kind", is_established),
        ("spec.group", "/spec/group", true),
        ("spec.names.plural", "/spec/names/plural", true),
    ]
    .into_iter()
    .filter(|(_, pointer, looked_at)| *looked_at && new.pointer(pointer) != old.pointer(pointer))
    .map(|(path, pointer, _)| {
        let value = new.pointer(pointer).cloned().unwrap_or_default();
        FieldError::invalid(path, value, "field is immutable")
    })
    .collect()
}

/// Versions that are stored must stay, and the storage version be one of them.
pub(super) fn stored_versions(definition: &Value, stored: &[String]) -> Vec<FieldError> {
    let status = Path::Root("status");
    let path = status.child("storedVersions");
    if stored.is_empty() {
        let why = "must have at least one stored version";
        return vec![FieldError::invalid(path, Value::Null, why)];
    }
    let mut errors = Vec::new();
    for version in versions_of(definition).filter(|version| version["storage"] == true) {
        let name = text(version, "name");
        if !stored.iter().any(|stored| stored == name) {
            let why = format!("must have the storage version {name}");
            errors.push(FieldError::invalid(path, stored.to_vec(), why));
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions_of(definition).any(|version| text(version, "name") == name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must \
                 remain in spec.versions until a storage migration ensures no data remains \
                 persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.push(FieldError::invalid(path.index(index), name.as_str(), why));
        }
    }
    errors
}

/// Groups of the Kubernetes project need an approval.
pub(super) fn approval(definition: &Value, old: Option<&Value>) -> Option<FieldError> {
    let group = text(&definition["spec"], "group");
    let is_protected = ["k8s.io", "kubernetes.io"]
        .into_iter()
        .any(|suffix| group == suffix || group.ends_with(&format!(".{suffix}")));
    let approval = |definition: &Value| {
        let annotations = &definition["metadata"]["annotations"];
        annotations[APPROVAL]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let found = approval(definition);
    let is_url = found.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/')
    });
    let unchanged = old.is_some_and(|old| approval(old).is_empty() == found.is_empty());
    if !is_protected || unchanged || is_url || found.starts_with("unapproved") {
        return None;
    }
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    let metadata = Path::Root("metadata");
    let annotations = metadata.child("annotations");
    let path = annotations.key(APPROVAL);
    let must = format!("protected groups must have approval annotation \"{APPROVAL}\"");
    Some(if found.is_empty() {
        FieldError::required(path, format!("{must}, {see}"))
    } else {
        let why =
            format!("{must} with either a URL or a reason starting with \"unapproved\", {see}");
        FieldError::invalid(path, found, why)
    })
}

/// Pruning cannot be turned off for a whole definition any more.
pub(super) fn preserves(definition: &Value) -> Option<FieldError> {
    let path = SPEC.child("preserveUnknownFields");
    let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
               spec.versions[*].schema instead";
    (definition["spec"]["preserveUnknownFields"] == true)
        .then(|| FieldError::invalid(path, true, why))
}

/// What the real server serves and this one does not.
pub(super) fn unserved(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &definition["spec"];
    if spec["conversion"]["strategy"] == "Webhook" {
        let conversion = SPEC.child("conversion");
        let why = "kube-sim does not call conversion webhooks";
        errors.push(FieldError::forbidden(conversion.child("strategy"), why));
    }
    let at_versions = SPEC.child("versions");
    for (index, version) in versions_of(definition).enumerate() {
        if version["subresources"]["scale"].is_object() {
            let at = at_versions.index(index);
            let subresources = at.child("subresources");
            let why = "kube-sim does not serve the scale subresource";
            errors.push(FieldError::forbidden(subresources.child("scale"), why));
        }
    }
    errors
}

fn group(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("group");
    let group = text(spec, "group");
    let wrong = name::dns_subdomain(group);
    if group.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !wrong.is_empty() {
        errors.push(FieldError::invalid(path, group, wrong.join(",")));
    } else if !group.contains('.') {
        let why = "should be a domain with at least one dot";
        errors.push(FieldError::invalid(path, group, why));
    }
}

/// The parts of a version that may be common to all, at the path of either.
fn parts(
    version: &Value,
    path: Path<'_>,
    any_status: bool,
    is_here: impl Fn(&str) -> bool,
    errors: &mut Vec<FieldError>,
) {
    let is_top = path.to_string() == "spec";
    let schema = schema_of(version);
    if is_here("schema") && schema.is_object() {
        let container = if is_top { "validation" } else { "schema" };
        let at = format!("{path}.{container}.openAPIV3Schema");
        let status = any_status || (!is_top && has_status(version));
        errors.extend(schema::check_definition(schema, &at, status));
    }
    if is_here("subresources") {
        scale(
            &version["subresources"]["scale"],
            path.child("subresources"),
            errors,
        );
    }
    if is_here("additionalPrinterColumns") {
        let at = path.child("additionalPrinterColumns");
        let columns = version["additionalPrinterColumns"].as_array();
        for (index, column) in columns.into_iter().flatten().enumerate() {
            column_errors(column, at.index(index), errors);
        }
    }
    if is_here("selectableFields") {
        selectable(version, path.child("selectableFields"), errors);
    }
}

fn deprecation(version: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(warning) = version["deprecationWarning"].as_str() else {
        return;
    };
    let at = path.child("deprecationWarning");
    let mut wrong = |why: &str| errors.push(FieldError::invalid(at, warning, why));
    if version["deprecated"] != true {
        return wrong("can only be set for deprecated versions");
    }
    if warning.len() > 256 {
        wrong("must be <= 256 characters long");
    }
    if warning.is_empty() {
        wrong("must not be an empty string");
    }
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| c.is_control()) {
        wrong(&format!(
            "must only contain printable UTF-8 characters; non-printable character found at \
             index {index}"
        ));
    }
}

fn names_of(names: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("names");
    for key in ["plural", "singular", "kind", "listKind"] {
        if text(names, key).is_empty() {
            errors.push(FieldError::required(path.child(key), ""));
        }
    }
    for key in ["plural", "singular"] {
        let name = Some(text(names, key)).filter(|name| !name.is_empty());
        errors.extend(name.and_then(|name| dns_1035(path.child(key), name)));
    }
    for key in ["kind", "listKind"] {
        let name = text(names, key);
        let wrong = name::dns_1035_label(&name.to_lowercase());
        if !name.is_empty() && !wrong.is_empty() {
            let why = format!(
                "may have mixed case, but should otherwise match: {}",
                wrong.join(",")
            );
            errors.push(FieldError::invalid(path.child(key), name, why));
        }
    }
    let list = |key: &str, errors: &mut Vec<FieldError>| {
        let at = path.child(key);
        let names = names[key].as_array();
        for (index, name) in names.into_iter().flatten().enumerate() {
            errors.extend(dns_1035(at.index(index), name.as_str().unwrap_or_default()));
        }
    };
    list("shortNames", errors);
    let (kind, list_kind) = (text(names, "kind"), text(names, "listKind"));
    if !kind.is_empty() && kind == list_kind {
        let why = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(path.child("listKind"), list_kind, why));
    }
    list("categories", errors);
}

fn scale(scale: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if !scale.is_object() {
        return;
    }
    for (key, parents, why, required) in [
        (
            "specReplicasPath",
            [".spec.", ".spec."],
            "should be a json path under .spec",
            true,
        ),
        (
            "statusReplicasPath",
            [".status.", ".status."],
            "should be a json path under .status",
            true,
        ),
        (
            "labelSelectorPath",
            [".spec.", ".status."],
            "should be a json path under either .spec or .status",
            false,
        ),
    ] {
        let name = format!("scale.{key}");
        let at = path.child(&name);
        match text(scale, key) {
            "" if required => errors.push(FieldError::required(at, "")),
            "" => {}
            value => match not_simple(at, value) {
                Some(error) => errors.push(error),
                None if !parents.iter().any(|parent| value.starts_with(parent)) => {
                    errors.push(FieldError::invalid(at, value, why));
                }
                None => {}
            },
        }
    }
}

fn column_errors(column: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if text(column, "name").is_empty() {
        errors.push(FieldError::required(path.child("name"), ""));
    }
    let one_of = |key: &str, allowed: &str| {
        let value = text(column, key);
        let why = format!("must be one of {allowed}");
        match value {
            "" if key == "type" => Some(FieldError::required(path.child(key), why)),
            "" => None,
            _ if allowed.split(',').any(|name| name == value) => None,
            _ => Some(FieldError::invalid(path.child(key), value, why)),
        }
    };
    errors.extend(one_of("type", COLUMN_TYPES));
    errors.extend(one_of("format", COLUMN_FORMATS));
    let at = path.child("JSONPath");
    match text(column, "jsonPath") {
        "" => errors.push(FieldError::required(at, "")),
        value => {
            let error = not_simple(at, value).or_else(|| not_evaluated(at, value));
            errors.extend(error);
        }
    }
}

/// A path that the real server takes, and that no cell could be made of here.
fn not_evaluated(path: Path<'_>, value: &str) -> Option<FieldError> {
    let why = "kube-sim does not evaluate such a path";
    let unknown = JsonPath::parse(value).is_none();
    unknown.then(|| FieldError::forbidden(path, why))
}

fn not_simple(path: Path<'_>, value: &str) -> Option<FieldError> {
    let why = "must be a simple json path starting with .";
    (!value.starts_with('.')).then(|| FieldError::invalid(path, value, why))
}

fn selectable(version: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let fields = version["selectableFields"].as_array();
    let mut known = BTreeSet::new();
    for (index, field) in fields.into_iter().flatten().enumerate() {
        let item = path.index(index);
        let at = item.child("jsonPath");
        let value = text(field, "jsonPath");
        if value.is_empty() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        match schema_at(schema_of(version), value) {
            Err(why) => {
                let why = format!("is an invalid path: {why}");
                errors.push(FieldError::invalid(at, value, why));
                continue;
            }
            Ok(schema) => {
                if value.starts_with(".metadata") {
                    let why = "must not point to fields in metadata";
                    errors.push(FieldError::invalid(at, value, why));
                }
                if !matches!(text(schema, "type"), "string" | "boolean" | "integer") {
                    let why = "must point to a field of type string, boolean or integer. Enum \
                               string fields and strings with formats are allowed.";
                    errors.push(FieldError::invalid(at, value, why));
                }
            }
        }
        if !known.insert(value) {
            errors.push(FieldError::duplicate(at, value));
        }
    }
    if known.len() > SELECTABLE_MAX {
        errors.push(FieldError::too_many(path, known.len(), SELECTABLE_MAX));
    }
}

/// The schema that a path such as `.spec.color` leads to.
fn schema_at<'s>(schema: &'s Value, path: &str) -> Result<&'s Value, String> {
    let Some(names) = path.strip_prefix('.') else {
        let token = path.split(['.', '[']).next().unwrap_or_default();
        return Err(match token {
            "" => "array notation is not allowed".to_owned(),
            token => format!("expected [ or . but got: {token}"),
        });
    };
    let mut place = schema;
    for name in names.split('.') {
        let (name, is_indexed) = match name.split_once('[') {
            Some((name, _)) => (name, true),
            None => (name, false),
        };
        let additional = &place["additionalProperties"];
        place = match place["properties"].get(name) {
            Some(inner) => inner,
            None if additional.is_object() => additional,
            None => return Err("does not refer to a valid field".to_owned()),
        };
        if is_indexed {
            return Err("array notation is not allowed".to_owned());
        }
    }
    Ok(place)
}

fn conversion(spec: &Value, errors: &mut Vec<FieldError>) {
    let conversion = &spec["conversion"];
    if !conversion.is_object() {
        return;
    }
    let path = SPEC.child("conversion");
    one_of(conversion, path, "strategy", &["None", "Webhook"], errors);
    let webhook = &conversion["webhook"];
    let (at_client, at_versions) = (
        path.child("webhookClientConfig"),
        path.child("conversionReviewVersions"),
    );
    let has_versions = webhook["conversionReviewVersions"]
        .as_array()
        .is_some_and(|versions| !versions.is_empty());
    if conversion["strategy"] == "Webhook" {
        if webhook["clientConfig"].is_null() {
            let why = "required when strategy is set to Webhook";
            errors.push(FieldError::required(at_client, why));
        }
        if !has_versions {
            errors.push(FieldError::required(at_versions, ""));
        }
        return;
    }
    let why = "should not be set when strategy is not set to Webhook";
    if !webhook["clientConfig"].is_null() {
        errors.push(FieldError::forbidden(at_client, why));
    }
    if has_versions {
        errors.push(FieldError::forbidden(at_versions, why));
    }
}

fn one_of(
    value: &Value,
    path: Path<'_>,
    key: &str,
    allowed: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let at = path.child(key);
    match text(value, key) {
        "" => errors.push(FieldError::required(at, "")),
        found if allowed.contains(&found) => {}
        found => errors.push(FieldError::not_supported(at, found, allowed)),
    }
}

fn dns_1035(path: Path<'_>, value: &str) -> Option<FieldError> {
    let wrong = name::dns_1035_label(value);
    (!wrong.is_empty()).then(|| FieldError::invalid(path, value, wrong.join(",")))
}

fn has_status(version: &Value) -> bool {
    version["subresources"]["status"].is_object()
}

/// The versions as the server shows them, without what they have in common. Where their schemas
/// differ, the server shows those too.
fn show_versions(spec: &Value) -> String {
    let Some(versions) = spec["versions"].as_array() else {
        return "null".to_owned();
    };
    let shown: Vec<String> = versions
        .iter()
        .map(|version| {
            let warning = version["deprecationWarning"].as_str().map(quote);
            format!(
                "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\
                 \"DeprecationWarning\":{},\"Schema\":null,\"Subresources\":null,\
                 \"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
                quote(text(version, "name")),
                version["served"] == true,
                version["storage"] == true,
                version["deprecated"] == true,
                warning.as_deref().unwrap_or("null"),
            )
        })
        .collect();
    format!("[{}]", shown.join(","))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
