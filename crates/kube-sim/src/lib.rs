//! An in-memory Kubernetes API for tests, and every fault on demand.
//!
//! [`ApiServer`] answers as kube-apiserver 1.36 does, with its garbage collector and the
//! controllers of Namespaces and of CustomResourceDefinitions. The [`fault`] layer breaks API
//! calls on purpose: under a client in the same process, or as a reverse proxy in front of any
//! API server.

mod base64;
mod builtin;
mod clock;
mod controllers;
mod definition;
mod discovery;
mod document;
pub mod fault;
mod field;
mod json;
mod openapi;
mod patch;
mod protobuf;
mod random;
mod registry;
mod resource;
mod schema;
mod selector;
mod serve;
mod server;
mod shape;
mod status;
mod store;
mod strategy;
mod table;
mod validate;

pub use server::{ApiServer, Author, Builder, ResponseBody, Snapshot, View, Write};
pub use status::Status;
