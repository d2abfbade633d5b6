//! A look into a queue from outside: what metrics, readiness and tests read.

use std::sync::Arc;

use tokio::sync::watch;

use super::intake::Intake;
use crate::{
    consumer::{ParkReason, Parked},
    envelope::Key,
};

/// A handle that sees what a queue holds, before, while and after it runs.
#[derive(Debug, Clone)]
pub struct Monitor {
    intake: Arc<Intake>,
}

impl Monitor {
    pub(super) fn new(intake: Arc<Intake>) -> Self {
        Self { intake }
    }

    /// What the queue holds at this moment; it takes time linear in the pending work.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.intake.stats()
    }

    /// Waits until what the queue holds is as wanted, which may be never.
    ///
    /// Every change is looked at, in time linear in the pending work: this is for tests and for
    /// the start of a program, not for metrics.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let mut changes = self.intake.changes.subscribe();
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            // The sender is in the intake, so it is there for as long as this waits.
            let _ = changes.changed().await;
        }
    }

    /// Follows the count of complete snapshots.
    ///
    /// The first one says that everything that existed at the start has been offered.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<u64> {
        self.intake.snapshots.subscribe()
    }
}

/// What a queue holds at one moment.
///
/// Work is counted per (key, consumer): a key that two consumers are not done with counts twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    pub(super) known: usize,
    pub(super) pending: usize,
    pub(super) running: usize,
    pub(super) failing: usize,
    pub(super) parked: Vec<ParkedEntry>,
    pub(super) malformed: u64,
    pub(super) snapshots: u64,
}

impl Stats {
    /// Keys that exist, or that some consumer is not done with.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known
    }

    /// Work that is not done: waiting, running or delayed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Calls that are being made.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Work whose last call failed.
    #[must_use]
    pub fn failing(&self) -> usize {
        self.failing
    }

    /// Work that is set aside, by consumer and key.
    #[must_use]
    pub fn parked(&self) -> &[ParkedEntry] {
        &self.parked
    }

    /// How many malformed things the source has reported so far.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// How many snapshots were complete so far.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }
}

/// One piece of work that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEntry {
    pub(super) consumer: Arc<str>,
    pub(super) key: Key,
    pub(super) parked: Parked,
}

impl ParkedEntry {
    /// The name of the consumer that set it aside.
    #[must_use]
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// What is set aside.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Why, fit for a metric's label.
    #[must_use]
    pub fn reason(&self) -> ParkReason {
        self.parked.reason()
    }

    /// What was found, and its remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        self.parked.message()
    }
}
