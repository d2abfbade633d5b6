//! Judges every write of the controller against the truth at that moment.
//!
//! It sits inside of the API, under its lock, and knows what no controller can know. What it
//! demands was written from what is promised, not from how the controller works: the two share no
//! code but the labels on objects.

mod converged;
mod justified;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

pub use self::converged::Unfinished;
use self::justified::justified;
use crate::{
    truth::{Life, Moment, Truth, texts},
    world::{Id, Kind, Rule, World},
};

/// The least time between the two rounds that release a hold.
const SETTLE: Duration = Duration::from_millis(999);

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it happened.
    pub at: Duration,
    /// What happened, and why it must not.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.3} s: {}", self.at.as_secs_f64(), self.what)
    }
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// A start of the controller.
    Replica(String),
    /// People, other controllers, the server's own controllers.
    Other,
}

/// One write, as the API carries it out.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Who writes.
    pub author: &'a Author,
    /// Whether it is a DELETE.
    pub delete: bool,
    /// The API group.
    pub group: &'a str,
    /// The plural name of the kind.
    pub plural: &'a str,
    /// The object before, if there was one.
    pub before: Option<&'a Value>,
    /// The object after, if it is still there.
    pub after: Option<&'a Value>,
}

/// The judge; clones are the same one.
#[derive(Clone, Debug)]
pub struct Oracle {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    world: World,
    truth: Truth,
    seq: u64,
    /// The moments at which lists of one query were sent, by replica and query.
    lists: BTreeMap<(String, String), Vec<Moment>>,
    violations: Vec<Violation>,
    /// How many deletes and releases were judged.
    judged: u64,
}

