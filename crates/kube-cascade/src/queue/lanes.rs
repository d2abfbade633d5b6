//! Which key is handed to one consumer next, and when: the retry engine as a state machine.
//!
//! Pure: it is given the time and draws from its own seeded generator, so that one seed and one
//! sequence of calls have one result. It starts nothing itself; the caller is
//! [`Queue`](super::Queue), which runs what [`Lanes::start`] returns and reports to
//! [`Lanes::finish`] how it ended.
//!
//! Every key that has work is in exactly one phase:
//! ```text
//!            offer                start                 finish: Done
//!  (nothing) ─────▶ ready ──────────────────▶ running ──────────────▶ (nothing)
//!                     ▲  ▲                     │  │
//!                     │  └─ finish, with news ─┘  │ finish: retry, recheck, park
//!                     └──── due, or news ─ delayed ◀
//! ```
//! Two invariants carry the fairness. Keys wait in the order in which they became ready, whatever
//! became of them before. And keys that are *troubled* (the last call failed or parked) hold at
//! most half of the slots, so that a hundred of them that run into a timeout leave the other half
//! to fresh keys.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::OccupiedEntry},
    num::NonZeroUsize,
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::retry::RetryPolicy;
use crate::{
    consumer::{Delivery, Parked},
    envelope::{Envelope, Key},
};

/// A wait that overflows the clock is cut to this: longer than any process lives.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The work of one consumer, by key.
#[derive(Debug)]
pub(super) struct Lanes {
    policy: RetryPolicy,
    slots: NonZeroUsize,
    rng: StdRng,
    work: BTreeMap<Key, Work>,
    /// What is ready and not troubled, in order.
    fresh: BTreeMap<Turn, Key>,
    /// What is ready and troubled, in order.
    troubled: BTreeMap<Turn, Key>,
    /// What is delayed, soonest first.
    delayed: BTreeSet<(Instant, Turn, Key)>,
    next_turn: Turn,
    running: usize,
    running_troubled: usize,
}

/// A place in the order of becoming ready; no two are the same.
type Turn = u64;

#[derive(Debug)]
struct Work {
    envelope: Envelope,
    phase: Phase,
    /// How many calls in a row have failed.
    failures: u32,
    /// Until when the server asked to be left alone after the last failure.
    floor: Option<Instant>,
    /// Why the last call set this aside; kept while it is judged again.
    parked: Option<Parked>,
}

impl Work {
    fn is_troubled(&self) -> bool {
        self.failures > 0 || self.parked.is_some()
    }
}

#[derive(Debug, Clone)]
enum Phase {
    Ready { turn: Turn },
    Running { troubled: bool, news: bool },
    Delayed { until: Instant, turn: Turn },
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Done,
    Recheck(Duration),
    Park(Parked),
    /// It failed; not again before `floor` has passed, where the server asked for that.
    Retry {
        floor: Option<Duration>,
    },
}

/// What the lanes hold at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) pending: usize,
    pub(super) running: usize,
    pub(super) failing: usize,
}

impl Lanes {
    /// Lanes without work.
    pub(super) fn new(policy: RetryPolicy, slots: NonZeroUsize, seed: u64) -> Self {
        Self {
            policy,
            slots,
            rng: StdRng::seed_from_u64(seed),
            work: BTreeMap::new(),
            fresh: BTreeMap::new(),
            troubled: BTreeMap::new(),
            delayed: BTreeSet::new(),
            next_turn: 0,
            running: 0,
            running_troubled: 0,
        }
    }

    /// Takes news of a key, which undoes its backoff and its parking.
    ///
    /// A key that is running is run again afterwards; one that waits fresh keeps its turn.
    pub(super) fn offer(&mut self, envelope: Envelope) {
        let key = envelope.key().clone();
        let Some(work) = self.work.get_mut(&key) else {
            let phase = Phase::Ready { turn: 0 };
            let work = Work {
                envelope,
                phase,
                failures: 0,
                floor: None,
                parked: None,
            };
            self.work.insert(key.clone(), work);
            return self.make_ready(&key);
        };
        let was_troubled = work.is_troubled();
        work.envelope = envelope;
        work.failures = 0;
        work.parked = None;
        match &mut work.phase {
            Phase::Running { news, .. } => *news = true,
            Phase::Ready { .. } if !was_troubled => {}
            Phase::Ready { turn } => {
                self.troubled.remove(turn);
                self.make_ready(&key);
            }
            Phase::Delayed { until, turn } => {
                self.delayed.remove(&(*until, *turn, key.clone()));
                self.make_ready(&key);
            }
        }
    }

