//! Cascading deletion beyond `ownerReferences` for Kubernetes.

pub mod cascade;
pub mod hold;
pub mod names;
