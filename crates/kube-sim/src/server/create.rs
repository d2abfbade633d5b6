//! Creating objects.

use http::StatusCode;
use serde_json::Value;

use super::{
    Transaction,
    answer::{Answer, Refusal},
    decode,
    negotiate::{Form, Shape},
    options::WriteOptions,
    request::Request,
};
use crate::{
    builtin,
    registry::Served,
    status::{Named, Status},
    store::object::{Object, Stored, key, text},
    strategy::{metadata, metadata_mut},
    validate,
};
use std::sync::Arc;

/// POST to a collection.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::One, transaction.now())?;
    let WriteOptions {
        dry_run,
        validation,
    } = WriteOptions::read(request, "CreateOptions")?;
    transaction.dry_run = dry_run;
    let decoded = decode::body(request, served, validation)?;
    transaction.warnings.extend(decoded.warnings);
    if served.terminating {
        let name = text(metadata(&decoded.object), "name");
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Status::forbidden(served.named(name), why).into());
    }
    let stored = new_object(transaction, served, request.namespace(), decoded.object)?;
    Ok(Answer::json(
        StatusCode::CREATED,
        form.show(served, &stored),
    ))
}

/// Creates what a client has sent.
pub(super) fn new_object(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    namespace: Option<&str>,
    mut object: Object,
) -> Result<Arc<Stored>, Status> {
    check_namespace(namespace, &mut object)?;
    admit(transaction, served, namespace, &object)?;
    set_system_fields(transaction, served, &mut object);
    served.strategy.prepare_create(&mut object);
    let generated = generate_name(transaction, served, namespace, &mut object);
    let object = check(transaction, served, object)?;
    let name = text(metadata(&object), "name").to_owned();
    let key = key(namespace, &name);
    // What would write it minds, and what only tries shows it again.
    let version = text(metadata(&object), "resourceVersion");
    if !transaction.dry_run && !matches!(version, "" | "0") {
        return Err(Status::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if let Some(taken) = transaction.get(served, &key) {
        let mut status = Status::already_exists(served.named(&name));
        if taken.terminating {
            status = status.with_prefix("object is being deleted: ");
        }
        return Err(if generated {
            status.with_detail("retryAfterSeconds", 1)
        } else {
            status
        });
    }
    transaction.check_size(&object)?;
    Ok(transaction.commit(served, key.into(), None, object))
}

/// Whether the object is of the namespace in the path; sets the namespace.
pub(super) fn check_namespace(namespace: Option<&str>, object: &mut Object) -> Result<(), Status> {
    let metadata = metadata_mut(object);
    let sent = text(metadata, "namespace");
    match namespace {
        Some(namespace) if sent.is_empty() => {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
        Some(namespace) if sent != namespace => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request"
                    .to_string(),
            ));
        }
        Some(_) => {}
        None => {
            metadata.remove("namespace");
        }
    }
    Ok(())
}

/// Nothing can be created in a namespace that is not there, or on its way out.
fn admit(
    transaction: &Transaction<'_>,
    served: &Served,
    namespace: Option<&str>,
    object: &Object,
) -> Result<(), Status> {
    let Some(namespace) = namespace else {
        return Ok(());
    };
    let Some(found) = transaction.state.store.get(builtin::NAMESPACES, namespace) else {
        return Err(Status::not_found(Named {
            group: "",
            resource: builtin::NAMESPACES,
            name: namespace,
        }));
    };
    if found.terminating {
        let name = text(metadata(object), "name");
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let cause = serde_json::json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        return Err(Status::forbidden(served.named(name), &why).with_detail("causes", cause));
    }
    Ok(())
}

/// Sets what only the server may set, and wipes what it keeps to itself.
fn set_system_fields(transaction: &mut Transaction<'_>, served: &Served, object: &mut Object) {
    let uid = transaction.draw_uid();
    let created = transaction.timestamp();
    let metadata = metadata_mut(object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), uid.into());
    metadata.insert("creationTimestamp".to_owned(), created);
    if served.strategy.has_generation() {
        metadata.insert("generation".to_owned(), 1.into());
    }
}

/// Makes a name out of `generateName`, if there is none; whether it did.
fn generate_name(
    transaction: &mut Transaction<'_>,
    served: &Served,
    namespace: Option<&str>,
    object: &mut Object,
) -> bool {
    // As often as the server tries.
    const ATTEMPTS: usize = 8;
    // So that the name is no longer than a label.
    const LONGEST_BASE: usize = 63 - 5;
    let base = text(metadata(object), "generateName").to_owned();
    if base.is_empty() || !text(metadata(object), "name").is_empty() {
        return false;
    }
    let mut name = String::new();
    for _ in 0..ATTEMPTS {
        // What is cut in the middle of a character could be no name anyway.
        let base = base.get(..LONGEST_BASE).unwrap_or(&base);
        name = format!("{base}{}", transaction.draw_suffix());
        if transaction.get(served, &key(namespace, &name)).is_none() {
            break;
        }
    }
    metadata_mut(object).insert("name".to_owned(), Value::from(name));
    true
}

/// Validates a new object.
fn check(
    transaction: &mut Transaction<'_>,
    served: &Served,
    object: Object,
) -> Result<Object, Status> {
    let mut object = Value::Object(object);
    transaction
        .warnings
        .extend(validate::duplicate_owners(&mut object));
    let errors = match served.type_errors(&object) {
        errors if errors.is_empty() => {
            let namespaced = served.resource.namespaced;
            served.strategy.validate(&object, namespaced)
        }
        errors => errors,
    };
    if errors.is_empty() {
        let warnings = served.strategy.warnings(&object, None);
        transaction.warnings.extend(warnings);
    }
    let Value::Object(object) = object else {
        unreachable!("it was made of an object");
    };
    if errors.is_empty() {
        return Ok(object);
    }
    Err(served.invalid(&object, &errors))
}
