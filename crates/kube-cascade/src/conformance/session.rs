//! One queue under observation, for one check.
//!
//! The caller is the [suite](super).

use std::{
    collections::BTreeSet,
    future::Future,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, Backend, Failure};
use crate::{
    consumer::{ConsumeError, Consumer, Delivery, Outcome},
    envelope::{ResourceId, State},
    queue::{Monitor, Queue, QueueError, RetryPolicy, Stats},
    source::{Feed, Source, SourceError},
};

/// A backend together with what one check has created in it.
pub(super) struct Fixture<'a, B> {
    backend: &'a B,
    prefix: String,
    created: Mutex<BTreeSet<ResourceId>>,
}

impl<'a, B: Backend> Fixture<'a, B> {
    /// IDs begin with the check's name and a random part, so that runs do not meet.
    pub(super) fn new(backend: &'a B, check: &str) -> Self {
        let prefix = format!("{check}-{:08x}-", rand::random::<u32>());
        Self {
            backend,
            prefix,
            created: Mutex::default(),
        }
    }

    pub(super) async fn create(&self, name: &str) -> ResourceId {
        let id = ResourceId::try_from(format!("{}{name}", self.prefix)).expect("it is not blank");
        self.created().insert(id.clone());
        succeed("create", self.backend.create(&id)).await;
        id
    }

    pub(super) async fn terminate(&self, id: &ResourceId) {
        succeed("terminate", self.backend.terminate(id)).await;
    }

    pub(super) async fn remove(&self, id: &ResourceId) {
        self.created().remove(id);
        succeed("remove", self.backend.remove(id)).await;
    }

    pub(super) async fn touch(&self, id: &ResourceId) {
        succeed("touch", self.backend.touch(id)).await;
    }

    pub(super) async fn purge(&self, id: &ResourceId) {
        succeed("purge", self.backend.purge(id)).await;
    }

    /// Removes what the check has created.
    pub(super) async fn clean_up(&self) {
        let created = std::mem::take(&mut *self.created());
        for id in created {
            succeed("remove", self.backend.remove(&id)).await;
        }
    }

    fn created(&self) -> MutexGuard<'_, BTreeSet<ResourceId>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn succeed(what: &str, action: impl Future<Output = Result<(), Failure>>) {
    if let Err(failure) = action.await {
        panic!("the backend failed to {what}: {failure}");
    }
}

/// A running queue whose consumers note what they are told.
pub(super) struct Session<'a, B> {
    fixture: &'a Fixture<'a, B>,
    log: watch::Receiver<Log>,
    gates: Gates,
    monitor: Monitor,
    shutdown: Mutex<Option<oneshot::Sender<()>>>,
    run: AbortOnDropHandle<Result<(), QueueError>>,
}

impl<'a, B: Backend> Session<'a, B> {
    /// Starts a queue with one consumer, which does as the script says.
    pub(super) fn start<F>(fixture: &'a Fixture<'a, B>, script: F) -> Self
    where
        F: Fn(&Delivery, Script) -> Answer + Clone + Send + Sync + 'static,
    {
        Self::with_consumers(fixture, &["one"], &script)
    }

    /// Starts a queue with two consumers, which both do as the script says.
    pub(super) fn start_two<F>(fixture: &'a Fixture<'a, B>, script: F) -> Self
    where
        F: Fn(&Delivery, Script) -> Answer + Clone + Send + Sync + 'static,
    {
        Self::with_consumers(fixture, &["one", "two"], &script)
    }

