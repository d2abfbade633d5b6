//! What the server asks of an object's metadata, whatever its kind.
//!
//! Rules and wording follow `k8s.io/apimachinery/pkg/api/validation` and
//! `k8s.io/apimachinery/pkg/util/validation`.

pub(crate) mod name;

use serde_json::{Map, Value};

use crate::field::FieldError;

/// Placeholder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NameRule {
    DnsLabel,
    DnsSubdomain,
}

pub(crate) fn metadata(
    _metadata: &Map<String, Value>,
    _namespaced: bool,
    _rule: NameRule,
) -> Vec<FieldError> {
    Vec::new()
}

pub(crate) fn metadata_update(
    _new: &Map<String, Value>,
    _old: &Map<String, Value>,
) -> Vec<FieldError> {
    Vec::new()
}
