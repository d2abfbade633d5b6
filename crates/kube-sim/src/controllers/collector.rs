//! The garbage collector.
//!
//! What it does with an object follows `attemptToDeleteItem` and `attemptToOrphan` in
//! `k8s.io/kubernetes/pkg/controller/garbagecollector`. It deletes an object all of whose owners
//! are gone, ends a foreground deletion when no dependent that blocks it is left, and lets go of
//! the dependents of what is deleted with `orphan`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Place, Work};
use crate::{
    registry::Served,
    server::{
        State, Transaction,
        delete::{self, FOREGROUND, ORPHAN, Propagation, set_finalizers},
        update,
    },
    store::object::{Owner, Stored, key, text},
    strategy::metadata_mut,
};

/// Which objects name an owner, by its UID.
#[derive(Debug, Default)]
pub(crate) struct Dependents(BTreeMap<Box<str>, BTreeSet<Place>>);

impl Dependents {
    /// Everything that has owners.
    pub(super) fn all(&self) -> BTreeSet<Place> {
        self.0.values().flatten().cloned().collect()
    }

    fn of(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.0.get(uid).into_iter().flatten()
    }

    fn add(&mut self, owner: &Owner, place: &Place) {
        let dependents = self.0.entry(owner.uid.clone()).or_default();
        dependents.insert(place.clone());
    }

    fn remove(&mut self, owner: &Owner, place: &Place) {
        if let Some(dependents) = self.0.get_mut(&owner.uid) {
            dependents.remove(place);
            if dependents.is_empty() {
                self.0.remove(&owner.uid);
            }
        }
    }
}

/// Keeps track of owners, and notes which objects have to be looked at.
pub(super) fn observe(
    state: &mut State,
    collection: &Arc<str>,
    before: Option<&Arc<Stored>>,
    after: Option<&Arc<Stored>>,
    work: &mut Vec<Work>,
) {
    let Some(object) = after.or(before) else {
        return;
    };
    let old_owners = before.map_or(&[][..], |before| &before.owners);
    let new_owners = after.map_or(&[][..], |after| &after.owners);
    let finalized = after.is_some_and(|after| {
        after.terminating && (after.has_finalizer(FOREGROUND) || after.has_finalizer(ORPHAN))
    });
    let dependents = &mut state.pending.dependents;
    if old_owners.is_empty() && new_owners.is_empty() && !finalized && after.is_some() {
        return;
    }
    let place = Place {
        collection: Arc::clone(collection),
        key: Arc::clone(&object.key),
    };
    let changed = old_owners != new_owners;
    if changed {
        for owner in old_owners {
            dependents.remove(owner, &place);
        }
        for owner in new_owners {
            dependents.add(owner, &place);
        }
    }
    if after.is_none() {
        let left = dependents.of(&object.uid).cloned();
        work.extend(left.map(Work::Collect));
    }
    if finalized {
        let waiting = after.is_some_and(|after| after.has_finalizer(FOREGROUND));
        if waiting {
            let left = dependents.of(&object.uid).cloned();
            work.extend(left.map(Work::Collect));
        }
        work.push(Work::Collect(place.clone()));
    }
    if changed {
        if !new_owners.is_empty() {
            work.push(Work::Collect(place));
        }
        // An owner may have been waiting for this dependent.
        let places = old_owners
            .iter()
            .filter_map(|owner| owner_place(state, object, owner));
        work.extend(places.map(Work::Collect));
    }
}

/// Looks at one object.
pub(super) fn run(transaction: &mut Transaction<'_>, place: &Place) {
    let Some(served) = transaction
        .state
        .registry
        .storage(&place.collection)
        .cloned()
    else {
        return;
    };
    let Some(stored) = transaction.get(&served, &place.key) else {
        return;
    };
    if stored.terminating {
        if stored.has_finalizer(ORPHAN) {
            orphan_dependents(transaction, &served, &stored);
        } else if stored.has_finalizer(FOREGROUND) {
            end_foreground(transaction, &served, &stored);
        }
        return;
    }
    judge(transaction, &served, &stored);
}

/// What an owner is for its dependent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Solid,
    /// It is being deleted in foreground.
    Waiting,
    Absent,
    /// Nobody can tell: its kind is unknown, or it is namespaced and the dependent is not.
    Unknown,
}

