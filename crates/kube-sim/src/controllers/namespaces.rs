//! The end of Namespaces: their content is deleted, and then they are.

use std::sync::Arc;

use serde_json::Value;

use super::{Work, is_namespace};
use crate::{
    builtin,
    server::{
        State, Transaction,
        delete::{self, Propagation},
        update,
    },
    store::object::{Object, Stored},
};

/// Notes Namespaces that have to be looked at.
pub(super) fn observe(
    state: &State,
    collection: &Arc<str>,
    before: Option<&Arc<Stored>>,
    after: Option<&Arc<Stored>>,
    work: &mut Vec<Work>,
) {
    if is_namespace(collection) {
        if let Some(namespace) = after.filter(|it| it.terminating) {
            work.push(Work::Namespace(Arc::clone(&namespace.key)));
        }
        return;
    }
    // Something that a Namespace may have been waiting for is gone.
    if let (Some(before), None) = (before, after) {
        let namespace = before.namespace();
        let namespace = namespace.and_then(|name| state.store.get(builtin::NAMESPACES, name));
        if let Some(namespace) = namespace.filter(|it| it.terminating) {
            work.push(Work::Namespace(Arc::clone(&namespace.key)));
        }
    }
}

/// Empties a Namespace that is being deleted, as far as that goes.
pub(super) fn run(transaction: &mut Transaction<'_>, name: &str) {
    let Some(served) = transaction
        .state
        .registry
        .storage(builtin::NAMESPACES)
        .cloned()
    else {
        return;
    };
    let Some(namespace) = transaction.get(&served, name).filter(|it| it.terminating) else {
        return;
    };
    delete_content(transaction, name);
    let remaining = remaining(transaction.state, name);
    let old = served.read(&namespace);
    let mut object = old.clone();
    if remaining.is_empty() {
        take_finalizer(&mut object);
    }
    set_conditions(&mut object, &remaining, &transaction.timestamp());
    if object != old {
        update::write(transaction, &served, &namespace, object);
    }
}

/// Takes off the finalizer with which a Namespace waits for its content; others may hold it.
fn take_finalizer(namespace: &mut Object) {
    let spec = namespace.get_mut("spec").and_then(Value::as_object_mut);
    if let Some(spec) = spec
        && let Some(Value::Array(finalizers)) = spec.get_mut("finalizers")
    {
        finalizers.retain(|finalizer| finalizer != "kubernetes");
        if finalizers.is_empty() {
            spec.remove("finalizers");
        }
    }
}

fn delete_content(transaction: &mut Transaction<'_>, namespace: &str) {
    let kinds: Vec<_> = transaction
        .state
        .registry
        .all()
        .iter()
        .filter(|served| served.resource.namespaced && served.strategy.stores())
        .map(Arc::clone)
        .collect();
    for served in kinds {
        let Some(collection) = transaction.state.store.collection(&served.resource.storage) else {
            continue;
        };
        for stored in collection.within(namespace) {
            if !stored.terminating {
                delete::unconditionally(transaction, &served, &stored, Propagation::Background);
            }
        }
    }
}

/// What is left of a resource in a Namespace.
struct Remaining {
    resource: String,
    count: usize,
    finalizers: Vec<String>,
}

fn remaining(state: &State, namespace: &str) -> Vec<Remaining> {
    let kinds = state.registry.all().iter();
    kinds
        .filter(|served| served.resource.namespaced && served.strategy.stores())
        .filter_map(|served| {
            let collection = state.store.collection(&served.resource.storage)?;
            let objects = collection.within(namespace);
            let finalizers = objects.iter().flat_map(|object| object.finalizers.iter());
            let group = &served.resource.group;
            (!objects.is_empty()).then(|| Remaining {
                resource: if group.is_empty() {
                    format!("{}.", served.resource.plural)
                } else {
                    format!("{}.{group}", served.resource.plural)
                },
                count: objects.len(),
                finalizers: finalizers.map(ToString::to_string).collect(),
            })
        })
        .collect()
}

fn set_conditions(object: &mut Object, remaining: &[Remaining], now: &Value) {
    let content: Vec<String> = remaining
        .iter()
        .map(|it| format!("{} has {} resource instances", it.resource, it.count))
        .collect();
    let mut counts = std::collections::BTreeMap::new();
    for finalizer in remaining.iter().flat_map(|it| &it.finalizers) {
        *counts.entry(finalizer).or_insert(0) += 1;
    }
    let finalizers: Vec<String> = counts
        .iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let remain = if content.is_empty() {
        (
            "False",
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        )
    } else {
        (
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", content.join(", ")),
        )
    };
    let hold = if finalizers.is_empty() {
        (
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        (
            "True",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                finalizers.join(", ")
            ),
        )
    };
    let fine = |reason, message: &str| ("False", reason, message.to_owned());
    for (kind, (status, reason, message)) in [
        (
            "NamespaceDeletionDiscoveryFailure",
            fine(
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            fine(
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
        ),
        (
            "NamespaceDeletionContentFailure",
            fine(
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        ("NamespaceContentRemaining", remain),
        ("NamespaceFinalizersRemaining", hold),
    ] {
        super::definitions::set_condition(object, kind, status, reason, &message, now);
    }
}
