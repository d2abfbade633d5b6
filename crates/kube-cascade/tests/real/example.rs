//! The quick start's program on a cluster, as a reader would run it.

use std::{path::PathBuf, process::Command};

use crate::fixtures::{NETWORK, PROJECT, admin, control_plane, fresh_namespace, unique, until};

#[tokio::test]
async fn the_example_holds_a_project_until_its_networks_are_gone() {
    let client = admin().await;
    let tenants = fresh_namespace(&client, "tenants").await;
    let region = fresh_namespace(&client, "region").await;
    let mut example = control_plane()
        .command(built())
        .arg(&tenants)
        .spawn()
        .expect("the example runs");
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
    let interrupted = Command::new("kill")
        .args(["-INT", &example.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || example.wait());
    let ended = ended.await.expect("it is awaited").expect("it ends");
    assert!(ended.success(), "{ended}");
}

/// The example's program. `cargo test` builds the example's tests only; of the whole workspace,
/// because for this package alone its dependencies would be built anew with fewer features.
fn built() -> PathBuf {
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--example", "cascade"])
        .status();
    assert!(cargo.expect("cargo runs").success(), "the example builds");
    let test = std::env::current_exe().expect("a test is a file");
    let target = test.ancestors().nth(2).expect("it is in target/debug/deps");
    target.join("examples").join("cascade")
}
