//! Placeholder.
use std::sync::Arc;

use serde_json::Value;

use crate::{
    field::FieldError,
    resource::{Origin, Resource},
    strategy::{Custom, Strategy},
};

pub(crate) struct Version {
    pub(crate) resource: Resource,
    pub(crate) strategy: Strategy,
    pub(crate) served: bool,
}

pub(crate) fn versions(crd: &Value) -> Result<Vec<Version>, Vec<FieldError>> {
    let spec = &crd["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let list = |value: &Value| -> Vec<String> {
        let list = value.as_array();
        list.into_iter().flatten().map(text).collect()
    };
    let (group, kind, plural) = (
        text(&spec["group"]),
        text(&names["kind"]),
        text(&names["plural"]),
    );
    let or = |value: String, other: String| if value.is_empty() { other } else { value };
    let versions = spec["versions"].as_array();
    Ok(versions
        .into_iter()
        .flatten()
        .map(|version| {
            let status = !version["subresources"]["status"].is_null();
            Version {
                resource: Resource {
                    group: group.clone(),
                    version: text(&version["name"]),
                    kind: kind.clone(),
                    plural: plural.clone(),
                    singular: or(text(&names["singular"]), kind.to_lowercase()),
                    list_kind: or(text(&names["listKind"]), format!("{kind}List")),
                    short_names: list(&names["shortNames"]),
                    categories: list(&names["categories"]),
                    namespaced: spec["scope"] == "Namespaced",
                    status,
                    storage: format!("{plural}.{group}").into(),
                    origin: Origin::Definition {
                        uid: Arc::from(text(&crd["metadata"]["uid"])),
                        name: Arc::from(text(&crd["metadata"]["name"])),
                    },
                    columns: Vec::new(),
                },
                strategy: Strategy::Custom(Custom {
                    storage: version["storage"] == true,
                    status,
                    fields: if spec["scope"] == "Namespaced" {
                        crate::strategy::fields(&[])
                    } else {
                        vec!["metadata.name".to_owned()]
                    },
                }),
                served: version["served"] == true,
            }
        })
        .collect())
}
