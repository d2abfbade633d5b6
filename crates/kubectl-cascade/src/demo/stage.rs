//! What is on the stage: the platform's objects, what belongs to what, and what becomes of each.
//!
//! Owns what the changes of the API mean to those who watch. Pure: it is told, asks nobody, and
//! neither draws (that is `view`) nor acts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use kube_cascade::{Reference, reference::Form};
use serde_json::Value;

/// The label by which an object says whose it is.
pub(super) const PROJECT: &str = "example.com/project";

/// The groups of the platform end with this; leases, Events and definitions are no part of the play.
const GROUPS: &str = ".example.com/";

/// What begins the finalizers by which kube-cascade keeps an upstream.
const HOLD: &str = "kube-cascade.dev/";

/// The finalizer by which the collector keeps an owner until what it owns is gone.
const FOREGROUND: &str = "foregroundDeletion";

/// Something that was written.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// When, since the platform is up.
    pub(super) at: Duration,
    pub(super) by: Actor,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Who acts. Complete: whoever else there is has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actor {
    /// Who watches the demo, and in whose name it deletes.
    You,
    /// kube-cascade's controller.
    Controller,
    /// The cluster's garbage collector, or another of its own controllers.
    Collector,
    /// One of the services of the platform.
    Service(String),
    /// Anybody else, by the name of their program.
    Other(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::You => "you",
            Self::Controller => "kube-cascade",
            Self::Collector => "collector",
            Self::Service(name) | Self::Other(name) => name,
        })
    }
}

/// How far the end of an object has come. Complete: these are the API's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Live,
    Terminating,
    Gone,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::Terminating => "terminating",
            Self::Gone => "gone",
        })
    }
}

/// An object, or what is remembered of it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) state: State,
    /// When it came into this state.
    pub(super) since: Duration,
    /// Who had it deleted.
    deleted_by: Option<Actor>,
    owner: Option<String>,
    project: Option<String>,
    finalizers: Vec<String>,
}

impl Object {
    fn of(value: &Value, since: Duration) -> Self {
        let metadata = &value["metadata"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let is_terminating = !metadata["deletionTimestamp"].is_null();
        Self {
            kind: text(&value["kind"]).unwrap_or_default(),
            namespace: text(&metadata["namespace"]).unwrap_or_default(),
            name: text(&metadata["name"]).unwrap_or_default(),
            state: if is_terminating {
                State::Terminating
            } else {
                State::Live
            },
            since,
            deleted_by: None,
            owner: text(&metadata["ownerReferences"][0]["uid"]),
            project: text(&metadata["labels"][PROJECT]),
            finalizers: finalizers(value),
        }
    }

    fn is_project(&self) -> bool {
        self.kind == "Project"
    }

    fn is_held(&self) -> bool {
        self.finalizers.iter().any(|name| name.starts_with(HOLD))
    }

    /// Those that say, by a finalizer, that they use it.
    fn users(&self) -> impl Iterator<Item = Reference> {
        self.finalizers.iter().filter_map(|name| reference(name))
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) at: Duration,
    pub(super) by: Actor,
    pub(super) what: String,
    /// The state that an object came into by it.
    pub(super) state: Option<State>,
}

/// One line of the tree.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) object: &'a Object,
    /// The branches in front of it.
    pub(super) branches: String,
    pub(super) note: String,
}

/// How many objects are gone, by who deleted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) by_controller: usize,
    pub(super) by_collector: usize,
}

/// All there is to see.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// By UID: one who comes again under an old name is somebody else.
    objects: BTreeMap<String, Object>,
}

impl Stage {
    /// Takes a change in, and says what is worth telling of it.
    pub(super) fn apply(&mut self, change: &Change) -> Vec<Happening> {
        let Some(value) = change.after.as_ref().or(change.before.as_ref()) else {
            return Vec::new();
        };
        let of_the_platform = value["apiVersion"]
            .as_str()
            .is_some_and(|version| version.contains(GROUPS));
        let Some(uid) = value["metadata"]["uid"]
            .as_str()
            .filter(|_| of_the_platform)
        else {
            return Vec::new();
        };
        let known = self.objects.get(uid);
        let before = known.map(|object| object.state);
        let mut object = Object::of(value, change.at);
        if change.after.is_none() {
            object.state = State::Gone;
        }
        object.deleted_by = known.and_then(|object| object.deleted_by.clone());
        if before == Some(State::Live) && object.state != State::Live {
            object.deleted_by = Some(change.by.clone());
        }
        if let Some(known) = known.filter(|known| known.state == object.state) {
            object.since = known.since;
        }
        let what = self.tell(change, before, &object);
        if known.is_none() {
            self.objects.retain(|_, old| !old.gave_way_to(&object));
        }
        self.objects.insert(uid.to_owned(), object);
        what.into_iter()
            .map(|(what, state)| Happening {
                at: change.at,
                by: change.by.clone(),
                what,
                state,
            })
            .collect()
    }

