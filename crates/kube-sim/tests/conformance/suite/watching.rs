//! Watches: where they begin, what they say, how they end.

use serde_json::json;

use super::{
    kinds::V1,
    world::{World, query, uid, version},
};

behaviours![
    a_watch_tells_of_creation_change_and_deletion,
    a_watch_from_a_version_begins_after_it,
    a_watch_without_a_version_begins_with_what_there_is,
    a_watch_from_version_zero_begins_with_what_there_is,
    a_deletion_shows_the_last_state_at_the_version_of_the_deletion,
    a_finalizer_makes_a_deletion_two_events,
    an_object_without_finalizers_is_deleted_without_a_deletion_timestamp,
    a_selecting_watch_says_deleted_for_a_relabelling,
    a_selecting_watch_says_added_for_a_relabelling,
    a_selecting_watch_is_silent_about_others,
    a_field_selector_watches_one_object,
    a_watch_over_all_namespaces_tells_of_each,
    a_watch_of_one_object_by_its_path,
    a_change_that_changes_nothing_is_no_event,
    a_namesake_is_added_anew,
    initial_events_end_with_a_marked_bookmark,
    initial_events_of_an_empty_collection_are_only_the_bookmark,
    initial_events_can_be_selected,
    a_watch_from_anywhere_with_bookmarks_marks_the_end_of_what_there_is,
    initial_events_need_a_version_match,
    a_version_match_is_for_initial_events_only,
    a_continue_token_and_a_watch_do_not_go_together,
    a_version_before_all_history_is_expired_within_the_stream,
    a_version_from_the_future_waits_in_silence,
    a_version_that_is_no_number_is_refused_for_watches,
    a_watch_ends_after_its_time,
    a_watch_for_longer_than_go_can_count_takes_what_is_counted,
    the_collector_is_seen_in_a_watch,
    a_dry_run_is_not_seen_in_a_watch,
    a_watch_of_a_namespace_that_does_not_exist_waits,
    the_events_of_a_collection_delete_are_single,
    kube_watches_with_types,
];

async fn a_watch_tells_of_creation_change_and_deletion(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut watch = collection.watch_from_now("").await;
        assert_eq!(watch.code, 200);
        let made = collection.made("a", json!({})).await;
        let changed = collection
            .merge("a", json!({"metadata": {"labels": {"a": "b"}}}))
            .await;
        collection.delete("a", json!({})).await.ok();
        assert_eq!(watch.next().await, ("ADDED".to_owned(), made));
        assert_eq!(watch.next().await, ("MODIFIED".to_owned(), changed));
        let (kind, object) = watch.next().await;
        assert_eq!(
            (kind.as_str(), &object["metadata"]["name"]),
            ("DELETED", &json!("a"))
        );
    }
}

async fn a_watch_from_a_version_begins_after_it(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let first = collection.made("a", json!({})).await;
        collection.made("b", json!({})).await;
        collection.made("c", json!({})).await;
        let from = format!("resourceVersion={}", version(&first));
        let mut watch = collection.watch(&from).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
        assert_eq!(watch.next_name().await, ("ADDED".into(), "c".into()));
    }
}

async fn a_watch_without_a_version_begins_with_what_there_is(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        for name in ["b", "a"] {
            collection.made(name, json!({})).await;
        }
        let mut watch = collection.watch("").await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "a".into()));
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
        collection.made("0", json!({})).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "0".into()));
    }
}

async fn a_watch_from_version_zero_begins_with_what_there_is(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let object = collection.made("a", json!({})).await;
        // It may begin in the past, which then is brought to the present.
        let mut watch = collection.watch("resourceVersion=0").await;
        assert_eq!(watch.next().await, ("ADDED".into(), object));
    }
}

async fn a_deletion_shows_the_last_state_at_the_version_of_the_deletion(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut watch = collection.watch_from_now("").await;
        let made = collection.made("a", json!({"labels": {"a": "b"}})).await;
        collection.delete("a", json!({})).await.ok();
        watch.next().await;
        let (_, mut last) = watch.next().await;
        assert_ne!(version(&last), version(&made));
        last["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
        assert_eq!(last, made);
    }
}

