//! Cascading deletion beyond `ownerReferences` for Kubernetes.

mod chain;
pub mod consumer;
pub mod envelope;
pub mod memory;
pub mod queue;
pub mod source;

pub use consumer::{ConsumeError, Consumer, Delivery, Outcome, ParkReason, Parked};
pub use envelope::{Envelope, InvalidResourceId, Key, ResourceId, State};
pub use queue::Queue;
pub use source::{Feed, Malformed, Snapshot, Source, SourceError};
