//! What one behaviour is shown on: a client, a namespace of its own, and the few words in which
//! requests are made and answers judged.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{Method, Request, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::kinds;

/// How long something that must happen is waited for. On the real server the collector looks for
/// new kinds only every 30 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A name that nothing else in this run has.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An API server with the [kinds](super::kinds) installed, and a namespace.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl World {
    pub(crate) async fn new(client: Client) -> Self {
        let mut world = Self {
            client,
            namespace: String::new(),
        };
        world.namespace = world.another_namespace().await;
        world
    }

    /// The name of a further namespace that nothing else uses.
    pub(crate) async fn another_namespace(&self) -> String {
        let name = unique("conformance");
        let namespaces = self.namespaces();
        namespaces.create(namespaces.object(&name)).await.created();
        name
    }

    pub(crate) fn namespaces(&self) -> Collection {
        self.collection("/api/v1/namespaces", "v1", "Namespace")
    }

    pub(crate) fn configmaps(&self) -> Collection {
        self.within(&self.namespace, "v1", "ConfigMap", "configmaps")
    }

    pub(crate) fn secrets(&self) -> Collection {
        self.within(&self.namespace, "v1", "Secret", "secrets")
    }

    pub(crate) fn leases(&self) -> Collection {
        self.within(&self.namespace, "coordination.k8s.io/v1", "Lease", "leases")
    }

    /// Of a kind with a schema, defaults and a status subresource.
    pub(crate) fn widgets(&self) -> Collection {
        self.within(&self.namespace, kinds::V1, "Widget", "widgets")
    }

    /// Of a kind without a status subresource, whose fields are free.
    pub(crate) fn crates(&self) -> Collection {
        self.within(&self.namespace, kinds::V1, "Crate", "crates")
    }

    /// Of a kind without namespaces.
    pub(crate) fn planets(&self) -> Collection {
        let path = format!("/apis/{}/planets", kinds::V1);
        self.collection(&path, kinds::V1, "Planet")
    }

    pub(crate) fn definitions(&self) -> Collection {
        self.collection(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
        )
    }

    pub(crate) fn within(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
        plural: &str,
    ) -> Collection {
        let root = root(api_version);
        let path = format!("{root}/namespaces/{namespace}/{plural}");
        self.collection(&path, api_version, kind)
    }

    pub(crate) fn collection(&self, path: &str, api_version: &str, kind: &str) -> Collection {
        Collection {
            world: self.clone(),
            path: path.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "application/json", Bytes::new(), None)
            .await
    }

    /// A GET with another `Accept` than JSON.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Method::GET, path, accept, Bytes::new(), None)
            .await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_raw(method, path, "application/json", body.to_string())
            .await
    }

    /// A request whose body need not be what its content type says.
    pub(crate) async fn call_raw(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        self.send(
            method,
            path,
            "application/json",
            body.into(),
            Some(content_type),
        )
        .await
    }

    /// A request with everything spelled out.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
        content_type: Option<&str>,
    ) -> Answer {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(body.to_vec())).expect(&what);
        let response = self.client.send(request).await.expect(&what);
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect(&what).to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("all that is asked for is text");
        let text_of = |name: header::HeaderName| {
            let values = head.headers.get_all(name);
            values
                .iter()
                .map(|value| value.to_str().expect("headers are ASCII").to_owned())
                .collect::<Vec<_>>()
        };
        let mut body = serde_json::from_str(&text).unwrap_or(Value::Null);
        without_managed_fields(&mut body);
        Answer {
            what,
            code: head.status.as_u16(),
            content_type: text_of(header::CONTENT_TYPE).pop().unwrap_or_default(),
            warnings: text_of(header::WARNING),
            text,
            body,
        }
    }
}

/// Only the real server keeps them.
fn without_managed_fields(value: &mut Value) {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let items = value.get_mut("items").and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(without_managed_fields);
}

