//! Whether a plan may be carried out: a pure function of the plan and of what was seen of the
//! upstream after the plan was made.
//!
//! This is the only place that makes a [`Warrant`], and only a warrant deletes
//! (`apply`). Its caller is the pass of [`CascadingDelete`](super::CascadingDelete).

use std::{collections::BTreeSet, fmt, num::NonZeroUsize, sync::Arc};

use super::plan::{Plan, Target};
use crate::object::ObjectRef;

/// Targets a warrant covers at most; the upstream is confirmed again for the next batch.
const BATCH: usize = 500;

/// What a cascade is about, as far as judging needs to know it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The UID of the upstream whose deletion is being carried out, when the hint named one.
    pub uid: Option<Arc<str>>,
    /// Whether the hint says that somebody saw the upstream go, not merely that it is not there.
    pub witnessed: bool,
    /// The UID of the upstream's definition under which the hint was made, when it named one.
    pub definition: Option<Arc<str>>,
    /// Whether the upstream's UID is its ID, so that a namesake has another ID.
    pub id_is_uid: bool,
    /// Whether the rule holds its upstreams.
    pub hold: bool,
    /// The UIDs of the plan that was first judged under a confirmed deletion of this upstream.
    pub frozen: Option<Arc<BTreeSet<Arc<str>>>>,
    /// The most objects that one plan may delete.
    pub limit: Option<NonZeroUsize>,
}

/// What live, consistent reads showed after the plan's lists were complete.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The upstream itself.
    pub upstream: Sighting,
    /// Its definition.
    pub definition: Definition,
    /// Other objects of the upstream's kind that have the same ID.
    pub namesakes: Vec<ObjectRef>,
}

/// What a read of the upstream showed.
///
/// Complete: an object is there, terminates or is gone; or nobody is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sighting {
    /// It is there and is not being deleted.
    Live {
        /// Its UID.
        uid: Arc<str>,
    },
    /// It has a `deletionTimestamp`.
    Terminating {
        /// Its UID.
        uid: Arc<str>,
        /// Whether our hold is on it.
        held: bool,
    },
    /// The server says that there is no such object.
    Gone,
    /// Nothing was read: the embedder trusts the envelope.
    Trusted,
}

/// What a read of the upstream's definition showed.
///
/// Complete: as [`Sighting`], and a kind can be built in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Definition {
    /// The kind has no `CustomResourceDefinition`: built in, or of an aggregated server.
    BuiltIn,
    /// Its `CustomResourceDefinition` is there and is not being deleted.
    Serving {
        /// Its UID.
        uid: Arc<str>,
    },
    /// Its `CustomResourceDefinition` is being deleted, which deletes every upstream at once.
    Terminating,
}

/// Why a plan may not be carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The upstream is there and is not being deleted.
    UpstreamAlive,
    /// Another object has taken the upstream's place; it has this UID.
    UpstreamReplaced(Arc<str>),
    /// The upstream is gone and the hint never said which UID it had.
    UpstreamUnknown,
    /// The upstream is gone and nobody saw it being deleted, or it went without our hold.
    DeletionUnwitnessed,
    /// The definition is not the one that the upstream was seen under.
    DefinitionChanged,
    /// The definition is being deleted.
    DefinitionTerminating,
    /// Other upstreams have the same ID, and nothing tells their dependents apart.
    Namesakes(Vec<ObjectRef>),
    /// The plan is larger than the limit.
    LimitExceeded {
        /// Live objects in the plan.
        matches: usize,
        /// The most that is allowed.
        limit: NonZeroUsize,
    },
}

impl Refusal {
    /// A word for metrics and Events, in `CamelCase`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UpstreamAlive => "UpstreamAlive",
            Self::UpstreamReplaced(_) => "UpstreamReplaced",
            Self::UpstreamUnknown => "UpstreamUnknown",
            Self::DeletionUnwitnessed => "DeletionUnwitnessed",
            Self::DefinitionChanged => "DefinitionChanged",
            Self::DefinitionTerminating => "DefinitionTerminating",
            Self::Namesakes(_) => "Namesakes",
            Self::LimitExceeded { .. } => "LimitExceeded",
        }
    }
}

/// What was found, and the remedy.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpstreamAlive => f.write_str("the upstream is alive; nothing is deleted"),
            Self::UpstreamReplaced(uid) => write!(
                f,
                "another object (uid {uid}) has taken the upstream's place; what carries its ID may \
                 belong to either, so nothing is deleted; delete what is left of the old one by hand"
            ),
            Self::UpstreamUnknown => f.write_str(
                "the upstream is gone and its UID was never known; nothing is deleted; delete what \
                 is left of it by hand",
            ),
            Self::DeletionUnwitnessed => f.write_str(
                "the upstream is gone but its deletion was not seen; nothing is deleted; its \
                 dependents are orphans, delete them by hand",
            ),
            Self::DefinitionChanged => f.write_str(
                "the upstream's CustomResourceDefinition was replaced, which removes every upstream \
                 without anybody having deleted one; nothing is deleted; restore the upstreams, or \
                 delete what is left of them by hand",
            ),
            Self::DefinitionTerminating => f.write_str(
                "the upstream's CustomResourceDefinition is being deleted, which deletes every \
                 upstream at once; nothing is deleted; if that is meant, delete the dependents by \
                 hand, withdraw the rule, and let the upstreams go with `kubectl cascade release`",
            ),
            Self::Namesakes(objects) => {
                f.write_str("other upstreams have the same ID: ")?;
                for (place, object) in objects.iter().enumerate() {
                    write!(f, "{}{object}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(
                    "; nothing tells their dependents apart, so nothing is deleted; rename or \
                     delete one, or let the rule use `id: {from: UID}` or `sameAsUpstream`",
                )
            }
            Self::LimitExceeded { matches, limit } => write!(
                f,
                "{matches} objects match, the limit is {limit}; nothing is deleted; look at them, \
                 then raise the rule's `limit` or delete some by hand"
            ),
        }
    }
}

