//! Controllers for tests: in this process, or as the binary, each an installation of its own.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use kube::Client;
use kubectl_cascade::{
    cli::{self, Command, RunOptions},
    exit::{Exit, Failure},
    run,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{
    CustomKind, Draft, NETWORK, Object, PROJECT, admin, control_plane, fresh_namespace, unique,
    until,
};

/// The label by which all dependents of these tests are tied to their upstream.
pub(crate) const LABEL: &str = "example.com/project";

/// The rules of one controller, which reads like the YAML it becomes.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    documents: Vec<String>,
}

/// One rule in the making.
#[derive(Clone, Debug)]
pub(crate) struct RuleDraft {
    name: String,
    mode: &'static str,
    upstream: String,
    dependents: Vec<String>,
    limit: Option<usize>,
}

impl RuleDraft {
    /// Upstreams of a kind in one namespace, by name.
    pub(crate) fn of(name: &str, upstream: CustomKind, namespace: &str) -> Self {
        Self::scoped(
            name,
            upstream,
            &format!("scope: {{namespaces: [{namespace}]}}"),
        )
    }

    /// Upstreams of a kind; `rest` is what else its `upstream` says.
    pub(crate) fn scoped(name: &str, upstream: CustomKind, rest: &str) -> Self {
        let kind = upstream.kind();
        let (group, kind) = (kind.group(), kind.kind());
        let upstream = format!("{{group: {group}, kind: {kind}, {rest}}}");
        let (name, dependents) = (name.to_owned(), Vec::new());
        Self {
            name,
            mode: "Enforce",
            upstream,
            dependents,
            limit: None,
        }
    }

    /// Adds dependents in one namespace.
    pub(crate) fn takes(self, kind: CustomKind, namespace: &str) -> Self {
        self.takes_in(kind, &format!("scope: {{namespaces: [{namespace}]}}"))
    }

    /// Adds dependents; `rest` is what else the dependent says.
    pub(crate) fn takes_in(self, kind: CustomKind, rest: &str) -> Self {
        let kind = kind.kind();
        let (group, kind) = (kind.group(), kind.kind());
        self.takes_document(&format!(
            "{{group: {group}, kind: {kind}, label: {LABEL}, {rest}}}"
        ))
    }

    /// Adds dependents as they stand in a rule.
    pub(crate) fn takes_document(mut self, dependent: &str) -> Self {
        self.dependents.push(dependent.to_owned());
        self
    }

    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn reporting(mut self) -> Self {
        self.mode = "Report";
        self
    }

    fn document(&self) -> String {
        let Self {
            name,
            mode,
            upstream,
            dependents,
            limit,
        } = self;
        let dependents = dependents.join(", ");
        let limit = limit
            .map(|limit| format!(", limit: {limit}"))
            .unwrap_or_default();
        format!(
            "apiVersion: kube-cascade.dev/v1alpha1\nkind: ClusterCascadeRule\nmetadata: {{name: \
             {name}}}\nspec: {{mode: {mode}, upstream: {upstream}, dependents: [{dependents}]{limit}}}\n"
        )
    }
}

impl From<RuleDraft> for Rules {
    fn from(rule: RuleDraft) -> Self {
        Self::from_iter([rule])
    }
}

impl FromIterator<RuleDraft> for Rules {
    fn from_iter<T: IntoIterator<Item = RuleDraft>>(rules: T) -> Self {
        Self {
            documents: rules.into_iter().map(|rule| rule.document()).collect(),
        }
    }
}

/// How to start a controller.
pub(crate) struct Setup {
    pub(crate) installation: String,
    /// Keeps the rules' file.
    _folder: TempDir,
    arguments: Vec<OsString>,
    pub(crate) listen: SocketAddr,
}

