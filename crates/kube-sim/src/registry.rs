//! Which resources are served at the moment.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    field::{FieldError, Path},
    resource::{Origin, Resource},
    status::{Named, Status},
    store::object::{self, Object, Stored},
    strategy::{Strategy, metadata},
};

/// A served resource: what discovery says of it, and how its objects are treated.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) resource: Resource,
    pub(crate) strategy: Strategy,
    /// How every object of it begins; see [`object::head`].
    pub(crate) head: String,
    /// The state of its definition. What was written under another one is read again as the
    /// definition is now.
    pub(crate) epoch: u32,
    /// Whether clients see it: a version can be for storage alone.
    pub(crate) visible: bool,
    /// Whether its definition is being deleted: nothing can be created any more.
    pub(crate) terminating: bool,
}

impl Served {
    pub(crate) fn new(resource: Resource, strategy: Strategy, epoch: u32) -> Self {
        let head = object::head(&resource.api_version(), &resource.kind);
        Self {
            resource,
            strategy,
            head,
            epoch,
            visible: true,
            terminating: false,
        }
    }

    /// An object of this resource as errors name it.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> Named<'a> {
        Named {
            group: &self.resource.group,
            resource: &self.resource.plural,
            name,
        }
    }

    /// The same by kind, as 422 and failed preconditions have it.
    pub(crate) fn kind_named<'a>(&'a self, name: &'a str) -> Named<'a> {
        // A view is of the kind that is stored.
        let group = if self.strategy.is_view() {
            ""
        } else {
            &self.resource.group
        };
        Named {
            group,
            resource: &self.resource.kind,
            name,
        }
    }

    /// The key under which etcd would keep an object.
    pub(crate) fn storage_key(&self, key: &str) -> String {
        let Resource { group, plural, .. } = &self.resource;
        match group.as_str() {
            "" | "coordination.k8s.io" | "events.k8s.io" => format!("/registry/{plural}/{key}"),
            group => format!("/registry/{group}/{plural}/{key}"),
        }
    }

    /// What is wrong with the type that an object says it is of.
    pub(crate) fn type_errors(&self, object: &Value) -> Vec<FieldError> {
        if !self.is_custom() {
            // That has been looked at when it was read.
            return Vec::new();
        }
        let version = self.resource.api_version();
        let expected = [
            ("kind", self.resource.kind.as_str()),
            ("apiVersion", version.as_str()),
        ];
        let wrong = |(field, expected): (&'static str, &str)| {
            let found = object[field].as_str().unwrap_or("");
            let why = format!("must be {expected}");
            let error = || FieldError::invalid(Path::Root(field), found, why);
            (found != expected).then(error)
        };
        expected.into_iter().filter_map(wrong).collect()
    }

    fn set_type(&self, object: &mut Object) {
        object.insert("apiVersion".to_owned(), self.resource.api_version().into());
        object.insert("kind".to_owned(), Value::from(self.resource.kind.as_str()));
    }

    /// 422, about an object of the type that it says it is of.
    pub(crate) fn invalid(&self, object: &Object, errors: &[FieldError]) -> Status {
        let name = object::text(metadata(object), "name");
        if !self.is_custom() {
            // Whatever the view, validation is about what is stored.
            let group = if self.strategy.is_view() {
                ""
            } else {
                &self.resource.group
            };
            let named = Named {
                group,
                ..self.kind_named(name)
            };
            return Status::invalid(named, errors);
        }
        let version = object::text(object, "apiVersion");
        let named = Named {
            group: version.split_once('/').map_or("", |(group, _)| group),
            resource: object::text(object, "kind"),
            name,
        };
        Status::invalid(named, errors)
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.resource.origin != Origin::BuiltIn
    }

    /// An object as this version of its resource shows it.
    pub(crate) fn read(&self, stored: &Stored) -> Object {
        let mut object = stored.object();
        if !self.wrote(stored) {
            let version = object::text(&object, "apiVersion").to_owned();
            let (_, version) = version.split_once('/').unwrap_or(("", &version));
            self.set_type(&mut object);
            self.strategy.convert_from_storage(version, &mut object);
        }
        object
    }

    /// An object as it is treated: a view treats what is stored, and all else its own version.
    pub(crate) fn treated(&self, stored: &Stored) -> Object {
        if self.strategy.is_view() {
            stored.object()
        } else {
            self.read(stored)
        }
    }

    /// Whether an object can be shown as it is kept.
    pub(crate) fn wrote(&self, stored: &Stored) -> bool {
        stored.epoch == self.epoch && stored.bytes().starts_with(self.head.as_bytes())
    }

    /// The stored form of an object of this version.
    pub(crate) fn write(&self, key: Arc<str>, object: &Object) -> Stored {
        Stored::new(key, &self.head, self.epoch, object)
    }
}

/// The served resources, in the order of group, version and plural.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    served: Vec<Arc<Served>>,
}

impl Registry {
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        let wanted = (group, version, plural);
        let place = self
            .served
            .binary_search_by(|served| order(served).cmp(&wanted));
        let found = &self.served[place.ok()?];
        found.visible.then_some(found)
    }

    /// The version in which the objects of a collection are stored.
    pub(crate) fn storage(&self, collection: &str) -> Option<&Arc<Served>> {
        self.served
            .iter()
            .find(|served| *served.resource.storage == *collection && served.strategy.stores())
    }

    /// Any version of a kind.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Served>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.served.iter().find(|served| {
            let resource = &served.resource;
            served.visible
                && resource.kind == kind
                && resource.group == group
                && resource.version == version
        })
    }

    /// Any version of a resource, the storage version if it is served.
    pub(crate) fn any_version(&self, group: &str, plural: &str) -> Option<&Arc<Served>> {
        let of_it = |served: &&Arc<Served>| {
            served.resource.group == group && served.resource.plural == plural
        };
        self.served
            .iter()
            .filter(of_it)
            .find(|served| served.strategy.stores())
            .or_else(|| self.served.iter().find(of_it))
    }

    pub(crate) fn insert(&mut self, served: Served) {
        let wanted = order(&served);
        match self
            .served
            .binary_search_by(|known| order(known).cmp(&wanted))
        {
            Ok(place) => self.served[place] = Arc::new(served),
            Err(place) => self.served.insert(place, Arc::new(served)),
        }
    }

    /// Takes away what a definition brought.
    pub(crate) fn remove_definition(&mut self, definition: &str) {
        self.served.retain(|served| match &served.resource.origin {
            Origin::BuiltIn => true,
            Origin::Definition { name, .. } => **name != *definition,
        });
    }

    /// The resources that clients see.
    pub(crate) fn visible(&self) -> Vec<&Resource> {
        let visible = self.served.iter().filter(|served| served.visible);
        visible.map(|served| &served.resource).collect()
    }

    pub(crate) fn all(&self) -> &[Arc<Served>] {
        &self.served
    }
}

fn order(served: &Served) -> (&str, &str, &str) {
    let resource = &served.resource;
    (&resource.group, &resource.version, &resource.plural)
}
