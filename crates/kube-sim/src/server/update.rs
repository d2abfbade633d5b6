//! Replacing and patching objects.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    Transaction,
    answer::{Answer, Refusal},
    create,
    negotiate::{Form, Shape},
    options,
    request::{Request, unsupported_media_type},
    transaction::generation,
};
use crate::{
    field::{FieldError, Path},
    patch::{self, FieldValidation, PatchKind},
    registry::Served,
    status::Status,
    store::object::{Object, Stored, key, text},
    strategy::{Part, Strategy, metadata, metadata_mut, put as put_field},
};

/// PUT of an object, or of a part.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
    part: Part,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, Shape::One, transaction.now())?;
    transaction.dry_run = options::dry_run(request, "UpdateOptions")?;
    let mut object = request.object()?;
    create::check_type(served, &mut object)?;
    create::check_namespace(request.namespace(), &mut object)?;
    let name = request.target.name.as_deref().unwrap_or("");
    check_name(&mut object, name)?;
    let Some(stored) = transaction.get(served, &key(request.namespace(), name)) else {
        if part == Part::Main && served.strategy.allows_create_on_update() {
            let stored = create::new_object(transaction, served, request.namespace(), object)?;
            return Ok(Answer::json(
                StatusCode::CREATED,
                form.show(served, &stored),
            ));
        }
        return Err(Status::not_found(served.named(name)).into());
    };
    let stored = update(transaction, served, &stored, object, part)?;
    Ok(Answer::json(StatusCode::OK, form.show(served, &stored)))
}

/// PATCH of an object, or of a part.
pub(super) fn patch(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
    part: Part,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, Shape::One, transaction.now())?;
    let kind = PatchKind::of(request.content_type())
        .filter(|kind| *kind != PatchKind::Strategic || !served.is_custom())
        .ok_or_else(|| unsupported_patch(served))?;
    transaction.dry_run = options::dry_run(request, "PatchOptions")?;
    let name = request.target.name.as_deref().unwrap_or("");
    let Some(stored) = transaction.get(served, &key(request.namespace(), name)) else {
        return Err(Status::not_found(served.named(name)).into());
    };
    let current = Value::Object(served.read(&stored));
    let patched = patch::apply(
        kind,
        &served.resource.kind,
        &current,
        &request.body,
        FieldValidation::Warn,
    )?;
    let Value::Object(mut object) = patched.object else {
        return Err(Status::bad_request("the patched object is no object").into());
    };
    create::check_type(served, &mut object)?;
    create::check_namespace(request.namespace(), &mut object)?;
    check_name(&mut object, name)?;
    let stored = update(transaction, served, &stored, object, part)?;
    Ok(Answer::json(StatusCode::OK, form.show(served, &stored)))
}

/// 415: patches are of other types.
fn unsupported_patch(served: &Served) -> Status {
    let accepted: &[&str] = if served.is_custom() {
        &[
            "application/json-patch+json",
            "application/merge-patch+json",
        ]
    } else {
        &[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ]
    };
    unsupported_media_type(accepted)
}

/// Whether the object has the name in the path; sets the name.
fn check_name(object: &mut Object, name: &str) -> Result<(), Status> {
    let metadata = metadata_mut(object);
    let sent = text(metadata, "name");
    if sent.is_empty() {
        metadata.insert("name".to_owned(), name.into());
    } else if sent != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

/// Carries out an update: preconditions, what may not be changed, validation, and the write.
///
/// An update that changes nothing writes nothing. One that takes the last finalizer off an object
/// that is being deleted removes it.
pub(super) fn update(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    mut new: Object,
    part: Part,
) -> Result<Arc<Stored>, Status> {
    check_preconditions(served, stored, &mut new)?;
    let old = served.read(stored);
    keep_system_fields(&mut new, &old);
    served.strategy.prepare_update(&mut new, &old, part);
    if served.strategy.has_generation() {
        let changed = part == Part::Main && served.strategy.changes_desired_state(&new, &old);
        let next = generation(&old) + i64::from(changed);
        metadata_mut(&mut new).insert("generation".to_owned(), next.into());
    }
    metadata_mut(&mut new).insert(
        "resourceVersion".to_owned(),
        stored.revision.to_string().into(),
    );
    if new == old {
        return Ok(Arc::clone(stored));
    }
    let (new, old) = (Value::Object(new), Value::Object(old));
    check(served, &new, &old, stored.name())?;
    let Value::Object(new) = new else {
        unreachable!("it was made of an object");
    };
    Ok(write(transaction, served, stored, new))
}

/// Writes a new version of an object; it is removed instead if it is being deleted and nothing
/// holds it any more.
pub(crate) fn write(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    new: Object,
) -> Arc<Stored> {
    if is_finished(served, &new) {
        let shown = served.write(Arc::clone(&stored.key), &new);
        transaction.remove(served, stored);
        return Arc::new(shown);
    }
    transaction.commit(served, Arc::clone(&stored.key), Some(stored), new)
}

fn check_preconditions(served: &Served, stored: &Stored, new: &mut Object) -> Result<(), Status> {
    let metadata = metadata_mut(new);
    let uid = text(metadata, "uid");
    if !uid.is_empty() && *uid != *stored.uid {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored.uid
        );
        return Err(Status::conflict(served.named(stored.name()), &why));
    }
    let revision = text(metadata, "resourceVersion");
    if matches!(revision, "" | "0") {
        if served.strategy.allows_unconditional_update() {
            return Ok(());
        }
        let error = FieldError::invalid(
            Path::Root("metadata").child("resourceVersion"),
            0,
            "must be specified for an update",
        );
        return Err(Status::invalid(served.kind_named(stored.name()), &[error]));
    }
    if revision.parse() != Ok(stored.revision) {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        return Err(Status::conflict(served.named(stored.name()), why));
    }
    Ok(())
}

/// Puts back what an update cannot change without being told so.
fn keep_system_fields(new: &mut Object, old: &Object) {
    let kept = metadata(old);
    let metadata = metadata_mut(new);
    for field in ["selfLink", "managedFields"] {
        metadata.remove(field);
    }
    for field in ["creationTimestamp", "generation", "uid"] {
        put_field(metadata, field, kept.get(field).cloned());
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let Some(value) = kept.get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
}

fn check(served: &Served, new: &Value, old: &Value, name: &str) -> Result<(), Status> {
    let namespaced = served.resource.namespaced;
    let errors = served.strategy.validate_update(new, old, namespaced);
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(served.kind_named(name), &errors))
}

/// Whether nothing holds an object any more that is being deleted.
fn is_finished(served: &Served, object: &Object) -> bool {
    let metadata = metadata(object);
    let held = |value: Option<&Value>| {
        let list = value.and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    let held_by_content = matches!(served.strategy, Strategy::Namespace)
        && held(object.get("spec").and_then(|spec| spec.get("finalizers")));
    metadata.contains_key("deletionTimestamp")
        && !held(metadata.get("finalizers"))
        && !held_by_content
}
