//! The life of definitions: they are established, and they end with their instances.

mod names;

use std::sync::Arc;

use names::Taken;
use serde_json::{Value, json};

use super::Work;
use crate::{
    builtin, definition,
    registry::Served,
    resource::Origin,
    server::{
        State, Transaction,
        delete::{self, CLEANUP, Propagation, set_finalizers},
        update,
    },
    store::object::{Object, Stored},
};

/// Notes definitions that have to be looked at.
pub(super) fn observe(
    state: &State,
    collection: &Arc<str>,
    before: Option<&Arc<Stored>>,
    after: Option<&Arc<Stored>>,
    work: &mut Vec<Work>,
) {
    if **collection == *builtin::DEFINITIONS {
        if let Some(definition) = after.or(before) {
            work.push(Work::Definition(Arc::clone(&definition.key)));
        }
        return;
    }
    // A definition may have been waiting for its last instance.
    if after.is_none() {
        let served = state.registry.storage(collection);
        if let Some(served) = served.filter(|served| served.terminating)
            && let Origin::Definition { name, .. } = &served.resource.origin
        {
            work.push(Work::Definition(Arc::clone(name)));
        }
    }
}

/// Brings a definition a step further.
pub(super) fn run(transaction: &mut Transaction<'_>, name: &Arc<str>) {
    let Some(served) = transaction
        .state
        .registry
        .storage(builtin::DEFINITIONS)
        .cloned()
    else {
        return;
    };
    match transaction.get(&served, name) {
        None => {
            withdraw(transaction.state, name);
            // Others may have been waiting for its names.
            for other in definitions(transaction.state) {
                if !is_established(&served.read(&other)) {
                    let work = Work::Definition(Arc::clone(&other.key));
                    super::note(transaction.state, transaction.clock, work);
                }
            }
        }
        Some(definition) if definition.terminating => end(transaction, &served, &definition),
        Some(definition) => establish(transaction, &served, &definition),
    }
}

/// Serves what a definition says, and tells so in its status.
fn establish(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    let old = served.read(stored);
    let mut object = old.clone();
    let taken = taken_names(transaction.state, served, &object, stored.name());
    object.entry("status").or_insert_with(|| json!({}));
    let accepted = &object["status"]["acceptedNames"];
    let (accepted, conflict) = names::accept(&object["spec"]["names"], accepted, &taken);
    object["status"]["acceptedNames"] = accepted;
    let (status, reason, message) = match &conflict {
        Some((reason, message)) => ("False", *reason, message.as_str()),
        None => ("True", "NoConflicts", "no conflicts found"),
    };
    let now = transaction.timestamp();
    set_condition(&mut object, "NamesAccepted", status, reason, message, &now);
    if !is_established(&object) {
        let (status, reason, message) = match conflict {
            Some(_) => ("False", "NotAccepted", "not all names are accepted"),
            None => (
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
            ),
        };
        set_condition(&mut object, "Established", status, reason, message, &now);
    }
    if is_established(&object) && serve(transaction.state, stored, &object) {
        super::recheck_owners(transaction.state, transaction.clock);
    }
    if object != old {
        transaction.commit(served, Arc::clone(&stored.key), Some(stored), object);
    }
}

fn is_established(definition: &Object) -> bool {
    let status = definition.get("status");
    let conditions = status.and_then(|status| status.get("conditions")?.as_array());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|it| it["type"] == "Established" && it["status"] == "True")
}

/// The names that the other definitions of the same group have.
fn taken_names(state: &State, served: &Served, definition: &Object, name: &str) -> Taken {
    let mut taken = Taken::default();
    let group = |definition: &Object| definition.get("spec").map(|spec| spec["group"].clone());
    for other in definitions(state) {
        let object = served.read(&other);
        if other.name() != name && group(&object) == group(definition) {
            taken.add(&object["status"]["acceptedNames"]);
        }
    }
    taken
}

/// All definitions.
fn definitions(state: &State) -> Vec<Arc<Stored>> {
    let kept = state.store.collection(builtin::DEFINITIONS);
    let kept = kept.into_iter().flat_map(|kept| kept.objects().cloned());
    kept.collect()
}

