//! The whole controller on an in-memory Kubernetes API, with a paused clock and a seed.
//!
//! One seed makes up a world, what its people do, what goes wrong and when the controller is
//! killed; an oracle inside the API judges every write. The same seed makes the same run, to the
//! last byte of its trace. Run by `cargo xtask sim`.

pub mod actors;
pub mod dice;
pub mod faults;
pub mod line;
pub mod oracle;
pub mod report;
pub mod schedule;
pub mod trace;
pub mod truth;
pub mod world;
