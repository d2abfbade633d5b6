//! One finalizer on one object: put on and taken off, without ever losing another's.
//!
//! Owns the one way by which this crate changes finalizers, holds and references alike; which
//! finalizer, and when, is decided by [`hold`](crate::hold) and [`reference`](crate::reference).
//!
//! # How
//! Read the object, then send a JSON Patch that tests what it was computed from. The server applies
//! it to the object as it is then, and answers 422 when a test fails; the object is then read again.
//! - *Putting* tests the UID and appends. That cannot conflict with anybody, except for who puts the
//!   very first finalizer on: where the list is absent there is nothing to append to.
//! - *Taking off* tests the UID and every place of the finalizer, because JSON Patch removes by
//!   place only. It conflicts with whoever takes off what stands before it.
//!
//! # Why so
//! 32 writers, 500 finalizers, one object, on a real server (`cargo xtask bench references`):
//! replacing the object costs 27 requests an operation, and so does testing the whole list; testing
//! the place costs 10, and waiting before the next attempt, each for another time, makes 3 to 4 of
//! them. Server-side apply with a field manager for each finalizer takes a single one, but each
//! leaves 280 bytes of `managedFields` as long as it is on, and the server's work grows with the
//! square of their number: 500 did not end within minutes.
//!
//! A finalizer that two processes put on in the same moment may be there twice. That does no harm:
//! the server takes it, and all of its places are cleared together.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    call::{CallError, Class, request},
    kind::Resource,
    object::{Meta, Partial},
};
use crate::object::ObjectRef;

/// How often a patch is computed anew after its test has failed.
pub(crate) const ATTEMPTS: u32 = 10;

/// The longest wait before the second attempt, doubled for each further one; each is between half
/// of it and the whole. With 10 ms an operation of 64 finalizers took 5.1 requests, with 100 ms 3.8.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait, where reading and writing take no longer than [`FIRST_WAIT`]. Where they take
/// longer, all waits grow with them: what matters is how many others write between the two.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait of all.
const PATIENCE: Duration = Duration::from_secs(10);

/// One finalizer of one object.
pub(crate) struct Finalizer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) resource: &'a Resource,
    pub(crate) object: &'a ObjectRef,
    pub(crate) name: &'a str,
}

/// How an attempt to put a finalizer on ended.
#[derive(Debug)]
pub(crate) enum Put {
    /// This call has put it on.
    Written,
    /// It was there.
    WasThere,
    /// The object terminates: nothing was written.
    Terminating,
    /// The object is not there, or another one has its name: nothing was written.
    Gone,
    /// Others have changed the object again and again: this is the last answer.
    Contended(CallError),
}

/// How an attempt to take a finalizer off ended.
#[derive(Debug)]
pub(crate) enum Removed {
    /// This call has taken it off.
    Written,
    /// It was not there, or the object is not, or another one has its name.
    WasOff,
    /// Others have changed the object again and again: this is the last answer.
    Contended(CallError),
}

impl Finalizer<'_> {
    /// Puts the finalizer on the object, unless that terminates or has another UID than wanted.
    ///
    /// `may_write` is asked before each patch.
    pub(crate) async fn put<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<Put, E> {
        let mut attempts = Attempts::default();
        loop {
            let begun = Instant::now();
            let Some(meta) = self.read(uid).await? else {
                return Ok(Put::Gone);
            };
            if self.is_on(&meta) {
                return Ok(Put::WasThere);
            }
            if meta.terminating() {
                return Ok(Put::Terminating);
            }
            attempts.is_stale(&meta)?;
            may_write()?;
            match self.patch(&put_patch(&meta, self.name)).await {
                Ok(()) => return Ok(Put::Written),
                Err(error) => {
                    let took = begun.elapsed();
                    if let Some(last) = attempts.failed(error, meta, self.name, took).await? {
                        return Ok(Put::Contended(last));
                    }
                }
            }
        }
    }

    /// Takes the finalizer off the object, wherever it is in the list and however often.
    ///
    /// `may_write` is asked before each patch.
    pub(crate) async fn remove<E: From<CallError>>(
        &self,
        uid: Option<&str>,
        may_write: impl Fn() -> Result<(), E>,
    ) -> Result<Removed, E> {
        let mut attempts = Attempts::default();
        loop {
            let begun = Instant::now();
            let Some(meta) = self.read(uid).await?.filter(|meta| self.is_on(meta)) else {
                return Ok(Removed::WasOff);
            };
            attempts.is_stale(&meta)?;
            may_write()?;
            match self.patch(&remove_patch(&meta, self.name)).await {
                Ok(()) => return Ok(Removed::Written),
                Err(error) => {
                    let took = begun.elapsed();
                    if let Some(last) = attempts.failed(error, meta, self.name, took).await? {
                        return Ok(Removed::Contended(last));
                    }
                }
            }
        }
    }

    async fn read(&self, uid: Option<&str>) -> Result<Option<Meta>, CallError> {
        let (namespace, name) = (self.object.namespace(), self.object.name());
        let found = self.resource.get(self.client, namespace, name).await?;
        Ok(found.filter(|meta| uid.is_none_or(|uid| *uid == *meta.uid)))
    }

    fn is_on(&self, meta: &Meta) -> bool {
        meta.finalizers.iter().any(|name| name == self.name)
    }

    async fn patch(&self, patch: &Value) -> Result<(), CallError> {
        let patch = serde_json::from_value(patch.clone()).expect("the operations are well-formed");
        let patch = Patch::<()>::Json(patch);
        let requests = self.resource.requests(self.object.namespace());
        let attempted = || format!("change the finalizer {} of {}", self.name, self.object);
        let sent = requests.patch_metadata(self.object.name(), &PatchParams::default(), &patch);
        let patched = request::<Partial>(self.client, attempted, sent).await;
        patched.map(|_| ())
    }
}

