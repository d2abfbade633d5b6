//! What a cascade selects: by which label, where, and for which ID.
//!
//! Owns every guard between an ID from outside and a label selector on the wire. It does not
//! list anything itself, and it does not know kinds; [`cascade`](crate::cascade) does.
//!
//! Two facts of the API server make this module necessary: an empty `labelSelector` matches
//! everything, and `key=p1,b` parses as two requirements.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use thiserror::Error;

use crate::names::{self, Namespace};

/// Which objects of a dependent kind belong to an upstream.
///
/// There is no default and no way to leave the label or the scope out:
///
/// ```
/// use kube_cascade::cascade::{LabelKey, Scope, Selection};
///
/// let key: LabelKey = "example.com/project".parse()?;
/// Selection::label(key, Scope::AllNamespaces);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Without the label it does not compile,
///
/// ```compile_fail,E0061
/// use kube_cascade::cascade::{LabelKey, Scope, Selection};
///
/// Selection::label(Scope::AllNamespaces);
/// ```
///
/// nor without the scope,
///
/// ```compile_fail,E0061
/// use kube_cascade::cascade::{LabelKey, Scope, Selection};
///
/// let key: LabelKey = "example.com/project".parse()?;
/// Selection::label(key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// nor with unchecked text for a label,
///
/// ```compile_fail,E0308
/// use kube_cascade::cascade::{LabelKey, Scope, Selection};
///
/// Selection::label("", Scope::AllNamespaces);
/// ```
///
/// nor from nothing.
///
/// ```compile_fail,E0599
/// use kube_cascade::cascade::{LabelKey, Scope, Selection};
///
/// Selection::default();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    by: By,
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Label(LabelKey),
    EveryObject,
}

impl Selection {
    /// Selects the objects in `scope` whose label `key` has the upstream's ID as its value.
    #[must_use]
    pub fn label(key: LabelKey, scope: Scope) -> Self {
        let by = By::Label(key);
        Self { by, scope }
    }

    /// Selects **every object** of the kind in one namespace, whatever its labels say.
    ///
    /// A sharp tool: the deletion of *any* upstream then deletes all of them, those of all other
    /// upstreams included. It is right only for a namespace whose content belongs to a single
    /// upstream; there is deliberately no such selection over several namespaces. Prefer
    /// [`Selection::label`].
    #[must_use]
    pub fn every_object_in(namespace: Namespace) -> Self {
        Self {
            by: By::EveryObject,
            scope: Scope::from(namespace),
        }
    }

    /// Where is selected.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The label whose value is the ID; `None` for [`Selection::every_object_in`].
    ///
    /// For those who look for objects by the label's existence. What selects the dependents of an
    /// upstream is [`Selection::selector`] and nothing else.
    #[must_use]
    pub fn label_key(&self) -> Option<&LabelKey> {
        match &self.by {
            By::Label(key) => Some(key),
            By::EveryObject => None,
        }
    }

    /// What selects the dependents of the upstream with this ID.
    ///
    /// # Errors
    ///
    /// [`InvalidLabelValue`] when the ID is blank, or the selection is by label and no object can
    /// carry the ID as a label value. Neither heals: nothing is to be listed and nothing retried.
    pub fn selector(&self, id: &str) -> Result<Selector, InvalidLabelValue> {
        match &self.by {
            By::Label(key) => {
                let (key, value) = (key.clone(), id.parse()?);
                Ok(Selector::Label(LabelSelector { key, value }))
            }
            // The ID selects nothing here, but a blank one names no upstream either.
            By::EveryObject if id.trim().is_empty() => Err(InvalidLabelValue { found: id.into() }),
            By::EveryObject => Ok(Selector::EveryObject),
        }
    }
}

/// Where dependents of one kind are looked for.
///
/// Complete: an API server knows no other scope of a list, so that this enum may be matched
/// without a wildcard, and a reader is forced to handle each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In these namespaces only.
    Namespaces(Namespaces),
    /// In every namespace, those that do not exist yet included.
    AllNamespaces,
    /// In the namespace of the upstream, so that two upstreams of one name never meet.
    SameAsUpstream,
    /// The kind has no namespaces.
    ClusterScoped,
}

impl Scope {
    /// Whether some object could be in both scopes.
    ///
    /// `true` where only the server knows: [`Scope::SameAsUpstream`] may be any namespace.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Namespaces(a), Self::Namespaces(b)) => a.iter().any(|name| b.contains(name)),
            (Self::ClusterScoped, Self::ClusterScoped) => true,
            // One of the two claims is wrong; which one is for the server to say.
            (Self::ClusterScoped, _) | (_, Self::ClusterScoped) => false,
            _ => true,
        }
    }
}

