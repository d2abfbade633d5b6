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
mod json;
#[allow(dead_code)]
mod openapi;
mod patch;
#[allow(dead_code)]
mod protobuf;
mod resource;
mod selector;
#[allow(dead_code)]
mod serve;
mod status;
#[allow(dead_code)]
mod table;
mod validate;

pub use status::Status;
