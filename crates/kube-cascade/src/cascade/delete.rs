//! [`CascadingDelete`]: how it is put together, what it remembers and what it tells.
//!
//! What it does on a delivery is in `pass.rs`.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::Client;

use super::{
    notice::{Notice, Observer, Subject},
    pace::Pace,
    plan::Propagation,
    progress::{HoldBackoff, Progress},
    read::ReadErrors,
    selection::Selection,
    upstream::Upstream,
};
use crate::{
    chain::Chain,
    consumer::{ConsumeError, Consumer, Delivery, Outcome, ParkReason, Parked},
    envelope::{Envelope, Key, State},
    fence::{Fence, FenceLost},
    hold::HoldName,
    kubernetes::{CallError, Kinds},
    object::{Kind, ObjectRef},
};

/// Deletes every dependent that carries the upstream's ID, once the upstream is being deleted.
///
/// # Guarantees
/// - Nothing outside its selections is ever deleted, and nothing while the upstream is alive.
/// - The plan is complete before the first DELETE: a kind that cannot be read stops everything.
/// - Each DELETE demands the UID and resource version that were judged; a conflict is read and
///   judged again. What already terminates is never deleted again.
/// - One failing object never stops the others; all failures are reported.
/// - With a [`Hold`], the upstream goes last, also across crashes.
///
/// # Assumptions
/// The label is written when a dependent is created and means what the selection says.
///
/// # Errors
/// What may heal is an error and is tried again; what needs somebody is parked.
pub struct CascadingDelete {
    pub(super) name: String,
    pub(super) kinds: Kinds,
    pub(super) upstream: Upstream,
    pub(super) dependents: Vec<Dependent>,
    pub(super) mode: Mode,
    pub(super) limit: Option<NonZeroUsize>,
    pub(super) hold: Option<Hold>,
    pub(super) fence: Fence,
    pub(super) stopped: AtomicBool,
    pub(super) pace: Pace,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) cascades: Mutex<BTreeMap<Key, Progress>>,
    pub(super) holds: Mutex<BTreeMap<Key, HoldBackoff>>,
}

/// A dependent kind: what of it is selected, and how it is deleted.
#[derive(Clone, Debug)]
pub struct Dependent {
    kind: Kind,
    selection: Selection,
    propagation: Propagation,
}

impl Dependent {
    /// Objects of `kind`, deleted in foreground.
    #[must_use]
    pub fn new(kind: Kind, selection: Selection) -> Self {
        Self {
            kind,
            selection,
            propagation: Propagation::Foreground,
        }
    }

    /// Sets how they are deleted.
    #[must_use]
    pub fn propagation(self, propagation: Propagation) -> Self {
        Self {
            propagation,
            ..self
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn policy(&self) -> Propagation {
        self.propagation
    }
}

/// Whether a cascade deletes.
///
/// Complete: it does, or it says what it would do.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// Deletes.
    #[default]
    Enforce,
    /// Tells the observer what it would delete, and writes nothing but to release its holds.
    Report,
}

/// What becomes of the hold of this name on upstreams.
#[derive(Clone, Debug)]
pub enum Hold {
    /// Upstreams are held until their dependents are gone.
    Keep(HoldName),
    /// Upstreams are not held; a hold that an earlier configuration left is released.
    Release(HoldName),
}

impl Hold {
    pub(super) fn name(&self) -> &HoldName {
        match self {
            Self::Keep(name) | Self::Release(name) => name,
        }
    }
}

impl CascadingDelete {
    /// Deletes the selected objects of a Rust type.
    #[must_use]
    pub fn of<K: kube::Resource<DynamicType = ()>>(
        client: Client,
        upstream: Upstream,
        selection: Selection,
    ) -> Self {
        Self::dynamic(client, Kind::of::<K>(), upstream, selection)
    }

    /// Deletes the selected objects of a kind.
    ///
    /// `client` is as for [`new`](Self::new).
    #[must_use]
    pub fn dynamic(client: Client, kind: Kind, upstream: Upstream, selection: Selection) -> Self {
        Self::new(client, upstream, Dependent::new(kind, selection), [])
    }

    /// Deletes the selected objects of one or more kinds.
    ///
    /// All of them make up one plan: when one kind cannot be read, nothing is deleted. `client` is
    /// for the dependents and should not retry by itself (`Config::default_retry = false`): the
    /// queue does.
    #[must_use]
    pub fn new(
        client: Client,
        upstream: Upstream,
        first: Dependent,
        others: impl IntoIterator<Item = Dependent>,
    ) -> Self {
        Self {
            name: "cascading-delete".into(),
            kinds: Kinds::new(client),
            upstream,
            dependents: std::iter::once(first).chain(others).collect(),
            mode: Mode::Enforce,
            limit: None,
            hold: None,
            fence: Fence::always(),
            stopped: AtomicBool::new(false),
            pace: Pace::default(),
            observer: None,
            cascades: Mutex::default(),
            holds: Mutex::default(),
        }
    }

    /// Names this consumer; a queue's consumers have names of their own.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// Sets the propagation of every dependent.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        for dependent in &mut self.dependents {
            dependent.propagation = propagation;
        }
        self
    }

    /// Parks a plan with more live objects than this, before its first DELETE.
    #[must_use]
    pub fn limit(self, limit: NonZeroUsize) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Holds upstreams, or stops holding them.
    #[must_use]
    pub fn hold(self, hold: Hold) -> Self {
        Self {
            hold: Some(hold),
            ..self
        }
    }

    /// Only reports what it would delete.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Writes only while this fence is held.
    #[must_use]
    pub fn fenced(self, fence: Fence) -> Self {
        Self { fence, ..self }
    }

    /// Shares a bound on DELETEs with others.
    #[must_use]
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Begins no further DELETE; those in flight are awaited, and deliveries fail from now on.
    ///
    /// For a shutdown in mid-cascade: whoever comes next goes on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether another write may begin.
    ///
    /// # Errors
    /// The lease is lost, or [`stop`](Self::stop) was called.
    pub(super) fn may_write(&self) -> Result<(), CascadeError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(CascadeError::Stopped);
        }
        Ok(self.fence.check()?)
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self {
            observer: Some(observer),
            ..self
        }
    }
}