/// Where the resources of a group and version are.
pub(crate) fn root(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

/// All objects of one kind in one namespace, or of a kind without namespaces.
#[derive(Clone)]
pub(crate) struct Collection {
    world: World,
    pub(crate) path: String,
    api_version: String,
    kind: String,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patch {
    Json,
    Merge,
    Strategic,
}

impl Patch {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

impl Collection {
    /// An object with a name and nothing else.
    pub(crate) fn object(&self, name: &str) -> Value {
        self.with(name, json!({}))
    }

    /// An object with a name and further metadata.
    pub(crate) fn with(&self, name: &str, mut metadata: Value) -> Value {
        metadata["name"] = name.into();
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }

    pub(crate) async fn create(&self, object: Value) -> Answer {
        self.create_with("", object).await
    }

    pub(crate) async fn create_with(&self, query: &str, object: Value) -> Answer {
        let path = with_query(&self.path, query);
        self.world.call(Method::POST, &path, object).await
    }

    /// Creates an object of this name and returns it.
    pub(crate) async fn made(&self, name: &str, metadata: Value) -> Value {
        self.create(self.with(name, metadata)).await.created()
    }

    pub(crate) async fn get(&self, name: &str) -> Answer {
        self.world.get(&self.at(name)).await
    }

    pub(crate) async fn list(&self, query: &str) -> Answer {
        self.world.get(&with_query(&self.path, query)).await
    }

    /// The names of what a list with this query holds.
    pub(crate) async fn names(&self, query: &str) -> Vec<String> {
        self.list(query).await.names()
    }

    pub(crate) async fn replace(&self, name: &str, object: Value) -> Answer {
        self.world.call(Method::PUT, &self.at(name), object).await
    }

    pub(crate) async fn patch(&self, name: &str, how: Patch, patch: Value) -> Answer {
        self.patch_raw(name, how, patch.to_string()).await
    }

    pub(crate) async fn patch_raw(
        &self,
        name: &str,
        how: Patch,
        patch: impl Into<Bytes>,
    ) -> Answer {
        self.world
            .call_raw(Method::PATCH, &self.at(name), how.content_type(), patch)
            .await
    }

    /// A merge patch that succeeds.
    pub(crate) async fn merge(&self, name: &str, patch: Value) -> Value {
        self.patch(name, Patch::Merge, patch).await.ok()
    }

    /// A DELETE; `options` without kind and version, or null for no body at all.
    pub(crate) async fn delete(&self, name: &str, options: Value) -> Answer {
        self.delete_with("", name, options).await
    }

    pub(crate) async fn delete_with(&self, query: &str, name: &str, mut options: Value) -> Answer {
        let path = with_query(&self.at(name), query);
        if options.is_null() {
            let method = Method::DELETE;
            return self
                .world
                .send(method, &path, "application/json", Bytes::new(), None)
                .await;
        }
        options["kind"] = "DeleteOptions".into();
        options["apiVersion"] = "v1".into();
        self.world.call(Method::DELETE, &path, options).await
    }

    /// Watches from the version on that the collection has now.
    pub(crate) async fn watch_from_now(&self, query: &str) -> Watch {
        let version = self.list("limit=1").await.version();
        self.watch(&format!("resourceVersion={version}&{query}"))
            .await
    }

    pub(crate) async fn watch(&self, query: &str) -> Watch {
        let path = with_query(&self.path, &format!("watch=true&{query}"));
        Watch::start(&self.world, &path, "application/json").await
    }

    /// Where the object is.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Waits until there is no such object.
    pub(crate) async fn gone(&self, name: &str) {
        let what = format!("{} is gone", self.at(name));
        until(&what, async || self.get(name).await.code == 404).await;
    }

    pub(crate) async fn exists(&self, name: &str) -> bool {
        self.get(name).await.code == 200
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// A query of one parameter, encoded.
pub(crate) fn query(name: &str, value: &str) -> String {
    let mut encoder = form_urlencoded::Serializer::new(String::new());
    encoder.append_pair(name, value).finish()
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    pub(crate) code: u16,
    pub(crate) content_type: String,
    pub(crate) warnings: Vec<String>,
    /// The body as it came.
    pub(crate) text: String,
    /// The body without managed fields; null when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The object of a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.code, 200, "{}: {}", self.what, self.text);
        self.body
    }

    /// The object of a 201.
    #[track_caller]
    pub(crate) fn created(self) -> Value {
        assert_eq!(self.code, 201, "{}: {}", self.what, self.text);
        self.body
    }

    /// A `Status` that refuses, with the very words.
    #[track_caller]
    pub(crate) fn refused(self, code: u16, reason: &str, message: &str) -> Self {
        assert_eq!(self.body["message"], message, "{}", self.what);
        assert_eq!(
            (self.code, self.reason(), &self.body["code"]),
            (code, reason, &json!(code)),
            "{}: {}",
            self.what,
            self.text
        );
        assert_eq!(self.body["kind"], "Status");
        assert_eq!(self.body["status"], "Failure");
        self
    }

    /// The plain text with which a path is refused that is not served.
    #[track_caller]
    pub(crate) fn not_served(&self) {
        assert_eq!(
            (self.code, self.text.as_str(), self.content_type.as_str()),
            (404, "404 page not found\n", "text/plain; charset=utf-8"),
            "{}",
            self.what
        );
    }

    /// A 422 about one field, whose cause says the same; the server may find it more than once.
    #[track_caller]
    pub(crate) fn invalid(self, subject: &str, field: &str, cause: &str, text: &str) {
        let answer = self.refused(
            422,
            "Invalid",
            &format!("{subject} is invalid: {field}: {text}"),
        );
        let mut causes = answer.body["details"]["causes"].as_array().cloned();
        causes.iter_mut().for_each(Vec::dedup);
        assert_eq!(
            causes,
            Some(vec![
                json!({"reason": cause, "message": text, "field": field})
            ]),
            "{}",
            answer.what
        );
    }

    pub(crate) fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The resource version of the object or list.
    #[track_caller]
    pub(crate) fn version(&self) -> String {
        version(&self.body)
    }

    /// The names in a list.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        assert_eq!(self.code, 200, "{}: {}", self.what, self.text);
        let items = self.body["items"].as_array().expect("a list");
        items.iter().map(name).collect()
    }
}

/// The resource version of an object or list.
#[track_caller]
pub(crate) fn version(object: &Value) -> String {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.expect("a resource version").to_owned()
}

#[track_caller]
pub(crate) fn uid(object: &Value) -> String {
    let uid = object["metadata"]["uid"].as_str();
    uid.expect("a UID").to_owned()
}

#[track_caller]
pub(crate) fn name(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.expect("a name").to_owned()
}

/// A running watch.
pub(crate) struct Watch {
    what: String,
    pub(crate) code: u16,
    body: Body,
    unread: Vec<u8>,
}

impl Watch {
    pub(crate) async fn start(world: &World, path: &str, accept: &str) -> Self {
        let request = Request::get(path).header(header::ACCEPT, accept);
        let request = request.body(Body::empty()).expect("a valid path");
        let response = world.client.send(request).await.expect(path);
        Self {
            what: path.to_owned(),
            code: response.status().as_u16(),
            body: response.into_body(),
            unread: Vec::new(),
        }
    }

    /// The next event as its type and its object.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        let event = self.event().await;
        event.unwrap_or_else(|| panic!("the watch {} ended", self.what))
    }

    /// The next event as its type and the name of its object.
    pub(crate) async fn next_name(&mut self) -> (String, String) {
        let (kind, object) = self.next().await;
        let name = name(&object);
        (kind, name)
    }

    /// The next event, or that the server has ended the watch.
    pub(crate) async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).expect("a watch event");
                let mut object = event["object"].take();
                without_managed_fields(&mut object);
                let kind = event["type"].as_str().expect("a type").to_owned();
                return Some((kind, object));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("no event in time of {}", self.what))?;
            let mut data = frame
                .expect("the stream is whole")
                .into_data()
                .expect("there are no trailers");
            self.unread.extend_from_slice(data.chunk());
            data.advance(data.remaining());
        }
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("still not so after {PATIENCE:?}: {what}"));
}
