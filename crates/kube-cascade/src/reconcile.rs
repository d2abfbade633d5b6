//! Deletion-ordered reconcile: an object is taken down only when nothing uses it any more.
//!
//! A controller that provisions something for its objects must not deprovision it while others
//! stand on it. Who uses an object says so by a *reference*, a finalizer on it; what the object
//! owns keeps it by the collector's finalizer; what belongs to it by label keeps it by a hold. So
//! everything that a decision needs is in the metadata of one object, and [`Order`] decides it
//! without a client:
//!
//! ```text
//! live         Adopt ─▶ Provision                                     own finalizer first
//! terminating  WaitForReferences ─▶ WaitForDependents ─▶ WaitForChildren
//!                ─▶ Deprovision ─▶ Finish                              own finalizer last
//! ```
//!
//! The API server lets nobody add a finalizer to an object that terminates (422), so that a
//! reference cannot appear once none is left. The collector's can: a second, foreground DELETE puts
//! it on. That is why what keeps the object is looked at once more before [`Step::Finish`].
//!
//! `Reconciler` (feature `kubernetes`) executes the steps, from within a controller of one's own or
//! as a [`Consumer`](crate::Consumer) of a [`Queue`](crate::Queue).

#[cfg(feature = "kubernetes")]
mod condition;
mod order;
#[cfg(feature = "kubernetes")]
mod runner;

pub use order::{InvalidFinalizer, Order, OwnFinalizer, Phase, Step, Work};
#[cfg(feature = "kubernetes")]
pub use runner::{Lifecycle, ReconcileError, Reconciler};
