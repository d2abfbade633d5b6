//! The changes that one request, or one step of a controller, makes.

use std::{io, sync::Arc, time::SystemTime};

use serde_json::{Value, json};

use super::{Author, State, View, Write, request::Request};
use crate::{
    builtin,
    clock::{Clock, rfc3339},
    controllers,
    fault::Verb,
    json,
    registry::Served,
    status::Status,
    store::object::{Object, Stored, key},
    strategy::{metadata, metadata_mut},
};

/// The state under the lock, and on whose behalf it is changed.
pub(crate) struct Transaction<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) clock: &'s Clock,
    author: Author<'s>,
    verb: Verb,
    /// Whether nothing is to be changed after all.
    pub(super) dry_run: bool,
    /// The options of a DELETE.
    pub(super) options: Option<Value>,
    /// What the client is warned of.
    pub(super) warnings: Vec<String>,
}

impl<'s> Transaction<'s> {
    pub(super) fn of(state: &'s mut State, clock: &'s Clock, request: &'s Request<'_>) -> Self {
        Self {
            state,
            clock,
            author: Author::Client(&request.parts.headers),
            verb: request.verb,
            dry_run: false,
            options: None,
            warnings: Vec::new(),
        }
    }

    /// What the server does when it starts.
    pub(super) fn by_server(state: &'s mut State, clock: &'s Clock) -> Self {
        Self::by_controller(state, clock, Author::Server, Verb::Create)
    }

    /// A step of a controller.
    pub(crate) fn by_controller(
        state: &'s mut State,
        clock: &'s Clock,
        author: Author<'s>,
        verb: Verb,
    ) -> Self {
        Self {
            state,
            clock,
            author,
            verb,
            dry_run: false,
            options: None,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn timestamp(&self) -> Value {
        rfc3339(self.now()).into()
    }

    /// An object by its place.
    pub(crate) fn get(&self, served: &Served, key: &str) -> Option<Arc<Stored>> {
        let found = self.state.store.get(&served.resource.storage, key);
        found.map(Arc::clone)
    }

    /// Refuses an object that etcd would not take.
    pub(super) fn check_size(&self, object: &Object) -> Result<(), Status> {
        // `--max-request-bytes` of etcd, and what else is in its request and in the object there.
        const LARGEST: usize = 3 * 512 * 1024 - 1024;
        if self.dry_run || size(object) <= LARGEST {
            return Ok(());
        }
        Err(Status::internal("etcdserver: request is too large"))
    }

    /// Writes an object and tells everybody.
    pub(crate) fn commit(
        &mut self,
        served: &Arc<Served>,
        key: Arc<str>,
        before: Option<&Arc<Stored>>,
        mut object: Object,
    ) -> Arc<Stored> {
        if self.dry_run {
            return self.unsaved(served, key, &object);
        }
        let revision = self.state.store.revision() + 1;
        metadata_mut(&mut object).insert("resourceVersion".to_owned(), revision.to_string().into());
        let stored = self.unsaved(served, key, &object);
        self.state
            .store
            .put(&served.resource.storage, Arc::clone(&stored));
        self.told(served, before, Some(&stored));
        stored
    }

    /// An object as it would be stored.
    pub(super) fn unsaved(
        &self,
        served: &Arc<Served>,
        key: Arc<str>,
        object: &Object,
    ) -> Arc<Stored> {
        let storage = &served.resource.storage;
        let storage = match self.state.registry.storage(storage) {
            Some(storage) if !served.strategy.stores() => storage,
            _ => return Arc::new(served.write(key, object)),
        };
        let mut object = object.clone();
        storage.strategy.convert_into_storage(&mut object);
        Arc::new(storage.write(key, &object))
    }

    /// Takes an object away and tells everybody. The answer is its last state, as of its removal.
    pub(crate) fn remove(&mut self, served: &Arc<Served>, stored: &Arc<Stored>) -> Arc<Stored> {
        if self.dry_run {
            return Arc::clone(stored);
        }
        self.state
            .store
            .remove(&served.resource.storage, &stored.key);
        self.told(served, Some(stored), None);
        Arc::new(stored.at_revision(self.state.store.revision()))
    }

    fn told(
        &mut self,
        served: &Arc<Served>,
        before: Option<&Arc<Stored>>,
        after: Option<&Arc<Stored>>,
    ) {
        controllers::observe(
            self.state,
            self.clock,
            &served.resource.storage,
            before,
            after,
        );
        self.tell_hooks(served, before, after, None);
    }

    /// Does something with another verb.
    pub(super) fn with_verb<T>(&mut self, verb: Verb, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.verb, verb);
        let done = act(self);
        self.verb = before;
        done
    }

    /// Tells of a DELETE that has changed nothing.
    pub(super) fn tell_unchanged(
        &mut self,
        served: &Arc<Served>,
        object: Option<&Arc<Stored>>,
        refused: Option<&Status>,
    ) {
        if !self.dry_run {
            self.tell_hooks(served, object, object, refused);
        }
    }

    fn tell_hooks(
        &self,
        served: &Arc<Served>,
        before: Option<&Arc<Stored>>,
        after: Option<&Arc<Stored>>,
        refused: Option<&Status>,
    ) {
        let Some(object) = after.or(before) else {
            return;
        };
        for hook in &self.state.hooks {
            hook(&Write {
                author: self.author,
                verb: self.verb,
                served,
                key: &object.key,
                before,
                after,
                refused,
                options: self.options.as_ref(),
                view: View::new(self.state),
            });
        }
    }

    /// Draws a UID: a random UUID of version 4.
    pub(super) fn draw_uid(&mut self) -> String {
        let (high, low) = (self.state.random.next(), self.state.random.next());
        let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
        let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff,
        )
    }

    /// Draws the end of a generated name.
    pub(super) fn draw_suffix(&mut self) -> String {
        // Without vowels and what looks like them, so that no word comes out.
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut draw = || {
            let index = self.state.random.below(ALPHABET.len() as u64);
            char::from(ALPHABET[usize::try_from(index).unwrap_or(0)])
        };
        (0..5).map(|_| draw()).collect()
    }

    /// Creates one of the Namespaces that are there from the beginning.
    pub(super) fn create_system_namespace(&mut self, name: &str) {
        let Some(served) = self.state.registry.storage(builtin::NAMESPACES).cloned() else {
            return;
        };
        let mut object = Object::new();
        object.insert("metadata".to_owned(), json!({ "name": name }));
        served.strategy.prepare_create(&mut object);
        let uid = self.draw_uid();
        let created = self.timestamp();
        let metadata = metadata_mut(&mut object);
        metadata.insert("uid".to_owned(), uid.into());
        metadata.insert("creationTimestamp".to_owned(), created);
        self.commit(&served, key(None, name).into(), None, object);
    }
}

/// The generation of an object; 0 if it has none.
pub(super) fn generation(object: &Object) -> i64 {
    let generation = metadata(object).get("generation");
    generation.and_then(Value::as_i64).unwrap_or(0)
}

/// How many bytes an object takes.
fn size(object: &Object) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    json::write(&mut count, object);
    count.0
}
