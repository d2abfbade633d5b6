//! The garbage collector: what goes with its owner, and what an owner waits for.

use serde_json::{Value, json};

use super::world::{Collection, World, uid, until};

behaviours![
    a_foreground_delete_ends_without_children,
    a_foreground_delete_waits_for_a_blocking_child,
    a_foreground_delete_does_not_wait_for_a_child_that_blocks_nothing,
    a_foreground_delete_removes_children_before_the_owners_own_finalizer,
    a_foreground_delete_goes_down_through_generations,
    a_background_delete_removes_the_owner_first_and_the_children_after,
    a_delete_without_a_policy_collects_the_children,
    an_orphaning_delete_takes_the_reference_off_the_children,
    an_orphaned_owner_with_another_finalizer_stays_without_a_trace,
    a_child_of_two_owners_stays_until_the_last_one_is_gone,
    a_child_of_an_owner_that_never_was_is_collected,
    a_child_of_an_owner_of_an_unknown_kind_stays,
    a_child_whose_owner_has_another_uid_is_collected,
    a_child_of_a_namespaced_owner_in_another_namespace_is_collected,
    an_owner_without_a_namespace_owns_in_any_namespace,
    a_configmap_can_own_a_custom_object,
    owners_that_own_each_other_do_not_wait_for_each_other,
    a_child_with_a_finalizer_terminates_and_stays,
    a_child_that_is_created_under_a_terminating_owner_goes_before_the_owner,
];

fn reference(owner: &Value, blocking: bool) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid(owner),
        "blockOwnerDeletion": blocking,
    })
}

async fn child(collection: &Collection, owner: &Value, name: &str, blocking: bool) -> Value {
    let metadata = json!({"ownerReferences": [reference(owner, blocking)]});
    collection.made(name, metadata).await
}

async fn kept_child(collection: &Collection, owner: &Value, name: &str, blocking: bool) -> Value {
    let metadata = json!({
        "ownerReferences": [reference(owner, blocking)],
        "finalizers": ["a.b/c"],
    });
    collection.made(name, metadata).await
}

/// Waits until the collector has seen every object there is of this kind.
async fn collector_knows(collection: &Collection) {
    let never = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "never",
    });
    let marker = json!({"ownerReferences": [never]});
    collection.made("marker", marker).await;
    collection.gone("marker").await;
}

async fn terminates(collection: &Collection, name: &str) {
    let what = format!("{name} terminates");
    until(&what, async || {
        let object = collection.get(name).await.ok();
        object["metadata"].get("deletionTimestamp").is_some()
    })
    .await;
}

async fn release(collection: &Collection, name: &str) {
    let patch = json!({"metadata": {"finalizers": null}});
    collection.merge(name, patch).await;
}

fn foreground() -> Value {
    json!({"propagationPolicy": "Foreground"})
}

async fn a_foreground_delete_ends_without_children(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        collection.made("a", json!({})).await;
        let answer = collection.delete("a", foreground()).await.ok();
        assert_eq!(
            answer["metadata"]["finalizers"],
            json!(["foregroundDeletion"])
        );
        collection.gone("a").await;
    }
}

async fn a_foreground_delete_waits_for_a_blocking_child(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({})).await;
        kept_child(&collection, &owner, "child", true).await;
        collection.delete("a", foreground()).await.ok();
        terminates(&collection, "child").await;
        assert!(collection.exists("a").await);
        release(&collection, "child").await;
        collection.gone("a").await;
        assert!(!collection.exists("child").await);
    }
}

async fn a_foreground_delete_does_not_wait_for_a_child_that_blocks_nothing(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({})).await;
        kept_child(&collection, &owner, "child", false).await;
        collection.delete("a", foreground()).await.ok();
        collection.gone("a").await;
        terminates(&collection, "child").await;
        assert!(collection.exists("child").await);
    }
}

async fn a_foreground_delete_removes_children_before_the_owners_own_finalizer(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({"finalizers": ["a.b/c"]})).await;
        child(&collection, &owner, "child", true).await;
        collection.delete("a", foreground()).await.ok();
        collection.gone("child").await;
        until("only its own finalizer is left", async || {
            let owner = collection.get("a").await.ok();
            owner["metadata"]["finalizers"] == json!(["a.b/c"])
        })
        .await;
    }
}

async fn a_foreground_delete_goes_down_through_generations(world: World) {
    let maps = world.configmaps();
    let grandparent = maps.made("grandparent", json!({})).await;
    let parent = child(&maps, &grandparent, "parent", true).await;
    kept_child(&maps, &parent, "child", true).await;
    maps.delete("grandparent", foreground()).await.ok();
    terminates(&maps, "child").await;
    let parent = maps.get("parent").await.ok();
    assert_eq!(
        parent["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    release(&maps, "child").await;
    maps.gone("grandparent").await;
}

async fn a_background_delete_removes_the_owner_first_and_the_children_after(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({})).await;
        child(&collection, &owner, "child", true).await;
        let options = json!({"propagationPolicy": "Background"});
        let answer = collection.delete("a", options).await.ok();
        assert_eq!(answer["status"], "Success");
        assert!(!collection.exists("a").await);
        collection.gone("child").await;
    }
}

async fn a_delete_without_a_policy_collects_the_children(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({})).await;
        child(&collection, &owner, "child", false).await;
        let answer = collection.delete("a", Value::Null).await.ok();
        assert_eq!(answer["status"], "Success");
        collection.gone("child").await;
    }
}

