//! The library half of `kubectl-cascade`: rules, controller and command line.
//!
//! The binary is a thin shell around it, so that simulations can link all of it.

pub mod cli;
pub mod controller;
pub mod exit;
pub mod logging;
pub mod release;
pub mod rules;
