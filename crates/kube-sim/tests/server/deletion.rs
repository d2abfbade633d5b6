use http::Method;
use kube_sim::ApiServer;
use serde_json::{Value, json};

use crate::fixtures::{create, install, names, object, path, server};

fn delete(server: &ApiServer, name: &str, options: &Value) -> Value {
    server
        .request(&Method::DELETE, &path(name), options)
        .expect("deleted")
}

fn owned_by(owner: &Value) -> Value {
    json!({ "ownerReferences": [{
        "apiVersion": "region.example.com/v1",
        "kind": "Network",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }] })
}

#[tokio::test]
async fn what_nothing_holds_is_gone_at_once() {
    let server = server();
    let created = create(&server, "a", json!({}));
    let status = delete(&server, "a", &Value::Null);
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
    assert!(names(&server).is_empty());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let server = server();
    create(&server, "a", json!({ "finalizers": ["example.com/hold"] }));
    let held = delete(&server, "a", &Value::Null);
    assert_eq!(held["metadata"]["generation"], 2);
    assert_eq!(held["metadata"]["deletionGracePeriodSeconds"], 0);
    let patch = json!({ "metadata": { "finalizers": null } });
    server
        .request(&Method::PATCH, &path("a"), &patch)
        .expect("patched");
    assert!(names(&server).is_empty());
}

#[tokio::test]
async fn a_foreground_deletion_takes_the_dependents_first() {
    for (collector, left) in [(true, 0), (false, 2)] {
        let server = install(ApiServer::builder().collector(collector).build());
        let owner = create(&server, "a", json!({}));
        create(&server, "b", owned_by(&owner));
        let shown = delete(&server, "a", &json!({ "propagationPolicy": "Foreground" }));
        assert_eq!(
            shown["metadata"]["finalizers"],
            json!(["foregroundDeletion"])
        );
        assert_eq!(names(&server).len(), left, "collector: {collector}");
    }
}

#[tokio::test]
async fn a_dependent_that_is_held_blocks_its_owner() {
    let server = server();
    let owner = create(&server, "a", json!({}));
    let mut metadata = owned_by(&owner);
    metadata["finalizers"] = json!(["example.com/hold"]);
    create(&server, "b", metadata);
    delete(&server, "a", &json!({ "propagationPolicy": "Foreground" }));
    assert_eq!(names(&server), ["a", "b"]);
    let patch = json!({ "metadata": { "finalizers": null } });
    server
        .request(&Method::PATCH, &path("b"), &patch)
        .expect("patched");
    assert!(names(&server).is_empty());
}

#[tokio::test]
async fn orphans_lose_their_owner_and_stay() {
    let server = server();
    let owner = create(&server, "a", json!({}));
    create(&server, "b", owned_by(&owner));
    delete(&server, "a", &json!({ "propagationPolicy": "Orphan" }));
    assert_eq!(names(&server), ["b"]);
    let left = server.get("region.example.com", "networks", Some("default"), "b");
    assert_eq!(
        left.expect("it stays")["metadata"]["ownerReferences"],
        Value::Null
    );
}

#[tokio::test]
async fn what_names_an_absent_owner_is_deleted() {
    let server = server();
    let mut metadata = json!({});
    metadata["ownerReferences"] = json!([{
        "apiVersion": "region.example.com/v1", "kind": "Network", "name": "a", "uid": "gone",
    }]);
    create(&server, "b", metadata);
    assert!(names(&server).is_empty());
}

#[tokio::test]
async fn preconditions_are_kept() {
    let server = server();
    let created = create(&server, "a", json!({}));
    for preconditions in [
        json!({ "uid": "another" }),
        json!({ "uid": created["metadata"]["uid"], "resourceVersion": "1" }),
    ] {
        let options = json!({ "preconditions": preconditions });
        let refused = server.request(&Method::DELETE, &path("a"), &options);
        assert_eq!(refused.expect_err("refused").code().as_u16(), 409);
    }
    let revision = server.revision();
    delete(&server, "a", &json!({ "dryRun": ["All"] }));
    assert_eq!(server.revision(), revision, "a dry run changes nothing");
    assert_eq!(names(&server), ["a"]);
}

#[tokio::test]
async fn a_namespace_ends_with_its_content() {
    let server = server();
    let namespaces = "/api/v1/namespaces";
    let namespace = json!({ "metadata": { "name": "region" } });
    server
        .request(&Method::POST, namespaces, &namespace)
        .expect("created");
    let networks = "/apis/region.example.com/v1/namespaces/region/networks";
    let network = object(&json!({ "name": "a", "finalizers": ["example.com/hold"] }));
    server
        .request(&Method::POST, networks, &network)
        .expect("created");
    let path = format!("{namespaces}/region");
    server
        .request(&Method::DELETE, &path, &Value::Null)
        .expect("deleted");
    let status = server.get("", "namespaces", None, "region").expect("held");
    assert_eq!(status["status"]["phase"], "Terminating");
    let refused = server.request(&Method::POST, networks, &object(&json!({ "name": "b" })));
    assert_eq!(refused.expect_err("refused").code().as_u16(), 403);
    let release = json!({ "metadata": { "finalizers": null } });
    server
        .request(&Method::PATCH, &format!("{networks}/a"), &release)
        .expect("patched");
    assert_eq!(server.get("", "namespaces", None, "region"), None);
}

#[tokio::test]
async fn a_definition_ends_with_its_instances() {
    let server = server();
    create(&server, "a", json!({ "finalizers": ["example.com/hold"] }));
    let definition =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networks.region.example.com";
    server
        .request(&Method::DELETE, definition, &Value::Null)
        .expect("deleted");
    assert_eq!(names(&server), ["a"], "it is held");
    let patch = json!({ "metadata": { "finalizers": null } });
    server
        .request(&Method::PATCH, &path("a"), &patch)
        .expect("patched");
    let gone = server.request(&Method::GET, &path("a"), &Value::Null);
    assert_eq!(gone.expect_err("unserved").message(), "404 page not found");
}
