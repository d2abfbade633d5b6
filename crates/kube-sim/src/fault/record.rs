//! Remembers every call and what became of it.
//!
//! Owns requests with their whole bodies, which Kubernetes keeps small; of answers it keeps the
//! status only, so that a watch costs nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::sync::watch;

use super::{
    call::{Call, Verb},
    matcher::Match,
};

/// What became of a call, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// There is no answer yet.
    Pending,
    /// The head of an answer was passed on, whoever made it.
    Answered(StatusCode),
    /// The connection was reset by a fault.
    Reset,
    /// The server could not be reached, or failed without an answer.
    Failed,
    /// The client gave up.
    Abandoned,
}

/// A call and what became of it until the moment of asking.
#[derive(Clone, Debug)]
pub struct Recorded {
    call: Arc<Call>,
    outcome: Outcome,
    forwarded: u32,
    server_status: Option<StatusCode>,
}

impl Recorded {
    /// The request.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// What the client saw.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How often the request was sent on to the server: not at all if a fault answered it, twice
    /// for [`Action::replay`](super::Action::replay).
    #[must_use]
    pub fn forwarded(&self) -> u32 {
        self.forwarded
    }

    /// What the server answered last, even if the client never saw it.
    #[must_use]
    pub fn server_status(&self) -> Option<StatusCode> {
        self.server_status
    }
}

/// The calls that arrived, in their order; clones are the same recorder.
///
/// It keeps everything until [`Recorder::clear`].
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Vec<Recorded>>,
    changes: watch::Sender<()>,
}

impl Recorder {
    /// Every call.
    #[must_use]
    pub fn all(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// The calls that match.
    #[must_use]
    pub fn matching(&self, matcher: &Match) -> Vec<Recorded> {
        self.select(matcher, |_| true)
    }

    /// How many calls match.
    #[must_use]
    pub fn count(&self, matcher: &Match) -> usize {
        self.matching(matcher).len()
    }

    /// Every attempt to delete, of one object or of a collection, dry runs included.
    #[must_use]
    pub fn deletes(&self) -> Vec<Recorded> {
        self.matching(&Match::verbs([Verb::Delete, Verb::DeleteCollection]))
    }

    /// Every attempt to change something that is no dry run.
    #[must_use]
    pub fn writes(&self) -> Vec<Recorded> {
        self.matching(&Match::writes())
    }

    /// Waits until at least so many matching calls have arrived, and returns those there are.
    pub async fn until_arrived(&self, matcher: &Match, count: usize) -> Vec<Recorded> {
        self.until(count, || self.matching(matcher)).await
    }

    /// Waits until at least so many matching calls have an outcome, and returns those there are.
    pub async fn until_ended(&self, matcher: &Match, count: usize) -> Vec<Recorded> {
        self.until(count, || {
            self.select(matcher, |call| call.outcome != Outcome::Pending)
        })
        .await
    }

    /// Forgets all calls; those that still run are not recorded again when they end.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn open(&self, call: Arc<Call>) -> Ticket {
        let number = call.number();
        self.lock().push(Recorded {
            call,
            outcome: Outcome::Pending,
            forwarded: 0,
            server_status: None,
        });
        self.shared.changes.send_replace(());
        Ticket {
            recorder: self.clone(),
            number,
            ended: false,
        }
    }

    fn select(&self, matcher: &Match, also: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        // Predicates run without the lock, so that they may look at the recorder themselves.
        let mut calls = self.all();
        calls.retain(|recorded| also(recorded) && matcher.matches(&recorded.call));
        calls
    }

    async fn until(&self, count: usize, select: impl Fn() -> Vec<Recorded>) -> Vec<Recorded> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let calls = select();
            if calls.len() >= count {
                return calls;
            }
            if changes.changed().await.is_err() {
                unreachable!("the recorder that is borrowed here owns the sender");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.shared
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to say what became of one call; dropped without an end, its client gave up.
#[derive(Debug)]
pub(super) struct Ticket {
    recorder: Recorder,
    number: u64,
    ended: bool,
}

impl Ticket {
    pub(super) fn forwarded(&self) {
        self.change(|recorded| recorded.forwarded += 1);
    }

    pub(super) fn server_answered(&self, status: StatusCode) {
        self.change(|recorded| recorded.server_status = Some(status));
    }

    pub(super) fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.change(|recorded| recorded.outcome = outcome);
    }

    fn change(&self, change: impl FnOnce(&mut Recorded)) {
        let mut calls = self.recorder.lock();
        let index = calls.binary_search_by_key(&self.number, |recorded| recorded.call.number());
        if let Ok(index) = index {
            change(&mut calls[index]);
        }
        drop(calls);
        self.recorder.shared.changes.send_replace(());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            self.change(|recorded| recorded.outcome = Outcome::Abandoned);
        }
    }
}
