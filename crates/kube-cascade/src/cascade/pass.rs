//! What [`CascadingDelete`] does on a delivery, from top to bottom.
//!
//! A live upstream gets its hold. One that is being deleted gets a pass: **read** the dependents,
//! **confirm** the upstream, **judge**, **apply**, and then decide when to look again. Nothing here
//! sends a DELETE; [`apply`](super::apply) does, and takes a warrant for it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    CascadeError, CascadingDelete, Hold, Mode,
    apply::{Applied, Deleter},
    delete::lock,
    judge::{Case, Evidence, Refusal, Sighting, judge},
    notice::{Answer, Notice},
    plan::{Plan, Summary, Target},
    progress::{HoldBackoff, Next, Progress},
    read::{Again, Selected, again, read},
};
use crate::{
    consumer::{Outcome, ParkReason, Parked},
    envelope::{Envelope, State},
    hold::{HoldName, Holder, Put},
    kubernetes::{CallError, HELD},
    object::ObjectRef,
};

/// Rounds in which objects that others keep writing are read, confirmed and judged again before
/// they are parked as contended.
///
/// A read and a DELETE 10 ms apart beat a writer every 10 ms within 0.3 s; 30 ms apart, never.
const CONTENDED_ROUNDS: usize = 20;

/// How long one pass goes on from batch to batch before it gives up its slot: a huge cascade must
/// not keep live upstreams waiting for their hold.
const TURN: Duration = Duration::from_secs(30);

/// How soon an upstream is looked at that took the place of another under the same hint.
const NEXT: Duration = Duration::from_secs(1);

/// How soon to look again after a hold was put on, unless the source has reported it by then.
const UNREPORTED: Duration = Duration::from_secs(10);

/// How many contended objects a message names.
const NAMED: usize = 3;