async fn a_finalizer_makes_a_deletion_two_events(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({"finalizers": ["a.b/c"]})).await;
        let mut watch = collection.watch_from_now("").await;
        let terminating = collection.delete("a", json!({})).await.ok();
        collection
            .merge("a", json!({"metadata": {"finalizers": null}}))
            .await;
        assert_eq!(watch.next().await, ("MODIFIED".into(), terminating));
        let (kind, last) = watch.next().await;
        assert_eq!(kind, "DELETED");
        // What is shown is the state before the write that let it go.
        assert_eq!(last["metadata"]["finalizers"], json!(["a.b/c"]));
        assert!(last["metadata"].get("deletionTimestamp").is_some());
    }
}

async fn an_object_without_finalizers_is_deleted_without_a_deletion_timestamp(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let mut watch = collection.watch_from_now("").await;
        collection.delete("a", json!({})).await.ok();
        let (kind, last) = watch.next().await;
        assert_eq!(kind, "DELETED");
        assert_eq!(last["metadata"].get("deletionTimestamp"), None);
    }
}

async fn a_selecting_watch_says_deleted_for_a_relabelling(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let before = collection.made("a", json!({"labels": {"k": "1"}})).await;
        let mut watch = collection.watch_from_now("labelSelector=k%3D1").await;
        let after = collection
            .merge("a", json!({"metadata": {"labels": {"k": "2"}}}))
            .await;
        let (kind, shown) = watch.next().await;
        assert_eq!(kind, "DELETED");
        assert_eq!(shown["metadata"]["labels"], before["metadata"]["labels"]);
        assert_eq!(version(&shown), version(&after));
        assert!(collection.exists("a").await);
    }
}

async fn a_selecting_watch_says_added_for_a_relabelling(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let mut watch = collection.watch_from_now("labelSelector=k%3D1").await;
        let after = collection
            .merge("a", json!({"metadata": {"labels": {"k": "1"}}}))
            .await;
        assert_eq!(watch.next().await, ("ADDED".into(), after));
    }
}

async fn a_selecting_watch_is_silent_about_others(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut watch = collection.watch_from_now("labelSelector=k%3D1").await;
        collection.made("a", json!({"labels": {"k": "2"}})).await;
        collection.delete("a", json!({})).await.ok();
        collection.made("b", json!({"labels": {"k": "1"}})).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
    }
}

async fn a_field_selector_watches_one_object(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let selector = query("fieldSelector", "metadata.name=b");
        let mut watch = collection.watch_from_now(&selector).await;
        collection.made("a", json!({})).await;
        collection.made("b", json!({})).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
    }
}

async fn a_watch_over_all_namespaces_tells_of_each(world: World) {
    let everywhere = world.collection(&format!("/apis/{V1}/widgets"), V1, "Widget");
    let other = world.another_namespace().await;
    let selector = query("labelSelector", &format!("mark={other}"));
    let mut watch = everywhere.watch_from_now(&selector).await;
    let metadata = json!({"labels": {"mark": other}});
    world.widgets().made("a", metadata.clone()).await;
    let there = world.within(&other, V1, "Widget", "widgets");
    there.made("a", metadata).await;
    for namespace in [&world.namespace, &other] {
        let (_, object) = watch.next().await;
        assert_eq!(object["metadata"]["namespace"], namespace.as_str());
    }
}

async fn a_watch_of_one_object_by_its_path(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        collection.made("b", json!({})).await;
        let path = format!("{}?watch=true", collection.at("b"));
        let answer = world.get(&path).await;
        // The parameter is one of collections.
        assert_eq!(answer.ok()["metadata"]["name"], "b");
    }
}

async fn a_change_that_changes_nothing_is_no_event(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let mut watch = collection.watch_from_now("").await;
        collection.merge("a", json!({})).await;
        collection.made("b", json!({})).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
    }
}

