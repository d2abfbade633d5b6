//! What one cascade remembers between its passes, and when it is over: pure, given the time.
//!
//! All of it may be lost: a cascade with a hold then begins anew, and finds what is left.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::judge::Sighting;

/// How far apart the two empty rounds are that release a hold.
const SETTLE: Duration = Duration::from_secs(1);

/// How long the lists stay empty before a cascade without hold is over.
///
/// Nothing keeps late dependents from appearing once the upstream is gone; a minute outlasts the
/// caches and queues that create them.
const LINGER: Duration = Duration::from_secs(60);

/// The first and the longest wait for dependents that still terminate.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The first and the longest wait before a hold is put back that somebody took off.
const PUT_BACK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The memory of one cascade.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The upstream's UID, once a read or a hint has told it.
    pub(super) uid: Option<Arc<str>>,
    /// The definition that a hint without one is held to.
    pub(super) definition: Option<Arc<str>>,
    /// The UIDs of the first plan that was judged.
    pub(super) frozen: Option<Arc<BTreeSet<Arc<str>>>>,
    /// Objects deleted so far.
    pub(super) deleted: usize,
    /// Whether everything was gone at some time, and the observer has been told.
    pub(super) completed: bool,
    wait: Option<Duration>,
    quiet: Option<Quiet>,
}

/// Since when, and under which state of the upstream, nothing was left.
#[derive(Debug)]
struct Quiet {
    gone: bool,
    since: Instant,
}

/// What to do when a round found nothing left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Look again after this long.
    Wait(Duration),
    /// Release the hold: everything is gone.
    Release,
    /// Everything is gone, but others still hold the upstream: look again after this long.
    Linger(Duration),
    /// The cascade is over.
    Done,
}

impl Progress {
    /// The beginning of the cascade of one upstream.
    pub(super) fn of(uid: &str) -> Self {
        Self {
            uid: Some(uid.into()),
            ..Self::default()
        }
    }

    /// Something was deleted or still terminates: how long to wait before the next pass.
    pub(super) fn busy(&mut self, deleted: usize) -> Duration {
        self.quiet = None;
        if deleted > 0 {
            self.wait = None;
        }
        self.next_wait()
    }

    /// Something is left, whatever comes of it: the rounds that release a hold begin anew.
    pub(super) fn disturb(&mut self) {
        self.quiet = None;
    }

    /// A round was complete and wholly empty: what comes next.
    ///
    /// `lease` is whether this cascade releases a hold, which then marks its end; otherwise the
    /// lists must stay empty for [`LINGER`] after the upstream is gone.
    pub(super) fn quiet(&mut self, now: Instant, upstream: &Sighting, hold: bool) -> Next {
        let gone = !matches!(upstream, Sighting::Terminating { .. });
        let quiet = match &self.quiet {
            Some(quiet) if quiet.gone == gone => quiet,
            _ => self.quiet.insert(Quiet { gone, since: now }),
        };
        let for_now = now.saturating_duration_since(quiet.since);
        if let Sighting::Terminating { held, .. } = upstream {
            return match (held, for_now >= SETTLE) {
                (_, false) => Next::Wait(SETTLE.saturating_sub(for_now)),
                (true, true) => Next::Release,
                // Others still hold the upstream; what arrives late is found by looking.
                (false, true) => Next::Linger(self.next_wait()),
            };
        }
        let enough = match (hold, self.completed) {
            (true, true) => Duration::ZERO,
            (true, false) => SETTLE,
            (false, _) => LINGER,
        };
        if for_now >= enough {
            return Next::Done;
        }
        Next::Wait(self.next_wait().min(enough.saturating_sub(for_now)))
    }

    fn next_wait(&mut self) -> Duration {
        let wait = self.wait.map_or(WAIT.0, |last| (last * 2).min(WAIT.1));
        self.wait = Some(wait);
        wait
    }
}

/// When a hold may be put on one upstream again.
#[derive(Debug)]
pub(super) struct HoldBackoff {
    wait: Duration,
    put: Instant,
}

impl HoldBackoff {
    /// A hold was put on just now.
    pub(super) fn put(before: Option<&Self>, now: Instant) -> Self {
        let wait = match before {
            Some(before) if now < before.put + 2 * PUT_BACK.1 => (before.wait * 2).min(PUT_BACK.1),
            _ => PUT_BACK.0,
        };
        Self { wait, put: now }
    }

    /// How long to leave the upstream alone: zero unless it was just put on and taken off again.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        (self.put + self.wait).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminating(held: bool) -> Sighting {
        Sighting::Terminating {
            uid: "u".into(),
            held,
        }
    }

    #[test]
    fn waits_double_from_one_to_ten_seconds_and_start_over_after_a_delete() {
        let mut progress = Progress::default();
        let waits: Vec<_> = (0..6).map(|_| progress.busy(0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(progress.busy(1).as_secs(), 1);
    }

    #[test]
    fn a_hold_is_released_only_after_two_empty_rounds_in_a_row() {
        let start = Instant::now();
        let mut progress = Progress::default();
        assert_eq!(
            progress.quiet(start, &terminating(true), true),
            Next::Wait(SETTLE)
        );
        progress.busy(1);
        let later = start + SETTLE;
        assert_eq!(
            progress.quiet(later, &terminating(true), true),
            Next::Wait(SETTLE)
        );
        let early = later + SETTLE / 2;
        assert_eq!(
            progress.quiet(early, &terminating(true), true),
            Next::Wait(SETTLE / 2)
        );
        assert_eq!(
            progress.quiet(later + SETTLE, &terminating(true), true),
            Next::Release
        );
    }

    #[test]
    fn without_a_hold_the_lists_stay_empty_for_a_minute_after_the_upstream_is_gone() {
        let start = Instant::now();
        let mut progress = Progress::default();
        assert!(matches!(
            progress.quiet(start, &terminating(false), false),
            Next::Wait(_)
        ));
        let gone = start + LINGER;
        assert!(matches!(
            progress.quiet(gone, &Sighting::Gone, false),
            Next::Wait(_)
        ));
        let almost = gone + LINGER.saturating_sub(Duration::from_millis(1));
        assert!(matches!(
            progress.quiet(almost, &Sighting::Gone, false),
            Next::Wait(_)
        ));
        assert_eq!(
            progress.quiet(gone + LINGER, &Sighting::Gone, false),
            Next::Done
        );
    }

    #[test]
    fn while_others_hold_the_upstream_the_cascade_goes_on_looking() {
        let start = Instant::now();
        let mut progress = Progress::default();
        for seconds in 0..600 {
            let now = start + Duration::from_secs(seconds);
            let next = progress.quiet(now, &terminating(false), true);
            let (Next::Wait(wait) | Next::Linger(wait)) = next else {
                panic!("{next:?}")
            };
            assert!(wait <= WAIT.1, "{seconds}: {wait:?}");
        }
    }

    #[test]
    fn fault_66_a_hold_that_is_stripped_again_and_again_is_put_back_ever_more_slowly() {
        let start = Instant::now();
        let first = HoldBackoff::put(None, start);
        assert_eq!(first.remaining(start), Duration::from_secs(1));
        let second = HoldBackoff::put(Some(&first), start + Duration::from_secs(1));
        assert_eq!(
            second.remaining(start + Duration::from_secs(1)),
            Duration::from_secs(2)
        );
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(second.remaining(much_later), Duration::ZERO);
        let anew = HoldBackoff::put(Some(&second), much_later);
        assert_eq!(anew.remaining(much_later), Duration::from_secs(1));
    }
}