impl Setup {
    /// A controller of these rules, an installation of its own, with the admin's rights.
    pub(crate) fn of(rules: impl Into<Rules>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, rules.into().documents.join("---\n")).expect("it is writable");
        let listen = free_address();
        let installation = unique("it");
        let setup = Self {
            installation,
            _folder: folder,
            arguments: Vec::new(),
            listen,
        };
        setup
            .with("--rules", file)
            .with("--listen", listen.to_string())
    }

    pub(crate) fn with(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([flag.into(), value.into()]);
        self
    }

    /// Takes another's place: same installation.
    pub(crate) fn in_installation(mut self, installation: &str) -> Self {
        installation.clone_into(&mut self.installation);
        self
    }

    pub(crate) fn kubeconfig(self, path: &Path) -> Self {
        self.with("--kubeconfig", path)
    }

    /// The whole command line, kubeconfig included.
    pub(crate) fn command_line(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["kubectl-cascade".into(), "run".into()];
        line.extend(["--installation".into(), self.installation.clone().into()]);
        line.extend(self.arguments.iter().cloned());
        if !self
            .arguments
            .iter()
            .any(|argument| argument == "--kubeconfig")
        {
            line.extend(["--kubeconfig".into(), admin_kubeconfig().into()]);
        }
        line
    }

    fn options(&self) -> RunOptions {
        let parsed = cli::parse(&self.command_line()).expect("the command line is right");
        match parsed.command {
            Command::Run(options) => options,
            other => panic!("not a run: {other:?}"),
        }
    }

    /// Starts it in this process.
    pub(crate) fn start(self) -> Controller {
        // With RUST_LOG set, a failing test shows what its controllers said.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let stop = CancellationToken::new();
        let task = run::run_until(self.options(), stop.clone().cancelled_owned());
        Controller {
            stop,
            task: tokio::spawn(task),
            setup: self,
        }
    }

    /// Starts it and waits until every rule is served or degraded.
    pub(crate) async fn ready(self) -> Controller {
        let controller = self.start();
        until("the controller is ready", async || {
            controller
                .get("/readyz")
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await;
        controller
    }
}

pub(crate) fn admin_kubeconfig() -> PathBuf {
    control_plane().kubeconfig_path().to_owned()
}

/// A controller that runs in this process; it ends with the test.
pub(crate) struct Controller {
    stop: CancellationToken,
    task: JoinHandle<Result<Exit, Failure>>,
    setup: Setup,
}

impl Controller {
    pub(crate) fn installation(&self) -> &str {
        &self.setup.installation
    }

    /// Ends it as SIGTERM would, and waits for its end.
    pub(crate) async fn stop(self) -> Setup {
        self.stop.cancel();
        let ended = self.task.await.expect("the controller does not panic");
        assert_eq!(ended.expect("it ends well"), Exit::Done);
        self.setup
    }

    /// How it ended by itself.
    pub(crate) async fn ended(self) -> Result<Exit, Failure> {
        self.task.await.expect("the controller does not panic")
    }

    /// An answer of its endpoints.
    pub(crate) async fn get(&self, path: &str) -> std::io::Result<Answer> {
        get(self.setup.listen, path).await
    }

    /// The value of a metric, 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self
            .get("/metrics")
            .await
            .expect("the endpoint answers")
            .body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0.0, |value| value.parse().expect("a metric is a number"))
    }

    /// Waits until a metric is more than zero.
    pub(crate) async fn until_metric(&self, name: &str, labels: &[&str]) {
        until(&format!("{name}{labels:?} is above zero"), async || {
            self.metric(name, labels).await > 0.0
        })
        .await;
    }
}

/// What an endpoint answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A plain GET; HTTP/1.0, so that the answer ends with the connection.
pub(crate) async fn get(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// Two namespaces of a test's own, and the usual things in them.
pub(crate) struct Stage {
    pub(crate) client: Client,
    /// Where upstreams are.
    pub(crate) tenants: String,
    /// Where dependents are.
    pub(crate) region: String,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let client = admin().await;
        let (tenants, region) = two_namespaces(&client).await;
        Self {
            client,
            tenants,
            region,
        }
    }

    /// A project of a name that nothing else has.
    pub(crate) async fn project(&self) -> Object {
        let project = PROJECT.named(unique("p")).within(&self.tenants);
        project.create(&self.client).await
    }

    /// An object to be, with the ID of an upstream in its label.
    pub(crate) fn labelled(&self, kind: CustomKind, name: &str, id: &str) -> Draft {
        kind.named(name).within(&self.region).labelled(LABEL, id)
    }

    /// An object with the ID of an upstream in its label.
    pub(crate) async fn dependent(&self, kind: CustomKind, name: &str, id: &str) -> Object {
        self.labelled(kind, name, id).create(&self.client).await
    }

    /// The rule `project`: the networks go with their project.
    pub(crate) fn rule(&self) -> RuleDraft {
        RuleDraft::of("project", PROJECT, &self.tenants).takes(NETWORK, &self.region)
    }
}

/// Waits until something keeps an object that nothing else keeps: our hold.
pub(crate) async fn held(object: &Object) {
    let kept = async || !object.finalizers().await.is_empty();
    until(&format!("{} is held", object.name), kept).await;
}

/// Two namespaces of one's own: for upstreams, and for dependents.
pub(crate) async fn two_namespaces(client: &Client) -> (String, String) {
    (
        fresh_namespace(client, "tenants").await,
        fresh_namespace(client, "region").await,
    )
}
