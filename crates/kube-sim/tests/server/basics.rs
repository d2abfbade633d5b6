use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{ListParams, PartialObjectMeta, Patch, PatchParams, PostParams},
    core::ObjectMeta,
};
use kube_sim::ApiServer;
use serde_json::{Value, json};

use crate::fixtures::{NETWORKS, create, networks, path, server};

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_object_is_created_read_changed_and_listed() {
    let client = Client::new(ApiServer::new(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some("blue".to_owned()),
            labels: Some([("app".to_owned(), "a".to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some([("a".to_owned(), "1".to_owned())].into()),
        ..ConfigMap::default()
    };
    let created = maps
        .create(&PostParams::default(), &map)
        .await
        .expect("created");
    assert!(created.metadata.uid.is_some());
    let again = maps.create(&PostParams::default(), &map).await;
    assert_eq!(code(&again.expect_err("it exists")), 409);

    let patch = Patch::Merge(json!({ "data": { "b": "2" } }));
    let patched = maps
        .patch("blue", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(patched.data.expect("data").len(), 2);
    let stale = maps.replace("blue", &PostParams::default(), &created).await;
    assert_eq!(code(&stale.expect_err("outdated")), 409);

    for (selector, found) in [("app=a", 1), ("app=b", 0)] {
        let list = maps.list(&ListParams::default().labels(selector)).await;
        assert_eq!(list.expect("listed").items.len(), found, "{selector}");
    }
    assert_eq!(code(&maps.get("red").await.expect_err("missing")), 404);
}

#[tokio::test]
async fn a_page_goes_on_as_of_its_first_and_expires_with_a_way_out() {
    let server = server();
    for name in ["a", "b", "c"] {
        create(&server, name, json!({}));
    }
    let networks = networks(&server);
    let page = |params: ListParams| {
        let networks = networks.clone();
        async move { networks.list(&params).await }
    };
    let first = page(ListParams::default().limit(1)).await.expect("a page");
    assert_eq!(first.metadata.remaining_item_count, Some(2));
    let token = first.metadata.continue_.expect("there is more");
    server
        .request(&Method::DELETE, &path("b"), &Value::Null)
        .expect("deleted");
    let rest = page(ListParams::default().continue_token(&token))
        .await
        .expect("the rest");
    assert_eq!(rest.items.len(), 2, "as it was when the list began");

    server.compact();
    let query = format!("{NETWORKS}?continue={token}");
    let expired = server
        .request(&Method::GET, &query, &Value::Null)
        .expect_err("compacted");
    assert_eq!(
        (expired.code().as_u16(), expired.reason()),
        (410, "Expired")
    );
    let token = expired.to_json()["metadata"]["continue"].clone();
    let token = token.as_str().expect("another token");
    let rest = page(ListParams::default().continue_token(token))
        .await
        .expect("the rest, as it is now");
    assert_eq!(rest.items.len(), 1);
}

#[tokio::test]
async fn metadata_alone_is_served() {
    let server = server();
    create(&server, "a", json!({}));
    let client = Client::new(server, "default");
    let resource = crate::fixtures::network();
    let networks: Api<PartialObjectMeta<kube::core::DynamicObject>> =
        Api::default_namespaced_with(client, &resource);
    let list = networks.list(&ListParams::default()).await.expect("a list");
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
}

#[tokio::test]
async fn the_status_is_a_part_of_its_own() {
    let server = server();
    create(&server, "a", json!({}));
    let change = json!({ "spec": { "cidr": "x" }, "status": { "ready": true } });
    let request = |path: &str| {
        let answer = server.request(&Method::PATCH, path, &change);
        answer.expect("patched")
    };
    let main = request(&path("a"));
    assert_eq!(main["spec"]["cidr"], "x");
    assert_eq!(main["status"], Value::Null);
    assert_eq!(main["metadata"]["generation"], 2);
    let status = request(&format!("{}/status", path("a")));
    assert_eq!(status["status"]["ready"], true);
    assert_eq!(status["metadata"]["generation"], 2);
}

#[tokio::test]
async fn nothing_is_created_in_a_namespace_that_is_not_there() {
    let server = ApiServer::new();
    let client = Client::new(server.clone(), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "elsewhere");
    let map = ConfigMap {
        metadata: ObjectMeta {
            generate_name: Some("map-".to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    let refused = maps.create(&PostParams::default(), &map).await;
    assert_eq!(code(&refused.expect_err("no namespace")), 404);
    let namespaces: Api<Namespace> = Api::all(client);
    let namespace: Namespace =
        serde_json::from_value(json!({ "metadata": { "name": "elsewhere" } })).expect("valid");
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("created");
    let created = maps.create(&PostParams::default(), &map).await;
    let name = created.expect("created").metadata.name.expect("a name");
    assert_eq!(name.len(), "map-".len() + 5);
}

#[tokio::test]
async fn one_seed_makes_one_history() {
    let history = |seed| {
        let server = crate::fixtures::install(ApiServer::builder().seed(seed).build());
        create(&server, "a", json!({}));
        format!("{:?}", server.objects("region.example.com", "networks"))
    };
    assert_ne!(history(1), history(2));
    assert_eq!(history(1), history(1));
}
