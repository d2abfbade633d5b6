//! The controller: leads, and serves every rule while it does.
//!
//! Owns how the parts of a running controller are put together and how they end. What a rule does
//! is in `serve`, what it tells in [`telemetry`](crate::telemetry), and what only a process of its
//! own needs in [`run`](crate::run).

use std::{future::Future, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use kube_cascade::{
    cascade::{Observer, Pace},
    clock::Clock,
    hold::Installation,
    lease::{Lease, Observed, Term},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    events::EventRecorder,
    exit::{Exit, Failure, one_line},
    health::Health,
    installation,
    metrics::Metrics,
    rules::RuleSet,
    serve::{Seeds, Service, serve},
    telemetry::Telemetry,
};

/// How long to wait before the server is asked again for what the start needs.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long one such question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the endpoints and the Events may take to end.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A controller, put together from its parts; it can run inside of any process.
///
/// It reads no file, listens on no port and heeds no signal. With an identity, a seed and a clock
/// of one's own, on a paused tokio clock and an in-memory API, a run can be repeated exactly.
///
/// # Examples
/// On an in-memory API, until it leads:
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kubectl_cascade::{controller::Controller, rules};
///
/// let rules = rules::parse("rules.yaml", "
/// apiVersion: kube-cascade.dev/v1alpha1
/// kind: ClusterCascadeRule
/// metadata: {name: map}
/// spec:
///   mode: Report
///   upstream: {group: '', kind: ConfigMap, scope: {namespaces: [default]}}
///   dependents:
///   - {group: coordination.k8s.io, kind: Lease, label: example.com/map, scope: {all: true}}
/// ")?;
/// let client = kube::Client::new(kube_sim::ApiServer::new(), "default");
/// let controller = Controller::new(rules, "default".parse()?, client.clone(), client);
/// let health = controller.health();
/// controller
///     .run(async move {
///         while !health.is_leading() {
///             tokio::task::yield_now().await;
///         }
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct Controller {
    rules: Arc<RuleSet>,
    installation: Installation,
    upstream: Client,
    dependents: Client,
    dependents_url: String,
    lease: Option<(Client, String)>,
    identity: Option<String>,
    seed: Option<u64>,
    clock: Clock,
    pace: Pace,
    observer: Option<Arc<dyn Observer>>,
    health: Health,
    metrics: Metrics,
}

impl Controller {
    /// A controller that serves `rules` without a Lease.
    ///
    /// Events are written with the upstreams' client. No client should retry by itself
    /// (`Config::default_retry = false`): the queues do.
    #[must_use]
    pub fn new(
        rules: RuleSet,
        installation: Installation,
        upstream: Client,
        dependents: Client,
    ) -> Self {
        let names = rules.iter().map(|rule| rule.name().to_string()).collect();
        Self {
            rules: Arc::new(rules),
            installation,
            upstream,
            dependents,
            dependents_url: String::new(),
            lease: None,
            identity: None,
            seed: None,
            clock: Clock::system(),
            pace: Pace::default(),
            observer: None,
            health: Health::new(names),
            metrics: Metrics::new(),
        }
    }

    /// Works only while holding the installation's Lease in this namespace.
    ///
    /// The client should be one of its own: renewals must not queue behind deletes.
    #[must_use]
    pub fn lease(self, client: Client, namespace: impl Into<String>) -> Self {
        Self {
            lease: Some((client, namespace.into())),
            ..self
        }
    }

    /// Names this start of the controller on the Lease and on Events; a fresh name by default.
    ///
    /// A restarted controller must not take the Lease of its predecessor for its own.
    #[must_use]
    pub fn identity(self, identity: impl Into<String>) -> Self {
        Self {
            identity: Some(identity.into()),
            ..self
        }
    }

    /// Fixes the seed of every jitter (random by default), so that a run can be repeated.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self {
            seed: Some(seed),
            ..self
        }
    }

    /// Sets the clock that Leases and Events are written by; the machine's by default.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Bounds the DELETEs of all rules together.
    #[must_use]
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Tells one more of what happens, besides Events, metrics and logs.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self {
            observer: Some(observer),
            ..self
        }
    }

    /// What the log calls the dependents' API server.
    #[must_use]
    pub fn dependents_at(self, url: impl Into<String>) -> Self {
        Self {
            dependents_url: url.into(),
            ..self
        }
    }

    /// What is known of its readiness, also while it runs.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// What it counts, also while it runs.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Serves the rules until `stop` completes.
    ///
    /// # Cancellation
    /// Dropping the future ends everything at once, as a crash would: the Lease is not released.
    ///
    /// # Errors
    /// A Lease of another cluster's installation. A server that cannot be reached only makes it
    /// wait.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Exit, Failure> {
        let stopping = CancellationToken::new();
        let mut owned = JoinSet::new();
        owned.spawn(cancel_after(stop, stopping.clone()));
        let identity = self.identity.clone().unwrap_or_else(Lease::identity);
        let (events, publish) = EventRecorder::new(self.upstream.clone(), identity.clone());
        let events = events.clock(self.clock.clone());
        let mut publishing = JoinSet::new();
        publishing.spawn(publish);
        let telemetry = Telemetry::new(events, self.metrics.clone());
        let telemetry = match &self.observer {
            Some(observer) => telemetry.also_tell(Arc::clone(observer)),
            None => telemetry,
        };
        let result = self.lead(identity, Arc::new(telemetry), stopping).await;
        if timeout(GRACE, publishing.join_next()).await.is_err() {
            tracing::debug!("some Events were not written in time");
        }
        result
    }

    async fn lead(
        &self,
        identity: String,
        telemetry: Arc<Telemetry>,
        stopping: CancellationToken,
    ) -> Result<Exit, Failure> {
        let service = Service {
            installation: self.installation.clone(),
            rules: Arc::clone(&self.rules),
            upstream: self.upstream.clone(),
            dependents: self.dependents.clone(),
            pace: self.pace.clone(),
            seeds: self.seed.map(Seeds::new),
            telemetry,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let Some((client, namespace)) = &self.lease else {
            self.health.no_lease();
            serve(&service, Term::without_lease(stopping.cancelled_owned())).await;
            return Ok(Exit::Done);
        };
        let cluster = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(Exit::Done),
            uid = cluster_uid(&service.dependents, &self.dependents_url) => uid,
        };
        let name = installation::lease_name(&self.installation);
        let lease = Lease::new(client.clone(), namespace, name, identity)
            .annotations(installation::annotations(&self.rules, &cluster))
            .refuse_if(move |record| installation::refusal(record, &cluster))
            .clock(self.clock.clone());
        self.health.leadership(lease.observed());
        let mut telling = JoinSet::new();
        telling.spawn(tell_leadership(lease.observed()));
        let led = lease
            .while_held(stopping.cancelled_owned(), |term| serve(&service, term))
            .await;
        led.map(|_| Exit::Done)
            .map_err(|error| Failure::new(Exit::Refused, error))
    }
}