    /// What is worth telling: of what was in this state before, if it is not new.
    fn tell(
        &self,
        change: &Change,
        before: Option<State>,
        object: &Object,
    ) -> Vec<(String, Option<State>)> {
        let names = |value: &Option<Value>| -> BTreeSet<String> {
            value.iter().flat_map(finalizers).collect()
        };
        let (old, new) = (names(&change.before), names(&change.after));
        let state = Some(object.state);
        let mut told = match (before, object.state) {
            (None, _) => return vec![(format!("creates {object}"), state)],
            (Some(State::Live), State::Terminating | State::Gone) => {
                let what = match change.by {
                    Actor::You => {
                        let kind = object.kind.to_lowercase();
                        format!("kubectl delete {kind} {}", object.name)
                    }
                    _ => format!("DELETE {object}"),
                };
                vec![(format!("{what}: {}", object.state), state)]
            }
            (Some(State::Terminating), State::Gone) => {
                let last = old.iter().find_map(|name| self.was_kept(name));
                let why = last.map(|why| format!(": {why}")).unwrap_or_default();
                vec![(format!("{object} is gone{why}"), state)]
            }
            _ => Vec::new(),
        };
        if object.state == State::Gone {
            return told;
        }
        for name in new.difference(&old) {
            if name.starts_with(HOLD) {
                told.push((format!("holds {object}, which is to go last"), None));
            } else if let Some(user) = reference(name) {
                let user = self.name_of(&user);
                told.push((format!("marks {object}: in use by {user}"), None));
            }
        }
        for name in old.difference(&new) {
            if name.starts_with(HOLD) {
                told.push((format!("releases {object}"), None));
            } else if let Some(user) = reference(name) {
                let user = self.name_of(&user);
                told.push((format!("unmarks {object}: {user} uses it no more"), None));
            }
        }
        told
    }

    /// Why the finalizer, the last of an object, does not keep it any longer.
    fn was_kept(&self, finalizer: &str) -> Option<String> {
        if finalizer.starts_with(HOLD) {
            return Some("released".to_owned());
        }
        if finalizer == FOREGROUND {
            return None;
        }
        let user = reference(finalizer).map(|user| self.name_of(&user));
        Some(user.map_or("shut down".to_owned(), |user| {
            format!("{user} uses it no more")
        }))
    }

    /// Takes out what is gone since before `then`; says whether anything was.
    pub(super) fn forget(&mut self, then: Duration) -> bool {
        let before = self.objects.len();
        self.objects
            .retain(|_, object| object.state != State::Gone || object.since >= then);
        self.objects.len() < before
    }

