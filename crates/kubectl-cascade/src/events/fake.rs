//! Just enough of an API server for Events: it keeps them, refuses what the real one was seen to
//! refuse, and fails in the ways a test wants.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: BTreeMap<(String, String), Value>,
    mode: Mode,
    writes: usize,
}

/// How the server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mode {
    #[default]
    Up,
    /// Nothing is ever answered.
    Stall,
    /// Events are forbidden, as in a namespace that terminates.
    Forbid,
    /// Only discovery fails.
    NoDiscovery,
}

impl Server {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// Every Event, by namespace and name.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.values().cloned().collect()
    }

    /// The reason and the note of each Event, sorted.
    pub(crate) fn notes(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let events = self.events();
        let notes = events
            .iter()
            .map(|e| (text(&e["reason"]), text(&e["note"])));
        let mut notes: Vec<_> = notes.collect();
        notes.sort();
        notes
    }

    /// How many writes arrived, answered or not.
    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }

    /// All Events reach the end of their life.
    pub(crate) fn expire(&self) {
        self.state().events.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("it is in memory");
        let sent = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let mode = self.state().mode;
        self.state().writes += usize::from(head.method != Method::GET);
        match mode {
            Mode::Stall => pending().await,
            Mode::Forbid if head.method != Method::GET => status(403, "Forbidden"),
            Mode::NoDiscovery if head.method == Method::GET => status(503, "ServiceUnavailable"),
            _ => self.carry_out(&head.method, head.uri.path(), sent),
        }
    }

    fn carry_out(&self, method: &Method, path: &str, sent: Value) -> Response<Body> {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match (method, &parts[..]) {
            (&Method::GET, ["apis"]) => groups(),
            (&Method::GET, ["apis", "identity.example.com", "v1"]) => resources(),
            (
                &Method::POST,
                [
                    "apis",
                    "events.k8s.io",
                    "v1",
                    "namespaces",
                    namespace,
                    "events",
                ],
            ) => self.create(namespace, sent),
            (
                &Method::PATCH,
                [
                    "apis",
                    "events.k8s.io",
                    "v1",
                    "namespaces",
                    namespace,
                    "events",
                    name,
                ],
            ) => self.patch(namespace, name, &sent),
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn create(&self, namespace: &str, sent: Value) -> Response<Body> {
        let name = sent["metadata"]["name"].as_str().expect("a name");
        let subdomain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(name.len() <= 253 && name.chars().all(subdomain), "{name}");
        let regarding = sent["regarding"]["namespace"].as_str();
        let required = [
            "action",
            "reason",
            "reportingController",
            "eventTime",
            "type",
        ];
        let present = |field: &&str| sent[field].as_str().is_some_and(|text| !text.is_empty());
        let instance = sent["reportingInstance"].as_str().unwrap_or_default();
        let valid = required.iter().all(present)
            && regarding.unwrap_or("default") == namespace
            && (1..=128).contains(&instance.len())
            && sent["note"].as_str().is_none_or(|note| note.len() <= 1024);
        if !valid {
            return status(422, "Invalid");
        }
        let key = (namespace.to_owned(), name.to_owned());
        let answer = respond(201, &sent);
        let before = self.state().events.insert(key, sent);
        assert_eq!(before, None, "a name is used once");
        answer
    }

    fn patch(&self, namespace: &str, name: &str, sent: &Value) -> Response<Body> {
        let mut state = self.state();
        let key = (namespace.to_owned(), name.to_owned());
        let Some(event) = state.events.get_mut(&key) else {
            return status(404, "NotFound");
        };
        if sent["series"]["count"].as_i64() < Some(2) {
            return status(422, "Invalid");
        }
        event["series"] = sent["series"].clone();
        respond(200, event)
    }
}

fn groups() -> Response<Body> {
    let version = json!({ "groupVersion": "identity.example.com/v1", "version": "v1" });
    let group = json!({
        "name": "identity.example.com", "versions": [version], "preferredVersion": version,
    });
    respond(200, &json!({ "groups": [group] }))
}

fn resources() -> Response<Body> {
    let project = json!({
        "name": "projects", "singularName": "project", "namespaced": true, "kind": "Project",
        "verbs": ["get", "list", "watch"],
    });
    respond(
        200,
        &json!({ "groupVersion": "identity.example.com/v1", "resources": [project] }),
    )
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
