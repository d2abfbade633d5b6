//! The example as it comes: on an API server in memory.

mod story;

use std::{
    future,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use kube::client::Body;
use kube_sim::{
    ApiServer,
    fault::{Action, FaultProxy, Faults, Gate, Match, Rule, Verb},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

const PROJECTS: &str = "/apis/identity.example.com/v1/namespaces/tenants/projects";
const NETWORKS: &str = "/apis/region.example.com/v1/namespaces/region/networks";

#[test]
fn in_memory_what_uses_goes_before_what_is_used() {
    let example = env!("CARGO_BIN_EXE_example-operators");
    story::tells_who_went_when(&mut Command::new(example));
}

/// As the server sees it. Nobody who only looks now and then can tell: of two that go between two
/// looks he does not know the order, and the Network may go before it has said for whom it waits. So
/// what the Cluster's operator writes has to wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_says_by_whom_and_goes_after_it() {
    let server = ApiServer::new();
    let (said, gone) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
    let (gate, list) = (said.clone(), Arc::clone(&gone));
    server.on_write(move |write| {
        let actors = ["clusters", "networks", "projects"];
        if !actors.contains(&write.resource()) {
            return;
        }
        let Some(after) = write.after() else {
            list.lock().unwrap().push(write.resource().to_owned());
            return;
        };
        let message = &after["status"]["conditions"][0]["message"];
        let user = "clusters.compute.example.com/compute_web";
        if write.resource() == "networks" && message.as_str().is_some_and(|it| it.contains(user)) {
            gate.open();
        }
    });
    let faults = Faults::new();
    let truth = server.clone();
    let cluster_terminates = move || {
        let cluster = truth.get("compute.example.com", "clusters", Some("compute"), "web");
        cluster.is_some_and(|cluster| cluster["metadata"]["deletionTimestamp"].is_string())
    };
    let of_its_operator = Match::verb(Verb::Patch)
        .resource("clusters")
        .when(move |_| cluster_terminates());
    faults.add(Rule::new(of_its_operator, Action::gate(&said)));
    let proxy = FaultProxy::start::<_, Body, _>(server, &faults)
        .await
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let server = proxy.url();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let mut example = Command::new(env!("CARGO_BIN_EXE_example-operators"));
    example.arg("--cluster").env("KUBECONFIG", &kubeconfig);
    let told = move || story::tells_who_went_when(&mut example);
    tokio::task::spawn_blocking(told).await.unwrap();
    let gone = gone.lock().unwrap();
    assert_eq!(*gone, ["clusters", "networks", "projects"]);
}

#[tokio::test]
async fn what_a_label_named_before_is_let_go() {
    let server = ApiServer::new();
    for object in serde_saphyr::from_multiple::<Value>(include_str!("../platform.yaml")).unwrap() {
        let path = match object["kind"].as_str() {
            Some("Namespace") => "/api/v1/namespaces",
            _ => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        };
        server.request(&Method::POST, path, &object).unwrap();
    }
    for name in ["apollo", "gemini"] {
        let project = json!({
            "apiVersion": "identity.example.com/v1", "kind": "Project",
            "metadata": {"name": name},
        });
        server.request(&Method::POST, PROJECTS, &project).unwrap();
    }
    let network = json!({
        "apiVersion": "region.example.com/v1", "kind": "Network",
        "metadata": {"name": "blue", "labels": {"example.com/project": "apollo"}},
    });
    server.request(&Method::POST, NETWORKS, &network).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.clone().serve(listener, future::pending()));

    let operator = Operator::started(&url);
    used_by(
        &server,
        "apollo",
        &["networks.region.example.com/region_blue"],
    )
    .await;
    drop(operator);
    let moved = json!({"metadata": {"labels": {"example.com/project": "gemini"}}});
    let path = format!("{NETWORKS}/blue");
    server.request(&Method::PATCH, &path, &moved).unwrap();
    let _operator = Operator::started(&url);
    used_by(
        &server,
        "gemini",
        &["networks.region.example.com/region_blue"],
    )
    .await;
    used_by(&server, "apollo", &[]).await;
}

/// Waits until the project's finalizers are these.
async fn used_by(server: &ApiServer, project: &str, finalizers: &[&str]) {
    let seen = || {
        let project = server.get("identity.example.com", "projects", Some("tenants"), project);
        project.unwrap()["metadata"]["finalizers"].clone()
    };
    let is_so = async {
        while seen().as_array().map_or(&[][..], Vec::as_slice) != finalizers {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = timeout(Duration::from_secs(60), is_so).await;
    in_time.unwrap_or_else(|_| panic!("{project}: {}", seen()));
}

/// The region's operator, which is killed when it is dropped.
struct Operator(Child);

impl Operator {
    fn started(url: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-operators"));
        command.arg("region").env("EXAMPLE_SERVER", url);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
