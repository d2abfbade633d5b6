//! The conformance suite, and kube-sim compared with it, on a real control plane.

#[path = "../conformance/suite/mod.rs"]
mod on_the_real_server;

mod differential;
mod target;
