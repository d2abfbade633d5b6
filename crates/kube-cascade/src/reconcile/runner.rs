//! Executing the steps: reads, writes of our own finalizer, the condition, and calls of the
//! [`Lifecycle`].
//!
//! [`Order`] decides; nothing here looks at a finalizer but by it.

use std::{
    error::Error,
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Client,
    api::{GetParams, Patch, PatchParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use thiserror::Error;

use super::{Order, Phase, Step, Work, condition::Condition};
use crate::{
    chain::Chain,
    clock::Clock,
    consumer::{ConsumeError, Consumer, Delivery, Outcome, ParkReason, Parked},
    fence::{Fence, FenceLost},
    kubernetes::{
        CallError, Class, Disposition, Finalizer, Kinds, Meta, Partial, Put, Resource, request,
    },
    object::{Kind, ObjectRef},
};

/// How often an object is judged anew that others have changed before it could be let go.
const ATTEMPTS: usize = 10;

/// How soon a waiting object is looked at again when nothing has been heard of it.
///
/// A source or a controller that reports changes of finalizers is faster; this is what is left
/// when a report is lost.
const RECHECK: Duration = Duration::from_secs(10);

/// What a controller does for its objects.
///
/// # Assumptions
/// Both are idempotent: they are called again after a crash, an error, or an
/// [`Outcome::Recheck`]. Both may be dropped at any await.
pub trait Lifecycle: Send + Sync + 'static {
    /// The object as it is handed over: a type of one's own, or kube's `DynamicObject`.
    type Object: DeserializeOwned + Send;

    /// Makes the world what a live object says. Our finalizer is on it.
    ///
    /// This is where references are put on what the object uses, before it is used.
    fn provision(
        &self,
        object: Self::Object,
    ) -> impl Future<Output = Result<Outcome, ConsumeError>> + Send;

    /// Takes down what was provisioned, also in part: nothing uses the object any more.
    ///
    /// [`Outcome::Done`] says that nothing is left, and lets the object go. This is where references
    /// on what the object used are taken off, last.
    fn deprovision(
        &self,
        object: Self::Object,
    ) -> impl Future<Output = Result<Outcome, ConsumeError>> + Send;
}

/// Carries out an [`Order`] for the objects of one kind.
///
/// # Guarantees
/// - Every decision is made on a live, consistent read.
/// - The own finalizer is put on before anything is provisioned and taken off after everything else
///   is done, by JSON Patches that test the UID, and where it is taken off or is the first one also the
///   list that was judged: nobody's finalizer is lost, and no other object of that name is let go.
/// - What an object waits for is in its condition `Deleting`, written through the status
///   subresource, and only when it changes. A kind without that subresource has no condition, and
///   a condition that cannot be written hinders nothing.
///
/// # Assumptions
/// One call at a time for one object, as queues and kube's `Controller` make them. The account may
/// `get` and `patch` the kind, and `patch` its `status`.
///
/// # Caveats
/// A queue delivers what concerns an object's existence, not changes of its specification: whoever
/// provisions by the specification calls [`reconcile`](Self::reconcile) from a controller that
/// watches that.
///
/// # Examples
/// In the reconcile function of a kube `Controller`; the result maps to its `Action`:
/// ```
/// use std::{sync::Arc, time::Duration};
/// use kube_cascade::{Kind, ObjectRef, Outcome, reconcile::{Lifecycle, ReconcileError, Reconciler}};
///
/// async fn reconcile<L: Lifecycle>(
///     network: ObjectRef,
///     context: Arc<Reconciler<L>>,
/// ) -> Result<Option<Duration>, ReconcileError> {
///     Ok(match context.reconcile(&network).await? {
///         Outcome::Done => None,                               // Action::await_change()
///         Outcome::Recheck(after) => Some(after),              // Action::requeue(after)
///         Outcome::Park(_) => Some(Duration::from_secs(60)),   // and tell somebody
///     })
/// }
/// ```
/// As a consumer: `Queue::builder(source).consumer(reconciler)`, on a source that
/// [reports finalizers](crate::kubernetes::KubernetesSource::every_finalizer).
pub struct Reconciler<L> {
    name: String,
    kinds: Kinds,
    kind: Kind,
    version: Option<String>,
    order: Order,
    lifecycle: L,
    clock: Clock,
    fence: Fence,
    recheck: Duration,
    /// The kind has no status subresource: asked once, not for every object.
    statusless: AtomicBool,
}

/// A reconcile that did not come to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The object could not be read, or its finalizers not be changed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Others have changed the object between each read and write of ours, or undone what we wrote.
    #[error("others have changed {object} meanwhile, {ATTEMPTS} times in a row")]
    Contended {
        /// Which object.
        object: ObjectRef,
        /// The last answer, if it was one that refused.
        source: Option<CallError>,
    },
    /// The object is not what the [`Lifecycle`] takes.
    #[error("failed to read {object} as the type that its controller takes")]
    Decode {
        /// Which object.
        object: ObjectRef,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// [`Lifecycle::provision`] failed.
    #[error("failed to provision {object}")]
    Provision {
        /// Which object.
        object: ObjectRef,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
        /// The shortest wait before another attempt, where one was asked for.
        retry_after: Option<Duration>,
    },
    /// [`Lifecycle::deprovision`] failed.
    #[error("failed to deprovision {object}")]
    Deprovision {
        /// Which object.
        object: ObjectRef,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
        /// The shortest wait before another attempt, where one was asked for.
        retry_after: Option<Duration>,
    },
    /// The lease is lost: another process goes on.
    #[error(transparent)]
    Fence(#[from] FenceLost),
}

impl ReconcileError {
    /// What to do about it, for who has no queue that knows: a controller's error policy.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Call(error) => error.disposition(),
            Self::Contended { .. } => Disposition::Retry,
            Self::Provision { retry_after, .. } | Self::Deprovision { retry_after, .. } => {
                retry_after.map_or(Disposition::Retry, Disposition::RetryAfter)
            }
            Self::Decode { .. } | Self::Fence(_) => Disposition::Permanent,
        }
    }

    /// Why to set the object aside rather than to try again ever more slowly.
    fn park_reason(&self) -> Option<ParkReason> {
        match self {
            Self::Call(error) => error.park_reason(),
            Self::Decode { .. } => Some(ParkReason::Malformed),
            Self::Contended { .. }
            | Self::Provision { .. }
            | Self::Deprovision { .. }
            | Self::Fence(_) => None,
        }
    }
}

