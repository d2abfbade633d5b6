//! What a cascade tells of itself: the hook for Events, metrics and reports.

use std::fmt;

use super::{CascadeError, judge::Refusal, plan::Summary};
use crate::{
    consumer::Parked,
    kubernetes::{CallError, Class},
    object::ObjectRef,
};

/// Hears what cascades do, as they do it.
///
/// Called from within the cascade: it must return at once, so anything slow goes behind a bounded
/// channel.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to the cascade of one upstream.
    fn observe(&self, subject: &Subject<'_>, notice: &Notice<'_>);
}

/// Which cascade a notice is about.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The name of the consumer: the rule.
    pub cascade: &'a str,
    /// The upstream, where it is a Kubernetes object.
    pub upstream: Option<ObjectRef>,
    /// The upstream's UID, where it is known.
    pub uid: Option<&'a str>,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A plan was judged for the first time, and is about to be carried out.
    Started(&'a Summary),
    /// What a plan would do; nothing was done.
    Reported(&'a Summary),
    /// A DELETE was answered.
    Deleted {
        /// The object it was for.
        object: &'a ObjectRef,
        /// The UID it demanded.
        uid: &'a str,
        /// How it was answered.
        answer: Answer,
    },
    /// A hint was refused for good: nothing is deleted on its account.
    Refused(&'a Refusal),
    /// The cascade was set aside until something changes.
    Parked(&'a Parked),
    /// Some of it failed and will be tried again.
    Failed(&'a CascadeError),
    /// Nothing is left; a hold is about to be released.
    Completed {
        /// Objects deleted since this process began the cascade.
        deleted: usize,
    },
}

/// How a DELETE was answered, for the audit log and metrics.
///
/// Complete: the classes a reader of an audit log has to tell apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Answer {
    /// The server took it.
    Deleted,
    /// It was gone already.
    Gone,
    /// It was not what had been judged; it lives.
    Conflict,
    /// The server refused (403).
    Forbidden,
    /// The server asked for patience (429).
    Throttled,
    /// No answer came; it may or may not be deleted.
    Unknown,
    /// Any other failure.
    Failed,
}

impl Answer {
    pub(super) fn of(result: &Result<(), CallError>) -> Self {
        match result.as_ref().map_err(CallError::class) {
            Ok(()) => Self::Deleted,
            Err(Class::NotFound) => Self::Gone,
            Err(Class::Conflict) => Self::Conflict,
            Err(Class::Forbidden) => Self::Forbidden,
            Err(Class::Throttled(_)) => Self::Throttled,
            Err(Class::Unknown) => Self::Unknown,
            Err(_) => Self::Failed,
        }
    }

    /// A word for metrics and audit lines, in `CamelCase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "Deleted",
            Self::Gone => "Gone",
            Self::Conflict => "Conflict",
            Self::Forbidden => "Forbidden",
            Self::Throttled => "Throttled",
            Self::Unknown => "Unknown",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
