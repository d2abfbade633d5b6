//! One of the two servers, as a sequence sees it: what it answers, with everything that may differ
//! replaced by a name for it.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Map, Value, json};

use super::{
    names::Names,
    step::{Memory, Step},
};
use crate::on_the_real_server::world::unique;

/// A server with the two namespaces of one sequence.
pub(crate) struct Side {
    client: Client,
    namespaces: [String; 2],
    memory: Memory,
    names: Names,
    has_owners_of_fields: bool,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) code: u16,
    pub(super) content_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) body: Value,
}

/// All objects of one kind in one namespace.
pub(crate) struct Objects(Reply);

/// How many namespaces a sequence has.
pub(crate) const NAMESPACES: usize = 2;

/// The kinds that sequences are about, with the paths of their collections.
pub(crate) const COLLECTIONS: [(&str, &str); 2] = [
    ("configmaps", "/api/v1/namespaces/$N/configmaps"),
    (
        "widgets",
        "/apis/conformance.example.com/v1/namespaces/$N/widgets",
    ),
];

impl Side {
    pub(crate) async fn new(client: Client) -> Self {
        let namespaces = [unique("differential"), unique("differential")];
        let mut side = Self {
            client,
            names: Names::new(&namespaces),
            namespaces,
            memory: Memory::default(),
            has_owners_of_fields: false,
        };
        for namespace in side.namespaces.clone() {
            let body = json!({"metadata": {"name": namespace}});
            let create = Step::new(Method::POST, "/api/v1/namespaces").body(body);
            let created = side.send(&create).await;
            assert_eq!(created.code, 201, "{created:?}");
            side.memory.start = version(&created.body);
        }
        side
    }

    /// A server on which a write that only changes who owns a field is an event, and one that is
    /// not looked at: kube-sim has no such owners.
    pub(crate) fn with_owners_of_fields(mut self) -> Self {
        self.has_owners_of_fields = true;
        self
    }

    /// Sends a request and remembers what it shows.
    pub(crate) async fn step(&mut self, step: &Step) -> Value {
        let reply = self.send(step).await;
        self.remember(&reply.body);
        if let Some(token) = reply.body["metadata"]["continue"].as_str() {
            let path = step.path.split('?').next().unwrap_or_default();
            self.memory.see_token(path, token);
        }
        self.names.commit(&reply)
    }

    /// The objects of one kind in one namespace.
    pub(crate) async fn objects(&self, index: usize, path: &str) -> Objects {
        let path = path.replace("$N", &format!("${index}"));
        Objects(self.send(&Step::new(Method::GET, path)).await)
    }

    /// The objects without their versions.
    pub(crate) fn peek(&self, objects: &Objects) -> Value {
        self.names.peek(&objects.0)["body"]["items"].take()
    }

    /// The objects with their versions, which are remembered.
    pub(crate) fn commit(&mut self, objects: &Objects) -> Value {
        self.remember(&objects.0.body);
        self.names.commit(&objects.0)["body"]["items"].take()
    }

