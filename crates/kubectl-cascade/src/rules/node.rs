//! YAML as it was written: a tree that knows the line of every node.
//!
//! Owns the bounds within which text from outside is parsed. It knows no field of ours; `schema`
//! reads the tree. A tree rather than derived types, because those stop at their first error and
//! cannot tell a field of a later version from a misspelt one. JSON is read as what it is: YAML.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned,
    UserMessageFormatter, alias_limits, budget, options,
};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    /// Counted from 1.
    pub(super) line: u64,
    /// Where a scalar was written in the text.
    bytes: Option<Range<usize>>,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text. A key may be there twice: `schema` refuses it with its path.
    Mapping(Vec<(Key, Node)>),
}

/// The key of a mapping's entry.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) line: u64,
}

/// Why text is no YAML that we would read.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) line: Option<u64>,
    pub(super) why: String,
}

/// The documents in the text that are not empty.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    serde_saphyr::from_multiple_with_options(text, limits()).map_err(|error| Malformed {
        line: error.location().map(|location| location.line()),
        why: error
            .without_snippet()
            .render_with_formatter(&UserMessageFormatter)
            .replace('\n', " "),
    })
}

/// Far above any real set of rules, and low enough to stop a document that grows by its aliases
/// or its depth. The text itself is bounded by who reads it.
fn limits() -> Options {
    options! {
        budget: budget! {
            max_depth: 32,
            max_documents: 10_000,
            max_events: 500_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        // YAML 1.1, as kubectl reads it: a plain `no` is a boolean there and must not be a
        // namespace here.
        strict_booleans: false,
        with_snippet: false,
    }
}

impl Node {
    /// The first value of this key, if the node is a mapping that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let Content::Mapping(entries) = &self.content else {
            return None;
        };
        let entry = entries.iter().find(|(key, _)| key.name == name)?;
        Some(&entry.1)
    }

    pub(super) fn is_text(&self, expected: &str) -> bool {
        matches!(&self.content, Content::Text(text) if text == expected)
    }

    /// The node in words, for a message; `text` is what it was parsed from.
    pub(super) fn describe(&self, text: &str) -> String {
        let written = self.bytes.clone().and_then(|bytes| text.get(bytes));
        let scalar = |kind: &str, value: String| match written {
            Some(written) if written != value => format!("the {kind} {value}, written {written:?}"),
            _ => format!("the {kind} {value}"),
        };
        match &self.content {
            Content::Null => "nothing (null)".into(),
            Content::Bool(value) => scalar("boolean", value.to_string()),
            Content::Integer(value) => scalar("number", value.to_string()),
            Content::Float(value) => scalar("number", value.to_string()),
            Content::Text(value) => format!("{value:?}"),
            Content::List(items) if items.is_empty() => "an empty list".into(),
            Content::List(_) => "a list".into(),
            Content::Mapping(entries) if entries.is_empty() => "an empty mapping".into(),
            Content::Mapping(_) => "a mapping".into(),
        }
    }

    /// How a scalar that YAML takes for something else would be written as text.
    pub(super) fn quoted(&self, text: &str) -> Option<String> {
        let written = self.bytes.clone().and_then(|bytes| text.get(bytes))?;
        match self.content {
            Content::Bool(_) | Content::Integer(_) | Content::Float(_) => {
                Some(format!("\"{written}\""))
            }
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value: content,
            referenced,
            defined,
        } = Spanned::deserialize(deserializer)?;
        let span = defined.span();
        let bytes = span
            .byte_offset()
            .zip(span.byte_len())
            .and_then(|(start, len)| {
                let start = usize::try_from(start).ok()?;
                Some(start..start.checked_add(usize::try_from(len).ok()?)?)
            });
        let line = referenced.line();
        Ok(Self {
            content,
            line,
            bytes,
        })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Content, E> {
        Ok(Content::Integer(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Content, E> {
        i128::try_from(value)
            .map(Content::Integer)
            .map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        // As text, so that a plain `no:` or `1:` is a field that we do not know.
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let (name, line) = (key.value, key.referenced.line());
            entries.push((Key { name, line }, access.next_value()?));
        }
        Ok(Content::Mapping(entries))
    }
}
