//! What starts, and what an unsuccessful start says.

use std::net::TcpListener;

use control_plane::{Component, ControlPlane, StartError, shared};

#[test]
fn all_components_run_when_the_start_returns() {
    for component in Component::ALL {
        assert!(shared().pid(component).is_some(), "{component}");
    }
    let namespaces = shared()
        .kubectl(["get", "namespaces", "--output=name"])
        .unwrap();
    assert!(namespaces.contains("namespace/kube-system"), "{namespaces}");
}

#[test]
fn two_control_planes_run_at_once_and_apart() {
    let other = ControlPlane::builder()
        .without_controller_manager()
        .start()
        .unwrap();
    other.kubectl(["create", "namespace", "only-here"]).unwrap();
    assert_ne!(other.url(), shared().url());
    let here = other
        .kubectl(["get", "namespaces", "--output=name"])
        .unwrap();
    let there = shared()
        .kubectl(["get", "namespaces", "--output=name"])
        .unwrap();
    assert!(here.contains("only-here"), "{here}");
    assert!(!there.contains("only-here"), "{there}");
}

#[test]
fn a_component_that_ends_at_once_is_quoted() {
    let result = ControlPlane::builder()
        .api_server_arg("--no-such-flag")
        .start();
    let error = result.unwrap_err().to_string();
    assert!(
        error.starts_with("kube-apiserver ended while starting (exit status 1)"),
        "{error}"
    );
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
}

#[test]
fn a_port_that_stays_taken_ends_the_retries_with_an_error_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let builder = ControlPlane::builder().api_server_arg(format!("--secure-port={port}"));
    let error = builder.start().unwrap_err();
    assert!(
        matches!(&error, StartError::Died { log, .. } if log.contains("address already in use"))
    );
}
