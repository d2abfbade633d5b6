//! The library half of `kubectl-cascade`: rules, controller and command line.
//!
//! The binary is a thin shell around it, so that simulations can link all of it.

pub mod rules;
