//! What it costs that many put references on one object, and take them off, at the same time.
//!
//! 32 writers, each with a client and connections of its own, as if they were processes, put 500
//! different references on one object and take them off again. What counts is how many requests an
//! operation takes; seconds depend on the machine. Each way to write is measured under two loads:
//! - *fill and drain*: all of them are put on, then all of them are taken off: the list is long;
//! - *come and go*: each is taken off as soon as it is on: everybody hinders everybody.
//!
//! After each round, nothing but somebody else's finalizer may be left.

use std::{
    env,
    error::Error,
    fmt,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use control_plane::ControlPlane;
use futures::future;
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_cascade::{ObjectRef, Reference, kubernetes::Disposition, reference::References};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tower::util::MapRequestLayer;

#[path = "../tests/fixtures/mod.rs"]
mod fixtures;

use fixtures::{Object, PROJECT, unique};

const WRITERS: usize = 32;
const REFERENCES: usize = 500;
/// Server-side apply gets so slow with the number of managers that more of them take minutes.
const APPLIED: usize = 64;
/// More requests an operation than this is a failure of ours.
const MOST: f64 = 5.0;

const NAMESPACE: &str = "default";
const FOREIGN: &str = "example.com/somebody-else";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let (references, ways) = arguments(env::args().skip(1))?;
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()?;
    fixtures::install(&control_plane, &[PROJECT]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let worst = runtime.block_on(run(&control_plane, references, ways))?;
    let ok = worst <= MOST;
    println!(
        "{}: kube-cascade takes {worst:.2} requests an operation, at most {MOST:.2} are allowed",
        if ok { "ok" } else { "FAILED" },
    );
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads `--references N` and `--only-ours`; Cargo adds `--bench`.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(usize, &'static [Way])> {
    let (mut references, mut ways) = (REFERENCES, Way::ALL);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--references" => {
                let number = arguments.next().ok_or("--references needs a number")?;
                references = number.parse()?;
            }
            "--only-ours" => ways = &Way::ALL[..1],
            other => {
                let there_is = "--references N, --only-ours";
                return Err(format!("unknown argument {other:?}; there is: {there_is}").into());
            }
        }
    }
    if references == 0 {
        return Err("--references must be at least 1".into());
    }
    Ok((references, ways))
}

/// How a finalizer is written.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The library.
    Ours,
    /// As the library, but without a wait after a conflict.
    Place,
    /// A JSON Patch that tests the whole list.
    WholeList,
    /// Reading and replacing the object, as the original does.
    Replace,
    /// Server-side apply, with a field manager for each reference.
    Apply,
}

impl Way {
    const ALL: &'static [Self] = &[
        Self::Ours,
        Self::Place,
        Self::WholeList,
        Self::Replace,
        Self::Apply,
    ];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "kube-cascade",
            Self::Place => "test the place",
            Self::WholeList => "test the list",
            Self::Replace => "read, replace",
            Self::Apply => "server-side apply",
        })
    }
}

#[derive(Clone, Copy)]
enum Load {
    FillAndDrain,
    ComeAndGo,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FillAndDrain => "fill and drain",
            Self::ComeAndGo => "come and go",
        })
    }
}

/// Measures all ways and returns the worst of ours.
async fn run(control_plane: &ControlPlane, references: usize, ways: &[Way]) -> Result<f64> {
    println!(
        "references: {WRITERS} writers, {references} references on one object ({APPLIED} by \
         server-side apply)\n{:<18} {:<15} {:>11} {:>8} {:>8} {:>17}",
        "way", "load", "requests/op", "most", "seconds", "managedFields [B]",
    );
    let mut worst: f64 = 0.0;
    for &way in ways {
        let references = match way {
            Way::Apply => references.min(APPLIED),
            _ => references,
        };
        for load in [Load::FillAndDrain, Load::ComeAndGo] {
            let round = round(control_plane, way, load, references).await?;
            println!(
                "{way:<18} {load:<15} {:>11.2} {:>8} {:>8.1} {:>17}",
                round.requests, round.most, round.seconds, round.managed,
            );
            if way == Way::Ours {
                worst = worst.max(round.requests);
            }
        }
    }
    Ok(worst)
}

struct Round {
    /// Requests an operation.
    requests: f64,
    /// The most that one operation took.
    most: usize,
    seconds: f64,
    /// The length of `managedFields` with all references on, where they ever are.
    managed: usize,
}

