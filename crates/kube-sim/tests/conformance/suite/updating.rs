//! PUT: optimistic concurrency, generations, and what an update may not touch.

use serde_json::json;

use super::world::{World, uid, version};

behaviours![
    an_update_moves_the_version_and_keeps_the_identity,
    an_update_that_changes_nothing_moves_no_version,
    an_update_with_an_old_version_conflicts,
    a_configmap_is_updated_without_a_version_and_a_custom_object_is_not,
    an_update_with_another_uid_conflicts,
    an_update_under_another_name_is_refused,
    an_update_without_a_name_is_refused,
    an_update_in_another_namespace_is_refused,
    an_update_of_an_absent_object_is_not_found,
    a_version_that_is_no_number_is_an_internal_error,
    a_change_of_the_spec_moves_the_generation_and_one_of_metadata_does_not,
    the_generation_is_the_servers,
    an_update_cannot_touch_the_status_of_a_kind_with_a_status_subresource,
    without_a_status_subresource_the_status_is_a_field_like_any_other,
    a_put_replaces_the_whole_object,
    the_time_of_creation_is_restored,
    a_deletion_cannot_be_begun_by_an_update,
    a_lease_is_created_by_put,
    a_dry_run_of_an_update_changes_nothing,
    two_updates_of_one_version_succeed_once,
    typed_updates_conflict_like_raw_ones,
];

async fn an_update_moves_the_version_and_keeps_the_identity(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({})).await;
        let mut object = before.clone();
        object["metadata"]["labels"] = json!({"a": "b"});
        let after = collection.replace("a", object).await.ok();
        assert_ne!(version(&after), version(&before));
        assert_eq!(uid(&after), uid(&before));
        assert_eq!(after["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(collection.get("a").await.ok(), after);
    }
}

async fn an_update_that_changes_nothing_moves_no_version(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({"labels": {"a": "b"}})).await;
        assert_eq!(collection.replace("a", before.clone()).await.ok(), before);
    }
}

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

async fn an_update_with_an_old_version_conflicts(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"a\""),
        (world.widgets(), "widgets.conformance.example.com \"a\""),
    ] {
        let old = collection.made("a", json!({})).await;
        let patch = json!({"metadata": {"labels": {"a": "b"}}});
        let new = collection.merge("a", patch).await;
        let message = format!("Operation cannot be fulfilled on {subject}: {MODIFIED}");
        let answer = collection.replace("a", old).await;
        let answer = answer.refused(409, "Conflict", &message);
        assert_eq!(answer.body["details"]["name"], "a");
        assert_eq!(collection.get("a").await.ok(), new);
    }
}

async fn a_configmap_is_updated_without_a_version_and_a_custom_object_is_not(world: World) {
    let (maps, widgets) = (world.configmaps(), world.widgets());
    maps.made("a", json!({})).await;
    let object = maps.with("a", json!({"labels": {"a": "b"}}));
    maps.replace("a", object).await.ok();
    widgets.made("a", json!({})).await;
    let object = widgets.with("a", json!({"labels": {"a": "b"}}));
    widgets.replace("a", object).await.invalid(
        "widgets.conformance.example.com \"a\"",
        "metadata.resourceVersion",
        "FieldValueInvalid",
        "Invalid value: 0: must be specified for an update",
    );
}

async fn an_update_with_another_uid_conflicts(world: World) {
    let maps = world.configmaps();
    let object = maps.made("a", json!({})).await;
    let message = format!(
        "Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: 4, \
         Key: /registry/configmaps/{}/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
         failed: UID in precondition: mine, UID in object meta: {}",
        world.namespace,
        uid(&object)
    );
    let other = maps.with("a", json!({"uid": "mine"}));
    let answer = maps.replace("a", other).await;
    answer.refused(409, "Conflict", &message);
}

async fn an_update_under_another_name_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = collection.replace("a", collection.object("b")).await;
        answer.refused(
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)",
        );
    }
}

async fn an_update_without_a_name_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = collection.replace("a", collection.object("")).await;
        answer.refused(
            400,
            "BadRequest",
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        );
    }
}

async fn an_update_in_another_namespace_is_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let object = collection.with("a", json!({"namespace": "default"}));
        collection.replace("a", object).await.refused(
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        );
    }
}

async fn an_update_of_an_absent_object_is_not_found(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"a\""),
        (world.widgets(), "widgets.conformance.example.com \"a\""),
    ] {
        for metadata in [
            json!({}),
            json!({"resourceVersion": "1"}),
            json!({"uid": "x"}),
        ] {
            let answer = collection
                .replace("a", collection.with("a", metadata))
                .await;
            answer.refused(404, "NotFound", &format!("{subject} not found"));
        }
    }
}

async fn a_version_that_is_no_number_is_an_internal_error(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let object = collection.with("a", json!({"resourceVersion": "x"}));
        let answer = collection.replace("a", object).await;
        answer.refused(500, "", "strconv.ParseUint: parsing \"x\": invalid syntax");
    }
}

