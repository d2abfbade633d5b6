//! DELETE: what is answered, what is kept, and what guards it.

use http::Method;
use serde_json::{Value, json};

use super::world::{Collection, Patch, World, uid, version};

behaviours![
    a_delete_that_removes_the_object_answers_a_status,
    a_delete_that_leaves_the_object_answers_the_object,
    a_delete_of_an_absent_object_is_not_found,
    a_uid_that_does_not_match_conflicts,
    a_version_that_does_not_match_conflicts,
    matching_preconditions_delete,
    the_uid_alone_deletes_a_relabelled_object_and_with_the_version_it_conflicts,
    preconditions_hold_on_terminating_objects_too,
    a_misspelt_option_is_ignored_and_the_object_deleted,
    an_unknown_propagation_policy_is_refused,
    both_ways_to_say_orphan_are_refused,
    options_of_another_kind_are_refused,
    options_that_are_no_json_are_refused,
    options_in_the_query_work_without_a_body,
    a_dry_run_deletes_nothing,
    a_dry_run_shows_what_a_foreground_delete_would_leave,
    a_grace_period_does_not_delay_a_deletion,
    the_generation_of_a_terminating_custom_object_moves_once,
    a_second_delete_of_a_terminating_object_changes_nothing,
    background_takes_the_collectors_finalizers_off_a_terminating_object,
    foreground_puts_the_collectors_finalizer_on_a_terminating_object,
    orphan_replaces_foreground_on_a_terminating_object,
    a_terminating_object_goes_with_its_last_finalizer,
    a_terminating_object_goes_with_its_last_finalizer_by_put_too,
    no_finalizer_is_added_to_a_terminating_object,
    a_terminating_object_can_be_relabelled,
    a_deletion_cannot_be_taken_back,
    a_terminating_object_keeps_its_name,
    a_namesake_has_another_uid,
    a_collection_is_deleted_by_selector,
    an_empty_selector_deletes_the_whole_collection,
    a_collection_is_not_deleted_over_all_namespaces,
    a_finalizer_stops_nothing_but_its_own_object,
    six_deletes_at_once_succeed_once,
    a_versioned_delete_cannot_cut_the_collectors_finalizer_short,
];

/// Something that a finalizer keeps.
async fn kept(collection: &Collection, name: &str) -> Value {
    let metadata = json!({"finalizers": ["a.b/c"]});
    collection.made(name, metadata).await
}

fn finalizers(object: &Value) -> Vec<&str> {
    let finalizers = object["metadata"]["finalizers"].as_array();
    let finalizers = finalizers.map(Vec::as_slice).unwrap_or_default();
    finalizers.iter().filter_map(Value::as_str).collect()
}

async fn a_delete_that_removes_the_object_answers_a_status(world: World) {
    for (collection, group) in [
        (world.configmaps(), None),
        (world.widgets(), Some("conformance.example.com")),
    ] {
        let object = collection.made("a", json!({})).await;
        let answer = collection.delete("a", json!({})).await.ok();
        assert_eq!(
            (&answer["kind"], &answer["status"]),
            (&json!("Status"), &json!("Success"))
        );
        let details = &answer["details"];
        assert_eq!(details["name"], "a");
        assert_eq!(details["uid"], uid(&object).as_str());
        assert_eq!(details.get("group").and_then(Value::as_str), group);
        assert!(!collection.exists("a").await);
    }
}

async fn a_delete_that_leaves_the_object_answers_the_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = kept(&collection, "a").await;
        let after = collection.delete("a", json!({})).await.ok();
        assert_eq!(after["kind"], before["kind"]);
        assert_eq!(after["metadata"]["deletionGracePeriodSeconds"], 0);
        let time = after["metadata"]["deletionTimestamp"].as_str();
        assert_eq!(time.expect("a time").len(), 20);
        assert_ne!(version(&after), version(&before));
        assert_eq!(collection.get("a").await.ok(), after);
    }
}

