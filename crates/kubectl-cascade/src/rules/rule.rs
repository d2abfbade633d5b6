//! A rule without anything wrong: what the controller works from.

use std::{fmt, num::NonZeroUsize, slice};

use kube_cascade::{
    Kind,
    cascade::{LabelKey, Namespaces, Scope},
    hold::RuleName,
    names,
};
pub use kube_cascade::{
    cascade::{Mode, Propagation},
    kubernetes::IdSource,
};
use thiserror::Error;

/// At least one rule, each of a name of its own, checked one by one and together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet(pub(super) Vec<Rule>);

impl RuleSet {
    /// The rules, in the order of their names.
    pub fn iter(&self) -> slice::Iter<'_, Rule> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a RuleSet {
    type Item = &'a Rule;
    type IntoIter = slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for RuleSet {
    type Item = Rule;
    type IntoIter = std::vec::IntoIter<Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One rule: when an upstream of one kind is deleted, its dependents are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) name: RuleName,
    pub(super) mode: Mode,
    pub(super) upstream: Upstream,
    pub(super) dependents: Vec<Dependent>,
    pub(super) limit: NonZeroUsize,
}

impl Rule {
    /// What the author calls the rule.
    #[must_use]
    pub fn name(&self) -> &RuleName {
        &self.name
    }

    /// Whether the rule deletes or only says what it would delete.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whose deletion starts the cascade.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What is deleted then; at least one.
    #[must_use]
    pub fn dependents(&self) -> &[Dependent] {
        &self.dependents
    }

    /// How many dependents, over all kinds, one cascade deletes without being asked.
    #[must_use]
    pub fn limit(&self) -> NonZeroUsize {
        self.limit
    }
}

/// The upstream half of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub(super) kind: GroupKind,
    pub(super) scope: UpstreamScope,
    pub(super) id: IdSource,
    pub(super) unique: bool,
    pub(super) hold: bool,
}

impl Upstream {
    /// The kind whose deletion cascades.
    #[must_use]
    pub fn kind(&self) -> &GroupKind {
        &self.kind
    }

    /// Where upstreams are watched.
    #[must_use]
    pub fn scope(&self) -> &UpstreamScope {
        &self.scope
    }

    /// What of an upstream its dependents carry as the label's value.
    #[must_use]
    pub fn id(&self) -> IdSource {
        self.id
    }

    /// Whether the author vouches that the ID names one upstream among all namespaces.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.unique
    }

    /// Whether the upstream is held until its dependents are gone.
    ///
    /// What the author wrote; a rule in [`Mode::Report`] holds nothing all the same.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold
    }
}

/// Where upstreams are watched. Complete, as [`Scope`] is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamScope {
    /// In these namespaces only.
    Namespaces(Namespaces),
    /// In every namespace.
    AllNamespaces,
    /// The author claims that the kind has no namespaces.
    ClusterScoped,
}

/// One kind of dependents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    pub(super) kind: GroupKind,
    pub(super) label: LabelKey,
    pub(super) scope: Scope,
    pub(super) propagation: Propagation,
}

impl Dependent {
    /// The kind that is deleted.
    #[must_use]
    pub fn kind(&self) -> &GroupKind {
        &self.kind
    }

    /// The label whose value is the upstream's ID.
    #[must_use]
    pub fn label(&self) -> &LabelKey {
        &self.label
    }

    /// Where dependents are looked for. [`Scope::ClusterScoped`] is the author's claim.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What happens to the objects that a dependent owns.
    #[must_use]
    pub fn propagation(&self) -> Propagation {
        self.propagation
    }
}

/// A kind by group and name, without a version: which one is served is the server's to say.
///
/// Its `Display` is kubectl's `Kind.group`, or `Kind` alone for the core group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    group: String,
    kind: String,
}

/// Why group and kind name no kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidGroupKind {
    /// The group is neither empty nor a DNS subdomain.
    #[error("{found:?} is no API group; allowed: {}", names::DNS_SUBDOMAIN)]
    Group {
        /// What was found.
        found: String,
    },
    /// The kind is no name of a kind.
    #[error("{found:?} is no kind; allowed: {}", GroupKind::KIND)]
    Kind {
        /// What was found.
        found: String,
    },
}

impl GroupKind {
    /// What a kind looks like, for messages.
    pub(super) const KIND: &str = "at most 63 ASCII letters, digits and '-', \
         beginning with a letter, ending with a letter or digit";

    /// The kind `kind` of the API group `group`, which is empty for the core group.
    pub fn new(group: &str, kind: &str) -> Result<Self, InvalidGroupKind> {
        if !Self::is_group(group) {
            return Err(InvalidGroupKind::Group {
                found: group.into(),
            });
        }
        if !Self::is_kind(kind) {
            return Err(InvalidGroupKind::Kind { found: kind.into() });
        }
        let (group, kind) = (group.into(), kind.into());
        Ok(Self { group, kind })
    }

    pub(super) fn is_group(text: &str) -> bool {
        text.is_empty() || names::is_dns_subdomain(text)
    }

    /// What the API server demands of the kind of a `CustomResourceDefinition`.
    pub(super) fn is_kind(text: &str) -> bool {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && names::is_dns_label(&text.to_ascii_lowercase())
    }

    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The kind within the group.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl From<&GroupKind> for Kind {
    fn from(checked: &GroupKind) -> Self {
        Self::new(checked.group(), checked.kind())
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}
