//! Where envelopes come from: the [`Source`] trait and the [`Feed`] that it writes to.
//!
//! A source says what it sees. It does not infer absence (only a completed [`Snapshot`] lets the
//! queue do so), does not retry (it returns, and is run again) and is not slowed down by consumers:
//! the feed never waits, because what is newer about a key replaces what is older. The caller is
//! [`queue`](crate::queue).

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use tracing::warn;

use crate::{
    envelope::{Envelope, Key, State},
    queue::Intake,
};

/// A stream of hints about the resources of one kind.
///
/// # Guarantees
/// The queue runs one epoch at a time, and any return starts another one after a backoff. A
/// [`Feed`] that outlives its epoch is ignored.
///
/// # Assumptions
/// Every epoch begins with a snapshot of all resources that exist, also of none, and continues
/// without a gap. A source whose watch may have missed something returns. The future may be dropped
/// at any await.
///
/// # Examples
/// A source that knows one resource and then nothing new:
/// ```
/// use kube_cascade::{Envelope, Feed, Source, SourceError};
///
/// struct One(Envelope);
///
/// impl Source for One {
///     async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
///         let mut snapshot = feed.snapshot();
///         snapshot.put(self.0.clone());
///         snapshot.complete();
///         std::future::pending().await
///     }
/// }
/// ```
pub trait Source: Send + 'static {
    /// Feeds one epoch: a snapshot, then what changes.
    ///
    /// A [fatal](SourceError::fatal) error ends the queue; after anything else it is run again.
    fn run(&mut self, feed: Feed) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// Why an epoch ended.
#[derive(Debug, thiserror::Error)]
#[error("{}", if *.fatal { "the source failed for good" } else { "the source's epoch broke off" })]
pub struct SourceError {
    #[source]
    error: Box<dyn Error + Send + Sync>,
    fatal: bool,
}

impl SourceError {
    /// A failure that another epoch may overcome.
    #[must_use]
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            fatal: false,
        }
    }

    /// A failure that no other epoch overcomes; it ends the queue.
    #[must_use]
    pub fn fatal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            fatal: true,
        }
    }

    /// Whether this ends the queue.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }
}

/// Something that a source was given and that is no envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    what: String,
    why: String,
}

impl Malformed {
    /// Names what was malformed, in short, and what is wrong with it.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }

    /// What was malformed: an object's name, a message's subject.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What is wrong with it.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// Where a source writes what it sees during one epoch.
///
/// It never waits and holds at most one envelope per key and consumer, so a source is free to read
/// as fast as it can. Clones write to the same epoch.
#[derive(Debug, Clone)]
pub struct Feed {
    intake: Arc<Intake>,
    epoch: u64,
}

impl Feed {
    pub(crate) fn new(intake: Arc<Intake>, epoch: u64) -> Self {
        Self { intake, epoch }
    }

    /// Begins a snapshot of everything that exists.
    pub fn snapshot(&mut self) -> Snapshot<'_> {
        let number = self.intake.begin_snapshot(self.epoch);
        Snapshot { feed: self, number }
    }

    /// Says what a resource now looks like, outside of a snapshot.
    ///
    /// [`State::Vanished`] says that the source saw it go, like [`Feed::vanished`], with what else
    /// it knows (the UID). [`State::Absent`] is not a source's to say, and is malformed.
    pub fn changed(&mut self, envelope: Envelope) {
        if *envelope.state() == State::Absent {
            let why = "only the queue infers absence";
            return self.malformed(Malformed::new(envelope.key().to_string(), why));
        }
        self.intake.changed(self.epoch, envelope);
    }

    /// Says that the source saw a resource go, on a watch without a gap.
    ///
    /// What else was known of it (the UID) stays known.
    pub fn vanished(&mut self, key: &Key) {
        self.changed(Envelope::of(key.clone(), State::Vanished));
    }

    /// Counts and logs something that is no envelope.
    pub fn malformed(&mut self, malformed: Malformed) {
        let Malformed { what, why } = malformed;
        if self.intake.malformed(self.epoch) {
            warn!(what, why, "malformed envelope ignored");
        }
    }
}

/// Everything that exists, told one by one.
///
/// Dropped without [`Snapshot::complete`], what was put counts, and nothing follows for the rest.
#[derive(Debug)]
#[must_use = "a snapshot that is not completed proves no absence"]
pub struct Snapshot<'a> {
    feed: &'a mut Feed,
    number: u64,
}

impl Snapshot<'_> {
    /// Says that a resource exists, and what it looks like.
    ///
    /// An envelope of something that is gone does not belong here, and is malformed.
    pub fn put(&mut self, envelope: Envelope) {
        if envelope.state().is_gone() {
            let why = "a snapshot holds only what exists";
            return self
                .feed
                .malformed(Malformed::new(envelope.key().to_string(), why));
        }
        self.feed.changed(envelope);
    }

    /// Says that this was everything: what was known and not put is absent.
    pub fn complete(self) {
        self.feed
            .intake
            .complete_snapshot(self.feed.epoch, self.number);
    }
}

/// A [`Source`] whose future is boxed, so that a queue need not carry its type.
pub(crate) trait ErasedSource: Send {
    fn run(&mut self, feed: Feed) -> EpochFuture<'_>;
}

pub(crate) type EpochFuture<'a> =
    Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + 'a>>;

impl<S: Source> ErasedSource for S {
    fn run(&mut self, feed: Feed) -> EpochFuture<'_> {
        Box::pin(Source::run(self, feed))
    }
}