    /// What a watch since the beginning has to say of each object, once a marker is created.
    pub(crate) async fn watch(&mut self, watch: &str) -> Value {
        let (collection, query) = watch.split_once('?').unwrap_or((watch, ""));
        let (index, plural) = collection.split_once('/').expect("N/plural");
        let path = COLLECTIONS.iter().find(|(name, _)| *name == plural);
        let path = path.expect("it is one of them").1;
        let path = path.replace("$N", &format!("${index}"));
        let path = self.memory.fill(&path, &self.namespaces);
        // It has all labels and names that are selected.
        let marker = self.marker(&path, query).await;
        let query = format!("watch=true&resourceVersion={}&{query}", self.memory.start);
        let request = Request::get(format!("{path}?{query}")).body(Body::empty());
        let request = request.expect("it is a path");
        let response = self.client.send(request).await.expect("it answers");
        let mut body = response.into_body();
        let (mut unread, mut events) = (Vec::new(), Map::new());
        loop {
            // A server that is told of much else meanwhile may not know the beginning any more.
            let Some(frame) = body.frame().await else {
                return Value::Null;
            };
            let data = frame.expect("it is whole").into_data();
            unread.extend_from_slice(&data.expect("there are no trailers"));
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).expect("an event");
                let object = &event["object"];
                if event["type"] == "ERROR" {
                    return Value::Null;
                }
                if object["metadata"]["annotations"]["marker"] == marker.as_str() {
                    return Value::Object(events);
                }
                let reply = Reply::bare(object.clone());
                let shown = json!([event["type"], self.names.peek(&reply)["body"]]);
                let name = shown[1]["metadata"]["name"].as_str().unwrap_or("?");
                if name.starts_with("marker-") {
                    continue;
                }
                let of_object = events.entry(name).or_insert_with(|| json!([]));
                let of_object = of_object.as_array_mut().expect("a list");
                let is_write = shown[0] != "MODIFIED"
                    || of_object.last().is_none_or(|last| last[1] != shown[1]);
                if is_write || !self.has_owners_of_fields {
                    of_object.push(shown);
                }
            }
        }
    }

    async fn marker(&mut self, path: &str, query: &str) -> String {
        let marker = unique("marker");
        let name = if query.contains("metadata.name") {
            // An object of that name is changed instead.
            let change = json!({"metadata": {"annotations": {"marker": marker}}});
            let step = Step::new(Method::PATCH, format!("{path}/a"));
            let step = step
                .content_type("application/merge-patch+json")
                .body(change);
            if self.send(&step).await.code == 200 {
                return marker;
            }
            "a".to_owned()
        } else {
            marker.clone()
        };
        let kind = if path.starts_with("/api/") {
            json!({"apiVersion": "v1", "kind": "ConfigMap"})
        } else {
            json!({"apiVersion": "conformance.example.com/v1", "kind": "Widget"})
        };
        let mut object = kind;
        object["metadata"] = json!({
            "name": name,
            "labels": {"k": "1"},
            "annotations": {"marker": marker},
        });
        let step = Step::new(Method::POST, path).body(object);
        let created = self.send(&step).await;
        assert_eq!(created.code, 201, "{created:?}");
        marker
    }

    /// Waits until the collector has seen what was written before.
    pub(crate) async fn catch_up(&mut self, plurals: &[&str]) {
        for (plural, path) in COLLECTIONS {
            if !plurals.contains(&plural) {
                continue;
            }
            let name = unique("canary");
            let collection = path.replace("$N", "default");
            let kind = if plural == "configmaps" {
                json!({"apiVersion": "v1", "kind": "ConfigMap"})
            } else {
                json!({"apiVersion": "conformance.example.com/v1", "kind": "Widget"})
            };
            let mut object = kind;
            let owner = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name,
            });
            object["metadata"] = json!({"name": name, "ownerReferences": [owner]});
            let created = self
                .send(&Step::new(Method::POST, &collection).body(object))
                .await;
            assert_eq!(created.code, 201, "{created:?}");
            let get = Step::new(Method::GET, format!("{collection}/{name}"));
            while self.send(&get).await.code != 404 {
                tokio::time::sleep(super::PAUSE).await;
            }
        }
    }

    async fn send(&self, step: &Step) -> Reply {
        let path = self.memory.fill(&step.path, &self.namespaces);
        let body = self.memory.fill(&step.body_text(), &self.namespaces);
        let mut request = Request::builder().method(step.method.clone()).uri(&path);
        let accept = step.accept.as_deref().unwrap_or("application/json");
        request = request.header(header::ACCEPT, accept);
        if step.body.is_some() {
            let content_type = step.content_type.as_deref().unwrap_or("application/json");
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(Bytes::from(body)));
        let request = request.unwrap_or_else(|error| panic!("{path}: {error}"));
        let response = self.client.send(request).await;
        let (head, body) = response
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .into_parts();
        let bytes = body.collect().await.expect("it is whole").to_bytes();
        let text_of = |name: header::HeaderName| -> Vec<String> {
            let values = head.headers.get_all(name).iter();
            values
                .map(|value| value.to_str().unwrap_or_default().to_owned())
                .collect()
        };
        Reply {
            code: head.status.as_u16(),
            content_type: text_of(header::CONTENT_TYPE).join(", "),
            warnings: text_of(header::WARNING),
            body: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()),
        }
    }

    fn remember(&mut self, body: &Value) {
        if let Some(items) = body["items"].as_array() {
            let plural = match body["kind"].as_str() {
                Some("ConfigMapList") => "configmaps",
                Some("WidgetList") => "widgets",
                _ => return,
            };
            for item in items {
                self.see(plural, item);
            }
            return;
        }
        match body["kind"].as_str() {
            Some("ConfigMap") => self.see("configmaps", body),
            Some("Widget") => self.see("widgets", body),
            _ => {}
        }
    }

    fn see(&mut self, plural: &str, object: &Value) {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        let namespace = text("namespace");
        let index = self.namespaces.iter().position(|name| name == namespace);
        // A dry run shows a UID that nothing has.
        if let (Some(index), false) = (index, text("resourceVersion").is_empty()) {
            let key = format!("{index}/{plural}/{}", text("name"));
            self.memory.see(key, text("uid"), text("resourceVersion"));
        }
    }
}

impl Reply {
    pub(super) fn bare(body: Value) -> Self {
        Self {
            code: 200,
            content_type: String::new(),
            warnings: Vec::new(),
            body,
        }
    }
}

fn version(object: &Value) -> String {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.expect("a version").to_owned()
}