async fn round(
    control_plane: &ControlPlane,
    way: Way,
    load: Load,
    references: usize,
) -> Result<Round> {
    let hands = client(control_plane, &Arc::default()).await?;
    let object = PROJECT.named(unique("p")).within(NAMESPACE);
    let object = object.kept_by(FOREIGN).create(&hands).await;
    let barrier = Arc::new(Barrier::new(WRITERS + 1));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let sent = Arc::<AtomicUsize>::default();
        let client = client(control_plane, &sent).await?;
        let writer = Writer {
            way,
            api: PROJECT.api(&client, Some(NAMESPACE)),
            references: References::new(client),
            object: object.clone(),
            sent,
        };
        let mine: Vec<Reference> = (number..references)
            .step_by(WRITERS)
            .map(reference)
            .collect();
        writers.push(tokio::spawn(writer.write(mine, load, Arc::clone(&barrier))));
    }
    barrier.wait().await;
    let start = Instant::now();
    barrier.wait().await;
    let mut managed = 0;
    if matches!(load, Load::FillAndDrain) {
        let full = object.read().await.ok_or("the object is gone")?;
        let found = full.metadata.finalizers.as_ref().map_or(0, Vec::len);
        if found != references + 1 {
            return Err(format!("{way}: {found} finalizers, not {references} and one").into());
        }
        managed = serde_json::to_string(&full.metadata.managed_fields)?.len();
    }
    barrier.wait().await;
    let (mut requests, mut most) = (0, 0);
    for writer in future::join_all(writers).await {
        let took = writer??;
        requests += took.iter().sum::<usize>();
        most = most.max(took.into_iter().max().unwrap_or_default());
    }
    let seconds = start.elapsed().as_secs_f64();
    let left = object.finalizers().await;
    if left != [FOREIGN] {
        return Err(format!("{way} left {left:?}").into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand are exact")]
    let requests = requests as f64 / (2 * references) as f64;
    Ok(Round {
        requests,
        most,
        seconds,
        managed,
    })
}

fn reference(number: usize) -> Reference {
    let text = format!("networks.region.example.com/region_network-{number}");
    text.parse().expect("it is a reference")
}

/// A client that counts what it sends.
async fn client(control_plane: &ControlPlane, sent: &Arc<AtomicUsize>) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path())?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.default_retry = false;
    let sent = Arc::clone(sent);
    let counting = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        sent.fetch_add(1, Ordering::Relaxed);
        request
    });
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&counting).build())
}

struct Writer {
    way: Way,
    api: Api<DynamicObject>,
    references: References,
    object: Object,
    sent: Arc<AtomicUsize>,
}

impl Writer {
    /// How many requests each operation took; discovery counts, too.
    async fn write(
        self,
        mine: Vec<Reference>,
        load: Load,
        barrier: Arc<Barrier>,
    ) -> Result<Vec<usize>> {
        let mut took = Vec::new();
        barrier.wait().await;
        for reference in &mine {
            took.push(self.change(reference, true).await?);
            if matches!(load, Load::ComeAndGo) {
                took.push(self.change(reference, false).await?);
            }
        }
        barrier.wait().await;
        barrier.wait().await;
        if matches!(load, Load::FillAndDrain) {
            for reference in mine.iter().rev() {
                took.push(self.change(reference, false).await?);
            }
        }
        Ok(took)
    }

    async fn change(&self, reference: &Reference, add: bool) -> Result<usize> {
        let before = self.sent.load(Ordering::Relaxed);
        loop {
            let done = match self.way {
                Way::Ours => self.ours(reference, add).await?,
                Way::Place => self.patch(reference.as_str(), add, false).await?,
                Way::WholeList => self.patch(reference.as_str(), add, true).await?,
                Way::Replace => self.replace(reference.as_str(), add).await?,
                Way::Apply => self.apply(reference.as_str(), add).await?,
            };
            if done {
                return Ok(self.sent.load(Ordering::Relaxed) - before);
            }
        }
    }

    async fn ours(&self, reference: &Reference, add: bool) -> Result<bool> {
        let namespace = self.object.namespace.as_deref().map(Into::into);
        let object = ObjectRef::new(PROJECT.kind(), namespace, self.object.name.as_str());
        let answer = if add {
            let added = self.references.add(&object, reference).await;
            added.map_err(|error| (error.disposition(), error.to_string()))
        } else {
            let removed = self.references.remove(&object, reference).await;
            removed.map_err(|error| (error.disposition(), error.to_string()))
        };
        match answer {
            Ok(_) => Ok(true),
            Err((Disposition::Retry, _)) => Ok(false),
            Err((_, error)) => Err(error.into()),
        }
    }

    async fn patch(&self, reference: &str, add: bool, whole: bool) -> Result<bool> {
        let found = self.api.get_metadata(&self.object.name).await?;
        let finalizers = found.metadata.finalizers.unwrap_or_default();
        let list = "/metadata/finalizers";
        let mut operations =
            vec![json!({"op": "test", "path": "/metadata/uid", "value": self.object.uid})];
        if whole {
            operations.push(json!({"op": "test", "path": list, "value": finalizers}));
        }
        if add {
            operations.push(json!({"op": "add", "path": format!("{list}/-"), "value": reference}));
        } else {
            let place = finalizers.iter().position(|it| it == reference);
            let path = format!("{list}/{}", place.ok_or("a reference was lost")?);
            operations.push(json!({"op": "test", "path": path, "value": reference}));
            operations.push(json!({"op": "remove", "path": path}));
        }
        let patch = Patch::<()>::Json(serde_json::from_value(Value::Array(operations))?);
        let params = PatchParams::default();
        let patched = self.api.patch_metadata(&self.object.name, &params, &patch);
        is_done(patched.await)
    }

    async fn replace(&self, reference: &str, add: bool) -> Result<bool> {
        let mut object = self.api.get(&self.object.name).await?;
        let finalizers = object.metadata.finalizers.get_or_insert_default();
        if add {
            finalizers.push(reference.to_owned());
        } else {
            finalizers.retain(|it| it != reference);
        }
        let params = PostParams::default();
        is_done(self.api.replace(&self.object.name, &params, &object).await)
    }

    async fn apply(&self, reference: &str, add: bool) -> Result<bool> {
        let finalizers = if add { vec![reference] } else { Vec::new() };
        let patch = Patch::Apply(json!({
            "apiVersion": PROJECT.api_version(),
            "kind": PROJECT.kind,
            "metadata": {"uid": self.object.uid, "finalizers": finalizers},
        }));
        let params = PatchParams::apply(reference);
        let applied = self.api.patch_metadata(&self.object.name, &params, &patch);
        is_done(applied.await)
    }
}

/// Whether it is written, or has to be tried again.
fn is_done<T>(answer: kube::Result<T>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