    /// The platform as a tree: what is labelled beneath its project, what is owned beneath its owner.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let mut beneath: BTreeMap<Option<&str>, Vec<(&str, &Object)>> = BTreeMap::new();
        for (uid, object) in &self.objects {
            let parent = self.parent(object);
            beneath.entry(parent).or_default().push((uid, object));
        }
        for children in beneath.values_mut() {
            children.sort_by_key(|(_, object)| (!object.is_project(), &object.kind, &object.name));
        }
        let mut rows = Vec::new();
        self.grow(&beneath, None, "", &mut rows);
        rows
    }

    fn grow<'a>(
        &'a self,
        beneath: &BTreeMap<Option<&str>, Vec<(&'a str, &'a Object)>>,
        parent: Option<&str>,
        indent: &str,
        rows: &mut Vec<Row<'a>>,
    ) {
        let children = beneath.get(&parent).map_or(&[][..], Vec::as_slice);
        for (place, (uid, object)) in children.iter().enumerate() {
            let is_last = place + 1 == children.len();
            let (branches, deeper) = match (parent, is_last) {
                (None, _) => (String::new(), String::new()),
                (Some(_), last) => {
                    let corner = if last { '└' } else { '├' };
                    let line = if object.owner.is_some() { '─' } else { '┄' };
                    let trunk = if last { ' ' } else { '│' };
                    (
                        format!("{indent}{corner}{line} "),
                        format!("{indent}{trunk}  "),
                    )
                }
            };
            rows.push(Row {
                object,
                branches,
                note: self.note(uid, object),
            });
            self.grow(beneath, Some(uid), &deeper, rows);
        }
    }

    /// The UID of what it belongs to, if that is on the stage.
    fn parent(&self, object: &Object) -> Option<&str> {
        let found = match (&object.owner, &object.project) {
            (Some(owner), _) => self.objects.get_key_value(owner),
            (None, Some(project)) => self
                .objects
                .iter()
                .find(|(_, other)| other.is_project() && other.name == *project),
            (None, None) => None,
        };
        found.map(|(uid, _)| uid.as_str())
    }

    /// What keeps it, or who had it deleted.
    fn note(&self, uid: &str, object: &Object) -> String {
        match object.state {
            State::Live if object.is_project() && object.is_held() => {
                "held by kube-cascade".to_owned()
            }
            State::Live => match (object.users().next(), &object.project) {
                (Some(user), _) => format!("in use by {}", self.name_of(&user)),
                (None, Some(_)) if self.parent(object).is_none() => "orphan".to_owned(),
                (None, None) if !object.is_project() && object.owner.is_none() => {
                    "of no project".to_owned()
                }
                _ => String::new(),
            },
            State::Terminating if object.is_held() => {
                let mut others = self.objects.values();
                let is_left = others.any(|other| {
                    other.state != State::Gone && other.project.as_deref() == Some(&object.name)
                });
                let why = if is_left {
                    "goes last"
                } else {
                    "nothing left, looks twice"
                };
                format!("held: {why}")
            }
            State::Terminating => self.waits_for(uid, object),
            State::Gone => match &object.deleted_by {
                Some(Actor::Collector) => "deleted by the collector".to_owned(),
                Some(by) => format!("deleted by {by}"),
                None => String::new(),
            },
        }
    }

    fn waits_for(&self, uid: &str, object: &Object) -> String {
        let children = self
            .objects
            .values()
            .filter(|child| child.owner.as_deref() == Some(uid) && child.state != State::Gone);
        let left = children.count();
        let foreground = object.finalizers.iter().any(|name| name == FOREGROUND);
        if foreground && left > 0 {
            return format!("waits for what it owns: {left}");
        }
        if let Some(user) = object.users().next() {
            return format!("in use by {}", self.name_of(&user));
        }
        if object.finalizers.iter().any(|name| name != FOREGROUND) {
            return "its service shuts it down".to_owned();
        }
        String::new()
    }

    /// `Cluster web` for a reference, which names the plural.
    fn name_of(&self, reference: &Reference) -> String {
        let plural = reference.plural();
        let singular = plural.as_str().trim_end_matches('s');
        let mut kinds = self.objects.values().map(|object| &object.kind);
        let kind = kinds.find(|kind| kind.eq_ignore_ascii_case(singular));
        let kind = kind.map_or(singular, String::as_str);
        match reference.form() {
            Form::Namespaced { name, .. } => format!("{kind} {name}"),
            _ => kind.to_owned(),
        }
    }

    /// Whether a project of this name is there, be it terminating.
    pub(super) fn has_project(&self, name: &str) -> bool {
        self.projects(name)
            .any(|project| project.state != State::Gone)
    }

    /// Whether the project is there, and kept by kube-cascade.
    pub(super) fn holds_project(&self, name: &str) -> bool {
        self.projects(name)
            .any(|project| project.state != State::Gone && project.is_held())
    }

    /// Whether there are projects, and kube-cascade keeps every one.
    pub(super) fn holds_every_project(&self) -> bool {
        let mut projects = self
            .objects
            .values()
            .filter(|object| object.is_project() && object.state != State::Gone)
            .peekable();
        projects.peek().is_some() && projects.all(Object::is_held)
    }

    fn projects(&self, name: &str) -> impl Iterator<Item = &Object> {
        self.objects
            .values()
            .filter(move |object| object.is_project() && object.name == name)
    }

    /// Who deleted how much.
    pub(super) fn count(&self) -> Count {
        let mut count = Count::default();
        for object in self.objects.values() {
            match (object.state, &object.deleted_by) {
                (State::Gone, Some(Actor::Controller)) => count.by_controller += 1,
                (State::Gone, Some(Actor::Collector)) => count.by_collector += 1,
                _ => {}
            }
        }
        count
    }
}

impl Object {
    /// Whether it is gone and `next` has its place.
    fn gave_way_to(&self, next: &Self) -> bool {
        self.state == State::Gone
            && (&self.kind, &self.namespace, &self.name)
                == (&next.kind, &next.namespace, &next.name)
    }
}

/// Who uses it, if the finalizer says that.
fn reference(finalizer: &str) -> Option<Reference> {
    let reference: Reference = finalizer.parse().ok()?;
    // Others of this shape are no references: our holds, and whatever names no namespace.
    let is_one =
        matches!(reference.form(), Form::Namespaced { .. }) && !finalizer.starts_with(HOLD);
    is_one.then_some(reference)
}

fn finalizers(value: &Value) -> Vec<String> {
    let list = value["metadata"]["finalizers"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests;
