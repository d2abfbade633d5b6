//! The resources that are there from the beginning. Everything else arrives as a definition.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    registry::{Registry, Served},
    resource::{Origin, Resource},
    shape::{self, Struct},
    strategy::{Plain, Strategy},
    validate::EventGroup,
};

/// Where Namespaces are kept.
pub(crate) const NAMESPACES: &str = "namespaces";
/// Where Events are kept, through whichever group they are seen.
const EVENTS: &str = "events";
/// Where definitions are kept.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// The Namespaces that are there from the beginning.
pub(crate) const SYSTEM_NAMESPACES: [&str; 4] =
    ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The type that the server has of this name, if it has one here.
///
/// Not those of definitions, which another part of the server knows.
pub(crate) fn shape(group: &str, version: &str, kind: &str) -> Option<&'static Struct> {
    Some(match (group, version, kind) {
        ("", "v1", "ConfigMap") => &shape::CONFIG_MAP,
        ("", "v1", "Event") => &shape::EVENT,
        ("", "v1", "Namespace") => &shape::NAMESPACE,
        ("", "v1", "Secret") => &shape::SECRET,
        ("", "v1", "ServiceAccount") => &shape::SERVICE_ACCOUNT,
        ("coordination.k8s.io", "v1", "Lease") => &shape::LEASE,
        ("events.k8s.io", "v1", "Event") => &shape::EVENTS_EVENT,
        _ => return None,
    })
}

struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    status: bool,
    storage: &'static str,
    strategy: Strategy,
}

impl Row {
    fn core(kind: &'static str, plural: &'static str, strategy: Strategy) -> Self {
        Self {
            group: "",
            version: "v1",
            kind,
            plural,
            short_names: &[],
            categories: &[],
            namespaced: true,
            status: false,
            storage: plural,
            strategy,
        }
    }

    fn resource(&self) -> Resource {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Resource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            list_kind: format!("{}List", self.kind),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            status: self.status,
            storage: Arc::from(self.storage),
            origin: Origin::BuiltIn,
            deprecation: None,
            columns: Vec::<Value>::new(),
        }
    }
}

/// All of them.
pub(crate) fn registry() -> Registry {
    let rows = [
        Row {
            short_names: &["cm"],
            ..Row::core("ConfigMap", "configmaps", Strategy::Plain(Plain::ConfigMap))
        },
        Row::core("Secret", "secrets", Strategy::Plain(Plain::Secret)),
        Row {
            short_names: &["sa"],
            ..Row::core(
                "ServiceAccount",
                "serviceaccounts",
                Strategy::Plain(Plain::ServiceAccount),
            )
        },
        Row {
            short_names: &["ns"],
            namespaced: false,
            status: true,
            ..Row::core("Namespace", NAMESPACES, Strategy::Namespace)
        },
        Row {
            short_names: &["ev"],
            ..Row::core("Event", EVENTS, Strategy::Event(EventGroup::Core))
        },
        Row {
            group: "events.k8s.io",
            short_names: &["ev"],
            ..Row::core("Event", EVENTS, Strategy::Event(EventGroup::Events))
        },
        Row {
            group: "coordination.k8s.io",
            storage: "leases.coordination.k8s.io",
            ..Row::core("Lease", "leases", Strategy::Plain(Plain::Lease))
        },
        Row {
            group: "apiextensions.k8s.io",
            short_names: &["crd", "crds"],
            categories: &["api-extensions"],
            namespaced: false,
            status: true,
            storage: DEFINITIONS,
            ..Row::core(
                "CustomResourceDefinition",
                "customresourcedefinitions",
                Strategy::Definition,
            )
        },
    ];
    let mut registry = Registry::default();
    for row in rows {
        let resource = row.resource();
        registry.insert(Served::new(resource, row.strategy, 0));
    }
    registry
}
