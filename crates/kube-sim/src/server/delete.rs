//! Deleting objects.
//!
//! The order of the steps is that of `Store.Delete` in
//! `k8s.io/apiserver/pkg/registry/generic/registry/store.go`.

use std::{ops::ControlFlow, sync::Arc};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Transaction,
    answer::{Answer, Refusal},
    listing::{ListOptions, Selector},
    negotiate::{Form, Shape},
    options,
    request::{Request, unsupported_media_type},
    transaction::generation,
};
use crate::{
    fault::Verb,
    field::{FieldError, Path},
    json,
    registry::Served,
    shape,
    status::Status,
    store::{
        Range,
        object::{Object, Stored, finalizers, key},
    },
    strategy::{Strategy, metadata, metadata_mut},
};

/// The finalizer that keeps an object until the collector has deleted its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer that keeps an object until the collector has let go of its dependents.
pub(crate) const ORPHAN: &str = "orphan";

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
struct DeleteOptions {
    uid: Option<String>,
    revision: Option<String>,
    propagation: Option<Propagation>,
    /// The deprecated way to say so; excludes the other.
    orphan_dependents: Option<bool>,
    dry_run: bool,
    raw: Object,
}

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What a deletion came to.
enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Stored>),
    /// Something still holds it.
    Held(Arc<Stored>),
    /// It would be gone, and the answer shows an object without content.
    Blank(Arc<Stored>),
}

/// DELETE of one object.
pub(super) fn delete(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::One, transaction.now())?;
    let options = DeleteOptions::read(request)?;
    transaction.dry_run = options.dry_run;
    transaction.options = Some(Value::Object(options.raw.clone()));
    let name = request.target.name.as_deref().unwrap_or("");
    let Some(stored) = transaction.get(served, &key(request.namespace(), name)) else {
        return Err(Status::not_found(served.named(name)).into());
    };
    let before = transaction.state.store.revision();
    let deleted = delete_object(transaction, served, &stored, &options);
    if transaction.state.store.revision() == before {
        let refused = deleted.as_ref().err();
        transaction.tell_unchanged(served, Some(&stored), refused);
    }
    let (code, body) = match deleted? {
        Deleted::Gone(last) if served.strategy.returns_deleted() => {
            (StatusCode::OK, form.show(served, &last))
        }
        Deleted::Gone(last) => (StatusCode::OK, success(served, &last)),
        // Only who uses the deprecated option is told by the code that it takes longer.
        Deleted::Held(shown) if options.orphan_dependents == Some(false) => {
            (StatusCode::ACCEPTED, form.show(served, &shown))
        }
        Deleted::Held(shown) => (StatusCode::OK, form.show(served, &shown)),
        Deleted::Blank(blank) => (StatusCode::OK, form.show_blank(served, &blank)),
    };
    Ok(Answer::json(code, body))
}

/// DELETE of a collection: each object by itself, with the same options.
pub(super) fn collection(
    transaction: &mut Transaction<'_>,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::List, transaction.now())?;
    let listing = ListOptions::read(request, served)?;
    let options = DeleteOptions::read(request)?;
    transaction.dry_run = options.dry_run;
    transaction.options = Some(Value::Object(options.raw.clone()));
    let items = selected(transaction, served, request.namespace(), &listing.selector);
    for stored in &items {
        delete_object(transaction, served, stored, &options)?;
    }
    let revision = transaction.state.store.revision();
    let metadata = json!({ "resourceVersion": revision.to_string() });
    let list = form.list(served, &items, metadata);
    Ok(Answer::json(StatusCode::OK, list.into()))
}

fn selected(
    transaction: &Transaction<'_>,
    served: &Served,
    namespace: Option<&str>,
    selector: &Selector,
) -> Vec<Arc<Stored>> {
    let mut items = Vec::new();
    let range = Range {
        namespace,
        start: None,
    };
    let store = &transaction.state.store;
    // The present can always be told.
    let _ = store.scan(&served.resource.storage, range, u64::MAX, &mut |stored| {
        if selector.matches(served, stored) {
            items.push(Arc::clone(stored));
        }
        ControlFlow::Continue(())
    });
    items
}

/// Deletes an object as a controller does, whichever version of it is there.
pub(crate) fn unconditionally(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    propagation: Propagation,
) {
    let options = DeleteOptions {
        propagation: Some(propagation),
        ..DeleteOptions::default()
    };
    transaction.with_verb(Verb::Delete, |transaction| {
        // What may not be deleted is not.
        let _ = delete_object(transaction, served, stored, &options);
    });
}