async fn a_delete_of_an_absent_object_is_not_found(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"a\""),
        (world.widgets(), "widgets.conformance.example.com \"a\""),
    ] {
        for options in [
            Value::Null,
            json!({}),
            json!({"preconditions": {"uid": "x"}}),
        ] {
            let answer = collection.delete("a", options).await;
            answer.refused(404, "NotFound", &format!("{subject} not found"));
        }
    }
}

async fn a_uid_that_does_not_match_conflicts(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        let object = collection.made("a", json!({})).await;
        let message = format!(
            "Operation cannot be fulfilled on {subject}: the UID in the precondition (x) does not \
             match the UID in record ({}). The object might have been deleted and then recreated",
            uid(&object)
        );
        let options = json!({"preconditions": {"uid": "x"}});
        let answer = collection.delete("a", options).await;
        answer.refused(409, "Conflict", &message);
        assert_eq!(collection.get("a").await.ok(), object);
    }
}

async fn a_version_that_does_not_match_conflicts(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        let object = collection.made("a", json!({})).await;
        let message = format!(
            "Operation cannot be fulfilled on {subject}: the ResourceVersion in the precondition \
             (1) does not match the ResourceVersion in record ({}). The object might have been \
             modified",
            version(&object)
        );
        let options = json!({"preconditions": {"resourceVersion": "1"}});
        let answer = collection.delete("a", options).await;
        answer.refused(409, "Conflict", &message);
        assert_eq!(collection.get("a").await.ok(), object);
    }
}

fn exactly(object: &Value) -> Value {
    json!({"preconditions": {"uid": uid(object), "resourceVersion": version(object)}})
}

async fn matching_preconditions_delete(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        collection.delete("a", exactly(&object)).await.ok();
        assert!(!collection.exists("a").await);
    }
}

async fn the_uid_alone_deletes_a_relabelled_object_and_with_the_version_it_conflicts(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let listed = collection.made("a", json!({})).await;
        let patch = json!({"metadata": {"labels": {"a": "b"}}});
        collection.merge("a", patch).await;
        let answer = collection.delete("a", exactly(&listed)).await;
        assert_eq!((answer.code, answer.reason()), (409, "Conflict"));
        let options = json!({"preconditions": {"uid": uid(&listed)}});
        collection.delete("a", options).await.ok();
        assert!(!collection.exists("a").await);
    }
}

async fn preconditions_hold_on_terminating_objects_too(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        let terminating = collection.delete("a", json!({})).await.ok();
        let options = json!({"preconditions": {"uid": "x"}, "propagationPolicy": "Foreground"});
        let answer = collection.delete("a", options).await;
        assert_eq!((answer.code, answer.reason()), (409, "Conflict"));
        assert_eq!(collection.get("a").await.ok(), terminating);
    }
}

async fn a_misspelt_option_is_ignored_and_the_object_deleted(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let options = json!({"preconditons": {"uid": "x"}, "propagationPolcy": "Bogus"});
        collection.delete("a", options).await.ok();
        assert!(!collection.exists("a").await);
    }
}

async fn an_unknown_propagation_policy_is_refused(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let answer = widgets
        .delete("a", json!({"propagationPolicy": "Bogus"}))
        .await;
    answer.invalid(
        "DeleteOptions.meta.k8s.io \"\"",
        "propagationPolicy",
        "FieldValueNotSupported",
        "Unsupported value: \"Bogus\": supported values: \"Foreground\", \"Background\", \
         \"Orphan\", \"nil\"",
    );
}

async fn both_ways_to_say_orphan_are_refused(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({})).await;
    let options = json!({"propagationPolicy": "Orphan", "orphanDependents": true});
    widgets.delete("a", options).await.invalid(
        "DeleteOptions.meta.k8s.io \"\"",
        "propagationPolicy",
        "FieldValueInvalid",
        "Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
    );
}

