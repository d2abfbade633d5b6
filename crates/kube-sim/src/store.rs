//! Where objects are kept: the truth now, and what has changed within a bounded window.
//!
//! There is one sequence of revisions over everything, and every change takes exactly one. The
//! store judges nothing: which changes are allowed, and what they do to an object, is
//! [`crate::server`]'s to say.

mod log;
pub(crate) mod object;
pub(crate) mod page;

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use tokio::sync::watch;

pub(crate) use log::Event;
use log::Log;
use object::Stored;

/// The objects of one resource, by key.
type Objects = BTreeMap<Arc<str>, Arc<Stored>>;

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    collections: BTreeMap<Arc<str>, Collection>,
    log: Log,
}

/// The objects of one resource, whatever its versions are.
#[derive(Debug)]
pub(crate) struct Collection {
    objects: Objects,
    /// The revision since when there has been such a resource: no watch can begin before.
    since: u64,
    /// Wakes the watches; they end when it is dropped.
    changed: watch::Sender<()>,
}

/// Why a revision cannot be read or watched any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest revision that can be.
    pub(crate) oldest: u64,
}

impl Store {
    /// Nothing, and room for that many events.
    pub(crate) fn new(window: usize) -> Self {
        // As in an etcd that nobody has written to.
        const FIRST: u64 = 1;
        Self {
            revision: FIRST,
            collections: BTreeMap::new(),
            log: Log::new(window, FIRST),
        }
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision at which everything can still be told.
    pub(crate) fn compacted(&self) -> u64 {
        self.log.compacted()
    }

    /// Takes what is there for the beginning: no watch can begin before.
    pub(crate) fn begin(&mut self) {
        for kept in self.collections.values_mut() {
            kept.since = self.revision;
        }
    }

    /// Makes room for a resource; one that is there already stays as it is.
    pub(crate) fn open(&mut self, collection: &Arc<str>) {
        let since = self.revision;
        self.collections
            .entry(Arc::clone(collection))
            .or_insert_with(|| Collection {
                objects: Objects::new(),
                since,
                changed: watch::Sender::new(()),
            });
    }

    /// Forgets a resource with all of its objects; its watches end.
    pub(crate) fn close(&mut self, collection: &str) {
        self.collections.remove(collection);
    }

    pub(crate) fn collection(&self, collection: &str) -> Option<&Collection> {
        self.collections.get(collection)
    }

    /// All resources that have been opened.
    pub(crate) fn collections(&self) -> impl Iterator<Item = (&Arc<str>, &Collection)> {
        self.collections.iter()
    }

    pub(crate) fn get(&self, collection: &str, key: &str) -> Option<&Arc<Stored>> {
        self.collections.get(collection)?.objects.get(key)
    }

    /// Writes an object, which carries the next revision already.
    pub(crate) fn put(&mut self, collection: &Arc<str>, new: Arc<Stored>) {
        let Some(kept) = self.collections.get_mut(&**collection) else {
            return;
        };
        self.revision += 1;
        let old = kept.objects.insert(Arc::clone(&new.key), Arc::clone(&new));
        self.log.push(Event {
            collection: Arc::clone(collection),
            revision: self.revision,
            old,
            new: Some(new),
        });
        kept.changed.send_replace(());
    }

    /// Takes an object away.
    pub(crate) fn remove(&mut self, collection: &Arc<str>, key: &str) {
        let Some(kept) = self.collections.get_mut(&**collection) else {
            return;
        };
        let Some(old) = kept.objects.remove(key) else {
            return;
        };
        self.revision += 1;
        self.log.push(Event {
            collection: Arc::clone(collection),
            revision: self.revision,
            old: Some(old),
            new: None,
        });
        kept.changed.send_replace(());
    }

    /// Visits the objects of a resource in the order of their keys, as they are or as they were.
    ///
    /// Only keys in the range are visited; `visit` may stop.
    pub(crate) fn scan(
        &self,
        collection: &str,
        range: Range<'_>,
        at: u64,
        visit: &mut dyn FnMut(&Arc<Stored>) -> ControlFlow<()>,
    ) -> Result<(), Compacted> {
        let Some(kept) = self.collections.get(collection) else {
            return Ok(());
        };
        let changed = self.changes(collection, at)?.next().is_some();
        if !changed {
            let _ = range.visit(&kept.objects, visit);
            return Ok(());
        }
        let then = self.as_of(collection, kept, at)?;
        let _ = range.visit(&then, visit);
        Ok(())
    }

    /// One object as it was.
    pub(crate) fn get_at(
        &self,
        collection: &str,
        key: &str,
        at: u64,
    ) -> Result<Option<Arc<Stored>>, Compacted> {
        let first_change = self
            .log
            .after(at)?
            .find(|event| *event.collection == *collection && *event.key() == *key);
        Ok(match first_change {
            Some(event) => event.old.clone(),
            None => self.get(collection, key).cloned(),
        })
    }

    /// Undoes what has happened since.
    fn as_of(&self, collection: &str, kept: &Collection, at: u64) -> Result<Objects, Compacted> {
        let mut objects = kept.objects.clone();
        for event in self.log.after(at)?.rev() {
            if *event.collection != *collection {
                continue;
            }
            match &event.old {
                Some(old) => objects.insert(Arc::clone(&old.key), Arc::clone(old)),
                None => objects.remove(event.key()),
            };
        }
        Ok(objects)
    }

    /// What has changed in a resource after a revision.
    pub(crate) fn changes<'a>(
        &'a self,
        collection: &'a str,
        after: u64,
    ) -> Result<impl Iterator<Item = &'a Event>, Compacted> {
        let events = self.log.after(after)?;
        Ok(events.filter(move |event| *event.collection == *collection))
    }

    /// Forgets every event, as when etcd has been compacted and the caches have moved on.
    pub(crate) fn compact(&mut self) {
        self.log.clear(self.revision);
    }

    /// Ends all watches.
    pub(crate) fn drop_watches(&mut self) {
        for kept in self.collections.values_mut() {
            kept.changed = watch::Sender::new(());
        }
    }

    /// All objects; cheap, for objects are shared.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let collections = self.collections.iter();
        Snapshot {
            revision: self.revision,
            collections: collections
                .map(|(name, kept)| (Arc::clone(name), kept.objects.clone()))
                .collect(),
        }
    }

    /// Goes back to a snapshot, revision included. All watches end, and nothing before it can be
    /// told any more.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.revision = snapshot.revision;
        self.log.clear(self.revision);
        self.collections.clear();
        for (name, objects) in &snapshot.collections {
            let kept = Collection {
                objects: objects.clone(),
                since: self.revision,
                changed: watch::Sender::new(()),
            };
            self.collections.insert(Arc::clone(name), kept);
        }
    }
}

