//! The suite that says what a backend is.
//!
//! Each function checks one behaviour of a [`Backend`]'s [`Source`] behind a real
//! [`Queue`](crate::Queue), and panics when it is not there. Nothing depends on the clock: the
//! suite waits until it has seen what must happen, and shows that something did *not* happen by
//! doing something else afterwards and waiting for that. So it runs alike on paused time and
//! against a real server. What most backends cannot be made to do (break off in the middle of a
//! snapshot) the suite does itself, in a source that it puts around the backend's. The callers are
//! the tests of backends:
//!
//! ```
//! use kube_cascade::conformance::{Backend, Failure, run_all};
//! use kube_cascade::memory::{MemorySource, MemoryStore};
//! use kube_cascade::{Envelope, Key, ResourceId};
//!
//! struct InMemory(MemoryStore);
//!
//! impl Backend for InMemory {
//!     type Source = MemorySource;
//!
//!     fn source(&self) -> MemorySource {
//!         self.0.source()
//!     }
//!
//!     async fn create(&self, id: &ResourceId) -> Result<(), Failure> {
//!         self.0.put(Envelope::new(id.clone(), None));
//!         Ok(())
//!     }
//!
//!     async fn terminate(&self, id: &ResourceId) -> Result<(), Failure> {
//!         self.0.terminate(&Key::new(None, id.clone()), std::time::SystemTime::now());
//!         Ok(())
//!     }
//!
//!     async fn remove(&self, id: &ResourceId) -> Result<(), Failure> {
//!         self.0.remove(&Key::new(None, id.clone()));
//!         Ok(())
//!     }
//!
//!     async fn touch(&self, id: &ResourceId) -> Result<(), Failure> {
//!         self.0.put(Envelope::new(id.clone(), None));
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! run_all(&InMemory(MemoryStore::new())).await;
//! # }
//! ```

mod session;

use std::{error::Error, future::Future, time::Duration};

use futures::future::{BoxFuture, ready};

use self::session::{Fixture, Script, Session};
use crate::{
    consumer::{ConsumeError, Delivery, Outcome},
    envelope::{ResourceId, State},
    source::Source,
};

/// Why a backend could not do what the suite asked it to; it fails the check.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A store of resources, and what the suite needs to do to it.
///
/// # Assumptions
/// A change that was made after another one is not told before it. IDs that the suite uses are
/// valid DNS labels that no other run of a check uses, so checks may run at the same time on one
/// store, except for [`an_empty_snapshot_completes`].
pub trait Backend: Send + Sync {
    /// What is being checked.
    type Source: Source;

    /// A new source on the same store, as after a restart.
    fn source(&self) -> Self::Source;

    /// Creates a live resource that stays until it is [removed](Backend::remove).
    fn create(&self, id: &ResourceId) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Begins the deletion of a resource, which stays and is terminating.
    fn terminate(&self, id: &ResourceId) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Removes a resource altogether, whether or not its deletion had begun.
    fn remove(&self, id: &ResourceId) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes something about a live resource that is no news (a status, say).
    fn touch(&self, id: &ResourceId) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Breaks off the epochs of all sources on the store from the store's side.
    ///
    /// Optional: the suite cuts epochs off from the queue's side besides.
    fn interrupt(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        ready(Ok(()))
    }

    /// Makes the store lose a resource, or what happened to it, without its having been deleted:
    /// by expiry, a purge, compaction.
    ///
    /// Optional, because not every store can.
    fn purge(&self, id: &ResourceId) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = id;
        ready(Ok(()))
    }

    /// How long the suite waits for what must happen before it gives up; 60 s by default.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Runs every check, one after the other.