async fn options_of_another_kind_are_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let body = world.configmaps().object("a");
        let answer = world.call(Method::DELETE, &collection.at("a"), body).await;
        answer.refused(
            400,
            "BadRequest",
            "no kind \"ConfigMap\" is registered for version \"v1\" in scheme \
             \"pkg/runtime/scheme.go:111\"",
        );
        assert!(collection.exists("a").await);
    }
}

async fn options_that_are_no_json_are_refused(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = world
            .call_raw(
                Method::DELETE,
                &collection.at("a"),
                "application/json",
                "{bad",
            )
            .await;
        answer.refused(
            400,
            "BadRequest",
            "couldn't get version/kind; json parse error: invalid character 'b' looking for \
             beginning of object key string",
        );
    }
}

async fn options_in_the_query_work_without_a_body(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        let query = "propagationPolicy=Foreground&dryRun=All";
        let answer = collection.delete_with(query, "a", Value::Null).await.ok();
        assert_eq!(finalizers(&answer), ["a.b/c", "foregroundDeletion"]);
        collection
            .delete_with("dryRun=All", "a", Value::Null)
            .await
            .ok();
        assert_eq!(
            collection.get("a").await.ok()["metadata"].get("deletionTimestamp"),
            None
        );
    }
}

async fn a_dry_run_deletes_nothing(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({})).await;
        let answer = collection
            .delete("a", json!({"dryRun": ["All"]}))
            .await
            .ok();
        assert_eq!(answer["status"], "Success");
        assert_eq!(collection.get("a").await.ok(), before);
    }
}

async fn a_dry_run_shows_what_a_foreground_delete_would_leave(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({})).await;
        let options = json!({"dryRun": ["All"], "propagationPolicy": "Foreground"});
        let answer = collection.delete("a", options).await.ok();
        assert_eq!(finalizers(&answer), ["foregroundDeletion"]);
        assert_eq!(version(&answer), version(&before));
        assert_eq!(collection.get("a").await.ok(), before);
    }
}

async fn a_grace_period_does_not_delay_a_deletion(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let options = json!({"gracePeriodSeconds": 100});
        let answer = collection.delete("a", options).await.ok();
        assert_eq!(answer["status"], "Success");
        kept(&collection, "b").await;
        let options = json!({"gracePeriodSeconds": 100});
        let answer = collection.delete("b", options).await.ok();
        assert_eq!(answer["metadata"]["deletionGracePeriodSeconds"], 0);
    }
}

async fn the_generation_of_a_terminating_custom_object_moves_once(world: World) {
    for collection in [world.widgets(), world.crates()] {
        kept(&collection, "a").await;
        let object = collection.delete("a", json!({})).await.ok();
        assert_eq!(object["metadata"]["generation"], 2);
        let options = json!({"propagationPolicy": "Orphan"});
        let object = collection.delete("a", options).await.ok();
        assert_eq!(object["metadata"]["generation"], 2);
    }
}

async fn a_second_delete_of_a_terminating_object_changes_nothing(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        let first = collection.delete("a", json!({})).await.ok();
        assert_eq!(collection.delete("a", json!({})).await.ok(), first);
    }
}

async fn background_takes_the_collectors_finalizers_off_a_terminating_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        // The collector leaves the object alone while it has a blocking child that stays.
        let owner = kept(&collection, "a").await;
        blocking(&collection, &owner, "child").await;
        let options = json!({"propagationPolicy": "Foreground"});
        let object = collection.delete("a", options).await.ok();
        assert_eq!(finalizers(&object), ["a.b/c", "foregroundDeletion"]);
        let options = json!({"propagationPolicy": "Background"});
        let object = collection.delete("a", options).await.ok();
        assert_eq!(finalizers(&object), ["a.b/c"]);
    }
}

