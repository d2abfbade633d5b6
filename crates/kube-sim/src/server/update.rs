//! Replacing and patching objects.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    Transaction,
    answer::{Answer, Refusal},
    create, decode,
    negotiate::{Form, Shape},
    options::WriteOptions,
    request::{Request, unsupported_media_type},
    transaction::generation,
};
use crate::{
    field::{FieldError, Path},
    patch::{self, PatchKind},
    registry::Served,
    status::Status,
    store::object::{Object, Stored, key, text},
    strategy::{Part, Strategy, metadata, metadata_mut, put as put_field},
    validate,
};

/// PUT of an object, or of a part.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
    part: Part,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::One, transaction.now())?;
    let WriteOptions {
        dry_run,
        validation,
    } = WriteOptions::read(request, "UpdateOptions")?;
    transaction.dry_run = dry_run;
    let decoded = decode::body(request, served, validation)?;
    transaction.warnings.extend(decoded.warnings);
    let mut object = decoded.object;
    let name = request.target.name.as_deref().unwrap_or("");
    check_name(&object, name)?;
    create::check_namespace(request.namespace(), &mut object)?;
    let object = without_duplicate_owners(transaction, object, "");
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
    check_uid(served, &stored, &object, dry_run)?;
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
    let form = Form::of(request, served, Shape::One, transaction.now())?;
    let kind = PatchKind::of(request.content_type())
        .filter(|kind| *kind != PatchKind::Strategic || !served.is_custom())
        .ok_or_else(|| unsupported_patch(served, request.content_type()))?;
    request.check_size()?;
    let WriteOptions {
        dry_run,
        validation,
    } = WriteOptions::read(request, "PatchOptions")?;
    transaction.dry_run = dry_run;
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
        validation,
    )?;
    let decoded = decode::patched(patched, kind, served, validation)?;
    transaction.warnings.extend(decoded.warnings);
    let mut object = decoded.object;
    check_name(&object, name)?;
    create::check_namespace(request.namespace(), &mut object)?;
    // For a patch the server looks at this later, and says so.
    let when = " after mutating admission happens";
    let object = without_duplicate_owners(transaction, object, when);
    let stored = update(transaction, served, &stored, object, part)?;
    Ok(Answer::json(StatusCode::OK, form.show(served, &stored)))
}

/// Takes out owners that are named twice, of which the client is warned whatever comes of it.
fn without_duplicate_owners(
    transaction: &mut Transaction<'_>,
    object: Object,
    when: &str,
) -> Object {
    let mut object = Value::Object(object);
    let warning = validate::duplicate_owners(&mut object);
    let warning = warning.map(|text| {
        let what = "contains duplicate entries";
        text.replacen(what, &format!("{what}{when}"), 1)
    });
    transaction.warnings.extend(warning);
    match object {
        Value::Object(object) => object,
        _ => unreachable!("it was made of an object"),
    }
}

/// 415: patches are of other types.
fn unsupported_patch(served: &Served, content_type: &str) -> Refusal {
    if served.is_custom() || content_type == "application/apply-patch+yaml" {
        let accepted = "application/json-patch+json, application/merge-patch+json, \
                        application/apply-patch+yaml";
        return unsupported_media_type(content_type, accepted).into();
    }
    let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Status::new(code, "UnsupportedMediaType", "415: Unsupported Media Type")
        .with_details()
        .into()
}

/// Whether the object has the name in the path.
fn check_name(object: &Object, name: &str) -> Result<(), Status> {
    let sent = text(metadata(object), "name");
    if sent == name {
        return Ok(());
    }
    Err(Status::bad_request(if sent.is_empty() {
        format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    } else {
        format!("the name of the object ({sent}) does not match the name on the URL ({name})")
    }))
}

