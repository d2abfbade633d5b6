//! The last changes, in order, within a bounded window.

use std::{
    collections::{VecDeque, vec_deque::Iter},
    sync::Arc,
};

use super::{Compacted, object::Stored};

/// One change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) collection: Arc<str>,
    pub(crate) revision: u64,
    /// Nothing if the object was created.
    pub(crate) old: Option<Arc<Stored>>,
    /// Nothing if the object was deleted.
    pub(crate) new: Option<Arc<Stored>>,
}

impl Event {
    pub(crate) fn key(&self) -> &str {
        let object = self.new.as_ref().or(self.old.as_ref());
        object.map_or("", |object| &object.key)
    }
}

/// Every change after a revision, without a gap.
#[derive(Debug)]
pub(super) struct Log {
    events: VecDeque<Event>,
    window: usize,
    /// The revision before the first event.
    compacted: u64,
}

impl Log {
    pub(super) fn new(window: usize, revision: u64) -> Self {
        Self {
            events: VecDeque::new(),
            window,
            compacted: revision,
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > self.window {
            self.events.pop_front();
            self.compacted += 1;
        }
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// What came after a revision; nothing if it lies in the future.
    pub(super) fn after(&self, revision: u64) -> Result<Iter<'_, Event>, Compacted> {
        let Some(known) = revision.checked_sub(self.compacted) else {
            return Err(Compacted {
                oldest: self.compacted,
            });
        };
        // Every revision has one event.
        let start = usize::try_from(known).map_or(self.events.len(), |n| n.min(self.events.len()));
        Ok(self.events.range(start..))
    }

    pub(super) fn clear(&mut self, revision: u64) {
        self.events.clear();
        self.compacted = revision;
    }
}