///
/// # Panics
/// When a behaviour is not there, or the backend fails.
pub async fn run_all<B: Backend>(backend: &B) {
    an_empty_snapshot_completes(backend).await;
    everything_is_replayed_at_the_start(backend).await;
    a_restart_replays_what_was_handled(backend).await;
    nothing_is_lost_between_snapshot_and_live(backend).await;
    what_changed_between_two_epochs_is_told(backend).await;
    a_deletion_is_told_from_its_start_to_its_end(backend).await;
    what_is_no_news_is_not_told(backend).await;
    an_error_is_redelivered(backend).await;
    calls_for_one_key_and_consumer_never_overlap(backend).await;
    changes_during_a_call_coalesce(backend).await;
    failing_keys_do_not_delay_fresh_ones(backend).await;
    an_unfinished_snapshot_proves_no_absence(backend).await;
    a_complete_snapshot_proves_absence(backend).await;
    expiry_and_purge_are_no_deletions(backend).await;
    shutdown_drains_what_runs_and_starts_nothing(backend).await;
}

/// A snapshot of nothing is a snapshot: whoever waits for the first one is not stuck.
///
/// # Panics
/// When it does not complete, or the store is not empty.
pub async fn an_empty_snapshot_completes<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "empty");
    let session = Session::start(&fixture, done);
    session.snapshots(1).await;
    assert_eq!(
        session.stats().known(),
        0,
        "this check needs a store that holds nothing"
    );
    session.end().await;
}

/// Whatever exists when the queue starts is told, terminating or not.
///
/// # Panics
/// When something is missing.
pub async fn everything_is_replayed_at_the_start<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "replay");
    let [live, terminating] = [fixture.create("live").await, fixture.create("gone").await];
    fixture.terminate(&terminating).await;
    let session = Session::start(&fixture, done);
    session.told(&live, is_live).await;
    session.told(&terminating, is_terminating).await;
    session.snapshots(1).await;
    session.end().await;
    fixture.clean_up().await;
}

/// A new queue is told of everything again, although an earlier one was done with all of it.
///
/// # Panics
/// When something is not told again.
pub async fn a_restart_replays_what_was_handled<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "restart");
    let [live, terminating] = [fixture.create("live").await, fixture.create("gone").await];
    fixture.terminate(&terminating).await;
    for _ in 0..3 {
        let session = Session::start(&fixture, done);
        session.told(&live, is_live).await;
        session.told(&terminating, is_terminating).await;
        session.end().await;
    }
    fixture.clean_up().await;
}

/// What happens while a source goes from its snapshot to what changes is in one of the two.
///
/// # Panics
/// When a change is missing.
pub async fn nothing_is_lost_between_snapshot_and_live<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "gap");
    let session = Session::start(&fixture, done);
    let mut resources = Vec::new();
    for round in 0..3 {
        // From here on nothing is waited for, so that the changes fall into the start of an epoch.
        session.interrupt_until_begun().await;
        for number in 0..8 {
            resources.push(fixture.create(&format!("{round}-{number}")).await);
        }
        for resource in resources.iter().skip(round * 8).step_by(2) {
            fixture.terminate(resource).await;
        }
    }
    for (number, resource) in resources.iter().enumerate() {
        let expected = if number % 2 == 0 {
            is_terminating
        } else {
            is_live
        };
        session.told(resource, expected).await;
    }
    session.end().await;
    fixture.clean_up().await;
}

/// What happens while no epoch runs is told by the next one.
///
/// # Panics
/// When a change is missing.
pub async fn what_changed_between_two_epochs_is_told<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "between");
    let known = fixture.create("known").await;
    let session = Session::start(&fixture, done);
    session.told(&known, is_live).await;
    session.pause().await;
    fixture.terminate(&known).await;
    let new = fixture.create("new").await;
    session.resume();
    session.told(&known, is_terminating).await;
    session.told(&new, is_live).await;
    session.end().await;
    fixture.clean_up().await;
}

/// A watched resource is told to live, to terminate and to have vanished, under one UID.
///
/// # Panics
/// When a phase is missing, or the UID is another one.
pub async fn a_deletion_is_told_from_its_start_to_its_end<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "deletion");
    let session = Session::start(&fixture, done);
    let resource = fixture.create("it").await;
    session.told(&resource, is_live).await;
    fixture.terminate(&resource).await;
    session.told(&resource, is_terminating).await;
    fixture.remove(&resource).await;
    session.told(&resource, is_vanished).await;
    let calls = session.calls_for(&resource);
    let mut uids: Vec<_> = calls.iter().map(|call| call.envelope().uid()).collect();
    uids.dedup();
    assert_eq!(uids.len(), 1, "one resource has one UID: {uids:?}");
    session.end().await;
    fixture.clean_up().await;
}

