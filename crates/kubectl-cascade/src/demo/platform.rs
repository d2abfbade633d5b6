//! The platform: an in-memory API with its kinds and objects, and who works on it.
//!
//! Owns how the API, the services and the controller are put together. Everybody talks to the API
//! by a client of their own, under a name of their own, so that it can be told who does what.

use std::{
    collections::BTreeMap,
    error::Error,
    future,
    net::SocketAddr,
    num::NonZeroUsize,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_TYPE, USER_AGENT},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use kube_cascade::cascade::Pace;
use kube_sim::{
    ApiServer, Author, Write,
    fault::{Action, Faults, Match, Rule, Verb},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{
        Notify,
        mpsc::{self, UnboundedReceiver},
    },
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower::service_fn;

use super::{
    services::{Order, World},
    stage::Actor,
};
use crate::{
    controller::Controller,
    exit::{Exit, Failure},
    rules,
};

const DEFINITIONS: &str = include_str!("platform/definitions.yaml");
const OBJECTS: &str = include_str!("platform/objects.yaml");
const RULES: &str = include_str!("platform/rules.yaml");

/// How long each step of the collector takes: that of a large cluster is not faster, and nobody
/// could follow one that is.
const COLLECTOR: Range<Duration> = Duration::from_millis(250)..Duration::from_millis(450);

/// How long the way of a DELETE of the controller is, so that one is seen after the other.
const DISTANCE: Duration = Duration::from_millis(150);

/// How long the compute service takes to shut a cluster down.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// Where the Lease is, as by default.
const LEASES: &str = "kube-system";

/// The namespace of the projects.
const TENANTS: &str = "tenants";

const INSTALLATION: &str = "demo";

/// The names under which everybody asks.
const YOU: &str = "kubectl-cascade-demo";
const CONTROLLER: &str = "kube-cascade";
const SERVICES: [(&str, &str); 3] = [
    ("compute", "compute-service"),
    ("region", "region-service"),
    ("storage", "storage-service"),
];

/// A change, when it was made, and by whom.
pub(super) struct Written {
    pub(super) at: Instant,
    pub(super) by: Actor,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Everything but those who watch. Everybody stops working when it is dropped.
pub(super) struct Platform {
    server: ApiServer,
    /// A client of nobody yet.
    client: Client,
    written: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Platform {
    /// The API behind this listener.
    pub(super) fn behind(
        listener: TcpListener,
    ) -> Result<(Self, UnboundedReceiver<Written>), Failure> {
        let address = listener.local_addr().map_err(failed)?;
        let mut config = Config::new(format!("http://{address}").parse().map_err(failed)?);
        config.default_retry = false; // the queue tries again by itself
        let client = Client::try_from(config).map_err(failed)?;
        let (mut platform, written) = Self::new(|_| client);
        let serving = platform.server.clone().serve(listener, future::pending());
        platform.tasks.spawn(async {
            // It ends only with the process; without it nothing happens, which is noticed.
            let _ = serving.await;
        });
        Ok((platform, written))
    }

    /// The API without a socket, so that the time can be paused.
    #[cfg(test)]
    pub(super) fn in_process() -> (Self, UnboundedReceiver<Written>) {
        Self::new(|server| Client::new(server.clone(), "default"))
    }

    fn new(client: impl FnOnce(&ApiServer) -> Client) -> (Self, UnboundedReceiver<Written>) {
        let server = ApiServer::builder()
            .start(SystemTime::now())
            .controller_delay(COLLECTOR)
            .build();
        let (sender, changes) = mpsc::unbounded_channel();
        let written = Arc::<Notify>::default();
        let notify = Arc::clone(&written);
        server.on_write(move |write| {
            if write.refused().is_none() {
                // Once the play is over, nobody listens any more.
                let _ = sender.send(Written::of(write));
                notify.notify_one();
            }
        });
        let platform = Self {
            client: client(&server),
            server,
            written,
            tasks: JoinSet::new(),
        };
        (platform, changes)
    }

    /// Installs the kinds and makes the objects, with all that the services add to them.
    pub(super) async fn populate(&self) -> Result<(), Failure> {
        let definitions = documents(DEFINITIONS)?;
        for definition in &definitions {
            self.create(definition, &definitions)?;
        }
        while !self.all_established() {
            sleep(Duration::from_millis(10)).await;
            self.server.settle_controllers();
        }
        for object in &documents(OBJECTS)? {
            self.create(object, &definitions)?;
        }
        loop {
            let orders = look(&self.server).work();
            if orders.is_empty() {
                return Ok(());
            }
            for order in orders {
                let done = self.server.request(&order.method, &order.path, &order.body);
                done.map_err(failed)?;
            }
        }
    }

    fn all_established(&self) -> bool {
        let definitions = self
            .server
            .objects("apiextensions.k8s.io", "customresourcedefinitions");
        definitions.iter().all(|definition| {
            let conditions = definition["status"]["conditions"].as_array();
            conditions.is_some_and(|conditions| {
                let mut conditions = conditions.iter();
                conditions.any(|one| one["type"] == "Established" && one["status"] == "True")
            })
        })
    }

    fn create(&self, object: &Value, definitions: &[Value]) -> Result<(), Failure> {
        let path = collection(object, definitions);
        let made = self.server.request(&Method::POST, &path, object);
        made.map(drop).map_err(failed)
    }

    /// Lets the services do their work from now on.
    pub(super) fn start_services(&mut self) {
        let clients = SERVICES.map(|(service, name)| (service, self.client(name, &Faults::new())));
        let (server, written) = (self.server.clone(), Arc::clone(&self.written));
        self.tasks
            .spawn(serve_forever(server, clients.into(), written));
    }

    /// Lets the controller do its work from now on: the real one, as `run` starts it.
    pub(super) fn start_controller(&mut self) -> Result<(), Failure> {
        let rules = rules::parse("rules.yaml", RULES)?;
        let installation = INSTALLATION.parse().map_err(failed)?;
        let faults = Faults::new();
        faults.add(Rule::new(
            Match::verb(Verb::Delete),
            Action::delay(DISTANCE),
        ));
        let client = self.client(CONTROLLER, &faults);
        let controller = Controller::new(rules, installation, client.clone(), client.clone())
            .pace(Pace::new(NonZeroUsize::MIN))
            .lease(client, LEASES);
        self.tasks.spawn(async {
            // It ends only when its Lease is another cluster's, and there is no other.
            let _ = controller.run(future::pending()).await;
        });
        Ok(())
    }

    /// Deletes a project as kubectl does.
    pub(super) async fn delete_project(&self, name: &str) -> Result<(), Failure> {
        let path = format!("/apis/identity.example.com/v1/namespaces/{TENANTS}/projects/{name}");
        let client = self.client(YOU, &Faults::new());
        let order = Order {
            service: "",
            method: Method::DELETE,
            path,
            body: json!({}),
        };
        send(&client, order).await.map_err(failed)
    }

    /// A client that goes by this name, with these faults in its way.
    fn client(&self, name: &'static str, faults: &Faults) -> Client {
        let client = self.client.clone();
        let named = service_fn(move |mut request: Request<Body>| {
            let name = HeaderValue::from_static(name);
            request.headers_mut().insert(USER_AGENT, name);
            let client = client.clone();
            async move { client.send(request).await }
        });
        ClientBuilder::new(named, "default")
            .with_layer(&faults.layer())
            .build()
    }
}

impl Written {
    fn of(write: &Write<'_>) -> Self {
        let by = match write.author() {
            Author::Client(headers) => {
                let name = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
                actor(name.unwrap_or_default())
            }
            _ => Actor::Collector,
        };
        Self {
            at: Instant::now(),
            by,
            before: write.before(),
            after: write.after(),
        }
    }
}

/// Who calls itself by this name; programs add a version to theirs.
fn actor(agent: &str) -> Actor {
    let service = SERVICES.iter().find(|(_, name)| *name == agent);
    match (agent, service) {
        (YOU, _) => Actor::You,
        (CONTROLLER, _) => Actor::Controller,
        (_, Some((service, _))) => Actor::Service((*service).to_owned()),
        ("", None) => Actor::Other("somebody".to_owned()),
        (agent, None) => {
            let name = agent.split(['/', ' ']).next().unwrap_or(agent);
            Actor::Other(name.to_owned())
        }
    }
}

/// The services, at work until they are dropped.
async fn serve_forever(
    server: ApiServer,
    clients: BTreeMap<&'static str, Client>,
    written: Arc<Notify>,
) {
    let mut due = BTreeMap::new();
    loop {
        let world = look(&server);
        let mut orders = world.work();
        let shutting_down = world.shutting_down();
        due.retain(|uid, _| shutting_down.contains_key(uid));
        for (uid, order) in shutting_down {
            let then = *due.entry(uid).or_insert_with(|| Instant::now() + SHUTDOWN);
            if then <= Instant::now() {
                orders.push(order);
            }
        }
        for order in orders {
            if let Some(client) = clients.get(order.service) {
                // Whatever is refused is out of date: what changed it has them look again.
                let _ = send(client, order).await;
            }
        }
        let next = due.values().filter(|then| **then > Instant::now()).min();
        let next = next.copied();
        tokio::select! {
            biased;
            () = written.notified() => {}
            () = async { sleep_until(next.unwrap_or_else(Instant::now)).await }, if next.is_some() => {}
        }
    }
}

fn look(server: &ApiServer) -> World {
    World::seen(|kind| server.objects(&kind.group(), kind.plural))
}

async fn send(client: &Client, order: Order) -> Result<(), kube::Error> {
    let request = Request::builder()
        .method(order.method)
        .uri(order.path)
        .header(CONTENT_TYPE, "application/json")
        .body(order.body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request::<Value>(request).await.map(drop)
}

fn documents(text: &str) -> Result<Vec<Value>, Failure> {
    serde_saphyr::from_multiple(text).map_err(failed)
}

/// Where objects like this one are made.
fn collection(object: &Value, definitions: &[Value]) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = &object["kind"];
    let definition = definitions.iter().find(|definition| {
        let spec = &definition["spec"];
        let group = spec["group"].as_str().unwrap_or_default();
        spec["names"]["kind"] == *kind && version.split('/').next() == Some(group)
    });
    match definition {
        Some(definition) => {
            let plural = definition["spec"]["names"]["plural"].as_str();
            let namespace = object["metadata"]["namespace"].as_str();
            format!(
                "/apis/{version}/namespaces/{}/{}",
                namespace.unwrap_or_default(),
                plural.unwrap_or_default()
            )
        }
        None if *kind == "Namespace" => "/api/v1/namespaces".to_owned(),
        None => format!("/apis/{version}/customresourcedefinitions"),
    }
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::new(Exit::Failure, error)
}

/// What kubectl needs to know of the API at `address`.
pub(super) fn kubeconfig(address: SocketAddr) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: demo
clusters:
- name: demo
  cluster: {{server: 'http://{address}'}}
contexts:
- name: demo
  context: {{cluster: demo, user: demo, namespace: {TENANTS}}}
users:
- name: demo
  user: {{}}
"
    )
}