async fn a_change_of_the_spec_moves_the_generation_and_one_of_metadata_does_not(world: World) {
    for collection in [world.widgets(), world.crates()] {
        let mut object = collection.made("a", json!({})).await;
        object["metadata"]["labels"] = json!({"a": "b"});
        object["metadata"]["annotations"] = json!({"a": "b"});
        object["metadata"]["finalizers"] = json!(["example.com/kept"]);
        let mut object = collection.replace("a", object).await.ok();
        assert_eq!(object["metadata"]["generation"], 1);
        object["spec"] = json!({"size": 3});
        let object = collection.replace("a", object).await.ok();
        assert_eq!(object["metadata"]["generation"], 2);
    }
}

async fn the_generation_is_the_servers(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.made("a", json!({})).await;
    object["metadata"]["generation"] = json!(55);
    let object = widgets.replace("a", object).await.ok();
    assert_eq!(object["metadata"]["generation"], 1);
}

async fn an_update_cannot_touch_the_status_of_a_kind_with_a_status_subresource(world: World) {
    let widgets = world.widgets();
    let mut object = widgets.object("a");
    object["status"] = json!({"phase": "up"});
    let mut object = widgets.create(object).await.created();
    assert_eq!(object.get("status"), None);
    object["status"] = json!({"phase": "up"});
    let object = widgets.replace("a", object).await.ok();
    assert_eq!(object.get("status"), None);
    assert_eq!(object["metadata"]["generation"], 1);
}

async fn without_a_status_subresource_the_status_is_a_field_like_any_other(world: World) {
    let crates = world.crates();
    let mut object = crates.object("a");
    object["status"] = json!({"phase": "up"});
    let mut object = crates.create(object).await.created();
    assert_eq!(object["status"], json!({"phase": "up"}));
    object["status"] = json!({"phase": "down"});
    let object = crates.replace("a", object).await.ok();
    assert_eq!(object["status"], json!({"phase": "down"}));
    assert_eq!(object["metadata"]["generation"], 2);
}

async fn a_put_replaces_the_whole_object(world: World) {
    let maps = world.configmaps();
    let mut object = maps.with("a", json!({"labels": {"a": "b"}}));
    object["data"] = json!({"x": "1"});
    maps.create(object).await.created();
    let object = maps.replace("a", maps.object("a")).await.ok();
    assert_eq!(object["metadata"].get("labels"), None);
    assert_eq!(object.get("data"), None);
}

async fn the_time_of_creation_is_restored(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({})).await;
        let mut object = before.clone();
        let metadata = object["metadata"].as_object_mut().expect("it is one");
        metadata.remove("creationTimestamp");
        metadata.remove("uid");
        let after = collection.replace("a", object).await.ok();
        assert_eq!(after, before);
    }
}

async fn a_deletion_cannot_be_begun_by_an_update(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        let mut object = collection.made("a", json!({})).await;
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        collection.replace("a", object).await.invalid(
            subject,
            "metadata.deletionTimestamp",
            "FieldValueInvalid",
            "Invalid value: \"2026-01-01T00:00:00Z\": field is immutable",
        );
    }
}

async fn a_lease_is_created_by_put(world: World) {
    let leases = world.leases();
    let answer = leases.replace("a", leases.object("a")).await;
    let lease = answer.created();
    assert_eq!(leases.get("a").await.ok(), lease);
}

async fn a_dry_run_of_an_update_changes_nothing(world: World) {
    let widgets = world.widgets();
    let before = widgets.made("a", json!({})).await;
    let mut object = before.clone();
    object["spec"] = json!({"size": 3});
    let path = format!("{}?dryRun=All", widgets.at("a"));
    let answer = world.call(http::Method::PUT, &path, object).await.ok();
    assert_eq!(answer["spec"]["size"], 3);
    assert_eq!(answer["metadata"]["generation"], 2);
    assert_eq!(version(&answer), version(&before));
    assert_eq!(widgets.get("a").await.ok(), before);
}

async fn two_updates_of_one_version_succeed_once(world: World) {
    let widgets = world.widgets();
    let object = widgets.made("a", json!({})).await;
    let write = async |value: &str| {
        let mut object = object.clone();
        object["metadata"]["labels"] = json!({"a": value});
        widgets.replace("a", object).await.code
    };
    let writes = ["1", "2", "3", "4", "5", "6"].map(write);
    let mut codes = futures::future::join_all(writes).await;
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409]);
}

async fn typed_updates_conflict_like_raw_ones(world: World) {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, api::PostParams};

    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut map = ConfigMap::default();
    map.metadata.name = Some("a".to_owned());
    let old = maps.create(&PostParams::default(), &map).await;
    let old = old.expect("it is created");
    let mut new = old.clone();
    new.data = Some([("x".to_owned(), "1".to_owned())].into());
    let replaced = maps.replace("a", &PostParams::default(), &new).await;
    assert_eq!(replaced.expect("it is replaced").data, new.data);
    let refused = maps.replace("a", &PostParams::default(), &old).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}");
    };
    assert!(status.is_conflict(), "{status:?}");
}