impl From<Namespace> for Scope {
    fn from(namespace: Namespace) -> Self {
        Self::Namespaces(namespace.into())
    }
}

impl From<Namespaces> for Scope {
    fn from(namespaces: Namespaces) -> Self {
        Self::Namespaces(namespaces)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces(namespaces) => write!(f, "{namespaces}"),
            Self::AllNamespaces => f.write_str("all namespaces"),
            Self::SameAsUpstream => f.write_str("the upstream's namespace"),
            Self::ClusterScoped => f.write_str("the cluster"),
        }
    }
}

/// One or several namespaces: never none, none twice, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespaces(BTreeSet<Namespace>);

/// A list of namespaces was empty, which must not come to mean "all".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no namespace named; all of them are asked for in words, with `Scope::AllNamespaces`")]
pub struct NoNamespace;

impl Namespaces {
    /// These namespaces, each once.
    ///
    /// # Errors
    ///
    /// [`NoNamespace`] when there is none.
    pub fn new(namespaces: impl IntoIterator<Item = Namespace>) -> Result<Self, NoNamespace> {
        let namespaces: BTreeSet<_> = namespaces.into_iter().collect();
        if namespaces.is_empty() {
            return Err(NoNamespace);
        }
        Ok(Self(namespaces))
    }

    /// The namespaces, in the order of their names.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Namespace> {
        self.0.iter()
    }

    /// Whether this namespace is among them.
    #[must_use]
    pub fn contains(&self, namespace: &Namespace) -> bool {
        self.0.contains(namespace)
    }

    /// The only namespace, if there is just one.
    #[must_use]
    pub fn only(&self) -> Option<&Namespace> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

impl From<Namespace> for Namespaces {
    fn from(namespace: Namespace) -> Self {
        Self(BTreeSet::from([namespace]))
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, namespace) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{namespace}")?;
        }
        Ok(())
    }
}

/// What selects the dependents of one upstream.
///
/// An enum rather than an optional selector, so that "everything" is never what is left when
/// something is missing. Complete, because a third way to select would have to be handled
/// everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Objects with one label of one value.
    Label(LabelSelector),
    /// Every object in the scope, see [`Selection::every_object_in`].
    EveryObject,
}

impl Selector {
    /// Whether an object with these labels is selected: what the server decided at the list,
    /// decided again for an object that has been re-read.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Label(LabelSelector { key, value }) => labels
                .get(key.as_str())
                .is_some_and(|found| found == value.as_str()),
            Self::EveryObject => true,
        }
    }
}

/// One label and its value; only [`Selection::selector`] makes it.
///
/// Its `Display` is the API's `labelSelector` parameter, `key=value`. Neither part can hold a
/// `,` or a `=`, hence it is always a single requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector {
    key: LabelKey,
    value: LabelValue,
}

impl LabelSelector {
    /// The label's key.
    #[must_use]
    pub fn key(&self) -> &LabelKey {
        &self.key
    }

    /// The label's value: the upstream's ID.
    #[must_use]
    pub fn value(&self) -> &LabelValue {
        &self.value
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// The key of a label: a qualified name such as `example.com/project`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Arc<str>);

/// The text is no key of a label.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{found:?} is no label key; allowed: {}, after an optional prefix such as 'example.com/' (a \
     DNS subdomain of at most 253 bytes)",
    QUALIFIED
)]
pub struct InvalidLabelKey {
    found: String,
}

/// The value of a label that holds an ID, which is why it is never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Arc<str>);

/// The text is an ID that no label can hold, and so nothing can depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is an ID that no label can hold; allowed: {}", QUALIFIED)]
pub struct InvalidLabelValue {
    found: String,
}

const QUALIFIED: &str = "1 to 63 ASCII letters, digits, '-', '_' and '.', \
     beginning and ending with a letter or digit";

impl LabelKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = InvalidLabelKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = match text.split_once('/') {
            Some((prefix, name)) => names::is_dns_subdomain(prefix) && names::is_qualified(name),
            None => names::is_qualified(text),
        };
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLabelKey { found: text.into() })
        }
    }
}

impl TryFrom<&str> for LabelKey {
    type Error = InvalidLabelKey;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LabelValue {
    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelValue {
    type Err = InvalidLabelValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if names::is_qualified(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLabelValue { found: text.into() })
        }
    }
}

impl TryFrom<&str> for LabelValue {
    type Error = InvalidLabelValue;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for LabelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