/// The attempts to write one change, and why the last one failed.
#[derive(Default)]
struct Attempts {
    made: u32,
    /// What the server refused, and the version of the object that it was computed from.
    refused: Option<(CallError, Arc<str>)>,
}

impl Attempts {
    /// An error, if the last patch cannot have failed because the object had changed by then.
    ///
    /// If it is still as it was read, no test of the patch can have failed, and it is not gone: the
    /// server refuses the change itself, and will do so again.
    fn is_stale(&mut self, now: &Meta) -> Result<(), CallError> {
        match self.refused.take() {
            Some((error, version)) if version == now.resource_version => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits before the next attempt; the error itself, once there were enough.
    ///
    /// Only a failed test, an object that began to terminate or one that is gone make another
    /// attempt worth it. The next read says which; there is no use in waiting for what is gone.
    async fn failed(
        &mut self,
        error: CallError,
        computed_from: Meta,
        name: &str,
        took: Duration,
    ) -> Result<Option<CallError>, CallError> {
        let class = error.class().clone();
        if !matches!(class, Class::NotFound | Class::Invalid | Class::Conflict) {
            return Err(error);
        }
        self.made += 1;
        if self.made == ATTEMPTS {
            return Ok(Some(error));
        }
        let version = computed_from.resource_version;
        if class != Class::Conflict {
            self.refused = Some((error, Arc::clone(&version)));
        }
        if class != Class::NotFound {
            tokio::time::sleep(wait(self.made, took, (name, &version))).await;
        }
        Ok(None)
    }
}

/// The wait after this many failed attempts, at least one, the last of which took so long.
///
/// Who else failed on the same version of the object wants another finalizer, and waits for another
/// time. Drawn from these two and from no generator, so that a run can be repeated.
fn wait(attempts: u32, took: Duration, (name, version): (&str, &str)) -> Duration {
    let mut hasher = DefaultHasher::new();
    (attempts, name, version).hash(&mut hasher);
    let [low, ..] = hasher.finish().to_le_bytes();
    let slow = took.div_duration_f64(FIRST_WAIT).max(1.0);
    let doubled = FIRST_WAIT * 2_u32.saturating_pow(attempts - 1);
    let most = doubled.min(LONGEST_WAIT).mul_f64(slow).min(PATIENCE);
    most / 2 + most / 512 * u32::from(low)
}

fn test_uid(meta: &Meta) -> Value {
    json!({"op": "test", "path": "/metadata/uid", "value": meta.uid})
}

fn put_patch(meta: &Meta, name: &str) -> Value {
    if meta.finalizers.is_empty() {
        return json!([
            test_uid(meta),
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": [name]},
        ]);
    }
    json!([
        test_uid(meta),
        {"op": "add", "path": "/metadata/finalizers/-", "value": name},
    ])
}

fn remove_patch(meta: &Meta, name: &str) -> Value {
    let mut operations = vec![test_uid(meta)];
    // From the last one on, so that no place moves before its turn.
    for (place, _) in meta
        .finalizers
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, it)| *it == name)
    {
        let path = format!("/metadata/finalizers/{place}");
        operations.push(json!({"op": "test", "path": path, "value": name}));
        operations.push(json!({"op": "remove", "path": path}));
    }
    Value::Array(operations)
}

#[cfg(test)]
mod tests;
