//! The order itself: from an object's finalizers to what its controller does next. Pure.
//!
//! It owns no client and no memory. [`Reconciler`](super::Reconciler) executes it.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{
    hold::HoldName,
    names,
    reference::{NotReferences, Reference},
};

/// The finalizer by which the collector keeps the owner of objects that are yet to be deleted.
pub(super) const CHILDREN: &str = "foregroundDeletion";

/// A controller's own finalizer: on its objects from before it provisions anything for them until
/// all of that is gone.
///
/// Best of the form `domain/name`, so that whoever finds it on an object knows whom to ask. A bare
/// name is taken as well: objects of an older controller may carry one.
///
/// # Examples
/// ```
/// use kube_cascade::reconcile::OwnFinalizer;
///
/// let own: OwnFinalizer = "region.example.com/operator".parse()?;
/// assert_eq!(own.as_str(), "region.example.com/operator");
/// assert!("foregroundDeletion".parse::<OwnFinalizer>().is_err());
/// # Ok::<(), kube_cascade::reconcile::InvalidFinalizer>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnFinalizer(Arc<str>);

/// The text is no finalizer of a controller's own.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{found:?} is no finalizer of a controller's own; allowed: a domain of lower-case letters, \
     digits, '-' and '.', then '/', then at most 63 letters, digits, '-', '_' and '.', beginning \
     and ending with a letter or digit; not Kubernetes' own, and no hold"
)]
pub struct InvalidFinalizer {
    found: String,
}

impl OwnFinalizer {
    /// The finalizer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnFinalizer {
    type Err = InvalidFinalizer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_finalizer = match text.split_once('/') {
            Some((domain, name)) => names::is_dns_subdomain(domain) && names::is_qualified(name),
            None => names::is_qualified(text),
        };
        if is_finalizer && !NotReferences::well_known().contains(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidFinalizer { found: text.into() })
        }
    }
}

impl fmt::Display for OwnFinalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether somebody has asked for the object's deletion.
///
/// Complete: there is no way back, and nothing in between.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    /// It has no `deletionTimestamp`.
    Live,
    /// It has one.
    Terminating,
}

/// What is known of the work that a deletion asks of the controller.
///
/// Complete: it was done for this very object, or that is not known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Work {
    /// It has to be done, or done again: deprovisioning is idempotent.
    Pending,
    /// Whatever was provisioned for this UID is gone.
    Done,
}

/// What a controller does next for one object.
///
/// Complete: a controller must have an answer to each of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Put the own finalizer on, before anything is provisioned: what is provisioned for an object
    /// that can vanish without a word is never taken down.
    Adopt,
    /// Make the world what the object says.
    Provision,
    /// Wait until these no longer use the object.
    WaitForReferences(Vec<Reference>),
    /// Wait until what belongs to the object by a label is gone: these holds are on it.
    WaitForDependents(Vec<String>),
    /// Wait until the collector has deleted what the object owns.
    WaitForChildren,
    /// Take down what was provisioned.
    Deprovision,
    /// Take the own finalizer off, which lets the object go.
    Finish,
    /// Nothing: the object goes without us, for our finalizer is not on it.
    Leave,
}

/// Which finalizers count as what, for one controller.
///
/// # Guarantees
/// - Nothing is provisioned for an object without the own finalizer.
/// - [`Step::Deprovision`] and [`Step::Finish`] are never answered while a reference, a hold or the
///   collector's finalizer is on the object, and [`Step::Finish`] only after the work is done.
/// - What is neither a reference nor a hold nor the collector's hinders nothing: other controllers
///   do their work beside this one.
///
/// # Examples
/// ```
/// use kube_cascade::reconcile::{Order, Phase, Step, Work};
///
/// let order = Order::new("region.example.com/operator".parse()?);
/// let step = |finalizers: &[&str], work| order.step(Phase::Terminating, finalizers, work);
///
/// let used = ["region.example.com/operator", "clusters.compute.example.com/east_blue"];
/// assert!(matches!(step(&used, Work::Pending), Step::WaitForReferences(by) if by.len() == 1));
/// assert_eq!(step(&used[..1], Work::Pending), Step::Deprovision);
/// assert_eq!(step(&used[..1], Work::Done), Step::Finish);
/// assert_eq!(step(&[], Work::Pending), Step::Leave);
/// # Ok::<(), kube_cascade::reconcile::InvalidFinalizer>(())
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    own: OwnFinalizer,
    not_references: NotReferences,
}

impl Order {
    /// The order of a controller whose own finalizer is `own`.
    #[must_use]
    pub fn new(own: OwnFinalizer) -> Self {
        Self::telling_apart(own, NotReferences::well_known())
    }

    /// The same, where other controllers' own finalizers are on the objects, too.
    ///
    /// A finalizer that has the form of a reference and is not told apart counts as one: the object
    /// then waits for it, visibly, rather than to be taken down under somebody who uses it.
    #[must_use]
    pub fn telling_apart(own: OwnFinalizer, not_references: NotReferences) -> Self {
        let not_references = not_references.and(own.as_str());
        Self {
            own,
            not_references,
        }
    }

    /// The controller's own finalizer.
    #[must_use]
    pub fn own(&self) -> &OwnFinalizer {
        &self.own
    }

    /// What comes next for an object in this phase with these finalizers.
    #[must_use]
    pub fn step<F: AsRef<str>>(&self, phase: Phase, finalizers: &[F], work: Work) -> Step {
        let finalizers = finalizers.iter().map(AsRef::as_ref);
        let ours = finalizers.clone().any(|name| name == self.own.as_str());
        match (phase, ours) {
            (Phase::Live, false) => return Step::Adopt,
            (Phase::Live, true) => return Step::Provision,
            (Phase::Terminating, false) => return Step::Leave,
            (Phase::Terminating, true) => {}
        }
        let references = self.not_references.references(finalizers.clone());
        if !references.is_empty() {
            return Step::WaitForReferences(references);
        }
        let holds: Vec<_> = finalizers
            .clone()
            .filter(|name| HoldName::is_one(name))
            .map(str::to_owned)
            .collect();
        if !holds.is_empty() {
            return Step::WaitForDependents(holds);
        }
        if finalizers.clone().any(|name| name == CHILDREN) {
            return Step::WaitForChildren;
        }
        match work {
            Work::Pending => Step::Deprovision,
            Work::Done => Step::Finish,
        }
    }
}

#[cfg(test)]
mod tests;