/// A child that keeps its owner from going, and that something else keeps.
async fn blocking(collection: &Collection, owner: &Value, name: &str) -> Value {
    let reference = json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid(owner),
        "blockOwnerDeletion": true,
    });
    let metadata = json!({"ownerReferences": [reference], "finalizers": ["a.b/c"]});
    collection.made(name, metadata).await
}

async fn foreground_puts_the_collectors_finalizer_on_a_terminating_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        collection.delete("a", json!({})).await.ok();
        let options = json!({"propagationPolicy": "Foreground"});
        let object = collection.delete("a", options).await.ok();
        assert_eq!(finalizers(&object), ["a.b/c", "foregroundDeletion"]);
    }
}

async fn orphan_replaces_foreground_on_a_terminating_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = kept(&collection, "a").await;
        blocking(&collection, &owner, "child").await;
        let options = json!({"propagationPolicy": "Foreground"});
        collection.delete("a", options).await.ok();
        let options = json!({"propagationPolicy": "Orphan"});
        let object = collection.delete("a", options).await.ok();
        assert_eq!(finalizers(&object), ["a.b/c", "orphan"]);
    }
}

async fn a_terminating_object_goes_with_its_last_finalizer(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let metadata = json!({"finalizers": ["a.b/c", "a.b/d"]});
        collection.made("a", metadata).await;
        collection.delete("a", json!({})).await.ok();
        let patch = json!({"metadata": {"finalizers": ["a.b/d"]}});
        let object = collection.merge("a", patch).await;
        assert!(collection.exists("a").await);
        // The answer to what removes it is the object as it last was, not a Status.
        let patch = json!({"metadata": {"finalizers": null, "labels": {"last": "words"}}});
        let last = collection.merge("a", patch).await;
        assert_eq!(last["kind"], object["kind"]);
        assert_eq!(last["metadata"]["labels"], json!({"last": "words"}));
        assert_eq!(finalizers(&last), [""; 0]);
        assert!(!collection.exists("a").await);
    }
}

async fn a_terminating_object_goes_with_its_last_finalizer_by_put_too(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        let mut object = collection.delete("a", json!({})).await.ok();
        object["metadata"]["finalizers"] = json!([]);
        collection.replace("a", object).await.ok();
        assert!(!collection.exists("a").await);
    }
}

async fn no_finalizer_is_added_to_a_terminating_object(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "ConfigMap \"a\""),
        (world.widgets(), "Widget.conformance.example.com \"a\""),
    ] {
        kept(&collection, "a").await;
        let before = collection.delete("a", json!({})).await.ok();
        let patch = json!({"metadata": {"finalizers": ["a.b/c", "a.b/d"]}});
        collection.patch("a", Patch::Merge, patch).await.invalid(
            subject,
            "metadata.finalizers",
            "FieldValueForbidden",
            "Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{\"a.b/d\"}",
        );
        let mut object = before.clone();
        object["metadata"]["finalizers"] = json!(["a.b/d"]);
        assert_eq!(collection.replace("a", object).await.reason(), "Invalid");
        assert_eq!(collection.get("a").await.ok(), before);
    }
}

async fn a_terminating_object_can_be_relabelled(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        collection.delete("a", json!({})).await.ok();
        let patch = json!({"metadata": {"labels": {"a": "b"}}});
        let object = collection.merge("a", patch).await;
        assert_eq!(object["metadata"]["labels"], json!({"a": "b"}));
    }
}

async fn a_deletion_cannot_be_taken_back(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        kept(&collection, "a").await;
        let before = collection.delete("a", json!({})).await.ok();
        let patch = json!({"metadata": {
            "deletionTimestamp": null,
            "deletionGracePeriodSeconds": null,
        }});
        assert_eq!(collection.merge("a", patch).await, before);
    }
}

