//! What really is and was: every object, from its first write to its last.
//!
//! Fed by the API under its lock, so it is never behind. Pure; what it is compared with is for the
//! [`oracle`](crate::oracle).

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::world::Kind;

/// A moment: the number of the write that made it, and the time on the simulated clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The number of the write.
    pub seq: u64,
    /// The time since the start.
    pub at: Duration,
}

/// One object's life.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The UID of the definition that it was created under.
    pub definition: String,
    /// When it was created.
    pub created: Moment,
    /// Since when it is in its last version.
    pub version: Moment,
    /// Since when it is being deleted.
    pub terminating: Option<Moment>,
    /// Since when it is gone.
    pub gone: Option<Moment>,
    /// The finalizers of its last version.
    pub finalizers: Vec<String>,
    /// Each label's values, and since when.
    labels: BTreeMap<String, Vec<(Moment, Option<String>)>>,
}

impl Life {
    /// Whether it was there after the write of this number.
    #[must_use]
    pub fn exists_at(&self, seq: u64) -> bool {
        self.created.seq <= seq && self.gone.is_none_or(|gone| gone.seq > seq)
    }

    /// Whether it was there and not being deleted after the write of this number.
    #[must_use]
    pub fn live_at(&self, seq: u64) -> bool {
        self.exists_at(seq) && !self.terminating_at(seq)
    }

    /// Whether it was being deleted after the write of this number, or has been.
    #[must_use]
    pub fn terminating_at(&self, seq: u64) -> bool {
        self.terminating.is_some_and(|since| since.seq <= seq)
    }

    /// Whether it is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.gone.is_none()
    }

    /// The value of a label after the write of this number.
    #[must_use]
    pub fn label_at(&self, label: &str, seq: u64) -> Option<&str> {
        let values = self.labels.get(label)?;
        let last = values.iter().rev().find(|(since, _)| since.seq <= seq)?;
        last.1.as_deref()
    }

    /// The value of a label in the last version.
    #[must_use]
    pub fn label(&self, label: &str) -> Option<&str> {
        self.labels.get(label)?.last()?.1.as_deref()
    }

    /// Since when a label has the value of the last version.
    #[must_use]
    pub fn label_since(&self, label: &str) -> Option<Moment> {
        Some(self.labels.get(label)?.last()?.0)
    }

    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind.name(), self.name),
            None => format!("{} {}", self.kind.name(), self.name),
        }
    }

    fn update(&mut self, now: Moment, object: &Value) {
        self.version = now;
        let meta = &object["metadata"];
        if self.terminating.is_none() && !meta["deletionTimestamp"].is_null() {
            self.terminating = Some(now);
        }
        self.finalizers = texts(&meta["finalizers"]);
        let empty = serde_json::Map::new();
        let labels = meta["labels"].as_object().unwrap_or(&empty);
        for (label, values) in &mut self.labels {
            if !labels.contains_key(label) && values.last().is_some_and(|last| last.1.is_some()) {
                values.push((now, None));
            }
        }
        for (label, value) in labels {
            let value = value.as_str().map(str::to_owned);
            let values = self.labels.entry(label.clone()).or_default();
            if values.last().is_none_or(|last| last.1 != value) {
                values.push((now, value));
            }
        }
    }
}

/// One definition's life.
#[derive(Clone, Debug)]
pub struct DefinitionLife {
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created: Moment,
    /// Since when it is being deleted.
    pub terminating: Option<Moment>,
    /// Since when it is gone.
    pub gone: Option<Moment>,
}

/// Everything that is and was.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// The last write.
    pub now: Option<Moment>,
    /// Every object that ever was, by UID.
    pub objects: BTreeMap<String, Life>,
    /// Every definition that ever was, by kind.
    pub definitions: BTreeMap<Kind, Vec<DefinitionLife>>,
}

impl Truth {
    /// Takes in one write: what an object was before, and what it is now.
    pub fn write(
        &mut self,
        now: Moment,
        kind: Kind,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        self.now = Some(now);
        let Some(object) = after.or(before) else {
            return;
        };
        let meta = &object["metadata"];
        let uid = text(&meta["uid"]);
        if after.is_none() {
            if let Some(life) = self.objects.get_mut(&uid) {
                life.gone = Some(now);
            }
            return;
        }
        let definition = self
            .definition(kind)
            .map_or_else(String::new, |one| one.uid.clone());
        let life = self.objects.entry(uid.clone()).or_insert_with(|| Life {
            kind,
            namespace: meta["namespace"].as_str().map(str::to_owned),
            name: text(&meta["name"]),
            uid,
            definition,
            created: now,
            version: now,
            terminating: None,
            gone: None,
            finalizers: Vec::new(),
            labels: BTreeMap::new(),
        });
        life.update(now, object);
    }

    /// Takes in one write of a definition.
    pub fn write_definition(
        &mut self,
        now: Moment,
        kind: Kind,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        self.now = Some(now);
        let Some(object) = after.or(before) else {
            return;
        };
        let uid = text(&object["metadata"]["uid"]);
        let lives = self.definitions.entry(kind).or_default();
        if lives.last().is_none_or(|last| last.uid != uid) {
            lives.push(DefinitionLife {
                uid,
                created: now,
                terminating: None,
                gone: None,
            });
        }
        let Some(life) = lives.last_mut() else { return };
        let deleted = !object["metadata"]["deletionTimestamp"].is_null();
        if deleted && life.terminating.is_none() {
            life.terminating = Some(now);
        }
        if after.is_none() {
            life.gone = Some(now);
        }
    }

    /// The definition of a kind, if it is there.
    #[must_use]
    pub fn definition(&self, kind: Kind) -> Option<&DefinitionLife> {
        let last = self.definitions.get(&kind)?.last()?;
        last.gone.is_none().then_some(last)
    }

    /// The definition of a kind after the write of this number.
    #[must_use]
    pub fn definition_at(&self, kind: Kind, seq: u64) -> Option<&DefinitionLife> {
        let mut lives = self.definitions.get(&kind)?.iter().rev();
        lives.find(|one| one.created.seq <= seq && one.gone.is_none_or(|gone| gone.seq > seq))
    }

    /// Everything of a kind that is or was.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Life> {
        self.objects.values().filter(move |life| life.kind == kind)
    }

    /// Everything of a kind that is.
    pub fn existing(&self, kind: Kind) -> impl Iterator<Item = &Life> {
        self.of(kind).filter(|life| life.exists())
    }
}

/// A JSON text, empty if it is none.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A JSON list of texts.
#[must_use]
pub fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().map(text).collect()
}