    fn with_consumers<F>(fixture: &'a Fixture<'a, B>, names: &[&'static str], script: &F) -> Self
    where
        F: Fn(&Delivery, Script) -> Answer + Clone + Send + Sync + 'static,
    {
        let log = watch::Sender::new(Log::default());
        let gates = Gates::new();
        let source = Gated {
            inner: fixture.backend.source(),
            gates: gates.clone(),
        };
        // Quick, because the suite waits in real time; it never relies on how quick.
        let retry = RetryPolicy::default()
            .with_base(Duration::from_millis(20))
            .with_max(Duration::from_millis(200));
        let mut queue = Queue::builder(source)
            .retry(retry)
            .slots(TWO)
            .drain(fixture.backend.patience());
        for name in names {
            queue = queue.consumer(Recorder {
                name,
                prefix: fixture.prefix.clone(),
                log: log.clone(),
                gates: gates.clone(),
                script: script.clone(),
            });
        }
        let queue = queue.build().expect("the suite builds sound queues");
        let monitor = queue.monitor();
        let (shutdown, asked) = oneshot::channel();
        let run = tokio::spawn(queue.run(async { asked.await.unwrap_or_default() }));
        Self {
            fixture,
            log: log.subscribe(),
            gates,
            monitor,
            shutdown: Mutex::new(Some(shutdown)),
            run: AbortOnDropHandle::new(run),
        }
    }

    /// Waits until the log is as wanted.
    pub(super) async fn until(&self, what: &str, wanted: impl Fn(&Log) -> bool) {
        let mut log = self.log.clone();
        let seen = timeout(self.patience(), log.wait_for(wanted))
            .await
            .is_ok_and(|log| log.is_ok());
        assert!(seen, "never seen: {what}; but: {:#?}", self.log.borrow());
    }

    /// Waits until a call has ended for a resource in a state as wanted.
    pub(super) async fn told(&self, id: &ResourceId, wanted: impl Fn(&State) -> bool) {
        let ended = |log: &Log| {
            let mut calls = log
                .calls
                .iter()
                .filter(|call| call.is_for(id) && call.ended);
            calls.any(|call| wanted(call.delivery.envelope().state()))
        };
        self.until(&format!("what is awaited of {id}"), ended).await;
    }

    /// Waits until the source has told everything that has happened so far, and calls have ended.
    ///
    /// Proof of what did *not* happen: what is created now is told later, and a key that was ready
    /// before the marker has been called before it.
    pub(super) async fn caught_up(&self) {
        let marker = self
            .fixture
            .create(&format!("marker-{:08x}", rand::random::<u32>()))
            .await;
        self.told(&marker, |_| true).await;
        self.until_stats("no work is left", |stats| stats.pending() == 0)
            .await;
    }

    /// Waits until exactly so many calls are being made.
    pub(super) async fn until_running(&self, calls: usize) {
        self.until_stats("so many running calls", |stats| stats.running() == calls)
            .await;
    }

    /// Waits until so many snapshots are complete.
    pub(super) async fn snapshots(&self, count: u64) {
        let complete = |stats: &Stats| stats.snapshots() >= count;
        self.until_stats("so many complete snapshots", complete)
            .await;
    }

    async fn until_stats(&self, what: &str, wanted: impl Fn(&Stats) -> bool) {
        let seen = timeout(self.patience(), self.monitor.until(wanted))
            .await
            .is_ok();
        assert!(seen, "never seen: {what}; but: {:#?}", self.stats());
    }

    async fn until_gate<T>(
        &self,
        what: &str,
        gate: &watch::Sender<T>,
        wanted: impl Fn(&T) -> bool,
    ) {
        let mut gate = gate.subscribe();
        let seen = timeout(self.patience(), gate.wait_for(wanted)).await;
        assert!(seen.is_ok_and(|gate| gate.is_ok()), "never seen: {what}");
    }

    /// Breaks off the current epoch, and waits until another one's snapshot is complete.
    pub(super) async fn interrupt(&self) {
        // Before the first snapshot there may be no epoch yet, and then there is none to break off.
        self.snapshots(1).await;
        let complete = self.stats().snapshots();
        succeed("interrupt", self.fixture.backend.interrupt()).await;
        self.gates.cut.send_replace(());
        self.snapshots(complete + 1).await;
    }

    /// Breaks off the current epoch, and waits until another one has only just begun.
    pub(super) async fn interrupt_until_begun(&self) {
        let begun = *self.gates.begun.borrow();
        self.gates.cut.send_replace(());
        self.until_gate("another epoch", &self.gates.begun, |now| *now > begun)
            .await;
    }

    /// Breaks off the current epoch, and the next one in the middle of its snapshot.
    pub(super) async fn interrupt_and_break_off_a_snapshot(&self) {
        self.gates.break_off.send_replace(true);
        self.gates.cut.send_replace(());
        self.until_gate("an unfinished epoch", &self.gates.break_off, |wanted| {
            !wanted
        })
        .await;
    }

    /// Ends the current epoch, and waits until the next one waits to begin.
    pub(super) async fn pause(&self) {
        self.gates.paused.send_replace(Paused::Asked);
        self.gates.cut.send_replace(());
        let waiting = |paused: &Paused| *paused == Paused::Waiting;
        self.until_gate("the end of the epoch", &self.gates.paused, waiting)
            .await;
    }

    /// Lets epochs begin again.
    pub(super) fn resume(&self) {
        self.gates.paused.send_replace(Paused::No);
    }

    /// Lets the calls go on that the script holds.
    pub(super) fn open(&self) {
        self.gates.open.send_replace(true);
    }

    /// Asks the queue to end, and waits until it has dropped its source.
    pub(super) async fn shut_down(&self) {
        let shutdown = self
            .shutdown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(shutdown) = shutdown {
            // A queue that has ended already is found out when it is waited for.
            let _ = shutdown.send(());
        }
        self.until_gate("the end of the source", &self.gates.dropped, |dropped| {
            *dropped
        })
        .await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.run.is_finished()
    }

    /// Ends the queue, and checks what holds for every check.
    pub(super) async fn end(self) -> Log {
        self.shut_down().await;
        let ended = self.run.await.expect("the queue does not panic");
        ended.expect("the source does not fail for good");
        let log = self.log.borrow().clone();
        assert_eq!(
            log.overlaps,
            [],
            "one consumer was called twice at a time for one key"
        );
        log
    }

    pub(super) fn stats(&self) -> Stats {
        self.monitor.stats()
    }

    /// Every call for a resource so far.
    pub(super) fn calls_for(&self, id: &ResourceId) -> Vec<Delivery> {
        self.log.borrow().calls_for(id).cloned().collect()
    }

    /// The states in which a resource was told so far.
    pub(super) fn states_of(&self, id: &ResourceId) -> Vec<State> {
        self.calls_for(id)
            .iter()
            .map(|delivery| *delivery.envelope().state())
            .collect()
    }

    fn patience(&self) -> Duration {
        self.fixture.backend.patience()
    }
}

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// What a check's consumers were told, in the order in which the calls began.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    calls: Vec<Call>,
    overlaps: Vec<Delivery>,
}

#[derive(Debug, Clone)]
struct Call {
    consumer: &'static str,
    delivery: Delivery,
    ended: bool,
}

impl Call {
    fn is_for(&self, id: &ResourceId) -> bool {
        self.delivery.envelope().id() == id
    }
}

impl Log {
    pub(super) fn calls_for(&self, id: &ResourceId) -> impl Iterator<Item = &Delivery> {
        self.calls
            .iter()
            .filter(move |call| call.is_for(id))
            .map(|call| &call.delivery)
    }

