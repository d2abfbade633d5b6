//! What needs a lost lease or never ends, on an API server in memory; the rest runs on a real one.

use std::sync::Mutex;

use http::{Method, StatusCode};
use kube::api::DynamicObject;
use kube_sim::{
    ApiServer,
    fault::{Action, Answer, Faults, Match, Rule, Verb},
};
use tokio::time::Instant;
use tower::Layer as _;

use super::*;
use crate::fence::Tenure;

const OWN: &str = "example.com/operator";

/// Is done with everything at once; what it holds, it lets go of when it deprovisions.
#[derive(Default)]
struct Idle(Mutex<Option<Tenure>>);

impl Lifecycle for Idle {
    type Object = DynamicObject;

    async fn provision(&self, _: DynamicObject) -> Result<Outcome, ConsumeError> {
        Ok(Outcome::Done)
    }

    async fn deprovision(&self, _: DynamicObject) -> Result<Outcome, ConsumeError> {
        self.0.lock().expect("nobody panics").take();
        Ok(Outcome::Done)
    }
}

fn reconciler(server: &ApiServer, fence: Fence) -> Reconciler<Idle> {
    reconciler_of(server, fence, Idle::default())
}

fn reconciler_of(server: &ApiServer, fence: Fence, idle: Idle) -> Reconciler<Idle> {
    let client = Client::new(server.clone(), "default");
    reconciler_with(client, fence, idle)
}

fn reconciler_with(client: Client, fence: Fence, idle: Idle) -> Reconciler<Idle> {
    let order = Order::new(OWN.parse().expect("it is a finalizer"));
    Reconciler::new(client, Kind::new("", "ConfigMap"), order, idle).fenced(fence)
}

const ONE: &str = "/api/v1/namespaces/default/configmaps/map";

fn map() -> ObjectRef {
    ObjectRef::new(Kind::new("", "ConfigMap"), Some("default".into()), "map")
}

/// A server with one object, which has these finalizers.
fn server(finalizers: &Value, deleted: bool) -> ApiServer {
    let server = ApiServer::new();
    create(&server, finalizers, deleted);
    server
}

fn create(server: &ApiServer, finalizers: &Value, deleted: bool) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "map", "finalizers": finalizers},
    });
    let all = "/api/v1/namespaces/default/configmaps";
    let created = server.request(&Method::POST, all, &object);
    created.unwrap_or_else(|error| panic!("{error:?}"));
    if deleted {
        let deleted = server.request(&Method::DELETE, ONE, &Value::Null);
        deleted.unwrap_or_else(|error| panic!("{error:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_stays_when_the_lease_is_lost_while_it_is_taken_down() {
    let server = server(&json!([OWN]), true);
    let (tenure, fence) = Tenure::begin(Instant::now() + RECHECK);
    let before = server.revision();
    let reconciler = reconciler_of(&server, fence, Idle(Mutex::new(Some(tenure))));
    let ended = reconciler.reconcile(&map()).await;
    assert!(matches!(ended, Err(ReconcileError::Fence(_))), "{ended:?}");
    assert_eq!(server.revision(), before);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_without_the_lease() {
    for (finalizers, deleted) in [
        (json!(["stranger.example.com/a_b"]), false),
        (json!([OWN]), true),
        (json!([OWN, "networks.example.com/east_blue"]), true),
    ] {
        let server = server(&finalizers, deleted);
        let before = server.revision();
        let (tenure, fence) = Tenure::begin(Instant::now() + RECHECK);
        drop(tenure);
        let ended = reconciler(&server, fence).reconcile(&map()).await;
        assert!(matches!(ended, Err(ReconcileError::Fence(_))), "{ended:?}");
        assert_eq!(server.revision(), before, "{finalizers}");

        let ended = reconciler(&server, Fence::always()).reconcile(&map()).await;
        ended.expect("somebody who leads can do it");
    }
}

/// What comes of an object when this happens to each patch, and how many patches there were.
async fn with_each_patch(server: &ApiServer, action: Action) -> (ReconcileError, usize) {
    let (faults, patches) = (Faults::new(), Match::verb(Verb::Patch));
    faults.add(Rule::new(patches.clone(), action));
    let client = Client::new(faults.layer().layer(server.clone()), "default");
    let ended = reconciler_with(client, Fence::always(), Idle::default());
    let ended = ended.reconcile(&map()).await;
    (
        ended.expect_err("it ends"),
        faults.recorder().count(&patches),
    )
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_somebody_takes_off_each_time_is_given_up_and_tried_later() {
    let server = server(&json!(["example.com/other"]), false);
    let others = server.clone();
    let taken_off = Action::after(move |_, _| {
        let merge = json!({"metadata": {"finalizers": ["example.com/other"]}});
        let patched = others.request(&Method::PATCH, ONE, &merge);
        patched.unwrap_or_else(|error| panic!("{error:?}"));
        std::future::ready(())
    });
    let (error, patches) = with_each_patch(&server, taken_off).await;
    assert!(matches!(error, ReconcileError::Contended { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert_eq!(patches, ATTEMPTS - 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changes_before_each_last_patch_is_given_up_and_tried_later() {
    let server = server(&json!([OWN]), true);
    let refused = Action::answer(Answer::status(StatusCode::CONFLICT));
    let (error, patches) = with_each_patch(&server, refused).await;
    assert!(matches!(error, ReconcileError::Contended { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    // One was of the condition.
    assert_eq!(patches, 1 + ATTEMPTS);
    assert!(
        server
            .get("", "configmaps", Some("default"), "map")
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_status_is_known_by_an_object_that_is_there_and_not_by_its_successor() {
    let finalizers = json!([OWN, "networks.example.com/east_blue"]);
    let server = server(&finalizers, true);
    let (faults, statuses) = (
        Faults::new(),
        Match::verb(Verb::Patch).subresource("status"),
    );
    let others = server.clone();
    let replaced = Action::after(move |_, _| {
        let merge = json!({"metadata": {"finalizers": null}});
        let patched = others.request(&Method::PATCH, ONE, &merge);
        patched.unwrap_or_else(|error| panic!("{error:?}"));
        create(&others, &finalizers, true);
        std::future::ready(())
    });
    faults.add(Rule::new(statuses.clone(), replaced).first(1));
    let client = Client::new(faults.layer().layer(server.clone()), "default");
    let reconciler = reconciler_with(client, Fence::always(), Idle::default());
    for asked in [1, 2, 2] {
        let ended = reconciler.reconcile(&map()).await;
        assert!(matches!(ended, Ok(Outcome::Recheck(_))), "{ended:?}");
        assert_eq!(faults.recorder().count(&statuses), asked);
    }
}
