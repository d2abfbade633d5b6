//! How often the same Event is written: pure, given the time.

use std::{sync::Arc, time::Duration};

use kube_cascade::ObjectRef;
use tokio::time::Instant;

use super::Reason;
use crate::recent::Recent;

/// How long the same Event is not written again; its count catches up afterwards.
///
/// Parked cascades are judged every minute, and an Event lives for an hour by default: this keeps
/// it in sight at a twelfth of that hour's price.
const WINDOW: Duration = Duration::from_secs(300);

/// Writes about one object before it earns one more each [`WINDOW`]: what client-go allows.
const BURST: u32 = 25;

/// Events, and objects, that are remembered. A forgotten one is written anew.
const REMEMBERED: usize = 4096;

/// One object: its name, and its UID where that is known.
pub(super) type Object = (ObjectRef, Option<Arc<str>>);

/// What makes two Events the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Sameness {
    pub(super) object: Object,
    pub(super) reason: Reason,
    pub(super) message: Arc<str>,
}

/// What is to be done with an Event.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// Create it.
    Create,
    /// Write into the one of this name how often it happened.
    Repeat { name: Arc<str>, count: i32 },
    /// It was written, or attempted, a short time ago.
    Suppress,
    /// There was too much about this object.
    TooMany,
}

/// What was written lately.
#[derive(Debug)]
pub(super) struct Repeats {
    seen: Recent<Sameness, Seen>,
    budgets: Recent<Object, Budget>,
}

#[derive(Debug)]
struct Seen {
    /// The name of the Event, if it was written.
    name: Option<Arc<str>>,
    /// How often it happened since it was created, or was to be.
    count: i32,
    attempted: Instant,
}

#[derive(Debug)]
struct Budget {
    left: u32,
    refilled: Instant,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self {
            seen: Recent::new(REMEMBERED),
            budgets: Recent::new(REMEMBERED),
        }
    }

    /// It happened once more. An attempt counts as one whether it succeeds or not, so that what
    /// fails is not hurried either.
    pub(super) fn decide(&mut self, same: &Sameness, now: Instant) -> Decision {
        if let Some(seen) = self.seen.get_mut(same)
            && now < seen.attempted + WINDOW
        {
            seen.count = seen.count.saturating_add(1);
            return Decision::Suppress;
        }
        if !spend(&mut self.budgets, &same.object, now) {
            return Decision::TooMany;
        }
        let before = self.seen.remove(same);
        let name = before.as_ref().and_then(|seen| seen.name.clone());
        let count = match (&before, &name) {
            (Some(seen), Some(_)) => seen.count.saturating_add(1),
            _ => 1,
        };
        let seen = Seen {
            name: name.clone(),
            count,
            attempted: now,
        };
        self.seen.insert(same.clone(), seen);
        match name {
            Some(name) => Decision::Repeat { name, count },
            None => Decision::Create,
        }
    }

    /// The Event of this name stands for it now.
    pub(super) fn written(&mut self, same: &Sameness, name: Arc<str>) {
        if let Some(seen) = self.seen.get_mut(same) {
            seen.name = Some(name);
        }
    }

    /// The Event that stood for it is gone.
    pub(super) fn begin_anew(&mut self, same: &Sameness) {
        if let Some(seen) = self.seen.get_mut(same) {
            (seen.name, seen.count) = (None, 1);
        }
    }
}

/// Takes one write out of the object's budget, if there is one.
fn spend(budgets: &mut Recent<Object, Budget>, object: &Object, now: Instant) -> bool {
    let Some(budget) = budgets.get_mut(object) else {
        let budget = Budget {
            left: BURST - 1,
            refilled: now,
        };
        budgets.insert(object.clone(), budget);
        return true;
    };
    while budget.left < BURST && budget.refilled + WINDOW <= now {
        budget.left += 1;
        budget.refilled += WINDOW;
    }
    if budget.left == BURST {
        budget.refilled = now;
    }
    let allowed = budget.left > 0;
    budget.left = budget.left.saturating_sub(1);
    allowed
}

#[cfg(test)]
mod tests {
    use kube_cascade::Kind;

    use super::*;

    fn same(message: &str) -> Sameness {
        let kind = Kind::new("identity.example.com", "Project");
        let object = ObjectRef::new(kind, None, "p1");
        Sameness {
            object: (object, Some("u1".into())),
            reason: Reason::Parked,
            message: message.into(),
        }
    }

    #[test]
    fn a_repeat_within_the_window_only_counts_and_is_written_after_it() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let same = same("limit");
        assert_eq!(repeats.decide(&same, start), Decision::Create);
        repeats.written(&same, "e1".into());
        for minute in 1..5 {
            let now = start + Duration::from_secs(60 * minute);
            assert_eq!(repeats.decide(&same, now), Decision::Suppress);
        }
        let repeat = |count| Decision::Repeat {
            name: "e1".into(),
            count,
        };
        assert_eq!(repeats.decide(&same, start + WINDOW), repeat(6));
        assert_eq!(repeats.decide(&same, start + WINDOW), Decision::Suppress);
        assert_eq!(repeats.decide(&same, start + 2 * WINDOW), repeat(8));
    }

    #[test]
    fn what_could_not_be_written_is_attempted_anew_after_the_window() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let same = same("limit");
        assert_eq!(repeats.decide(&same, start), Decision::Create);
        assert_eq!(repeats.decide(&same, start), Decision::Suppress);
        assert_eq!(repeats.decide(&same, start + WINDOW), Decision::Create);
    }

    #[test]
    fn an_event_that_is_gone_is_created_anew_and_counts_from_one() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let same = same("limit");
        repeats.decide(&same, start);
        repeats.written(&same, "e1".into());
        repeats.decide(&same, start + WINDOW);
        repeats.begin_anew(&same);
        repeats.written(&same, "e2".into());
        let repeat = Decision::Repeat {
            name: "e2".into(),
            count: 2,
        };
        assert_eq!(repeats.decide(&same, start + 2 * WINDOW), repeat);
    }

    #[test]
    fn an_object_with_ever_new_messages_spends_its_budget_and_earns_one_each_window() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let mut written = |now: Instant| {
            let decisions = (0..100).map(|n| repeats.decide(&same(&format!("{n} {now:?}")), now));
            let written = decisions.filter(|decision| *decision == Decision::Create);
            written.count()
        };
        assert_eq!(written(start), 25);
        assert_eq!(written(start + WINDOW / 2), 0);
        assert_eq!(written(start + 2 * WINDOW), 2);
        assert_eq!(written(start + 200 * WINDOW), 25);
    }
}