/// Registers the versions of a definition, unless they are as they were; whether it was not known.
fn serve(state: &mut State, stored: &Stored, object: &Object) -> bool {
    let epoch = epoch(object);
    let mut known = state.registry.all().iter();
    let known = known.find(|served| belongs_to(served, &stored.key));
    let is_known = known.is_some();
    if known.is_some_and(|it| it.epoch == epoch && it.terminating == stored.terminating) {
        return false;
    }
    let definition = Value::Object(object.clone());
    state.registry.remove_definition(&stored.key);
    for version in definition::versions(&definition) {
        state.store.open(&version.resource.storage);
        let mut served = Served::new(version.resource, version.strategy, epoch);
        served.visible = version.served;
        served.terminating = stored.terminating;
        state.registry.insert(served);
    }
    !is_known
}

/// The generation of a definition changes whenever its `spec` does.
fn epoch(object: &Object) -> u32 {
    let generation = object.get("metadata").and_then(|it| it.get("generation"));
    let generation = generation.and_then(Value::as_u64).unwrap_or(0);
    u32::try_from(generation).unwrap_or(u32::MAX)
}

/// Deletes the instances of a definition, and when there are none, the definition.
fn end(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    let definition = served.read(stored);
    if is_established(&definition) {
        serve(transaction.state, stored, &definition);
    }
    if !stored.has_finalizer(CLEANUP) {
        return;
    }
    let instances = transaction
        .state
        .registry
        .all()
        .iter()
        .find(|it| it.strategy.stores() && belongs_to(it, &stored.key))
        .cloned();
    let mut left = 0;
    if let Some(instances) = instances {
        let collection = Arc::clone(&instances.resource.storage);
        let objects: Vec<Arc<Stored>> = transaction
            .state
            .store
            .collection(&collection)
            .into_iter()
            .flat_map(|kept| kept.objects().cloned())
            .collect();
        for object in objects.iter().filter(|object| !object.terminating) {
            delete::unconditionally(transaction, &instances, object, Propagation::Background);
        }
        let kept = transaction.state.store.collection(&collection);
        left = kept.map_or(0, crate::store::Collection::len);
    }
    let old = served.read(stored);
    let mut object = old.clone();
    let now = transaction.timestamp();
    if left > 0 {
        set_condition(
            &mut object,
            "Terminating",
            "True",
            "InstanceDeletionInProgress",
            "CustomResource deletion is in progress",
            &now,
        );
        if object != old {
            transaction.commit(served, Arc::clone(&stored.key), Some(stored), object);
        }
        return;
    }
    set_condition(
        &mut object,
        "Terminating",
        "False",
        "InstanceDeletionCompleted",
        "removed all instances",
        &now,
    );
    let others = stored.finalizers.iter().filter(|held| ***held != *CLEANUP);
    let others: Vec<Box<str>> = others.cloned().collect();
    set_finalizers(&mut object, &others);
    update::write(transaction, served, stored, object);
}

/// Stops serving what a definition said; whatever is left of it is forgotten.
fn withdraw(state: &mut State, name: &str) {
    let mut all = state.registry.all().iter();
    let gone = all.find(|served| belongs_to(served, name));
    let collection = gone.map(|served| Arc::clone(&served.resource.storage));
    state.registry.remove_definition(name);
    if let Some(collection) = collection {
        state.store.close(&collection);
    }
}

fn belongs_to(served: &Served, definition: &str) -> bool {
    match &served.resource.origin {
        Origin::BuiltIn => false,
        Origin::Definition { name, .. } => **name == *definition,
    }
}

/// Registers anew what the stored definitions say.
pub(super) fn reload(state: &mut State) {
    state.registry = builtin::registry();
    let Some(served) = state.registry.storage(builtin::DEFINITIONS).cloned() else {
        return;
    };
    for definition in definitions(state) {
        let object = served.read(&definition);
        if is_established(&object) {
            serve(state, &definition, &object);
        }
    }
}

/// Sets a condition in an object's status; its time changes only with its status.
pub(crate) fn set_condition(
    object: &mut Object,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &Value,
) {
    let conditions = object
        .entry("status")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .and_then(|status| {
            let conditions = status.entry("conditions").or_insert(Value::Null);
            if conditions.is_null() {
                *conditions = json!([]);
            }
            conditions.as_array_mut()
        });
    let Some(conditions) = conditions else {
        return;
    };
    let known = conditions
        .iter_mut()
        .find(|condition| condition["type"] == kind);
    match known {
        Some(condition) => {
            if condition["status"] != status {
                condition["lastTransitionTime"] = now.clone();
            }
            condition["status"] = status.into();
            condition["reason"] = reason.into();
            condition["message"] = message.into();
        }
        None => conditions.push(json!({
            "type": kind,
            "status": status,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        })),
    }
}
