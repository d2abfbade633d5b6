//! References: finalizers that say "in use by".
//!
//! Whoever uses an object puts a finalizer on it that names the *user*. The used object can be
//! deleted at any time, but it does not go before its last user has taken that finalizer off.
//!
//! This module owns how such a finalizer is written, read and told from others. None of that needs
//! a client. What puts references on objects, takes them off and resolves them is `References`
//! (feature `kubernetes`).
//!
//! # The grammar
//! | the user | is written as |
//! |---|---|
//! | object of a namespaced kind | `plural.group/namespace_name` |
//! | object of a cluster-scoped kind | `plural.group/name` |
//! | kind of the core group | `plural/…` instead of `plural.group/…` |
//! | any whose part after the slash is not writable like that | `plural.group/start__digest` |
//!
//! A finalizer is a qualified name: a prefix that is a DNS subdomain of at most 253 bytes, a slash,
//! and at most 63 letters, digits, `-`, `_` and `.` that begin and end with a letter or digit. The
//! API server refuses any other on a custom resource with 422. So `_` separates the namespace from
//! the name: it can be in neither of them. The prefix is at the same time the name of the kind's
//! definition, which is why the longest group (251 bytes, with a plural of one) fits.
//!
//! # The short form
//! A name may have 253 bytes, and that of a role may be `system:node`. Where the part after the
//! slash would have more than 63 bytes, or the name is no DNS subdomain, it is
//! `<start>__<digest>`:
//! - The *digest* is the first 32 hexadecimal digits of the SHA-256 of `plural.group/namespace/name`
//!   (`plural.group//name` for a cluster-scoped kind). 128 bits are what it takes so that nobody who
//!   may choose names finds one whose reference is that of another's object.
//! - The *start* is there for people: the first 29 bytes of `namespace_name` (or `name`) in lower
//!   case, in which whatever cannot be in a DNS subdomain became `-`. If it holds a `_`, all of the namespace is
//!   before it.
//!
//! Two `_` in a row are in none of the other forms, so that no object can be named such that its
//! reference looks like a short one. A short reference cannot be read back into a name:
//! [`Reference::matches`] says whether it means an object, and to find that object takes a list.

#[cfg(feature = "kubernetes")]
mod error;
mod finalizers;
#[cfg(feature = "kubernetes")]
mod references;
#[cfg(feature = "kubernetes")]
mod resolve;
mod style;
#[cfg(test)]
mod tests;
#[cfg(feature = "kubernetes")]
mod used;

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

#[cfg(feature = "kubernetes")]
pub use error::{AddAllError, AddError, Failures, NameError, RemoveAllError, RemoveError};
pub use finalizers::{Finalizer, NotReferences};
#[cfg(feature = "kubernetes")]
pub use references::{Change, References};
#[cfg(feature = "kubernetes")]
pub use resolve::{Resolved, Unresolved};
pub use style::{GroupRewrite, ReferenceStyle};
#[cfg(feature = "kubernetes")]
pub use used::{Changed, Used};

use crate::{
    digest::{is_digest, sha256},
    names::{self, MAX_QUALIFIED},
    object::ObjectRef,
};

/// How many hexadecimal digits of the SHA-256 stand for a name that cannot be written.
const DIGITS: usize = 32;

/// Between the start and the digest of a short form.
const CUT: &str = "__";

/// The longest start of a short form, in bytes.
const START: usize = MAX_QUALIFIED - CUT.len() - DIGITS;

/// The name under which an API server serves a kind: `networks`.
///
/// It is a DNS label: a definition with another plural is refused by the API server.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Plural(Arc<str>);

/// The text is no plural of a kind.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{found:?} is no plural of a kind; allowed: {}", names::DNS_LABEL)]
pub struct InvalidPlural {
    found: String,
}

impl Plural {
    /// The plural as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Plural {
    type Err = InvalidPlural;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if names::is_dns_label(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPlural { found: text.into() })
        }
    }
}

