//! Testing software that talks to a Kubernetes API, without a cluster and with every fault on
//! demand.
//!
//! So far the crate holds its [`fault`] layer: one set of rules that breaks API calls on purpose,
//! either under a client in the same process or as a reverse proxy in front of a real API server.

mod definition;
pub mod fault;
mod field;
mod json;
mod patch;
mod resource;
mod schema;
mod selector;
mod shape;
mod status;
mod validate;

pub use status::Status;
