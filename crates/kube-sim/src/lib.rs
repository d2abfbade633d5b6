//! An in-memory Kubernetes API for tests, and every fault on demand.
//!
//! [`ApiServer`] answers as kube-apiserver 1.36 does, with its garbage collector and the
//! controllers of Namespaces and of definitions. The [`fault`] layer breaks API
//! calls on purpose: under a client in the same process, or as a reverse proxy in front of any
//! API server.
//!
//! How an operator is tested with it is in [testing-operators.md].
//!
//! # Examples
//! ```
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::{Api, Client, ResourceExt, api::PostParams};
//! use kube_sim::ApiServer;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::new();
//! let client = Client::new(server.clone(), "default");
//!
//! let maps: Api<ConfigMap> = Api::default_namespaced(client);
//! let map = serde_json::from_value(json!({"metadata": {"generateName": "blue-"}}))?;
//! let map = maps.create(&PostParams::default(), &map).await?;
//! assert!(map.name_any().starts_with("blue-"));
//!
//! // A replacement that is out of date is a conflict.
//! let mut old = map.clone();
//! old.metadata.resource_version = Some("1".to_owned());
//! let conflict = maps.replace(&map.name_any(), &PostParams::default(), &old).await;
//! assert!(matches!(conflict, Err(kube::Error::Api(status)) if status.code == 409));
//!
//! // The truth, without a request.
//! assert_eq!(server.objects("", "configmaps").len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Differences from kube-apiserver
//! What is not here is refused and never guessed at. One suite of tests runs on this and on a real
//! server, and both are compared on random sequences of requests.
//!
//! | what | here |
//! |---|---|
//! | kinds | Namespaces, `ConfigMaps`, Secrets, `ServiceAccounts`, Events (both groups), Leases, definitions; all others by their definition |
//! | authentication, RBAC | none: every request is allowed; there are no access reviews to ask, so `kubectl auth` fails |
//! | admission | only what Namespaces need: nothing is created in one that is missing or terminating; no webhooks, no policies, no quota |
//! | server-side apply | refused (415); objects have no `managedFields` |
//! | pruning | `kubectl apply --prune` asks for kinds that are not here, unless `--prune-allowlist` names those that are |
//! | formats | JSON; of protobuf only the bodies with which kubectl creates built-in kinds |
//! | definitions | what of a schema is not evaluated has the definition refused (CEL rules, combined validations, some formats and patterns), and so has the scale subresource; no conversion webhooks |
//! | JSON patches | what one moves deeper counts among the 3 MiB that it may copy |
//! | patterns | why one is refused is not always said in Go's words; those that are longer than 8 KiB, or take more than 1 MiB, are not evaluated |
//! | sizes | etcd's limit of 1.5 MiB holds for an object as JSON, without `managedFields` |
//! | nesting | JSON that is nested more than 127 deep is refused, in a body and by what a patch makes of an object |
//! | `pretty`, `timeout`, `fieldManager` | the first two are ignored, the last is only checked: JSON comes on one line, no request is cut off, and nobody owns a field |
//! | controllers | garbage collector, Namespaces, definitions; nobody makes default `ServiceAccounts` or root certificates, or lets Events expire |
//! | when controllers work | by default before the next request, see [`Builder::controller_delay`] |
//! | what moves a version | the content; a write that only changes who owns a field moves none |
//! | faults in metadata | in one order; kube-apiserver goes through maps in any |
//! | versions of objects | one sequence over everything, as of an etcd of its own |
//! | OpenAPI | v3 in JSON as far as kubectl asks for it, without descriptions; v2 is empty |
//! | discovery | no `storageVersionHash`, no addresses of servers |
//! | health | `/healthz`, `/livez` and `/readyz` as a whole, without their checks |
//!
//! [testing-operators.md]: https://github.com/kube-cascade/kube-cascade/blob/main/docs/testing-operators.md

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
