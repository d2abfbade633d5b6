//! One served resource: what discovery says about it, and how its objects are treated.

use std::sync::Arc;

use serde_json::Value;

/// A resource of one group and version.
///
/// Versions of one custom resource, and the two views of Events, are `Resource`s of their own that
/// share a [`storage`](Self::storage).
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The API group, empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether there is a `status` subresource; writes elsewhere then leave `status` alone.
    pub(crate) status: bool,
    /// Which collection the objects are kept in.
    pub(crate) storage: Arc<str>,
    /// Where the resource comes from.
    pub(crate) origin: Origin,
    /// What clients are warned of that still use this version.
    pub(crate) deprecation: Option<String>,
    /// `additionalPrinterColumns` as they stand in a definition, or as the server has them for
    /// what is built in.
    pub(crate) columns: Vec<Value>,
}

/// Where a resource comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Part of the server.
    BuiltIn,
    /// Defined by the `CustomResourceDefinition` with this UID.
    Definition {
        /// The UID of the definition.
        uid: Arc<str>,
        /// Its name, `plural.group`.
        name: Arc<str>,
    },
}

impl Resource {
    /// `group/version`, or the version alone in the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}
