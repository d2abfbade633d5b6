//! The library on a real API server, garbage collector included.

mod deletion;
#[path = "../fixtures/mod.rs"]
mod fixtures;
