//! Starts a real etcd, kube-apiserver and kube-controller-manager on loopback, for tests and for
//! trying things out.
//!
//! [`ControlPlane::start`] takes a few seconds and leaves nothing behind, however its process
//! ends. [`shared`] is the one control plane that all tests of a test binary use. The binaries
//! come from [`Assets`]: built from their published Go modules once per machine.
//!
//! Every function here blocks. Asynchronous tests may call them directly where nothing else of
//! the runtime has to make progress meanwhile, and through `spawn_blocking` otherwise.
//!
//! What this crate deliberately does not do: talk to the API it starts. It links no Kubernetes
//! client; what little it has to ask, it asks through `kubectl`.
//!
//! # Tests that need the control plane
//!
//! They live in an integration test named `real`, which a package declares as
//!
//! ```toml
//! [[test]]
//! name = "real"
//! test = false
//! ```
//!
//! `test = false` keeps it out of a plain `cargo test`, and nothing else: clippy and
//! `cargo test --test real` still build it, with the very features of all other targets, so
//! that no dependency is ever built twice for its sake. Such a test does not look whether there
//! is a control plane: it starts one, and fails where that fails. `cargo xtask test` runs
//! everything.
//!
//! # Examples
//!
//! ```no_run
//! let control_plane = control_plane::ControlPlane::start()?;
//! let namespaces = control_plane.kubectl(["get", "namespaces"])?;
//! println!("{namespaces}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod assets;
mod cluster;
mod component;
mod credentials;
mod ports;
mod readiness;
mod reaper;
mod shared;

pub use assets::{Assets, AssetsError};
pub use cluster::{Builder, ControlError, ControlPlane, StartError};
pub use component::Component;
pub use credentials::User;
pub use shared::shared;