impl Oracle {
    /// The judge of a world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                world,
                truth: Truth::default(),
                seq: 0,
                lists: BTreeMap::new(),
                violations: Vec::new(),
                judged: 0,
            })),
        }
    }

    /// Takes in one write, and judges it.
    pub fn write(&self, at: Duration, change: &Change<'_>) {
        let mut state = self.lock();
        state.seq += 1;
        let now = Moment { seq: state.seq, at };
        if change.plural == "customresourcedefinitions" {
            let name = change.after.or(change.before);
            let name = name.and_then(|object| object["metadata"]["name"].as_str());
            let (plural, group) = name
                .and_then(|name| name.split_once('.'))
                .unwrap_or_default();
            if let Some(kind) = Kind::of(group, plural) {
                let truth = &mut state.truth;
                truth.write_definition(now, kind, change.before, change.after);
            }
            return state.expect_other(now, change);
        }
        let Some(kind) = Kind::of(change.group, change.plural) else {
            return state.judge_other(now, change);
        };
        // What the write takes away is judged as it was before.
        if let Author::Replica(replica) = change.author {
            if change.delete {
                state.judge_delete(now, kind, change);
            } else {
                state.judge_hold(now, kind, replica, change);
            }
        }
        state.truth.write(now, kind, change.before, change.after);
    }

    /// A list of this query is sent to the server.
    pub fn listed(&self, at: Duration, replica: &str, query: String) {
        let mut state = self.lock();
        let now = Moment { seq: state.seq, at };
        let key = (replica.to_owned(), query);
        state.lists.entry(key).or_default().push(now);
    }

    /// Something else that must never happen.
    pub fn violation(&self, at: Duration, what: impl Into<String>) {
        let what = what.into();
        self.lock().violations.push(Violation { at, what });
    }

    /// What has happened so far that must never happen.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    /// Whether something has happened that must never happen.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        !self.lock().violations.is_empty()
    }

    /// How many deletes and releases were judged.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.lock().judged
    }

    /// Looks at the truth.
    pub fn with_truth<T>(&self, look: impl FnOnce(&Truth) -> T) -> T {
        look(&self.lock().truth)
    }

    /// What is still to be done, now that nobody disturbs.
    #[must_use]
    pub fn unfinished(&self, strict: bool) -> Vec<Unfinished> {
        let state = self.lock();
        converged::unfinished(&state.world, &state.truth, strict)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn violated(&mut self, now: Moment, what: String) {
        self.violations.push(Violation { at: now.at, what });
    }

    /// Only Leases and Events are the controller's own, besides dependents and holds.
    fn judge_other(&mut self, now: Moment, change: &Change<'_>) {
        if !matches!(change.plural, "leases" | "events") {
            self.expect_other(now, change);
        }
    }

    fn expect_other(&mut self, now: Moment, change: &Change<'_>) {
        if let Author::Replica(replica) = change.author {
            let name = change
                .after
                .or(change.before)
                .map(place)
                .unwrap_or_default();
            self.violated(
                now,
                format!(
                    "{replica} wrote {} {name}, which is no business of it",
                    change.plural
                ),
            );
        }
    }

    fn judge_delete(&mut self, now: Moment, kind: Kind, change: &Change<'_>) {
        let Some(before) = change.before else { return };
        self.judged += 1;
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        let Some(object) = self.truth.objects.get(uid) else {
            return;
        };
        let mut reasons = Vec::new();
        if object.terminating.is_some() {
            reasons.push("it is being deleted already".to_owned());
        } else {
            for rule in &self.world.rules {
                match justified(&self.truth, rule, kind, object, now) {
                    Ok(()) => return,
                    Err(why) => reasons.push(format!("rule {}: {why}", rule.name)),
                }
            }
        }
        let what = format!("{} was deleted: {}", object.place(), reasons.join("; "));
        self.violated(now, what);
    }

    /// A write to an object that is no DELETE: it may put or take off a hold, and nothing else.
    fn judge_hold(&mut self, now: Moment, kind: Kind, replica: &str, change: &Change<'_>) {
        let (Some(before), Some(after)) = (change.before, change.after.or(change.before)) else {
            let what = format!("{replica} created an object of {}", kind.name());
            return self.violated(now, what);
        };
        let held = texts(&before["metadata"]["finalizers"]);
        let kept = match change.after {
            Some(after) => texts(&after["metadata"]["finalizers"]),
            // Its last finalizer was taken off, and it is gone.
            None => Vec::new(),
        };
        let ours = |name: &String| {
            let rules = self.world.rules.iter().filter(|rule| rule.upstream == kind);
            rules.into_iter().find(|rule| rule.hold_name() == *name)
        };
        let added: Vec<_> = kept.iter().filter(|name| !held.contains(name)).collect();
        let removed: Vec<_> = held.iter().filter(|name| !kept.contains(name)).collect();
        let mut wrong = Vec::new();
        if let Some(reason) = other_changes(before, after) {
            wrong.push(reason);
        }
        // One that was put on twice is taken off as often.
        if change.after.is_none() && held.iter().any(|name| *name != held[0]) {
            wrong.push(format!("it lost the finalizers {held:?} at once"));
        }
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        let Some(object) = self.truth.objects.get(uid) else {
            return;
        };
        for name in &added {
            match ours(name) {
                None => wrong.push(format!("the finalizer {name} is no hold of a rule")),
                Some(_) if object.terminating.is_some() => {
                    wrong.push("a hold was put on what is being deleted".to_owned());
                }
                Some(rule) if !rule.keeps() || !is_label_value(&id(rule, object)) => {
                    wrong.push(format!("rule {} does not hold it", rule.name));
                }
                Some(rule) if !rule.covers(object.namespace.as_deref()) => {
                    wrong.push(format!("it is not in the scope of rule {}", rule.name));
                }
                Some(_) => {}
            }
        }
        for name in &removed {
            match ours(name) {
                None => wrong.push(format!("the finalizer {name} of others was taken off")),
                Some(rule) => wrong.extend(self.unreleasable(rule, object, replica)),
            }
        }
        self.judged += 1;
        let place = object.place();
        for reason in wrong {
            self.violated(now, format!("{replica} wrote {place}: {reason}"));
        }
    }

    /// Why the hold of a rule must not be taken off now.
    fn unreleasable(&self, rule: &Rule, upstream: &Life, replica: &str) -> Option<String> {
        let id = id(rule, upstream);
        if !rule.keeps() || !is_label_value(&id) {
            return None;
        }
        let name = rule.name;
        let Some(deleted) = upstream.terminating else {
            return Some(format!(
                "the hold of rule {name} was taken off while it is alive"
            ));
        };
        // A list of this ID may then have been made for another one.
        let shared = self.truth.of(rule.upstream).any(|other| {
            let later = other.gone.is_none_or(|gone| gone.seq > deleted.seq);
            other.uid != upstream.uid && later && crate::oracle::id(rule, other) == id
        });
        for dependent in &rule.dependents {
            let matching = |life: &&Life| {
                let namespace = life.namespace.as_deref();
                life.label(rule.label) == Some(&id)
                    && life.uid != upstream.uid
                    && rule.selects(dependent.kind, namespace, upstream.namespace.as_deref())
            };
            for left in self.truth.existing(dependent.kind).filter(matching) {
                let since = left.label_since(rule.label)?;
                if since.seq <= deleted.seq {
                    return Some(format!(
                        "the hold of rule {name} was taken off, but {} was there before the \
                         deletion and still is",
                        left.place()
                    ));
                }
                let last = self.last_list(rule, dependent.kind, left, replica, &id);
                if !shared && last.is_none_or(|last| since.seq <= last.seq) {
                    return Some(format!(
                        "the hold of rule {name} was taken off, but {} was there before the last \
                         list and still is",
                        left.place()
                    ));
                }
            }
            for query in queries(rule, dependent.kind, upstream.namespace.as_deref(), &id) {
                let key = (replica.to_owned(), query.clone());
                let lists = self.lists.get(&key).map_or(&[][..], Vec::as_slice);
                let settled = |first: &&Moment| {
                    let last = lists.last().map_or(Duration::ZERO, |last| last.at);
                    first.at >= deleted.at && last >= first.at + SETTLE
                };
                if !lists.iter().any(|first| settled(&first)) {
                    return Some(format!(
                        "the hold of rule {name} was taken off without two lists of {query} that \
                         are {SETTLE:?} apart and after the deletion at {:?}",
                        deleted.at
                    ));
                }
            }
        }
        None
    }

    /// When the last list was sent that had to show this object.
    fn last_list(
        &self,
        rule: &Rule,
        kind: Kind,
        object: &Life,
        replica: &str,
        id: &str,
    ) -> Option<Moment> {
        let namespace = object.namespace.as_deref();
        let queries = queries(rule, kind, namespace, id);
        let of = |query: &String| {
            let key = (replica.to_owned(), query.clone());
            self.lists.get(&key)?.last().copied()
        };
        let path = kind.path(namespace);
        let exact = queries
            .iter()
            .find(|query| query.split('?').next() == Some(&path) || queries.len() == 1);
        exact.and_then(of)
    }
}

