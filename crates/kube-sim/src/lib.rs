//! Testing software that talks to a Kubernetes API, without a cluster and with every fault on
//! demand.
//!
//! So far the crate holds its [`fault`] layer: one set of rules that breaks API calls on purpose,
//! either under a client in the same process or as a reverse proxy in front of a real API server.

#[allow(dead_code)]
mod discovery;
mod document;
pub mod fault;
mod field;
#[allow(dead_code)]
mod openapi;
#[allow(dead_code)]
mod protobuf;
mod resource;
#[allow(dead_code)]
mod serve;
mod status;
#[allow(dead_code)]
mod table;
#[allow(dead_code)]
mod typed;

pub use status::Status;
