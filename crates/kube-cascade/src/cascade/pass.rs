//! What [`CascadingDelete`] does on a delivery, from top to bottom.
//!
//! A live upstream gets its hold. One that is being deleted gets a pass: **read** the dependents,
//! **confirm** the upstream, **judge**, **apply**, and then decide when to look again. Nothing here
//! sends a DELETE; [`apply`](super::apply) does, and takes a warrant for it.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    CascadeError, CascadingDelete, Hold, Mode,
    apply::{Applied, Deleter},
    delete::lock,
    judge::{Case, Evidence, Refusal, Sighting, judge},
    notice::{Answer, Notice},
    plan::{Plan, Summary, Target},
    progress::{HoldBackoff, Next},
    read::{Again, Selected, again, read},
};
use crate::{
    consumer::{Outcome, ParkReason, Parked},
    envelope::{Envelope, State},
    hold::{HoldName, Holder, Put},
    kubernetes::{CallError, HELD},
    object::ObjectRef,
};

/// Rounds in which objects that others keep writing are read and judged again before they are
/// parked as contended.
///
/// With a round trip of 10 ms a writer every 10 ms was beaten within 0.3 s; with 30 ms, never.
const CONTENDED_ROUNDS: usize = 20;

/// How soon an upstream is looked at that took the place of another under the same hint.
const NEXT: Duration = Duration::from_secs(1);

/// How many contended objects a message names.
const NAMED: usize = 3;

impl CascadingDelete {
    /// A live upstream: no cascade, and the hold as the configuration wants it.
    pub(super) async fn live(&self, envelope: &Envelope) -> Result<Outcome, CascadeError> {
        self.forget_predecessor(envelope);
        let held = envelope.etag().map(|etag| etag == HELD);
        match &self.hold {
            // Nothing can carry an ID that is no label value, so there is nothing to hold for.
            Some(Hold::Keep(name))
                if self.mode == Mode::Enforce && self.select(envelope).is_ok() =>
            {
                if held == Some(true) {
                    Ok(Outcome::Done)
                } else {
                    self.put(envelope, name).await
                }
            }
            Some(unwanted) if held != Some(false) => {
                self.release(envelope, unwanted.name()).await?;
                Ok(Outcome::Done)
            }
            _ => Ok(Outcome::Done),
        }
    }

    /// One pass over the dependents of an upstream that is said to be going or gone.
    pub(super) async fn pass(&self, envelope: &Envelope) -> Result<Outcome, CascadeError> {
        if envelope.state().is_gone() && self.is_completed(envelope) {
            return Ok(self.forget(envelope));
        }
        let selected = match self.select(envelope) {
            Ok(selected) => selected,
            Err(parked) => return self.invalid_id(envelope, parked).await,
        };
        let case = self.case(envelope).await?;
        let object = self.upstream.object(envelope);
        let namespace = object.as_ref().and_then(ObjectRef::namespace);
        let plan = read(&self.kinds, &selected, namespace).await?;
        // Only now: a namesake that appeared before the lists were read is seen here, and one that
        // appears later has dependents that are on no list.
        let evidence = self.confirm(envelope).await?;
        let found = Found {
            empty: plan.is_empty(),
            waiting: plan.waiting().len(),
        };
        if self.mode == Mode::Report {
            return self.report(envelope, plan, &evidence, &case).await;
        }
        match self
            .carry_out(envelope, plan, &evidence, &case, &selected)
            .await?
        {
            Ok(applied) => self.conclude(envelope, &evidence, applied, &found).await,
            Err(refusal) => Ok(self.refused(envelope, &refusal, &found)),
        }
    }

