use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use futures::future::{BoxFuture, pending, ready};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    consumer::{ParkReason, Parked},
    envelope::{Envelope, State},
    memory::MemoryStore,
    source::{Feed, Malformed},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

type Answer = Result<Outcome, ConsumeError>;

/// A consumer that notes when it was called with what, and then does as told.
struct Scripted<F> {
    name: &'static str,
    log: Log,
    script: F,
}

/// When each call began, from the start of the test, and its delivery.
#[derive(Clone)]
struct Log {
    begun: Instant,
    calls: Arc<Mutex<Vec<(Duration, Delivery)>>>,
}

impl Log {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            calls: Arc::default(),
        }
    }

    fn calls(&self) -> Vec<(Duration, Delivery)> {
        self.calls.lock().unwrap().clone()
    }

    fn times(&self) -> Vec<Duration> {
        self.calls().into_iter().map(|(time, _)| time).collect()
    }

    fn attempts(&self) -> Vec<u32> {
        self.calls()
            .into_iter()
            .map(|(_, delivery)| delivery.attempt())
            .collect()
    }

    fn states(&self) -> Vec<State> {
        self.calls()
            .into_iter()
            .map(|(_, delivery)| *delivery.envelope().state())
            .collect()
    }
}

fn scripted<F>(log: &Log, script: F) -> Scripted<F>
where
    F: Fn(Delivery) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
{
    Scripted {
        name: "scripted",
        log: log.clone(),
        script,
    }
}

impl<F> Consumer for Scripted<F>
where
    F: Fn(Delivery) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        self.name
    }

    fn consume(&self, delivery: Delivery) -> impl Future<Output = Answer> + Send {
        let call = (self.log.begun.elapsed(), delivery.clone());
        self.log.calls.lock().unwrap().push(call);
        (self.script)(delivery)
    }
}

fn done(_: Delivery) -> BoxFuture<'static, Answer> {
    Box::pin(ready(Ok(Outcome::Done)))
}

fn fail(_: Delivery) -> BoxFuture<'static, Answer> {
    Box::pin(ready(Err(ConsumeError::new("it failed"))))
}

fn hang(_: Delivery) -> BoxFuture<'static, Answer> {
    Box::pin(pending())
}

fn live(id: &str) -> Envelope {
    Envelope::new(id.parse().unwrap(), None).with_uid("u1")
}

fn store_of(ids: &[&str]) -> MemoryStore {
    let store = MemoryStore::new();
    for id in ids {
        store.put(live(id));
    }
    store
}

