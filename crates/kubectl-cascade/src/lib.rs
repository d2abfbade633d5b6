//! The library half of `kubectl-cascade`: rules, controller and command line.
//!
//! The binary is a thin shell around it, so that simulations can link all of it.

/// Writes a line to stderr, like `eprintln`, but where nobody reads it, or the disk is full, goes on.
macro_rules! tell {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

pub mod cli;
pub mod clusters;
pub mod controller;
pub mod demo;
pub mod events;
pub mod exit;
pub mod health;
pub mod installation;
pub mod logging;
pub mod metrics;
mod recent;
pub mod release;
pub mod rules;
pub mod run;
mod serve;
mod survey;
pub mod telemetry;
