//! What needs a lost lease, on an API server in memory; the rest runs on a real one.

use std::time::Duration;

use http::Method;
use kube_sim::ApiServer;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::{fence::Tenure, kubernetes::Disposition};

#[tokio::test(start_paused = true)]
async fn nothing_is_written_once_the_lease_is_lost() {
    let server = ApiServer::new();
    let there: Reference = "networks.example.com/east_blue".parse().expect("is one");
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "map", "finalizers": [there.as_str()]},
    });
    let all = "/api/v1/namespaces/default/configmaps";
    let created = server.request(&Method::POST, all, &object);
    created.unwrap_or_else(|error| panic!("{error:?}"));
    let before = server.revision();
    let (tenure, fence) = Tenure::begin(Instant::now() + Duration::from_secs(10));
    drop(tenure);
    let client = Client::new(server.clone(), "default");
    let references = References::new(client).fenced(fence);
    let map = ObjectRef::new(Kind::new("", "ConfigMap"), Some("default".into()), "map");

    let another = "networks.example.com/east_red".parse().expect("is one");
    let error = references.add(&map, &another).await;
    let error = error.expect_err("the lease is lost");
    assert!(matches!(error, AddError::Fence(_)), "{error}");
    assert_eq!(error.disposition(), Disposition::Permanent);
    let error = references.remove(&map, &there).await;
    let error = error.expect_err("the lease is lost");
    assert!(matches!(error, RemoveError::Fence(_)), "{error}");
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert_eq!(server.revision(), before);
}
