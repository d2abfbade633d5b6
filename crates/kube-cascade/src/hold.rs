//! The hold: our finalizer on the upstream, which keeps it until its dependents are gone.

mod name;

pub use name::{HoldName, Installation, InvalidInstallation, InvalidRuleName, RuleName};