/// The lists that a rule makes of a kind, as [`query`] spells them.
fn queries(rule: &Rule, kind: Kind, upstream: Option<&str>, id: &str) -> Vec<String> {
    let selector = format!("{}={id}", rule.label);
    let of_kind = rule.dependents.iter().filter(|one| one.kind == kind);
    let scopes = of_kind.flat_map(|one| match &one.scope {
        crate::world::Scope::Everywhere => vec![None],
        crate::world::Scope::In(names) => names.iter().copied().map(Some).collect(),
        crate::world::Scope::SameAsUpstream => vec![upstream],
    });
    scopes
        .map(|namespace| query(&kind.path(namespace), &selector))
        .collect()
}

/// How a list is known: its path and its label selector.
#[must_use]
pub fn query(path: &str, selector: &str) -> String {
    format!("{path}?{selector}")
}

/// The ID of an upstream under a rule.
#[must_use]
pub fn id(rule: &Rule, upstream: &Life) -> String {
    rule.id
        .of(upstream.namespace.as_deref(), &upstream.name, &upstream.uid)
}

/// Whether a label can carry it.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether another object of the same ID bars the cascade of an upstream.
#[must_use]
pub fn is_namesake(rule: &Rule, upstream: &Life, other: &Life) -> bool {
    if upstream.uid == other.uid || upstream.name != other.name || rule.id == Id::Uid {
        return false;
    }
    let same_place = upstream.namespace == other.namespace;
    let named_apart = rule.id == Id::NamespacedName || rule.is_separated();
    let unseen = rule.unique && !rule.covers(other.namespace.as_deref());
    same_place || !(named_apart || unseen)
}

/// What a write changed besides finalizers and what the server counts by itself.
fn other_changes(before: &Value, after: &Value) -> Option<String> {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        if let Some(meta) = object["metadata"].as_object_mut() {
            for field in [
                "finalizers",
                "resourceVersion",
                "generation",
                "managedFields",
            ] {
                meta.remove(field);
            }
        }
        object
    };
    (stripped(before) != stripped(after)).then(|| "more than finalizers changed".to_owned())
}

fn place(object: &Value) -> String {
    let meta = &object["metadata"];
    match meta["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", meta["name"].as_str().unwrap_or_default()),
        None => meta["name"].as_str().unwrap_or_default().to_owned(),
    }
}
