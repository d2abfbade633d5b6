//! A match, an action, and how often.

use tokio::sync::watch;

use super::{action::Action, call::Call, faults::Faults, matcher::Match};
use crate::random::SplitMix64;

/// What happens to which calls, and to how many of them.
///
/// Without a setter, it happens to every call that matches. Each setter replaces the one before.
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until `Faults::add`"]
pub struct Rule {
    matcher: Match,
    action: Action,
    often: Often,
}

#[derive(Clone, Copy, Debug)]
enum Often {
    Always,
    First(u64),
    After(u64),
    Nth(u64),
    Every(u64),
    Chance(f64),
}

impl Rule {
    /// Does the action to every call that matches.
    pub fn new(matcher: Match, action: Action) -> Self {
        Self {
            matcher,
            action,
            often: Often::Always,
        }
    }

    /// Only to the first so many calls.
    pub fn first(self, count: u64) -> Self {
        self.often(Often::First(count))
    }

    /// Only to the calls after the first so many.
    pub fn after(self, count: u64) -> Self {
        self.often(Often::After(count))
    }

    /// Only to the n-th call.
    ///
    /// # Panics
    ///
    /// If `nth` is 0: calls are counted from 1.
    pub fn nth(self, nth: u64) -> Self {
        assert!(nth > 0, "calls are counted from 1");
        self.often(Often::Nth(nth))
    }

    /// Only to every n-th call: the n-th, the 2n-th, and so on.
    ///
    /// # Panics
    ///
    /// If `nth` is 0.
    pub fn every(self, nth: u64) -> Self {
        assert!(nth > 0, "calls are counted from 1");
        self.often(Often::Every(nth))
    }

    /// To each call with this probability, drawn from the seed of the [`Faults`].
    ///
    /// # Panics
    ///
    /// If the probability is not between 0 and 1.
    pub fn chance(self, probability: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&probability),
            "a probability is between 0 and 1"
        );
        self.often(Often::Chance(probability))
    }

    fn often(self, often: Often) -> Self {
        Self { often, ..self }
    }
}

/// A rule that was added to a [`Faults`]; dropping this leaves the rule in place.
#[derive(Debug)]
pub struct ArmedRule {
    faults: Faults,
    id: u64,
    fired: watch::Receiver<u64>,
}

impl ArmedRule {
    /// To how many calls the action was done, or is being done.
    ///
    /// A test that asserts this proves that it tested something.
    #[must_use]
    pub fn fired(&self) -> u64 {
        *self.fired.borrow()
    }

    /// Waits until the rule has fired so many times; for ever, if it was removed before.
    pub async fn until_fired(&self, times: u64) {
        if self
            .fired
            .clone()
            .wait_for(|fired| *fired >= times)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the rule out; calls in which it takes part already are not changed by that.
    pub fn remove(self) {
        self.faults.remove(self.id);
    }
}

/// A rule with its counters, inside of [`Faults`].
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    rule: Rule,
    matched: u64,
    fired: watch::Sender<u64>,
    random: SplitMix64,
}

impl Entry {
    pub(super) fn new(id: u64, rule: Rule, seed: u64) -> Self {
        // Each rule draws from a sequence of its own, so that adding one changes no other.
        let random = SplitMix64::new(seed ^ SplitMix64::new(id).next());
        Self {
            id,
            rule,
            matched: 0,
            fired: watch::Sender::new(0),
            random,
        }
    }

    pub(super) fn armed(&self, faults: Faults) -> ArmedRule {
        ArmedRule {
            faults,
            id: self.id,
            fired: self.fired.subscribe(),
        }
    }

    /// Counts the call if it matches, and returns what the action amounts to if it is due.
    pub(super) fn consider(&mut self, call: &Call) -> Option<Vec<Action>> {
        if !self.rule.action.concerns(call) || !self.rule.matcher.matches(call) {
            return None;
        }
        self.matched += 1;
        let due = match self.rule.often {
            Often::Always => true,
            Often::First(count) => self.matched <= count,
            Often::After(count) => self.matched > count,
            Often::Nth(nth) => self.matched == nth,
            Often::Every(nth) => self.matched.is_multiple_of(nth),
            Often::Chance(probability) => self.random.fraction() < probability,
        };
        due.then(|| {
            self.fired.send_modify(|fired| *fired += 1);
            self.rule.action.drawn(|| self.random.fraction())
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn fired_at(rule: Rule, seed: u64, calls: u64) -> Vec<u64> {
        let mut entry = Entry::new(1, rule, seed);
        (1..=calls)
            .filter(|number| {
                let (parts, ()) = Request::get("/api/v1/pods")
                    .body(())
                    .expect("valid request")
                    .into_parts();
                entry
                    .consider(&Call::new(*number, &parts, Bytes::new()))
                    .is_some()
            })
            .collect()
    }

    #[test]
    fn a_rule_fires_as_often_as_it_says() {
        let rule = || Rule::new(Match::any(), Action::stall());
        let rows = [
            (rule(), vec![1, 2, 3, 4, 5, 6]),
            (rule().first(2), vec![1, 2]),
            (rule().first(0), vec![]),
            (rule().after(4), vec![5, 6]),
            (rule().nth(3), vec![3]),
            (rule().every(2), vec![2, 4, 6]),
            (rule().chance(0.0), vec![]),
            (rule().chance(1.0), vec![1, 2, 3, 4, 5, 6]),
            (rule().nth(3).first(1), vec![1]),
        ];
        for (rule, expected) in rows {
            let shown = format!("{rule:?}");
            assert_eq!(fired_at(rule, 0, 6), expected, "{shown}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_calls_and_another_seed_draws_others() {
        let rule = || Rule::new(Match::any(), Action::stall()).chance(0.5);
        assert_eq!(fired_at(rule(), 7, 200), fired_at(rule(), 7, 200));
        assert_ne!(fired_at(rule(), 7, 200), fired_at(rule(), 8, 200));
        let fired = fired_at(rule(), 7, 2000).len();
        assert!((900..1100).contains(&fired), "{fired} of 2000");
    }

    #[test]
    fn the_generator_draws_the_published_sequence() {
        // The reference implementation's first outputs for the seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn an_action_on_watches_does_not_count_other_calls() {
        let rule = Rule::new(Match::any(), Action::cut_watch(1));
        assert_eq!(fired_at(rule, 0, 3), Vec::<u64>::new());
    }
}