/// The UID of `kube-system`, which stands for the cluster; asks until it is answered.
async fn cluster_uid(client: &Client, server: &str) -> String {
    let namespaces = Api::<Namespace>::all(client.clone());
    let mut told = None;
    loop {
        let problem = match timeout(DEADLINE, namespaces.get_metadata("kube-system")).await {
            Ok(Ok(namespace)) => match namespace.metadata.uid {
                Some(uid) => return uid,
                None => "the answer holds no UID".to_owned(),
            },
            Ok(Err(error)) => one_line(&error),
            Err(_) => "no answer".to_owned(),
        };
        if told.as_ref() != Some(&problem) {
            tracing::warn!(
                server,
                problem,
                "cannot read namespace kube-system of the dependents' cluster; asking again every \
                 2 s"
            );
            told = Some(problem);
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Says who leads, whenever that changes.
async fn tell_leadership(mut observed: watch::Receiver<Observed>) {
    loop {
        if let Observed::Standby { holder } = &*observed.borrow_and_update() {
            let leader = holder.as_deref().unwrap_or("nobody yet");
            tracing::info!(leader, "standing by");
        }
        if observed.changed().await.is_err() {
            return;
        }
    }
}

async fn cancel_after(stop: impl Future<Output = ()>, token: CancellationToken) {
    stop.await;
    token.cancel();
}
