//! Paths, methods and versions that are not served.

use http::Method;
use serde_json::json;

use super::{
    kinds::V1,
    world::{Patch, World},
};

behaviours![
    a_kind_that_is_not_served_is_a_plain_text_404,
    a_group_that_is_not_served_is_a_plain_text_404,
    a_namespaced_custom_kind_is_not_found_without_a_namespace,
    a_namespaced_built_in_kind_is_not_found_without_a_namespace,
    a_cluster_wide_kind_is_not_served_in_a_namespace,
    an_object_that_is_absent_is_a_status_404,
    a_built_in_collection_takes_no_put_and_no_patch,
    a_custom_collection_takes_no_put_and_no_patch,
    an_unknown_subresource_is_not_found,
    kube_tells_absent_from_not_served,
    a_trailing_slash_changes_nothing,
    a_boolean_parameter_that_is_neither_is_true,
];

async fn a_kind_that_is_not_served_is_a_plain_text_404(world: World) {
    for path in [
        format!("/apis/{V1}/namespaces/{}/gadgets", world.namespace),
        format!("/apis/{V1}/namespaces/{}/gadgets/a", world.namespace),
        format!("/apis/{V1}/gadgets"),
    ] {
        world.get(&path).await.not_served();
        world
            .call(Method::DELETE, &path, json!({}))
            .await
            .not_served();
    }
}

async fn a_group_that_is_not_served_is_a_plain_text_404(world: World) {
    for path in [
        "/apis/nobody.example.com/v1/widgets".to_owned(),
        format!(
            "/apis/conformance.example.com/v2/namespaces/{}/widgets",
            world.namespace
        ),
    ] {
        world.get(&path).await.not_served();
        world
            .call(Method::POST, &path, json!({}))
            .await
            .not_served();
    }
}

async fn a_namespaced_custom_kind_is_not_found_without_a_namespace(world: World) {
    world
        .get(&format!("/apis/{V1}/widgets/a"))
        .await
        .not_served();
    let object = world.widgets().object("a");
    let path = format!("/apis/{V1}/widgets");
    world.call(Method::POST, &path, object).await.not_served();
}

async fn a_namespaced_built_in_kind_is_not_found_without_a_namespace(world: World) {
    let answer = world.get("/api/v1/configmaps/a").await;
    let message = "the server could not find the requested resource";
    answer.refused(404, "NotFound", message);
    let object = world.configmaps().object("a");
    let answer = world.call(Method::POST, "/api/v1/configmaps", object).await;
    let message = "the server does not allow this method on the requested resource";
    answer.refused(405, "MethodNotAllowed", message);
}

async fn a_cluster_wide_kind_is_not_served_in_a_namespace(world: World) {
    let path = format!("/apis/{V1}/namespaces/{}/planets", world.namespace);
    world.get(&path).await.not_served();
}

async fn an_object_that_is_absent_is_a_status_404(world: World) {
    let answer = world.widgets().get("a").await;
    let answer = answer.refused(
        404,
        "NotFound",
        "widgets.conformance.example.com \"a\" not found",
    );
    assert_eq!(
        answer.body["details"],
        json!({"name": "a", "group": "conformance.example.com", "kind": "widgets"})
    );
    assert_eq!(answer.content_type, "application/json");
    let answer = world.configmaps().get("a").await;
    let answer = answer.refused(404, "NotFound", "configmaps \"a\" not found");
    assert_eq!(
        answer.body["details"],
        json!({"name": "a", "kind": "configmaps"})
    );
}

async fn a_built_in_collection_takes_no_put_and_no_patch(world: World) {
    let maps = world.configmaps();
    for method in [Method::PUT, Method::PATCH] {
        let answer = world
            .call_raw(method, &maps.path, Patch::Merge.content_type(), "{}")
            .await;
        let message = "the server does not allow this method on the requested resource";
        answer.refused(405, "MethodNotAllowed", message);
    }
}

async fn a_custom_collection_takes_no_put_and_no_patch(world: World) {
    let widgets = world.widgets();
    let answer = world
        .call(Method::PUT, &widgets.path, widgets.object("a"))
        .await;
    answer.refused(400, "BadRequest", "name must be provided");
    let answer = world
        .call_raw(
            Method::PATCH,
            &widgets.path,
            Patch::Merge.content_type(),
            "{}",
        )
        .await;
    answer.refused(400, "BadRequest", "name must be provided");
}

async fn an_unknown_subresource_is_not_found(world: World) {
    let (maps, widgets) = (world.configmaps(), world.widgets());
    maps.made("a", json!({})).await;
    widgets.made("a", json!({})).await;
    let answer = world.get(&format!("{}/scale", widgets.at("a"))).await;
    let message = "widgets.conformance.example.com \"a\" not found";
    answer.refused(404, "NotFound", message);
    let answer = world.get(&format!("{}/scale", maps.at("a"))).await;
    let message = "the server could not find the requested resource";
    answer.refused(404, "NotFound", message);
}

async fn kube_tells_absent_from_not_served(world: World) {
    use kube::{
        Api,
        core::{ApiResource, DynamicObject, GroupVersionKind},
    };

    for (kind, plural, reason) in [("Widget", "widgets", "NotFound"), ("Gadget", "gadgets", "")] {
        let kind = GroupVersionKind::gvk("conformance.example.com", "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        let Err(kube::Error::Api(status)) = api.get("a").await else {
            panic!("it answers");
        };
        assert_eq!(status.code, 404);
        assert_eq!(
            status.reason == "NotFound",
            reason == "NotFound",
            "{status:?}"
        );
    }
}

async fn a_trailing_slash_changes_nothing(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let answer = world.get(&format!("{}/", widgets.path)).await;
    assert_eq!(answer.code, 200);
}

async fn a_boolean_parameter_that_is_neither_is_true(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let answer = widgets.list("watch=maybe&timeoutSeconds=1").await;
    assert_eq!(answer.code, 200);
    assert!(
        answer.text.starts_with("{\"type\":\"ADDED\""),
        "{}",
        answer.text
    );
    assert_eq!(widgets.names("watch=false").await, ["a"]);
    assert_eq!(widgets.names("watch=0").await, ["a"]);
}