async fn a_namesake_is_added_anew(world: World) {
    let widgets = world.widgets();
    let old = widgets.made("a", json!({})).await;
    let mut watch = widgets.watch_from_now("").await;
    widgets.delete("a", json!({})).await.ok();
    widgets.made("a", json!({})).await;
    assert_eq!(watch.next().await.0, "DELETED");
    let (kind, object) = watch.next().await;
    assert_eq!(kind, "ADDED");
    assert_ne!(uid(&object), uid(&old));
}

const INITIAL: &str =
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

async fn initial_events_end_with_a_marked_bookmark(world: World) {
    for (collection, kind) in [
        (world.configmaps(), "ConfigMap"),
        (world.widgets(), "Widget"),
    ] {
        for name in ["b", "a"] {
            collection.made(name, json!({})).await;
        }
        let mut watch = collection.watch(INITIAL).await;
        assert_eq!(watch.next_name().await, ("ADDED".into(), "a".into()));
        assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
        let (event, bookmark) = watch.next().await;
        assert_eq!(
            (event.as_str(), &bookmark["kind"]),
            ("BOOKMARK", &json!(kind))
        );
        assert_eq!(
            bookmark["metadata"]["annotations"],
            json!({"k8s.io/initial-events-end": "true"})
        );
        let since = version(&bookmark).parse::<u64>().expect("a number");
        let object = collection.made("c", json!({})).await;
        assert!(version(&object).parse::<u64>().expect("a number") > since);
        assert_eq!(watch.next().await, ("ADDED".into(), object));
    }
}

async fn initial_events_of_an_empty_collection_are_only_the_bookmark(world: World) {
    let mut watch = world.widgets().watch(INITIAL).await;
    assert_eq!(watch.next().await.0, "BOOKMARK");
}

async fn initial_events_can_be_selected(world: World) {
    let widgets = world.widgets();
    for name in ["a", "b"] {
        widgets.made(name, json!({"labels": {"k": name}})).await;
    }
    let mut watch = widgets
        .watch(&format!("{INITIAL}&labelSelector=k%3Db"))
        .await;
    assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
    assert_eq!(watch.next().await.0, "BOOKMARK");
}

async fn a_watch_from_anywhere_with_bookmarks_marks_the_end_of_what_there_is(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        for version in ["", "resourceVersion=0"] {
            let query = format!("allowWatchBookmarks=true&{version}");
            let mut watch = collection.watch(&query).await;
            assert_eq!(watch.next_name().await, ("ADDED".into(), "a".into()));
            let (kind, bookmark) = watch.next().await;
            assert_eq!(kind, "BOOKMARK");
            assert_eq!(
                bookmark["metadata"]["annotations"],
                json!({"k8s.io/initial-events-end": "true"})
            );
        }
    }
}

async fn initial_events_need_a_version_match(world: World) {
    let answer = world
        .widgets()
        .list("watch=true&sendInitialEvents=true")
        .await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "resourceVersionMatch",
        "FieldValueForbidden",
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
}

async fn a_version_match_is_for_initial_events_only(world: World) {
    let query = "watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan";
    let answer = world.widgets().list(query).await;
    answer.invalid(
        "ListOptions.meta.k8s.io \"\"",
        "resourceVersionMatch",
        "FieldValueForbidden",
        "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
         provided",
    );
}

async fn a_continue_token_and_a_watch_do_not_go_together(world: World) {
    let answer = world.widgets().list("watch=true&continue=abc").await;
    assert_eq!((answer.code, answer.reason()), (422, "Invalid"));
}

async fn a_version_before_all_history_is_expired_within_the_stream(world: World) {
    world.widgets().made("a", json!({})).await;
    crate::target::forget_history().await;
    let mut watch = world.widgets().watch("resourceVersion=1").await;
    assert_eq!(watch.code, 200);
    let (kind, status) = watch.next().await;
    assert_eq!(kind, "ERROR");
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(410), &json!("Expired"))
    );
    let message = status["message"].as_str().expect("a message");
    assert!(
        message.starts_with("too old resource version: 1 ("),
        "{message}"
    );
    assert_eq!(watch.event().await, None);
}

async fn a_version_from_the_future_waits_in_silence(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut watch = collection
            .watch("resourceVersion=999999999&timeoutSeconds=1")
            .await;
        assert_eq!(watch.code, 200);
        collection.made("a", json!({})).await;
        assert_eq!(watch.event().await, None);
    }
}