impl TryFrom<&str> for Plural {
    type Error = InvalidPlural;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A finalizer that says which object uses the one it is on.
///
/// # Guarantees
/// - It is a finalizer that an API server accepts.
/// - Two different objects never have the same one, unless it was written in
///   [`ReferenceStyle::Original`].
/// - What is printed parses to an equal one.
///
/// # Examples
/// ```
/// use kube_cascade::{Kind, ObjectRef, Reference, reference::Plural};
///
/// let networks: Plural = "networks".parse()?;
/// let network = Kind::new("region.example.com", "Network");
/// let user = ObjectRef::new(network, Some("region".into()), "net-1");
///
/// let reference = Reference::new(&user, &networks)?;
/// assert_eq!(reference.as_str(), "networks.region.example.com/region_net-1");
/// assert_eq!(reference.as_str().parse(), Ok(reference.clone()));
/// assert!(reference.matches(&user, &networks));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference(Arc<str>);

/// What a [`Reference`] says of the name of the user.
///
/// Complete: these are the forms of the grammar, and another one would have to be handled by
/// everybody who reads references.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form<'a> {
    /// An object of a namespaced kind.
    Namespaced {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// An object of a cluster-scoped kind, or one in an unnamed namespace that was written in
    /// [`ReferenceStyle::Original`].
    Named {
        /// Its name.
        name: &'a str,
    },
    /// An object whose name could not be written.
    Short {
        /// Its namespace, where that is short enough to be told.
        namespace: Option<&'a str>,
        /// The 32 hexadecimal digits that only this object has.
        digest: &'a str,
    },
}

/// The text is no reference.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{found:?} is no reference; allowed: `plural.group/namespace_name`, `plural.group/name` and \
     `plural.group/start__digest`"
)]
pub struct InvalidReference {
    found: String,
}

/// No reference can name this object.
///
/// No API server has such an object, except for [`NotInOriginal`](Self::NotInOriginal).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UnwritableReference {
    /// Plural and group make no prefix of a finalizer.
    #[error(
        "{prefix:?}, the plural and group of {object}, is no prefix of a finalizer; allowed: {}",
        names::DNS_SUBDOMAIN
    )]
    Prefix {
        /// The object.
        object: ObjectRef,
        /// Its plural and group.
        prefix: String,
    },
    /// No namespace has such a name.
    #[error("the namespace of {object} is none; allowed: {}", names::DNS_LABEL)]
    Namespace {
        /// The object.
        object: ObjectRef,
    },
    /// No object has such a name.
    #[error("the name of {object} is none: it is empty, '.' or '..', or has '/' or '%' in it")]
    Name {
        /// The object.
        object: ObjectRef,
    },
    /// The original's form has no room for this object.
    #[error(
        "{object} cannot be written in the original's form, which needs a group and a name that is \
         a DNS subdomain of at most 63 bytes"
    )]
    NotInOriginal {
        /// The object.
        object: ObjectRef,
    },
}

impl Reference {
    /// The reference that names `user`, which is served under this plural.
    ///
    /// Ours: [`ReferenceStyle::reference`] writes others.
    ///
    /// # Errors
    /// No object can have such a kind, namespace or name.
    pub fn new(user: &ObjectRef, plural: &Plural) -> Result<Self, UnwritableReference> {
        let prefix = prefix(user, plural, user.kind().group())?;
        let object = || user.clone();
        if !is_object_name(user.name()) {
            return Err(UnwritableReference::Name { object: object() });
        }
        let (namespace, name) = (user.namespace(), user.name());
        let readable = match namespace {
            Some(namespace) if !names::is_dns_label(namespace) => {
                return Err(UnwritableReference::Namespace { object: object() });
            }
            Some(namespace) => format!("{namespace}_{name}"),
            None => name.to_owned(),
        };
        if names::is_dns_subdomain(name) && readable.len() <= MAX_QUALIFIED {
            return Ok(Self(format!("{prefix}/{readable}").into()));
        }
        let start = start(namespace, name);
        let identity = format!("{prefix}/{}/{name}", namespace.unwrap_or_default());
        let digest = sha256(&identity, DIGITS);
        Ok(Self(format!("{prefix}/{start}{CUT}{digest}").into()))
    }

