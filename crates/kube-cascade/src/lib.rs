//! Cascading deletion beyond `ownerReferences` for Kubernetes.

pub mod cascade;
mod chain;
pub mod consumer;
pub mod envelope;
#[cfg(feature = "kubernetes")]
pub mod fence;
pub mod hold;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "kubernetes")]
pub mod lease;
pub mod memory;
pub mod names;
pub mod object;
pub mod queue;
pub mod source;

#[cfg(feature = "kubernetes")]
pub use cascade::CascadingDelete;
pub use consumer::{ConsumeError, Consumer, Delivery, Outcome, ParkReason, Parked};
pub use envelope::{Envelope, InvalidResourceId, Key, ResourceId, State};
pub use object::{Kind, ObjectRef};
pub use queue::Queue;
pub use source::{Feed, Malformed, Snapshot, Source, SourceError};
