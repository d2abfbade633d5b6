//! What needs a lost lease, on an API server in memory; the rest runs on a real one.

use http::Method;
use kube::api::DynamicObject;
use kube_sim::ApiServer;
use tokio::time::Instant;

use super::*;
use crate::fence::Tenure;

const OWN: &str = "example.com/operator";

/// Does nothing, and is done.
struct Idle;

impl Lifecycle for Idle {
    type Object = DynamicObject;

    async fn provision(&self, _: DynamicObject) -> Result<Outcome, ConsumeError> {
        Ok(Outcome::Done)
    }

    async fn deprovision(&self, _: DynamicObject) -> Result<Outcome, ConsumeError> {
        Ok(Outcome::Done)
    }
}

fn reconciler(server: &ApiServer, fence: Fence) -> Reconciler<Idle> {
    let client = Client::new(server.clone(), "default");
    let order = Order::new(OWN.parse().expect("it is a finalizer"));
    Reconciler::new(client, Kind::new("", "ConfigMap"), order, Idle).fenced(fence)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_without_the_lease() {
    let map = ObjectRef::new(Kind::new("", "ConfigMap"), Some("default".into()), "map");
    let all = "/api/v1/namespaces/default/configmaps";
    let one = "/api/v1/namespaces/default/configmaps/map";
    for (finalizers, deleted) in [
        (json!(["stranger.example.com/a_b"]), false),
        (json!([OWN]), true),
        (json!([OWN, "networks.example.com/east_blue"]), true),
    ] {
        let server = ApiServer::new();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "map", "finalizers": finalizers},
        });
        let created = server.request(&Method::POST, all, &object);
        created.unwrap_or_else(|error| panic!("{error:?}"));
        if deleted {
            let deleted = server.request(&Method::DELETE, one, &Value::Null);
            deleted.unwrap_or_else(|error| panic!("{error:?}"));
        }
        let before = server.revision();
        let (tenure, fence) = Tenure::begin(Instant::now() + RECHECK);
        drop(tenure);
        let ended = reconciler(&server, fence).reconcile(&map).await;
        assert!(matches!(ended, Err(ReconcileError::Fence(_))), "{ended:?}");
        assert_eq!(server.revision(), before, "{finalizers}");

        let ended = reconciler(&server, Fence::always()).reconcile(&map).await;
        ended.expect("somebody who leads can do it");
    }
}
