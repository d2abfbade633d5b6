//! `run`: the controller as a process, from its flags to its end.
//!
//! Owns what only a process has: files of rules, kubeconfigs, the listener, signals. The rest is
//! the [`Controller`].

use std::future::Future;

use kube_cascade::cascade::Pace;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::RunOptions,
    clusters::{Asker, Clusters},
    controller::{Controller, GRACE},
    exit::{Exit, Failure},
    health, rules,
};

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
    let controller = Controller::new(
        rules,
        options.installation.name.clone(),
        clusters.upstream()?,
        clusters.dependents()?,
    )
    .dependents_at(clusters.dependents_url())
    .pace(pace(&options));
    let controller = if options.leader_elect {
        let told = options.installation.lease_namespace.as_ref();
        // A client of its own: renewals must not queue behind deletes.
        controller.lease(clusters.upstream()?, clusters.lease_namespace(told))
    } else {
        controller
    };

    let ended = CancellationToken::new();
    let endpoints = health::serve(
        listener,
        controller.health(),
        controller.metrics(),
        ended.clone().cancelled_owned(),
    );
    let mut background = JoinSet::new();
    background.spawn(async {
        if let Err(error) = endpoints.await {
            tracing::error!(%error, "health and metrics are not served any longer");
        }
    });
    let result = controller.run(stop).await;
    ended.cancel();
    let _ = timeout(GRACE, background.join_next()).await;
    result
}

fn pace(options: &RunOptions) -> Pace {
    let pace = Pace::new(options.max_in_flight);
    match options.qps {
        Some(deletes) => pace.per_second(deletes),
        None => pace,
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
