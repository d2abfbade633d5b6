//! The library on a real API server, garbage collector included.

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
mod starting;
mod watching;