/// A write that changes nothing that is news wakes nobody.
///
/// # Panics
/// When it is delivered.
pub async fn what_is_no_news_is_not_told<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "heartbeat");
    let session = Session::start(&fixture, done);
    let resource = fixture.create("it").await;
    session.told(&resource, is_live).await;
    for _ in 0..5 {
        fixture.touch(&resource).await;
    }
    session.interrupt().await;
    fixture.touch(&resource).await;
    session.caught_up().await;
    assert_eq!(session.states_of(&resource), [State::Live]);
    session.end().await;
    fixture.clean_up().await;
}

/// A consumer that fails is called again until it does not.
///
/// # Panics
/// When it is not, or when the attempts are miscounted.
pub async fn an_error_is_redelivered<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "error");
    let session = Session::start(&fixture, |delivery: &Delivery, _: Script| -> Answer {
        let fails = delivery.attempt() < 3;
        Box::pin(ready(if fails {
            Err(ConsumeError::new("on purpose"))
        } else {
            DONE
        }))
    });
    let resource = fixture.create("it").await;
    session
        .until("a third retry", |log| log.calls_for(&resource).count() == 4)
        .await;
    session.caught_up().await;
    let attempts: Vec<_> = session
        .calls_for(&resource)
        .iter()
        .map(Delivery::attempt)
        .collect();
    assert_eq!(attempts, [0, 1, 2, 3]);
    session.end().await;
    fixture.clean_up().await;
}

/// While a consumer is called for a key, nobody calls it for that key; others go on.
///
/// # Panics
/// When two calls overlap, or when a call waits for one of another key or consumer.
pub async fn calls_for_one_key_and_consumer_never_overlap<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "serial");
    let session = Session::start_two(&fixture, hold_live);
    let resource = fixture.create("held").await;
    session
        .until("a call by each consumer", |log| log.running(&resource) == 2)
        .await;
    fixture.terminate(&resource).await;
    let marker = fixture.create("marker").await;
    session
        .until("another key's calls meanwhile", |log| {
            log.ended(&marker) == 2
        })
        .await;
    session.until_running(2).await;
    assert_eq!(
        session.states_of(&resource),
        [State::Live; 2],
        "no other call meanwhile"
    );
    session.open();
    session
        .until("the news after the call", |log| log.ended(&resource) == 4)
        .await;
    assert_eq!(
        session
            .states_of(&resource)
            .into_iter()
            .filter(is_terminating)
            .count(),
        2
    );
    session.end().await;
    fixture.clean_up().await;
}

/// What happens during a call is told in one, which is the latest.
///
/// # Panics
/// When an outdated state is delivered.
pub async fn changes_during_a_call_coalesce<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "coalesce");
    let session = Session::start(&fixture, hold_live);
    let resource = fixture.create("held").await;
    session
        .until("a call", |log| log.running(&resource) == 1)
        .await;
    fixture.terminate(&resource).await;
    fixture.remove(&resource).await;
    let marker = fixture.create("marker").await;
    session.told(&marker, is_live).await;
    session.open();
    session.told(&resource, is_vanished).await;
    session.caught_up().await;
    assert_eq!(session.states_of(&resource), [State::Live, State::Vanished]);
    session.end().await;
    fixture.clean_up().await;
}

/// Keys whose repeated calls take for ever leave slots to keys that have not failed.
///
/// # Panics
/// When a fresh key waits.
pub async fn failing_keys_do_not_delay_fresh_ones<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "fresh");
    let session = Session::start(&fixture, |delivery: &Delivery, script: Script| -> Answer {
        let fails = delivery.envelope().id().as_str().contains("failing");
        let first = delivery.attempt() == 0;
        Box::pin(async move {
            if fails && first {
                return Err(ConsumeError::new("on purpose"));
            }
            if fails {
                script.opened().await;
            }
            DONE
        })
    });
    for number in 0..4 {
        fixture.create(&format!("failing-{number}")).await;
    }
    session
        .until("a retry that takes for ever", |log| log.retries() > 0)
        .await;
    for number in 0..4 {
        let fresh = fixture.create(&format!("fresh-{number}")).await;
        session.told(&fresh, is_live).await;
    }
    session.open();
    session.end().await;
    fixture.clean_up().await;
}

