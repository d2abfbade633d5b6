//! The line between one start of the controller and the API: who sends what, whether it is still
//! alive to send it, and what others do in between.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use kube_sim::{
    ApiServer,
    fault::{FaultBody, FaultService},
};
use tokio::{sync::Notify, time::Instant};
use tower::{BoxError, Service, ServiceExt as _};

use crate::{
    actors::Actors,
    oracle::{Oracle, query},
    trace::Trace,
    world::{INSTALLATION, Kind, World},
};

/// The header by which the oracle knows who writes.
pub const REPLICA: &str = "x-simulated-replica";

/// The namespace of the Lease.
pub const LEASE_NAMESPACE: &str = "kube-system";

/// The media type of a body that kube sends.
type Body = kube::client::Body;

/// What all lines of a schedule share.
#[derive(Clone)]
pub struct Ground {
    /// The API.
    pub server: ApiServer,
    /// The judge.
    pub oracle: Oracle,
    /// What is written down.
    pub trace: Trace,
    /// The world.
    pub world: Arc<World>,
    /// Those who disturb.
    pub actors: Actors,
    /// When the schedule began.
    pub started: Instant,
    /// Whether there is a Lease, and nobody meddles with it.
    pub leased: bool,
    /// The most objects that the server puts on a page, whatever it is asked for.
    pub page: Option<u64>,
    /// Whether nobody disturbs any more: who starts now does not die.
    pub calm: Arc<AtomicBool>,
}

impl Ground {
    /// The time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Whether a call is the last one of a replica, and whether the server still sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It dies before this call is sent.
    Before(u64),
    /// It dies when this call has been carried out, before it is answered.
    After(u64),
}

/// One start of a controller.
#[derive(Debug)]
pub struct Replica {
    /// Its name, which is its identity on the Lease.
    pub name: String,
    /// At which call it dies, if at any.
    pub death: Option<Death>,
    /// Told when it dies.
    pub died: Notify,
    alive: AtomicBool,
    calls: AtomicU64,
}

impl Replica {
    /// A start that is alive and has not called anybody.
    #[must_use]
    pub fn new(name: String, death: Option<Death>) -> Arc<Self> {
        Arc::new(Self {
            name,
            death,
            died: Notify::new(),
            alive: AtomicBool::new(true),
            calls: AtomicU64::new(0),
        })
    }

    /// It is no more: nothing of it reaches the server from now on.
    pub fn kill(&self) {
        self.alive.store(false, Ordering::Relaxed);
        self.died.notify_one();
    }

    /// How many calls it has begun.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// The line of one start, as a service under `kube::Client`.
#[derive(Clone)]
pub struct Line {
    ground: Ground,
    replica: Arc<Replica>,
    below: FaultService<ApiServer>,
}

impl Line {
    /// The line of a start.
    #[must_use]
    pub fn new(ground: Ground, replica: Arc<Replica>, below: FaultService<ApiServer>) -> Self {
        Self {
            ground,
            replica,
            below,
        }
    }

