//! Serving rules for one term of leadership: each rule a queue of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use kube::Client;
use kube_cascade::{
    Queue,
    cascade::{CascadingDelete, Dependent, Hold, Mode, Pace, Scope, Selection, Upstream},
    fence::Fence,
    hold::{HoldName, Installation},
    kubernetes::KubernetesSource,
    lease::Term,
    names::Namespace,
    queue::RetryPolicy,
};

use crate::{
    health::Health,
    metrics::Metrics,
    rules::{Rule, RuleSet, UpstreamScope},
    survey::{Condition, Reporting, Survey, report_strangers},
    telemetry::Telemetry,
};

/// How soon parked cascades are judged again: what heals goes on within a minute of its cure.
const PARK: Duration = Duration::from_secs(45);

/// How long calls in flight may take to end on a shutdown; the lease is released within 2 s.
const DRAIN: Duration = Duration::from_millis(1500);

/// What all rules share, term after term.
pub(crate) struct Service {
    pub(crate) installation: Installation,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) upstream: Client,
    pub(crate) dependents: Client,
    pub(crate) pace: Pace,
    pub(crate) seeds: Option<Seeds>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

/// Seeds for one queue after the other, all from one.
pub(crate) struct Seeds(AtomicU64);

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Far from the last one: a queue draws several generators from one seed and those after it.
    fn next(&self) -> u64 {
        const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0.fetch_add(STRIDE, Ordering::Relaxed)
    }
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
            report_strangers(&service.upstream, &service.installation, &service.rules).await;
            std::future::pending::<()>().await;
        } => {}
    }
    // What was true of this term must not make the next one look ready before it is.
    service.health.reset_rules();
}

async fn serve_rule(service: &Service, rule: &Rule, term: &Term) {
    let name = rule.name().as_str();
    let cascade = Arc::new(cascade(service, rule, term.fence()));
    let condition = Condition::of(name, service.health.clone(), service.metrics.clone());
    let source = Reporting {
        source: source(service, rule),
        condition: condition.clone(),
    };
    let retry = RetryPolicy::default().with_park(PARK);
    let queue = Queue::builder(source)
        .consumer(Arc::clone(&cascade))
        .retry(retry)
        .drain(DRAIN);
    let queue = match &service.seeds {
        Some(seeds) => queue.seed(seeds.next()),
        None => queue,
    };
    let queue = queue.build();
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
    let (stopping, rule_name) = (Arc::clone(&cascade), name.to_owned());
    let shutdown = async move {
        ended.await;
        stopping.stop();
        tracing::info!(rule = rule_name, "no further DELETE is begun");
    };
    let monitor = queue.monitor();
    let survey = Survey {
        rule,
        cascade: &cascade,
        upstream: &service.upstream,
        condition: &condition,
    };
    let result = tokio::select! {
        biased;
        result = queue.run(shutdown) => result,
        never = survey.run(monitor) => match never {},
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
