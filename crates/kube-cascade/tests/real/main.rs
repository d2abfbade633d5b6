//! The library on a real API server, garbage collector included.

#![allow(
    clippy::large_futures,
    reason = "the future of a test is made once and stays where it is"
)]

mod batches;
mod conformance;
mod deleting;
mod embedding;
mod example;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod ground;
mod hold;
mod ids;
mod reading;
mod reconcile;
mod references;
mod resolving;
mod starting;
mod watching;
mod writers;
