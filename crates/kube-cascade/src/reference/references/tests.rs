//! What needs a lost lease, or time that does not depend on the machine, on an API server in memory;
//! the rest runs on a real one.

use std::time::Duration;

use http::Method;
use kube_sim::{
    ApiServer,
    fault::{Action, Faults, Match, Rule},
};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tower::Layer as _;

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

/// On a real server the same count depends on who is faster; the benchmark of references has it.
#[tokio::test(start_paused = true)]
async fn writers_of_references_to_one_object_take_few_requests() {
    const WRITERS: usize = 32;
    const EACH: usize = 8;
    let server = ApiServer::new();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}});
    let all = "/api/v1/namespaces/default/configmaps";
    server.request(&Method::POST, all, &object).expect("is new");
    let map = ObjectRef::new(Kind::new("", "ConfigMap"), Some("default".into()), "map");

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let seed = u64::try_from(writer).expect("is small");
        let (faults, map, server) = (Faults::seeded(seed), map.clone(), server.clone());
        writers.spawn(async move {
            let range = Duration::from_millis(2)..Duration::from_millis(20);
            faults.add(Rule::new(Match::any(), Action::latency(range)));
            let client = Client::new(faults.layer().layer(server), "default");
            let references = References::new(client);
            for number in 0..EACH {
                let name = format!("networks.example.com/east_{writer}-{number}");
                let mine = name.parse().expect("is one");
                references.add(&map, &mine).await.expect("is put on");
                references.remove(&map, &mine).await.expect("is taken off");
            }
            faults.recorder().count(&Match::any())
        });
    }
    let requests: usize = writers.join_all().await.into_iter().sum();
    let operations = 2 * WRITERS * EACH;
    let left = server.get("", "configmaps", Some("default"), "map");
    assert_eq!(left.expect("is there")["metadata"].get("finalizers"), None);
    assert!(requests <= 5 * operations, "{requests} for {operations}");
    assert!(
        requests > 2 * operations,
        "{requests} for {operations}: nobody is in another's way"
    );
}
