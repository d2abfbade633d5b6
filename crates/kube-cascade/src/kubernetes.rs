//! What talks to a Kubernetes API server: kinds and their discovery, calls with a deadline and a
//! class for each failure, complete lists, and the [`KubernetesSource`].
//!
//! It does not decide and it does not delete: [`cascade`](crate::cascade) does.

mod call;
mod finalizer;
mod kind;
mod list;
mod object;
mod watch;

pub use call::{CallError, Class, Disposition};
pub(crate) use watch::HELD;
pub use watch::{IdSource, KubernetesSource};

pub(crate) use call::request;
pub(crate) use finalizer::{ATTEMPTS, Finalizer, Put, Removed};
pub(crate) use kind::{Kinds, Resource, get_path};
pub(crate) use list::{Query, list, probe};
pub(crate) use object::{Meta, Partial};
