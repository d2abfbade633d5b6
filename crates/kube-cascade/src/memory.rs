//! A source in memory: for tests, examples and trying things out.
//!
//! It is as unforgiving as a real one where that matters to consumers: it replays everything at
//! each epoch, and an epoch can be made to break off. It keeps envelopes and nothing else; for
//! objects with finalizers and preconditions use an API server. The caller is whoever embeds a
//! [`Queue`](crate::Queue).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::mpsc;

use crate::{
    envelope::{Envelope, Key, State},
    source::{Feed, Malformed, Source, SourceError},
};

/// A handle on a store of envelopes; clones share the store.
///
/// # Examples
/// ```
/// use kube_cascade::{Envelope, Queue, memory::MemoryStore};
/// use std::time::SystemTime;
///
/// let store = MemoryStore::new();
/// let project = Envelope::new("project-1".parse()?, None).with_uid("8b1c");
/// store.put(project.clone());
/// store.terminate(project.key(), SystemTime::now());
/// store.remove(project.key());
/// # Ok::<(), kube_cascade::InvalidResourceId>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    envelopes: BTreeMap<Key, Envelope>,
    malformed: Vec<Malformed>,
    /// The epochs that are being fed; one whose receiver is gone is dropped when next told.
    epochs: Vec<mpsc::UnboundedSender<Event>>,
}

#[derive(Debug, Clone)]
enum Event {
    Changed(Envelope),
    Vanished(Key),
    Malformed(Malformed),
}

impl MemoryStore {
    /// A store that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A source on this store; there may be any number of them.
    #[must_use]
    pub fn source(&self) -> MemorySource {
        MemorySource {
            store: self.clone(),
        }
    }

    /// Creates a resource, or replaces what is known of it.
    ///
    /// An envelope of something gone removes it.
    pub fn put(&self, envelope: Envelope) {
        if envelope.state().is_gone() {
            return self.remove(envelope.key());
        }
        let mut store = self.lock();
        store
            .envelopes
            .insert(envelope.key().clone(), envelope.clone());
        store.tell(&Event::Changed(envelope));
    }

    /// Begins a resource's deletion, as if something still held it; nothing where there is none.
    pub fn terminate(&self, key: &Key, since: SystemTime) {
        let mut store = self.lock();
        let Some(envelope) = store.envelopes.get_mut(key) else {
            return;
        };
        *envelope = envelope.in_state(State::Terminating { since });
        let event = Event::Changed(envelope.clone());
        store.tell(&event);
    }

    /// Removes a resource before the eyes of every source.
    pub fn remove(&self, key: &Key) {
        let mut store = self.lock();
        if store.envelopes.remove(key).is_some() {
            store.tell(&Event::Vanished(key.clone()));
        }
    }

    /// Loses a resource without a word, as a store that expires what it holds: the next snapshot
    /// does not contain it.
    pub fn purge(&self, key: &Key) {
        self.lock().envelopes.remove(key);
    }

    /// Adds something that is no envelope; it is replayed like the rest.
    pub fn malformed(&self, malformed: Malformed) {
        let mut store = self.lock();
        store.malformed.push(malformed.clone());
        store.tell(&Event::Malformed(malformed));
    }

    /// Breaks off the epochs of all sources on this store.
    pub fn interrupt(&self) {
        self.lock().epochs.clear();
    }

    /// Nothing that holds this lock calls foreign code, so a poisoned store is still a whole one.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn tell(&mut self, event: &Event) {
        self.epochs
            .retain(|epoch| epoch.send(event.clone()).is_ok());
    }

    /// Replays everything, and returns what happens from that moment on.
    ///
    /// Both under one lock: what happens in between would be in neither.
    fn replay(&mut self, feed: &mut Feed) -> mpsc::UnboundedReceiver<Event> {
        let mut snapshot = feed.snapshot();
        for envelope in self.envelopes.values() {
            snapshot.put(envelope.clone());
        }
        snapshot.complete();
        for malformed in &self.malformed {
            feed.malformed(malformed.clone());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        self.epochs.push(sender);
        receiver
    }
}

/// A [`Source`] on a [`MemoryStore`]; it replays everything at each epoch.
#[derive(Debug)]
pub struct MemorySource {
    store: MemoryStore,
}

impl Source for MemorySource {
    async fn run(&mut self, mut feed: Feed) -> Result<(), SourceError> {
        let mut events = self.store.lock().replay(&mut feed);
        while let Some(event) = events.recv().await {
            match event {
                Event::Changed(envelope) => feed.changed(envelope),
                Event::Vanished(key) => feed.vanished(&key),
                Event::Malformed(malformed) => feed.malformed(malformed),
            }
        }
        Err(SourceError::transient("the epoch was interrupted"))
    }
}
