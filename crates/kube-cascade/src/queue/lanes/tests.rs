use std::{collections::BTreeMap, fmt::Write as _};

use proptest::prelude::*;

use super::*;
use crate::consumer::ParkReason;

const SECOND: Duration = Duration::from_secs(1);
const PARK: Duration = Duration::from_secs(60);

fn key(number: u8) -> Key {
    Key::new(None, format!("k{number:03}").parse().unwrap())
}

/// News of a key; the version tells one piece of news from another.
fn news(number: u8, version: u64) -> Envelope {
    Envelope::of(key(number), crate::State::Live).with_etag(version.to_string())
}

fn parked() -> Parked {
    Parked::new(ParkReason::LimitExceeded, "raise the limit")
}

fn retry() -> Verdict {
    Verdict::Retry { floor: None }
}

/// Lanes under test, with a clock that only moves when told to.
struct Bench {
    lanes: Lanes,
    epoch: Instant,
    now: Instant,
}

impl Bench {
    fn new(slots: usize, seed: u64) -> Self {
        let slots = NonZeroUsize::new(slots).unwrap();
        let now = Instant::now();
        Self {
            lanes: Lanes::new(RetryPolicy::default(), slots, seed),
            epoch: now,
            now,
        }
    }

    fn offer(&mut self, number: u8) {
        self.lanes.offer(news(number, 0));
    }

    fn start(&mut self) -> Option<Delivery> {
        self.lanes.start(self.now)
    }

    /// Starts all that can be, and returns the keys in their order.
    fn start_all(&mut self) -> Vec<Key> {
        std::iter::from_fn(|| self.start())
            .map(|delivery| delivery.envelope().key().clone())
            .collect()
    }

    fn finish(&mut self, number: u8, verdict: Verdict) {
        self.lanes.finish(&key(number), verdict, self.now);
    }

    /// Offers, starts and ends a first call.
    fn call(&mut self, number: u8, verdict: Verdict) {
        self.offer(number);
        assert_eq!(self.start_all(), [key(number)]);
        self.finish(number, verdict);
    }

    /// How long until the next delayed key is due.
    fn wait(&self) -> Duration {
        self.lanes.next_due().expect("something is delayed") - self.now
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
    }
}

#[test]
fn done_forgets_a_key() {
    let mut bench = Bench::new(2, 0);
    bench.call(1, Verdict::Done);
    assert!(!bench.lanes.holds(&key(1)));
    assert_eq!(bench.lanes.counts(), Counts::default());
    assert_eq!(bench.lanes.next_due(), None);
}

#[test]
fn keys_start_in_the_order_of_their_news() {
    let mut bench = Bench::new(8, 0);
    for number in [5, 3, 9, 1] {
        bench.offer(number);
    }
    assert_eq!(bench.start_all(), [key(5), key(3), key(9), key(1)]);
}

#[test]
fn more_news_of_a_waiting_key_keeps_its_turn() {
    let mut bench = Bench::new(2, 0);
    bench.offer(1);
    bench.offer(2);
    bench.lanes.offer(news(1, 7));
    let first = bench.start().unwrap();
    assert_eq!(first.envelope(), &news(1, 7));
}

#[test]
fn news_while_running_starts_again_only_after_the_end() {
    let mut bench = Bench::new(4, 0);
    bench.offer(1);
    bench.start().unwrap();
    bench.lanes.offer(news(1, 1));
    bench.lanes.offer(news(1, 2));
    assert_eq!(bench.start(), None);
    for verdict in [
        Verdict::Done,
        retry(),
        Verdict::Recheck(SECOND),
        Verdict::Park(parked()),
    ] {
        bench.finish(1, verdict);
        assert_eq!(
            bench.start(),
            Some(Delivery::new(news(1, 2))),
            "at once, without an attempt"
        );
        bench.lanes.offer(news(1, 2));
    }
}

#[test]
fn news_wakes_a_delayed_key_and_undoes_its_failures() {
    let mut bench = Bench::new(2, 0);
    for verdict in [retry(), Verdict::Recheck(PARK), Verdict::Park(parked())] {
        bench.call(1, verdict);
        assert_eq!(bench.start(), None);
        bench.lanes.offer(news(1, 1));
        assert_eq!(bench.lanes.parked().count(), 0);
        assert_eq!(bench.start(), Some(Delivery::new(news(1, 1))));
        bench.finish(1, Verdict::Done);
        assert_eq!(
            bench.lanes.next_due(),
            None,
            "nothing is left of the old delay"
        );
    }
}

