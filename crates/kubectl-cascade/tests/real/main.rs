//! The controller on a real control plane.
//!
//! `cargo xtask test` runs these; they fail where there is no control plane.

#[path = "../../../kube-cascade/tests/fixtures/mod.rs"]
mod fixtures;
mod rig;

mod definitions;
mod holds;
mod lifecycle;
mod main_job;
mod refusals;