/// Deletes an object as the options say.
fn delete_object(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    options.check(served, stored)?;
    match served.strategy {
        Strategy::Namespace if !stored.terminating => {
            if IMMORTAL.contains(&stored.name()) {
                let why = "this namespace may not be deleted";
                return Err(Status::forbidden(served.named(stored.name()), why));
            }
            return Ok(Deleted::Held(terminate_namespace(
                transaction,
                served,
                stored,
                options,
            )));
        }
        Strategy::Namespace if !is_emptied(served, stored) => {
            return Ok(Deleted::Held(Arc::clone(stored)));
        }
        Strategy::Definition if !stored.terminating => {
            return Ok(Deleted::Held(terminate_definition(
                transaction,
                served,
                stored,
            )));
        }
        _ => {}
    }
    let held_by = options.finalizers(served, stored);
    if held_by.is_empty() {
        if transaction.dry_run && !stored.finalizers.is_empty() {
            // The server would save itself the write that takes the finalizer off, has nothing to
            // show of it, and goes no further.
            let blank = transaction.unsaved(served, Arc::clone(&stored.key), &Object::new());
            return Ok(Deleted::Blank(blank));
        }
        if !stored.finalizers.is_empty() && options.revision.is_some() {
            // The server means to take the finalizer off first, and to go on with the revision
            // that this makes; but it saves itself that write, and so there is none.
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: ResourceVersion in precondition: , \
                 ResourceVersion in object meta: {}",
                served.storage_key(&stored.key),
                stored.revision
            );
            return Err(Status::conflict(served.named(stored.name()), &why));
        }
        return Ok(Deleted::Gone(transaction.remove(served, stored)));
    }
    let mut object = served.treated(stored);
    set_finalizers(&mut object, &held_by);
    mark(&mut object, transaction.timestamp());
    if stored.terminating && object == served.treated(stored) {
        return Ok(Deleted::Held(Arc::clone(stored)));
    }
    let stored = transaction.commit(served, Arc::clone(&stored.key), Some(stored), object);
    Ok(Deleted::Held(stored))
}

/// Namespaces that stay.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// Marks an object as being deleted.
fn mark(object: &mut Object, now: Value) {
    let generation = generation(object);
    let metadata = metadata_mut(object);
    if !metadata.contains_key("deletionTimestamp") {
        metadata.insert("deletionTimestamp".to_owned(), now);
        if generation > 0 {
            metadata.insert("generation".to_owned(), (generation + 1).into());
        }
    }
    metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
}

fn terminate_namespace(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
    options: &DeleteOptions,
) -> Arc<Stored> {
    let mut object = served.treated(stored);
    set_finalizers(&mut object, &options.finalizers(served, stored));
    let now = transaction.timestamp();
    metadata_mut(&mut object).insert("deletionTimestamp".to_owned(), now);
    object["status"]["phase"] = "Terminating".into();
    transaction.commit(served, Arc::clone(&stored.key), Some(stored), object)
}

/// Whether the content of a namespace that is being deleted is gone.
fn is_emptied(served: &Served, stored: &Stored) -> bool {
    let object = served.treated(stored);
    let finalizers = object.get("spec").and_then(|spec| spec.get("finalizers"));
    finalizers
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
}

/// The finalizer with which a definition waits for its instances.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

fn terminate_definition(
    transaction: &mut Transaction<'_>,
    served: &Arc<Served>,
    stored: &Arc<Stored>,
) -> Arc<Stored> {
    let mut object = served.treated(stored);
    let mut held_by = finalizers(metadata(&object)).into_vec();
    if !stored.has_finalizer(CLEANUP) {
        held_by.push(CLEANUP.into());
    }
    set_finalizers(&mut object, &held_by);
    let now = transaction.timestamp();
    metadata_mut(&mut object).insert("deletionTimestamp".to_owned(), now.clone());
    crate::controllers::definitions::set_condition(
        &mut object,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        &now,
    );
    transaction.commit(served, Arc::clone(&stored.key), Some(stored), object)
}

/// Sets the finalizers of an object.
pub(crate) fn set_finalizers(object: &mut Object, finalizers: &[Box<str>]) {
    let metadata = metadata_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
}

/// What is answered for an object that is gone.
fn success(served: &Served, last: &Stored) -> bytes::Bytes {
    let mut details = served.named(last.name()).details();
    details.insert("uid".to_owned(), Value::from(&*last.uid));
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    });
    status.to_string().into()
}

/// The options in a body. Fields that are not known are ignored, as the server does.
fn delete_options(body: &[u8]) -> Result<Object, Status> {
    let document = json::parse(body).map_err(|why| {
        let why = format!("couldn't get version/kind; json parse error: {why}");
        Status::bad_request(why)
    })?;
    let mut value = match document.value {
        Value::Null => Value::Object(Object::new()),
        value => value,
    };
    if let Some(why) = json::untyped(&value) {
        return Err(Status::bad_request(why));
    }
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    // There are such options in every group and version, even in those that do not exist.
    if !matches!(kind, "" | "DeleteOptions") {
        let version = if version.is_empty() {
            "meta.k8s.io/v1"
        } else {
            version
        };
        return Err(Status::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
        )));
    }
    shape::read(&shape::DELETE_OPTIONS, &mut value).map_err(Status::bad_request)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Ok(Object::new()),
    }
}

