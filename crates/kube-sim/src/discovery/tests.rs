use http::{StatusCode, header::ACCEPT};
use serde_json::from_slice;

use super::*;

fn resource(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        list_kind: format!("{kind}List"),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced,
        status: false,
        storage: plural.into(),
        origin: Origin::BuiltIn,
        deprecation: None,
        columns: Vec::new(),
    }
}

fn custom(version: &str, kind: &str, plural: &str, namespaced: bool) -> Resource {
    let mut resource = resource("sim.example.com", version, kind, plural, namespaced);
    resource.origin = Origin::Definition {
        uid: "7".into(),
        name: format!("{plural}.sim.example.com").into(),
    };
    resource
}

/// In the order in which somebody may have registered them.
fn resources() -> Vec<Resource> {
    let mut network = custom("v1", "Network", "networks", true);
    network.short_names = vec!["net".to_owned(), "nw".to_owned()];
    network.categories = vec!["all".to_owned(), "platform".to_owned()];
    network.status = true;
    let mut namespace = resource("", "v1", "Namespace", "namespaces", false);
    namespace.short_names = vec!["ns".to_owned()];
    namespace.status = true;
    vec![
        custom("v1beta1", "Project", "projects", false),
        custom("v1", "Project", "projects", false),
        network,
        resource("coordination.k8s.io", "v1", "Lease", "leases", true),
        resource("events.k8s.io", "v1", "Event", "events", true),
        namespace,
        resource("", "v1", "ConfigMap", "configmaps", true),
    ]
}

fn try_answer(path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    answer(path, headers, &resources().iter().collect::<Vec<_>>())
}

fn get(path: &str, accept: &str) -> (StatusCode, String, Value) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, accept.parse().unwrap());
    let response = try_answer(path, &headers).expect(path);
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap());
    (
        response.status(),
        content_type.to_owned(),
        from_slice(response.body()).unwrap_or_default(),
    )
}

const PROJECTS: &str = r#"{
    "name": "projects", "singularName": "project", "namespaced": false, "kind": "Project",
    "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
}"#;

/// The documents are what a real server answered for the same resources, without what is left out.
#[test]
fn the_lists_of_one_group_are_the_servers() {
    let check = |path: &str, expected: &str| {
        let (status, content_type, document) = get(path, "application/json");
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(content_type, "application/json", "{path}");
        let expected = expected.replace("PROJECTS", PROJECTS);
        assert_eq!(document, from_slice::<Value>(expected.as_bytes()).unwrap());
    };
    check(
        "/apis/sim.example.com",
        r#"{
            "kind": "APIGroup", "apiVersion": "v1", "name": "sim.example.com",
            "versions": [
                {"groupVersion": "sim.example.com/v1", "version": "v1"},
                {"groupVersion": "sim.example.com/v1beta1", "version": "v1beta1"}
            ],
            "preferredVersion": {"groupVersion": "sim.example.com/v1", "version": "v1"}
        }"#,
    );
    check(
        "/apis/sim.example.com/v1",
        r#"{
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "sim.example.com/v1",
            "resources": [{
                "name": "networks", "singularName": "network", "namespaced": true,
                "kind": "Network",
                "verbs": ["delete", "deletecollection", "get", "list", "patch", "create",
                          "update", "watch"],
                "shortNames": ["net", "nw"], "categories": ["all", "platform"]
            }, {
                "name": "networks/status", "singularName": "", "namespaced": true,
                "kind": "Network", "verbs": ["get", "patch", "update"]
            }, PROJECTS]
        }"#,
    );
    check(
        "/apis/sim.example.com/v1beta1",
        r#"{
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": "sim.example.com/v1beta1", "resources": [PROJECTS]
        }"#,
    );
    check(
        "/api/v1",
        r#"{
            "kind": "APIResourceList", "groupVersion": "v1",
            "resources": [{
                "name": "configmaps", "singularName": "configmap", "namespaced": true,
                "kind": "ConfigMap",
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch",
                          "update", "watch"]
            }, {
                "name": "namespaces", "singularName": "namespace", "namespaced": false,
                "kind": "Namespace", "shortNames": ["ns"],
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]
            }, {
                "name": "namespaces/finalize", "singularName": "", "namespaced": false,
                "kind": "Namespace", "verbs": ["update"]
            }, {
                "name": "namespaces/status", "singularName": "", "namespaced": false,
                "kind": "Namespace", "verbs": ["get", "patch", "update"]
            }]
        }"#,
    );
    check(
        "/api",
        r#"{"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}"#,
    );
}

#[test]
fn groups_of_definitions_come_after_those_that_are_built_in() {
    let (_, _, list) = get("/apis", "application/json");
    let groups = list["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| &group["name"]).collect();
    assert_eq!(
        names,
        ["events.k8s.io", "coordination.k8s.io", "sim.example.com"]
    );
}

#[test]
fn a_client_that_accepts_it_is_told_all_at_once() {
    let accept = format!(
        "{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
         application/json"
    );
    let (_, content_type, core) = get("/api", &accept);
    assert_eq!(content_type, AGGREGATED);
    assert_eq!(core["items"][0]["metadata"], json!({}));
    assert_eq!(
        core["items"][0]["versions"][0]["resources"][1],
        json!({
            "resource": "namespaces",
            "responseKind": {"group": "", "version": "", "kind": "Namespace"},
            "scope": "Cluster",
            "singularResource": "namespace",
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": ["ns"],
            "subresources": [{
                "subresource": "finalize",
                "responseKind": {"group": "", "version": "", "kind": "Namespace"},
                "verbs": ["update"],
            }, {
                "subresource": "status",
                "responseKind": {"group": "", "version": "", "kind": "Namespace"},
                "verbs": ["get", "patch", "update"],
            }],
        })
    );
    let (_, _, others) = get("/apis", &accept);
    assert_eq!(others["apiVersion"], "apidiscovery.k8s.io/v2");
    let group = &others["items"][2];
    assert_eq!(group["metadata"]["name"], "sim.example.com");
    assert_eq!(group["versions"][0]["version"], "v1");
    assert_eq!(group["versions"][1]["version"], "v1beta1");
    assert_eq!(group["versions"][1]["freshness"], "Current");
    let kind = &group["versions"][1]["resources"][0]["responseKind"];
    assert_eq!(
        *kind,
        json!({"group": "sim.example.com", "version": "v1beta1", "kind": "Project"})
    );
}

#[test]
fn a_type_that_is_not_offered_is_passed_over_or_refused() {
    // 1.36 no longer has it.
    let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let (_, content_type, list) = get("/apis", &format!("{beta},application/json"));
    assert_eq!(content_type, "application/json");
    assert_eq!(list["kind"], "APIGroupList");
    let (status, _, _) = get("/apis", beta);
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
}

#[test]
fn what_is_not_served_is_not_described() {
    for path in [
        "/api/v2",
        "/apis/absent.example.com",
        "/apis/sim.example.com/v2",
        "/apis/sim.example.com/v1/networks",
        "/version/more",
    ] {
        assert!(try_answer(path, &HeaderMap::new()).is_none());
    }
    // The core group has no name to be found by.
    assert!(try_answer("/apis//v1", &HeaderMap::new()).is_none());
}

#[test]
fn stable_versions_come_before_beta_and_alpha_and_the_others_last() {
    let preferred = [
        "v10", "v2", "v1", "v2beta1", "v1beta10", "v1beta2", "v1alpha1", "foo1", "v", "v1gamma",
    ];
    let mut sorted = preferred;
    sorted.reverse();
    sorted.sort_by(|one, other| compare_versions(one, other));
    assert_eq!(sorted, preferred);
}
