//! Components work, and can be paused, ended and started again.

use control_plane::{Component, ControlError, ControlPlane, shared};

use crate::eventually;

#[test]
fn the_garbage_collector_deletes_what_lost_its_owner() {
    let create = |name: &str| {
        let args = [
            "create",
            "configmap",
            name,
            "--output=jsonpath={.metadata.uid}",
        ];
        shared().kubectl(args).unwrap()
    };
    let uid = create("owner");
    create("owned");
    let owner = format!(
        r#"{{"metadata":{{"ownerReferences":[
            {{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"{uid}"}}]}}}}"#
    );
    shared()
        .kubectl(["patch", "configmap", "owned", "--patch", &owner])
        .unwrap();
    shared().kubectl(["delete", "configmap", "owner"]).unwrap();
    eventually("the owned object is gone", || {
        shared().kubectl(["get", "configmap", "owned"]).is_err()
    });
}

#[test]
fn a_deleted_namespace_goes() {
    shared()
        .kubectl(["create", "namespace", "short-lived"])
        .unwrap();
    shared()
        .kubectl(["delete", "namespace", "short-lived", "--timeout=60s"])
        .unwrap();
}

#[test]
fn an_api_server_keeps_its_data_and_its_place_over_a_restart() {
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()
        .unwrap();
    control_plane
        .kubectl(["create", "namespace", "kept"])
        .unwrap();
    let before = control_plane.pid(Component::ApiServer);
    control_plane.restart(Component::ApiServer).unwrap();
    assert_ne!(control_plane.pid(Component::ApiServer), before);
    control_plane.kubectl(["get", "namespace", "kept"]).unwrap();
}

#[test]
fn a_paused_api_server_answers_once_it_is_resumed() {
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()
        .unwrap();
    let get = || control_plane.kubectl(["get", "namespaces", "--request-timeout=1s"]);
    control_plane.pause(Component::ApiServer).unwrap();
    assert!(matches!(get(), Err(ControlError::Kubectl { .. })));
    control_plane.resume(Component::ApiServer).unwrap();
    eventually("it answers", || get().is_ok());
}

#[test]
fn a_controller_manager_can_be_left_out_started_and_ended() {
    let control_plane = ControlPlane::builder()
        .without_controller_manager()
        .start()
        .unwrap();
    let has_account = |namespace: &str| {
        control_plane
            .kubectl(["get", "serviceaccount", "default", "-n", namespace])
            .is_ok()
    };
    assert!(!has_account("default"));
    assert!(matches!(
        control_plane.pause(Component::ControllerManager),
        Err(ControlError::NotRunning {
            component: Component::ControllerManager
        })
    ));

    control_plane.launch(Component::ControllerManager).unwrap();
    assert!(has_account("default"));

    control_plane.kill(Component::ControllerManager).unwrap();
    control_plane
        .kubectl(["create", "namespace", "without"])
        .unwrap();
    assert_eq!(control_plane.pid(Component::ControllerManager), None);
    assert!(!has_account("without"));
}
