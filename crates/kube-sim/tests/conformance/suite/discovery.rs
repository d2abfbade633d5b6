//! What a server says about itself.

use serde_json::{Value, json};

use super::{kinds::GROUP, world::World};

behaviours![
    the_version_is_that_of_a_release,
    the_health_endpoints_say_ok,
    the_core_group_lists_its_version,
    the_groups_are_listed_with_their_preferred_version,
    one_group_is_described_by_its_path,
    the_resources_of_a_custom_group_are_listed,
    the_resources_of_the_core_group_are_listed,
    aggregated_discovery_describes_all_groups_at_once,
    an_unknown_group_is_not_served,
    kube_discovers_a_custom_kind,
    the_index_lists_paths,
    the_openapi_index_names_each_group,
];

async fn the_version_is_that_of_a_release(world: World) {
    let version = world.get("/version").await.ok();
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&json!("1"), &json!("36"))
    );
    let text = version["gitVersion"].as_str().expect("text");
    assert!(text.starts_with("v1.36."), "{text}");
}

async fn the_health_endpoints_say_ok(world: World) {
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = world.get(path).await;
        assert_eq!((answer.code, answer.text.as_str()), (200, "ok"), "{path}");
    }
}

async fn the_core_group_lists_its_version(world: World) {
    let versions = world.get("/api").await.ok();
    assert_eq!(versions["kind"], "APIVersions");
    assert_eq!(versions["versions"], json!(["v1"]));
}

fn group(groups: &Value) -> Option<&Value> {
    let groups = groups["groups"].as_array().expect("groups");
    groups.iter().find(|group| group["name"] == GROUP)
}

async fn the_groups_are_listed_with_their_preferred_version(world: World) {
    let groups = world.get("/apis").await.ok();
    assert_eq!(groups["kind"], "APIGroupList");
    let version = json!({"groupVersion": format!("{GROUP}/v1"), "version": "v1"});
    assert_eq!(
        group(&groups),
        Some(&json!({"name": GROUP, "versions": [version], "preferredVersion": version}))
    );
    for name in [
        "apiextensions.k8s.io",
        "coordination.k8s.io",
        "events.k8s.io",
    ] {
        let groups = groups["groups"].as_array().expect("groups");
        assert!(groups.iter().any(|group| group["name"] == name), "{name}");
    }
}

async fn one_group_is_described_by_its_path(world: World) {
    let described = world.get(&format!("/apis/{GROUP}")).await.ok();
    assert_eq!(described["kind"], "APIGroup");
    assert_eq!(described["name"], GROUP);
    assert_eq!(described["preferredVersion"]["version"], "v1");
}

fn resource<'a>(list: &'a Value, name: &str) -> &'a Value {
    let resources = list["resources"].as_array().expect("resources");
    let found = resources.iter().find(|resource| resource["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

fn verbs(resource: &Value) -> Vec<&str> {
    let verbs = resource["verbs"].as_array().expect("verbs").iter();
    let mut verbs: Vec<_> = verbs.filter_map(Value::as_str).collect();
    verbs.sort_unstable();
    verbs
}

const ALL_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

async fn the_resources_of_a_custom_group_are_listed(world: World) {
    let list = world.get(&format!("/apis/{GROUP}/v1")).await.ok();
    assert_eq!(list["kind"], "APIResourceList");
    assert_eq!(list["groupVersion"], format!("{GROUP}/v1"));
    let widgets = resource(&list, "widgets");
    assert_eq!(widgets["kind"], "Widget");
    assert_eq!(widgets["singularName"], "widget");
    assert_eq!(widgets["shortNames"], json!(["wd"]));
    assert_eq!(widgets["namespaced"], true);
    assert_eq!(verbs(widgets), ALL_VERBS);
    assert_eq!(
        verbs(resource(&list, "widgets/status")),
        ["get", "patch", "update"]
    );
    assert_eq!(resource(&list, "planets")["namespaced"], false);
}

async fn the_resources_of_the_core_group_are_listed(world: World) {
    let list = world.get("/api/v1").await.ok();
    assert_eq!(list["groupVersion"], "v1");
    for (plural, kind, short) in [
        ("configmaps", "ConfigMap", "cm"),
        ("serviceaccounts", "ServiceAccount", "sa"),
        ("events", "Event", "ev"),
    ] {
        let found = resource(&list, plural);
        assert_eq!(
            (&found["kind"], &found["shortNames"]),
            (&json!(kind), &json!([short]))
        );
        assert_eq!(verbs(found), ALL_VERBS);
    }
    let namespaces = resource(&list, "namespaces");
    assert_eq!(namespaces["namespaced"], false);
    assert_eq!(
        verbs(namespaces),
        [
            "create", "delete", "get", "list", "patch", "update", "watch"
        ]
    );
}

async fn aggregated_discovery_describes_all_groups_at_once(world: World) {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let answer = world.get_as("/apis", accept).await;
    assert_eq!(answer.content_type, accept);
    let list = answer.ok();
    assert_eq!(list["kind"], "APIGroupDiscoveryList");
    assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
    let items = list["items"].as_array().expect("items");
    let found = items
        .iter()
        .find(|group| group["metadata"]["name"] == GROUP);
    let versions = &found.expect("the group")["versions"];
    assert_eq!(
        (&versions[0]["version"], &versions[0]["freshness"]),
        (&json!("v1"), &json!("Current"))
    );
    let resources = versions[0]["resources"].as_array().expect("resources");
    let widgets = resources
        .iter()
        .find(|resource| resource["resource"] == "widgets");
    let widgets = widgets.expect("the resource");
    assert_eq!(widgets["scope"], "Namespaced");
    assert_eq!(widgets["responseKind"]["kind"], "Widget");
    assert_eq!(widgets["subresources"][0]["subresource"], "status");
    let core = world.get_as("/api", accept).await.ok();
    assert_eq!(core["items"][0]["versions"][0]["version"], "v1");
}

async fn an_unknown_group_is_not_served(world: World) {
    for path in [
        "/apis/unknown.example.com",
        "/apis/unknown.example.com/v1",
        "/unknown",
    ] {
        world.get(path).await.not_served();
    }
    let message = "the server could not find the requested resource";
    world.get("/api/v2").await.refused(404, "NotFound", message);
}

async fn kube_discovers_a_custom_kind(world: World) {
    let groups = kube::discovery::group(&world.client, GROUP).await;
    let groups = groups.expect("the group");
    let kinds: Vec<_> = groups
        .recommended_resources()
        .into_iter()
        .map(|(resource, _)| resource.kind)
        .collect();
    assert!(kinds.contains(&"Widget".to_owned()), "{kinds:?}");
}

async fn the_index_lists_paths(world: World) {
    let index = world.get("/").await.ok();
    let paths = index["paths"].as_array().expect("paths");
    for path in ["/api", "/api/v1", "/apis", "/version", "/healthz"] {
        assert!(paths.contains(&json!(path)), "{path} in {index}");
    }
}

async fn the_openapi_index_names_each_group(world: World) {
    let index = world.get("/openapi/v3").await.ok();
    let paths = index["paths"].as_object().expect("paths");
    for path in ["api/v1", "apis/conformance.example.com/v1"] {
        let url = paths[path]["serverRelativeURL"].as_str().expect("a URL");
        assert!(
            url.starts_with(&format!("/openapi/v3/{path}?hash=")),
            "{url}"
        );
    }
}
