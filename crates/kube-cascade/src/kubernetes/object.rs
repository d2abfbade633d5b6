//! What is read of an object: its metadata, and no more of that than decisions need.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::object::{Kind, ObjectRef};

/// The metadata of one object, as `PartialObjectMetadata` carries it.
///
/// `managedFields` and annotations are left on the wire: they are most of an object's metadata (980
/// bytes an object were measured, nearly all of it `managedFields`) and no decision needs them. They
/// also repeat the nesting of the object, which may be deeper than JSON is read here: one such object
/// would keep all of its kind from being listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) name: Arc<str>,
    #[serde(default)]
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) uid: Arc<str>,
    pub(crate) resource_version: Arc<str>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) finalizers: Vec<String>,
    #[serde(default)]
    pub(crate) deletion_timestamp: Option<jiff::Timestamp>,
}

impl Meta {
    pub(crate) fn terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    pub(crate) fn object_ref(&self, kind: &Kind) -> ObjectRef {
        ObjectRef::new(kind.clone(), self.namespace.clone(), self.name.clone())
    }
}

/// One object of a `PartialObjectMetadataList`, of a watch, or as the answer of a GET.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Partial {
    pub(crate) metadata: Meta,
}