impl Collection {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.objects.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// The objects of one namespace.
    pub(crate) fn within(&self, namespace: &str) -> Vec<Arc<Stored>> {
        let mut found = Vec::new();
        let range = Range {
            namespace: Some(namespace),
            start: None,
        };
        let _ = range.visit(&self.objects, &mut |object| {
            found.push(Arc::clone(object));
            ControlFlow::Continue(())
        });
        found
    }

    /// Since when there has been such a resource.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Changes with every change, and closes when the watches are to end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// What to visit of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range<'a> {
    /// Only this namespace.
    pub(crate) namespace: Option<&'a str>,
    /// Only from this key on.
    pub(crate) start: Option<&'a str>,
}

impl Range<'_> {
    fn visit(
        self,
        objects: &Objects,
        visit: &mut dyn FnMut(&Arc<Stored>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let prefix = self.namespace.map(|namespace| format!("{namespace}/"));
        let prefix = prefix.as_deref().unwrap_or("");
        let start = self.start.unwrap_or(prefix).max(prefix);
        for (key, object) in objects.range::<str, _>((Bound::Included(start), Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            visit(object)?;
        }
        ControlFlow::Continue(())
    }
}

/// Everything that was kept at one moment, as a backup of etcd has it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    revision: u64,
    collections: BTreeMap<Arc<str>, Objects>,
}

impl Snapshot {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests;
