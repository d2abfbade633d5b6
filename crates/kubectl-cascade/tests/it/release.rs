//! `release`, where it matters what happens between two of its looks.

use std::{fs, process::Command};

use http::Method;
use kube::client::Body;
use kube_sim::{
    ApiServer,
    fault::{Action, FaultProxy, Faults, Match, Rule, Verb},
};
use serde_json::json;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_lead_after_the_first_look_keeps_its_holds() {
    let server = ApiServer::new();
    let maps = "/api/v1/namespaces/default/configmaps";
    let finalizers = ["kube-cascade.dev/default_project"];
    let held = json!({"metadata": {"name": "a", "finalizers": finalizers}});
    server.request(&Method::POST, maps, &held).expect("valid");

    // No Lease was there or anywhere, and then there is one.
    let faults = Faults::new();
    let api = server.clone();
    let lead = Action::after(move |_, _| {
        let lease = json!({
            "metadata": {"name": "kube-cascade-default"},
            "spec": {"holderIdentity": "somebody"},
        });
        api.request(&Method::POST, LEASES, &lease).expect("valid");
        async {}
    });
    faults.add(Rule::new(Match::verb(Verb::List).resource("leases"), lead).first(1));
    let proxy = FaultProxy::start::<_, Body, _>(server.clone(), &faults)
        .await
        .expect("a free port");
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    fs::write(&kubeconfig, super::cli::kubeconfig(&proxy.url())).unwrap();

    let mut release = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"));
    release
        .args(["release", "--all", "--yes", "--kubeconfig"])
        .arg(&kubeconfig)
        .env_remove("RUST_LOG");
    let release = tokio::task::spawn_blocking(move || release.output());
    let output = release.await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("somebody has begun to lead meanwhile"),
        "{said}"
    );
    let found = server.get("", "configmaps", Some("default"), "a");
    assert_eq!(found.unwrap()["metadata"]["finalizers"], json!(finalizers));
}
