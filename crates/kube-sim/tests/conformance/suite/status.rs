//! The status subresource.

use http::Method;
use serde_json::{Value, json};

use super::world::{Patch, World, version};

behaviours![
    a_status_update_changes_the_status_and_nothing_else,
    a_status_patch_changes_the_status_and_nothing_else,
    a_status_update_moves_no_generation,
    a_status_update_needs_a_version,
    a_status_of_the_wrong_type_is_refused,
    the_status_subresource_answers_the_whole_object,
    a_kind_without_a_status_subresource_serves_none,
    an_update_keeps_the_status,
    the_status_subresource_is_neither_created_nor_deleted,
    a_terminating_object_still_has_its_status_written,
];

async fn put_status(world: &World, name: &str, object: Value) -> super::world::Answer {
    let path = format!("{}/status", world.widgets().at(name));
    world.call(Method::PUT, &path, object).await
}

async fn patch_status(world: &World, name: &str, patch: Value) -> super::world::Answer {
    let target = format!("{}/status", world.widgets().at(name));
    let media_type = Patch::Merge.content_type();
    world
        .call_raw(Method::PATCH, &target, media_type, patch.to_string())
        .await
}

async fn a_status_update_changes_the_status_and_nothing_else(world: World) {
    let before = world.widgets().made("a", json!({})).await;
    let mut object = before.clone();
    object["status"] = json!({"phase": "up"});
    object["spec"] = json!({"size": 3});
    object["metadata"]["labels"] = json!({"a": "b"});
    object["metadata"]["finalizers"] = json!(["a.b/c"]);
    let after = put_status(&world, "a", object).await.ok();
    assert_eq!(after["status"], json!({"phase": "up"}));
    assert_eq!(after.get("spec"), before.get("spec"));
    assert_eq!(after["metadata"].get("labels"), None);
    assert_eq!(after["metadata"].get("finalizers"), None);
    assert_eq!(world.widgets().get("a").await.ok(), after);
}

async fn a_status_patch_changes_the_status_and_nothing_else(world: World) {
    world.widgets().made("a", json!({})).await;
    let patch = json!({
        "status": {"phase": "up"},
        "spec": {"size": 3},
        "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
    });
    let after = patch_status(&world, "a", patch).await.ok();
    assert_eq!(after["status"], json!({"phase": "up"}));
    assert_eq!(after.get("spec"), None);
    assert_eq!(after["metadata"].get("labels"), None);
    assert_eq!(after["metadata"].get("annotations"), None);
}

async fn a_status_update_moves_no_generation(world: World) {
    let before = world.widgets().made("a", json!({})).await;
    let patch = json!({"status": {"phase": "up"}});
    let after = patch_status(&world, "a", patch).await.ok();
    assert_eq!(after["metadata"]["generation"], 1);
    assert_ne!(version(&after), version(&before));
}

async fn a_status_update_needs_a_version(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    put_status(&world, "a", widgets.object("a")).await.invalid(
        "widgets.conformance.example.com \"a\"",
        "metadata.resourceVersion",
        "FieldValueInvalid",
        "Invalid value: 0: must be specified for an update",
    );
}

async fn a_status_of_the_wrong_type_is_refused(world: World) {
    world.widgets().made("a", json!({})).await;
    let answer = patch_status(&world, "a", json!({"status": {"phase": 5}})).await;
    let answer = answer.refused(
        422,
        "Invalid",
        "Widget.conformance.example.com \"a\" is invalid: status.phase: Invalid value: \
         \"integer\": phase in body must be of type string: \"integer\"",
    );
    assert_eq!(
        answer.body["details"]["causes"][0]["reason"],
        "FieldValueTypeInvalid"
    );
}

async fn the_status_subresource_answers_the_whole_object(world: World) {
    let object = world
        .widgets()
        .made("a", json!({"labels": {"a": "b"}}))
        .await;
    let path = format!("{}/status", world.widgets().at("a"));
    assert_eq!(world.get(&path).await.ok(), object);
}

async fn a_kind_without_a_status_subresource_serves_none(world: World) {
    let (maps, crates) = (world.configmaps(), world.crates());
    maps.made("a", json!({})).await;
    crates.made("a", json!({})).await;
    let answer = world.get(&format!("{}/status", maps.at("a"))).await;
    let message = "the server could not find the requested resource";
    answer.refused(404, "NotFound", message);
    let answer = world.get(&format!("{}/status", crates.at("a"))).await;
    let message = "crates.conformance.example.com \"a\" not found";
    answer.refused(404, "NotFound", message);
}

async fn an_update_keeps_the_status(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let patch = json!({"status": {"phase": "up"}});
    let mut object = patch_status(&world, "a", patch).await.ok();
    object["metadata"]["labels"] = json!({"a": "b"});
    object.as_object_mut().expect("it is one").remove("status");
    let object = widgets.replace("a", object).await.ok();
    assert_eq!(object["status"], json!({"phase": "up"}));
}

async fn the_status_subresource_is_neither_created_nor_deleted(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let path = format!("{}/status", widgets.at("a"));
    for (method, verb) in [(Method::POST, "create"), (Method::DELETE, "delete")] {
        let answer = world.call(method, &path, widgets.object("a")).await;
        let message = format!(
            "{verb} is not supported on resources of kind \"widgets.conformance.example.com\""
        );
        answer.refused(405, "MethodNotAllowed", &message);
    }
}

async fn a_terminating_object_still_has_its_status_written(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    widgets.delete("a", json!({})).await.ok();
    let patch = json!({"status": {"phase": "leaving"}});
    let object = patch_status(&world, "a", patch).await.ok();
    assert_eq!(object["status"]["phase"], "leaving");
    assert_eq!(object["metadata"]["generation"], 2);
}
