//! What tests are told about writes, and what they may look at meanwhile.

use std::{fmt, sync::Arc};

use http::HeaderMap;
use serde_json::Value;

use super::{State, object};
use crate::{fault::Verb, registry::Served, status::Status, store::object::Stored};

/// What is called for every write.
pub(crate) type Hook = dyn Fn(&Write<'_>) + Send + Sync;

/// Who writes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Author<'a> {
    /// A client, by the headers of its request.
    Client(&'a HeaderMap),
    /// The server itself, when it starts.
    Server,
    /// The garbage collector.
    Collector,
    /// The controller that empties Namespaces.
    Namespaces,
    /// The controllers of definitions.
    Definitions,
}

/// A change that has just been committed, or a DELETE that has been refused or has changed
/// nothing.
pub struct Write<'a> {
    pub(super) author: Author<'a>,
    pub(super) verb: Verb,
    pub(super) served: &'a Served,
    pub(super) key: &'a str,
    pub(super) before: Option<&'a Arc<Stored>>,
    pub(super) after: Option<&'a Arc<Stored>>,
    pub(super) refused: Option<&'a Status>,
    pub(super) options: Option<&'a Value>,
    pub(super) view: View<'a>,
}

impl Write<'_> {
    /// Who writes.
    #[must_use]
    pub fn author(&self) -> Author<'_> {
        self.author
    }

    /// What was asked for. A removed object need not be a [`Verb::Delete`]: an update that takes
    /// the last finalizer off removes it, too.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The API group of the object.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.served.resource.group
    }

    /// The plural name of the object's resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.served.resource.plural
    }

    /// The object's namespace, if it is in one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.key.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(self.key, |(_, name)| name)
    }

    /// The object as it was; nothing if it is new.
    #[must_use]
    pub fn before(&self) -> Option<Value> {
        self.before.map(|stored| Value::Object(stored.object()))
    }

    /// The object as it is now; nothing if it is gone.
    #[must_use]
    pub fn after(&self) -> Option<Value> {
        self.after.map(|stored| Value::Object(stored.object()))
    }

    /// Why a DELETE was refused.
    #[must_use]
    pub fn refused(&self) -> Option<&Status> {
        self.refused
    }

    /// The options of a DELETE, as the server understood them.
    #[must_use]
    pub fn options(&self) -> Option<&Value> {
        self.options
    }

    /// Everything that there is, this change included.
    #[must_use]
    pub fn view(&self) -> &View<'_> {
        &self.view
    }
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("author", &self.author)
            .field("verb", &self.verb)
            .field("resource", &self.resource())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The truth at one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    state: &'a State,
}

impl<'a> View<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// The resourceVersion of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state.store.revision()
    }

    /// The objects of a resource, in the order of a list.
    #[must_use]
    pub fn objects(&self, group: &str, plural: &str) -> Vec<Value> {
        let Some(served) = self.state.registry.any_version(group, plural) else {
            return Vec::new();
        };
        let collection = self.state.store.collection(&served.resource.storage);
        collection
            .into_iter()
            .flat_map(super::super::store::Collection::objects)
            .map(|stored| Value::Object(served.read(stored)))
            .collect()
    }

    /// An object.
    #[must_use]
    pub fn get(
        &self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Value> {
        let served = self.state.registry.any_version(group, plural)?;
        let key = object::key(namespace, name);
        let stored = self.state.store.get(&served.resource.storage, &key)?;
        Some(Value::Object(served.read(stored)))
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
