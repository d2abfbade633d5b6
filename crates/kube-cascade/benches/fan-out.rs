//! How fast a cascade's DELETEs go out, held against a raw client that sends the same ones.
//!
//! Both run in turn, in pairs, on the same real control plane. A is one pass of
//! [`CascadingDelete`], with everything that it reads first. B is the least that anybody could
//! do: the same requests, made beforehand, on 32 connections; the list that they were made of is
//! not counted. The ratio of a pair is the result, because the machine's own speed cancels out.
//!
//! No controller manager runs, so nothing else loads the server: what is deleted in foreground
//! stays, terminating, and is counted before it is cleared away.

use std::{
    env,
    error::Error,
    num::NonZeroUsize,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use control_plane::ControlPlane;
use futures::{StreamExt, future, stream};
use http::{
    HeaderValue,
    header::{ACCEPT, AUTHORIZATION},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::Connect},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    api::{DeleteParams, ListParams, Preconditions},
    client::{Body, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_cascade::{
    CascadingDelete, Consumer as _, Delivery, Outcome,
    cascade::{Answer, LabelKey, Notice, Observer, Pace, Scope, Selection, Subject, Upstream},
    kubernetes::IdSource,
    names::Namespace,
};

#[path = "../tests/fixtures/mod.rs"]
mod fixtures;

use fixtures::{NETWORK, Object, PROJECT, unique};

const DEPENDENTS: usize = 1_000;
const CONNECTIONS: usize = 32;
/// Pairs of rounds, after one that only warms up.
const PAIRS: usize = 9;
/// More than this as the median ratio is a failure.
const MOST: f64 = 2.0;

const LABEL: &str = "example.com/project";
const NAMESPACE: &str = "region";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let pairs = pairs(env::args().skip(1))?;
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()?;
    fixtures::install(&control_plane, &[PROJECT, NETWORK]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ratio = runtime.block_on(run(&control_plane, pairs))?;
    let ok = ratio <= MOST;
    println!(
        "{}: the median ratio is {ratio:.2}, at most {MOST:.2} is allowed",
        if ok { "ok" } else { "FAILED" },
    );
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads `--pairs N`; Cargo adds `--bench`.
fn pairs(mut arguments: impl Iterator<Item = String>) -> Result<usize> {
    let mut pairs = PAIRS;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--pairs" => pairs = arguments.next().ok_or("--pairs needs a number")?.parse()?,
            other => return Err(format!("unknown argument {other:?}; there is: --pairs N").into()),
        }
    }
    if pairs == 0 {
        Err("--pairs must be at least 1".into())
    } else {
        Ok(pairs)
    }
}

async fn run(control_plane: &ControlPlane, pairs: usize) -> Result<f64> {
    let config = config(control_plane).await?;
    let setup = Setup::new(Client::try_from(config.clone())?).await;
    let cascade = Cascade::new(Client::try_from(config.clone())?);
    let raw = Raw::new(
        &config,
        control_plane.admin().token(),
        &config.rustls_https_connector()?,
    )?;

    println!(
        "fan-out: {DEPENDENTS} dependents of one upstream, deleted in foreground, {pairs} pairs of \
         rounds\n\
         A  kube-cascade: one pass with {CONNECTIONS} DELETEs in flight, its lists and \
         confirmations counted\n\
         B  raw client: the same DELETEs on {CONNECTIONS} connections, made beforehand, the list \
         for it not counted\n\
         seconds from the start to the last answer; first: when A's first DELETE could begin"
    );
    let mut rounds = Vec::new();
    for pair in 0..=pairs {
        // Taking turns at going first, so that what preparation leaves behind hits both.
        let (a, b);
        if pair % 2 == 0 {
            a = cascade.round(&setup).await?;
            b = raw.round(&setup).await?;
        } else {
            b = raw.round(&setup).await?;
            a = cascade.round(&setup).await?;
        }
        let ratio = a.total.as_secs_f64() / b.as_secs_f64();
        println!(
            "{:>7}  A {:.3}  (first {:.3})  B {:.3}  A/B {ratio:.3}",
            if pair == 0 {
                "warm-up".to_owned()
            } else {
                pair.to_string()
            },
            a.total.as_secs_f64(),
            a.first.as_secs_f64(),
            b.as_secs_f64(),
        );
        if pair > 0 {
            rounds.push((a, b));
        }
    }
    Ok(summary(&rounds))
}

/// Prints the medians and returns that of the ratios.
fn summary(rounds: &[(CascadeTime, Duration)]) -> f64 {
    let a = sorted(rounds.iter().map(|(a, _)| a.total.as_secs_f64()));
    let first = sorted(rounds.iter().map(|(a, _)| a.first.as_secs_f64()));
    let b = sorted(rounds.iter().map(|(_, b)| b.as_secs_f64()));
    let ratios = sorted(
        rounds
            .iter()
            .map(|(a, b)| a.total.as_secs_f64() / b.as_secs_f64()),
    );
    #[expect(clippy::cast_precision_loss, reason = "a few thousand are exact")]
    let rate = |seconds: f64| DEPENDENTS as f64 / seconds;
    println!(
        "median   A {:.3}  (first {:.3})  B {:.3}   = {:.0} and {:.0} deletes a second",
        median(&a),
        median(&first),
        median(&b),
        rate(median(&a)),
        rate(median(&b)),
    );
    println!(
        "ratio A/B of {} pairs: median {:.3}, min {:.3}, max {:.3}",
        ratios.len(),
        median(&ratios),
        ratios[0],
        ratios[ratios.len() - 1],
    );
    median(&ratios)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

async fn config(control_plane: &ControlPlane) -> Result<Config> {
    let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path())?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(config)
}

/// What is done before and after a round, on connections of its own.
struct Setup {
    client: Client,
}

impl Setup {
    async fn new(client: Client) -> Self {
        let namespace = serde_json::json!({"metadata": {"name": NAMESPACE}});
        let namespace = serde_json::from_value(namespace).expect("it is a namespace");
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
            kube::Api::all(client.clone());
        let created = namespaces
            .create(&kube::api::PostParams::default(), &namespace)
            .await;
        created.expect("the namespace is created");
        Self { client }
    }

    /// A terminating upstream and its dependents.
    async fn scene(&self) -> Scene {
        let id = unique("p");
        let upstream = PROJECT
            .named(&*id)
            .within(NAMESPACE)
            .kept_by("example.com/kept")
            .create(&self.client)
            .await
            .deleting()
            .await;
        let dependents = (0..DEPENDENTS).map(|number| {
            let draft = NETWORK.named(format!("{id}-{number}")).within(NAMESPACE);
            draft.labelled(LABEL, &id).create(&self.client)
        });
        let dependents = stream::iter(dependents.collect::<Vec<_>>()).buffer_unordered(CONNECTIONS);
        Scene {
            upstream,
            dependents: dependents.collect().await,
            id,
        }
    }

    /// Proves that every dependent was asked to go, then clears everything away.
    async fn clear(&self, scene: Scene) -> Result<()> {
        let api = NETWORK.api(&self.client, Some(NAMESPACE));
        let labels = format!("{LABEL}={}", scene.id);
        let found = api
            .list_metadata(&ListParams::default().labels(&labels))
            .await?;
        let terminating = found
            .items
            .iter()
            .filter(|object| object.metadata.deletion_timestamp.is_some());
        let terminating = terminating.count();
        if (terminating, found.items.len()) != (DEPENDENTS, DEPENDENTS) {
            let left = found.items.len();
            return Err(format!("{terminating} of {left} terminate, not {DEPENDENTS}").into());
        }
        let finalizers: Vec<_> = scene
            .dependents
            .iter()
            .chain([&scene.upstream])
            .map(|object| object.set_finalizers(&[]))
            .collect();
        stream::iter(finalizers)
            .buffer_unordered(CONNECTIONS)
            .collect::<()>()
            .await;
        let left = api.list_metadata(&ListParams::default()).await?.items.len();
        if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} dependents are left").into())
        }
    }
}

