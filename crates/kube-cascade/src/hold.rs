//! The hold: our finalizer on the upstream, which keeps it until its dependents are gone.

#[cfg(feature = "kubernetes")]
mod finalizer;
mod name;

#[cfg(feature = "kubernetes")]
pub(crate) use finalizer::{Holder, Put};
pub use name::{HoldName, Installation, InvalidInstallation, InvalidRuleName, RuleName};
