use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::Method;
use kube::{
    Api, Client,
    api::{DynamicObject, WatchEvent, WatchParams},
};
use kube_sim::ApiServer;
use serde_json::{Value, json};

use crate::fixtures::{create, install, networks, path, server};

fn shown(event: &WatchEvent<DynamicObject>) -> String {
    let name = |object: &DynamicObject| object.metadata.name.clone().unwrap_or_default();
    match event {
        WatchEvent::Added(object) => format!("+{}", name(object)),
        WatchEvent::Modified(object) => format!("~{}", name(object)),
        WatchEvent::Deleted(object) => format!("-{}", name(object)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

async fn take(
    api: &Api<DynamicObject>,
    params: &WatchParams,
    version: &str,
    n: usize,
) -> Vec<String> {
    let watch = api.watch(params, version).await.expect("a watch");
    let events: Vec<_> = watch.take(n).try_collect().await.expect("events");
    events.iter().map(shown).collect()
}

fn relabel(server: &ApiServer, name: &str, value: &str) {
    let patch = json!({ "metadata": { "labels": { "app": value } } });
    server
        .request(&Method::PATCH, &path(name), &patch)
        .expect("patched");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_has_changed_since() {
    let server = server();
    let start = server.revision().to_string();
    create(&server, "a", json!({}));
    relabel(&server, "a", "x");
    server
        .request(&Method::DELETE, &path("a"), &Value::Null)
        .expect("deleted");
    let networks = networks(&server);
    let events = take(&networks, &WatchParams::default(), &start, 3).await;
    assert_eq!(events, ["+a", "~a", "-a"]);
    server.compact();
    let events = take(&networks, &WatchParams::default(), &start, 9).await;
    assert_eq!(events, ["error 410"]);
}

#[tokio::test(start_paused = true)]
async fn a_relabelled_object_leaves_a_selecting_watch() {
    let server = server();
    create(&server, "a", json!({ "labels": { "app": "x" } }));
    let start = server.revision().to_string();
    relabel(&server, "a", "y");
    relabel(&server, "a", "x");
    let params = WatchParams::default().labels("app=x");
    let events = take(&networks(&server), &params, &start, 2).await;
    assert_eq!(events, ["-a", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_says_where_it_ends() {
    let server = server();
    create(&server, "a", json!({}));
    create(&server, "b", json!({}));
    let params = WatchParams::default().initial_events();
    let events = take(&networks(&server), &params, "0", 3).await;
    assert_eq!(events, ["+a", "+b", "bookmark"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_in_time_or_with_a_restart() {
    let server = server();
    let networks = networks(&server);
    let version = server.revision().to_string();
    let params = WatchParams::default().timeout(10);
    let before = tokio::time::Instant::now();
    let events = take(&networks, &params, &version, 9).await;
    assert!(events.is_empty(), "nothing has happened: {events:?}");
    assert_eq!(before.elapsed(), Duration::from_secs(10));

    create(&server, "a", json!({}));
    let events = take(&networks, &params, &version, 9).await;
    assert_eq!(events, ["+a", "bookmark"]);
    let version = server.revision().to_string();

    let watch = networks.watch(&params, &version).await.expect("a watch");
    server.restart(1);
    let events: Vec<_> = watch.try_collect().await.expect("a clean end");
    assert!(events.is_empty());
    let unready = networks.list(&kube::api::ListParams::default()).await;
    assert!(matches!(unready, Err(kube::Error::Api(status)) if status.code == 429));
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_what_the_collector_does_in_its_own_time() {
    let delay = Duration::from_secs(3)..Duration::from_secs(5);
    let server = install(ApiServer::builder().controller_delay(delay).build());
    tokio::time::advance(Duration::from_secs(6)).await;
    create(&server, "a", json!({}));
    let version = server.revision().to_string();
    let options = json!({ "propagationPolicy": "Foreground" });
    server
        .request(&Method::DELETE, &path("a"), &options)
        .expect("deleted");
    let client = Client::new(server.clone(), "default");
    let networks: Api<DynamicObject> =
        Api::default_namespaced_with(client, &crate::fixtures::network());
    let events = take(&networks, &WatchParams::default(), &version, 2).await;
    assert_eq!(events, ["~a", "-a"]);
}