struct Scene {
    id: String,
    upstream: Object,
    dependents: Vec<Object>,
}

/// A: the library, as a controller that has been running for a while uses it.
struct Cascade {
    consumer: Arc<CascadingDelete>,
    clock: Arc<Clock>,
}

#[derive(Clone, Copy)]
struct CascadeTime {
    /// When the plan was judged, and its first DELETE could begin.
    first: Duration,
    total: Duration,
}

impl Cascade {
    fn new(client: Client) -> Self {
        let label: LabelKey = LABEL.parse().expect("it is a label key");
        let namespace: Namespace = NAMESPACE.parse().expect("it is a namespace");
        let upstream = Upstream::kubernetes(client.clone(), PROJECT.kind(), IdSource::Name);
        let clock = Arc::<Clock>::default();
        let pace = Pace::new(NonZeroUsize::new(CONNECTIONS).expect("32 is not zero"));
        let selection = Selection::label(label, Scope::from(namespace));
        let consumer = CascadingDelete::dynamic(client, NETWORK.kind(), upstream, selection)
            .pace(pace)
            .observer(Arc::clone(&clock) as Arc<dyn Observer>);
        Self {
            consumer: Arc::new(consumer),
            clock,
        }
    }

    async fn round(&self, setup: &Setup) -> Result<CascadeTime> {
        let scene = setup.scene().await;
        let delivery = Delivery::new(scene.upstream.envelope().await);
        self.clock.reset();
        let start = Instant::now();
        // As a queue runs its consumers: in a task.
        let consumer = Arc::clone(&self.consumer);
        let outcome = tokio::spawn(async move { consumer.consume(delivery).await }).await?;
        let seen = self.clock.reset();
        let outcome = outcome.map_err(|error| error.to_string())?;
        let (Outcome::Recheck(_), Some(started), Some(last)) = (&outcome, seen.started, seen.last)
        else {
            return Err(format!("the cascade ended with {outcome:?}").into());
        };
        if seen.deleted != DEPENDENTS {
            return Err(format!("{} of {DEPENDENTS} were deleted", seen.deleted).into());
        }
        setup.clear(scene).await?;
        Ok(CascadeTime {
            first: started - start,
            total: last - start,
        })
    }
}

