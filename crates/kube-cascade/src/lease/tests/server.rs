//! Just enough of an API server: Leases of one namespace with `resourceVersion` checks, behind
//! links that fail in the ways networks do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{Method, Request, Response};
use k8s_openapi::jiff::{Timestamp, ToSpan as _};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;

#[derive(Clone, Default)]
pub(super) struct Server {
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    leases: BTreeMap<String, Value>,
    version: u64,
}

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Up,
    /// No request arrives, and none is answered.
    Stall,
    /// Writes arrive and are carried out, but never answered.
    LoseWriteAnswer,
    /// Everything is answered with this status.
    Fail(u16),
    /// Every write is answered with this status.
    FailWrites(u16),
    /// Every write takes this long to arrive.
    BeforeWrite(Duration),
}

/// One client's way to the server.
#[derive(Clone)]
pub(super) struct Link {
    server: Server,
    state: Arc<Mutex<LinkState>>,
}

struct LinkState {
    mode: Mode,
    hours_ahead: i64,
    requests: u32,
}

impl Link {
    pub(super) fn set(&self, mode: Mode) {
        self.state.lock().expect("no panic").mode = mode;
    }

    pub(super) fn set_clock_ahead(&self, hours: i64) {
        self.state.lock().expect("no panic").hours_ahead = hours;
    }

    pub(super) fn requests(&self) -> u32 {
        self.state.lock().expect("no panic").requests
    }

    pub(super) fn client(&self) -> Client {
        let link = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let link = link.clone();
            async move { Ok::<_, Infallible>(link.answer(request).await) }
        });
        Client::new(service, "ns")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (mode, hours_ahead) = {
            let mut state = self.state.lock().expect("no panic");
            state.requests += 1;
            (state.mode, state.hours_ahead)
        };
        let (head, body) = request.into_parts();
        let writes = head.method != Method::GET;
        match mode {
            Mode::Stall => return pending().await,
            Mode::Fail(code) => return status(code, "Injected"),
            Mode::FailWrites(code) if writes => return status(code, "Injected"),
            Mode::BeforeWrite(delay) if writes => sleep(delay).await,
            _ => {}
        }
        let body = body
            .collect_bytes()
            .await
            .expect("a request body is in memory");
        let mut sent = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if let Some(time) = sent.pointer_mut("/spec/renewTime") {
            let now: Timestamp = time.as_str().and_then(|t| t.parse().ok()).expect("a time");
            *time = json!((now + hours_ahead.hours()).to_string());
        }
        let answer = self.server.carry_out(&head.method, head.uri.path(), sent);
        if writes && matches!(mode, Mode::LoseWriteAnswer) {
            return pending().await;
        }
        answer
    }
}

impl Server {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn link(&self) -> Link {
        let state = LinkState {
            mode: Mode::Up,
            hours_ahead: 0,
            requests: 0,
        };
        Link {
            server: self.clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn lease(&self, name: &str) -> Value {
        self.store()
            .leases
            .get(name)
            .cloned()
            .expect("the Lease exists")
    }

    pub(super) fn holder(&self, name: &str) -> Option<String> {
        let store = self.store();
        store.leases.get(name)?["spec"]["holderIdentity"]
            .as_str()
            .map(str::to_owned)
    }

    pub(super) fn put(&self, name: &str, lease: &Value) {
        self.store().write(name, lease.clone());
    }

    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut lease = self.lease(name);
        edit(&mut lease);
        self.put(name, &lease);
    }

    pub(super) fn delete(&self, name: &str) {
        self.store().leases.remove(name).expect("the Lease exists");
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no panic")
    }

    fn carry_out(&self, method: &Method, path: &str, sent: Value) -> Response<Body> {
        const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
        let mut store = self.store();
        let rest = path
            .strip_prefix(COLLECTION)
            .expect("a path of Leases in ns");
        let name = rest.strip_prefix('/').or(sent["metadata"]["name"].as_str());
        let name = name.expect("a name").to_owned();
        let version = store
            .leases
            .get(&name)
            .map(|l| l["metadata"]["resourceVersion"].clone());
        match (method, version) {
            (&Method::GET, Some(_)) => respond(200, &store.leases[&name]),
            (&Method::POST, None) => {
                assert_eq!(sent["metadata"].get("resourceVersion"), None);
                store.write(&name, sent)
            }
            (&Method::POST, Some(_)) => status(409, "AlreadyExists"),
            (&Method::PUT, Some(version)) if sent["metadata"]["resourceVersion"] == version => {
                store.write(&name, sent)
            }
            // Also for a Lease that is gone: Kubernetes takes its UID for a precondition (1.36).
            (&Method::PUT, _) => status(409, "Conflict"),
            (&Method::GET, None) => status(404, "NotFound"),
            (method, _) => panic!("{method} is not what a contender does"),
        }
    }
}

impl Store {
    fn write(&mut self, name: &str, mut lease: Value) -> Response<Body> {
        self.version += 1;
        lease["metadata"]["name"] = json!(name);
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let answer = respond(200, &lease);
        self.leases.insert(name.to_owned(), lease);
        answer
    }
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "as the test wants it", "reason": reason, "code": code,
    });
    respond(code, &status)
}

fn respond(code: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string().into_bytes()))
        .expect("a valid response")
}
