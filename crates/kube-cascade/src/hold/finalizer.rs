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
    /// The hold has been put on the upstream.
    Held,
    /// The hold was on the upstream already.
    Already,
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
    /// `may_write` is asked before each patch.
    ///
    /// # Errors
    /// A read or write that failed; after several changes by others in a row, the last of these.
    pub(crate) async fn put<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<Put, E> {
        let mut attempts = 1;
        loop {
            let Some(meta) = self.read().await? else {
                return Ok(Put::TooLate);
            };
            if meta.terminating() || uid.is_some_and(|uid| *uid != *meta.uid) {
                return Ok(Put::TooLate);
            }
            if self.place(&meta).is_some() {
                return Ok(Put::Already);
            }
            may_write()?;
            match self.patch(&put_patch(&meta, self.hold)).await {
                Ok(()) => return Ok(Put::Held),
                Err(error) if is_stale(&error) && attempts < ATTEMPTS => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the hold off; done when it is not there, or the upstream is not.
    ///
    /// `may_write` is asked before each patch.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) async fn release<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut attempts = 1;
        loop {
            let Some(meta) = self.read().await? else {
                return Ok(());
            };
            let place = self.place(&meta);
            let Some(place) = place.filter(|_| uid.is_none_or(|uid| *uid == *meta.uid)) else {
                return Ok(());
            };
            may_write()?;
            match self.patch(&release_patch(&meta, place, self.hold)).await {
                Ok(()) => return Ok(()),
                Err(error) if is_stale(&error) && attempts < ATTEMPTS => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        }
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

    async fn patch(&self, patch: &Value) -> Result<(), CallError> {
        let patch = serde_json::from_value(patch.clone()).expect("the operations are well-formed");
        let patch = Patch::<()>::Json(patch);
        let requests = self.resource.requests(self.object.namespace());
        let attempted = || {
            let (hold, object) = (self.hold, self.object);
            format!("change the finalizer {hold} of {object}")
        };
        let sent = requests.patch_metadata(self.object.name(), &PatchParams::default(), &patch);
        let patched = request::<Partial>(self.client, attempted, sent).await;
        patched.map(|_| ())
    }
}

/// Whether a patch may have failed because the object is not as it was read: a failed test, an
/// upstream that began to terminate or is gone. The next read says which.
fn is_stale(error: &CallError) -> bool {
    matches!(
        error.class(),
        Class::Invalid | Class::Conflict | Class::NotFound
    )
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