impl<L: Lifecycle> Reconciler<L> {
    /// Reconciles objects of `kind`, in the version that the server prefers.
    #[must_use]
    pub fn new(client: Client, kind: Kind, order: Order, lifecycle: L) -> Self {
        Self {
            name: order.own().to_string(),
            kinds: Kinds::new(client),
            kind,
            version: None,
            order,
            lifecycle,
            clock: Clock::system(),
            fence: Fence::always(),
            recheck: RECHECK,
            statusless: AtomicBool::new(false),
        }
    }

    /// Reads the objects in this version, for instance that of [`Lifecycle::Object`].
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the name that logs and metrics of a queue show; the own finalizer unless set.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Writes only while this lease is held.
    #[must_use]
    pub fn fenced(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// Takes `lastTransitionTime` from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Looks at a waiting object this often when nothing is heard of it; every ten seconds unless set.
    #[must_use]
    pub fn recheck_every(mut self, interval: Duration) -> Self {
        self.recheck = interval;
        self
    }

    /// Brings one object as far as it can be brought now.
    ///
    /// [`Outcome::Done`] says that nothing is left to do until the object changes, or that it is
    /// gone; [`Outcome::Recheck`] that somebody has to be waited for, or what the lifecycle asked
    /// for; [`Outcome::Park`] comes from the lifecycle only.
    ///
    /// # Errors
    /// [`ReconcileError`]; what was done until then was done, and a further call goes on.
    pub async fn reconcile(&self, object: &ObjectRef) -> Result<Outcome, ReconcileError> {
        let resource = self.resource().await?;
        let turn = Turn {
            reconciler: self,
            resource: &resource,
            object,
        };
        let ended = turn.take().await;
        if let Err(ReconcileError::Call(error)) = &ended {
            self.kinds.forget_unserved(&self.kind, error);
        }
        ended
    }

    async fn resource(&self) -> Result<Resource, CallError> {
        let mut resource = self.kinds.resolve(&self.kind).await?;
        if let Some(version) = &self.version {
            let group = &resource.api.group;
            resource.api.api_version = if group.is_empty() {
                version.clone()
            } else {
                format!("{group}/{version}")
            };
            resource.api.version.clone_from(version);
        }
        Ok(resource)
    }
}

impl<L: Lifecycle> Consumer for Reconciler<L> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        let envelope = delivery.envelope();
        let namespace = envelope.key().namespace().map(Into::into);
        let object = ObjectRef::new(self.kind.clone(), namespace, envelope.name());
        self.reconcile(&object).await.or_else(|error| {
            if let Some(reason) = error.park_reason() {
                let parked = Parked::new(reason, Chain(&error).to_string());
                return Ok(Outcome::Park(parked));
            }
            Err(error.into())
        })
    }
}

