//! The API server: a handle that clients and tests share.
//!
//! A request is carried out under one lock, from the first look at the state to the last event;
//! what has to wait, and what streams, is a watch. What the controllers have to do is kept in the
//! state and done under the same lock: there is no task in the background.

mod answer;
mod body;
mod create;
mod decode;
pub(crate) mod delete;
mod hook;
mod listing;
mod negotiate;
mod options;
mod read;
mod request;
mod route;
mod transaction;
pub(crate) mod update;
mod watch;

use std::{
    convert::Infallible,
    fmt, io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request as HttpRequest, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{BoxError, Service};

pub use body::ResponseBody;
pub use hook::{Author, View, Write};
pub(crate) use transaction::Transaction;

use crate::{
    builtin,
    clock::Clock,
    controllers::{self, Pending},
    random::SplitMix64,
    registry::Registry,
    serve,
    status::Status,
    store::{self, Store, object},
};

/// An in-memory Kubernetes API server; clones are the same server.
///
/// It is a [`tower::Service`], so it goes straight under a client in the same process.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

/// Everything that the lock protects.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) pending: Pending,
    pub(crate) random: SplitMix64,
    pub(crate) hooks: Vec<Arc<hook::Hook>>,
    /// By how many revisions a read that does not mind may be behind.
    pub(crate) lag: u64,
    /// Lists that are still refused because the server has just been restarted.
    pub(crate) initializing: u32,
}

/// How a server is set up.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `Builder::build`"]
pub struct Builder {
    seed: u64,
    start: SystemTime,
    controller_delay: Range<Duration>,
    collector: bool,
    window: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            seed: 0,
            // 2026-01-01T00:00:00Z: no test should depend on the day on which it runs.
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            controller_delay: Duration::ZERO..Duration::ZERO,
            collector: true,
            window: 10_000,
        }
    }
}

impl Builder {
    /// Where UIDs, generated names and delays come from. The default is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the server's clock shows at first; from there on it follows tokio's, which can be
    /// paused. The default is the beginning of 2026.
    pub fn start(mut self, start: SystemTime) -> Self {
        self.start = start;
        self
    }

    /// How long after its cause each step of a controller comes, drawn anew for each. The default
    /// is no delay at all: it is done before the next request.
    pub fn controller_delay(mut self, delay: Range<Duration>) -> Self {
        self.controller_delay = delay;
        self
    }

    /// Whether there is a garbage collector. Without one nobody ends a foreground deletion, takes
    /// an `orphan` finalizer off, or deletes what has lost its owners. The default is that there
    /// is.
    pub fn collector(mut self, collector: bool) -> Self {
        self.collector = collector;
        self
    }

    /// How many changes are remembered, for watches and for pages of a list. The default is
    /// 10,000.
    pub fn window(mut self, events: usize) -> Self {
        self.window = events;
        self
    }

    /// Starts the server: no task, no socket.
    #[must_use]
    pub fn build(self) -> ApiServer {
        let clock = Clock::starting_at(self.start);
        let mut state = State {
            store: Store::new(self.window),
            registry: builtin::registry(),
            pending: Pending::new(self.controller_delay, self.collector),
            random: SplitMix64::new(self.seed),
            hooks: Vec::new(),
            lag: 0,
            initializing: 0,
        };
        let served: Vec<_> = state.registry.all().to_vec();
        for served in &served {
            state.store.open(&served.resource.storage);
        }
        for name in builtin::SYSTEM_NAMESPACES {
            Transaction::by_server(&mut state, &clock).create_system_namespace(name);
        }
        state.store.begin();
        ApiServer {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(state),
            }),
        }
    }
}

