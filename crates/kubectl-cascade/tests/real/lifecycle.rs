//! How a controller begins, leads and ends.

use std::{process::Stdio, sync::OnceLock, time::Duration};

use control_plane::ControlPlane;
use http::StatusCode;
use kube_cascade::{
    Queue, State,
    cascade::{CascadingDelete, LabelKey, Namespaces, Scope, Selection, Upstream},
    kubernetes::{IdSource, KubernetesSource},
    queue::RetryPolicy,
};
use kube_sim::fault::{Action, Answer, FaultProxy, Faults, Gate, Match, Rule, Verb};
use kubectl_cascade::exit::Exit;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::{
    fixtures::{
        KINDS, NETWORK, PATIENCE, PROJECT, admin, client_under, control_plane, in_time, install,
        unique, until,
    },
    rig::{LABEL, RuleDraft, Setup, Stage, held, two_namespaces},
};

/// Who holds the Lease of an installation; empty when nobody does.
fn holder(installation: &str) -> String {
    let lease = format!("kube-cascade-{installation}");
    let path = "jsonpath={.spec.holderIdentity}";
    let holder = control_plane().kubectl(["get", "lease", &lease, "-n", "kube-system", "-o", path]);
    holder.unwrap_or_default()
}

/// A second cluster, for dependents of upstreams in the first.
fn second() -> &'static ControlPlane {
    static SECOND: OnceLock<ControlPlane> = OnceLock::new();
    SECOND.get_or_init(|| {
        let second = ControlPlane::builder().without_controller_manager().start();
        let second = second.expect("the second control plane starts");
        install(&second, &KINDS);
        second
    })
}

async fn second_cluster() -> &'static ControlPlane {
    tokio::task::spawn_blocking(second)
        .await
        .expect("it starts")
}

#[tokio::test]
async fn fault_48_sigterm_in_mid_fan_out_lets_calls_end_and_releases_the_lease() {
    let stage = Stage::set().await;
    let Stage { client, region, .. } = &stage;
    let project = stage.project().await;
    for index in 0..3 {
        let network = NETWORK.named(format!("n{index}")).within(region);
        network.labelled(LABEL, &project.name).create(client).await;
    }
    let faults = Faults::new();
    let gate = Gate::new();
    let deletes = Match::verb(Verb::Delete).resource("networks");
    faults.add(Rule::new(deletes, Action::gate(&gate)));
    let real = client.clone();
    let server = tower::service_fn(move |request| {
        let real = real.clone();
        async move { real.send(request).await }
    });
    let proxy = FaultProxy::start(server, &faults)
        .await
        .expect("the proxy starts");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: \
         {{server: \"{}\"}}}}], users: [{{name: u, user: {{}}}}], contexts: [{{name: c, context: \
         {{cluster: c, user: u}}}}]}}",
        proxy.url()
    );
    std::fs::write(&kubeconfig, text).expect("it is writable");
    let rule = stage.rule();
    let setup = Setup::of(rule)
        .kubeconfig(&kubeconfig)
        .with("--max-in-flight", "1");
    let mut controller = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"))
        .args(&setup.command_line()[1..])
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut log = BufReader::new(controller.stderr.take().expect("it was asked for")).lines();
    let (stopped, has_stopped) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn(async move {
        let mut stopped = Some(stopped);
        while let Ok(Some(line)) = log.next_line().await {
            if line.contains("no further DELETE is begun") {
                stopped.take().map(|stopped| stopped.send(()));
            }
        }
    });
    held(&project).await;
    project.delete().await;
    let held = gate.arrived().await;
    let pid = controller.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.expect("kill runs").success());
    // Until it says so, another one may have been begun.
    let said = in_time("it stops", PATIENCE, has_stopped).await;
    said.expect("it says so before it ends");
    held.release();
    let ended = controller.wait().await.expect("it ends");
    reading.await.expect("nobody panics");
    assert!(ended.success(), "{ended}");
    assert_eq!(holder(&setup.installation), "", "the lease is released");
    let sent = faults.recorder().deletes();
    assert_eq!(sent.len(), 1, "no DELETE begins after SIGTERM: {sent:?}");
    assert_eq!(
        sent[0].server_status().map(|status| status.as_u16()),
        Some(200)
    );
    project.set_finalizers(&[]).await;
}

