//! The control plane that all tests of this binary share.

use std::{fs, sync::OnceLock, thread, time::Instant};

use control_plane::{Component, ControlPlane};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::runtime::Builder;

use crate::on_the_real_server::{
    kinds,
    world::{PATIENCE, World},
};

/// Runs a behaviour on the shared control plane.
pub(crate) fn run<F: Future<Output = ()>>(behaviour: impl FnOnce(World) -> F) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        behaviour(World::new(client().await).await).await;
    });
}

/// A client of the admin, for the runtime it is made in.
pub(crate) async fn client() -> Client {
    let kubeconfig =
        Kubeconfig::read_from(control_plane().kubeconfig_path()).expect("the kubeconfig is there");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig is valid");
    config.default_retry = false;
    Client::try_from(config).expect("the configuration is valid")
}

/// The control plane of this test binary, with the suite's kinds installed.
///
/// The controller manager starts after the kinds are served, so that its garbage collector, which
/// looks for new kinds only every 30 s, knows all of them from the beginning.
pub(crate) fn control_plane() -> &'static ControlPlane {
    static STARTED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let control_plane = ControlPlane::builder()
            .without_controller_manager()
            .start()
            .map_err(|error| error.to_string())?;
        install(&control_plane);
        control_plane
            .launch(Component::ControllerManager)
            .map_err(|error| error.to_string())?;
        Ok(control_plane)
    });
    match started {
        Ok(control_plane) => control_plane,
        Err(error) => panic!("the control plane did not start: {error}"),
    }
}

fn install(control_plane: &ControlPlane) {
    let definitions = kinds::definitions();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    let file = control_plane.folder().join("kinds.json");
    fs::write(&file, list.to_string()).expect("the control plane's folder is writable");
    let file = file.display().to_string();
    control_plane
        .kubectl(["create", "--filename", &file])
        .expect("the definitions are valid");
    let names = definitions.map(|definition| definition["metadata"]["name"].to_string());
    let names = names.join(",").replace('"', "");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = control_plane.kubectl(["get", "-A", &names]) {
        assert!(Instant::now() < deadline, "{names} are not served: {error}");
        thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Nothing to do here: the server's history of a custom kind begins when its definition does.
#[allow(clippy::unused_async, reason = "the other target has something to do")]
pub(crate) async fn forget_history() {}