    /// How many calls for a resource are being made.
    pub(super) fn running(&self, id: &ResourceId) -> usize {
        self.calls
            .iter()
            .filter(|call| call.is_for(id) && !call.ended)
            .count()
    }

    /// How many calls for a resource have ended.
    pub(super) fn ended(&self, id: &ResourceId) -> usize {
        self.calls
            .iter()
            .filter(|call| call.is_for(id) && call.ended)
            .count()
    }

    /// How many calls were not the first in a row.
    pub(super) fn retries(&self) -> usize {
        self.calls
            .iter()
            .filter(|call| call.delivery.attempt() > 0)
            .count()
    }

    /// Notes the beginning of a call; its number.
    fn begin(&mut self, consumer: &'static str, delivery: &Delivery) -> usize {
        let overlaps = |call: &Call| {
            let key = call.delivery.envelope().key();
            call.consumer == consumer && !call.ended && key == delivery.envelope().key()
        };
        if self.calls.iter().any(overlaps) {
            self.overlaps.push(delivery.clone());
        }
        self.calls.push(Call {
            consumer,
            delivery: delivery.clone(),
            ended: false,
        });
        self.calls.len() - 1
    }
}

/// A consumer that notes what it is told, and then does as the check says.
struct Recorder<F> {
    name: &'static str,
    prefix: String,
    log: watch::Sender<Log>,
    gates: Gates,
    script: F,
}

impl<F> Consumer for Recorder<F>
where
    F: Fn(&Delivery, Script) -> Answer + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        self.name
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        if !delivery.envelope().id().as_str().starts_with(&self.prefix) {
            return Ok(Outcome::Done);
        }
        let mut number = 0;
        self.log
            .send_modify(|log| number = log.begin(self.name, &delivery));
        let outcome = (self.script)(
            &delivery,
            Script {
                gates: self.gates.clone(),
            },
        )
        .await;
        self.log.send_modify(|log| log.calls[number].ended = true);
        outcome
    }
}