/// An object as one read showed it.
struct Seen {
    meta: Meta,
    whole: Value,
}

/// One call for one object.
struct Turn<'a, L> {
    reconciler: &'a Reconciler<L>,
    resource: &'a Resource,
    object: &'a ObjectRef,
}

impl<L: Lifecycle> Turn<'_, L> {
    async fn take(&self) -> Result<Outcome, ReconcileError> {
        let Reconciler {
            order,
            lifecycle,
            recheck,
            ..
        } = self.reconciler;
        let (mut done_for, mut said, mut attempts) = (None, None, 1);
        let mut seen = self.read().await?;
        loop {
            let Some(Seen { meta, whole }) = seen else {
                return Ok(Outcome::Done);
            };
            let work = match &done_for {
                // Another object of this name has nothing to do with what was taken down.
                Some(uid) if *uid == meta.uid => Work::Done,
                _ => Work::Pending,
            };
            let phase = if meta.terminating() {
                Phase::Terminating
            } else {
                Phase::Live
            };
            let step = order.step(phase, &meta.finalizers, work);
            let condition =
                Condition::of(&step).filter(|condition| Some(condition) != said.as_ref());
            if let Some(condition) = condition
                && let Some(written) = self.tell(&whole, &condition).await?
            {
                // It may have changed since it was read: what is acted on is what was judged.
                (seen, said) = (Some(written), Some(condition));
                continue;
            }
            match step {
                Step::Leave => return Ok(Outcome::Done),
                Step::WaitForReferences(_) | Step::WaitForDependents(_) | Step::WaitForChildren => {
                    return Ok(Outcome::Recheck(*recheck));
                }
                // Whoever takes our finalizer off again and again wins in the end.
                Step::Adopt if attempts == ATTEMPTS => return Err(self.contended(None)),
                Step::Adopt => {
                    self.adopt(&meta.uid).await?;
                    attempts += 1;
                }
                Step::Provision => {
                    let provisioned = lifecycle.provision(self.decode(whole)?).await;
                    return provisioned.map_err(|error| self.not_provisioned(error));
                }
                Step::Deprovision => {
                    let deprovisioned = lifecycle.deprovision(self.decode(whole)?).await;
                    match deprovisioned.map_err(|error| self.not_deprovisioned(error))? {
                        Outcome::Done => done_for = Some(meta.uid),
                        later => return Ok(later),
                    }
                }
                Step::Finish => match self.finish(&meta).await {
                    Ok(()) => return Ok(Outcome::Done),
                    // The object is not as it was judged: the next read says how it is.
                    Err(ReconcileError::Call(error)) if is_stale(&error) => {
                        if attempts == ATTEMPTS {
                            return Err(self.contended(Some(error)));
                        }
                        attempts += 1;
                    }
                    Err(error) => return Err(error),
                },
            }
            seen = self.read().await?;
        }
    }

    /// Puts our finalizer on the live object; what hinders it, the next read shows.
    async fn adopt(&self, uid: &str) -> Result<(), ReconcileError> {
        let finalizer = Finalizer {
            client: self.reconciler.kinds.client(),
            resource: self.resource,
            object: self.object,
            name: self.reconciler.order.own().as_str(),
        };
        let may_write = || Ok::<_, ReconcileError>(self.reconciler.fence.check()?);
        match finalizer.put(Some(uid), may_write).await? {
            Put::Contended(error) => Err(self.contended(Some(error))),
            Put::Written | Put::WasThere | Put::Terminating | Put::Gone => Ok(()),
        }
    }

    /// Takes our finalizer off the object, if that is still as it was judged.
    async fn finish(&self, judged: &Meta) -> Result<(), ReconcileError> {
        self.reconciler.fence.check()?;
        let own = self.reconciler.order.own();
        let patch = json_patch(&finishing(judged, own.as_str()));
        let params = PatchParams::default();
        let sent = self
            .requests()
            .patch_metadata(self.object.name(), &params, &patch);
        let attempted = || format!("take the finalizer {own} off {}", self.object);
        self.send::<Partial>(attempted, sent).await?;
        Ok(())
    }

    /// A live, consistent read of the whole object.
    async fn read(&self) -> Result<Option<Seen>, ReconcileError> {
        let get = self
            .requests()
            .get(self.object.name(), &GetParams::default());
        let attempted = || format!("get {}", self.object);
        let whole = match self.send::<Value>(attempted, get).await {
            Ok(whole) => whole,
            Err(error) if *error.class() == Class::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.seen(whole).map(Some)
    }

    fn seen(&self, whole: Value) -> Result<Seen, ReconcileError> {
        let partial = Partial::deserialize(&whole).map_err(|source| self.undecoded(source))?;
        let meta = partial.metadata;
        Ok(Seen { meta, whole })
    }

    /// Writes the condition where the object does not have it yet, and returns the object as it is
    /// then, if that was done; what hinders it is no reason to hold up a deletion.
    async fn tell(
        &self,
        whole: &Value,
        condition: &Condition,
    ) -> Result<Option<Seen>, ReconcileError> {
        let Reconciler {
            clock,
            fence,
            statusless,
            ..
        } = self.reconciler;
        if statusless.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let now = Timestamp::try_from(clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let Some(patch) = condition.patch(whole, now) else {
            return Ok(None);
        };
        fence.check()?;
        let (params, patch) = (PatchParams::default(), json_patch(&patch));
        let sent = self
            .requests()
            .patch_subresource("status", self.object.name(), &params, &patch);
        let attempted = || format!("write the condition of {}", self.object);
        match self.send::<Value>(attempted, sent).await {
            Ok(written) => return self.seen(written).map(Some),
            Err(error) if is_missing(&error) => {
                // For want of the subresource a custom resource's server says that there is no such
                // object, although there is.
                let is_there = |seen: Seen| whole["metadata"]["uid"] == *seen.meta.uid;
                if self
                    .read()
                    .await
                    .is_ok_and(|seen| seen.is_some_and(is_there))
                {
                    tracing::info!(kind = %self.object.kind(), "no status subresource, no condition");
                    statusless.store(true, Ordering::Relaxed);
                }
            }
            // Somebody else was faster, or it is gone: the next look writes what is left to say.
            // Or the kind's schema has no room for conditions, and it never is.
            Err(error) if is_stale(&error) => tracing::info!(error = %Chain(&error)),
            Err(error) => tracing::warn!(error = %Chain(&error)),
        }
        Ok(None)
    }

    fn requests(&self) -> kube::core::Request {
        self.resource.requests(self.object.namespace())
    }

    async fn send<T: DeserializeOwned>(
        &self,
        attempted: impl Fn() -> String,
        sent: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, CallError> {
        request(self.reconciler.kinds.client(), attempted, sent).await
    }

    fn contended(&self, source: Option<CallError>) -> ReconcileError {
        let object = self.object.clone();
        ReconcileError::Contended { object, source }
    }

    fn decode(&self, whole: Value) -> Result<L::Object, ReconcileError> {
        serde_json::from_value(whole).map_err(|source| self.undecoded(source))
    }

    fn undecoded(&self, source: serde_json::Error) -> ReconcileError {
        let object = self.object.clone();
        ReconcileError::Decode { object, source }
    }

    fn not_provisioned(&self, error: ConsumeError) -> ReconcileError {
        let (source, retry_after) = error.into_parts();
        ReconcileError::Provision {
            object: self.object.clone(),
            source,
            retry_after,
        }
    }

    fn not_deprovisioned(&self, error: ConsumeError) -> ReconcileError {
        let (source, retry_after) = error.into_parts();
        ReconcileError::Deprovision {
            object: self.object.clone(),
            source,
            retry_after,
        }
    }
}

/// Whether a patch may have failed because the object is not as it was read: a failed test, a
/// deletion that has begun, an object that is gone.
fn is_stale(error: &CallError) -> bool {
    matches!(
        error.class(),
        Class::Invalid | Class::Conflict | Class::NotFound
    )
}

fn is_missing(error: &CallError) -> bool {
    matches!(error.class(), Class::NotFound | Class::NotServed)
}

fn json_patch(patch: &Value) -> Patch<()> {
    let patch = serde_json::from_value(patch.clone()).expect("the operations are well-formed");
    Patch::Json(patch)
}

/// Takes `own` from among the finalizers that were judged, and from no other list: between the two
/// a foreground DELETE may have asked to wait for children.
fn finishing(meta: &Meta, own: &str) -> Value {
    let list = "/metadata/finalizers";
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": meta.uid}),
        json!({"op": "test", "path": list, "value": meta.finalizers}),
    ];
    // From the last one on, so that no place moves before its turn; two processes that put it on at
    // once have put it on twice.
    for (place, name) in meta.finalizers.iter().enumerate().rev() {
        if name == own {
            patch.push(json!({"op": "remove", "path": format!("{list}/{place}")}));
        }
    }
    Value::Array(patch)
}

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