async fn a_version_that_is_no_number_is_refused_for_watches(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection
            .list("watch=true&resourceVersion=x")
            .await
            .refused(
                500,
                "",
                "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid \
             syntax",
            );
    }
}

async fn a_watch_for_longer_than_go_can_count_takes_what_is_counted(world: World) {
    for seconds in [i64::MAX, -1] {
        let query = format!("timeoutSeconds={seconds}");
        let mut watch = world.widgets().watch_from_now(&query).await;
        assert_eq!(watch.event().await, None);
    }
    // So many nanoseconds are 0 in 64 bits.
    let query = format!("timeoutSeconds={}", 1_i64 << 55);
    let mut watch = world.widgets().watch_from_now(&query).await;
    world.widgets().made("a", json!({})).await;
    assert_eq!(
        watch.next_name().await,
        ("ADDED".to_owned(), "a".to_owned())
    );
}

async fn a_watch_ends_after_its_time(world: World) {
    let mut watch = world.widgets().watch_from_now("timeoutSeconds=1").await;
    assert_eq!(watch.event().await, None);
}

async fn the_collector_is_seen_in_a_watch(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("owner", json!({})).await;
        let reference = json!({
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": "owner",
            "uid": uid(&owner),
            "blockOwnerDeletion": true,
        });
        let metadata = json!({"ownerReferences": [reference]});
        collection.made("child", metadata).await;
        let mut watch = collection.watch_from_now("").await;
        let options = json!({"propagationPolicy": "Foreground"});
        collection.delete("owner", options).await.ok();
        assert_eq!(watch.next_name().await, ("MODIFIED".into(), "owner".into()));
        assert_eq!(watch.next_name().await, ("DELETED".into(), "child".into()));
        let (kind, last) = watch.next().await;
        assert_eq!(
            (kind.as_str(), &last["metadata"]["name"]),
            ("DELETED", &json!("owner"))
        );
        assert_eq!(
            last["metadata"]["finalizers"],
            json!(["foregroundDeletion"])
        );
    }
}

async fn a_dry_run_is_not_seen_in_a_watch(world: World) {
    let widgets = world.widgets();
    let mut watch = widgets.watch_from_now("").await;
    widgets
        .create_with("dryRun=All", widgets.object("a"))
        .await
        .created();
    widgets.made("b", json!({})).await;
    assert_eq!(watch.next_name().await, ("ADDED".into(), "b".into()));
}

async fn a_watch_of_a_namespace_that_does_not_exist_waits(world: World) {
    let name = super::world::unique("later");
    let there = world.within(&name, V1, "Widget", "widgets");
    let mut watch = there.watch_from_now("").await;
    let namespaces = world.namespaces();
    namespaces.create(namespaces.object(&name)).await.created();
    there.made("a", json!({})).await;
    assert_eq!(watch.next_name().await, ("ADDED".into(), "a".into()));
}

async fn the_events_of_a_collection_delete_are_single(world: World) {
    let maps = world.configmaps();
    for name in ["a", "b"] {
        maps.made(name, json!({})).await;
    }
    let mut watch = maps.watch_from_now("").await;
    world
        .call(http::Method::DELETE, &maps.path, json!({}))
        .await
        .ok();
    let mut names = [watch.next_name().await, watch.next_name().await];
    names.sort();
    assert_eq!(
        names,
        [
            ("DELETED".into(), "a".into()),
            ("DELETED".into(), "b".into())
        ]
    );
}

async fn kube_watches_with_types(world: World) {
    use futures::{StreamExt, pin_mut};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api,
        api::{WatchEvent, WatchParams},
    };

    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    world.configmaps().made("a", json!({})).await;
    let events = maps.watch(&WatchParams::default(), "0").await;
    let events = events.expect("it begins");
    pin_mut!(events);
    let event = events.next().await.expect("an event").expect("it is read");
    let WatchEvent::Added(map) = event else {
        panic!("{event:?}");
    };
    assert_eq!(map.metadata.name.as_deref(), Some("a"));
}