/// Whether a PUT is about the very object that there is.
fn check_uid(
    served: &Served,
    stored: &Stored,
    object: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    let uid = text(metadata(object), "uid");
    if uid.is_empty() || *uid == *stored.uid {
        return Ok(());
    }
    let key = served.storage_key(&stored.key);
    // What only tries does not get to where the prefix is put before it.
    let key = if dry_run {
        key.trim_start_matches("/registry")
    } else {
        &key
    };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
        stored.uid
    );
    Err(Status::conflict(served.named(stored.name()), &why))
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
    check_revision(served, stored, &new)?;
    if served.is_custom() && text(&new, "apiVersion").is_empty() {
        return Err(Status::unexpected(
            "Object 'apiVersion' is missing in 'object has no apiVersion field'",
        ));
    }
    let old = served.treated(stored);
    keep_system_fields(&mut new, &old, transaction.dry_run);
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
    let new = check(transaction, served, new, old, part)?;
    transaction.check_size(&new)?;
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
        let shown = transaction.unsaved(served, Arc::clone(&stored.key), &new);
        transaction.remove(served, stored);
        return shown;
    }
    transaction.commit(served, Arc::clone(&stored.key), Some(stored), new)
}

fn check_revision(served: &Served, stored: &Stored, new: &Object) -> Result<(), Status> {
    let revision = match text(metadata(new), "resourceVersion") {
        "" => 0,
        revision => parse_revision(revision)?,
    };
    if revision == 0 {
        if served.strategy.allows_unconditional_update() {
            return Ok(());
        }
        let metadata = Path::Root("metadata");
        let path = metadata.child("resourceVersion");
        let error = FieldError::invalid(path, 0, "must be specified for an update");
        return Err(Status::invalid(served.named(stored.name()), &[error]));
    }
    if revision != stored.revision {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        return Err(Status::conflict(served.named(stored.name()), why));
    }
    Ok(())
}

fn parse_revision(revision: &str) -> Result<u64, Status> {
    revision.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {revision:?}: invalid syntax");
        Status::internal(why)
    })
}

/// Puts back what an update cannot change without being told so.
fn keep_system_fields(new: &mut Object, old: &Object, dry_run: bool) {
    let kept = metadata(old);
    let metadata = metadata_mut(new);
    metadata.remove("managedFields");
    // What only tries does not come to the place where this one is cleared.
    if !dry_run {
        metadata.remove("selfLink");
    }
    for field in ["creationTimestamp", "generation"] {
        put_field(metadata, field, kept.get(field).cloned());
    }
    if text(metadata, "uid").is_empty() {
        put_field(metadata, "uid", kept.get("uid").cloned());
    }
    if let Some(value) = kept.get("deletionTimestamp") {
        metadata.insert("deletionTimestamp".to_owned(), value.clone());
    }
    if let Some(value) = kept.get("deletionGracePeriodSeconds") {
        metadata
            .entry("deletionGracePeriodSeconds")
            .or_insert_with(|| value.clone());
    }
}

/// Validates an object that takes the place of another.
fn check(
    transaction: &mut Transaction<'_>,
    served: &Served,
    new: Object,
    old: Object,
    part: Part,
) -> Result<Object, Status> {
    let (mut new, old) = (Value::Object(new), Value::Object(old));
    transaction
        .warnings
        .extend(validate::duplicate_owners(&mut new));
    let errors = match served.type_errors(&new) {
        errors if errors.is_empty() => {
            let namespaced = served.resource.namespaced;
            served
                .strategy
                .validate_update(&new, &old, namespaced, part)
        }
        errors => {
            let mut all = validate::common_update(&new, &old, served.resource.namespaced);
            all.extend(errors);
            all
        }
    };
    if errors.is_empty() {
        let warnings = served.strategy.warnings(&new, Some(&old));
        transaction.warnings.extend(warnings);
    }
    let Value::Object(new) = new else {
        unreachable!("it was made of an object");
    };
    if errors.is_empty() {
        return Ok(new);
    }
    Err(served.invalid(&new, &errors))
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
