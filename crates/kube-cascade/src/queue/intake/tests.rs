use std::{num::NonZeroUsize, time::Duration};

use proptest::prelude::*;

use super::{super::retry::RetryPolicy, *};
use crate::{
    consumer::{ParkReason, Parked},
    envelope::State as Phase,
};

fn key(number: u8) -> Key {
    Key::new(None, format!("k{number}").parse().unwrap())
}

fn live(number: u8) -> Envelope {
    Envelope::of(key(number), Phase::Live)
}

fn intake(consumers: &[&str]) -> Intake {
    let lanes = |_| Lanes::new(RetryPolicy::default(), NonZeroUsize::new(2).unwrap(), 1);
    Intake::new(consumers.iter().map(|name| (Arc::from(*name), lanes(name))))
}

/// Starts the next call of the first consumer and ends it, and says what was delivered.
fn call(intake: &Intake, verdict: Verdict, now: Instant) -> Option<Delivery> {
    let delivery = intake.start(0, now)?;
    intake.finish(0, delivery.envelope().key(), verdict, now);
    Some(delivery)
}

#[test]
fn a_feed_that_outlived_its_epoch_is_ignored() {
    let intake = intake(&["only"]);
    let old = intake.begin_epoch();
    let number = intake.begin_snapshot(old);
    intake.changed(old, live(1));
    let current = intake.begin_epoch();
    intake.changed(old, live(2));
    assert!(!intake.malformed(old));
    intake.complete_snapshot(old, number);
    assert_eq!(intake.stats().known(), 1);
    assert_eq!(intake.stats().malformed(), 0);
    assert_eq!(intake.stats().snapshots(), 0);
    intake.changed(current, live(2));
    assert_eq!(intake.stats().known(), 2);
}

#[test]
fn fault_18_one_envelope_a_hundred_times_is_one_delivery_and_malformed_ones_are_counted() {
    let intake = intake(&["only"]);
    let epoch = intake.begin_epoch();
    for _ in 0..100 {
        intake.changed(epoch, live(1));
        assert!(intake.malformed(epoch));
    }
    let now = Instant::now();
    assert_eq!(
        call(&intake, Verdict::Done, now),
        Some(Delivery::new(live(1)))
    );
    intake.changed(epoch, live(1));
    assert_eq!(call(&intake, Verdict::Done, now), None);
    assert_eq!(intake.stats().malformed(), 100);
    assert_eq!(
        intake.stats().known(),
        1,
        "what is malformed becomes no key"
    );
}

#[test]
fn a_key_that_is_gone_is_known_until_every_consumer_is_done_with_it() {
    let intake = intake(&["first", "second"]);
    let epoch = intake.begin_epoch();
    intake.changed(epoch, live(1).in_state(Phase::Vanished));
    let now = Instant::now();
    for (consumer, known) in [(0, 1), (1, 0)] {
        intake.start(consumer, now).unwrap();
        intake.finish(consumer, &key(1), Verdict::Done, now);
        assert_eq!(intake.stats().known(), known);
    }
}

#[test]
fn stats_count_work_per_consumer_and_name_what_is_parked() {
    let intake = intake(&["first", "second"]);
    let epoch = intake.begin_epoch();
    intake.changed(epoch, live(1));
    intake.changed(epoch, live(2));
    let now = Instant::now();
    let parked = Parked::new(ParkReason::Namesake, "two of them");
    intake.start(0, now).unwrap();
    intake.finish(0, &key(1), Verdict::Park(parked.clone()), now);
    intake.start(0, now).unwrap();
    intake.finish(0, &key(2), Verdict::Retry { floor: None }, now);
    intake.start(1, now).unwrap();
    let expected = Stats {
        known: 2,
        pending: 4,
        running: 1,
        failing: 1,
        parked: vec![ParkedEntry {
            consumer: "first".into(),
            key: key(1),
            parked,
        }],
        malformed: 0,
        snapshots: 0,
    };
    assert_eq!(intake.stats(), expected);
}

/// One step of a random run; heartbeats are words that hold no news.
#[derive(Debug, Clone)]
enum Step {
    Change { number: u8, etag: u8 },
    Heartbeat { number: u8 },
    Advance(Duration),
    Call { done: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u8..5, 0_u8..3).prop_map(|(number, etag)| Step::Change { number, etag }),
        (0_u8..5).prop_map(|number| Step::Heartbeat { number }),
        (0_u64..20).prop_map(|seconds| Step::Advance(Duration::from_secs(seconds))),
        proptest::bool::weighted(0.2).prop_map(|done| Step::Call { done }),
    ];
    proptest::collection::vec(step, 0..150)
}

/// Every delivery of a run, with its time; heartbeats repeat the last word on their key.
fn deliveries(steps: &[Step], with_heartbeats: bool) -> Vec<(Duration, Delivery)> {
    let intake = intake(&["only"]);
    let epoch = intake.begin_epoch();
    let begun = Instant::now();
    let mut now = begun;
    let mut last = std::collections::BTreeMap::new();
    let mut deliveries = Vec::new();
    for step in steps {
        match *step {
            Step::Change { number, etag } => {
                let envelope = live(number).with_etag(etag.to_string());
                last.insert(number, envelope.clone());
                intake.changed(epoch, envelope);
            }
            Step::Heartbeat { number } => {
                let envelope = last.get(&number).filter(|_| with_heartbeats);
                if let Some(envelope) = envelope {
                    intake.changed(epoch, envelope.clone());
                }
            }
            Step::Advance(by) => now += by,
            Step::Call { done } => {
                let verdict = if done {
                    Verdict::Done
                } else {
                    Verdict::Retry { floor: None }
                };
                deliveries.extend(call(&intake, verdict, now).map(|it| (now - begun, it)));
            }
        }
    }
    deliveries
}

proptest! {
    #[test]
    fn what_is_no_news_changes_no_delivery_and_no_backoff(steps in steps()) {
        prop_assert_eq!(deliveries(&steps, true), deliveries(&steps, false));
    }
}
