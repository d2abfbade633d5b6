//! The schemas of custom resources: which are served, and what they do to objects.
//!
//! A definition's `openAPIV3Schema` is compiled once into a [`Schema`]. What it says of an object is
//! carried out as the server does, in this order: unknown fields are pruned, nulls dropped, defaults
//! filled in, and the result is validated.
//!
//! Refused, when a definition is created, is what the real server accepts and nobody evaluates here:
//! CEL rules, `allOf`, `anyOf`, `oneOf` and `not` (but for the two idioms of an integer or a string),
//! and a few formats.
//!
//! What the parts of a schema mean, and each refusal of a value, follows
//! `k8s.io/apiextensions-apiserver` and `k8s.io/kube-openapi`.

mod accept;
mod check;
mod compile;
mod embedded;
mod format;
mod lists;
mod pattern;
mod prune;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::field::{FieldError, Path};

pub(crate) use accept::{check as check_definition, warnings};
use check::{Check, Name};
use format::Format;

/// The schema of one version of a custom resource.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    root: Node,
    /// Whether there are objects within objects.
    embeds: bool,
    /// Whether there are lists whose elements are told apart.
    lists: bool,
}

/// What a schema says of one place of an object.
#[derive(Clone, Debug, Default)]
struct Node {
    kind: Option<Kind>,
    nullable: bool,
    /// Unknown fields stay (`x-kubernetes-preserve-unknown-fields`).
    preserves: bool,
    /// An object with type and metadata (`x-kubernetes-embedded-resource`).
    embedded: bool,
    default: Option<Value>,
    properties: BTreeMap<String, Node>,
    additional: Additional,
    items: Option<Box<Node>>,
    list: ListType,
    /// Whether `x-kubernetes-int-or-string` is spelled out once more, and how.
    idiom: Option<Idiom>,
    limits: Limits,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Boolean,
    Integer,
    IntegerOrString,
    Number,
    Object,
    String,
}

/// `additionalProperties`.
#[derive(Clone, Debug, Default)]
enum Additional {
    /// Not mentioned.
    #[default]
    Unsaid,
    /// A boolean.
    Allowed(bool),
    Schema(Box<Node>),
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// How "an integer or a string" is said to clients that do not know the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idiom {
    AnyOf,
    AllOf,
}

/// What a value must satisfy beyond its type.
#[derive(Clone, Debug, Default)]
struct Limits {
    values: Vec<Value>,
    required: Vec<String>,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    multiple_of: Option<f64>,
    min_length: Option<i64>,
    max_length: Option<i64>,
    min_items: Option<i64>,
    max_items: Option<i64>,
    min_properties: Option<i64>,
    max_properties: Option<i64>,
    pattern: Option<(String, Regex)>,
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    value: f64,
    exclusive: bool,
}

impl Schema {
    /// Compiles a schema that [`check_definition`] found nothing wrong with.
    pub(crate) fn compile(schema: &Value) -> Self {
        let root = Node::compile(schema);
        Self {
            embeds: root.any(&|node| node.embedded),
            lists: root.any(&|node| node.list != ListType::Atomic),
            root,
        }
    }

    /// Reads an object as a client sent it: unknown fields are pruned, and nulls that mean nothing
    /// are dropped. The object's own metadata is left alone.
    ///
    /// Returns what a strict server refuses and a lenient one warns of, such as
    /// `unknown field "spec.x"`.
    ///
    /// # Errors
    ///
    /// What is wrong with the type or the metadata of an object within the object.
    pub(crate) fn read(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let mut unknown = prune::root(&self.root, object);
        prune::nulls(Some(&self.root), object);
        if self.embeds {
            embedded::read(Path::Nil, &self.root, object, &mut unknown)?;
        }
        Ok(unknown)
    }

    /// Keeps what is known of an object that has been accepted, if by another version.
    pub(crate) fn keep(&self, object: &mut Value) {
        // What was written cannot be refused any more.
        let _ = self.read(object);
    }

    /// Fills in what is missing and has a default.
    pub(crate) fn default(&self, object: &mut Value) {
        prune::defaults(&self.root, object);
    }

    /// What is wrong with a new object, apart from its metadata.
    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Check::new(&mut errors, None).value(&self.root, Name::Root, object, None);
        self.embedded(object, &mut errors);
        if self.lists {
            lists::check(Path::Nil, &self.root, object, &mut errors);
        }
        errors
    }

    /// What is wrong with an object that takes the place of another. What was wrong before, and has
    /// not changed, is tolerated.
    pub(crate) fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Check::new(&mut errors, None).value(&self.root, Name::Root, new, Some(old));
        self.embedded(new, &mut errors);
        self.lists_of_update(new, old, &mut errors);
        errors
    }

    /// As [`Self::validate_update`], when only the status is written.
    pub(crate) fn validate_status(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let (Some(node), Some(status)) = (self.root.properties.get("status"), new.get("status"))
        {
            let prefix = Path::Root("status");
            Check::new(&mut errors, Some(prefix)).value(
                node,
                Name::Root,
                status,
                old.get("status"),
            );
        }
        self.embedded(new, &mut errors);
        self.lists_of_update(new, old, &mut errors);
        errors
    }

    fn embedded(&self, object: &Value, errors: &mut Vec<FieldError>) {
        if self.embeds {
            embedded::check(Path::Nil, &self.root, object, errors);
        }
    }

    /// Lists whose elements are unique are looked at if they were before.
    fn lists_of_update(&self, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
        if !self.lists {
            return;
        }
        let mut found = Vec::new();
        lists::check(Path::Nil, &self.root, new, &mut found);
        if found.is_empty() {
            return;
        }
        let mut before = Vec::new();
        lists::check(Path::Nil, &self.root, old, &mut before);
        if before.is_empty() {
            errors.append(&mut found);
        }
    }
}

impl Node {
    /// The schema of a field, if anything is said of it.
    fn field(&self, name: &str) -> Option<&Self> {
        match (self.properties.get(name), &self.additional) {
            (Some(node), _) => Some(node),
            (None, Additional::Schema(node)) => Some(node),
            (None, _) => None,
        }
    }

    /// Whether this can be said of this place or any below it.
    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let additional = match &self.additional {
            Additional::Schema(node) => Some(&**node),
            _ => None,
        };
        is(self)
            || additional.is_some_and(|node| node.any(is))
            || self.items.as_ref().is_some_and(|node| node.any(is))
            || self.properties.values().any(|node| node.any(is))
    }

    /// Whether this value is a null that the schema does not allow.
    fn rejects_null(&self, value: &Value) -> bool {
        value.is_null() && !self.nullable
    }
}

#[cfg(test)]
mod tests;
