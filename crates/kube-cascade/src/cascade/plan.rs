//! What a cascade would delete, and what it still waits for: pure data.
//!
//! A [`Plan`] is made from complete lists only; whether it may be carried out is for
//! [`judge()`](super::judge()) to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::object::{Kind, ObjectRef};

/// How the dependents of a dependent go (the `propagationPolicy` of its DELETE).
///
/// Complete: the third policy of Kubernetes, `Orphan`, would leave behind what a cascade is for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Propagation {
    /// Owned objects first; the dependent stays visible as terminating until they are gone.
    ///
    /// The default, because the upstream may only go when everything is gone.
    #[default]
    Foreground,
    /// The dependent first; the garbage collector removes what it owned afterwards.
    Background,
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
        })
    }
}

/// One object as a list or a live read showed it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it is.
    pub object: ObjectRef,
    /// Its `metadata.uid`.
    pub uid: Arc<str>,
    /// Its `metadata.resourceVersion`.
    pub resource_version: Arc<str>,
    /// Whether it has a `deletionTimestamp`.
    pub terminating: bool,
    /// How it would be deleted.
    pub propagation: Propagation,
}

/// A live object that a plan would delete, exactly as it was seen.
#[derive(Clone, Debug)]
pub struct Target(Seen);

impl Target {
    /// Where it is.
    #[must_use]
    pub fn object(&self) -> &ObjectRef {
        &self.0.object
    }

    /// The UID that its DELETE will demand.
    #[must_use]
    pub fn uid(&self) -> &Arc<str> {
        &self.0.uid
    }

    /// The resource version that its DELETE will demand.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        &self.0.resource_version
    }

    /// How it will be deleted.
    #[must_use]
    pub fn propagation(&self) -> Propagation {
        self.0.propagation
    }
}

/// What complete lists of every dependent kind add up to.
///
/// An object that several selections match stands in it once.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    targets: Vec<Target>,
    waiting: Vec<ObjectRef>,
    matches: usize,
}

impl Plan {
    /// Sorts what was seen into what is to be deleted and what already terminates.
    #[must_use]
    pub fn of(seen: impl IntoIterator<Item = Seen>) -> Self {
        let mut plan = Self::default();
        let mut known = BTreeSet::new();
        for seen in seen {
            if !known.insert(Arc::clone(&seen.uid)) {
                continue;
            }
            if seen.terminating {
                plan.waiting.push(seen.object);
            } else {
                plan.targets.push(Target(seen));
            }
        }
        plan.matches = plan.targets.len();
        plan
    }

    /// What would be deleted.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What terminates already and is waited for; it is never deleted again.
    #[must_use]
    pub fn waiting(&self) -> &[ObjectRef] {
        &self.waiting
    }

    /// How many live objects the plan held when it was made; a limit is held against this number,
    /// so that a plan does not slip under its limit by being carried out in batches.
    #[must_use]
    pub fn matches(&self) -> usize {
        self.matches
    }

    /// Whether nothing is left, neither to delete nor to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.waiting.is_empty()
    }

    /// The numbers that people read.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut by_kind = BTreeMap::new();
        for target in &self.targets {
            *by_kind.entry(target.object().kind().clone()).or_insert(0) += 1;
        }
        Summary {
            by_kind,
            waiting: self.waiting.len(),
        }
    }

    /// The UIDs of the targets.
    pub(crate) fn uids(&self) -> BTreeSet<Arc<str>> {
        self.targets
            .iter()
            .map(|target| Arc::clone(target.uid()))
            .collect()
    }

    /// Leaves only the targets of this set.
    pub(crate) fn retain(&mut self, uids: &BTreeSet<Arc<str>>) {
        self.targets.retain(|target| uids.contains(target.uid()));
        self.matches = self.targets.len();
    }

    /// Puts targets back that a warrant no longer covers.
    pub(crate) fn put_back(&mut self, targets: impl IntoIterator<Item = Target>) {
        self.targets.extend(targets);
    }

    /// Takes up to `most` targets out of the plan.
    pub(crate) fn take_batch(&mut self, most: usize) -> Vec<Target> {
        let rest = self.targets.split_off(most.min(self.targets.len()));
        std::mem::replace(&mut self.targets, rest)
    }
}

/// How many objects of each kind a plan would delete, and how many it waits for.
///
/// Prints as `3 Network.region.example.com, 1 Cluster.compute.example.com (2 terminating already)`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    by_kind: BTreeMap<Kind, usize>,
    waiting: usize,
}

impl Summary {
    /// Live objects of each kind.
    #[must_use]
    pub fn by_kind(&self) -> &BTreeMap<Kind, usize> {
        &self.by_kind
    }

    /// Objects that terminate already.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.by_kind.is_empty() {
            f.write_str("nothing")?;
        }
        for (place, (kind, count)) in self.by_kind.iter().enumerate() {
            write!(f, "{}{count} {kind}", if place == 0 { "" } else { ", " })?;
        }
        if self.waiting > 0 {
            write!(f, " ({} terminating already)", self.waiting)?;
        }
        Ok(())
    }
}
