//! The controller: leads, and serves every rule while it does.
//!
//! Owns how the parts of a running controller are put together and how they end. What a rule does
//! is in `serve`, what it tells in [`telemetry`](crate::telemetry).

use std::{future::Future, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use kube_cascade::{
    cascade::Pace,
    lease::{Lease, Observed, Term},
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{InstallationOptions, RunOptions},
    clusters::{Asker, Clusters},
    events::EventRecorder,
    exit::{Exit, Failure, one_line},
    health::{self, Health},
    installation,
    metrics::Metrics,
    rules::{self, RuleSet},
    serve::{Service, serve},
    telemetry::Telemetry,
};

/// How long to wait before the server is asked again for what the start needs.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long one such question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the endpoints and the Events may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Serves the rules until SIGTERM or SIGINT.
///
/// # Errors
/// What makes a start impossible: bad rules, no cluster to talk to, an address in use, a Lease of
/// another cluster's installation. A server that cannot be reached only makes it wait.
pub async fn run(options: RunOptions) -> Result<Exit, Failure> {
    let stop = stop_signals().map_err(|error| Failure::new(Exit::Failure, error))?;
    run_until(options, stop).await
}

/// As [`run`], until `stop` completes.
///
/// # Errors
/// As [`run`].
pub async fn run_until(
    options: RunOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Exit, Failure> {
    let rules = rules::load(&options.rules)?;
    let clusters = Clusters::find(&options.connection, Asker::Controller).await?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let error = format!(
            "--listen: cannot listen on {}: {error}; give another address or port",
            options.listen
        );
        Failure::new(Exit::Failure, error)
    })?;
    tracing::info!(
        rules = rules.iter().count(),
        installation = %options.installation.name,
        upstreams = clusters.upstream_url(),
        endpoints = %listener.local_addr().unwrap_or(options.listen),
        "starting"
    );
    let stopping = CancellationToken::new();
    let mut owned = JoinSet::new();
    owned.spawn(cancel_after(stop, stopping.clone()));

    let identity = Lease::identity();
    let (events, publish) = EventRecorder::new(clusters.upstream()?, identity.clone());
    let metrics = Metrics::new();
    let names = rules.iter().map(|rule| rule.name().to_string()).collect();
    let health = Health::new(names);
    let ended = CancellationToken::new();
    let endpoints = health::serve(
        listener,
        health.clone(),
        metrics.clone(),
        ended.clone().cancelled_owned(),
    );
    let mut background = JoinSet::new();
    background.spawn(async {
        if let Err(error) = endpoints.await {
            tracing::error!(%error, "health and metrics are not served any longer");
        }
    });
    background.spawn(publish);

    let telemetry = Arc::new(Telemetry::new(events, metrics.clone()));
    let controller = Controller {
        options,
        rules: Arc::new(rules),
        clusters,
        health,
        metrics,
    };
    let result = controller.lead(identity, telemetry, stopping).await;
    ended.cancel();
    let drained = timeout(GRACE, async {
        while background.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::debug!("some Events were not written in time");
    }
    result
}

struct Controller {
    options: RunOptions,
    rules: Arc<RuleSet>,
    clusters: Clusters,
    health: Health,
    metrics: Metrics,
}

impl Controller {
    async fn lead(
        &self,
        identity: String,
        telemetry: Arc<Telemetry>,
        stopping: CancellationToken,
    ) -> Result<Exit, Failure> {
        let pace = Pace::new(self.options.max_in_flight);
        let pace = match self.options.qps {
            Some(deletes) => pace.per_second(deletes),
            None => pace,
        };
        let service = Service {
            installation: self.options.installation.name.clone(),
            rules: Arc::clone(&self.rules),
            upstream: self.clusters.upstream()?,
            dependents: self.clusters.dependents()?,
            pace,
            telemetry,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        if !self.options.leader_elect {
            self.health.no_lease();
            serve(&service, Term::without_lease(stopping.cancelled_owned())).await;
            return Ok(Exit::Done);
        }
        let server = self.clusters.dependents_url();
        let cluster = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(Exit::Done),
            uid = cluster_uid(&service.dependents, &server) => uid,
        };
        let lease = self.lease(identity, &cluster)?;
        self.health.leadership(lease.observed());
        let mut telling = JoinSet::new();
        telling.spawn(tell_leadership(lease.observed()));
        let led = lease
            .while_held(stopping.cancelled_owned(), |term| serve(&service, term))
            .await;
        led.map(|_| Exit::Done)
            .map_err(|error| Failure::new(Exit::Refused, error))
    }

    fn lease(&self, identity: String, cluster: &str) -> Result<Lease, Failure> {
        let InstallationOptions {
            name,
            lease_namespace,
        } = &self.options.installation;
        let namespace = self.clusters.lease_namespace(lease_namespace.as_ref());
        let ours = cluster.to_owned();
        // A client of its own: renewals must not queue behind deletes.
        let lease = Lease::new(
            self.clusters.upstream()?,
            namespace,
            installation::lease_name(name),
            identity,
        );
        Ok(lease
            .annotations(installation::annotations(&self.rules, cluster))
            .refuse_if(move |record| installation::refusal(record, &ours)))
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

/// Completes on SIGTERM or SIGINT.
fn stop_signals() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => tracing::info!("SIGTERM: ending"),
            _ = interrupt.recv() => tracing::info!("SIGINT: ending"),
        }
    })
}

async fn cancel_after(stop: impl Future<Output = ()>, token: CancellationToken) {
    stop.await;
    token.cancel();
}
