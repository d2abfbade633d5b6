//! The life of definitions: they are established, and they end with their instances.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Work;
use crate::{
    builtin, definition,
    registry::Served,
    resource::Origin,
    server::{
        State, Transaction,
        delete::{CLEANUP, DeleteOptions, Propagation, delete_object, set_finalizers},
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
        if let Some(served) = served.filter(|served| served.terminating) {
            if let Origin::Definition { name, .. } = &served.resource.origin {
                work.push(Work::Definition(Arc::clone(name)));
            }
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
        None => withdraw(transaction.state, name),
        Some(definition) if definition.terminating => end(transaction, &served, &definition),
        Some(definition) => establish(transaction, &served, &definition),
    }
}

/// Serves what a definition says, and tells so in its status.
fn establish(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    let old = served.read(stored);
    let mut object = old.clone();
    let now = transaction.timestamp();
    object.entry("status").or_insert_with(|| json!({}));
    object["status"]["acceptedNames"] = object["spec"]["names"].clone();
    set_condition(
        &mut object,
        "NamesAccepted",
        "True",
        "NoConflicts",
        "no conflicts found",
        &now,
    );
    set_condition(
        &mut object,
        "Established",
        "True",
        "InitialNamesAccepted",
        "the initial names have been accepted",
        &now,
    );
    serve(transaction.state, stored, &object);
    if object != old {
        transaction.commit(served, Arc::clone(&stored.key), Some(stored), object);
    }
}

/// Registers the versions of a definition, unless they are as they were.
fn serve(state: &mut State, stored: &Stored, object: &Object) {
    let definition = Value::Object(object.clone());
    state.registry.remove_definition(&stored.key);
    let epoch = epoch(object);
    for version in definition::versions(&definition) {
        state.store.open(&version.resource.storage);
        let mut served = Served::new(version.resource, version.strategy, epoch);
        served.visible = version.served;
        served.terminating = stored.terminating;
        state.registry.insert(served);
    }
}

/// The generation of a definition changes whenever its `spec` does.
fn epoch(object: &Object) -> u32 {
    let generation = object.get("metadata").and_then(|it| it.get("generation"));
    let generation = generation.and_then(Value::as_u64).unwrap_or(0);
    u32::try_from(generation).unwrap_or(u32::MAX)
}

/// Deletes the instances of a definition, and when there are none, the definition.
fn end(transaction: &mut Transaction<'_>, served: &Arc<Served>, stored: &Arc<Stored>) {
    serve(transaction.state, stored, &served.read(stored));
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
        let options = DeleteOptions::propagating(Propagation::Background);
        for object in objects.iter().filter(|object| !object.terminating) {
            // Without preconditions nothing is refused.
            let _ = delete_object(transaction, &instances, object, &options);
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
    crate::server::update::write(transaction, served, stored, object);
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
    let definitions: Vec<Arc<Stored>> = state
        .store
        .collection(builtin::DEFINITIONS)
        .into_iter()
        .flat_map(|kept| kept.objects().cloned())
        .collect();
    for definition in definitions {
        serve(state, &definition, &served.read(&definition));
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
