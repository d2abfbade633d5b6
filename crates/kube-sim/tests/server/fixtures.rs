//! What the tests share: a server with one custom kind, and clients of it.

use http::Method;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};
use kube_sim::ApiServer;
use serde_json::{Value, json};

/// `Network`, namespaced, with a status.
pub(crate) fn network() -> ApiResource {
    ApiResource {
        group: "region.example.com".to_owned(),
        version: "v1".to_owned(),
        api_version: "region.example.com/v1".to_owned(),
        kind: "Network".to_owned(),
        plural: "networks".to_owned(),
    }
}

/// The path of Networks in the namespace `default`.
pub(crate) const NETWORKS: &str = "/apis/region.example.com/v1/namespaces/default/networks";

pub(crate) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "networks.region.example.com" },
        "spec": {
            "group": "region.example.com",
            "scope": "Namespaced",
            "names": { "kind": "Network", "plural": "networks" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                } },
            }],
        },
    })
}

/// A server that knows Networks.
pub(crate) fn server() -> ApiServer {
    install(ApiServer::new())
}

pub(crate) fn install(server: ApiServer) -> ApiServer {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server
        .request(&Method::POST, path, &definition())
        .expect("the definition is valid");
    server
}

pub(crate) fn networks(server: &ApiServer) -> Api<DynamicObject> {
    let client = Client::new(server.clone(), "default");
    Api::default_namespaced_with(client, &network())
}

/// Creates a Network from the rest of its metadata.
pub(crate) fn create(server: &ApiServer, name: &str, mut metadata: Value) -> Value {
    metadata["name"] = name.into();
    server
        .request(&Method::POST, NETWORKS, &object(&metadata))
        .expect("created")
}

/// A Network.
pub(crate) fn object(metadata: &Value) -> Value {
    json!({
        "apiVersion": "region.example.com/v1",
        "kind": "Network",
        "metadata": metadata,
        "spec": { "cidr": "10.0.0.0/8" },
    })
}

pub(crate) fn path(name: &str) -> String {
    format!("{NETWORKS}/{name}")
}

/// Names of the Networks that there are.
pub(crate) fn names(server: &ApiServer) -> Vec<String> {
    let networks = server.objects("region.example.com", "networks");
    let names = networks.iter().map(|it| it["metadata"]["name"].as_str());
    names.flatten().map(str::to_owned).collect()
}