    async fn send(self, request: Request<Body>) -> Result<Response<FaultBody>, BoxError> {
        let Self {
            ground,
            replica,
            below,
        } = self;
        let number = replica.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if replica.is_alive() && replica.death == Some(Death::Before(number)) {
            ground.trace.line(ground.now(), || {
                format!("{} dies before call {number}", replica.name)
            });
            replica.kill();
        }
        if !replica.is_alive() {
            return futures::future::pending().await;
        }
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        if let Some(page) = ground.page {
            shorten(&mut head, page)?;
        }
        let name = HeaderValue::from_str(&replica.name)?;
        head.headers.insert(REPLICA, name);
        let told = format!("{} {}", head.method, head.uri);
        let sent = ground.now();
        ground
            .actors
            .disturb(&ground, &head.method, head.uri.path());
        inspect(&ground, &replica.name, &head, &body);
        let request = Request::from_parts(head, Body::from(body));
        let answer = below.oneshot(request).await;
        let status = match &answer {
            Ok(response) => response.status().as_u16().to_string(),
            Err(error) => error.to_string(),
        };
        ground.trace.line(ground.now(), || {
            let took = ground.now().saturating_sub(sent).as_millis();
            format!(
                "{} #{number} {told} -> {status} after {took} ms",
                replica.name
            )
        });
        if replica.is_alive() && replica.death == Some(Death::After(number)) {
            ground.trace.line(ground.now(), || {
                format!("{} dies after call {number}", replica.name)
            });
            replica.kill();
        }
        if !replica.is_alive() {
            return futures::future::pending().await;
        }
        answer
    }
}

impl Service<Request<Body>> for Line {
    type Response = Response<FaultBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<FaultBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

/// Asks for smaller pages: worlds are small, and lists of several pages are to be made in them.
fn shorten(head: &mut Parts, page: u64) -> Result<(), BoxError> {
    let asked = head.uri.to_string();
    if asked.contains("limit=500") {
        head.uri = asked
            .replace("limit=500", &format!("limit={page}"))
            .parse()?;
    }
    Ok(())
}

/// Looks at what is sent: lists are noted, writes must have a right to be sent.
fn inspect(ground: &Ground, replica: &str, head: &Parts, body: &Bytes) {
    let path = head.uri.path();
    if head.method == Method::GET {
        let parameters = parameters(head.uri.query().unwrap_or_default());
        let (Some(selector), None) = (parameters.get("labelSelector"), parameters.get("continue"))
        else {
            return;
        };
        ground
            .oracle
            .listed(ground.now(), replica, query(path, selector));
        return;
    }
    let Some(kind) = kind_of(path) else { return };
    let mut wrong = Vec::new();
    if head.method == Method::DELETE {
        let options: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let demanded = |field: &str| {
            let value = options["preconditions"][field].as_str();
            value.is_some_and(|value| !value.is_empty())
        };
        if !demanded("uid") || !demanded("resourceVersion") {
            wrong.push("without UID and resource version".to_owned());
        }
        let policy = ground.world.policy(kind);
        if options["propagationPolicy"] != *policy {
            wrong.push(format!("with a policy other than {policy}"));
        }
    }
    if ground.leased
        && let Some(holder) = holder(&ground.server)
        && holder != replica
    {
        wrong.push(format!("while {holder} holds the lease"));
    }
    for reason in wrong {
        let what = format!("{replica} sent {} {path} {reason}", head.method);
        ground.oracle.violation(ground.now(), what);
    }
}

/// Who holds the Lease, if anybody.
fn holder(server: &ApiServer) -> Option<String> {
    let name = format!("kube-cascade-{INSTALLATION}");
    let lease = server.get(
        "coordination.k8s.io",
        "leases",
        Some(LEASE_NAMESPACE),
        &name,
    )?;
    let holder = lease["spec"]["holderIdentity"].as_str()?;
    (!holder.is_empty()).then(|| holder.to_owned())
}

/// The kind that a path is about.
fn kind_of(path: &str) -> Option<Kind> {
    let mut parts = path.trim_matches('/').split('/');
    let (Some("apis"), Some(group)) = (parts.next(), parts.next()) else {
        return None;
    };
    parts.find_map(|part| Kind::of(group, part))
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        text.replace("%2F", "/")
            .replace("%2f", "/")
            .replace("%3D", "=")
            .replace("%3d", "=")
    };
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect()
}

/// A list of replicas that can be looked at while they come and go.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<Mutex<Vec<Arc<Replica>>>>);

impl Roster {
    /// One more.
    pub fn add(&self, replica: &Arc<Replica>) {
        self.lock().push(Arc::clone(replica));
    }

    /// How many calls all of them have begun.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().iter().map(|replica| replica.calls()).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Replica>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