impl CascadingDelete {
    /// A live upstream: no cascade, and the hold as the configuration wants it.
    pub(super) async fn live(&self, envelope: &Envelope) -> Result<Outcome, CascadeError> {
        if self.forget_predecessor(envelope)
            && let Some(uid) = envelope.uid()
        {
            let refusal = Refusal::UpstreamReplaced(uid.into());
            self.tell(envelope, &Notice::Refused(&refusal));
        }
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
        if self.mode == Mode::Report
            && envelope.etag() == Some(HELD)
            && let Some(hold) = &self.hold
        {
            // Before anything that can fail: a rule that decides nothing holds nothing.
            self.release(envelope, hold.name()).await?;
        }
        let case = self.case(envelope).await?;
        let object = self.upstream.object(envelope);
        let namespace = object.as_ref().and_then(ObjectRef::namespace);
        // An upstream that carries its own ID must not wait for itself.
        let own = case.uid.as_deref();
        let plan = read(&self.kinds, &selected, namespace, own).await?;
        if !plan.is_empty() {
            self.with_progress(envelope, Progress::disturb);
        }
        // Only now: a namesake that appeared before the lists were read is seen here, and one that
        // appears later has dependents that are on no list.
        let evidence = self.confirm(envelope).await?;
        let found = Found {
            empty: plan.is_empty(),
            waiting: plan.waiting().len(),
        };
        if self.mode == Mode::Report {
            return Ok(self.report(envelope, plan, &evidence, &case));
        }
        match self
            .carry_out(envelope, plan, evidence, case, &selected)
            .await?
        {
            Ok((applied, evidence)) => self.conclude(envelope, &evidence, applied, &found).await,
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

    /// Judges and applies batch after batch, each confirmed anew, until nothing is left, the turn is
    /// over, or nothing more may be begun.
    ///
    /// Objects that others wrote in between make the last batches, round after round: read again,
    /// **then** confirmed and judged as any plan; never with a weaker precondition.
    async fn carry_out(
        &self,
        envelope: &Envelope,
        mut plan: Plan,
        mut evidence: Evidence,
        mut case: Case,
        selected: &[Selected<'_>],
    ) -> Result<Result<(Applied, Evidence), Refusal>, CascadeError> {
        let (summary, uids) = (plan.summary(), plan.uids());
        let turn_ends = Instant::now() + TURN;
        let (mut applied, mut rounds) = (Applied::default(), 0);
        loop {
            let warrant = match judge(plan, &evidence, &case) {
                Ok(warrant) => warrant,
                Err(refusal) => return Ok(Err(refusal)),
            };
            self.begin(envelope, &evidence, &summary, &uids, &mut case);
            applied.absorb(self.deleter().apply(warrant, self.audit(envelope)).await);
            if applied.barred {
                break;
            }
            if Instant::now() >= turn_ends {
                let unread = rounds == 0 && !applied.contended.is_empty();
                applied.turn_over = unread || !applied.rest.targets().is_empty();
                break;
            }
            plan = std::mem::take(&mut applied.rest);
            if plan.targets().is_empty() && rounds < CONTENDED_ROUNDS {
                rounds += 1;
                plan = self.read_again(selected, &mut applied).await;
            }
            if plan.targets().is_empty() {
                break;
            }
            evidence = self.confirm(envelope).await?;
        }
        Ok(Ok((applied, evidence)))
    }

    /// Remembers what the cascade is about, and tells of a beginning that has something to do.
    fn begin(
        &self,
        envelope: &Envelope,
        evidence: &Evidence,
        summary: &Summary,
        uids: &BTreeSet<Arc<str>>,
        case: &mut Case,
    ) {
        let first = self.with_progress(envelope, |progress| {
            if let Sighting::Terminating { uid, .. } = &evidence.upstream {
                progress.uid.get_or_insert_with(|| Arc::clone(uid));
            }
            let first = progress.frozen.is_none();
            let frozen = progress
                .frozen
                .get_or_insert_with(|| Arc::new(uids.clone()));
            // What is judged from here on may find the upstream gone: this is what may then go.
            case.frozen = Some(Arc::clone(frozen));
            case.uid.clone_from(&progress.uid);
            first
        });
        if first && !summary.by_kind().is_empty() {
            self.tell(envelope, &Notice::Started(summary));
        }
    }

    /// Reads the contended objects again; those that are still there and selected make a plan.
    async fn read_again(&self, selected: &[Selected<'_>], applied: &mut Applied) -> Plan {
        let contended = std::mem::take(&mut applied.contended);
        let reads: Vec<_> = contended
            .into_iter()
            .map(async |target| (again(&self.kinds, selected, &target).await, target))
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(self.pace.in_flight().get());
        let mut seen = Vec::new();
        while let Some((read, target)) = reads.next().await {
            match read {
                Ok(Again::NoLonger) => {}
                Ok(Again::Still(found)) => seen.push(found),
                Err(error) => applied.failed.push((target.object().clone(), error)),
            }
        }
        Plan::of(seen)
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
        let subject = self.upstream.object(envelope);
        move |target, answer| {
            let (object, uid) = (target.object(), target.uid());
            let upstream = subject
                .as_ref()
                .map_or_else(|| envelope.key().to_string(), ToString::to_string);
            if answer == Answer::Deleted {
                self.with_progress(envelope, |progress| progress.deleted += 1);
            }
            tracing::info!(
                target: "kube_cascade::audit",
                rule = self.name,
                upstream,
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
        if applied.turn_over {
            // Others wait for the slot; the next pass takes up what is left.
            return Ok(Outcome::Recheck(Duration::ZERO));
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
    fn report(&self, envelope: &Envelope, plan: Plan, evidence: &Evidence, case: &Case) -> Outcome {
        let found = Found {
            empty: plan.is_empty(),
            waiting: plan.waiting().len(),
        };
        let summary = plan.summary();
        match judge(plan, evidence, case) {
            Ok(_) => {
                self.tell(envelope, &Notice::Reported(&summary));
                self.forget(envelope)
            }
            Err(refusal) => self.refused(envelope, &refusal, &found),
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
        match holder.put(envelope.uid(), || self.may_write()).await? {
            Put::TooLate => return Ok(Outcome::Done),
            Put::Already => {}
            Put::Held => {
                let mut holds = lock(&self.holds);
                let backoff = HoldBackoff::put(holds.get(envelope.key()), now);
                holds.insert(envelope.key().clone(), backoff);
            }
        }
        // Until the source reports the hold, it would not report its loss either: to it, the
        // upstream has never been held.
        Ok(match envelope.etag() {
            Some(_) => Outcome::Recheck(UNREPORTED),
            None => Outcome::Done,
        })
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
        holder.release(envelope.uid(), || self.may_write()).await
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