/// The right to delete a batch of targets, for the moment.
///
/// Only [`judge`] makes one. It owns what is left of its plan, and it is consumed by use.
#[derive(Debug)]
pub struct Warrant {
    batch: Vec<Target>,
    rest: Plan,
}

impl Warrant {
    /// What it allows to delete.
    #[must_use]
    pub fn batch(&self) -> &[Target] {
        &self.batch
    }

    /// Gives up the right: the batch, and the plan that has to be judged again.
    pub(super) fn into_parts(self) -> (Vec<Target>, Plan) {
        (self.batch, self.rest)
    }
}

/// Decides whether `plan` may be carried out.
///
/// `evidence` must have been read **after** the plan's lists: a plan confirmed beforehand could
/// hold the dependents of a namesake that appeared in between.
///
/// # Guarantees
/// A warrant is given only when
/// - the definition is the one that the hint was made under, and is not being deleted, and no
///   other upstream has the ID; or the plan is empty;
/// - the upstream of the case terminates; or it is gone, and its deletion was seen by a rule that
///   does not hold; or it is gone in mid-cascade, and then only for what was planned before;
/// - the plan is within the limit.
///
/// # Errors
/// The first of these that does not hold, as a [`Refusal`].
pub fn judge(mut plan: Plan, evidence: &Evidence, case: &Case) -> Result<Warrant, Refusal> {
    // What deletes nothing can hit nothing wrong; then only the upstream's own state counts.
    if !plan.is_empty() {
        same_definition(&evidence.definition, case)?;
        if !evidence.namesakes.is_empty() {
            return Err(Refusal::Namesakes(evidence.namesakes.clone()));
        }
    }
    match covers(&evidence.upstream, case)? {
        Coverage::Everything => {}
        Coverage::Frozen(uids) => plan.retain(uids),
    }
    if let Some(limit) = case.limit
        && plan.matches() > limit.get()
    {
        return Err(Refusal::LimitExceeded {
            matches: plan.matches(),
            limit,
        });
    }
    let batch = plan.take_batch(BATCH);
    Ok(Warrant { batch, rest: plan })
}

fn same_definition(seen: &Definition, case: &Case) -> Result<(), Refusal> {
    let Some(expected) = case.definition.as_deref() else {
        return match seen {
            Definition::Terminating => Err(Refusal::DefinitionTerminating),
            _ => Ok(()),
        };
    };
    match seen {
        Definition::Terminating => Err(Refusal::DefinitionTerminating),
        Definition::BuiltIn if expected == Definition::BUILT_IN => Ok(()),
        Definition::Serving { uid } if **uid == *expected => Ok(()),
        _ => Err(Refusal::DefinitionChanged),
    }
}

impl Definition {
    /// What stands for the definition's UID where the kind has none.
    pub(crate) const BUILT_IN: &str = "built-in";

    /// What an envelope carries of it: its UID, or what stands for that.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn token(&self) -> Arc<str> {
        match self {
            Self::BuiltIn => Self::BUILT_IN.into(),
            Self::Serving { uid } => Arc::clone(uid),
            Self::Terminating => "terminating".into(),
        }
    }
}

/// What part of a plan the state of the upstream allows.
enum Coverage<'a> {
    Everything,
    Frozen(&'a BTreeSet<Arc<str>>),
}

fn covers<'a>(upstream: &Sighting, case: &'a Case) -> Result<Coverage<'a>, Refusal> {
    let ours = |uid: &Arc<str>| case.uid.as_ref().is_none_or(|expected| expected == uid);
    match upstream {
        Sighting::Trusted => Ok(Coverage::Everything),
        Sighting::Terminating { uid, .. } if ours(uid) => Ok(Coverage::Everything),
        Sighting::Live { uid } if ours(uid) => Err(Refusal::UpstreamAlive),
        Sighting::Live { uid } | Sighting::Terminating { uid, .. } if !case.id_is_uid => {
            Err(Refusal::UpstreamReplaced(Arc::clone(uid)))
        }
        // With the UID as its ID, whoever took the place has another ID: ours is gone.
        Sighting::Live { .. } | Sighting::Terminating { .. } | Sighting::Gone => gone(case),
    }
}

fn gone(case: &Case) -> Result<Coverage<'_>, Refusal> {
    if case.uid.is_none() {
        return Err(Refusal::UpstreamUnknown);
    }
    if case.witnessed && !case.hold {
        return Ok(Coverage::Everything);
    }
    case.frozen
        .as_deref()
        .map(Coverage::Frozen)
        .ok_or(Refusal::DeletionUnwitnessed)
}

#[cfg(test)]
mod tests;
