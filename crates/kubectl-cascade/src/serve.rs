//! Serving rules for one term of leadership: each rule a queue of its own.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use kube::Client;
use kube_cascade::{
    Feed, Queue, Source, SourceError,
    cascade::{CascadingDelete, Dependent, Hold, Mode, Orphans, Pace, Scope, Selection, Upstream},
    fence::Fence,
    hold::{HoldName, Installation},
    kubernetes::KubernetesSource,
    lease::Term,
    names::Namespace,
    queue::{Monitor, RetryPolicy},
};
use tokio::time::timeout;

use crate::{
    controller::report_strangers,
    health::Health,
    metrics::Metrics,
    rules::{Rule, RuleSet, UpstreamScope},
    telemetry::Telemetry,
};

/// How soon parked cascades are judged again: what heals goes on within a minute of its cure.
const PARK: Duration = Duration::from_secs(45);

/// How long calls in flight may take to end on a shutdown; the lease is released within 2 s.
const DRAIN: Duration = Duration::from_millis(1500);

/// How long a rule that could not look for orphans waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// How many orphaned IDs a log line names.
const NAMED: usize = 5;

/// What all rules share, term after term.
pub(crate) struct Service {
    pub(crate) installation: Installation,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) upstream: Client,
    pub(crate) dependents: Client,
    pub(crate) pace: Pace,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

/// Serves every rule until the term ends; one rule's trouble is never another's.
pub(crate) async fn serve(service: &Service, term: Term) {
    service.health.reset_rules();
    let rules = service
        .rules
        .iter()
        .map(|rule| serve_rule(service, rule, &term));
    let rules = join_all(rules.collect::<Vec<_>>());
    tokio::select! {
        biased;
        _ = rules => {}
        () = async {
            report_strangers(&service.upstream, service).await;
            std::future::pending::<()>().await;
        } => {}
    }
}

async fn serve_rule(service: &Service, rule: &Rule, term: &Term) {
    let name = rule.name().as_str();
    let cascade = Arc::new(cascade(service, rule, term.fence()));
    let source = Reporting {
        source: source(service, rule),
        health: service.health.clone(),
        rule: name.to_owned(),
    };
    let retry = RetryPolicy::default().with_park(PARK);
    let queue = Queue::builder(source)
        .consumer(Arc::clone(&cascade))
        .retry(retry)
        .drain(DRAIN)
        .build();
    let queue = match queue {
        Ok(queue) => queue,
        Err(error) => {
            // A single consumer and the default slots always make a queue.
            tracing::error!(rule = name, %error, "the rule cannot be served");
            return service.health.rule_degraded(name, error.to_string());
        }
    };
    service.metrics.attach(name, queue.monitor());
    let ended = term.ended();
    let stopping = Arc::clone(&cascade);
    let shutdown = async move {
        ended.await;
        stopping.stop();
    };
    let survey = survey(service, name, &cascade, queue.monitor());
    let result = tokio::select! {
        biased;
        result = queue.run(shutdown) => result,
        never = survey => match never {},
    };
    if let Err(error) = result {
        tracing::error!(rule = name, %error, "the rule is not served any longer");
        service.health.rule_degraded(name, error.to_string());
    }
    service.metrics.detach(name);
}

/// The rule as a consumer.
fn cascade(service: &Service, rule: &Rule, fence: Fence) -> CascadingDelete {
    let upstream = upstream(service, rule);
    let hold = HoldName::new(&service.installation, rule.name());
    let keeps = rule.upstream().is_held() && rule.mode() == Mode::Enforce;
    let mut dependents = rule.dependents().iter().map(|dependent| {
        let selection = Selection::label(dependent.label().clone(), dependent.scope().clone());
        Dependent::new(dependent.kind().into(), selection).propagation(dependent.propagation())
    });
    let first = dependents.next().expect("a checked rule has a dependent");
    CascadingDelete::new(service.dependents.clone(), upstream, first, dependents)
        .named(rule.name().as_str())
        .mode(rule.mode())
        .limit(rule.limit())
        .hold(if keeps {
            Hold::Keep(hold)
        } else {
            Hold::Release(hold)
        })
        .fenced(fence)
        .pace(service.pace.clone())
        .observer(Arc::clone(&service.telemetry) as _)
}

fn upstream(service: &Service, rule: &Rule) -> Upstream {
    let spec = rule.upstream();
    let upstream = Upstream::kubernetes(service.upstream.clone(), spec.kind().into(), spec.id());
    let same = rule
        .dependents()
        .iter()
        .all(|one| *one.scope() == Scope::SameAsUpstream);
    if same {
        return upstream.separated_by_namespace();
    }
    match spec.scope() {
        UpstreamScope::Namespaces(namespaces) if spec.is_unique() => upstream.unique_in(
            namespaces
                .iter()
                .map(|namespace| namespace.as_str().to_owned()),
        ),
        _ => upstream,
    }
}

fn source(service: &Service, rule: &Rule) -> KubernetesSource {
    let spec = rule.upstream();
    let source = KubernetesSource::new(service.upstream.clone(), spec.kind().into())
        .id(spec.id())
        .hold(HoldName::new(&service.installation, rule.name()));
    match spec.scope() {
        UpstreamScope::Namespaces(namespaces) => {
            source.namespaces(namespaces.iter().map(Namespace::as_str))
        }
        UpstreamScope::AllNamespaces => source.namespaced(true),
        UpstreamScope::ClusterScoped => source.namespaced(false),
    }
}

/// A source whose failures show in the rule's health.
struct Reporting {
    source: KubernetesSource,
    health: Health,
    rule: String,
}

impl Source for Reporting {
    async fn run(&mut self, feed: Feed) -> Result<(), SourceError> {
        let result = self.source.run(feed).await;
        if let Err(error) = &result {
            self.health.rule_degraded(&self.rule, one_line(error));
        }
        result
    }
}

/// After each complete snapshot, looks whether the dependents can be read at all and which of them
/// have no upstream.
async fn survey(
    service: &Service,
    rule: &str,
    cascade: &CascadingDelete,
    monitor: Monitor,
) -> std::convert::Infallible {
    let mut snapshots = monitor.snapshots();
    let mut told = None;
    loop {
        // The sender lives as long as the queue, and so does this future.
        let _ = snapshots.wait_for(|count| *count > 0).await;
        snapshots.mark_unchanged();
        let pause = match cascade.orphans().await {
            Ok(orphans) => {
                service.health.rule_snapshotted(rule);
                service.metrics.set_orphans(rule, orphans.count());
                tell_orphans(rule, &orphans, &mut told);
                None
            }
            // A server that has just installed a kind asks for a moment; that is no trouble.
            Err(error) if error.retry_after().is_some() => error.retry_after(),
            Err(error) => {
                let problem = error.to_string();
                service.health.rule_degraded(rule, problem.clone());
                if told.as_ref() != Some(&problem) {
                    tracing::warn!(
                        rule,
                        problem,
                        "the rule is degraded: it deletes nothing until this is cured"
                    );
                    told = Some(problem);
                }
                Some(LOOK_AGAIN)
            }
        };
        match pause {
            None => drop(snapshots.changed().await),
            Some(pause) => drop(timeout(pause, snapshots.changed()).await),
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
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