/// Runs a queue whose shutdown waits for something that a broken one would never show.
async fn within(bound: Duration, run: impl Future<Output = Result<(), QueueError>>) {
    let ended = timeout(bound, run).await;
    ended
        .expect("what the shutdown waits for was seen")
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bad_combination_is_refused_before_anything_runs() {
    let check = |prepare: fn(QueueBuilder) -> QueueBuilder, expected: BuildError| {
        let consumer = || scripted(&Log::new(), done);
        let builder = Queue::builder(MemoryStore::new().source()).consumer(consumer());
        assert_eq!(prepare(builder).build().unwrap_err(), expected);
    };
    let none = Queue::builder(MemoryStore::new().source());
    assert_eq!(none.build().unwrap_err(), BuildError::NoConsumer);
    check(
        |builder| {
            builder.consumer(Scripted {
                name: " ",
                log: Log::new(),
                script: done,
            })
        },
        BuildError::BlankName,
    );
    check(
        |builder| builder.consumer(scripted(&Log::new(), done)),
        BuildError::DuplicateName {
            name: "scripted".into(),
        },
    );
    check(
        |builder| builder.slots(NonZeroUsize::MIN),
        BuildError::TooFewSlots,
    );
    check(
        |builder| builder.retry(RetryPolicy::default().with_base(Duration::ZERO)),
        BuildError::Retry(InvalidRetryPolicy::ZeroBase),
    );
    check(
        |builder| builder.retry(RetryPolicy::default().with_park(Duration::ZERO)),
        BuildError::Retry(InvalidRetryPolicy::ZeroPark),
    );
    check(
        |builder| builder.retry(RetryPolicy::default().with_max(SECOND / 2)),
        BuildError::Retry(InvalidRetryPolicy::MaxBelowBase {
            base: SECOND,
            max: SECOND / 2,
        }),
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_not_delivered_again_by_another_epoch() {
    let (store, log) = (store_of(&["a"]), Log::new());
    let queue = Queue::builder(store.source())
        .consumer(scripted(&log, done))
        .build()
        .unwrap();
    let mut snapshots = queue.monitor().snapshots();
    let shutdown = async {
        snapshots.wait_for(|count| *count == 1).await.unwrap();
        store.interrupt();
        snapshots.wait_for(|count| *count == 2).await.unwrap();
        sleep(MINUTE).await;
    };
    within(2 * MINUTE, queue.run(shutdown)).await;
    assert_eq!(log.states(), [State::Live]);
}

#[tokio::test(start_paused = true)]
async fn fault_51_a_panic_is_retried_and_harms_nobody_else() {
    let (store, log) = (store_of(&["a", "b"]), Log::new());
    let consumer = scripted(&log, |delivery| {
        let panics = delivery.envelope().name() == "a";
        // The first call panics before there is a future, the second inside of it.
        assert!(!panics || delivery.attempt() != 0, "before the future");
        Box::pin(async move {
            assert!(!panics || delivery.attempt() != 1, "inside of the future");
            Ok(Outcome::Done)
        })
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .build()
        .unwrap();
    let monitor = queue.monitor();
    queue.run(sleep(MINUTE)).await.unwrap();
    let mut seen: Vec<_> = log
        .calls()
        .into_iter()
        .map(|(_, delivery)| (delivery.envelope().name().to_owned(), delivery.attempt()))
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            ("a".into(), 0),
            ("a".into(), 1),
            ("a".into(), 2),
            ("b".into(), 0)
        ]
    );
    assert_eq!(
        (monitor.stats().pending(), monitor.stats().failing()),
        (0, 0)
    );
}

/// The times of all attempts within ten minutes, with so many status writes a second.
async fn attempts_while_failing(writes_per_second: u32) -> Vec<Duration> {
    let (store, log) = (store_of(&["a"]), Log::new());
    let project = live("a");
    store.terminate(project.key(), SystemTime::UNIX_EPOCH);
    let consumer = scripted(&log, fail);
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .seed(68)
        .build()
        .unwrap();
    let writer = async {
        loop {
            if writes_per_second == 0 {
                return pending().await;
            }
            sleep(SECOND / writes_per_second).await;
            // A status write moves nothing that is news; not even a new time of deletion is.
            store.terminate(project.key(), SystemTime::UNIX_EPOCH + log.begun.elapsed());
        }
    };
    tokio::select! {
        ended = queue.run(sleep(10 * MINUTE)) => ended.unwrap(),
        () = writer => {}
    }
    log.times()
}

#[tokio::test(start_paused = true)]
async fn fault_68_status_writes_leave_the_backoff_as_it_is() {
    let (quiet, busy) = (
        attempts_while_failing(0).await,
        attempts_while_failing(20).await,
    );
    assert!(
        (9..=12).contains(&quiet.len()),
        "1 s doubling to 5 min: {quiet:?}"
    );
    assert_eq!(quiet, busy);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_as_long_as_it_asked_for() {
    let (store, log) = (store_of(&["a"]), Log::new());
    let consumer = scripted(&log, |delivery| {
        let throttled = ConsumeError::retry_after("too many requests", 10 * MINUTE);
        Box::pin(ready(if delivery.attempt() == 0 {
            Err(throttled)
        } else {
            Ok(Outcome::Done)
        }))
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .build()
        .unwrap();
    queue.run(sleep(20 * MINUTE)).await.unwrap();
    assert_eq!(log.times(), [Duration::ZERO, 10 * MINUTE]);
}

#[tokio::test(start_paused = true)]
async fn parked_work_is_visible_and_heals_by_itself() {
    let (store, log) = (store_of(&["a"]), Log::new());
    let healed = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&healed);
    let consumer = scripted(&log, move |_| {
        let parked = Parked::new(ParkReason::LimitExceeded, "raise the limit");
        let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(ready(Ok(if first {
            Outcome::Park(parked)
        } else {
            Outcome::Done
        })))
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .build()
        .unwrap();
    let monitor = queue.monitor();
    let shutdown = async {
        sleep(59 * SECOND).await;
        let stats = monitor.stats();
        let [entry] = stats.parked() else {
            panic!("one entry: {stats:?}")
        };
        assert_eq!(
            (entry.consumer(), entry.key()),
            ("scripted", live("a").key())
        );
        assert_eq!(entry.reason(), ParkReason::LimitExceeded);
        assert_eq!(entry.message(), "raise the limit");
        sleep(2 * SECOND).await;
        assert_eq!(monitor.stats().parked(), []);
    };
    queue.run(shutdown).await.unwrap();
    assert_eq!(log.times(), [Duration::ZERO, MINUTE]);
    assert_eq!(log.attempts(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn consumers_do_not_wait_for_each_other() {
    let (store, log) = (store_of(&["a", "b", "c", "d"]), Log::new());
    let stuck = Scripted {
        name: "stuck",
        log: Log::new(),
        script: hang,
    };
    let stuck_log = stuck.log.clone();
    let queue = Queue::builder(store.source())
        .consumer(stuck)
        .consumer(scripted(&log, done))
        .slots(NonZeroUsize::new(2).unwrap())
        .drain(Duration::ZERO)
        .build()
        .unwrap();
    queue.run(sleep(SECOND)).await.unwrap();
    assert_eq!(stuck_log.calls().len(), 2, "as many as it has slots");
    assert_eq!(log.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn malformed_things_are_counted_and_stop_nothing() {
    let (store, log) = (store_of(&["a"]), Log::new());
    store.malformed(Malformed::new("message 7", "the ID is blank"));
    let queue = Queue::builder(store.source())
        .consumer(scripted(&log, done))
        .build()
        .unwrap();
    let monitor = queue.monitor();
    let shutdown = async {
        sleep(SECOND).await;
        store.malformed(Malformed::new("message 8", "the ID is blank"));
        store.put(live("b"));
        sleep(SECOND).await;
    };
    queue.run(shutdown).await.unwrap();
    assert_eq!(monitor.stats().malformed(), 2);
    assert_eq!(log.calls().len(), 2);
}

/// A source whose epochs end as scripted, one after the other; the last one goes on for ever.
struct Epoch(
    Vec<fn(Feed) -> Result<(), SourceError>>,
    Arc<Mutex<Vec<Instant>>>,
);

impl Source for Epoch {
    async fn run(&mut self, feed: Feed) -> Result<(), SourceError> {
        self.1.lock().unwrap().push(Instant::now());
        if self.0.is_empty() {
            return pending().await;
        }
        self.0.remove(0)(feed)
    }
}

#[tokio::test(start_paused = true)]
async fn an_epoch_is_followed_by_another_however_it_ended() {
    let starts = Arc::default();
    let source = Epoch(
        vec![
            |_| Ok(()),
            |_| Err(SourceError::transient("connection reset")),
            |_| panic!("a bug in the source"),
        ],
        Arc::clone(&starts),
    );
    let queue = Queue::builder(source)
        .consumer(scripted(&Log::new(), done))
        .seed(1)
        .build()
        .unwrap();
    queue.run(sleep(10 * MINUTE)).await.unwrap();
    let starts = starts.lock().unwrap();
    let waits: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 3);
    for (wait, bound) in waits.into_iter().zip([SECOND, 2 * SECOND, 4 * SECOND]) {
        // The timer wheel rounds up to a millisecond.
        assert!(
            (bound / 2..=bound + Duration::from_millis(1)).contains(&wait),
            "{wait:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_is_tried_at_least_twice_a_minute() {
    struct Down(Arc<AtomicUsize>);
    impl Source for Down {
        async fn run(&mut self, _: Feed) -> Result<(), SourceError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(SourceError::transient("connection refused"))
        }
    }
    let epochs = Arc::new(AtomicUsize::new(0));
    let queue = Queue::builder(Down(Arc::clone(&epochs)))
        .consumer(scripted(&Log::new(), done))
        .build()
        .unwrap();
    queue.run(sleep(60 * MINUTE)).await.unwrap();
    assert!(
        (120..=250).contains(&epochs.load(Ordering::Relaxed)),
        "{epochs:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_epoch_is_followed_by_a_short_wait_whatever_came_before() {
    /// Three epochs that fail at once, one that lasts, and one that fails at once, over and over.
    struct Flaky(Arc<Mutex<Vec<Duration>>>, Instant);
    impl Source for Flaky {
        async fn run(&mut self, _: Feed) -> Result<(), SourceError> {
            let number = {
                let mut waits = self.0.lock().unwrap();
                waits.push(self.1.elapsed());
                waits.len()
            };
            if number % 4 == 0 {
                sleep(MINUTE).await;
            }
            self.1 = Instant::now();
            Err(SourceError::transient("connection reset"))
        }
    }
    let waits = Arc::default();
    let queue = Queue::builder(Flaky(Arc::clone(&waits), Instant::now()))
        .consumer(scripted(&Log::new(), done))
        .build()
        .unwrap();
    queue.run(sleep(30 * MINUTE)).await.unwrap();
    let waits = waits.lock().unwrap();
    for wait in waits.iter().skip(4).step_by(4) {
        assert!(*wait <= SECOND + Duration::from_millis(1), "{waits:?}");
    }
}

/// A server that is away from the first minute to the eleventh, as source and consumer see it.
#[derive(Clone, Copy)]
struct Outage(Instant);

impl Outage {
    const BEGIN: Duration = MINUTE;
    const END: Duration = MINUTE.saturating_mul(11);

    fn is_on(self) -> bool {
        (Self::BEGIN..Self::END).contains(&self.0.elapsed())
    }

    fn consumer(self, log: &Log) -> impl Consumer {
        scripted(log, move |delivery| {
            if self.is_on() {
                fail(delivery)
            } else {
                Box::pin(ready(Ok(Outcome::Recheck(10 * SECOND))))
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn fault_60_what_failed_during_an_outage_goes_on_within_a_minute_of_its_end() {
    struct Watched(Outage);
    impl Source for Watched {
        async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
            if !self.0.is_on() {
                let mut snapshot = feed.snapshot();
                snapshot.put(live("a"));
                snapshot.complete();
                let lasts = Outage::BEGIN.saturating_sub(self.0.0.elapsed());
                sleep(if lasts.is_zero() { 60 * MINUTE } else { lasts }).await;
            }
            Err(SourceError::transient("connection refused"))
        }
    }
    for seed in 0..20 {
        let (log, outage) = (Log::new(), Outage(Instant::now()));
        let queue = Queue::builder(Watched(outage))
            .consumer(outage.consumer(&log))
            .seed(seed)
            .build()
            .unwrap();
        queue.run(sleep(Outage::END + MINUTE)).await.unwrap();
        let times = log.times();
        let last = times.iter().rev().find(|time| **time < Outage::END);
        assert!(*last.unwrap() > Outage::BEGIN, "{times:?}");
        let next = times.iter().find(|time| **time >= Outage::END);
        assert!(next.is_some(), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn epochs_that_break_off_after_their_snapshot_hurry_nothing() {
    struct Restless;
    impl Source for Restless {
        async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
            let mut snapshot = feed.snapshot();
            snapshot.put(live("a"));
            snapshot.complete();
            Err(SourceError::transient("watch closed"))
        }
    }
    let log = Log::new();
    let queue = Queue::builder(Restless)
        .consumer(scripted(&log, fail))
        .build()
        .unwrap();
    queue.run(sleep(60 * MINUTE)).await.unwrap();
    // The backoff alone: about eight attempts until it has grown to five minutes, then one each.
    assert!(log.times().len() < 40, "{:?}", log.times());
}

#[tokio::test(start_paused = true)]
async fn a_source_may_not_say_that_something_is_absent() {
    struct Presumptuous;
    impl Source for Presumptuous {
        async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
            feed.changed(live("a").in_state(State::Absent));
            let mut snapshot = feed.snapshot();
            snapshot.put(live("b").in_state(State::Absent));
            snapshot.put(live("c").in_state(State::Vanished));
            snapshot.complete();
            pending().await
        }
    }
    let log = Log::new();
    let queue = Queue::builder(Presumptuous)
        .consumer(scripted(&log, done))
        .build()
        .unwrap();
    let monitor = queue.monitor();
    queue.run(sleep(SECOND)).await.unwrap();
    assert_eq!(
        (monitor.stats().malformed(), monitor.stats().known()),
        (3, 0)
    );
    assert_eq!(log.states(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_forgotten_once_it_is_handled() {
    let (store, log) = (store_of(&["a", "b"]), Log::new());
    let queue = Queue::builder(store.source())
        .consumer(scripted(&log, done))
        .build()
        .unwrap();
    let monitor = queue.monitor();
    let shutdown = async {
        monitor
            .until(|stats| stats.known() == 2 && stats.pending() == 0)
            .await;
        store.remove(live("a").key());
        monitor
            .until(|stats| stats.known() == 1 && stats.pending() == 0)
            .await;
    };
    within(MINUTE, queue.run(shutdown)).await;
    assert_eq!(log.states(), [State::Live, State::Live, State::Vanished]);
}

/// A source that feeds one resource and then fails for good.
struct Fatal;

impl Source for Fatal {
    async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
        feed.changed(live("a"));
        sleep(SECOND / 2).await;
        Err(SourceError::fatal("the kind is gone"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_of_the_source_drains_and_ends_the_queue() {
    let log = Log::new();
    let ended = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&ended);
    let consumer = scripted(&log, move |_| {
        let calls = Arc::clone(&calls);
        Box::pin(async move {
            sleep(SECOND).await;
            calls.fetch_add(1, Ordering::Relaxed);
            Ok(Outcome::Done)
        })
    });
    let queue = Queue::builder(Fatal).consumer(consumer).build().unwrap();
    let run = timeout(MINUTE, queue.run(pending())).await;
    let QueueError::Source(error) = run.expect("it ends by itself").unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(
        crate::chain::Chain(&error).to_string(),
        "the source failed for good: the kind is gone"
    );
    assert_eq!(ended.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_drain_lets_calls_end_and_starts_no_other() {
    let (store, log) = (store_of(&["a", "b", "c"]), Log::new());
    let consumer = scripted(&log, |_| {
        Box::pin(async {
            sleep(3 * SECOND).await;
            Ok(Outcome::Recheck(Duration::ZERO))
        })
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .slots(NonZeroUsize::new(2).unwrap())
        .build()
        .unwrap();
    let monitor = queue.monitor();
    queue.run(sleep(SECOND)).await.unwrap();
    assert_eq!(log.begun.elapsed(), 3 * SECOND);
    assert_eq!(log.calls().len(), 2);
    assert_eq!(monitor.stats().running(), 0, "both have ended");
}

/// Tells when it is dropped.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_drain_drops_what_takes_too_long() {
    let (store, log) = (store_of(&["a"]), Log::new());
    let dropped = Arc::new(AtomicUsize::new(0));
    let drops = Arc::clone(&dropped);
    let consumer = scripted(&log, move |_| {
        let held = Held(Arc::clone(&drops));
        Box::pin(async move {
            let _held = held;
            pending().await
        })
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .drain(5 * SECOND)
        .build()
        .unwrap();
    queue.run(sleep(SECOND)).await.unwrap();
    assert_eq!(log.begun.elapsed(), 6 * SECOND);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_source_is_gone_before_the_drain_begins() {
    struct Owner(Held);
    impl Source for Owner {
        async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
            feed.changed(live("a"));
            let _held = Held(Arc::clone(&self.0.0));
            pending().await
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&dropped);
    let shutdown = Arc::new(Notify::new());
    let draining = Arc::clone(&shutdown);
    let consumer = scripted(&Log::new(), move |_| {
        let (seen, draining) = (Arc::clone(&seen), Arc::clone(&draining));
        Box::pin(async move {
            draining.notify_one();
            sleep(SECOND).await;
            assert_eq!(
                seen.load(Ordering::Relaxed),
                2,
                "the epoch and the source itself"
            );
            seen.fetch_add(1, Ordering::Relaxed);
            Ok(Outcome::Done)
        })
    });
    let queue = Queue::builder(Owner(Held(Arc::clone(&dropped))))
        .consumer(consumer)
        .build()
        .unwrap();
    within(MINUTE, queue.run(shutdown.notified())).await;
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_drops_its_calls() {
    let (store, log) = (store_of(&["a"]), Log::new());
    let dropped = Arc::new(AtomicUsize::new(0));
    let drops = Arc::clone(&dropped);
    let consumer = scripted(&log, move |_| {
        let held = Held(Arc::clone(&drops));
        Box::pin(async move {
            let _held = held;
            pending().await
        })
    });
    let queue = Queue::builder(store.source())
        .consumer(consumer)
        .build()
        .unwrap();
    assert!(timeout(SECOND, queue.run(pending())).await.is_err());
    sleep(SECOND).await;
    assert_eq!((log.calls().len(), dropped.load(Ordering::Relaxed)), (1, 1));
}
