use super::*;

const MARK: &str = "clusters.compute.example.com/compute_web";

fn object(kind: Kind, name: &str, spec: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": kind.service, "uid": format!("uid-{name}")},
        "spec": spec,
    })
}

fn cluster() -> Value {
    let spec = json!({"machines": 2, "network": "blue", "volumes": ["data"]});
    kept_by(object(CLUSTERS, "web", &spec), &[SHUTDOWN])
}

fn kept_by(mut object: Value, finalizers: &[&str]) -> Value {
    object["metadata"]["finalizers"] = json!(finalizers);
    object
}

fn terminating(mut object: Value) -> Value {
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    object
}

fn world(objects: &[(Kind, Value)]) -> World {
    World::seen(|kind| {
        let same = objects.iter().filter(|(other, _)| *other == kind);
        same.map(|(_, object)| object.clone()).collect()
    })
}

/// What is ordered: the method, the path's last words and the finalizers.
fn ordered(world: &World) -> Vec<String> {
    let words = world.work().into_iter().map(|order| {
        let finalizers = finalizers(&order.body).join(" ");
        let path = order.path.replace("/apis/", "");
        format!("{} {path} {finalizers}", order.method)
    });
    words.collect()
}

#[test]
fn a_spec_gets_its_children_and_only_those_that_are_missing() {
    let there = object(MACHINES, "web-1", &json!({}));
    let world = world(&[(CLUSTERS, cluster()), (MACHINES, there)]);
    let orders = world.work();
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].service, "compute");
    assert_eq!(
        orders[0].path,
        "/apis/compute.example.com/v1/namespaces/compute/machines"
    );
    assert_eq!(orders[0].body["metadata"]["name"], "web-0");
    let owner = &orders[0].body["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], "uid-web");
    assert_eq!(owner["blockOwnerDeletion"], true);
}

#[test]
fn what_a_cluster_uses_is_marked_while_it_exists() {
    let network = object(NETWORKS, "blue", &json!({}));
    let volume = object(VOLUMES, "data", &json!({}));
    let other = object(VOLUMES, "logs", &json!({}));
    let mut cluster = cluster();
    cluster["spec"]["machines"] = json!(0);
    let mut all = vec![
        (CLUSTERS, cluster),
        (NETWORKS, kept_by(network.clone(), &["somebody.else/holds"])),
        (VOLUMES, volume),
        (VOLUMES, other),
    ];
    assert_eq!(
        ordered(&world(&all)),
        [
            format!(
                "PUT region.example.com/v1/namespaces/region/networks/blue somebody.else/holds {MARK}"
            ),
            format!("PUT storage.example.com/v1/namespaces/storage/volumes/data {MARK}"),
        ]
    );
    all[0].1 = terminating(all[0].1.clone());
    all[1].1 = kept_by(network.clone(), &[MARK]);
    all[2].1 = terminating(all[2].1.clone());
    assert!(
        ordered(&world(&all)).is_empty(),
        "nothing new on what terminates"
    );
    all.remove(0);
    assert_eq!(
        ordered(&world(&all)),
        ["PUT region.example.com/v1/namespaces/region/networks/blue "]
    );
}

#[test]
fn a_cluster_is_shut_down_only_when_it_is_deleted_and_owns_nothing_any_more() {
    let shutting = |cluster: Value| world(&[(CLUSTERS, cluster)]).shutting_down();
    assert!(shutting(cluster()).is_empty());
    let waiting = terminating(kept_by(cluster(), &[SHUTDOWN, FOREGROUND]));
    assert!(shutting(waiting).is_empty());
    let alone = terminating(kept_by(cluster(), &[SHUTDOWN, "somebody.else/holds"]));
    let orders = shutting(alone);
    assert_eq!(finalizers(&orders["uid-web"].body), ["somebody.else/holds"]);
    // Nothing is made for what is on its way out.
    assert!(
        world(&[(CLUSTERS, terminating(cluster()))])
            .work()
            .is_empty()
    );
}

#[test]
fn a_live_cluster_gets_the_finalizer_that_lets_it_be_shut_down() {
    let bare = object(CLUSTERS, "web", &json!({}));
    assert_eq!(
        ordered(&world(&[(CLUSTERS, bare)])),
        [format!(
            "PUT compute.example.com/v1/namespaces/compute/clusters/web {SHUTDOWN}"
        )]
    );
}
