//! What the source's side and the consumers' side of a queue share.
//!
//! One lock over the table and the lanes: a word of the source is news or it is not, and if it is,
//! every consumer's lanes have it before the source says the next. The lock is never held across an
//! await. The callers are [`Feed`](crate::source::Feed), the driver and [`Monitor`](super::Monitor).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    lanes::{Lanes, Verdict},
    monitor::{ParkedEntry, Stats},
    table::Table,
};
use crate::{
    consumer::Delivery,
    envelope::{Envelope, Key},
};

/// The state of one queue.
#[derive(Debug)]
pub(crate) struct Intake {
    state: Mutex<State>,
    /// Told when the source brought something that the driver must look at.
    pub(super) news: Notify,
    /// The count of complete snapshots.
    pub(super) snapshots: watch::Sender<u64>,
    /// Told after whatever changes the statistics.
    pub(super) changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The epoch that may speak; words of others come from a feed that outlived its own.
    epoch: u64,
    /// Whether the current epoch has had a complete snapshot.
    snapshotted: bool,
    /// Whether an epoch has broken off without one since the last complete snapshot.
    blind: bool,
    table: Table,
    lanes: Vec<Lane>,
    malformed: u64,
    snapshots: u64,
}

/// One consumer's work.
#[derive(Debug)]
struct Lane {
    consumer: Arc<str>,
    lanes: Lanes,
}

impl Intake {
    /// An intake for the named consumers, in the order in which the driver counts them.
    pub(super) fn new(lanes: impl IntoIterator<Item = (Arc<str>, Lanes)>) -> Self {
        let lanes = lanes
            .into_iter()
            .map(|(consumer, lanes)| Lane { consumer, lanes })
            .collect();
        let state = State {
            lanes,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            news: Notify::new(),
            snapshots: watch::Sender::new(0),
            changes: watch::Sender::new(()),
        }
    }

    /// Ends the current epoch and begins the one whose number is returned.
    pub(super) fn begin_epoch(&self) -> u64 {
        let mut state = self.lock();
        state.blind |= state.epoch > 0 && !state.snapshotted;
        state.snapshotted = false;
        state.epoch += 1;
        state.epoch
    }

    /// Begins a snapshot, and numbers it.
    pub(crate) fn begin_snapshot(&self, epoch: u64) -> u64 {
        self.during(epoch, |state| state.table.begin_snapshot())
            .unwrap_or_default()
    }

    /// Ends a snapshot that contained everything.
    ///
    /// After an epoch that could not be read at all, this says that the server is back: calls that
    /// failed meanwhile do not wait for the rest of a backoff that grew during the outage.
    pub(crate) fn complete_snapshot(&self, epoch: u64, number: u64) {
        let now = Instant::now();
        let completed = self.during(epoch, |state| {
            state.snapshots += 1;
            state.snapshotted = true;
            if std::mem::take(&mut state.blind) {
                for lane in &mut state.lanes {
                    lane.lanes.hurry(now);
                }
            }
            for absent in state.table.complete_snapshot(number) {
                state.offer(&absent);
            }
        });
        if completed.is_some() {
            self.news.notify_one();
            self.snapshots.send_modify(|count| *count += 1);
            self.changes.send_replace(());
        }
    }

    /// Takes the source's word on one key.
    pub(crate) fn changed(&self, epoch: u64, envelope: Envelope) {
        let news = self.during(epoch, |state| {
            let news = state.table.apply(envelope)?;
            state.offer(&news);
            Some(())
        });
        if news.flatten().is_some() {
            self.news.notify_one();
            self.changes.send_replace(());
        }
    }

    /// Counts something that is no envelope; whether anybody listens.
    pub(crate) fn malformed(&self, epoch: u64) -> bool {
        let counted = self.during(epoch, |state| state.malformed += 1).is_some();
        self.changes.send_replace(());
        counted
    }

    /// Takes the next call for the consumer of that number.
    pub(super) fn start(&self, consumer: usize, now: Instant) -> Option<Delivery> {
        let delivery = self.lock().lanes.get_mut(consumer)?.lanes.start(now)?;
        self.changes.send_replace(());
        Some(delivery)
    }

    /// Records how a call ended, and forgets a key that is gone once nobody needs it any more.
    pub(super) fn finish(&self, consumer: usize, key: &Key, verdict: Verdict, now: Instant) {
        self.lock().finish(consumer, key, verdict, now);
        self.changes.send_replace(());
    }

    /// When the next delayed call of any consumer is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.lock()
            .lanes
            .iter()
            .filter_map(|lane| lane.lanes.next_due())
            .min()
    }

    /// What the queue holds at this moment.
    pub(super) fn stats(&self) -> Stats {
        let held = self.lock();
        let mut stats = Stats {
            known: held.table.len(),
            malformed: held.malformed,
            snapshots: held.snapshots,
            ..Stats::default()
        };
        for Lane { consumer, lanes } in &held.lanes {
            let counts = lanes.counts();
            stats.pending += counts.pending;
            stats.running += counts.running;
            stats.failing += counts.failing;
            stats
                .parked
                .extend(lanes.parked().map(|(key, parked)| ParkedEntry {
                    consumer: consumer.clone(),
                    key: key.clone(),
                    parked: parked.clone(),
                }));
        }
        stats
    }

    /// Runs `speak` unless the epoch is over.
    fn during<T>(&self, epoch: u64, speak: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = self.lock();
        (state.epoch == epoch).then(|| speak(&mut state))
    }

    /// Nothing that holds this lock calls foreign code, so a poisoned state is still a whole one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn offer(&mut self, news: &Envelope) {
        for lane in &mut self.lanes {
            lane.lanes.offer(news.clone());
        }
    }

    fn finish(&mut self, consumer: usize, key: &Key, verdict: Verdict, now: Instant) {
        let Some(lane) = self.lanes.get_mut(consumer) else {
            return;
        };
        lane.lanes.finish(key, verdict, now);
        if !self.lanes.iter().any(|lane| lane.lanes.holds(key)) {
            self.table.forget_gone(key);
        }
    }
}

#[cfg(test)]
mod tests;
