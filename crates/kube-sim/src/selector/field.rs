//! Field selectors: `metadata.name=a,metadata.namespace!=b`.

use std::borrow::Cow;

use crate::field::quote;
use crate::status::Status;

/// Which fields an object must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

/// The fields by which a resource can be selected.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldLabels<'a> {
    /// Name and namespace, as for every built-in kind that says nothing else. A cluster-scoped
    /// object may be asked for its namespace, and has none.
    Metadata,
    /// These fields alone, which is what some built-in kinds and all custom resources have.
    Listed(&'a [String]),
}

impl FieldLabels<'_> {
    fn check(self, field: &str) -> Result<(), String> {
        match self {
            Self::Metadata if matches!(field, "metadata.name" | "metadata.namespace") => Ok(()),
            Self::Metadata => Err(format!(
                "{} is not a known field selector: only \"metadata.name\", \
                 \"metadata.namespace\"",
                quote(field)
            )),
            Self::Listed(listed) if listed.iter().any(|known| known == field) => Ok(()),
            Self::Listed(_) => Err(format!("field label not supported: {field}")),
        }
    }
}

impl FieldSelector {
    /// Reads what a client sends as `fieldSelector`.
    pub(crate) fn parse(text: &str, labels: FieldLabels<'_>) -> Result<Self, Status> {
        let terms = terms(text, labels).map_err(Status::bad_request)?;
        Ok(Self { terms })
    }

    /// The value that a field must have, if the selector asks for exactly one.
    pub(crate) fn exact(&self, field: &str) -> Option<&str> {
        let term = self
            .terms
            .iter()
            .find(|term| term.equal && term.field == field)?;
        Some(&term.value)
    }

    /// Whether the selector asks for nothing in particular.
    pub(crate) fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object is selected; `value` tells what a field holds, and nothing if it is
    /// missing.
    pub(crate) fn matches<'a>(&self, value: impl Fn(&str) -> Cow<'a, str>) -> bool {
        self.terms
            .iter()
            .all(|term| (value(&term.field) == term.value) == term.equal)
    }
}

fn terms(text: &str, labels: FieldLabels<'_>) -> Result<Vec<Term>, String> {
    let mut parts = split(text);
    parts.sort_unstable();
    let mut terms = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let Some((field, equal, value)) = operator(part) else {
            return Err(format!(
                "invalid selector: '{text}'; can't understand '{part}'"
            ));
        };
        let value = unescape(value)?;
        terms.push(Term {
            field: field.to_owned(),
            equal,
            value,
        });
    }
    // The syntax of all terms is judged before the first field.
    for term in &terms {
        let nothing = term.field.is_empty() && term.value.is_empty();
        if !nothing {
            labels.check(&term.field)?;
        }
    }
    terms.retain(|term| !term.field.is_empty());
    Ok(terms)
}

/// Splits at commas without a backslash in front.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn operator(term: &str) -> Option<(&str, bool, &str)> {
    (0..term.len()).find_map(|index| {
        let rest = term.get(index..)?;
        let found = |operator, equal| {
            let value = rest.strip_prefix(operator)?;
            Some((&term[..index], equal, value))
        };
        found("!=", false)
            .or_else(|| found("==", true))
            .or_else(|| found("=", true))
    })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                ));
            }
            _ => text.push(c),
        }
    }
    Ok(text)
}
