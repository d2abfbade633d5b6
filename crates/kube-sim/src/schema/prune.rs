//! What a schema does to an object: unknown fields go, nulls go, defaults come.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Additional, Node};

/// Prunes an object, all but its type and metadata, and reports what was unknown, sorted.
pub(super) fn root(node: &Node, object: &mut Value) -> Vec<String> {
    let Value::Object(fields) = object else {
        return Vec::new();
    };
    let mut pruner = Pruner {
        keeps_head: true,
        ..Pruner::default()
    };
    pruner.fields(Some(node), fields);
    let mut unknown = pruner.unknown;
    unknown.sort_unstable();
    unknown
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect()
}

/// Prunes a value within an object.
pub(super) fn value(node: Option<&Node>, value: &mut Value) {
    Pruner::default().value(node, value);
}

#[derive(Default)]
struct Pruner {
    path: String,
    /// Whether type and metadata, right here, are left alone.
    keeps_head: bool,
    unknown: Vec<String>,
    /// How long all of that is.
    told: usize,
}

/// So many bytes of what is unknown are enough: each comes with its whole path.
const MOST_TOLD: usize = 1024 * 1024;

impl Pruner {
    /// Where nothing is said of a value, all fields below it are unknown.
    fn value(&mut self, node: Option<&Node>, value: &mut Value) {
        match value {
            Value::Object(fields) => self.fields(node, fields),
            Value::Array(items) => {
                let length = self.path.len();
                let item = node.and_then(|node| node.items.as_deref());
                let preserves = node.is_some_and(|node| node.preserves);
                if preserves && item.is_none() {
                    return;
                }
                for (index, element) in items.iter_mut().enumerate() {
                    let _ = write!(self.path, "[{index}]");
                    if preserves {
                        self.preserved(item, element);
                    } else {
                        self.value(item, element);
                    }
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// Elements of a list that preserves what it does not know preserve it, too.
    fn preserved(&mut self, node: Option<&Node>, value: &mut Value) {
        let Some(node) = node else { return };
        match value {
            Value::Object(fields) => {
                let is_head =
                    |key: &str| node.embedded && matches!(key, "apiVersion" | "kind" | "metadata");
                self.known_fields(node, fields, &is_head);
            }
            Value::Array(items) => {
                let length = self.path.len();
                for (index, element) in items.iter_mut().enumerate() {
                    let _ = write!(self.path, "[{index}]");
                    self.preserved(node.items.as_deref(), element);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, node: Option<&Node>, fields: &mut Map<String, Value>) {
        let keeps_head =
            std::mem::take(&mut self.keeps_head) || node.is_some_and(|node| node.embedded);
        let is_head = |key: &str| keeps_head && matches!(key, "apiVersion" | "kind" | "metadata");
        if let Some(node) = node.filter(|node| node.preserves) {
            return self.known_fields(node, fields, &is_head);
        }
        let length = self.path.len();
        fields.retain(|key, value| {
            if is_head(key) {
                return true;
            }
            self.descend(length, key);
            let known = match node {
                None => false,
                Some(node) => match (node.properties.get(key), &node.additional) {
                    (Some(node), _) => {
                        self.value(Some(node), value);
                        true
                    }
                    (None, Additional::Schema(node)) => {
                        self.value(Some(node), value);
                        true
                    }
                    (None, Additional::Allowed(_)) => {
                        self.value(None, value);
                        true
                    }
                    (None, Additional::Unsaid) => false,
                },
            };
            if !known && self.told < MOST_TOLD {
                self.told += self.path.len();
                self.unknown.push(self.path.clone());
            }
            self.path.truncate(length);
            known
        });
    }

    fn known_fields(
        &mut self,
        node: &Node,
        fields: &mut Map<String, Value>,
        is_head: &dyn Fn(&str) -> bool,
    ) {
        let length = self.path.len();
        for (key, value) in fields.iter_mut().filter(|(key, _)| !is_head(key)) {
            let inner = match (node.properties.get(key), &node.additional) {
                (Some(node), _) => Some(node),
                (None, Additional::Schema(node)) => Some(&**node),
                (None, Additional::Allowed(_)) => None,
                (None, Additional::Unsaid) => continue,
            };
            self.descend(length, key);
            self.value(inner, value);
            self.path.truncate(length);
        }
    }

    fn descend(&mut self, length: usize, key: &str) {
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
    }
}

/// Drops the nulls of fields that may not be null and have no default.
pub(super) fn nulls(node: Option<&Node>, value: &mut Value) {
    let Some(node) = node else { return };
    match value {
        Value::Object(fields) => fields.retain(|key, value| match node.field(key) {
            Some(node) if node.rejects_null(value) && node.default.is_none() => false,
            inner => {
                nulls(inner, value);
                true
            }
        }),
        Value::Array(items) => {
            for item in items {
                nulls(node.items.as_deref(), item);
            }
        }
        _ => {}
    }
}

/// Fills in defaults, also for nulls where there may be none.
pub(super) fn defaults(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in &node.properties {
                let Some(default) = &inner.default else {
                    continue;
                };
                if fields
                    .get(key)
                    .is_none_or(|value| inner.rejects_null(value))
                {
                    fields.insert(key.clone(), default.clone());
                }
            }
            for (key, value) in fields {
                if let Some(inner) = node.field(key) {
                    fill_null(inner, value);
                    defaults(inner, value);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = &node.items else { return };
            for item in items {
                fill_null(inner, item);
                defaults(inner, item);
            }
        }
        _ => {}
    }
}

fn fill_null(node: &Node, value: &mut Value) {
    if let Some(default) = node.default.as_ref().filter(|_| node.rejects_null(value)) {
        *value = default.clone();
    }
}