impl Consumer for CascadingDelete {
    fn name(&self) -> &str {
        &self.name
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        self.may_write()?;
        let envelope = delivery.envelope();
        let result = match envelope.state() {
            State::Live => self.live(envelope).await,
            State::Terminating { .. } | State::Vanished => self.pass(envelope).await,
            // Absence starts nothing; it only lets a cascade that was under way come to its end.
            State::Absent if self.is_under_way(envelope) => self.pass(envelope).await,
            State::Absent => Ok(self.forget(envelope)),
        };
        result.or_else(|error| self.failed(envelope, error))
    }
}

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CascadeError {
    /// Some dependents could not be read.
    #[error(transparent)]
    Read(#[from] ReadErrors),
    /// The upstream could not be confirmed, or its hold not be changed.
    #[error(transparent)]
    Upstream(#[from] CallError),
    /// Some deletes failed; the others went through.
    #[error("{} of {attempted} deletes failed: {}", .failed.len(), First(.failed))]
    Delete {
        /// Deletes attempted in this pass.
        attempted: usize,
        /// Those that failed.
        failed: Vec<(ObjectRef, CallError)>,
    },
    /// The lease is lost: another process goes on.
    #[error(transparent)]
    Fence(#[from] FenceLost),
    /// The process is about to end; whoever comes next goes on.
    #[error("the cascade was stopped")]
    Stopped,
}

impl CascadeError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream(error) => error.retry_after(),
            Self::Delete { failed, .. } => failed
                .iter()
                .filter_map(|(_, error)| error.retry_after())
                .max(),
            Self::Read(errors) => errors.retry_after(),
            Self::Fence(_) | Self::Stopped => None,
        }
    }

    fn park_reason(&self) -> Option<ParkReason> {
        match self {
            Self::Upstream(error) => error.park_reason(),
            Self::Read(errors) => errors.park_reason(),
            Self::Delete { .. } | Self::Fence(_) | Self::Stopped => None,
        }
    }
}

struct First<'a>(&'a [(ObjectRef, CallError)]);

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .first()
            .map_or(Ok(()), |(_, error)| write!(f, "{}", Chain(error)))
    }
}

/// What is told, and what is remembered.
impl CascadingDelete {
    pub(super) fn tell(&self, envelope: &Envelope, notice: &Notice<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(&self.subject(envelope), notice);
        }
    }

    fn subject<'a>(&'a self, envelope: &'a Envelope) -> Subject<'a> {
        let upstream = self.upstream.object(envelope);
        Subject {
            cascade: &self.name,
            upstream,
            uid: envelope.uid(),
        }
    }

    pub(super) fn park(&self, envelope: &Envelope, parked: Parked) -> Outcome {
        self.tell(envelope, &Notice::Parked(&parked));
        Outcome::Park(parked)
    }

    fn failed(&self, envelope: &Envelope, error: CascadeError) -> Result<Outcome, ConsumeError> {
        if let Some(reason) = error.park_reason() {
            return Ok(self.park(envelope, Parked::new(reason, Chain(&error).to_string())));
        }
        if !matches!(error, CascadeError::Fence(_) | CascadeError::Stopped) {
            self.tell(envelope, &Notice::Failed(&error));
        }
        Err(match error.retry_after() {
            Some(after) => ConsumeError::retry_after(error, after),
            None => ConsumeError::new(error),
        })
    }

    /// Works on the memory of the cascade of this very upstream.
    pub(super) fn with_progress<T>(
        &self,
        envelope: &Envelope,
        work: impl FnOnce(&mut Progress) -> T,
    ) -> T {
        let mut cascades = lock(&self.cascades);
        let progress = cascades.entry(envelope.key().clone()).or_default();
        if let Some(uid) = envelope.uid()
            && progress.uid.as_deref() != Some(uid)
        {
            *progress = Progress::of(uid);
        }
        work(progress)
    }

    fn is_under_way(&self, envelope: &Envelope) -> bool {
        lock(&self.cascades)
            .get(envelope.key())
            .is_some_and(|progress| progress.frozen.is_some())
    }

    /// A live upstream ends the cascade of any other of its key; not its own, because a deletion is
    /// never taken back, and a watch that is taken up again may repeat what was before it.
    ///
    /// Says whether it ended one that was under way.
    pub(super) fn forget_predecessor(&self, envelope: &Envelope) -> bool {
        let mut cascades = lock(&self.cascades);
        let other = |progress: &&Progress| {
            envelope.uid().is_none() || progress.uid.as_deref() != envelope.uid()
        };
        let Some(progress) = cascades.get(envelope.key()).filter(other) else {
            return false;
        };
        let was_under_way = progress.frozen.is_some() && !progress.completed;
        cascades.remove(envelope.key());
        was_under_way
    }

    /// The cascade of this key is over.
    pub(super) fn forget(&self, envelope: &Envelope) -> Outcome {
        lock(&self.cascades).remove(envelope.key());
        if envelope.state().is_gone() {
            lock(&self.holds).remove(envelope.key());
        }
        Outcome::Done
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each use is a single operation on the map, so a panic cannot leave it half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
