//! Breaks Kubernetes API calls on purpose, and remembers every call.
//!
//! A [`Faults`] handle holds rules. A [`Rule`] says which calls it concerns ([`Match`]), what
//! happens to them ([`Action`]) and how often. The same handle works in two places:
//!
//! - [`FaultLayer`] is a [`tower::Layer`] under a client in the same process, for instance under
//!   `kube::Client`. There is no socket, so tokio's paused time works.
//! - [`FaultProxy`] is a reverse proxy on a loopback port, for clients in other processes and for
//!   real connection resets.
//!
//! Everything that passes is kept by the [`Recorder`], and a [`Gate`] holds a call until the test
//! has changed the world behind its back. Nothing here needs a sleep.
//!
//! This module knows the shape of Kubernetes requests, not their meaning: it stores no objects
//! and judges no request.
//!
//! # How rules are applied
//!
//! When a call arrives, the rules are looked at in the order in which they were added. Each rule
//! that matches counts the call, and takes part if it is due ([`Rule::first`], [`Rule::nth`], …).
//! The first rule that *decides the fate* of the call ([`Action::answer`], the resets,
//! [`Action::stall`]) ends the walk, so later rules neither count nor see it. Hence two rules
//! "first one: 500" and "first one: 504" hit the first and the second call. What takes part is
//! then carried out in the order of the rules: everything before the call is forwarded, the
//! forwarding, everything after it, and last what changes the body of the answer.
//!
//! # Determinism
//!
//! Arrivals are numbered and counted under one lock, predicates included: a predicate must not
//! call back into the [`Faults`] it is part of. Chance comes from the seed ([`Faults::seeded`]),
//! with a sequence of its own for each rule. Time is tokio's.
//!
//! # Examples
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use kube_sim::fault::{Action, Answer, Faults, Gate, Match, Rule, Verb};
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower::BoxError> {
//! // Stands for the API server; a `kube::Client` would be built on top in the same way.
//! let server = tower::service_fn(|_: Request<Full<Bytes>>| async {
//!     Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from("{}"))))
//! });
//! let faults = Faults::new();
//! let service = faults.layer().layer(server);
//!
//! // The first DELETE is answered 429, the second one waits at a gate.
//! let deletes = Match::verb(Verb::Delete).resource("networks");
//! let busy = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(32);
//! let gate = Gate::new();
//! let throttled = faults.add(Rule::new(deletes.clone(), Action::answer(busy)).first(1));
//! faults.add(Rule::new(deletes.clone(), Action::gate(&gate)));
//!
//! let delete = || Request::delete("/apis/region.example.com/v1/namespaces/region/networks/blue")
//!     .body(Full::new(Bytes::from(r#"{"preconditions":{"uid":"1"}}"#)));
//! let first = service.clone().oneshot(delete()?).await?;
//! assert_eq!(first.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(throttled.fired(), 1);
//!
//! let second = tokio::spawn(service.oneshot(delete()?));
//! let held = gate.arrived().await;
//! // ... the call has not reached the server yet: change what it is about ...
//! held.release();
//! assert_eq!(second.await??.status(), StatusCode::OK);
//!
//! let sent = faults.recorder().deletes();
//! assert_eq!(sent.len(), 2);
//! assert!(sent.iter().all(|delete| delete.call().json()["preconditions"]["uid"] == "1"));
//! # Ok(())
//! # }
//! ```

mod action;
mod answer;
mod body;
mod call;
mod faults;
mod gate;
mod layer;
mod link;
mod matcher;
mod proxy;
mod record;
mod rule;

pub use action::Action;
pub use answer::Answer;
pub use body::FaultBody;
pub use call::{Call, Verb};
pub(crate) use call::{Target, is_escaped, parameters, verb};
pub use faults::Faults;
pub use gate::{Gate, Held};
pub use layer::{FaultLayer, FaultService};
pub use matcher::Match;
pub use proxy::FaultProxy;
pub use record::{Outcome, Recorded, Recorder};
pub use rule::{ArmedRule, Rule};