#[test]
fn news_of_a_waiting_troubled_key_makes_it_fresh() {
    let mut bench = Bench::new(2, 0);
    bench.offer(1);
    bench.offer(2);
    bench.start_all();
    bench.finish(1, retry());
    bench.finish(2, retry());
    bench.advance(PARK);
    assert_eq!(
        bench.start_all().len(),
        1,
        "the other waits for the troubled half"
    );
    let waiting = if matches!(bench.lanes.work[&key(1)].phase, Phase::Running { .. }) {
        2
    } else {
        1
    };
    bench.lanes.offer(news(waiting, 1));
    assert_eq!(bench.start(), Some(Delivery::new(news(waiting, 1))));
}

#[test]
fn a_recheck_waits_exactly_and_counts_no_failure() {
    let mut bench = Bench::new(2, 0);
    bench.call(1, retry());
    bench.advance(SECOND);
    assert_eq!(bench.start().unwrap().attempt(), 1);
    bench.finish(1, Verdict::Recheck(3 * SECOND));
    assert_eq!(bench.wait(), 3 * SECOND);
    assert_eq!(
        bench.lanes.counts(),
        Counts {
            pending: 1,
            running: 0,
            failing: 0
        }
    );
    bench.advance(3 * SECOND);
    assert_eq!(bench.start().unwrap().attempt(), 0);
}

#[test]
fn a_recheck_without_delay_goes_to_the_end_of_the_line() {
    let mut bench = Bench::new(2, 0);
    for number in 1..=4 {
        bench.offer(number);
    }
    bench.start_all();
    bench.finish(1, Verdict::Recheck(Duration::ZERO));
    bench.finish(2, Verdict::Recheck(Duration::ZERO));
    assert_eq!(bench.start_all(), [key(3), key(4)]);
}

#[test]
fn parked_work_is_listed_and_judged_again_after_a_minute() {
    let mut bench = Bench::new(2, 0);
    bench.call(1, Verdict::Park(parked()));
    assert_eq!(bench.wait(), PARK);
    assert_eq!(
        bench.lanes.parked().collect::<Vec<_>>(),
        [(&key(1), &parked())]
    );
    bench.advance(59 * SECOND);
    assert_eq!(bench.start(), None);
    bench.advance(SECOND);
    assert_eq!(bench.start().unwrap().attempt(), 0);
    assert_eq!(
        bench.lanes.parked().count(),
        1,
        "listed until it is judged otherwise"
    );
    bench.finish(1, Verdict::Recheck(SECOND));
    assert_eq!(bench.lanes.parked().count(), 0);
}

#[test]
fn hurried_keys_are_tried_at_once_but_never_before_a_server_allows_it() {
    let mut bench = Bench::new(8, 0);
    bench.call(1, retry());
    for _ in 0..5 {
        bench.advance(bench.wait());
        assert_eq!(bench.start_all(), [key(1)]);
        bench.finish(1, retry());
    }
    let floor = Some(SECOND * 32);
    bench.call(2, Verdict::Retry { floor });
    bench.call(3, Verdict::Park(parked()));
    bench.call(4, Verdict::Recheck(SECOND * 10));
    bench.lanes.hurry(bench.now);
    assert_eq!(bench.start_all(), [key(1)]);
    bench.finish(1, retry());
    // Its failures still count.
    bench.advance(SECOND * 11);
    assert_eq!(bench.start_all(), [key(4)]);
    bench.advance(SECOND * 20);
    assert!(!bench.start_all().contains(&key(2)));
    bench.advance(SECOND);
    assert!(bench.start_all().contains(&key(2)));
}

#[test]
fn an_end_beyond_the_clock_is_no_panic() {
    let mut bench = Bench::new(2, 0);
    bench.call(1, Verdict::Recheck(Duration::MAX));
    bench.call(
        2,
        Verdict::Retry {
            floor: Some(Duration::MAX),
        },
    );
    assert_eq!(bench.lanes.counts().pending, 2);
}

#[test]
fn the_end_of_a_call_that_was_never_made_changes_nothing() {
    let mut bench = Bench::new(2, 0);
    bench.finish(1, Verdict::Done);
    bench.offer(1);
    bench.finish(1, Verdict::Done);
    assert_eq!(bench.start_all(), [key(1)]);
}

