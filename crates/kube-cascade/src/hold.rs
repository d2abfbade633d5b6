//! The hold: our finalizer on the upstream, which keeps it until its dependents are gone.

#[cfg(feature = "kubernetes")]
mod finalizer;
#[cfg(feature = "kubernetes")]
mod find;
mod name;

#[cfg(feature = "kubernetes")]
pub(crate) use finalizer::{Holder, Put};
#[cfg(feature = "kubernetes")]
pub use find::{Held, Search, find};
pub use name::{HoldName, Installation, InvalidInstallation, InvalidRuleName, RuleName};
