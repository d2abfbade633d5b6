//! What takes long because of its waits, on an API server in memory; the rest runs on a real one.

use http::{Method, StatusCode};
use kube_sim::{
    ApiServer,
    fault::{Action, Answer, Faults, Match, Rule, Verb},
};
use tower::Layer as _;

use super::*;
use crate::{kubernetes::Kinds, object::Kind};

const NAME: &str = "networks.example.com/east_blue";
const OBJECT: &str = "/api/v1/namespaces/default/configmaps/map";

/// A config map with this finalizer, and a client of its server under faults.
fn with(finalizer: &str) -> (ApiServer, Faults, Client) {
    let server = ApiServer::new();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "map", "finalizers": [finalizer]},
    });
    let all = "/api/v1/namespaces/default/configmaps";
    let created = server.request(&Method::POST, all, &object);
    created.unwrap_or_else(|error| panic!("{error:?}"));
    let faults = Faults::new();
    let client = Client::new(faults.layer().layer(server.clone()), "default");
    (server, faults, client)
}

async fn put(client: &Client) -> Result<Put, CallError> {
    let kind = Kind::new("", "ConfigMap");
    let object = ObjectRef::new(kind.clone(), Some("default".into()), "map");
    let resource = Kinds::new(client.clone()).resolve(&kind).await?;
    let finalizer = Finalizer {
        client,
        resource: &resource,
        object: &object,
        name: NAME,
    };
    finalizer.put(None, || Ok(())).await
}

fn refused(status: StatusCode) -> Action {
    Action::answer(Answer::status(status))
}

#[tokio::test(start_paused = true)]
async fn an_object_that_others_change_each_time_is_given_up_after_ten_attempts() {
    let (_, faults, client) = with("other.example.com/kept");
    let patches = Match::verb(Verb::Patch);
    faults.add(Rule::new(patches.clone(), refused(StatusCode::CONFLICT)));
    let ended = put(&client).await.expect("it is no error of a call");
    assert!(matches!(ended, Put::Contended(_)), "{ended:?}");
    assert_eq!(faults.recorder().count(&patches), ATTEMPTS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_the_server_refuses_for_what_it_is_is_sent_once() {
    let (_, faults, client) = with("other.example.com/kept");
    let patches = Match::verb(Verb::Patch);
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    faults.add(Rule::new(patches.clone(), refused(invalid)));
    let error = put(&client).await.expect_err("it is refused");
    assert_eq!(error.class(), &Class::Invalid);
    assert_eq!(faults.recorder().count(&patches), 1);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_finds_nothing_where_the_object_is_is_sent_once() {
    let (_, faults, client) = with("other.example.com/kept");
    let patches = Match::verb(Verb::Patch);
    // As of admission that misses the namespace.
    let missing = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
        "reason": "NotFound", "details": {"name": "default", "kind": "namespaces"},
    });
    let missing = Action::answer(Answer::json(StatusCode::NOT_FOUND, &missing));
    faults.add(Rule::new(patches.clone(), missing));
    let error = put(&client).await.expect_err("it is refused");
    assert_eq!(error.class(), &Class::NotFound);
    assert_eq!(faults.recorder().count(&patches), 1);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_fails_otherwise_is_left_to_the_caller() {
    for status in [StatusCode::FORBIDDEN, StatusCode::INTERNAL_SERVER_ERROR] {
        let (_, faults, client) = with("other.example.com/kept");
        let patches = Match::verb(Verb::Patch);
        faults.add(Rule::new(patches.clone(), refused(status)));
        let error = put(&client).await.expect_err("it fails");
        assert_ne!(error.class(), &Class::Invalid, "{status}");
        assert_eq!(faults.recorder().count(&patches), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_test_failed_is_computed_anew() {
    let (server, faults, client) = with("other.example.com/kept");
    let patches = Match::verb(Verb::Patch);
    // They let go of the list that ours is to be appended to.
    let drained = Action::before(move |_| {
        let merge = json!({"metadata": {"finalizers": null}});
        let emptied = server.request(&Method::PATCH, OBJECT, &merge);
        emptied.unwrap_or_else(|error| panic!("{error:?}"));
        std::future::ready(())
    });
    faults.add(Rule::new(patches.clone(), drained).first(1));
    let ended = put(&client).await.expect("it is put on");
    assert!(matches!(ended, Put::Written), "{ended:?}");
    assert_eq!(faults.recorder().count(&patches), 2);
}

#[test]
fn waits_double_and_are_longer_where_the_server_is_slow() {
    for (attempts, took, least, most) in [
        (1, 0, 50, 100),
        (2, 100, 100, 200),
        (5, 10, 800, 1_600),
        (9, 0, 1_000, 2_000),
        (1, 400, 200, 400),
        (3, 1_000, 2_000, 4_000),
        (9, 10_000, 5_000, 10_000),
    ] {
        let took_that = Duration::from_millis(took);
        let wait = wait(attempts, took_that, (NAME, "1")).as_millis();
        assert!(
            (least..=most).contains(&wait),
            "{attempts}, {took} ms: {wait} ms"
        );
    }
}

#[test]
fn who_failed_on_the_same_version_waits_for_another_time() {
    let wait = |name, version| wait(3, Duration::ZERO, (name, version));
    assert_ne!(wait(NAME, "1"), wait("networks.example.com/east_red", "1"));
    assert_ne!(wait(NAME, "1"), wait(NAME, "2"));
    assert_eq!(wait(NAME, "1"), wait(NAME, "1"));
}
