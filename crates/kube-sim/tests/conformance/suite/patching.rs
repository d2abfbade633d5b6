//! PATCH, in its three forms.

use http::Method;
use serde_json::{Value, json};

use super::world::{Patch, World, version};

behaviours![
    a_merge_patch_sets_replaces_and_removes,
    a_merge_patch_replaces_lists,
    a_patch_that_changes_nothing_moves_no_version,
    a_json_patch_does_all_its_operations_or_none,
    a_failing_test_of_a_json_patch_is_unprocessable,
    a_json_patch_that_does_not_fit_is_unprocessable,
    a_json_patch_moves_and_copies,
    a_json_patch_copies_three_mebibytes_and_no_more,
    a_json_patch_appends_to_a_list,
    a_json_patch_that_is_no_list_is_refused,
    a_merge_patch_that_is_no_object_is_refused,
    a_merge_patch_of_null_is_refused,
    a_patch_that_is_no_json_is_refused,
    a_strategic_patch_of_a_custom_object_is_not_supported,
    a_strategic_patch_merges_owner_references_by_uid,
    a_strategic_patch_merges_finalizers_and_deletes_from_them,
    a_strategic_patch_can_replace_a_map,
    an_unknown_media_type_is_refused_for_patches,
    a_patch_of_an_absent_object_is_not_found,
    a_patch_to_another_name_or_namespace_is_refused,
    a_patch_with_an_old_version_conflicts,
    a_patch_with_another_uid_is_invalid,
    a_patch_cannot_change_the_kind_of_a_custom_object,
    a_custom_object_cannot_lose_its_version,
    a_patch_without_metadata_is_refused,
    a_patch_to_the_wrong_type_is_invalid,
    force_is_for_apply_only,
    a_dry_run_of_a_patch_changes_nothing,
    a_typed_merge_patch_reaches_the_object,
];

const MISFIT: &str = "the server rejected our request due to an error in our request";

async fn a_merge_patch_sets_replaces_and_removes(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let metadata = json!({"labels": {"a": "1", "b": "2"}, "annotations": {"x": "y"}});
        collection.made("a", metadata).await;
        let patch =
            json!({"metadata": {"labels": {"a": null, "b": "3", "c": "4"}, "annotations": null}});
        let object = collection.merge("a", patch).await;
        assert_eq!(object["metadata"]["labels"], json!({"b": "3", "c": "4"}));
        assert_eq!(object["metadata"].get("annotations"), None);
    }
}

async fn a_merge_patch_replaces_lists(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["spec"] = json!({"tags": ["a", "b"]});
    widgets.create(object).await.created();
    let object = widgets.merge("a", json!({"spec": {"tags": ["c"]}})).await;
    assert_eq!(object["spec"]["tags"], json!(["c"]));
}

async fn a_patch_that_changes_nothing_moves_no_version(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({"labels": {"a": "b"}})).await;
        for patch in [
            json!({}),
            json!({"metadata": {"labels": {"a": "b", "c": null}}}),
        ] {
            assert_eq!(collection.merge("a", patch).await, before);
        }
        let answer = collection.patch("a", Patch::Json, json!([])).await;
        assert_eq!(answer.ok(), before);
    }
}

async fn a_json_patch_does_all_its_operations_or_none(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({"labels": {"a": "1"}})).await;
        let good = json!({"op": "replace", "path": "/metadata/labels/a", "value": "2"});
        let bad = json!({"op": "remove", "path": "/metadata/labels/b"});
        let answer = collection.patch("a", Patch::Json, json!([good, bad])).await;
        answer.refused(422, "Invalid", MISFIT);
        assert_eq!(collection.get("a").await.ok(), before);
        let answer = collection.patch("a", Patch::Json, json!([good])).await;
        assert_eq!(answer.ok()["metadata"]["labels"], json!({"a": "2"}));
    }
}

async fn a_failing_test_of_a_json_patch_is_unprocessable(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({"labels": {"a": "1"}})).await;
        let patch = |expected: &str| {
            json!([
                {"op": "test", "path": "/metadata/labels/a", "value": expected},
                {"op": "add", "path": "/metadata/labels/b", "value": "2"},
            ])
        };
        let answer = collection.patch("a", Patch::Json, patch("0")).await;
        answer.refused(422, "Invalid", MISFIT);
        assert_eq!(collection.get("a").await.ok(), before);
        collection.patch("a", Patch::Json, patch("1")).await.ok();
    }
}

