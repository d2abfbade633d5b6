//! The Kubernetes API's grammars of names, as types and predicates.
//!
//! Owns what a valid name *is*, never whether something of that name exists.
//! Used wherever text from outside becomes part of a request: selections, holds and rules.
//!
//! The grammars are those of `k8s.io/apimachinery/pkg/util/validation`, which is what the API
//! server applies; a name that passes here is not refused there.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// The longest DNS label (RFC 1123), in bytes.
pub const MAX_DNS_LABEL: usize = 63;

/// The longest DNS subdomain (RFC 1123), in bytes.
pub const MAX_DNS_SUBDOMAIN: usize = 253;

/// The longest name part of a qualified name, and the longest label value, in bytes.
pub(crate) const MAX_QUALIFIED: usize = 63;

/// What [`is_dns_label`] allows, for messages.
pub const DNS_LABEL: &str = "at most 63 lower-case letters, digits and '-', \
     beginning and ending with a letter or digit";

/// What [`is_dns_subdomain`] allows, for messages.
pub const DNS_SUBDOMAIN: &str = "at most 253 lower-case letters, digits, '-' and '.', \
     every part between dots beginning and ending with a letter or digit";

/// Whether `text` is a DNS label (RFC 1123): a namespace's name, for instance.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= MAX_DNS_LABEL && is_dns_part(text)
}

/// Whether `text` is a DNS subdomain (RFC 1123): an API group or the name of most objects.
///
/// The parts between dots have no limit of their own: the API server sets none either.
#[must_use]
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= MAX_DNS_SUBDOMAIN && text.split('.').all(is_dns_part)
}

/// Whether `text` is the name part of a qualified name, or a label value that is not empty.
pub(crate) fn is_qualified(text: &str) -> bool {
    text.len() <= MAX_QUALIFIED
        && is_enclosed(text, |b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_dns_part(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    is_enclosed(text, alphanumeric) && text.bytes().all(|b| alphanumeric(b) || b == b'-')
}

/// Whether the first and the last byte exist and are `allowed`.
fn is_enclosed(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.into_iter().all(|end| end.is_some_and(&allowed))
}

/// The name of a namespace: a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// The text is no name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is no name of a namespace; allowed: {DNS_LABEL}")]
pub struct InvalidNamespace {
    found: String,
}

impl Namespace {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = InvalidNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_dns_label(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidNamespace { found: text.into() })
        }
    }
}

impl TryFrom<&str> for Namespace {
    type Error = InvalidNamespace;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(predicate: fn(&str) -> bool, valid: &[&str], invalid: &[&str]) {
        for text in valid {
            assert!(predicate(text), "{text:?} is refused");
        }
        for text in invalid {
            assert!(!predicate(text), "{text:?} passes");
        }
    }

    #[test]
    fn dns_labels_are_told_from_everything_else() {
        check(
            is_dns_label,
            &["a", "0", "a-b", "a--b", &"a".repeat(63)],
            &[
                "",
                "-a",
                "a-",
                "A",
                "a.b",
                "a_b",
                "ä",
                " a",
                "a\n",
                &"a".repeat(64),
            ],
        );
    }

    #[test]
    fn dns_subdomains_are_told_from_everything_else() {
        check(
            is_dns_subdomain,
            &["a", "example.com", "a-b.0", &"a".repeat(253)],
            &[
                "",
                ".",
                "a.",
                ".a",
                "a..b",
                "a.-b",
                "A.b",
                "a/b",
                &"a".repeat(254),
            ],
        );
    }

    #[test]
    fn an_invalid_namespace_says_what_was_found_and_what_is_allowed() {
        assert_eq!(
            "Tenants/a".parse::<Namespace>().unwrap_err().to_string(),
            "\"Tenants/a\" is no name of a namespace; allowed: at most 63 lower-case letters, \
             digits and '-', beginning and ending with a letter or digit"
        );
    }
}
