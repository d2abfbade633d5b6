use std::time::Duration;

use futures::{Stream, StreamExt};
use http::{Method, Request, header::ACCEPT};
use http_body_util::{BodyExt, Full};
use kube_sim::ApiServer;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fixtures::{NETWORKS, create, path, server};

/// What the server answers to a client that accepts tables, line by line.
async fn tables(server: &ApiServer, query: &str) -> impl Stream<Item = Value> + Unpin {
    let request = Request::get(format!("{NETWORKS}?{query}"))
        .header(ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Full::<bytes::Bytes>::default())
        .expect("a request");
    let response = server.clone().oneshot(request).await.expect("an answer");
    let body = response.into_body().into_data_stream();
    Box::pin(body.map(|line| {
        let line = line.expect("a watch does not fail");
        serde_json::from_slice(&line).expect("JSON")
    }))
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_watch_have_the_age_at_which_they_are_shown() {
    let server = server();
    create(&server, "a", json!({}));
    let mut watch = tables(&server, "watch=true").await;
    let first = watch.next().await.expect("an event");
    assert_eq!(first["object"]["rows"][0]["cells"], json!(["a", "0s"]));
    assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Age");
    tokio::time::advance(Duration::from_secs(10)).await;
    let patch = json!({ "metadata": { "labels": { "app": "x" } } });
    server
        .request(&Method::PATCH, &path("a"), &patch)
        .expect("patched");
    let second = watch.next().await.expect("an event");
    assert_eq!(second["type"], "MODIFIED");
    assert_eq!(second["object"]["rows"][0]["cells"], json!(["a", "10s"]));
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_table_go_on() {
    let server = server();
    create(&server, "a", json!({}));
    create(&server, "b", json!({}));
    let mut pages = tables(&server, "limit=1&includeObject=None").await;
    let page = pages.next().await.expect("a page");
    assert_eq!(page["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["rows"][0]["object"], Value::Null);
    assert_eq!(page["metadata"]["remainingItemCount"], 1);
    let token = page["metadata"]["continue"].as_str().expect("a token");
    let query = format!("limit=1&includeObject=Object&continue={token}");
    let page = tables(&server, &query).await.next().await.expect("a page");
    assert_eq!(page["rows"][0]["cells"][0], "b");
    assert_eq!(page["rows"][0]["object"]["spec"]["cidr"], "10.0.0.0/8");
}
