//! Namespaces, and how they end.

use serde_json::json;

use super::world::{World, unique, until};

behaviours![
    a_namespace_is_labelled_with_its_name_and_active,
    a_namespace_without_objects_goes,
    a_namespace_goes_with_its_objects,
    a_namespace_waits_for_finalizers,
    nothing_is_created_in_a_terminating_namespace,
    what_is_in_a_terminating_namespace_can_be_changed,
    a_deletion_of_a_namespace_answers_the_terminating_namespace,
    the_four_namespaces_are_there,
    the_default_namespace_is_not_deleted,
    a_namespace_is_not_deleted_against_its_uid,
];

async fn a_namespace_is_labelled_with_its_name_and_active(world: World) {
    let name = unique("named");
    let namespace = world
        .namespaces()
        .made(&name, json!({"labels": {"a": "b"}}))
        .await;
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"a": "b", "kubernetes.io/metadata.name": name})
    );
    assert_eq!(namespace["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
}

async fn a_namespace_without_objects_goes(world: World) {
    let name = world.another_namespace().await;
    world.namespaces().delete(&name, json!({})).await.ok();
    world.namespaces().gone(&name).await;
}

async fn a_namespace_goes_with_its_objects(world: World) {
    let (maps, widgets) = (world.configmaps(), world.widgets());
    maps.made("a", json!({})).await;
    widgets.made("a", json!({})).await;
    world
        .namespaces()
        .delete(&world.namespace, json!({}))
        .await
        .ok();
    world.namespaces().gone(&world.namespace).await;
    assert!(!maps.exists("a").await);
    assert!(!widgets.exists("a").await);
}

async fn a_namespace_waits_for_finalizers(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    world
        .namespaces()
        .delete(&world.namespace, json!({}))
        .await
        .ok();
    until("the object terminates", async || {
        let object = widgets.get("a").await.ok();
        object["metadata"].get("deletionTimestamp").is_some()
    })
    .await;
    until("the namespace says what it waits for", async || {
        let namespace = world.namespaces().get(&world.namespace).await.ok();
        let conditions = namespace["status"]["conditions"].as_array();
        let conditions = conditions.map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|condition| {
            condition["type"] == "NamespaceFinalizersRemaining"
                && condition["status"] == "True"
                && condition["reason"] == "SomeFinalizersRemain"
        })
    })
    .await;
    let namespace = world.namespaces().get(&world.namespace).await.ok();
    assert_eq!(namespace["status"]["phase"], "Terminating");
    widgets
        .merge("a", json!({"metadata": {"finalizers": null}}))
        .await;
    world.namespaces().gone(&world.namespace).await;
}

async fn nothing_is_created_in_a_terminating_namespace(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    world
        .namespaces()
        .delete(&world.namespace, json!({}))
        .await
        .ok();
    for (collection, subject) in [
        (world.configmaps(), "configmaps \"b\""),
        (world.widgets(), "widgets.conformance.example.com \"b\""),
    ] {
        let message = format!(
            "{subject} is forbidden: unable to create new content in namespace {} because it is \
             being terminated",
            world.namespace
        );
        let answer = collection.create(collection.object("b")).await;
        let answer = answer.refused(403, "Forbidden", &message);
        assert_eq!(
            answer.body["details"]["causes"],
            json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {} is being terminated", world.namespace),
                "field": "metadata.namespace",
            }])
        );
    }
    widgets
        .merge("a", json!({"metadata": {"finalizers": null}}))
        .await;
    world.namespaces().gone(&world.namespace).await;
}

async fn what_is_in_a_terminating_namespace_can_be_changed(world: World) {
    let widgets = world.widgets();
    widgets.made("a", json!({"finalizers": ["a.b/c"]})).await;
    world
        .namespaces()
        .delete(&world.namespace, json!({}))
        .await
        .ok();
    let object = widgets.merge("a", json!({"spec": {"size": 3}})).await;
    assert_eq!(object["spec"]["size"], 3);
    widgets
        .merge("a", json!({"metadata": {"finalizers": null}}))
        .await;
}

async fn a_deletion_of_a_namespace_answers_the_terminating_namespace(world: World) {
    world
        .widgets()
        .made("a", json!({"finalizers": ["a.b/c"]}))
        .await;
    let answer = world
        .namespaces()
        .delete(&world.namespace, json!({}))
        .await
        .ok();
    assert_eq!(answer["kind"], "Namespace");
    assert_eq!(answer["status"]["phase"], "Terminating");
    assert!(answer["metadata"].get("deletionTimestamp").is_some());
    assert_eq!(answer["spec"], json!({"finalizers": ["kubernetes"]}));
    world
        .widgets()
        .merge("a", json!({"metadata": {"finalizers": null}}))
        .await;
}

async fn the_four_namespaces_are_there(world: World) {
    until("they are there", async || {
        let names = world.namespaces().names("").await;
        ["default", "kube-node-lease", "kube-public", "kube-system"]
            .iter()
            .all(|name| names.iter().any(|other| other == name))
    })
    .await;
}

async fn the_default_namespace_is_not_deleted(world: World) {
    for name in ["default", "kube-system", "kube-public"] {
        let answer = world.namespaces().delete(name, json!({})).await;
        let message =
            format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        answer.refused(403, "Forbidden", &message);
    }
}

async fn a_namespace_is_not_deleted_against_its_uid(world: World) {
    let options = json!({"preconditions": {"uid": "x"}});
    let answer = world.namespaces().delete(&world.namespace, options).await;
    assert_eq!((answer.code, answer.reason()), (409, "Conflict"));
    let namespace = world.namespaces().get(&world.namespace).await.ok();
    assert_eq!(namespace["status"]["phase"], "Active");
}
