//! The quick start's program on a cluster, as a reader would run it.

use crate::fixtures::{NETWORK, PROJECT, admin, control_plane, fresh_namespace, unique, until};

#[tokio::test]
async fn the_example_holds_a_project_until_its_networks_are_gone() {
    let client = admin().await;
    let tenants = fresh_namespace(&client, "tenants").await;
    let region = fresh_namespace(&client, "region").await;
    // Cargo has built it beside this test, and makes way for it.
    let mut example = control_plane()
        .command(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "kube-cascade",
            "--example",
            "cascade",
            &tenants,
        ])
        .spawn()
        .expect("cargo runs");
    let project = PROJECT
        .named(unique("p"))
        .within(&tenants)
        .create(&client)
        .await;
    let network = NETWORK.named("n").within(&region);
    let network = network
        .labelled("example.com/project", &project.name)
        .create(&client)
        .await;
    until("the project is held", async || {
        !project.finalizers().await.is_empty()
    })
    .await;
    project.delete().await;
    until("the project is gone", async || project.is_gone().await).await;
    assert!(network.is_gone().await, "the project goes last");
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &example.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || example.wait());
    let ended = ended.await.expect("it is awaited").expect("it ends");
    assert!(ended.success(), "{ended}");
}