impl ApiServer {
    /// A server with the defaults of [`Builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A server that is set up first.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What time it is on the server.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// The resourceVersion of the last change, whatever it was about.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state().store.revision()
    }

    /// The objects of a resource as they are now, in the order of a list.
    #[must_use]
    pub fn objects(&self, group: &str, plural: &str) -> Vec<Value> {
        View::new(&self.state()).objects(group, plural)
    }

    /// An object as it is now.
    #[must_use]
    pub fn get(
        &self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Value> {
        View::new(&self.state()).get(group, plural, namespace, name)
    }

    /// Carries out a request without a client: `body` is its JSON, or null.
    ///
    /// A PATCH is a merge patch. A watch answers with null.
    pub fn request(
        &self,
        method: &Method,
        path_and_query: &str,
        body: &Value,
    ) -> Result<Value, Status> {
        let bytes = match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let content_type = match *method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = HttpRequest::builder()
            .method(method)
            .uri(path_and_query)
            .header(http::header::CONTENT_TYPE, content_type)
            .body(())
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let (parts, ()) = request.into_parts();
        route::answer(self, &parts, bytes).into_json()
    }

    /// Serves this API on a socket, plain HTTP/1.1 without authentication, until `shutdown` ends;
    /// then its watches end, too.
    ///
    /// `kubectl` works with it, and says what it says of a real server: the tests run it against
    /// both. What it is refused: `apply --server-side`, `auth`, and whatever is about kinds that
    /// are not served. `explain` knows no descriptions of built-in fields.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        serve::serve(self, listener, shutdown).await
    }

    /// Has every committed change told to `hook`, and every DELETE of an object that is there, whether
    /// it is refused for what the object is or changes nothing.
    ///
    /// Not told are dry runs, requests that are refused before an object is looked at, what
    /// [`restore`](Self::restore) brings back, what is left of a kind whose definition is gone, and
    /// objects that a DELETE of a collection leaves as they are.
    ///
    /// It is called under the server's lock, with the state just after the change: it must not
    /// call this server.
    pub fn on_write(&self, hook: impl Fn(&Write<'_>) + Send + Sync + 'static) {
        self.state().hooks.push(Arc::new(hook));
    }

    /// Forgets all that has changed so far, as a compaction of etcd does: watches and pages of
    /// older revisions end with 410.
    pub fn compact(&self) {
        self.state().store.compact();
    }

    /// Ends all watches and forgets what has changed so far, as when the process is restarted.
    /// The objects stay, and the next `unready_lists` lists and watches answer 429 with
    /// `Retry-After: 1`, as a server does whose caches are not filled yet.
    pub fn restart(&self, unready_lists: u32) {
        let mut state = self.state();
        state.store.compact();
        state.store.drop_watches();
        state.initializing = unready_lists;
    }

    /// From now on a read that asks for `resourceVersion=0` is answered as of `revisions` ago.
    pub fn stale_reads(&self, revisions: u64) {
        self.state().lag = revisions;
    }

    /// A backup of everything.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state().store.snapshot())
    }

    /// Restores a backup, as of etcd: versions go backwards, and all watches end.
    pub fn restore(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        state.store.restore(&snapshot.0);
        controllers::resync(&mut state, &self.shared.clock);
        self.settle(&mut state);
    }

    /// Carries out what the controllers have to do by now.
    ///
    /// Every request does this first; it is for tests that look at [`Self::objects`] after time
    /// has passed.
    pub fn settle_controllers(&self) {
        drop(self.current());
    }

    /// The state, as it is for somebody who has not looked at the clock.
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with everything done that is due.
    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        self.settle(&mut state);
        state
    }

    fn settle(&self, state: &mut State) {
        controllers::run_due(state, &self.shared.clock);
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl<B> Service<HttpRequest<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = request::whole(body).await.map_err(Into::into)?;
            Ok(route::answer(&server, &parts, body).into_response())
        })
    }
}

/// All objects of a server at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(store::Snapshot);

impl Snapshot {
    /// The resourceVersion of the last change in it.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.revision()
    }
}

/// A watch has no end of its own that could fail.
type Never = Infallible;