/// 409: the object is not the one that is meant.
fn mismatch(served: &Served, stored: &Stored, what: &str, wanted: &str, found: &str) -> Status {
    // Kinds that are deleted in their own way have their own words.
    if matches!(served.strategy, Strategy::Namespace | Strategy::Definition) {
        let why = format!(
            "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        return Status::conflict(served.named(stored.name()), &why);
    }
    let guess = match what {
        "UID" => "deleted and then recreated",
        _ => "modified",
    };
    let why = format!(
        "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
         The object might have been {guess}"
    );
    Status::conflict(served.kind_named(stored.name()), &why)
}

impl DeleteOptions {
    /// From the body if there is one, otherwise from the query.
    fn read(request: &Request<'_>) -> Result<Self, Refusal> {
        request.check_size()?;
        let raw = if request.body.is_empty() {
            Self::in_query(request)?
        } else {
            match request.content_type() {
                "application/json" => delete_options(&request.body)?,
                other => return Err(unsupported_media_type(other, "").into()),
            }
        };
        Self::parse(raw).map_err(Refusal::from)
    }

    fn in_query(request: &Request<'_>) -> Result<Object, Status> {
        let mut raw = Object::new();
        let propagation = request.query("propagationPolicy");
        if !propagation.is_empty() {
            raw.insert("propagationPolicy".to_owned(), propagation.into());
        }
        if let Some(orphan) = request.query_flag("orphanDependents") {
            raw.insert("orphanDependents".to_owned(), orphan.into());
        }
        if let Some(seconds) = options::number(request, "gracePeriodSeconds")? {
            raw.insert("gracePeriodSeconds".to_owned(), seconds.into());
        }
        let dry_run: Vec<&str> = request.query_all("dryRun").collect();
        if !dry_run.is_empty() {
            raw.insert("dryRun".to_owned(), dry_run.into());
        }
        Ok(raw)
    }

    fn parse(raw: Object) -> Result<Self, Status> {
        let mut errors = Vec::new();
        let propagation = raw.get("propagationPolicy").and_then(Value::as_str);
        let orphan_dependents = raw.get("orphanDependents").and_then(Value::as_bool);
        let path = Path::Root("propagationPolicy");
        if let (Some(propagation), Some(_)) = (propagation, orphan_dependents) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(path, propagation, why));
        }
        let parsed = match propagation {
            None => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported(path, other, &supported));
                None
            }
        };
        let dry_run = raw.get("dryRun").and_then(Value::as_array);
        let dry_run: Vec<&str> = dry_run
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        errors.extend(options::dry_run_error(&dry_run));
        if !errors.is_empty() {
            return Err(options::invalid("DeleteOptions", &errors));
        }
        let dry_run = !dry_run.is_empty();
        let precondition = |field: &str| {
            let preconditions = raw.get("preconditions")?;
            preconditions.get(field)?.as_str().map(str::to_owned)
        };
        Ok(Self {
            uid: precondition("uid"),
            revision: precondition("resourceVersion"),
            propagation: parsed,
            orphan_dependents,
            dry_run,
            raw,
        })
    }

    /// Whether the object is the one that is meant.
    fn check(&self, served: &Served, stored: &Stored) -> Result<(), Status> {
        let current = stored.revision.to_string();
        let uid = (self.uid.as_deref(), &*stored.uid);
        let revision = (self.revision.as_deref(), current.as_str());
        for (what, (wanted, found)) in [("UID", uid), ("ResourceVersion", revision)] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                return Err(mismatch(served, stored, what, wanted, found));
            }
        }
        Ok(())
    }

    /// The finalizers that an object has once it has been deleted with these options: those of the
    /// collector follow the options, all others stay.
    fn finalizers(&self, served: &Served, stored: &Stored) -> Vec<Box<str>> {
        let others = stored
            .finalizers
            .iter()
            .filter(|held| !matches!(&***held, FOREGROUND | ORPHAN));
        let mut finalizers: Vec<Box<str>> = others.cloned().collect();
        if !served.strategy.has_dependents() {
            return finalizers;
        }
        let wanted = match (self.orphan_dependents, self.propagation) {
            (Some(true), _) | (None, Some(Propagation::Orphan)) => Some(ORPHAN),
            (None, Some(Propagation::Foreground)) => Some(FOREGROUND),
            (Some(false), _) | (None, Some(Propagation::Background)) => None,
            (None, None) => stored
                .finalizers
                .iter()
                .find_map(|held| [FOREGROUND, ORPHAN].into_iter().find(|it| **held == **it)),
        };
        finalizers.extend(wanted.map(Box::from));
        finalizers
    }
}
