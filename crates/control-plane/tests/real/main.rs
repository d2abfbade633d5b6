//! The control plane itself, with the real binaries.

mod components;
mod nothing_remains;
mod starting;
mod users;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until something is true. The bound is for a machine under load; it costs nothing
/// elsewhere.
fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "still not so after 60 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
