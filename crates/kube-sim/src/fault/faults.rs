//! The handle that tests hold: rules, the recorder, and the line to the server.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::request::Parts;

use super::{
    action::Action,
    call::Call,
    layer::FaultLayer,
    link::Link,
    record::{Recorder, Ticket},
    rule::{ArmedRule, Entry, Rule},
};

/// A set of rules that can change while calls run; clones are the same set.
///
/// One set can serve several layers and proxies, which then share its rules, counters and
/// recorder.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    rules: Mutex<Rules>,
    recorder: Recorder,
    link: Link,
}

#[derive(Debug, Default)]
struct Rules {
    entries: Vec<Entry>,
    added: u64,
    arrived: u64,
}

/// An admitted call: its number is taken, it is recorded, and the rules have been asked.
pub(super) struct Admitted {
    pub(super) call: Arc<Call>,
    pub(super) actions: Vec<Action>,
    pub(super) ticket: Ticket,
}

impl Faults {
    /// No rules, and the seed 0.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// No rules; [`Rule::chance`] and [`Action::latency`](super::Action::latency) draw from this
    /// seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                seed,
                rules: Mutex::default(),
                recorder: Recorder::default(),
                link: Link::new(),
            }),
        }
    }

    /// A layer that puts these faults on top of a service.
    #[must_use]
    pub fn layer(&self) -> FaultLayer {
        FaultLayer::new(self.clone())
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, rule: Rule) -> ArmedRule {
        let mut rules = self.rules();
        rules.added += 1;
        let entry = Entry::new(rules.added, rule, self.shared.seed);
        let armed = entry.armed(self.clone());
        rules.entries.push(entry);
        armed
    }

    /// Removes all rules; calls in which they take part already are not changed by that.
    pub fn clear(&self) {
        self.rules().entries.clear();
    }

    /// The calls that arrived so far.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// Makes the server unreachable: connections are reset at once, and whatever runs ends,
    /// watches and stalled calls included. Rules do not count calls that arrive meanwhile.
    pub fn down(&self) {
        self.shared.link.down();
    }

    /// Makes the server reachable again.
    pub fn up(&self) {
        self.shared.link.up();
    }

    /// Ends whatever runs, as [`Faults::down`] does, while new calls get through.
    pub fn cut(&self) {
        self.shared.link.cut();
    }

    pub(super) fn link(&self) -> &Link {
        &self.shared.link
    }

    pub(super) fn remove(&self, id: u64) {
        self.rules().entries.retain(|entry| entry.id != id);
    }

    pub(super) fn admit(&self, parts: &Parts, body: Bytes) -> Admitted {
        // One lock for number, counters and record, so that all three agree on the order.
        let mut rules = self.rules();
        rules.arrived += 1;
        let call = Arc::new(Call::new(rules.arrived, parts, body));
        let mut actions = Vec::new();
        if self.shared.link.is_up() {
            for entry in &mut rules.entries {
                let Some(due) = entry.consider(&call) else {
                    continue;
                };
                let decides = due.iter().any(Action::decides);
                actions.extend(due);
                if decides {
                    break;
                }
            }
        }
        let ticket = self.shared.recorder.open(Arc::clone(&call));
        drop(rules);
        if !actions.is_empty() {
            tracing::debug!(%call, ?actions, "breaking a call");
        }
        Admitted {
            call,
            actions,
            ticket,
        }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("seed", &self.shared.seed)
            .finish_non_exhaustive()
    }
}