/// An epoch that ends in the middle of its snapshot says nothing of what it did not come to.
///
/// # Panics
/// When a resource that exists is told to be gone.
pub async fn an_unfinished_snapshot_proves_no_absence<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "unfinished");
    let resource = fixture.create("it").await;
    let session = Session::start(&fixture, done);
    session.told(&resource, is_live).await;
    session.interrupt_and_break_off_a_snapshot().await;
    session.caught_up().await;
    assert_eq!(session.states_of(&resource), [State::Live]);
    session.end().await;
    fixture.clean_up().await;
}

/// What was known, and is missing from a complete snapshot, is absent; nobody saw it vanish.
///
/// # Panics
/// When the absence is not told, or told as something stronger.
pub async fn a_complete_snapshot_proves_absence<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "absence");
    let [gone, stays] = [fixture.create("gone").await, fixture.create("stays").await];
    let session = Session::start(&fixture, done);
    session.told(&gone, is_live).await;
    session.told(&stays, is_live).await;
    session.pause().await;
    fixture.remove(&gone).await;
    session.resume();
    session.told(&gone, |state| *state == State::Absent).await;
    session.caught_up().await;
    assert_eq!(session.states_of(&gone), [State::Live, State::Absent]);
    assert_eq!(session.states_of(&stays), [State::Live]);
    session.end().await;
    fixture.clean_up().await;
}

/// That a store no longer holds something, or what happened to it, is no deletion.
///
/// # Panics
/// When it is told to terminate or to have vanished.
pub async fn expiry_and_purge_are_no_deletions<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "expiry");
    let resource = fixture.create("it").await;
    let session = Session::start(&fixture, done);
    session.told(&resource, is_live).await;
    fixture.purge(&resource).await;
    session.caught_up().await;
    session.interrupt().await;
    session.caught_up().await;
    let states = session.states_of(&resource);
    let deleted = |state: &State| is_terminating(state) || is_vanished(state);
    assert!(!states.iter().any(deleted), "nobody deleted it: {states:?}");
    session.end().await;
    fixture.clean_up().await;
}

/// At the shutdown the source is dropped, calls that are being made end, and no other begins.
///
/// # Panics
/// When the queue ends too early, or begins something.
pub async fn shutdown_drains_what_runs_and_starts_nothing<B: Backend>(backend: &B) {
    let fixture = Fixture::new(backend, "drain");
    let session = Session::start(&fixture, hold_live);
    let resource = fixture.create("held").await;
    session
        .until("a call", |log| log.running(&resource) == 1)
        .await;
    fixture.terminate(&resource).await;
    let marker = fixture.create("marker").await;
    session.told(&marker, |_| true).await;
    session.shut_down().await;
    assert!(
        !session.has_ended(),
        "the queue ended although a call was being made"
    );
    session.open();
    let log = session.end().await;
    assert_eq!(
        log.ended(&resource),
        1,
        "the call was let to its end, and no other was made"
    );
    fixture.clean_up().await;
}

type Answer = BoxFuture<'static, Result<Outcome, ConsumeError>>;

const DONE: Result<Outcome, ConsumeError> = Ok(Outcome::Done);

fn done(_: &Delivery, _: Script) -> Answer {
    Box::pin(ready(DONE))
}

/// Holds the call for a live resource that is named so until the session opens.
fn hold_live(delivery: &Delivery, script: Script) -> Answer {
    let envelope = delivery.envelope();
    let holds = envelope.id().as_str().ends_with("held") && is_live(envelope.state());
    Box::pin(async move {
        if holds {
            script.opened().await;
        }
        DONE
    })
}

fn is_live(state: &State) -> bool {
    *state == State::Live
}

fn is_terminating(state: &State) -> bool {
    matches!(state, State::Terminating { .. })
}

fn is_vanished(state: &State) -> bool {
    *state == State::Vanished
}

#[cfg(test)]
mod tests;
