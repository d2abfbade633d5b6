//! One of the two servers, as a sequence sees it: what it answers, with everything that may differ
//! replaced by a name for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Map, Value, json};

use super::step::{Memory, Step};
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
    code: u16,
    content_type: String,
    warnings: Vec<String>,
    body: Value,
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
    fn bare(body: Value) -> Self {
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

/// Names for what one server alone can know, given in the order in which it is seen.
struct Names {
    namespaces: [String; 2],
    uids: Vec<String>,
    /// The number of each version.
    versions: BTreeMap<String, usize>,
    generated: Vec<String>,
    /// The content in which each object was last seen, and the number of that version.
    contents: BTreeMap<String, (usize, Value)>,
}

impl Names {
    fn new(namespaces: &[String; 2]) -> Self {
        Self {
            namespaces: namespaces.clone(),
            uids: Vec::new(),
            versions: BTreeMap::new(),
            contents: BTreeMap::new(),
            generated: Vec::new(),
        }
    }

    /// The reply in names, new ones included.
    fn commit(&mut self, reply: &Reply) -> Value {
        self.collect(&reply.body);
        self.reply(reply, true)
    }

    /// The reply in names, without versions and without making new names.
    fn peek(&self, reply: &Reply) -> Value {
        self.reply(reply, false)
    }

    fn reply(&self, reply: &Reply, versions: bool) -> Value {
        let mut body = self.value(&reply.body, versions, "");
        sort_causes(&mut body);
        json!({
            "code": reply.code,
            "content type": reply.content_type,
            "warnings": reply.warnings.iter().map(|warning| self.text(warning)).collect::<Vec<_>>(),
            "body": body,
        })
    }

    /// Gives names to what is new.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(object) => {
                self.learn_content(value);
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                if let (Some(uid), Some(version)) = (text("uid"), text("resourceVersion")) {
                    learn(&mut self.uids, uid);
                    self.learn_version(version, None);
                }
                if let (Some(base), Some(name)) = (text("generateName"), text("name"))
                    && name.len() == base.len() + 5
                    && name.starts_with(base)
                {
                    learn(&mut self.generated, name);
                }
                let mut keys: Vec<_> = object.keys().collect();
                keys.sort();
                for key in keys.into_iter().filter(|key| *key != "managedFields") {
                    self.collect(&object[key]);
                }
            }
            _ => {}
        }
    }

    fn learn_version(&mut self, version: &str, same_as: Option<usize>) -> usize {
        let next = self.versions.values().max().map_or(0, |last| last + 1);
        let number = self.versions.entry(version.to_owned());
        *number.or_insert(same_as.unwrap_or(next))
    }

    /// Gives a version the number of that before it, if it has the same content: what only changes
    /// who owns a field moves the version on one of the servers.
    fn learn_content(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().filter(|text| !text.is_empty());
        let is_partial = object["kind"] == "PartialObjectMetadata";
        let (Some(uid), Some(version), false) = (text("uid"), text("resourceVersion"), is_partial)
        else {
            return;
        };
        let content = content(object);
        let last = self.contents.get(uid).filter(|(_, last)| *last == content);
        let same_as = last.map(|(number, _)| *number);
        let (uid, version) = (uid.to_owned(), version.to_owned());
        let number = self.learn_version(&version, same_as);
        self.contents.insert(uid, (number, content));
    }

    fn value(&self, value: &Value, versions: bool, key: &str) -> Value {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item, versions, ""))
                .collect(),
            Value::Object(object) => {
                let is_object = object.contains_key("uid");
                let fields = object.iter().filter(|(key, _)| *key != "managedFields");
                let named = fields.map(|(key, value)| {
                    let named = match (key.as_str(), value.as_str()) {
                        ("resourceVersion", Some(version)) if is_object => {
                            if versions {
                                self.version(version).into()
                            } else {
                                Value::Null
                            }
                        }
                        ("resourceVersion", Some("")) => "".into(),
                        ("resourceVersion", Some(_)) if object.len() <= 3 => "of a list".into(),
                        ("continue", Some(token)) if !token.is_empty() => "a token".into(),
                        _ => self.value(value, versions, key),
                    };
                    (key.clone(), named)
                });
                Value::Object(named.collect())
            }
            Value::String(_) if key == "marker" => "a marker".into(),
            Value::String(text) => self.text(text).into(),
            other => other.clone(),
        }
    }

    fn version(&self, version: &str) -> String {
        match self.versions.get(version) {
            Some(number) => format!("version {number}"),
            None => "a version never seen".to_owned(),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (index, namespace) in self.namespaces.iter().enumerate() {
            text = replace_whole(&text, namespace, &format!("${index}"));
        }
        for (index, name) in self.generated.iter().enumerate() {
            text = text.replace(name, &format!("<generated {index}>"));
        }
        text = without_fields(&text);
        text = self.uuids(&text);
        text = times(&text);
        for (before, after) in [
            ("in record (", ")"),
            ("in object meta: ", ""),
            ("resourceVersion:", ""),
            ("current: ", ""),
            ("in the precondition (", ")"),
            ("\"resourceVersion\":\"", "\""),
            ("\\\"resourceVersion\\\":\\\"", "\\\""),
        ] {
            text = numbers(&text, before, after);
        }
        text = unordered(&text);
        // The suffix of a generated name that was refused.
        for base in ["Gen-", "gen.", "gen-"] {
            text = without_suffix(&text, base);
        }
        text
    }

    fn uuids(&self, text: &str) -> String {
        const LENGTH: usize = 36;
        let bytes = text.as_bytes();
        let mut named = String::new();
        let mut at = 0;
        while at < text.len() {
            let window = bytes.get(at..at + LENGTH);
            if window.is_some_and(is_uuid) {
                let uid = &text[at..at + LENGTH];
                match self.uids.iter().position(|known| known == uid) {
                    Some(index) => {
                        let place = index.to_string();
                        named.extend(["<uid ", &place, ">"]);
                    }
                    // The one that sequences make up.
                    None if uid.starts_with("00000000-") => named.push_str(uid),
                    None => named.push_str("<uid never seen>"),
                }
                at += LENGTH;
            } else {
                let next = text[at..].chars().next().expect("there is more");
                named.push(next);
                at += next.len_utf8();
            }
        }
        named
    }
}