    /// Every selector that the ID makes, or why it can make none.
    fn select(&self, envelope: &Envelope) -> Result<Vec<Selected<'_>>, Parked> {
        let id = envelope.id().as_str();
        let selected = self.dependents.iter().map(|dependent| {
            let selector = dependent.selection().selector(id)?;
            Ok(Selected {
                dependent,
                selector,
            })
        });
        let selected: Result<_, super::InvalidLabelValue> = selected.collect();
        selected.map_err(|error| Parked::new(ParkReason::InvalidId, error.to_string()))
    }

    /// What is known of the deletion before anything is read.
    async fn case(&self, envelope: &Envelope) -> Result<Case, CascadeError> {
        let (uid, definition, frozen) = self.with_progress(envelope, |progress| {
            (
                progress.uid.clone(),
                progress.definition.clone(),
                progress.frozen.clone(),
            )
        });
        let definition = match envelope.definition().map(Arc::from).or(definition) {
            // The hint comes from no source of ours; what is there now is held against what is
            // there after the lists.
            None => self.upstream.definition().await?,
            known => known,
        };
        self.with_progress(envelope, |progress| {
            progress.definition.clone_from(&definition);
        });
        Ok(Case {
            uid,
            witnessed: *envelope.state() == State::Vanished,
            definition,
            id_is_uid: self.upstream.id_is_uid(),
            hold: matches!(self.hold, Some(Hold::Keep(_))),
            frozen,
            limit: self.limit,
        })
    }

    async fn confirm(&self, envelope: &Envelope) -> Result<Evidence, CallError> {
        self.upstream
            .confirm(envelope, self.hold.as_ref().map(Hold::name))
            .await
    }

    /// Judges and applies batch after batch, confirming the upstream for each.
    async fn carry_out(
        &self,
        envelope: &Envelope,
        mut plan: Plan,
        evidence: &Evidence,
        case: &Case,
        selected: &[Selected<'_>],
    ) -> Result<Result<Applied, Refusal>, CascadeError> {
        let (summary, uids) = (plan.summary(), plan.uids());
        let mut applied = Applied::default();
        let mut warrant = match judge(plan, evidence, case) {
            Ok(warrant) => warrant,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.begin(envelope, evidence, &summary, uids);
        loop {
            applied.absorb(self.deleter().apply(warrant, self.audit(envelope)).await);
            if applied.barred || applied.rest.targets().is_empty() {
                break;
            }
            plan = std::mem::take(&mut applied.rest);
            warrant = match judge(plan, &self.confirm(envelope).await?, case) {
                Ok(warrant) => warrant,
                Err(refusal) => return Ok(Err(refusal)),
            };
        }
        match self.contend(envelope, case, selected, &mut applied).await? {
            Ok(()) => Ok(Ok(applied)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Remembers what the cascade is about, and tells of a beginning that has something to do.
    fn begin(
        &self,
        envelope: &Envelope,
        evidence: &Evidence,
        summary: &Summary,
        uids: std::collections::BTreeSet<Arc<str>>,
    ) {
        let first = self.with_progress(envelope, |progress| {
            if let Sighting::Terminating { uid, .. } = &evidence.upstream {
                progress.uid.get_or_insert_with(|| Arc::clone(uid));
            }
            progress
                .frozen
                .is_none()
                .then(|| progress.frozen = Some(Arc::new(uids)))
                .is_some()
        });
        if first && !summary.by_kind().is_empty() {
            self.tell(envelope, &Notice::Started(summary));
        }
    }

    /// Objects that others wrote in between: confirmed, read, judged and deleted at once, round
    /// after round; never with a weaker precondition.
    async fn contend(
        &self,
        envelope: &Envelope,
        case: &Case,
        selected: &[Selected<'_>],
        applied: &mut Applied,
    ) -> Result<Result<(), Refusal>, CascadeError> {
        for _ in 0..CONTENDED_ROUNDS {
            if applied.contended.is_empty() || applied.barred {
                break;
            }
            let evidence = self.confirm(envelope).await?;
            let contended = std::mem::take(&mut applied.contended);
            let once_more: Vec<_> = contended
                .into_iter()
                .map(|target| self.once_more(envelope, target, &evidence, case, selected))
                .collect();
            let width = self.pace.in_flight().get();
            let mut answers = stream::iter(once_more).buffer_unordered(width);
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(later) => applied.absorb(later),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
        }
        Ok(Ok(()))
    }

    async fn once_more(
        &self,
        envelope: &Envelope,
        target: Target,
        evidence: &Evidence,
        case: &Case,
        selected: &[Selected<'_>],
    ) -> Result<Applied, Refusal> {
        match again(&self.kinds, selected, &target).await {
            Ok(Again::NoLonger) => Ok(Applied::default()),
            Ok(Again::Still(seen)) => {
                let warrant = judge(Plan::of([seen]), evidence, case)?;
                Ok(self.deleter().apply(warrant, self.audit(envelope)).await)
            }
            Err(error) => {
                let failed = vec![(target.object().clone(), error)];
                Ok(Applied {
                    attempted: 1,
                    failed,
                    ..Applied::default()
                })
            }
        }
    }

    fn deleter(&self) -> Deleter<'_, impl Fn() -> bool> {
        let may_begin = || self.may_write().is_ok();
        Deleter {
            kinds: &self.kinds,
            pace: &self.pace,
            may_begin,
        }
    }

    /// One audit line a DELETE, and a notice.
    fn audit<'a>(&'a self, envelope: &'a Envelope) -> impl Fn(&Target, Answer) + 'a {
        move |target, answer| {
            let (object, uid) = (target.object(), target.uid());
            tracing::info!(
                target: "kube_cascade::audit",
                rule = self.name,
                upstream = %envelope.key(),
                upstream_uid = envelope.uid().unwrap_or_default(),
                %object,
                %uid,
                %answer,
                "DELETE"
            );
            self.tell(
                envelope,
                &Notice::Deleted {
                    object,
                    uid,
                    answer,
                },
            );
        }
    }

    /// What follows from what was applied: an error, a park, another look, or the end.
    async fn conclude(
        &self,
        envelope: &Envelope,
        evidence: &Evidence,
        applied: Applied,
        found: &Found,
    ) -> Result<Outcome, CascadeError> {
        if applied.barred {
            self.may_write()?;
            return Err(CascadeError::Stopped);
        }
        let busy = applied.attempted > 0 || found.waiting > 0;
        let wait =
            busy.then(|| self.with_progress(envelope, |progress| progress.busy(applied.deleted)));
        if !applied.failed.is_empty() {
            let Applied {
                attempted, failed, ..
            } = applied;
            return Err(CascadeError::Delete { attempted, failed });
        }
        if !applied.contended.is_empty() {
            return Ok(self.park(envelope, contended(&applied.contended)));
        }
        match wait {
            Some(wait) => Ok(Outcome::Recheck(wait)),
            None => self.finish(envelope, evidence).await,
        }
    }

    /// A round found nothing left.
    async fn finish(
        &self,
        envelope: &Envelope,
        evidence: &Evidence,
    ) -> Result<Outcome, CascadeError> {
        let keeps = matches!(self.hold, Some(Hold::Keep(_)));
        let next = self.with_progress(envelope, |progress| {
            progress.quiet(Instant::now(), &evidence.upstream, keeps)
        });
        if !matches!(next, Next::Wait(_)) {
            self.complete(envelope);
        }
        match next {
            Next::Wait(wait) | Next::Linger(wait) => Ok(Outcome::Recheck(wait)),
            Next::Done => Ok(self.forget(envelope)),
            Next::Release => {
                if let Some(hold) = &self.hold {
                    self.release(envelope, hold.name()).await?;
                }
                let wait = self.with_progress(envelope, |progress| progress.busy(0));
                Ok(Outcome::Recheck(wait))
            }
        }
    }

    /// Tells, once, that everything is gone.
    fn complete(&self, envelope: &Envelope) {
        let (told, deleted) = self.with_progress(envelope, |progress| {
            (
                std::mem::replace(&mut progress.completed, true),
                progress.deleted,
            )
        });
        if !told {
            self.tell(envelope, &Notice::Completed { deleted });
        }
    }

    fn is_completed(&self, envelope: &Envelope) -> bool {
        let keeps = matches!(self.hold, Some(Hold::Keep(_)));
        keeps && self.with_progress(envelope, |progress| progress.completed)
    }

    /// Says what an enforcing rule would do; holds nothing.
    async fn report(
        &self,
        envelope: &Envelope,
        plan: Plan,
        evidence: &Evidence,
        case: &Case,
    ) -> Result<Outcome, CascadeError> {
        if let (Sighting::Terminating { held: true, .. }, Some(hold)) =
            (&evidence.upstream, &self.hold)
        {
            self.release(envelope, hold.name()).await?;
        }
        let found = Found {
            empty: plan.is_empty(),
            waiting: plan.waiting().len(),
        };
        let summary = plan.summary();
        match judge(plan, evidence, case) {
            Ok(_) => {
                self.tell(envelope, &Notice::Reported(&summary));
                Ok(self.forget(envelope))
            }
            Err(refusal) => Ok(self.refused(envelope, &refusal, &found)),
        }
    }

    /// A refusal ends the cascade, or parks it where somebody can change what was found.
    fn refused(&self, envelope: &Envelope, refusal: &Refusal, found: &Found) -> Outcome {
        if let Some(reason) = refusal.park_reason() {
            return self.park(envelope, Parked::new(reason, refusal.to_string()));
        }
        // Where nothing is left of an upstream that is gone, there is nothing to tell.
        let moot = found.empty && *refusal != Refusal::UpstreamAlive;
        if !moot {
            self.tell(envelope, &Notice::Refused(refusal));
        }
        let over = self.forget(envelope);
        match refusal {
            // A source that knows no UIDs has no other way to tell of the new one's deletion.
            Refusal::UpstreamReplaced(_) if envelope.uid().is_none() => Outcome::Recheck(NEXT),
            _ => over,
        }
    }

    /// An ID that nothing can carry: no list, no DELETE, no hold.
    async fn invalid_id(
        &self,
        envelope: &Envelope,
        parked: Parked,
    ) -> Result<Outcome, CascadeError> {
        if envelope.state().is_gone() {
            return Ok(self.forget(envelope));
        }
        if let Some(hold) = &self.hold
            && envelope.etag() == Some(HELD)
        {
            self.release(envelope, hold.name()).await?;
        }
        Ok(self.park(envelope, parked))
    }

    async fn put(&self, envelope: &Envelope, hold: &HoldName) -> Result<Outcome, CascadeError> {
        let now = Instant::now();
        let remaining = lock(&self.holds)
            .get(envelope.key())
            .map(|last| last.remaining(now));
        if let Some(remaining) = remaining
            && !remaining.is_zero()
        {
            return Ok(Outcome::Recheck(remaining));
        }
        let Some((client, resource)) = self.upstream.resource().await? else {
            return Ok(Outcome::Done);
        };
        let Some(object) = self.upstream.object(envelope) else {
            return Ok(Outcome::Done);
        };
        let holder = Holder {
            client: &client,
            resource: &resource,
            object: &object,
            hold,
        };
        self.may_write()?;
        if holder.put(envelope.uid()).await? == Put::Held {
            let mut holds = lock(&self.holds);
            let backoff = HoldBackoff::put(holds.get(envelope.key()), now);
            holds.insert(envelope.key().clone(), backoff);
        }
        Ok(Outcome::Done)
    }

    async fn release(&self, envelope: &Envelope, hold: &HoldName) -> Result<(), CascadeError> {
        let Some((client, resource)) = self.upstream.resource().await? else {
            return Ok(());
        };
        let Some(object) = self.upstream.object(envelope) else {
            return Ok(());
        };
        let holder = Holder {
            client: &client,
            resource: &resource,
            object: &object,
            hold,
        };
        self.may_write()?;
        Ok(holder.release(envelope.uid()).await?)
    }
}

/// What the lists of a pass held, as far as its end needs to know.
struct Found {
    empty: bool,
    waiting: usize,
}

fn contended(targets: &[Target]) -> Parked {
    let mut message = String::from("others write faster than can be judged and deleted: ");
    for (place, target) in targets.iter().take(NAMED).enumerate() {
        message.push_str(if place == 0 { "" } else { ", " });
        message.push_str(&target.object().to_string());
    }
    if targets.len() > NAMED {
        message.push_str(", …");
    }
    message.push_str("; stop what writes them");
    Parked::new(ParkReason::Contended, message)
}

impl Refusal {
    /// Why to park, where somebody can change what was found.
    fn park_reason(&self) -> Option<ParkReason> {
        match self {
            Self::DefinitionChanged => Some(ParkReason::DefinitionChanged),
            Self::DefinitionTerminating => Some(ParkReason::DefinitionTerminating),
            Self::Namesakes(_) => Some(ParkReason::Namesake),
            Self::LimitExceeded { .. } => Some(ParkReason::LimitExceeded),
            Self::UpstreamAlive
            | Self::UpstreamReplaced(_)
            | Self::UpstreamUnknown
            | Self::DeletionUnwitnessed => None,
        }
    }
}