#[tokio::test]
async fn fault_49_two_installations_in_one_namespace_lead_side_by_side() {
    let stage = Stage::set().await;
    let rule = stage.rule();
    let first = Setup::of(rule.clone()).ready().await;
    let second = Setup::of(rule).ready().await;
    let holders = [holder(first.installation()), holder(second.installation())];
    assert!(holders.iter().all(|holder| !holder.is_empty()) && holders[0] != holders[1]);
    let project = stage.project().await;
    until("both hold it", async || {
        project.finalizers().await.len() == 2
    })
    .await;
    project.delete().await;
    until("the project is gone", async || project.is_gone().await).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_standby_is_ready_and_takes_over_when_the_leader_ends() {
    let stage = Stage::set().await;
    let rule = stage.rule();
    let leader = Setup::of(rule.clone()).ready().await;
    let installation = leader.installation().to_owned();
    let standby = Setup::of(rule).in_installation(&installation).ready().await;
    assert!(leader.metric("kube_cascade_leader", &[]).await > 0.0);
    assert!(standby.metric("kube_cascade_leader", &[]).await < 1.0);
    leader.stop().await;
    standby.until_metric("kube_cascade_leader", &[]).await;
    let project = stage.project().await;
    held(&project).await;
    standby.stop().await;
    project.set_finalizers(&[]).await;
}

#[tokio::test]
async fn dependents_of_another_cluster_go_with_their_upstream() {
    let client = admin().await;
    let other = second_cluster().await;
    let (tenants, _) = two_namespaces(&client).await;
    let project = PROJECT
        .named(unique("p"))
        .within(&tenants)
        .create(&client)
        .await;
    let region = unique("region");
    other
        .kubectl(["create", "namespace", &region])
        .expect("the namespace is created");
    let network = serde_json::json!({
        "apiVersion": NETWORK.api_version(), "kind": "Network",
        "metadata": {"name": "n", "namespace": region, "labels": {LABEL: project.name}},
    });
    let file = other.folder().join(format!("{region}.json"));
    std::fs::write(&file, network.to_string()).expect("the folder is writable");
    other
        .kubectl(["create", "-f", &file.display().to_string()])
        .expect("it is created");
    // No collector runs there: background deletion removes the object at once.
    let background = format!("scope: {{namespaces: [{region}]}}, propagation: Background");
    let rule = RuleDraft::of("project", PROJECT, &tenants).takes_in(NETWORK, &background);
    let controller = Setup::of(rule)
        .kubeconfig(other.kubeconfig_path())
        .with("--upstream-kubeconfig", control_plane().kubeconfig_path())
        .ready()
        .await;
    assert!(
        !holder(controller.installation()).is_empty(),
        "the Lease is with the upstreams"
    );
    until("it is held", async || {
        !project.finalizers().await.is_empty()
    })
    .await;
    project.delete().await;
    until("the project is gone", async || project.is_gone().await).await;
    let left = other.kubectl(["get", "networks", "-n", &region, "-o", "name"]);
    assert_eq!(left.expect("networks are listed").trim(), "");
    controller.stop().await;
}

#[tokio::test]
async fn fault_73_two_clusters_do_not_share_one_installation_name() {
    let client = admin().await;
    let other = second_cluster().await;
    let (tenants, region) = two_namespaces(&client).await;
    let rule = RuleDraft::of("project", PROJECT, &tenants).takes(NETWORK, &region);
    let first = Setup::of(rule.clone()).ready().await;
    let second = Setup::of(rule)
        .in_installation(first.installation())
        .kubeconfig(other.kubeconfig_path())
        .with("--upstream-kubeconfig", control_plane().kubeconfig_path())
        .start();
    let ended = in_time("it refuses to start", PATIENCE, second.ended()).await;
    let failure = ended.expect_err("it refuses to start");
    assert_eq!(failure.exit(), Exit::Refused);
    let said = failure.to_string();
    assert!(
        said.contains("another cluster") && said.contains("--installation"),
        "{said}"
    );
    first.stop().await;
}

#[tokio::test]
async fn fault_68_status_writes_do_not_shorten_a_backoff() {
    let Stage {
        client,
        tenants,
        region,
    } = &Stage::set().await;
    let failing = PROJECT
        .named(unique("p"))
        .within(tenants)
        .kept_by("example.com/a")
        .create(client)
        .await;
    let other = PROJECT
        .named(unique("p"))
        .within(tenants)
        .kept_by("example.com/a")
        .create(client)
        .await;
    for project in [&failing, &other] {
        let network = NETWORK.named(project.name.as_str()).within(region);
        network.labelled(LABEL, &project.name).create(client).await;
    }
    let faults = Faults::new();
    let refuse = Action::answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    let its_network = Match::verb(Verb::Delete)
        .resource("networks")
        .name(&failing.name);
    faults.add(Rule::new(its_network.clone(), refuse));
    let under = client_under(&faults, control_plane().kubeconfig_path()).await;
    let upstream = Upstream::kubernetes(under.clone(), PROJECT.kind(), IdSource::Name);
    let key: LabelKey = LABEL.parse().expect("the key is valid");
    let scope = Namespaces::from(
        region
            .parse::<kube_cascade::names::Namespace>()
            .expect("valid"),
    );
    let selection = Selection::label(key, Scope::from(scope));
    let cascade = CascadingDelete::dynamic(under, NETWORK.kind(), upstream, selection);
    let source = KubernetesSource::new(client.clone(), PROJECT.kind()).namespaces([tenants]);
    // The first backoff is at least half an hour: nothing but news could shorten it.
    let hour = Duration::from_secs(3600);
    let retry = RetryPolicy::default().with_base(hour).with_max(hour);
    let queue = Queue::builder(source)
        .consumer(cascade)
        .retry(retry)
        .build()
        .expect("it is valid");
    let monitor = queue.monitor();
    let stop = CancellationToken::new();
    let running = tokio::spawn(queue.run(stop.clone().cancelled_owned()));
    failing.delete().await;
    until("its delete has failed", async || {
        monitor.stats().failing() == 1
    })
    .await;
    for value in 0..20 {
        failing.write_status(value).await;
    }
    // The watch tells of the other one after all of these writes.
    other.delete().await;
    let others_network = Match::verb(Verb::Delete)
        .resource("networks")
        .name(&other.name);
    until("the other cascade went on", async || {
        faults.recorder().count(&others_network) == 1
    })
    .await;
    assert_eq!(
        faults.recorder().count(&its_network),
        1,
        "no attempt before its backoff"
    );
    assert!(matches!(
        failing.envelope().await.state(),
        State::Terminating { .. }
    ));
    stop.cancel();
    running
        .await
        .expect("the queue does not panic")
        .expect("it ends well");
    failing.set_finalizers(&[]).await;
    other.set_finalizers(&[]).await;
}
