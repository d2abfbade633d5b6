//! What can go wrong with references on objects, and what to do about it.

use std::fmt;

use thiserror::Error;

use super::{InvalidPlural, UnwritableReference, used::Changed};
use crate::{
    fence::FenceLost,
    kubernetes::{ATTEMPTS, CallError, Disposition},
    object::{Kind, ObjectRef},
};

/// No reference to an object was made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The plural of its kind could not be looked up.
    #[error(transparent)]
    Discover(#[from] CallError),
    /// The server serves its kind under something that is no plural.
    #[error("failed to read the plural of {kind}")]
    Plural {
        /// The kind.
        kind: Kind,
        /// What is wrong with it.
        source: InvalidPlural,
    },
    /// It names a namespace although its kind has none, or lacks one.
    #[error("{object} {}", if *.namespaced { "lacks its namespace" } else { "is of a kind without namespaces" })]
    Scope {
        /// The object.
        object: ObjectRef,
        /// Whether the kind is namespaced.
        namespaced: bool,
    },
    /// No finalizer can name it.
    #[error(transparent)]
    Unwritable(#[from] UnwritableReference),
}

impl NameError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Discover(error) => error.disposition(),
            Self::Plural { .. } | Self::Scope { .. } | Self::Unwritable(_) => {
                Disposition::Permanent
            }
        }
    }
}

/// A reference was not put on an object.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddError {
    /// There is no such object, or it went meanwhile.
    #[error("{object} does not exist, so nobody can use it")]
    NotFound {
        /// The object.
        object: ObjectRef,
    },
    /// The object is being deleted: whoever came to use it now would come too late.
    #[error("{object} is being deleted, so nobody can begin to use it")]
    Terminating {
        /// The object.
        object: ObjectRef,
    },
    /// Others changed the object between each read and write of ours.
    #[error("others have changed {object} meanwhile, {ATTEMPTS} times in a row")]
    Contended {
        /// The object.
        object: ObjectRef,
        /// The last answer.
        source: CallError,
    },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The lease is lost: another process goes on.
    #[error(transparent)]
    Fence(#[from] FenceLost),
}

impl AddError {
    /// What to do about it. An object that is not there may be created; one that is being deleted
    /// does not come back.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NotFound { .. } | Self::Contended { .. } => Disposition::Retry,
            Self::Terminating { .. } | Self::Fence(_) => Disposition::Permanent,
            Self::Call(error) => error.disposition(),
        }
    }
}

/// A reference was not taken off an object.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Others changed the object between each read and write of ours.
    #[error("others have changed {object} meanwhile, {ATTEMPTS} times in a row")]
    Contended {
        /// The object.
        object: ObjectRef,
        /// The last answer.
        source: CallError,
    },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The lease is lost: another process goes on.
    #[error(transparent)]
    Fence(#[from] FenceLost),
}

impl RemoveError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Contended { .. } => Disposition::Retry,
            Self::Fence(_) => Disposition::Permanent,
            Self::Call(error) => error.disposition(),
        }
    }
}

/// A reference was not put on all objects of a set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddAllError {
    /// The objects could not be listed; nothing was written.
    #[error(transparent)]
    List(#[from] CallError),
    /// Objects of these names are not among those that are selected; nothing was written.
    #[error("no {kind} of those selected is called {}", ids.join(", "))]
    UnknownIds {
        /// Their kind.
        kind: Kind,
        /// The names, in their order.
        ids: Vec<String>,
    },
    /// Several objects, in different namespaces, have one of the names; nothing was written.
    #[error("more than one {kind} of those selected is called {}", ids.join(", "))]
    AmbiguousIds {
        /// Their kind.
        kind: Kind,
        /// The names, in their order.
        ids: Vec<String>,
    },
    /// The reference is on all others, but not on these.
    #[error(transparent)]
    Objects(#[from] Failures<AddError>),
}

impl AddAllError {
    /// What to do about it. Unknown objects may be created.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::List(error) => error.disposition(),
            Self::UnknownIds { .. } => Disposition::Retry,
            Self::AmbiguousIds { .. } => Disposition::Permanent,
            Self::Objects(failures) => failures.disposition(AddError::disposition),
        }
    }
}

/// A reference was not taken off all objects of a set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveAllError {
    /// The objects could not be listed; nothing was written.
    #[error(transparent)]
    List(#[from] CallError),
    /// The reference is off all others, but not off these.
    #[error(transparent)]
    Objects(#[from] Failures<RemoveError>),
}

impl RemoveAllError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::List(error) => error.disposition(),
            Self::Objects(failures) => failures.disposition(RemoveError::disposition),
        }
    }
}

/// The objects of a set that could not be changed, at least one, and what became of the others.
#[derive(Debug)]
pub struct Failures<E> {
    pub(super) failed: Vec<(ObjectRef, E)>,
    pub(super) changed: Changed,
}

impl<E> Failures<E> {
    /// Each object that could not be changed, with the reason.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ObjectRef, &E)> {
        self.failed.iter().map(|(object, error)| (object, error))
    }

    /// What was changed nevertheless.
    #[must_use]
    pub fn changed(&self) -> &Changed {
        &self.changed
    }

    /// Permanent only if each of them is; else the longest of the waits.
    fn disposition(&self, of: impl Fn(&E) -> Disposition) -> Disposition {
        let all = self.failed.iter().map(|(_, error)| of(error));
        all.filter(|it| *it != Disposition::Permanent)
            .max()
            .unwrap_or(Disposition::Permanent)
    }
}

impl<E> fmt::Display for Failures<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, first) = (self.failed.len(), &self.failed[0].0);
        let all = failed + self.changed.objects().len() + self.changed.unchanged();
        write!(
            f,
            "failed to change {failed} of {all} objects, the first is {first}"
        )
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Failures<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.failed[0].1)
    }
}
