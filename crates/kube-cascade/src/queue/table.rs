//! What is known about every key, what of a source's words is news, and what is absent.
//!
//! Pure: no clock, no tasks, no consumers. The caller is [`Intake`](super::Intake).

use std::collections::BTreeMap;

use crate::envelope::{Envelope, Key, State};

/// The last word on every key that exists, or that somebody is not done with.
#[derive(Debug, Default)]
pub(super) struct Table {
    known: BTreeMap<Key, Known>,
    /// The number of the latest snapshot that began; 0 before the first.
    snapshot: u64,
}

#[derive(Debug)]
struct Known {
    envelope: Envelope,
    /// The latest snapshot that had begun when the source last spoke of this key.
    seen: u64,
}

impl Table {
    /// Takes the source's word on a key; what is returned is news.
    ///
    /// Of a key that is not known everything is news, also that it vanished: it may have come and
    /// gone since anybody looked, and whoever is told twice has lost nothing.
    pub(super) fn apply(&mut self, envelope: Envelope) -> Option<Envelope> {
        let seen = self.snapshot;
        let Some(known) = self.known.get_mut(envelope.key()) else {
            let key = envelope.key().clone();
            self.known.insert(
                key,
                Known {
                    envelope: envelope.clone(),
                    seen,
                },
            );
            return Some(envelope);
        };
        known.seen = seen;
        let news = known.envelope.supersede(&envelope)?;
        known.envelope = news.clone();
        Some(news)
    }

    /// Begins a snapshot, and numbers it.
    pub(super) fn begin_snapshot(&mut self) -> u64 {
        self.snapshot += 1;
        self.snapshot
    }

    /// Ends a snapshot that contained everything; what is returned is news of absence.
    ///
    /// A key is absent when the source has not spoken of it since the snapshot began. Counting from
    /// the beginning keeps what appeared meanwhile.
    pub(super) fn complete_snapshot(&mut self, number: u64) -> Vec<Envelope> {
        let unseen = self.known.values_mut().filter(|known| known.seen < number);
        unseen
            .filter_map(|known| {
                let absent = known.envelope.in_state(State::Absent);
                known.envelope = known.envelope.supersede(&absent)?;
                Some(known.envelope.clone())
            })
            .collect()
    }

    /// Drops a key that is gone; one that came back stays.
    pub(super) fn forget_gone(&mut self, key: &Key) {
        if self
            .known
            .get(key)
            .is_some_and(|known| known.envelope.state().is_gone())
        {
            self.known.remove(key);
        }
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests;
