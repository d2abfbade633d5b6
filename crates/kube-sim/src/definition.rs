//! `CustomResourceDefinition`s: which are accepted, and what they define.
//!
//! A definition comes here in the shape of its type, with its names filled in
//! ([`fill_in`]). Storing it, establishing it and ending it is the server's affair.

mod rules;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::discovery::compare_versions;
use crate::field::FieldError;
use crate::resource::{Origin, Resource};
use crate::schema::{self, Schema};
use crate::strategy::{Custom, Schemas, Strategy};
use crate::validate::{self, NameRule};

/// One version of what a definition defines.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) resource: Resource,
    pub(crate) strategy: Strategy,
    /// Whether clients see it.
    pub(crate) served: bool,
}

/// Fills in what may be left out of a definition: names, and how versions are converted.
pub(crate) fn fill_in(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    let names = &mut spec["names"];
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    if names.is_object() && !kind.is_empty() {
        for (key, name) in [
            ("singular", kind.to_lowercase()),
            ("listKind", format!("{kind}List")),
        ] {
            if names[key].as_str().unwrap_or_default().is_empty() {
                names[key] = name.into();
            }
        }
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
}

/// What is wrong with a new definition.
pub(crate) fn create(definition: &Value) -> Vec<FieldError> {
    let stored = stored_versions(definition, &Value::Null);
    let mut content = rules::spec(definition);
    content.extend(rules::stored_versions(definition, &stored));
    content.extend(rules::approval(definition, None));
    content.extend(rules::preserves(definition));
    let name = qualified_name(definition);
    let rule = NameRule::Definition(&name);
    let errors = validate::create_named(definition, false, rule, content);
    if errors.is_empty() {
        return rules::unserved(definition);
    }
    errors
}

/// What is wrong with a definition that takes the place of another.
pub(crate) fn update(new: &Value, old: &Value) -> Vec<FieldError> {
    let stored = stored_versions(new, old);
    let mut content = rules::spec(new);
    content.extend(rules::immutable(new, old));
    content.extend(rules::stored_versions(new, &stored));
    content.extend(rules::approval(new, Some(old)));
    content.extend(rules::preserves(new));
    let errors = validate::update_custom(new, old, false, content);
    if errors.is_empty() {
        return rules::unserved(new);
    }
    errors
}

/// What the server warns of when a definition is written: formats that it does not know.
pub(crate) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let all = |definition: &Value| {
        let mut found = Vec::new();
        for version in versions_of(definition) {
            schema::warnings(schema_of(version), &mut found);
        }
        found
    };
    let mut known = old.map(all).unwrap_or_default();
    let mut found = all(new);
    found.retain(|warning| {
        let is_new = !known.contains(warning);
        known.push(warning.clone());
        is_new
    });
    found
}

/// Sets the status of a definition that is created.
pub(crate) fn begin(definition: &mut Value) {
    let stored = stored_versions(definition, &Value::Null);
    definition["status"] = json!({
        "conditions": null,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    });
}

/// `status.storedVersions` of a definition that takes the place of another, or of nothing.
pub(crate) fn stored_versions(new: &Value, old: &Value) -> Vec<String> {
    let stored = old
        .pointer("/status/storedVersions")
        .and_then(Value::as_array);
    let mut stored: Vec<String> = stored
        .into_iter()
        .flatten()
        .filter_map(|version| version.as_str().map(str::to_owned))
        .collect();
    let storage = versions_of(new).find(|version| version["storage"] == true);
    if let Some(name) = storage.and_then(|version| version["name"].as_str())
        && !stored.iter().any(|stored| stored == name)
    {
        stored.push(name.to_owned());
    }
    stored
}

/// What a definition defines; it has been found good.
pub(crate) fn versions(definition: &Value) -> Vec<Version> {
    let schemas: Schemas = versions_of(definition)
        .map(|version| {
            let name = version["name"].as_str().unwrap_or_default();
            let schema = Schema::compile(schema_of(version));
            (name.to_owned(), Arc::new(schema))
        })
        .collect();
    versions_of(definition)
        .map(|version| one_version(definition, version, &schemas))
        .collect()
}

/// What clients of a deprecated version are told: to use the one that is preferred among those
/// that are newer and not deprecated themselves, unless the definition has words of its own.
fn deprecation(definition: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(warning) = version["deprecationWarning"].as_str() {
        return Some(warning.to_owned());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (
        text(&definition["spec"]["group"]),
        text(&definition["spec"]["names"]["kind"]),
    );
    let name = text(&version["name"]);
    let newer = versions_of(definition)
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(|other| text(&other["name"]))
        .filter(|other| compare_versions(other, &name).is_lt())
        .min_by(|one, other| compare_versions(one, other));
    let advice = newer.map_or(String::new(), |newer| {
        format!("; use {group}/{newer} {kind}")
    });
    Some(format!("{group}/{name} {kind} is deprecated{advice}"))
}

fn one_version(definition: &Value, version: &Value, schemas: &Schemas) -> Version {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array();
        items.into_iter().flatten().map(text).collect()
    };
    let namespaced = spec["scope"] == "Namespaced";
    let mut fields = vec!["metadata.name".to_owned()];
    if namespaced {
        fields.push("metadata.namespace".to_owned());
    }
    let selectable = version["selectableFields"].as_array();
    fields.extend(selectable.into_iter().flatten().map(|field| {
        let path = text(&field["jsonPath"]);
        path.trim_start_matches('.').to_owned()
    }));
    let columns = version["additionalPrinterColumns"].as_array();
    let status = version["subresources"]["status"].is_object();
    Version {
        resource: Resource {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            kind: text(&names["kind"]),
            plural: text(&names["plural"]),
            singular: text(&names["singular"]),
            list_kind: text(&names["listKind"]),
            short_names: list(&names["shortNames"]),
            categories: list(&names["categories"]),
            namespaced,
            status,
            storage: qualified_name(definition).into(),
            origin: Origin::Definition {
                uid: text(&definition["metadata"]["uid"]).into(),
                name: text(&definition["metadata"]["name"]).into(),
            },
            deprecation: deprecation(definition, version),
            columns: columns.cloned().unwrap_or_default(),
        },
        strategy: Strategy::Custom(Custom {
            storage: version["storage"] == true,
            status,
            fields,
            version: text(&version["name"]),
            schemas: Arc::clone(schemas),
        }),
        served: version["served"] == true,
    }
}

/// The name that a definition must have.
fn qualified_name(definition: &Value) -> String {
    let spec = &definition["spec"];
    format!(
        "{}.{}",
        spec["names"]["plural"].as_str().unwrap_or_default(),
        spec["group"].as_str().unwrap_or_default()
    )
}

fn versions_of(definition: &Value) -> impl Iterator<Item = &Value> {
    let versions = definition["spec"]["versions"].as_array();
    versions.into_iter().flatten()
}

/// The schema of a version, null if there is none.
fn schema_of(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

#[cfg(test)]
mod tests;
