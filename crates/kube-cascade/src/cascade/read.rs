//! Reading the dependents: complete lists of every kind, or the reasons why not.

use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};

use futures::{StreamExt, stream};

use super::{
    Dependent,
    plan::{Plan, Seen, Target},
    selection::{Scope, Selector},
};
use crate::{
    consumer::ParkReason,
    kubernetes::{CallError, Kinds, Meta, Query, Resource, list},
    object::Kind,
};

/// Lists that are under way at a time for one cascade.
const LISTS: usize = 8;

/// A dependent kind that could not be read completely.
///
/// One is enough to stop its rule: what cannot be read is never taken for empty.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A list or a look-up failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A namespace of the scope does not exist; its list would be empty, and say nothing.
    #[error("namespace {namespace} does not exist, so no {kind} can be found there")]
    NamespaceMissing {
        /// The kind that was to be listed.
        kind: Kind,
        /// The namespace, as it was named.
        namespace: String,
    },
    /// The scope does not fit the kind.
    #[error("{kind} is {}, but its scope is {scope}", if *.namespaced { "namespaced" } else { "cluster-scoped" })]
    WrongScope {
        /// The kind that was to be listed.
        kind: Kind,
        /// Whether the server says that it has namespaces.
        namespaced: bool,
        /// The scope it was given.
        scope: Scope,
    },
    /// The scope is the upstream's namespace, and the upstream has none.
    #[error("{kind} is looked for in the upstream's namespace, but the upstream has none")]
    NoNamespace {
        /// The kind that was to be listed.
        kind: Kind,
    },
}

impl ReadError {
    /// Why to set the cascade aside, when only a change to the cluster or the rule helps.
    fn park_reason(&self) -> Option<ParkReason> {
        match self {
            Self::Call(error) => error.park_reason(),
            Self::NamespaceMissing { .. } => Some(ParkReason::NamespaceMissing),
            Self::WrongScope { .. } | Self::NoNamespace { .. } => Some(ParkReason::WrongScope),
        }
    }
}

/// Every failure of one reading.
#[derive(Debug)]
pub struct ReadErrors(Vec<ReadError>);

impl ReadErrors {
    pub(super) fn of(error: ReadError) -> Self {
        Self(vec![error])
    }

    /// Each of them.
    #[must_use]
    pub fn errors(&self) -> &[ReadError] {
        &self.0
    }

    pub(super) fn park_reason(&self) -> Option<ParkReason> {
        self.0.iter().find_map(ReadError::park_reason)
    }

    /// The longest that a server asked to be left alone, when one did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let after = |error: &ReadError| match error {
            ReadError::Call(error) => error.retry_after(),
            _ => None,
        };
        self.0.iter().filter_map(after).max()
    }
}

impl fmt::Display for ReadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the dependents cannot be read completely: ")?;
        for (place, error) in self.0.iter().enumerate() {
            write!(
                f,
                "{}{}",
                if place == 0 { "" } else { "; " },
                crate::chain::Chain(error)
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for ReadErrors {}

/// A dependent with the selector for one upstream's ID.
pub(super) struct Selected<'a> {
    pub(super) dependent: &'a Dependent,
    pub(super) selector: Selector,
}

impl Selected<'_> {
    /// What a plan needs of an object, or `None` when it is not selected.
    ///
    /// The labels are compared here once more, whatever the server's list said: a selector that
    /// was lost on its way must not widen a plan.
    fn seen(&self, meta: Meta) -> Option<Seen> {
        self.selector.matches(&meta.labels).then(|| Seen {
            object: meta.object_ref(self.dependent.kind()),
            terminating: meta.terminating(),
            uid: meta.uid,
            resource_version: meta.resource_version,
            propagation: self.dependent.policy(),
        })
    }
}

