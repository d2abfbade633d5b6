//! Metrics in the text format of `OpenMetrics`.
//!
//! Owns every metric's name, help and labels. What cascades tell is counted as it happens
//! ([`Metrics::count`]); what queues hold is read from their monitors at each scrape. Labels are
//! rules and reasons out of closed lists: never a name, a namespace or an ID, of which there is no
//! end.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kube_cascade::{
    cascade::{Answer, Notice},
    queue::{Monitor, Stats},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};

use crate::events::{DropReason, Drops, EventRecorder};

/// The media type of what [`Metrics::encode`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every answer of a DELETE, so that a rule's counters exist before they count.
const ANSWERS: [Answer; 7] = [
    Answer::Deleted,
    Answer::Gone,
    Answer::Conflict,
    Answer::Forbidden,
    Answer::Throttled,
    Answer::Unknown,
    Answer::Failed,
];

/// The metrics of one process. Cheap to clone; every clone is the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    deletes: Family<Deletes, Counter>,
    refused: Family<Reasoned, Counter>,
    completed: Family<OfRule, Counter>,
    orphans: Family<OfRule, Gauge>,
    degraded: Family<OfRule, Gauge>,
    live: Arc<Live>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfRule {
    rule: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Deletes {
    rule: String,
    answer: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reasoned {
    rule: String,
    reason: &'static str,
}

impl Metrics {
    /// Metrics of a process that has done nothing yet, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("kube_cascade");
        let deletes = Family::default();
        let help = "DELETE requests for dependents, by how the server answered";
        registry.register("deletes", help, deletes.clone());
        let refused = Family::default();
        let help = "Hints of a deletion on whose account nothing is deleted, for good";
        registry.register("refused", help, refused.clone());
        let completed = Family::default();
        let help = "Cascades that came to their end";
        registry.register("completed", help, completed.clone());
        let orphans = Family::default();
        let help = "Dependents whose upstream does not exist, as of the last look";
        registry.register("orphans", help, orphans.clone());
        let degraded = Family::default();
        let help = "Whether the rule cannot work: 1 until what stops it is cured";
        registry.register("rule_degraded", help, degraded.clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which build this is", build);
        let live = Arc::<Live>::default();
        registry.register_collector(Box::new(Arc::clone(&live)));
        let inner = Inner {
            registry,
            deletes,
            refused,
            completed,
            orphans,
            degraded,
            live,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts what a cascade of `rule` tells.
    pub fn count(&self, rule: &str, notice: &Notice<'_>) {
        let inner = &self.inner;
        match notice {
            Notice::Deleted { answer, .. } => {
                inner.deletes.get_or_create(&deletes(rule, *answer)).inc();
            }
            Notice::Refused(refusal) => {
                let labels = Reasoned {
                    rule: rule.to_owned(),
                    reason: refusal.as_str(),
                };
                inner.refused.get_or_create(&labels).inc();
            }
            Notice::Completed { .. } => {
                inner.completed.get_or_create(&of(rule)).inc();
            }
            // What is parked or fails is read from the queue, where it also goes away again.
            _ => {}
        }
    }

    /// Shows what the queue of `rule` holds, in place of any earlier queue of that rule.
    pub fn attach(&self, rule: &str, monitor: Monitor) {
        for answer in ANSWERS {
            let _ = self.inner.deletes.get_or_create(&deletes(rule, answer));
        }
        let _ = self.inner.completed.get_or_create(&of(rule));
        lock(&self.inner.live.queues).insert(rule.to_owned(), monitor);
    }

    /// Shows the queue of `rule` no longer: another process may serve the rule now. What was
    /// counted stays.
    pub fn detach(&self, rule: &str) {
        lock(&self.inner.live.queues).remove(rule);
        self.inner.orphans.remove(&of(rule));
        self.inner.degraded.remove(&of(rule));
    }

    /// Sets how many dependents have no upstream.
    pub fn set_orphans(&self, rule: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.inner.orphans.get_or_create(&of(rule)).set(count);
    }

    /// Sets whether the rule cannot work.
    pub fn set_degraded(&self, rule: &str, degraded: bool) {
        let degraded = i64::from(degraded);
        self.inner.degraded.get_or_create(&of(rule)).set(degraded);
    }

    /// Sets whether this process leads; the health server does so before each scrape.
    pub fn set_leader(&self, leads: bool) {
        self.inner.live.leads.store(leads, Ordering::Relaxed);
    }

    /// Shows how many Events of this recorder were not written, added to those of others.
    pub fn follow(&self, recorder: &EventRecorder) {
        let drops = recorder.drops();
        let mut followed = lock(&self.inner.live.drops);
        if !followed.iter().any(|known| Arc::ptr_eq(known, &drops)) {
            followed.push(drops);
        }
    }

    /// All of it as text, of the media type [`CONTENT_TYPE`].
    ///
    /// Takes time linear in the pending work of the queues.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail, and neither can our own collector.
        let _ = text::encode(&mut text, &self.inner.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What is read at each scrape.
#[derive(Debug, Default)]
struct Live {
    queues: Mutex<BTreeMap<String, Monitor>>,
    drops: Mutex<Vec<Arc<Drops>>>,
    leads: AtomicBool,
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let monitors = lock(&self.queues).clone();
        let all: Vec<_> = monitors
            .into_iter()
            .map(|(rule, monitor)| (rule, monitor.stats()))
            .collect();
        self.encode_process(&mut encoder)?;
        for (name, help, read) in GAUGES {
            let values = all.iter().map(|(rule, stats)| {
                let gauge = ConstGauge::new(i64::try_from(read(stats)).unwrap_or(i64::MAX));
                ([("rule", rule.as_str())], gauge)
            });
            encode_family(&mut encoder, name, help, values)?;
        }
        for (name, help, read) in COUNTERS {
            let values = all.iter().map(|(rule, stats)| {
                let counter = ConstCounter::new(read(stats));
                ([("rule", rule.as_str())], counter)
            });
            encode_family(&mut encoder, name, help, values)?;
        }
        let parked = all.iter().flat_map(|(rule, stats)| {
            let counts = parked(stats).into_iter();
            counts.map(|(reason, count)| {
                let labels = [("rule", rule.as_str()), ("reason", reason)];
                (labels, ConstGauge::new(count))
            })
        });
        let help = "Cascades that wait until somebody changes something, by why.";
        encode_family(&mut encoder, "parked", help, parked)
    }
}

impl Live {
    fn encode_process(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let leads = ConstGauge::new(i64::from(self.leads.load(Ordering::Relaxed)));
        let help = "Whether this process leads (1) or stands by (0).";
        let kind = leads.metric_type();
        leads.encode(encoder.encode_descriptor("leader", help, None, kind)?)?;
        let drops = lock(&self.drops).clone();
        let dropped = DropReason::ALL.map(|why| {
            let total = drops.iter().map(|drops| drops.total(why)).sum::<u64>();
            ([("reason", why.as_str())], ConstCounter::new(total))
        });
        let help = "Events that were not written, by why.";
        encode_family(encoder, "events_dropped", help, dropped.into_iter())
    }
}

/// A metric of each rule: its name, its help, and where its value is.
type Reading<T> = (&'static str, &'static str, fn(&Stats) -> T);

const GAUGES: [Reading<usize>; 3] = [
    (
        "upstreams",
        "Upstreams that exist, or whose cascade is not at its end.",
        Stats::known,
    ),
    (
        "pending",
        "Upstreams that are worked on, or wait for it.",
        Stats::pending,
    ),
    (
        "failing",
        "Upstreams whose last attempt failed; each is tried again.",
        Stats::failing,
    ),
];

const COUNTERS: [Reading<u64>; 2] = [
    (
        "malformed",
        "Things seen in place of upstreams that make no sense.",
        Stats::malformed,
    ),
    (
        "snapshots",
        "Complete lists of a rule's upstreams.",
        Stats::snapshots,
    ),
];

/// How many are parked for each reason.
fn parked(stats: &Stats) -> BTreeMap<&'static str, i64> {
    let mut counts = BTreeMap::new();
    for entry in stats.parked() {
        *counts.entry(entry.reason().as_str()).or_default() += 1;
    }
    counts
}

/// One family out of a collector; nothing where it has no values.
fn encode_family<L: EncodeLabelSet, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, M)>,
) -> fmt::Result {
    let mut values = values.peekable();
    let Some((_, first)) = values.peek() else {
        return Ok(());
    };
    let kind = first.metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    values.try_for_each(|(labels, value)| value.encode(family.encode_family(&labels)?))
}

fn of(rule: &str) -> OfRule {
    OfRule {
        rule: rule.to_owned(),
    }
}

fn deletes(rule: &str, answer: Answer) -> Deletes {
    Deletes {
        rule: rule.to_owned(),
        answer: answer.as_str(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each use is a single operation, so a panic cannot leave it half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