/// Deletes an object whose owners are gone, or in foreground deletion.
fn judge(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    let standings: Vec<Standing> = stored
        .owners
        .iter()
        .map(|owner| standing(transaction.state, stored, owner))
        .collect();
    // An owner that cannot be judged is tried again when its kind becomes known.
    if standings.is_empty() || standings.contains(&Standing::Unknown) {
        return;
    }
    if standings.contains(&Standing::Solid) {
        let keep = |index: usize| standings[index] == Standing::Solid;
        drop_owners(transaction, served, stored, keep);
        return;
    }
    let has_dependents = transaction
        .state
        .pending
        .dependents
        .of(&stored.uid)
        .next()
        .is_some();
    let mut current = Arc::clone(stored);
    let propagation = if standings.contains(&Standing::Waiting) && has_dependents {
        let waits = |(_, dependent): (_, &Arc<Stored>)| {
            dependent.terminating && dependent.has_finalizer(FOREGROUND)
        };
        // Owners that own each other would wait for each other for ever.
        if dependents(transaction.state, &stored.uid).any(waits) {
            current = unblock_owners(transaction, served, stored);
        }
        Propagation::Foreground
    } else if stored.has_finalizer(ORPHAN) {
        Propagation::Orphan
    } else if stored.has_finalizer(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    delete::unconditionally(transaction, served, &current, propagation);
}

/// Lets no owner wait for an object.
fn unblock_owners(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
) -> Arc<Stored> {
    let mut object = served.read(stored);
    let references = metadata_mut(&mut object).get_mut("ownerReferences");
    for reference in references
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if reference["blockOwnerDeletion"] == true {
            reference["blockOwnerDeletion"] = false.into();
        }
    }
    if object == served.read(stored) {
        return Arc::clone(stored);
    }
    update::write(transaction, served, stored, object)
}

fn standing(state: &State, dependent: &Stored, owner: &Owner) -> Standing {
    let Some(served) = state.registry.of_kind(&owner.api_version, &owner.kind) else {
        return Standing::Unknown;
    };
    if served.resource.namespaced && dependent.namespace().is_none() {
        return Standing::Unknown;
    }
    match owner_object(state, dependent, owner) {
        None => Standing::Absent,
        Some(found) if found.terminating && found.has_finalizer(FOREGROUND) => Standing::Waiting,
        Some(_) => Standing::Solid,
    }
}

/// The owner that a reference means, if it is there.
fn owner_object<'s>(
    state: &'s State,
    dependent: &Stored,
    owner: &Owner,
) -> Option<&'s Arc<Stored>> {
    let served = state.registry.of_kind(&owner.api_version, &owner.kind)?;
    let namespace = if served.resource.namespaced {
        Some(dependent.namespace()?)
    } else {
        None
    };
    let found = state
        .store
        .get(&served.resource.storage, &key(namespace, &owner.name));
    found.filter(|found| *found.uid == *owner.uid)
}

/// Where an owner is that is being deleted.
fn owner_place(state: &State, dependent: &Stored, owner: &Owner) -> Option<Place> {
    let found = owner_object(state, dependent, owner).filter(|found| found.terminating)?;
    let served = state.registry.of_kind(&owner.api_version, &owner.kind)?;
    Some(Place {
        collection: Arc::clone(&served.resource.storage),
        key: Arc::clone(&found.key),
    })
}

/// Ends a foreground deletion that nothing blocks any more.
fn end_foreground(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    let blocked = dependents(transaction.state, &stored.uid).any(|(_, dependent)| {
        dependent
            .owners
            .iter()
            .any(|owner| *owner.uid == *stored.uid && owner.blocks)
    });
    if !blocked {
        take_finalizer(transaction, served, stored, FOREGROUND);
    }
}

/// Lets go of an object's dependents, and then of the object.
fn orphan_dependents(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
) {
    let left: Vec<(Place, Arc<Stored>)> = dependents(transaction.state, &stored.uid)
        .map(|(place, dependent)| (place.clone(), Arc::clone(dependent)))
        .collect();
    for (place, dependent) in left {
        let kind = transaction.state.registry.storage(&place.collection);
        if let Some(kind) = kind.cloned() {
            let keep = |index: usize| *dependent.owners[index].uid != *stored.uid;
            drop_owners(transaction, &kind, &dependent, keep);
        }
    }
    // It may have been an owner of its own.
    if let Some(stored) = transaction.get(served, &stored.key) {
        take_finalizer(transaction, served, &stored, ORPHAN);
    }
}

fn dependents<'s>(
    state: &'s State,
    uid: &'s str,
) -> impl Iterator<Item = (&'s Place, &'s Arc<Stored>)> {
    let places = state.pending.dependents.of(uid);
    places.filter_map(|place| {
        let found = state.store.get(&place.collection, &place.key)?;
        Some((place, found))
    })
}

/// Takes owner references off an object; nothing is written if all are kept.
fn drop_owners(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    keep: impl Fn(usize) -> bool,
) {
    let kept: Vec<usize> = (0..stored.owners.len())
        .filter(|index| keep(*index))
        .collect();
    if kept.len() == stored.owners.len() {
        return;
    }
    let mut object = served.read(stored);
    let metadata = metadata_mut(&mut object);
    if let Some(Value::Array(references)) = metadata.get_mut("ownerReferences") {
        let stays = |reference: &Value| {
            let uid = reference.as_object().map_or("", |it| text(it, "uid"));
            kept.iter().any(|index| *stored.owners[*index].uid == *uid)
        };
        references.retain(stays);
        if references.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
    update::write(transaction, served, stored, object);
}

fn take_finalizer(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    finalizer: &str,
) {
    let others = stored
        .finalizers
        .iter()
        .filter(|held| ***held != *finalizer);
    let others: Vec<Box<str>> = others.cloned().collect();
    let mut object = served.read(stored);
    set_finalizers(&mut object, &others);
    update::write(transaction, served, stored, object);
}