proptest! {
    #[test]
    fn a_delay_lies_between_half_of_its_bound_and_the_whole(
        failures in 0_u32..100,
        seed: u64,
        floor in proptest::option::of(0_u64..1000),
    ) {
        let floor = floor.map(Duration::from_secs);
        let mut bench = Bench::new(2, seed);
        bench.offer(1);
        for failure in 0..=failures {
            prop_assert_eq!(bench.start().unwrap().attempt(), failure);
            bench.finish(1, Verdict::Retry { floor });
            let whole = SECOND * 2_u32.saturating_pow(failure).min(300);
            let floor = floor.unwrap_or_default();
            let (least, most) = ((whole / 2).max(floor), whole.max(floor));
            prop_assert!((least..=most).contains(&bench.wait()), "{:?}", bench.wait());
            bench.advance(bench.wait());
        }
    }

    /// However much arrives and fails, a key that is ready starts after those before it.
    #[test]
    fn a_stream_of_fresh_keys_starves_no_failing_one(
        slots in 2_usize..10,
        backlog in 0_u8..60,
        arrivals in 1_u8..5,
    ) {
        let mut bench = Bench::new(slots, 0);
        bench.call(255, retry());
        for number in 0..backlog {
            bench.offer(number);
        }
        bench.advance(SECOND);
        let (mut starts, mut next) = (0, backlog);
        loop {
            let started = bench.start_all();
            starts += started.len();
            if started.contains(&key(255)) {
                break;
            }
            prop_assert!(starts <= usize::from(backlog) + slots, "starved for {starts} starts");
            for done in started {
                bench.lanes.finish(&done, Verdict::Done, bench.now);
            }
            for _ in 0..arrivals {
                next = (next + 1) % 250;
                bench.offer(next);
            }
        }
    }

    /// Failing keys that never end their calls leave half of the slots to the fresh.
    #[test]
    fn failing_keys_hold_at_most_half_of_the_slots(slots in 2_usize..10, failing in 1_u8..30) {
        let mut bench = Bench::new(slots, 0);
        for number in 0..failing {
            bench.call(number, if number % 3 == 0 { Verdict::Park(parked()) } else { retry() });
        }
        bench.advance(PARK);
        let stuck = bench.start_all().len();
        prop_assert_eq!(stuck, usize::from(failing).min(slots / 2));
        for number in 100..200 {
            bench.offer(number);
            prop_assert_eq!(bench.start_all(), vec![key(number)]);
            bench.finish(number, Verdict::Done);
        }
    }
}

/// One step of a random run.
#[derive(Debug, Clone)]
enum Step {
    Offer(u8),
    Advance(Duration),
    /// Ends one of the running calls, whichever the number falls on.
    Finish(usize, Verdict),
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        2 => Just(Verdict::Done),
        3 => proptest::option::of(0_u64..600)
            .prop_map(|floor| Verdict::Retry { floor: floor.map(Duration::from_secs) }),
        1 => (0_u64..20).prop_map(|seconds| Verdict::Recheck(Duration::from_secs(seconds))),
        1 => Just(Verdict::Park(parked())),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u8..12).prop_map(Step::Offer),
        2 => (0_u64..90_000).prop_map(|millis| Step::Advance(Duration::from_millis(millis))),
        4 => (any::<usize>(), verdicts()).prop_map(|(which, verdict)| Step::Finish(which, verdict)),
    ];
    proptest::collection::vec(step, 0..200)
}

/// What must be true of one key, kept apart from the lanes and far more simply.
#[derive(Debug, Clone)]
struct Owed {
    envelope: Envelope,
    failures: u32,
    troubled: bool,
    running: bool,
    news: bool,
    earliest: Instant,
    latest: Instant,
}

struct Model {
    bench: Bench,
    slots: usize,
    owed: BTreeMap<Key, Owed>,
    version: u64,
}

impl Model {
    fn new(slots: usize, seed: u64) -> Self {
        Self {
            bench: Bench::new(slots, seed),
            slots,
            owed: BTreeMap::new(),
            version: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Offer(number) => self.offer(number),
            Step::Advance(by) => self.bench.advance(by),
            Step::Finish(which, verdict) => self.finish(which, &verdict),
        }
        while let Some(delivery) = self.bench.start() {
            self.started(&delivery);
        }
        self.check();
    }

    fn offer(&mut self, number: u8) {
        self.version += 1;
        let envelope = news(number, self.version);
        self.bench.lanes.offer(envelope.clone());
        let running = self.owed.get(&key(number)).is_some_and(|owed| owed.running);
        let troubled = running && self.owed[&key(number)].troubled;
        let now = self.bench.now;
        let owed = Owed {
            envelope,
            failures: 0,
            troubled,
            running,
            news: running,
            earliest: now,
            latest: now,
        };
        self.owed.insert(key(number), owed);
    }

    fn started(&mut self, delivery: &Delivery) {
        let owed = self
            .owed
            .get_mut(delivery.envelope().key())
            .expect("only what was offered runs");
        assert!(!owed.running, "two calls at a time for {owed:?}");
        assert!(
            owed.earliest <= self.bench.now,
            "before its backoff: {owed:?}"
        );
        assert_eq!(
            delivery.envelope(),
            &owed.envelope,
            "the latest news is delivered"
        );
        assert_eq!(delivery.attempt(), owed.failures);
        owed.running = true;
    }