/// Lists every dependent of one upstream, but not the upstream itself.
///
/// # Errors
/// Every kind or namespace that could not be read, not only the first.
pub(super) async fn read(
    kinds: &Kinds,
    selected: &[Selected<'_>],
    upstream_namespace: Option<&str>,
    upstream_uid: Option<&str>,
) -> Result<Plan, ReadErrors> {
    let lists: Vec<_> = selected
        .iter()
        .map(|selected| read_kind(kinds, selected, upstream_namespace))
        .collect();
    let lists: Vec<_> = stream::iter(lists).buffered(LISTS).collect().await;
    let (mut seen, mut errors) = (Vec::new(), Vec::new());
    for list in lists {
        match list {
            Ok(found) => seen.extend(
                found
                    .into_iter()
                    .filter(|seen| Some(&*seen.uid) != upstream_uid),
            ),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(Plan::of(seen))
    } else {
        Err(ReadErrors(errors))
    }
}

async fn read_kind(
    kinds: &Kinds,
    selected: &Selected<'_>,
    upstream_namespace: Option<&str>,
) -> Result<Vec<Seen>, ReadError> {
    let kind = selected.dependent.kind();
    let resource = kinds.resolve(kind).await?;
    let mut seen = Vec::new();
    for namespace in namespaces(selected.dependent, &resource, upstream_namespace)? {
        let found = read_scope(kinds, selected, &resource, namespace.as_deref()).await;
        seen.extend(found.inspect_err(|error| {
            if let ReadError::Call(error) = error {
                kinds.forget_unserved(kind, error);
            }
        })?);
    }
    Ok(seen)
}

async fn read_scope(
    kinds: &Kinds,
    selected: &Selected<'_>,
    resource: &Resource,
    namespace: Option<&str>,
) -> Result<Vec<Seen>, ReadError> {
    let labels = match &selected.selector {
        Selector::Label(label) => Some(label.to_string()),
        Selector::EveryObject => None,
    };
    let query = Query {
        namespace,
        labels: labels.as_deref(),
        fields: None,
    };
    let listing = list(kinds.client(), resource, query, |meta| selected.seen(meta)).await?;
    // The upstream's own namespace cannot be mistyped, and may be gone together with it.
    if let Some(namespace) = namespace
        && listing.items.is_empty()
        && *selected.dependent.selection().scope() != Scope::SameAsUpstream
    {
        exists(kinds, resource, namespace).await?;
    }
    Ok(listing.items.into_iter().flatten().collect())
}

/// A list in a namespace that does not exist is 200 and empty, so emptiness is looked into.
pub(super) async fn exists(
    kinds: &Kinds,
    resource: &Resource,
    namespace: &str,
) -> Result<(), ReadError> {
    let found = Resource::namespace()
        .get(kinds.client(), None, namespace)
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(ReadError::NamespaceMissing {
            kind: resource.kind.clone(),
            namespace: namespace.to_owned(),
        }),
    }
}

/// The lists that a scope amounts to; `None` is a list of everything.
pub(super) fn namespaces<'a>(
    dependent: &'a Dependent,
    resource: &Resource,
    upstream: Option<&'a str>,
) -> Result<BTreeSet<Option<Cow<'a, str>>>, ReadError> {
    let scope = dependent.selection().scope();
    if resource.namespaced == (*scope == Scope::ClusterScoped) {
        return Err(ReadError::WrongScope {
            kind: resource.kind.clone(),
            namespaced: resource.namespaced,
            scope: scope.clone(),
        });
    }
    Ok(match scope {
        Scope::Namespaces(names) => names
            .iter()
            .map(|name| Some(Cow::Borrowed(name.as_str())))
            .collect(),
        Scope::AllNamespaces | Scope::ClusterScoped => BTreeSet::from([None]),
        Scope::SameAsUpstream => {
            let namespace = upstream.ok_or_else(|| ReadError::NoNamespace {
                kind: resource.kind.clone(),
            })?;
            BTreeSet::from([Some(Cow::Borrowed(namespace))])
        }
    })
}

/// What a live read of a planned object showed.
pub(super) enum Again {
    /// It is gone, has been replaced, no longer carries the label, or terminates already.
    NoLonger,
    /// It is the planned object, in its present version.
    Still(Seen),
}

/// Reads one planned object again, live.
///
/// # Errors
/// The read failed.
pub(super) async fn again(
    kinds: &Kinds,
    selected: &[Selected<'_>],
    target: &Target,
) -> Result<Again, CallError> {
    let object = target.object();
    let resource = kinds.resolve(object.kind()).await?;
    let found = resource
        .get(kinds.client(), object.namespace(), object.name())
        .await?;
    let Some(meta) = found.filter(|meta| meta.uid == *target.uid() && !meta.terminating()) else {
        return Ok(Again::NoLonger);
    };
    let mut of_kind = selected
        .iter()
        .filter(|one| one.dependent.kind() == object.kind());
    let seen = of_kind.find_map(|selected| selected.seen(meta.clone()));
    Ok(seen.map_or(Again::NoLonger, |seen| {
        Again::Still(Seen {
            propagation: target.propagation(),
            ..seen
        })
    }))
}
