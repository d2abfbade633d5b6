//! Requests as text, the same for both servers.
//!
//! What only one server can know stands there as a placeholder: `$0` and `$1` for the namespaces,
//! and for an object `N/plural/name` its `$uid(…)`, its `$rv(…)`, and what these were when it was
//! first seen, `$first-uid(…)` and `$first-rv(…)`. `$token(…)` is the continue token that the last
//! list of a path gave.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<Value>,
}

impl Step {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            accept: None,
            content_type: None,
            body: None,
        }
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn content_type(mut self, content_type: &str) -> Self {
        self.content_type = Some(content_type.to_owned());
        self
    }

    pub(crate) fn accept(mut self, accept: &str) -> Self {
        self.accept = Some(accept.to_owned());
        self
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.method == Method::DELETE
    }

    /// Whether it deletes whatever is selected, which may be nothing and may be much.
    pub(crate) fn is_delete_collection(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.is_delete() && path.ends_with('s')
    }

    /// A string stands for itself, so that what is no JSON can be sent.
    pub(crate) fn body_text(&self) -> String {
        match &self.body {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(body) => body.to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut step = Map::new();
        step.insert(
            "request".to_owned(),
            format!("{} {}", self.method, self.path).into(),
        );
        for (key, value) in [("accept", &self.accept), ("type", &self.content_type)] {
            if let Some(value) = value {
                step.insert(key.to_owned(), value.as_str().into());
            }
        }
        if let Some(body) = &self.body {
            step.insert("body".to_owned(), body.clone());
        }
        Value::Object(step)
    }

    pub(crate) fn from_json(step: &Value) -> Option<Self> {
        let (method, path) = step["request"].as_str()?.split_once(' ')?;
        let text = |key: &str| step[key].as_str().map(str::to_owned);
        Some(Self {
            method: method.parse().ok()?,
            path: path.to_owned(),
            accept: text("accept"),
            content_type: text("type"),
            body: step.get("body").cloned(),
        })
    }
}

/// Requests, and what is watched meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sequence {
    pub(crate) steps: Vec<Step>,
    /// Collections with a query, such as `0/configmaps?labelSelector=k`.
    pub(crate) watches: Vec<String>,
}

impl Sequence {
    pub(crate) fn to_json(&self) -> Value {
        let steps: Vec<_> = self.steps.iter().map(Step::to_json).collect();
        json!({"watches": self.watches, "steps": steps})
    }

    pub(crate) fn from_json(sequence: &Value) -> Option<Self> {
        let watches = sequence["watches"].as_array()?.iter();
        Some(Self {
            steps: sequence["steps"]
                .as_array()?
                .iter()
                .map(Step::from_json)
                .collect::<Option<_>>()?,
            watches: watches
                .map(|watch| watch.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }

    pub(crate) fn without(&self, step: usize) -> Self {
        let mut shorter = self.clone();
        shorter.steps.remove(step);
        shorter
    }
}

/// What a client of one server has seen.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// A version before all objects, for those that were never seen.
    pub(crate) start: String,
    /// By `N/plural/name`: the first and the latest UID and version.
    seen: BTreeMap<String, [(String, String); 2]>,
    /// By path.
    tokens: BTreeMap<String, String>,
}

impl Memory {
    pub(crate) fn see(&mut self, key: String, uid: &str, version: &str) {
        let sight = (uid.to_owned(), version.to_owned());
        let seen = self
            .seen
            .entry(key)
            .or_insert_with(|| [sight.clone(), sight.clone()]);
        seen[1] = sight;
    }

    pub(crate) fn see_token(&mut self, path: &str, token: &str) {
        self.tokens.insert(path.to_owned(), token.to_owned());
    }

    /// The text with its placeholders replaced.
    pub(crate) fn fill(&self, text: &str, namespaces: &[String; 2]) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let (value, length) = self
                .placeholder(rest, namespaces)
                .unwrap_or_else(|| ("$".to_owned(), 1));
            filled.push_str(&value);
            rest = &rest[length..];
        }
        filled + rest
    }

    fn placeholder(&self, text: &str, namespaces: &[String; 2]) -> Option<(String, usize)> {
        for (index, namespace) in namespaces.iter().enumerate() {
            if text[1..].starts_with(&index.to_string()) {
                return Some((namespace.clone(), 2));
            }
        }
        let (name, rest) = text[1..].split_once('(')?;
        let (key, _) = rest.split_once(')')?;
        let length = name.len() + key.len() + 3;
        let seen = self.seen.get(key);
        let value = match name {
            "uid" => seen.map(|seen| seen[1].0.clone()),
            "first-uid" => seen.map(|seen| seen[0].0.clone()),
            "rv" => seen.map(|seen| seen[1].1.clone()),
            "first-rv" => seen.map(|seen| seen[0].1.clone()),
            "token" => self.tokens.get(key).cloned(),
            _ => return None,
        };
        let unknown = match name {
            "uid" | "first-uid" => "00000000-0000-4000-8000-000000000000",
            "token" => "",
            _ => &self.start,
        };
        Some((value.unwrap_or_else(|| unknown.to_owned()), length))
    }
}
