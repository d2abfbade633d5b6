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
//! # Modules
//! - [`envelope`], [`consumer`], [`source`]: the words between backends, the queue and those who act.
//! - [`queue`]: who is called, when, and again.
//! - [`memory`]: a source in memory. `conformance`: what every source must show.
//! - [`cascade`]: what is selected, planned and judged, and `CascadingDelete`, which deletes it.
//! - [`hold`]: the finalizer that keeps an upstream until its dependents are gone.
//! - [`mod@reference`]: finalizers that say "in use by", which a deletion waits for.
//! - [`reconcile`]: what a controller does for its objects, and when it takes them down.
//! - `kubernetes`: the source that watches one kind, and how calls fail.
//! - `lease`, `fence`: one of several processes works, and knows when it no longer may.
//! - [`clock`]: a wall clock, for what people read.
//! - [`object`], [`names`]: kinds, references to objects, and the grammars of names.
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
//! With Kubernetes, here on an in-memory API: when a Project of namespace `tenants` is deleted, the
//! Networks of all namespaces that carry its name in a label are deleted, and the Project goes
//! last. On a cluster, `client` is made from a `kube::Config` with `default_retry` false (the
//! queue tries again by itself), and the queue runs until Ctrl-C. What is not finished goes on at the
//! next start.
#![cfg_attr(feature = "kubernetes", doc = "```")]
#![cfg_attr(not(feature = "kubernetes"), doc = "```ignore")]
//! use kube_cascade::{
//!     CascadingDelete, Kind, Queue,
//!     cascade::{Hold, Scope, Selection, Upstream},
//!     hold::HoldName,
//!     kubernetes::{IdSource, KubernetesSource},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use http::Method;
//! # use serde_json::json;
//! # let server = kube_sim::ApiServer::new();
//! # let create = |path: &str, object: serde_json::Value| {
//! #     server.request(&Method::POST, path, &object)
//! # };
//! # for namespace in ["tenants", "region"] {
//! #     create("/api/v1/namespaces", json!({"metadata": {"name": namespace}}))?;
//! # }
//! # for (group, kind, plural) in [
//! #     ("identity.example.com", "Project", "projects"),
//! #     ("region.example.com", "Network", "networks"),
//! # ] {
//! #     create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json!({
//! #         "metadata": {"name": format!("{plural}.{group}")},
//! #         "spec": {
//! #             "group": group,
//! #             "names": {"kind": kind, "plural": plural},
//! #             "scope": "Namespaced",
//! #             "versions": [{
//! #                 "name": "v1", "served": true, "storage": true,
//! #                 "schema": {"openAPIV3Schema": {"type": "object"}},
//! #             }],
//! #         },
//! #     }))?;
//! # }
//! # let apollo = "/apis/identity.example.com/v1/namespaces/tenants/projects";
//! # create(apollo, json!({
//! #     "apiVersion": "identity.example.com/v1", "kind": "Project",
//! #     "metadata": {"name": "apollo"},
//! # }))?;
//! # create("/apis/region.example.com/v1/namespaces/region/networks", json!({
//! #     "apiVersion": "region.example.com/v1", "kind": "Network",
//! #     "metadata": {"name": "blue", "labels": {"example.com/project": "apollo"}},
//! # }))?;
//! let client = kube::Client::new(server.clone(), "default");
//!
//! let project = Kind::new("identity.example.com", "Project");
//! let network = Kind::new("region.example.com", "Network");
//! let hold = HoldName::new(&"default".parse()?, &"project".parse()?);
//! let projects = KubernetesSource::new(client.clone(), project.clone())
//!     .namespaces(["tenants"])
//!     .hold(hold.clone());
//! let upstream = Upstream::kubernetes(client.clone(), project, IdSource::Name);
//! let selection = Selection::label("example.com/project".parse()?, Scope::AllNamespaces);
//! let cascade =
//!     CascadingDelete::dynamic(client, network, upstream, selection).hold(Hold::Keep(hold));
//!
//! let queue = Queue::builder(projects).consumer(cascade).build()?;
//! # let found = || {
//! #     server.get("identity.example.com", "projects", Some("tenants"), "apollo")
//! # };
//! # let a_while = || tokio::time::sleep(std::time::Duration::from_millis(10));
//! # let story = async {
//! #     while found().is_some_and(|apollo| apollo["metadata"]["finalizers"].is_null()) {
//! #         a_while().await;
//! #     }
//! #     let path = format!("{apollo}/apollo");
//! #     server.request(&Method::DELETE, &path, &json!({})).expect("it is there");
//! #     while found().is_some() {
//! #         a_while().await;
//! #     }
//! # };
//! queue
//!     .run(async {
//!         // let _ = tokio::signal::ctrl_c().await;
//! #       story.await
//!     })
//!     .await?;
//! # assert!(server.objects("region.example.com", "networks").is_empty());
//! # Ok(())
//! # }
//! ```
//! Where several replicas run, `lease::Lease::while_held` wraps the queue. A consumer may also be called from a reconciler of one's own, with
//! [`Delivery::new`](consumer::Delivery::new).
//!
//! # Features
//! - `kubernetes` (default): everything that talks to a Kubernetes API server.
//! - `conformance`: the suite that says what a backend is, for the tests of backends.

pub mod cascade;
mod chain;
pub mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod consumer;
mod digest;
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
pub mod reconcile;
pub mod reference;
pub mod source;

#[cfg(feature = "kubernetes")]
pub use cascade::CascadingDelete;
pub use consumer::{ConsumeError, Consumer, Delivery, Outcome, ParkReason, Parked};
pub use envelope::{Envelope, InvalidResourceId, Key, ResourceId, State};
pub use object::{Kind, ObjectRef};
pub use queue::Queue;
pub use reference::{Reference, ReferenceStyle};
pub use source::{Feed, Malformed, Snapshot, Source, SourceError};