async fn a_json_patch_that_does_not_fit_is_unprocessable(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        for operation in [
            json!({"op": "remove", "path": "/metadata/labels"}),
            json!({"op": "replace", "path": "/metadata/labels/a", "value": "b"}),
            json!({"op": "add", "path": "/metadata/labels/a", "value": "b"}),
            json!({"op": "add", "path": "/metadata/finalizers/-", "value": "a.b/c"}),
            json!({"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"}),
            json!({"op": "bogus", "path": "/metadata/labels", "value": {}}),
            json!({"op": "add", "value": {}}),
        ] {
            let answer = collection.patch("a", Patch::Json, json!([operation])).await;
            answer.refused(422, "Invalid", MISFIT);
        }
    }
}

async fn a_json_patch_moves_and_copies(world: World) {
    let widgets = world.widgets();
    widgets
        .made("a", json!({"labels": {"a": "1", "x/y": "2"}}))
        .await;
    let patch = json!([
        {"op": "move", "from": "/metadata/labels/a", "path": "/metadata/labels/b"},
        {"op": "copy", "from": "/metadata/labels/x~1y", "path": "/metadata/labels/c"},
    ]);
    let object = widgets.patch("a", Patch::Json, patch).await.ok();
    assert_eq!(
        object["metadata"]["labels"],
        json!({"b": "1", "c": "2", "x/y": "2"})
    );
}

async fn a_json_patch_copies_three_mebibytes_and_no_more(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        // With its quotes the text has 1024 bytes.
        let begin = json!([
            {"op": "add", "path": "/metadata/annotations", "value": {"a": "x".repeat(1022)}},
        ]);
        collection.patch("a", Patch::Json, begin).await.ok();
        let copy = json!(
            {"op": "copy", "from": "/metadata/annotations/a", "path": "/metadata/annotations/b"}
        );
        let answer = collection
            .patch("a", Patch::Json, json!(vec![&copy; 3072]))
            .await;
        let copied = answer.ok();
        let answer = collection
            .patch("a", Patch::Json, json!(vec![&copy; 3073]))
            .await;
        answer.refused(422, "Invalid", MISFIT);
        assert_eq!(collection.get("a").await.ok(), copied);
        let doubling: Vec<Value> = (0..40)
            .map(|number| {
                let path = format!("/metadata/annotations/{number}");
                json!({"op": "copy", "from": "/metadata/annotations", "path": path})
            })
            .collect();
        let answer = collection.patch("a", Patch::Json, json!(doubling)).await;
        answer.refused(422, "Invalid", MISFIT);
    }
}

async fn a_json_patch_appends_to_a_list(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    let patch = json!([
        {"op": "add", "path": "/metadata/finalizers/-", "value": "a.b/e"},
        {"op": "add", "path": "/metadata/finalizers/1", "value": "a.b/d"},
    ]);
    let object = widgets.patch("a", Patch::Json, patch).await.ok();
    assert_eq!(
        object["metadata"]["finalizers"],
        json!(["a.b/c", "a.b/d", "a.b/e"])
    );
}

async fn a_json_patch_that_is_no_list_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        collection.patch("a", Patch::Json, json!({})).await.refused(
            400,
            "BadRequest",
            "error decoding patch: json: cannot unmarshal object into Go value of type \
             []handlers.jsonPatchOp",
        );
    }
}

async fn a_merge_patch_that_is_no_object_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        collection
            .patch("a", Patch::Merge, json!([]))
            .await
            .refused(
                400,
                "BadRequest",
                "error decoding patch: json: cannot unmarshal array into Go value of type \
             map[string]interface {}",
            );
    }
}

async fn a_merge_patch_of_null_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = collection.patch("a", Patch::Merge, json!(null)).await;
        answer.refused(400, "BadRequest", "Invalid JSON Patch");
    }
}

async fn a_patch_that_is_no_json_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        collection.patch_raw("a", Patch::Merge, "{").await.refused(
            400,
            "BadRequest",
            "error decoding patch: unexpected end of JSON input",
        );
    }
    let answer = world
        .configmaps()
        .patch_raw("a", Patch::Strategic, "{")
        .await;
    answer.refused(400, "BadRequest", "unexpected end of JSON input");
}

