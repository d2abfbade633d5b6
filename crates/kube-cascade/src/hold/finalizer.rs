//! Putting a hold on an upstream and taking it off, without ever losing another's finalizer.
//!
//! Both are JSON Patches that test what they were computed from: the object's UID, and the list of
//! finalizers or our place in it. The server applies a patch to the object as it is then, and
//! answers 422 when a test fails; the object is then read again.

use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::HoldName;
use crate::{
    kubernetes::{CallError, Class, Meta, Partial, Resource, request},
    object::ObjectRef,
};

/// How often a patch is computed anew after its test has failed.
const ATTEMPTS: usize = 10;

/// How an attempt to put a hold ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Put {
    /// The hold is on the upstream.
    Held,
    /// The upstream terminates or is gone, or another one has its name: nothing was written.
    TooLate,
}

/// One upstream, for its hold.
pub(crate) struct Holder<'a> {
    pub(crate) client: &'a Client,
    pub(crate) resource: &'a Resource,
    pub(crate) object: &'a ObjectRef,
    pub(crate) hold: &'a HoldName,
}

impl Holder<'_> {
    /// Puts the hold on a live upstream; never on one that terminates.
    ///
    /// # Errors
    /// A read or write that failed, or `Conflict` after several changes by others in a row.
    pub(crate) async fn put(&self, uid: Option<&str>) -> Result<Put, CallError> {
        for _ in 0..ATTEMPTS {
            let Some(meta) = self.read().await? else {
                return Ok(Put::TooLate);
            };
            if meta.terminating() || uid.is_some_and(|uid| *uid != *meta.uid) {
                return Ok(Put::TooLate);
            }
            if self.place(&meta).is_some() {
                return Ok(Put::Held);
            }
            if self.patch(&put_patch(&meta, self.hold)).await? == Patched::Done {
                return Ok(Put::Held);
            }
        }
        Err(CallError::new(
            format!("put the hold on {}", self.object),
            Class::Conflict,
        ))
    }

    /// Takes the hold off; done when it is not there, or the upstream is not.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) async fn release(&self, uid: Option<&str>) -> Result<(), CallError> {
        for _ in 0..ATTEMPTS {
            let Some(meta) = self.read().await? else {
                return Ok(());
            };
            if uid.is_some_and(|uid| *uid != *meta.uid) {
                return Ok(());
            }
            let Some(place) = self.place(&meta) else {
                return Ok(());
            };
            if self.patch(&release_patch(&meta, place, self.hold)).await? == Patched::Done {
                return Ok(());
            }
        }
        Err(CallError::new(
            format!("release the hold on {}", self.object),
            Class::Conflict,
        ))
    }

    async fn read(&self) -> Result<Option<Meta>, CallError> {
        self.resource
            .get(self.client, self.object.namespace(), self.object.name())
            .await
    }

    fn place(&self, meta: &Meta) -> Option<usize> {
        meta.finalizers
            .iter()
            .position(|name| name == self.hold.as_str())
    }

    async fn patch(&self, patch: &Value) -> Result<Patched, CallError> {
        let patch = serde_json::from_value(patch.clone()).expect("the operations are well-formed");
        let patch = Patch::<()>::Json(patch);
        let requests = self.resource.requests(self.object.namespace());
        let attempted = || format!("change the finalizers of {}", self.object);
        let sent = requests.patch_metadata(self.object.name(), &PatchParams::default(), &patch);
        match request::<Partial>(self.client, attempted, sent).await {
            Ok(_) => Ok(Patched::Done),
            Err(error) => match error.class() {
                // A failed test, or an upstream that began to terminate: the next read says which.
                Class::Invalid | Class::Conflict | Class::NotFound => Ok(Patched::Stale),
                _ => Err(error),
            },
        }
    }
}

#[derive(Eq, PartialEq)]
enum Patched {
    Done,
    Stale,
}

fn put_patch(meta: &Meta, hold: &HoldName) -> Value {
    let add = if meta.finalizers.is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [hold.as_str()]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": hold.as_str()})
    };
    let before = if meta.finalizers.is_empty() {
        Value::Null
    } else {
        json!(meta.finalizers)
    };
    json!([
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": "/metadata/finalizers", "value": before},
        add,
    ])
}

fn release_patch(meta: &Meta, place: usize, hold: &HoldName) -> Value {
    let path = format!("/metadata/finalizers/{place}");
    json!([
        {"op": "test", "path": "/metadata/uid", "value": meta.uid},
        {"op": "test", "path": path, "value": hold.as_str()},
        {"op": "remove", "path": path},
    ])
}