    fn finish(&mut self, which: usize, verdict: &Verdict) {
        let running: Vec<_> = self.running().map(|(key, _)| key.clone()).collect();
        let Some(key) = running.get(which % running.len().max(1)) else {
            return;
        };
        let now = self.bench.now;
        let done = self.bench.lanes.finish(key, verdict.clone(), now);
        let owed = self.owed.get_mut(key).unwrap();
        owed.running = false;
        if std::mem::take(&mut owed.news) {
            assert!(!done, "news is still to be told");
            owed.troubled = false;
            return;
        }
        assert_eq!(done, matches!(verdict, Verdict::Done));
        let (least, most) = match verdict {
            Verdict::Done => {
                self.owed.remove(key);
                return;
            }
            Verdict::Recheck(delay) => (*delay, *delay),
            Verdict::Park(_) => (PARK, PARK),
            Verdict::Retry { floor } => {
                let floor = floor.unwrap_or_default();
                let whole = SECOND * 2_u32.saturating_pow(owed.failures).min(300);
                ((whole / 2).max(floor), whole.max(floor))
            }
        };
        let failed = matches!(verdict, Verdict::Retry { .. });
        owed.failures = if failed { owed.failures + 1 } else { 0 };
        owed.troubled = failed || matches!(verdict, Verdict::Park(_));
        (owed.earliest, owed.latest) = (now + least, now + most);
    }

    fn running(&self) -> impl Iterator<Item = (&Key, &Owed)> {
        self.owed.iter().filter(|(_, owed)| owed.running)
    }

    /// What holds at every moment at which the lanes start nothing more.
    fn check(&self) {
        let running = self.running().count();
        let troubled = self.running().filter(|(_, owed)| owed.troubled).count();
        assert!(
            running <= self.slots,
            "{running} calls in {} slots",
            self.slots
        );
        assert!(
            troubled <= self.slots / 2,
            "{troubled} troubled in {} slots",
            self.slots
        );
        assert_eq!(self.bench.lanes.counts().running, running);
        assert_eq!(
            self.bench.lanes.counts().pending,
            self.owed.len(),
            "nothing is forgotten"
        );
        for (key, owed) in &self.owed {
            assert!(self.bench.lanes.holds(key), "{key} is forgotten");
            let has_slot = running < self.slots && (!owed.troubled || troubled < self.slots / 2);
            let waits = owed.running || self.bench.now < owed.latest;
            assert!(
                waits || !has_slot,
                "{key} is due, a slot is free, and it does not run"
            );
        }
    }

    /// Lets every call end well, and time pass, until nothing is left.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.owed.is_empty() {
                return;
            }
            self.step(Step::Finish(0, Verdict::Done));
            self.step(Step::Advance(SECOND * 10));
        }
        panic!("never called: {:?}", self.owed);
    }
}

proptest! {
    /// Serial per key, within the slots, nothing forgotten, no call too early, none left out.
    #[test]
    fn any_run_keeps_every_promise(slots in 2_usize..6, seed: u64, steps in steps()) {
        let mut model = Model::new(slots, seed);
        for step in steps {
            model.step(step);
        }
        model.settle();
        prop_assert_eq!(model.bench.lanes.counts(), Counts::default());
    }
}

/// Everything that the lanes do in a run that one seed determines.
fn trace(seed: u64) -> String {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new(4, seed);
    let mut running: Vec<Key> = Vec::new();
    let mut trace = String::new();
    for version in 0..2_000 {
        match dice.random_range(0..4) {
            0 => bench.lanes.offer(news(dice.random_range(0..40), version)),
            1 => bench.advance(Duration::from_millis(dice.random_range(0..5_000))),
            _ if running.is_empty() => {}
            _ => {
                let key = running.swap_remove(dice.random_range(0..running.len()));
                let verdict = match dice.random_range(0..6) {
                    0 | 1 => Verdict::Done,
                    2 => Verdict::Recheck(SECOND),
                    3 => Verdict::Park(parked()),
                    _ => retry(),
                };
                writeln!(trace, "{key} ends with {verdict:?}").unwrap();
                bench.lanes.finish(&key, verdict, bench.now);
            }
        }
        while let Some(delivery) = bench.start() {
            running.push(delivery.envelope().key().clone());
            writeln!(trace, "{:?} {delivery:?}", bench.now - bench.epoch).unwrap();
        }
        writeln!(
            trace,
            "due {:?}",
            bench.lanes.next_due().map(|due| due - bench.epoch)
        )
        .unwrap();
    }
    trace
}

#[test]
fn one_seed_has_one_trace() {
    let (first, second) = (trace(7), trace(7));
    assert!(first.lines().count() > 2_000);
    assert_eq!(first.as_bytes(), second.as_bytes());
}

#[test]
fn another_seed_has_another_trace() {
    assert_ne!(trace(7), trace(8));
}
