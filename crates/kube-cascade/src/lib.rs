//! Cascading deletion beyond `ownerReferences` for Kubernetes.
//!
//! The cluster's garbage collector follows owner references: within one namespace, within one
//! cluster. Where a resource (the *upstream*) is used by resources of other services, in other
//! namespaces or clusters, tied to it by a label that carries its ID, this crate carries the
//! deletion on.
//!
//! A [`Source`] says what it sees of upstreams, as hints. A [`Queue`] delivers them to
//! [`Consumer`]s, again and again until each is done with each of them: it replays everything at
//! each start, retries without an end, and keeps at most one [`Envelope`] per key, so that it needs
//! no storage and no acknowledgements. None of that needs Kubernetes, and none of it is built with
//! a Kubernetes client: this is what `default-features = false` leaves. What backends of other
//! systems must show is in the `conformance` module (feature `conformance`).
//!
//! # Examples
//! A consumer on the [in-memory source](memory), until there is nothing left to do:
//! ```
//! use kube_cascade::{
//!     ConsumeError, Consumer, Delivery, Envelope, Outcome, Queue, State, memory::MemoryStore,
//! };
//! use std::time::SystemTime;
//!
//! struct Goodbye;
//!
//! impl Consumer for Goodbye {
//!     fn name(&self) -> &str {
//!         "goodbye"
//!     }
//!
//!     async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
//!         if let State::Terminating { .. } = delivery.envelope().state() {
//!             println!("goodbye, {}", delivery.envelope().key());
//!         }
//!         Ok(Outcome::Done)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! store.put(Envelope::new("project-1".parse()?, Some(SystemTime::now())));
//!
//! let queue = Queue::builder(store.source()).consumer(Goodbye).build()?;
//! let monitor = queue.monitor();
//! queue
//!     .run(async {
//!         monitor.until(|stats| stats.snapshots() > 0 && stats.pending() == 0).await;
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `kubernetes` (default): everything that talks to a Kubernetes API server.
//! - `conformance`: the suite that says what a backend is, for the tests of backends.

pub mod cascade;
mod chain;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
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
