//! The controller, killed again and again on a real control plane.
//!
//! One test is one soak: `cargo xtask soak crash`, `failover-kill`, `failover-term` or `references`,
//! which kills operators, too. Each prints
//! its rounds, and in the end a line with its figures. `SOAK_ROUNDS` sets the number of rounds,
//! and `SOAK_SEED` repeats the choices of an earlier run; what the machine makes of them is never
//! quite the same.

#[path = "../../../kube-cascade/tests/fixtures/mod.rs"]
mod fixtures;
#[allow(dead_code, reason = "controllers in this process cannot be killed")]
#[path = "../real/rig.rs"]
mod rig;

mod crash;
mod failover;
mod history;
mod process;
mod references;

use std::{env, fmt::Debug, str::FromStr, time::Duration};

/// The number in an environment variable, or else a default.
fn from_environment<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{name}={text} is no number: {error:?}")),
        Err(_) => default,
    }
}

fn rounds(default: usize) -> usize {
    from_environment("SOAK_ROUNDS", default)
}

fn seed() -> u64 {
    from_environment("SOAK_SEED", rand::random())
}

/// The median and the longest, for the closing line.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) else {
        return "none".to_owned();
    };
    format!(
        "median {:.2} s, max {:.2} s",
        median.as_secs_f64(),
        longest.as_secs_f64()
    )
}