/// Notes when the cascade says what.
#[derive(Default)]
struct Clock(Mutex<Times>);

#[derive(Default)]
struct Times {
    started: Option<Instant>,
    last: Option<Instant>,
    deleted: usize,
}

impl Clock {
    fn reset(&self) -> Times {
        std::mem::take(&mut self.0.lock().expect("no holder of it panics"))
    }
}

impl Observer for Clock {
    fn observe(&self, _: &Subject<'_>, notice: &Notice<'_>) {
        let mut times = self.0.lock().expect("no holder of it panics");
        match notice {
            Notice::Started(_) => times.started = Some(Instant::now()),
            Notice::Deleted { answer, .. } => {
                times.last = Some(Instant::now());
                times.deleted += usize::from(*answer == Answer::Deleted);
            }
            _ => {}
        }
    }
}

/// B: nothing but connections.
struct Raw<C> {
    connections: Vec<HyperClient<C, Body>>,
    server: http::Uri,
    authorization: HeaderValue,
}

impl<C: Connect + Clone + Send + Sync + 'static> Raw<C> {
    fn new(config: &Config, token: &str, connector: &C) -> Result<Self> {
        // A client that never has more than one request under way keeps to one connection.
        let connection = || HyperClient::builder(TokioExecutor::new()).build(connector.clone());
        Ok(Self {
            connections: std::iter::repeat_with(connection)
                .take(CONNECTIONS)
                .collect(),
            server: config.cluster_url.clone(),
            authorization: format!("Bearer {token}").parse()?,
        })
    }

    async fn round(&self, setup: &Setup) -> Result<Duration> {
        let scene = setup.scene().await;
        let requests = Arc::new(Mutex::new(self.requests(setup, &scene).await?));
        let start = Instant::now();
        let tasks = self.connections.iter().map(|connection| {
            let (connection, requests) = (connection.clone(), Arc::clone(&requests));
            tokio::spawn(send_all(connection, requests))
        });
        for task in future::join_all(tasks).await {
            task??;
        }
        let total = start.elapsed();
        setup.clear(scene).await?;
        Ok(total)
    }

    /// The very requests that the library would send, from a list that is not timed.
    async fn requests(&self, setup: &Setup, scene: &Scene) -> Result<Vec<http::Request<Body>>> {
        let api = NETWORK.api(&setup.client, Some(NAMESPACE));
        let labels = format!("{LABEL}={}", scene.id);
        let found = api
            .list_metadata(&ListParams::default().labels(&labels))
            .await?;
        let path = api.resource_url();
        let requests = found.items.into_iter().map(|object| {
            let params = DeleteParams::foreground().preconditions(Preconditions {
                uid: object.metadata.uid,
                resource_version: object.metadata.resource_version,
            });
            let name = object.metadata.name.unwrap_or_default();
            #[expect(clippy::disallowed_methods, reason = "the raw client deletes, too")]
            let request = kube::core::Request::new(path).delete(&name, &params)?;
            let (mut parts, body) = request.into_parts();
            let mut uri = self.server.clone().into_parts();
            uri.path_and_query = parts.uri.into_parts().path_and_query;
            parts.uri = uri.try_into()?;
            let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
            let metadata = HeaderValue::from_static(metadata);
            parts.headers.insert(ACCEPT, metadata);
            parts
                .headers
                .insert(AUTHORIZATION, self.authorization.clone());
            Ok(http::Request::from_parts(parts, Body::from(body)))
        });
        requests.collect()
    }
}

async fn send_all<C: Connect + Clone + Send + Sync + 'static>(
    connection: HyperClient<C, Body>,
    requests: Arc<Mutex<Vec<http::Request<Body>>>>,
) -> Result<()> {
    loop {
        let request = requests.lock().expect("no holder of it panics").pop();
        let Some(request) = request else {
            return Ok(());
        };
        let response = connection.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
    }
}
