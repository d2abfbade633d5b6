//! What tests and simulations use besides requests.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures::TryStreamExt as _;
use http::Method;
use kube::api::{ListParams, WatchParams};
use kube_sim::{ApiServer, Author};
use serde_json::{Value, json};

use crate::fixtures::{NETWORKS, create, install, names, networks, path, server};

/// Has every write told in a few words.
fn told(server: &ApiServer) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    server.on_write(move |write| {
        let who = match write.author() {
            Author::Client(_) => "client",
            Author::Collector => "collector",
            _ => "other",
        };
        let what = match (write.refused(), write.before(), write.after()) {
            (Some(_), _, _) => "refused",
            (_, None, _) => "new",
            (_, _, None) => "gone",
            (_, before, after) if before == after => "same",
            _ => "changed",
        };
        let left = write.view().objects("region.example.com", "networks").len();
        let mut log = log.lock().expect("no test panics here");
        log.push(format!(
            "{who} {} {} {what} {left}",
            write.verb(),
            write.name()
        ));
    });
    told
}

fn taken(told: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut told.lock().expect("no test panics here"))
}

#[tokio::test]
async fn a_hook_is_told_of_every_write_and_every_deletion_with_the_truth_at_hand() {
    let server = server();
    let told = told(&server);
    let owner = create(&server, "a", json!({ "finalizers": ["example.com/hold"] }));
    let reference = json!([{
        "apiVersion": "region.example.com/v1", "kind": "Network",
        "name": "a", "uid": owner["metadata"]["uid"],
    }]);
    create(&server, "b", json!({ "ownerReferences": reference }));
    assert_eq!(
        taken(&told),
        ["client create a new 1", "client create b new 2"]
    );

    let delete = |options: Value| server.request(&Method::DELETE, &path("a"), &options);
    let refused = delete(json!({ "preconditions": { "uid": "another" } }));
    assert_eq!(refused.expect_err("refused").code().as_u16(), 409);
    delete(json!({ "dryRun": ["All"] })).expect("a dry run");
    delete(json!({ "propagationPolicy": "Background" })).expect("accepted");
    delete(json!({ "propagationPolicy": "Background" })).expect("accepted again");
    assert_eq!(
        taken(&told),
        [
            "client delete a refused 2",
            "client delete a changed 2",
            "client delete a same 2",
        ]
    );
    let patch = json!({ "metadata": { "finalizers": null } });
    server
        .request(&Method::PATCH, &path("a"), &patch)
        .expect("patched");
    assert_eq!(
        taken(&told),
        ["client patch a gone 1", "collector delete b gone 0"]
    );
}

#[tokio::test]
async fn a_stale_read_is_one_that_does_not_mind() {
    let server = server();
    create(&server, "a", json!({}));
    create(&server, "b", json!({}));
    server.stale_reads(1);
    let count = |query: &str| {
        let list = server.request(&Method::GET, &format!("{NETWORKS}{query}"), &Value::Null);
        list.expect("a list")["items"].as_array().map(Vec::len)
    };
    assert_eq!(count("?resourceVersion=0"), Some(1));
    assert_eq!(count(""), Some(2));
    let get = |query: &str| {
        let path = format!("{}{query}", path("b"));
        server.request(&Method::GET, &path, &Value::Null).is_ok()
    };
    assert!(!get("?resourceVersion=0"));
    assert!(get(""));
}

#[tokio::test(start_paused = true)]
async fn a_restored_server_is_as_it_was_and_its_versions_go_backwards() {
    let server = server();
    create(&server, "a", json!({}));
    let backup = server.snapshot();
    create(&server, "b", json!({}));
    let version = server.revision().to_string();
    let networks = networks(&server);
    let watch = networks.watch(&WatchParams::default(), &version).await;
    server.restore(&backup);
    let events: Vec<_> = watch
        .expect("a watch")
        .try_collect()
        .await
        .expect("a clean end");
    assert!(events.is_empty());
    assert_eq!(server.revision(), backup.revision());
    assert_eq!(names(&server), ["a"]);

    // From the future, nothing is heard.
    let params = WatchParams::default().timeout(5);
    let watch = networks.watch(&params, &version).await.expect("a watch");
    create(&server, "c", json!({}));
    let events: Vec<_> = watch.try_collect().await.expect("a clean end");
    assert!(
        events
            .iter()
            .all(|event| matches!(event, kube::api::WatchEvent::Bookmark(_))),
        "{events:?}"
    );
    let list = networks.list(&ListParams::default()).await.expect("a list");
    assert_eq!(list.items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_servers_clock_is_tokios_from_the_chosen_start() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let server = install(ApiServer::builder().start(start).build());
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(server.now(), start + Duration::from_secs(61));
    let created = create(&server, "a", json!({}));
    assert_eq!(
        created["metadata"]["creationTimestamp"],
        "2001-09-09T01:47:41Z"
    );
}

#[tokio::test(start_paused = true)]
async fn controllers_take_their_time() {
    let delay = Duration::from_secs(1)..Duration::from_secs(9);
    let server = install(ApiServer::builder().controller_delay(delay).build());
    let unserved = server.request(&Method::GET, NETWORKS, &Value::Null);
    assert_eq!(unserved.expect_err("not yet").code().as_u16(), 404);
    tokio::time::advance(Duration::from_secs(10)).await;
    create(&server, "a", json!({}));
    let options = json!({ "propagationPolicy": "Foreground" });
    server
        .request(&Method::DELETE, &path("a"), &options)
        .expect("accepted");
    server.settle_controllers();
    assert_eq!(names(&server), ["a"]);
    tokio::time::advance(Duration::from_secs(10)).await;
    server.settle_controllers();
    assert!(names(&server).is_empty());
}
