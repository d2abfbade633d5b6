//! The only file that deletes.
//!
//! Every DELETE carries the UID and the resource version that were judged, and a propagation
//! policy; the lease is looked at before each. What to delete was decided by
//! [`judge`](super::judge), and when to go on is decided by the pass of
//! [`CascadingDelete`](super::CascadingDelete).

use std::time::Duration;

use futures::{StreamExt, stream};
use http::{HeaderValue, Request, header::ACCEPT};
use kube::api::{DeleteParams, Preconditions};
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout_at};

use super::{
    judge::Warrant,
    notice::Answer,
    pace::Pace,
    plan::{Plan, Propagation, Target},
};
use crate::{
    kubernetes::{CallError, Class, Kinds, Resource, request},
    object::ObjectRef,
};

/// How long a warrant is good for; what was not begun by then is confirmed and judged again.
const WARRANT: Duration = Duration::from_secs(30);

/// Carries warrants out.
pub(super) struct Deleter<'a, F> {
    pub(super) kinds: &'a Kinds,
    pub(super) pace: &'a Pace,
    /// Whether the lease is held and nobody is stopping us; asked before every DELETE.
    pub(super) may_begin: F,
}

/// What came of a warrant.
#[derive(Default)]
pub(super) struct Applied {
    /// DELETEs sent.
    pub(super) attempted: usize,
    /// Deleted by us, now.
    pub(super) deleted: usize,
    /// Written by others since they were judged: to be read and judged again.
    pub(super) contended: Vec<Target>,
    /// Not deleted, or not known to be; one failure never stops the others.
    pub(super) failed: Vec<(ObjectRef, CallError)>,
    /// The lease is lost or we are being stopped; nothing more may be begun.
    pub(super) barred: bool,
    /// The pass has taken long enough, and something is left to do at once.
    pub(super) turn_over: bool,
    /// What the warrant did not cover, or no longer: to be judged again.
    pub(super) rest: Plan,
}

impl<F: Fn() -> bool> Deleter<'_, F> {
    /// Deletes the warrant's batch, each object once, as many at a time as the pace allows.
    pub(super) async fn apply(
        &self,
        warrant: Warrant,
        report: impl Fn(&Target, Answer),
    ) -> Applied {
        let expires = Instant::now() + WARRANT;
        let (batch, rest) = warrant.into_parts();
        let mut applied = Applied {
            rest,
            ..Applied::default()
        };
        let deletes: Vec<_> = batch
            .into_iter()
            .map(|target| self.attempt(target, expires, &report))
            .collect();
        let mut deletes = stream::iter(deletes).buffer_unordered(self.pace.in_flight().get());
        while let Some((target, attempt)) = deletes.next().await {
            match attempt {
                Attempt::Expired => applied.rest.put_back([target]),
                Attempt::Barred => applied.barred = true,
                Attempt::Answered(result) => applied.file(target, result),
            }
        }
        applied
    }

    async fn attempt(
        &self,
        target: Target,
        expires: Instant,
        report: &impl Fn(&Target, Answer),
    ) -> (Target, Attempt) {
        // A target that is out of time must not use up a turn of the pace.
        let Ok(_turn) = timeout_at(expires, self.pace.turn()).await else {
            return (target, Attempt::Expired);
        };
        let resource = match self.kinds.resolve(target.object().kind()).await {
            Ok(resource) => resource,
            Err(error) => {
                let result = Err(error);
                report(&target, Answer::of(&result));
                return (target, Attempt::Answered(result));
            }
        };
        // Nothing is waited for from here to the DELETE.
        if !(self.may_begin)() {
            return (target, Attempt::Barred);
        }
        let in_flight = InFlight {
            target: &target,
            report,
            answer: Answer::Unknown,
        };
        let result = self.delete(&target, &resource).await;
        in_flight.answered(Answer::of(&result));
        (target, Attempt::Answered(result))
    }

    /// The one DELETE of the project.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that deletes"
    )]
    async fn delete(&self, target: &Target, resource: &Resource) -> Result<(), CallError> {
        let object = target.object();
        let policy = match target.propagation() {
            Propagation::Foreground => DeleteParams::foreground(),
            Propagation::Background => DeleteParams::background(),
        };
        let params = policy.preconditions(Preconditions {
            uid: Some(target.uid().to_string()),
            resource_version: Some(target.resource_version().to_owned()),
        });
        let delete = resource
            .requests(object.namespace())
            .delete(object.name(), &params)
            .map(metadata_only);
        let attempted = || format!("delete {object}");
        let answer = request::<IgnoredAny>(self.kinds.client(), attempted, delete).await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                self.kinds.forget_unserved(object.kind(), &error);
                Err(error)
            }
        }
    }
}

/// A DELETE that is reported when it is answered, and as unknown when nobody waits for its answer
/// any longer: it may have been carried out all the same.
struct InFlight<'a, R: Fn(&Target, Answer)> {
    target: &'a Target,
    report: &'a R,
    answer: Answer,
}

impl<R: Fn(&Target, Answer)> InFlight<'_, R> {
    fn answered(mut self, answer: Answer) {
        self.answer = answer;
    }
}

impl<R: Fn(&Target, Answer)> Drop for InFlight<'_, R> {
    fn drop(&mut self) {
        (self.report)(self.target, self.answer);
    }
}

/// What the answer of a DELETE is to hold; a server that cannot leave things out sends everything.
const METADATA: HeaderValue = HeaderValue::from_static(
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
);

/// Asks for no more of the deleted object than its metadata. None of it is used, and an object may
/// have more than a megabyte: in each answer, and as many answers at a time as the pace allows.
fn metadata_only(mut delete: Request<Vec<u8>>) -> Request<Vec<u8>> {
    delete.headers_mut().insert(ACCEPT, METADATA);
    delete
}

enum Attempt {
    Expired,
    Barred,
    Answered(Result<(), CallError>),
}

impl Applied {
    fn file(&mut self, target: Target, result: Result<(), CallError>) {
        self.attempted += 1;
        match result {
            Ok(()) => self.deleted += 1,
            Err(error) => match error.class() {
                // Somebody else was faster; that is what was wanted.
                Class::NotFound => {}
                Class::Conflict => self.contended.push(target),
                _ => self.failed.push((target.object().clone(), error)),
            },
        }
    }

    /// Adds what came of a later warrant of the same pass.
    pub(super) fn absorb(&mut self, later: Self) {
        self.attempted += later.attempted;
        self.deleted += later.deleted;
        self.contended.extend(later.contended);
        self.failed.extend(later.failed);
        self.barred |= later.barred;
        self.rest = later.rest;
    }
}