async fn a_strategic_patch_of_a_custom_object_is_not_supported(world: World) {
    world.widgets().made("a", json!({})).await;
    let answer = world
        .widgets()
        .patch("a", Patch::Strategic, json!({}))
        .await;
    answer.refused(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    );
}

fn owner(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": format!("uid-of-{name}")})
}

async fn a_strategic_patch_merges_owner_references_by_uid(world: World) {
    let namespaces = world.namespaces();
    let name = super::world::unique("owned");
    let metadata = json!({"ownerReferences": [owner("a"), owner("b")]});
    namespaces.made(&name, metadata).await;
    let mut renamed = owner("b");
    renamed["name"] = "c".into();
    let removed = json!({"$patch": "delete", "uid": "uid-of-a"});
    let patch = json!({"metadata": {"ownerReferences": [renamed, removed]}});
    let target = format!("{}?dryRun=All", namespaces.at(&name));
    let answer = world
        .call_raw(
            Method::PATCH,
            &target,
            Patch::Strategic.content_type(),
            patch.to_string(),
        )
        .await;
    assert_eq!(answer.ok()["metadata"]["ownerReferences"], json!([renamed]));
}

async fn a_strategic_patch_merges_finalizers_and_deletes_from_them(world: World) {
    let maps = world.configmaps();
    maps.made("a", json!({"finalizers": ["a.b/c", "a.b/d"]}))
        .await;
    let patch = json!({"metadata": {"finalizers": ["a.b/e"]}});
    let object = maps.patch("a", Patch::Strategic, patch).await.ok();
    let finalizers = object["metadata"]["finalizers"].as_array();
    let mut finalizers = finalizers.expect("a list").clone();
    finalizers.sort_by_key(ToString::to_string);
    assert_eq!(finalizers, ["a.b/c", "a.b/d", "a.b/e"]);
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c", "a.b/e"]}});
    let object = maps.patch("a", Patch::Strategic, patch).await.ok();
    assert_eq!(object["metadata"]["finalizers"], json!(["a.b/d"]));
}

async fn a_strategic_patch_can_replace_a_map(world: World) {
    let maps = world.configmaps();
    maps.made("a", json!({"labels": {"a": "1", "b": "2"}}))
        .await;
    let patch = json!({"metadata": {"labels": {"b": null, "c": "3"}}});
    let object = maps.patch("a", Patch::Strategic, patch).await.ok();
    assert_eq!(object["metadata"]["labels"], json!({"a": "1", "c": "3"}));
    let patch = json!({"metadata": {"labels": {"$patch": "replace", "d": "4"}}});
    let object = maps.patch("a", Patch::Strategic, patch).await.ok();
    assert_eq!(object["metadata"]["labels"], json!({"d": "4"}));
}

async fn an_unknown_media_type_is_refused_for_patches(world: World) {
    for (collection, message) in [
        (world.configmaps(), "415: Unsupported Media Type"),
        (
            world.widgets(),
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, \
             application/apply-patch+yaml",
        ),
    ] {
        collection.made("a", json!({})).await;
        for media_type in ["application/json", "text/plain"] {
            let answer = world
                .call_raw(Method::PATCH, &collection.at("a"), media_type, "{}")
                .await;
            answer.refused(415, "UnsupportedMediaType", message);
        }
    }
}

async fn a_patch_of_an_absent_object_is_not_found(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"a\""),
        (world.widgets(), "widgets.conformance.example.com \"a\""),
    ] {
        let answer = collection.patch("a", Patch::Merge, json!({})).await;
        answer.refused(404, "NotFound", &format!("{subject} not found"));
    }
}

async fn a_patch_to_another_name_or_namespace_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        for (field, message) in [
            (
                "name",
                "the name of the object (z) does not match the name on the URL (a)",
            ),
            (
                "namespace",
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ),
        ] {
            let patch = json!({"metadata": {field: "z"}});
            let answer = collection.patch("a", Patch::Merge, patch).await;
            answer.refused(400, "BadRequest", message);
        }
    }
}

async fn a_patch_with_an_old_version_conflicts(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let old = collection.made("a", json!({})).await;
        let label = |value: &str, version: &str| json!({"metadata": {"labels": {"a": value}, "resourceVersion": version}});
        let new = collection.merge("a", label("1", &version(&old))).await;
        let patch = label("2", &version(&old));
        let answer = collection.patch("a", Patch::Merge, patch).await;
        assert_eq!((answer.code, answer.reason()), (409, "Conflict"));
        assert_eq!(collection.get("a").await.ok(), new);
    }
}