async fn a_terminating_object_keeps_its_name(world: World) {
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"a\""),
        (world.widgets(), "widgets.conformance.example.com \"a\""),
    ] {
        kept(&collection, "a").await;
        collection.delete("a", json!({})).await.ok();
        let message = format!("object is being deleted: {subject} already exists");
        let answer = collection.create(collection.object("a")).await;
        answer.refused(409, "AlreadyExists", &message);
    }
}

async fn a_namesake_has_another_uid(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let old = collection.made("a", json!({})).await;
        collection.delete("a", json!({})).await.ok();
        let new = collection.made("a", json!({})).await;
        assert_ne!(uid(&new), uid(&old));
        let answer = collection.delete("a", exactly(&old)).await;
        assert_eq!(answer.code, 409);
    }
}

async fn a_collection_is_deleted_by_selector(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        for name in ["a", "b"] {
            collection.made(name, json!({"labels": {"k": name}})).await;
        }
        let path = format!("{}?labelSelector=k%3Da", collection.path);
        let answer = world.call(Method::DELETE, &path, json!({})).await;
        assert_eq!(answer.names(), ["a"]);
        assert_eq!(collection.names("").await, ["b"]);
    }
}

async fn an_empty_selector_deletes_the_whole_collection(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        kept(&collection, "b").await;
        let path = format!("{}?labelSelector=", collection.path);
        let answer = world.call(Method::DELETE, &path, json!({})).await;
        assert_eq!(answer.names(), ["a", "b"]);
        assert_eq!(collection.names("").await, ["b"]);
    }
}

async fn a_collection_is_not_deleted_over_all_namespaces(world: World) {
    let path = format!("/apis/{}/widgets?labelSelector=none", super::kinds::V1);
    let answer = world.call(Method::DELETE, &path, json!({})).await;
    answer.not_served();
    let path = "/api/v1/configmaps?labelSelector=none";
    let answer = world.call(Method::DELETE, path, json!({})).await;
    answer.refused(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
}

async fn a_finalizer_stops_nothing_but_its_own_object(world: World) {
    let maps = world.configmaps();
    kept(&maps, "a").await;
    maps.made("b", json!({})).await;
    maps.delete("a", json!({})).await.ok();
    maps.delete("b", json!({})).await.ok();
    assert_eq!(maps.names("").await, ["a"]);
}

async fn six_deletes_at_once_succeed_once(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = kept(&collection, "a").await;
        let deletes = [(); 6].map(|()| collection.delete("a", exactly(&object)));
        let answers = futures::future::join_all(deletes).await;
        let mut codes: Vec<_> = answers.iter().map(|answer| answer.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [200, 409, 409, 409, 409, 409]);
    }
}

async fn a_versioned_delete_cannot_cut_the_collectors_finalizer_short(world: World) {
    for (collection, plural) in [
        (world.configmaps(), "configmaps"),
        (world.widgets(), "widgets.conformance.example.com"),
    ] {
        // The collector leaves the object alone while it has a blocking child that stays.
        let owner = collection.made("a", json!({})).await;
        blocking(&collection, &owner, "child").await;
        let options = json!({"propagationPolicy": "Foreground"});
        collection.delete("a", options).await.ok();
        super::world::until("the collector has seen it", async || {
            let child = collection.get("child").await.ok();
            child["metadata"].get("deletionTimestamp").is_some()
        })
        .await;
        let object = collection.get("a").await.ok();
        let mut options = exactly(&object);
        options["propagationPolicy"] = "Background".into();
        let answer = collection.delete("a", options).await;
        assert_eq!((answer.code, answer.reason()), (409, "Conflict"));
        let start = format!("Operation cannot be fulfilled on {plural} \"a\": StorageError: ");
        assert!(answer.message().starts_with(&start), "{}", answer.message());
        assert_eq!(collection.get("a").await.ok(), object);
        let options = json!({"propagationPolicy": "Background"});
        let answer = collection.delete("a", options).await.ok();
        assert_eq!(answer["status"], "Success");
    }
}