async fn an_orphaning_delete_takes_the_reference_off_the_children(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let owner = collection.made("a", json!({})).await;
        child(&collection, &owner, "child", true).await;
        let options = json!({"propagationPolicy": "Orphan"});
        let answer = collection.delete("a", options).await.ok();
        assert_eq!(answer["metadata"]["finalizers"], json!(["orphan"]));
        collection.gone("a").await;
        let child = collection.get("child").await.ok();
        assert_eq!(child["metadata"].get("ownerReferences"), None);
        assert_eq!(child["metadata"].get("deletionTimestamp"), None);
    }
}

async fn an_orphaned_owner_with_another_finalizer_stays_without_a_trace(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    let options = json!({"propagationPolicy": "Orphan"});
    widgets.delete("a", options).await.ok();
    until("the collector's finalizer is gone", async || {
        let owner = widgets.get("a").await.ok();
        owner["metadata"]["finalizers"] == json!(["a.b/c"])
    })
    .await;
}

async fn a_child_of_two_owners_stays_until_the_last_one_is_gone(world: World) {
    let maps = world.configmaps();
    let first = maps.made("first", json!({})).await;
    let second = maps.made("second", json!({})).await;
    let owners = json!([reference(&first, false), reference(&second, false)]);
    maps.made("child", json!({"ownerReferences": owners})).await;
    maps.delete("first", json!({})).await.ok();
    until("the reference to the first is gone", async || {
        let child = maps.get("child").await.ok();
        child["metadata"]["ownerReferences"] == json!([reference(&second, false)])
    })
    .await;
    maps.delete("second", json!({})).await.ok();
    maps.gone("child").await;
}

async fn a_child_of_an_owner_that_never_was_is_collected(world: World) {
    for collection in [world.configmaps(), world.widgets()] {
        let mut owner = collection.object("never");
        owner["metadata"]["uid"] = "never".into();
        child(&collection, &owner, "child", false).await;
        collection.gone("child").await;
    }
}

async fn a_child_of_an_owner_of_an_unknown_kind_stays(world: World) {
    let maps = world.configmaps();
    let of = |kind: &str| {
        let owner = json!({"apiVersion": "v1", "kind": kind, "name": "never", "uid": "never"});
        json!({"ownerReferences": [owner]})
    };
    maps.made("child", of("Nothing")).await;
    maps.made("marker", of("ConfigMap")).await;
    maps.gone("marker").await;
    assert!(maps.exists("child").await);
}

async fn a_child_whose_owner_has_another_uid_is_collected(world: World) {
    let maps = world.configmaps();
    let mut owner = maps.made("a", json!({})).await;
    owner["metadata"]["uid"] = "another".into();
    child(&maps, &owner, "child", false).await;
    maps.gone("child").await;
    assert!(maps.exists("a").await);
}

async fn a_child_of_a_namespaced_owner_in_another_namespace_is_collected(world: World) {
    let other = world.another_namespace().await;
    let owner = world.configmaps().made("a", json!({})).await;
    let there = world.within(&other, "v1", "ConfigMap", "configmaps");
    child(&there, &owner, "child", false).await;
    there.gone("child").await;
}

async fn an_owner_without_a_namespace_owns_in_any_namespace(world: World) {
    let planets = world.planets();
    let name = super::world::unique("planet");
    let owner = planets.made(&name, json!({})).await;
    let maps = world.configmaps();
    child(&maps, &owner, "child", true).await;
    collector_knows(&maps).await;
    assert!(maps.exists("child").await);
    planets.delete(&name, foreground()).await.ok();
    planets.gone(&name).await;
    assert!(!maps.exists("child").await);
}

async fn a_configmap_can_own_a_custom_object(world: World) {
    let owner = world.configmaps().made("a", json!({})).await;
    kept_child(&world.widgets(), &owner, "child", true).await;
    // Who owns is watched apart from what is owned, and may be heard of first.
    collector_knows(&world.widgets()).await;
    world.configmaps().delete("a", foreground()).await.ok();
    terminates(&world.widgets(), "child").await;
    assert!(world.configmaps().exists("a").await);
    release(&world.widgets(), "child").await;
    world.configmaps().gone("a").await;
}

async fn owners_that_own_each_other_do_not_wait_for_each_other(world: World) {
    let maps = world.configmaps();
    let first = maps.made("a", json!({})).await;
    let second = child(&maps, &first, "child", true).await;
    let of_second = json!({"metadata": {"ownerReferences": [reference(&second, true)]}});
    maps.merge("a", of_second).await;
    maps.delete("a", foreground()).await.ok();
    maps.gone("a").await;
    maps.gone("child").await;
}

async fn a_child_with_a_finalizer_terminates_and_stays(world: World) {
    let widgets = world.widgets();
    let owner = widgets.made("a", json!({})).await;
    kept_child(&widgets, &owner, "child", false).await;
    widgets.delete("a", json!({})).await.ok();
    terminates(&widgets, "child").await;
    release(&widgets, "child").await;
    assert!(!widgets.exists("child").await);
}

async fn a_child_that_is_created_under_a_terminating_owner_goes_before_the_owner(world: World) {
    let maps = world.configmaps();
    let owner = maps.made("a", json!({})).await;
    kept_child(&maps, &owner, "early", true).await;
    maps.delete("a", foreground()).await.ok();
    terminates(&maps, "early").await;
    child(&maps, &owner, "late", true).await;
    release(&maps, "early").await;
    maps.gone("a").await;
    assert!(!maps.exists("late").await);
}