/// What a script can wait for.
pub(super) struct Script {
    gates: Gates,
}

impl Script {
    /// Waits until the check opens.
    pub(super) async fn opened(&self) {
        let mut open = self.gates.open.subscribe();
        // The sender is in `self`, so it is there for as long as this waits.
        let _ = open.wait_for(|open| *open).await;
    }
}

/// What the check moves, and the source and the scripts wait for.
#[derive(Clone)]
struct Gates {
    /// Whether calls that a script holds go on.
    open: watch::Sender<bool>,
    /// Told when the current epoch is to end.
    cut: watch::Sender<()>,
    /// How many epochs of the backend's source have begun.
    begun: watch::Sender<u64>,
    paused: watch::Sender<Paused>,
    /// Whether the next epoch is to leave its snapshot unfinished.
    break_off: watch::Sender<bool>,
    dropped: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paused {
    No,
    Asked,
    Waiting,
}

impl Gates {
    fn new() -> Self {
        Self {
            open: watch::Sender::new(false),
            cut: watch::Sender::new(()),
            begun: watch::Sender::new(0),
            paused: watch::Sender::new(Paused::No),
            break_off: watch::Sender::new(false),
            dropped: watch::Sender::new(false),
        }
    }

    /// Waits while the check holds epochs back, and says that it does.
    async fn resumed(&self) {
        let mut paused = self.paused.subscribe();
        if *paused.borrow() == Paused::Asked {
            self.paused.send_replace(Paused::Waiting);
        }
        // The sender is in `self`, so it is there for as long as this waits.
        let _ = paused.wait_for(|paused| *paused == Paused::No).await;
    }
}

/// A source whose epochs the check can cut off, hold back, and leave unfinished.
struct Gated<S> {
    inner: S,
    gates: Gates,
}

impl<S: Source> Source for Gated<S> {
    async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
        // Before anything else, so that no cut goes unseen once the epoch counts as begun.
        let mut cut = self.gates.cut.subscribe();
        if self.gates.break_off.send_replace(false) {
            drop(feed.snapshot());
            return Err(SourceError::transient(
                "the check left the snapshot unfinished",
            ));
        }
        self.gates.resumed().await;
        self.gates.begun.send_modify(|begun| *begun += 1);
        tokio::select! {
            biased;
            _ = cut.changed() => Err(SourceError::transient("the check cut the epoch off")),
            ended = self.inner.run(feed) => ended,
        }
    }
}

impl<S> Drop for Gated<S> {
    fn drop(&mut self) {
        self.gates.dropped.send_replace(true);
    }
}