/// What of an object is more than its version and who owns its fields. Items of lists have no kind.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|key, _| !matches!(key.as_str(), "kind" | "apiVersion"));
    }
    if let Some(metadata) = content["metadata"].as_object_mut() {
        metadata.retain(|key, _| !matches!(key.as_str(), "managedFields" | "resourceVersion"));
    }
    content
}

fn learn(known: &mut Vec<String>, new: &str) {
    if !new.is_empty() && !known.iter().any(|known| known == new) {
        known.push(new.to_owned());
    }
}

fn is_uuid(window: &[u8]) -> bool {
    window.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Replaces a name, but not the beginning of a longer one.
fn replace_whole(text: &str, name: &str, by: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        replaced.push_str(&rest[..at]);
        let longer = after
            .chars()
            .next()
            .is_some_and(|next| next.is_ascii_digit());
        replaced.push_str(if longer { name } else { by });
        rest = after;
    }
    replaced + rest
}

/// Replaces what has the form of `2026-01-02T03:04:05Z`.
fn times(text: &str) -> String {
    const FORM: &[u8] = b"0000-00-00T00:00:00Z";
    let bytes = text.as_bytes();
    let fits = |at: usize| {
        let window = bytes.get(at..at + FORM.len());
        window.is_some_and(|window| {
            window.iter().zip(FORM).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
        })
    };
    let mut named = String::new();
    let mut at = 0;
    while at < text.len() {
        // What sequences make up stays.
        if fits(at) && !text[at..].starts_with("2001-") {
            named.push_str("<time>");
            at += FORM.len();
        } else {
            let next = text[at..].chars().next().expect("there is more");
            named.push(next);
            at += next.len_utf8();
        }
    }
    named
}

/// An object that is shown in an error has its fields in any order; its letters will do.
fn unordered(text: &str) -> String {
    let shown = text.find("Invalid value: \"{").zip(text.rfind("}\""));
    let Some((start, end)) = shown.filter(|(start, end)| start < end) else {
        return text.to_owned();
    };
    let mut letters: Vec<char> = text[start..end].chars().filter(|c| *c != ',').collect();
    letters.sort_unstable();
    let letters: String = letters.into_iter().collect();
    format!("{}{letters}{}", &text[..start], &text[end..])
}

/// Takes the managed fields out of an object that is shown in an error.
fn without_fields(text: &str) -> String {
    let Some(name) = text.find("managedFields") else {
        return text.to_owned();
    };
    let at = text[..name].trim_end_matches(['"', '\\']).len();
    let mut depth = 0;
    let end = text[at..].char_indices().find(|(_, character)| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => return false,
        }
        depth == 0
    });
    let end = end.map_or(text.len(), |(end, _)| at + end + 1);
    let rest = text[end..].trim_start_matches(',');
    text[..at].to_owned() + rest
}

/// Replaces the five characters that the server has appended.
fn without_suffix(text: &str, base: &str) -> String {
    let mut parts = text.split(base);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let suffix: String = part.chars().take(5).collect();
        let drawn = suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_alphanumeric());
        named.push_str(base);
        named.push_str(if drawn { &part[5..] } else { part });
    }
    named
}

/// Replaces the number after some words.
fn numbers(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push_str(before);
        let rest = part.trim_start_matches(|byte: char| byte.is_ascii_digit());
        if rest.len() < part.len() && rest.starts_with(after) {
            named.push('#');
            named.push_str(rest);
        } else {
            named.push_str(part);
        }
    }
    named
}

/// The server goes through maps in any order, and so do its complaints.
fn sort_causes(body: &mut Value) {
    let causes = body.pointer_mut("/details/causes");
    let Some(causes) = causes.and_then(Value::as_array_mut) else {
        return;
    };
    if causes.len() < 2 {
        return;
    }
    causes.sort_by_key(ToString::to_string);
    let message = body["message"].as_str().unwrap_or_default();
    let (subject, list) = message.split_once(" is invalid: ").unwrap_or((message, ""));
    let list = list.trim_start_matches('[').trim_end_matches(']');
    let mut letters: Vec<char> = list.chars().collect();
    letters.sort_unstable();
    let letters: String = letters.into_iter().collect();
    body["message"] = format!("{subject} is invalid: {letters}").into();
}