async fn a_patch_with_another_uid_is_invalid(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        collection.made("a", json!({})).await;
        let patch = json!({"metadata": {"uid": "mine"}});
        collection.patch("a", Patch::Merge, patch).await.invalid(
            subject,
            "metadata.uid",
            "FieldValueInvalid",
            "Invalid value: \"mine\": field is immutable",
        );
    }
}

async fn a_patch_cannot_change_the_kind_of_a_custom_object(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let answer = widgets.patch("a", Patch::Merge, json!({"kind": "Z"})).await;
    answer.invalid(
        "Z.conformance.example.com \"a\"",
        "kind",
        "FieldValueInvalid",
        "Invalid value: \"Z\": must be Widget",
    );
    let patch = json!({"apiVersion": "v7"});
    widgets.patch("a", Patch::Merge, patch).await.invalid(
        "Widget \"a\"",
        "apiVersion",
        "FieldValueInvalid",
        "Invalid value: \"v7\": must be conformance.example.com/v1",
    );
}

async fn a_patch_without_metadata_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = collection.patch("a", Patch::Merge, json!({"metadata": null}));
        answer.await.refused(
            400,
            "BadRequest",
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        );
    }
}

async fn a_patch_to_the_wrong_type_is_invalid(world: World) {
    let maps = world.configmaps();
    let object = maps.made("a", json!({})).await;
    let metadata = &object["metadata"];
    let answer = maps
        .patch("a", Patch::Merge, json!({"metadata": {"labels": {"a": 1}}}))
        .await;
    let shown = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "creationTimestamp": metadata["creationTimestamp"],
            "labels": {"a": 1},
            "name": "a",
            "namespace": metadata["namespace"],
            "resourceVersion": metadata["resourceVersion"],
            "uid": metadata["uid"],
        },
    });
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
    assert_eq!(answer.body["details"].get("name"), None);
    let message = answer.message();
    assert!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: \"{"),
        "{message}"
    );
    assert!(
        message.ends_with(
            "}\": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of \
             type string"
        ),
        "{message} of {shown}"
    );
}

async fn force_is_for_apply_only(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let path = format!("{}?force=true", widgets.at("a"));
    let answer = world
        .call_raw(Method::PATCH, &path, Patch::Merge.content_type(), "{}")
        .await;
    answer.invalid(
        "PatchOptions.meta.k8s.io \"\"",
        "force",
        "FieldValueForbidden",
        "Forbidden: may not be specified for non-apply patch",
    );
}

async fn a_dry_run_of_a_patch_changes_nothing(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({})).await;
        let target = format!("{}?dryRun=All", collection.at("a"));
        let patch = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
        let answer = world
            .call_raw(Method::PATCH, &target, Patch::Merge.content_type(), patch)
            .await
            .ok();
        assert_eq!(answer["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(version(&answer), version(&before));
        assert_eq!(collection.get("a").await.ok(), before);
    }
}

async fn a_typed_merge_patch_reaches_the_object(world: World) {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, api::PatchParams};

    world.configmaps().made("a", json!({})).await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let patch = kube::api::Patch::Merge(json!({"data": {"x": "1"}}));
    let map = maps.patch("a", &PatchParams::default(), &patch).await;
    let data = map.expect("it is patched").data.expect("data");
    assert_eq!(
        data.into_iter().collect::<Vec<_>>(),
        [("x".into(), "1".into())]
    );
}

async fn a_custom_object_cannot_lose_its_version(world: World) {
    let widgets = world.widgets();
    let before = widgets.made("a", json!({})).await;
    let why = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
    for patch in [
        json!({"apiVersion": ""}),
        json!({"apiVersion": null, "spec": {"size": 2}}),
    ] {
        let answer = widgets.patch("a", Patch::Merge, patch).await;
        let message = format!("Internal error occurred: {why}");
        let answer = answer.refused(500, "InternalError", &message);
        assert_eq!(
            answer.body["details"],
            json!({"causes": [{"message": why}]})
        );
    }
    assert_eq!(widgets.get("a").await.version(), version(&before));
}