    /// Whether this is what [`Reference::new`] writes for the object.
    ///
    /// References of the original do not tell namespaces apart, and so mean no namespaced object
    /// for certain: compare with what [`ReferenceStyle::reference`] writes for them.
    #[must_use]
    pub fn matches(&self, object: &ObjectRef, plural: &Plural) -> bool {
        Self::new(object, plural).is_ok_and(|own| own == *self)
    }

    /// The finalizer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The plural of the user's kind.
    #[must_use]
    pub fn plural(&self) -> Plural {
        Plural(self.resource().0.into())
    }

    /// The group of the user's kind; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.resource().1
    }

    /// What it says of the user's name.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        self.parsed()
    }

    fn parsed(&self) -> Form<'_> {
        form(self.halves().1).expect("a reference is only made of what has a form")
    }

    fn resource(&self) -> (&str, &str) {
        let prefix = self.halves().0;
        prefix.split_once('.').unwrap_or((prefix, ""))
    }

    fn halves(&self) -> (&str, &str) {
        self.0.split_once('/').expect("a reference has a slash")
    }
}

/// `plural.group`, as which also the definition of a custom kind is named.
fn prefix(user: &ObjectRef, plural: &Plural, group: &str) -> Result<String, UnwritableReference> {
    let prefix = if group.is_empty() {
        plural.to_string()
    } else {
        format!("{plural}.{group}")
    };
    if names::is_dns_subdomain(&prefix) {
        Ok(prefix)
    } else {
        let object = user.clone();
        Err(UnwritableReference::Prefix { object, prefix })
    }
}

/// Whether an object may have this name: that is what goes into a path as one segment.
fn is_object_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '%'])
}

/// What a short form begins with.
fn start(namespace: Option<&str>, name: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let name = name.to_ascii_lowercase().replace(|c| !allowed(c), "-");
    let mut start = match namespace {
        Some(namespace) => format!("{namespace}_{name}"),
        // A finalizer's name part begins with a letter or digit.
        None => match name.trim_start_matches(['-', '.']) {
            "" => "x".to_owned(),
            trimmed => trimmed.to_owned(),
        },
    };
    // Only ASCII is left, so that any byte is a boundary.
    start.truncate(START);
    start
}

/// Reads the part after the slash.
fn form(text: &str) -> Option<Form<'_>> {
    if !names::is_qualified(text) {
        return None;
    }
    if let Some((start, digest)) = text.rsplit_once(CUT) {
        let namespace = match start.split_once('_') {
            // The rest of the start is of a name, in which no `_` can be.
            Some((namespace, rest)) if names::is_dns_label(namespace) && !rest.contains('_') => {
                Some(namespace)
            }
            Some(_) => return None,
            None => None,
        };
        let is_start = !start.is_empty() && !start.bytes().any(|b| b.is_ascii_uppercase());
        return (is_start && is_digest(digest, DIGITS))
            .then_some(Form::Short { namespace, digest });
    }
    match text.split_once('_') {
        Some((namespace, name)) => (names::is_dns_label(namespace)
            && names::is_dns_subdomain(name))
        .then_some(Form::Namespaced { namespace, name }),
        None => names::is_dns_subdomain(text).then_some(Form::Named { name: text }),
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_reference = text.split_once('/').is_some_and(|(prefix, name)| {
            let plural = prefix.split('.').next().unwrap_or_default();
            names::is_dns_subdomain(prefix) && names::is_dns_label(plural) && form(name).is_some()
        });
        if is_reference {
            Ok(Self(text.into()))
        } else {
            Err(InvalidReference { found: text.into() })
        }
    }
}

impl TryFrom<&str> for Reference {
    type Error = InvalidReference;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