    /// Takes the next call to make at `now`, if there is one and a slot for it.
    pub(super) fn start(&mut self, now: Instant) -> Option<Delivery> {
        self.wake(now);
        let key = self.next_ready()?;
        let work = self.work.get_mut(&key)?;
        let troubled = work.is_troubled();
        work.phase = Phase::Running {
            troubled,
            news: false,
        };
        self.running += 1;
        self.running_troubled += usize::from(troubled);
        Some(Delivery::new(work.envelope.clone()).with_attempt(work.failures))
    }

    /// Records how the call for `key` ended; whether nothing is left to do for that key.
    pub(super) fn finish(&mut self, key: &Key, verdict: Verdict, now: Instant) -> bool {
        let Some(work) = self.work.get_mut(key) else {
            return true;
        };
        let Phase::Running { troubled, news } = work.phase else {
            return false;
        };
        self.running -= 1;
        self.running_troubled -= usize::from(troubled);
        if news {
            self.make_ready(key);
            return false;
        }
        let delay = match verdict {
            Verdict::Done => {
                self.work.remove(key);
                return true;
            }
            Verdict::Recheck(delay) => {
                (work.failures, work.parked) = (0, None);
                delay
            }
            Verdict::Park(parked) => {
                (work.failures, work.parked) = (0, Some(parked));
                self.policy.park()
            }
            Verdict::Retry { floor } => {
                let backoff = self.policy.delay(work.failures, &mut self.rng);
                (work.failures, work.parked) = (work.failures.saturating_add(1), None);
                work.floor = floor.map(|floor| after(now, floor));
                backoff.max(floor.unwrap_or_default())
            }
        };
        self.delay(key, now, delay);
        false
    }

    /// Lets every key that failed be tried at once, or as soon as a server allows it.
    ///
    /// Its count of failures stays: where the cause is another one, the waits go on growing.
    pub(super) fn hurry(&mut self, now: Instant) {
        let failing: Vec<_> = self
            .work
            .iter()
            .filter(|(_, work)| work.failures > 0)
            .filter_map(|(key, work)| match work.phase {
                Phase::Delayed { until, turn } => Some((until, turn, key.clone(), work.floor)),
                _ => None,
            })
            .collect();
        for (until, turn, key, floor) in failing {
            let sooner = floor.unwrap_or(now).max(now);
            if sooner < until {
                self.delayed.remove(&(until, turn, key.clone()));
                self.delay(&key, now, sooner - now);
            }
        }
    }

    /// When the next delayed key is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(until, ..)| *until)
    }

    /// Whether something is left to do for `key`.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.work.contains_key(key)
    }

    /// How much work there is.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            pending: self.work.len(),
            running: self.running,
            failing: self.work.values().filter(|work| work.failures > 0).count(),
        }
    }

    /// What is set aside, by key.
    pub(super) fn parked(&self) -> impl Iterator<Item = (&Key, &Parked)> {
        self.work
            .iter()
            .filter_map(|(key, work)| Some((key, work.parked.as_ref()?)))
    }

    /// Makes ready what is due, in the order in which it became due.
    fn wake(&mut self, now: Instant) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, _, key)) = self.delayed.pop_first() else {
                return;
            };
            self.make_ready(&key);
        }
    }

    /// Takes the key whose turn it is, unless no slot is left for it.
    fn next_ready(&mut self) -> Option<Key> {
        if self.running >= self.slots.get() {
            return None;
        }
        let fresh = self.fresh.first_entry();
        let may_run_troubled = self.running_troubled < self.slots.get() / 2;
        let troubled = self.troubled.first_entry().filter(|_| may_run_troubled);
        match (fresh, troubled) {
            (Some(fresh), Some(troubled)) if troubled.key() < fresh.key() => {
                Some(troubled.remove())
            }
            (Some(fresh), _) => Some(fresh.remove()),
            (None, troubled) => troubled.map(OccupiedEntry::remove),
        }
    }

    /// Puts a key that is in no queue at the end of the one it belongs in.
    fn make_ready(&mut self, key: &Key) {
        let turn = self.take_turn();
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        work.phase = Phase::Ready { turn };
        let queue = if work.is_troubled() {
            &mut self.troubled
        } else {
            &mut self.fresh
        };
        queue.insert(turn, key.clone());
    }

    /// Lets a key that is in no queue wait.
    fn delay(&mut self, key: &Key, now: Instant, delay: Duration) {
        let until = after(now, delay);
        let turn = self.take_turn();
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        work.phase = Phase::Delayed { until, turn };
        self.delayed.insert((until, turn, key.clone()));
    }

    fn take_turn(&mut self) -> Turn {
        self.next_turn += 1;
        self.next_turn
    }
}

fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay).unwrap_or_else(|| now + FOREVER)
}

#[cfg(test)]
mod tests;
