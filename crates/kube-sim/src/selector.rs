//! Label and field selectors of list, watch and `deletecollection`.
//!
//! What a selector may say, and the text of each refusal, follow `k8s.io/apimachinery/pkg/labels`
//! and `k8s.io/apimachinery/pkg/fields`. Which labels an object has, and what its fields hold, is
//! the caller's to know.

mod field;
mod label;

pub(crate) use field::{FieldLabels, FieldSelector};
pub(crate) use label::LabelSelector;

#[cfg(test)]
mod tests;
