//! Whether a rule works: what of it can be read, and which dependents have no upstream.
//!
//! Reads and reports; nothing here deletes, and a rule in trouble goes on trying by itself.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use kube_cascade::{
    Feed, Source, SourceError,
    cascade::{CascadingDelete, Orphans, ReadErrors},
    hold::{HoldName, Installation, find},
    kubernetes::KubernetesSource,
    queue::Monitor,
};
use tokio::time::timeout;

use crate::{
    exit::one_line,
    health::Health,
    metrics::Metrics,
    rules::{Rule, RuleSet, UpstreamScope},
};

/// How long a rule in trouble waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// How long one look at a namespace may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many orphaned IDs a log line names.
const NAMED: usize = 5;

/// What is known of a rule's ability to work; told once per change.
#[derive(Clone)]
pub(crate) struct Condition {
    rule: String,
    health: Health,
    metrics: Metrics,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Condition {
    pub(crate) fn of(rule: &str, health: Health, metrics: Metrics) -> Self {
        metrics.set_degraded(rule, false);
        Self {
            rule: rule.to_owned(),
            health,
            metrics,
            trouble: Arc::default(),
        }
    }

    /// The rule cannot do its work; `remedy` is what a person can do about it.
    pub(crate) fn degraded(&self, problem: String, remedy: &str) {
        self.health.rule_degraded(&self.rule, problem.clone());
        self.metrics.set_degraded(&self.rule, true);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref() != Some(&problem) {
            tracing::warn!(
                rule = self.rule,
                problem,
                remedy,
                "the rule is degraded: it deletes nothing until this is cured"
            );
            *trouble = Some(problem);
        }
    }

    fn works(&self) {
        self.health.rule_snapshotted(&self.rule);
        self.metrics.set_degraded(&self.rule, false);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            tracing::info!(rule = self.rule, "the rule works again");
        }
    }
}

/// A source whose failures show in the rule's condition.
pub(crate) struct Reporting {
    pub(crate) source: KubernetesSource,
    pub(crate) condition: Condition,
}

impl Source for Reporting {
    async fn run(&mut self, feed: Feed) -> Result<(), SourceError> {
        let result = self.source.run(feed).await;
        if let Err(error) = &result {
            let cause = std::error::Error::source(error);
            let problem = cause.map_or_else(|| error.to_string(), one_line);
            let remedy = "check `spec.upstream`: its kind (as in `kind: Project`, no plural), that \
                          this is installed, and the permission to list and watch it";
            self.condition.degraded(problem, remedy);
        }
        result
    }
}

/// What a survey of one rule needs.
pub(crate) struct Survey<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) cascade: &'a CascadingDelete,
    pub(crate) upstream: &'a Client,
    pub(crate) condition: &'a Condition,
}

impl Survey<'_> {
    /// Looks closely after each complete snapshot and while there is trouble, and has a glance every
    /// twenty seconds in between.
    pub(crate) async fn run(&self, monitor: Monitor) -> Infallible {
        let mut snapshots = monitor.snapshots();
        let mut told = None;
        // The sender lives as long as the queue, and so does this future.
        let _ = snapshots.wait_for(|count| *count > 0).await;
        loop {
            snapshots.mark_unchanged();
            let mut pause = self.look(&mut told).await;
            while pause.is_none() && timeout(LOOK_AGAIN, snapshots.changed()).await.is_err() {
                pause = self.glance().await;
            }
            if let Some(pause) = pause {
                let _ = timeout(pause, snapshots.changed()).await;
            }
        }
    }

    /// Whether the dependents can still be read; says when to look closely if not.
    async fn glance(&self) -> Option<Duration> {
        match self.cascade.probe().await {
            Ok(()) => None,
            Err(error) => Some(self.trouble(&error)),
        }
    }

    /// One close look; says when to look again if the next snapshot is not soon enough.
    async fn look(&self, told: &mut Option<String>) -> Option<Duration> {
        if let Some(namespace) = self.missing_namespace().await {
            let problem = format!("namespace {namespace} of the upstreams does not exist");
            let remedy = "correct `spec.upstream.scope`, or create the namespace";
            self.condition.degraded(problem, remedy);
            return Some(LOOK_AGAIN);
        }
        match self.cascade.orphans().await {
            Ok(orphans) => {
                self.condition.works();
                let rule = self.rule.name().as_str();
                self.condition.metrics.set_orphans(rule, orphans.count());
                tell_orphans(rule, &orphans, told);
                None
            }
            Err(error) => Some(self.trouble(&error)),
        }
    }

    /// Tells of dependents that cannot be read; says when to look again.
    fn trouble(&self, error: &ReadErrors) -> Duration {
        // A server that has just installed a kind asks for a moment; that is no trouble.
        error.retry_after().unwrap_or_else(|| {
            let remedy = "check `spec.dependents`: their kinds (as in `kind: Network`, no plural), \
                          that these are installed, their scope, that its namespaces exist, and \
                          the permission to list them";
            self.condition.degraded(error.to_string(), remedy);
            LOOK_AGAIN
        })
    }

    /// The first named namespace of the upstreams that does not exist; a list there would be empty,
    /// and say nothing. What cannot be asked is not missing.
    async fn missing_namespace(&self) -> Option<String> {
        let UpstreamScope::Namespaces(names) = self.rule.upstream().scope() else {
            return None;
        };
        let namespaces = Api::<Namespace>::all(self.upstream.clone());
        for name in names.iter() {
            let found = timeout(DEADLINE, namespaces.get_metadata_opt(name.as_str())).await;
            if let Ok(Ok(None)) = found {
                return Some(name.to_string());
            }
        }
        None
    }
}

fn tell_orphans(rule: &str, orphans: &Orphans, told: &mut Option<String>) {
    if orphans.count() == 0 {
        *told = None;
        return;
    }
    let ids: Vec<_> = orphans
        .iter()
        .take(NAMED)
        .map(|(id, count, example)| format!("{id} ({count}, such as {example})"))
        .collect();
    let found = ids.join("; ");
    if told.as_ref() != Some(&found) {
        tracing::warn!(
            rule,
            orphans = orphans.count(),
            found,
            "dependents whose upstream does not exist; nothing is deleted on that account: if they \
             are left over, delete them by hand"
        );
        *told = Some(found);
    }
}

/// The holds of this installation that no rule of ours accounts for.
pub(crate) async fn report_strangers(
    client: &Client,
    installation: &Installation,
    rules: &RuleSet,
) {
    let prefix = HoldName::prefix(installation);
    let ours: Vec<_> = rules
        .iter()
        .map(|rule| HoldName::new(installation, rule.name()))
        .collect();
    let unknown =
        |name: &str| name.starts_with(&prefix) && !ours.iter().any(|hold| hold.as_str() == name);
    let search = find(client, unknown).await;
    let mut by_hold = BTreeMap::new();
    for held in &search.held {
        for hold in held.holds() {
            by_hold.entry(hold).or_insert((0_usize, held.object())).0 += 1;
        }
    }
    for (hold, (upstreams, example)) in by_hold {
        let rule = &hold.as_str()[prefix.len()..];
        tracing::warn!(
            %hold,
            upstreams,
            %example,
            "held by a rule that is not served; if it is withdrawn for good, release its holds with \
             `kubectl cascade release {rule} --installation {installation}`"
        );
    }
    if let Some(first) = search.errors.first() {
        tracing::info!(
            unread = search.errors.len(),
            first = one_line(first),
            "some kinds could not be searched for holds of withdrawn rules"
        );
    }
}
