//! The decision: from what a Lease says, and since when it says so, to what to do about it.
//!
//! Pure: it is told the time, and neither reads a clock nor talks to anybody. It never compares
//! times written by other machines. What makes two leaders impossible is an order of spans:
//! the holder counts `renew_deadline` from *before* it sent its last renewal, everybody else
//! counts the longer `lease_duration` from *after* they have read that renewal.

use std::sync::Arc;

use tokio::time::Instant;

use super::record::LeaseRecord;
use super::timing::LeaseTiming;

/// One contender's view of one Lease.
#[derive(Debug)]
pub(super) struct Election {
    identity: Arc<str>,
    timing: LeaseTiming,
    /// Until when this contender leads, if it does.
    leads_until: Option<Instant>,
    /// The last record of another holder, and when it was first read as it is now.
    other: Option<(LeaseRecord, Instant)>,
}

/// What to do next about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none: create it in our name.
    Create,
    /// It is free or expired: put our name on it.
    TakeOver,
    /// It has our name on it: renew it.
    Renew,
    /// Somebody else holds it, and may be alive until then.
    Wait {
        /// The moment from which it counts as expired, unless it changes before.
        until: Instant,
    },
    /// We led, and no longer do.
    Lost,
}

impl Election {
    pub(super) fn new(identity: Arc<str>, timing: LeaseTiming) -> Self {
        Self {
            identity,
            timing,
            leads_until: None,
            other: None,
        }
    }

    /// Decides on what was just read; `None` means that there is no such Lease.
    pub(super) fn decide(&mut self, seen: Option<&LeaseRecord>, now: Instant) -> Step {
        let ours = seen.is_some_and(|record| record.holder() == Some(&self.identity));
        if let Some(until) = self.leads_until {
            // A record without our name has been somebody else's, if only for a moment.
            if now >= until || (seen.is_some() && !ours) {
                self.leads_until = None;
                return Step::Lost;
            }
        }
        if ours {
            self.other = None;
            return Step::Renew;
        }
        match seen {
            Some(record) => match self.note(record, now) {
                Some(until) if now < until => Step::Wait { until },
                _ => Step::TakeOver,
            },
            // A Lease that is deleted under a live holder comes back with its next renewal.
            None => match self.expiry() {
                Some(until) if now < until => Step::Wait { until },
                _ => Step::Create,
            },
        }
    }

    /// Notes that a write in our name succeeded that was sent at `sent`, and says until when we
    /// lead by it.
    pub(super) fn won(&mut self, sent: Instant) -> Instant {
        let until = sent + self.timing.renew_deadline();
        self.leads_until = Some(until);
        self.other = None;
        until
    }

    pub(super) fn leads(&self) -> bool {
        self.leads_until.is_some()
    }

    pub(super) fn is_ours(&self, record: &LeaseRecord) -> bool {
        record.holder() == Some(&self.identity)
    }

    /// Starts the wait again if the record has changed; `None` if nobody holds it.
    fn note(&mut self, record: &LeaseRecord, now: Instant) -> Option<Instant> {
        if record.holder().is_none() {
            self.other = None;
            return None;
        }
        if self.other.as_ref().is_none_or(|(known, _)| known != record) {
            self.other = Some((record.clone(), now));
        }
        self.expiry()
    }

    /// When the record last seen expires. The longer of the holder's duration and our own counts,
    /// so that an absurd value in the record cannot make us impatient.
    fn expiry(&self) -> Option<Instant> {
        let (record, since) = self.other.as_ref()?;
        let own = self.timing.duration();
        Some(*since + record.duration().map_or(own, |theirs| theirs.max(own)))
    }
}

#[cfg(test)]
mod tests;
