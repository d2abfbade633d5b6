use serde_json::json;

use super::*;

/// An object as the API would tell it; its UID is its name.
fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "any.example.com/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "here", "uid": name}
    })
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object["metadata"][field] = value;
    object
}

fn of_apollo(object: Value) -> Value {
    with(object, "labels", json!({"example.com/project": "apollo"}))
}

fn kept_by(object: Value, finalizers: &[&str]) -> Value {
    with(object, "finalizers", json!(finalizers))
}

fn terminating(object: Value) -> Value {
    with(object, "deletionTimestamp", json!("2026-01-01T00:00:00Z"))
}

fn change(by: Actor, before: Option<&Value>, after: Option<&Value>) -> Change {
    Change {
        at: Duration::from_secs(1),
        by,
        before: before.cloned(),
        after: after.cloned(),
    }
}

impl Stage {
    fn with(objects: &[Value]) -> Self {
        let mut stage = Self::default();
        for object in objects {
            stage.apply(&change(Actor::You, None, Some(object)));
        }
        stage
    }

    fn told(&mut self, change: &Change) -> Vec<String> {
        let told = self.apply(change).into_iter();
        told.map(|happening| format!("{} {}", happening.by, happening.what))
            .collect()
    }

    /// The tree in words: what it is, and what is noted of it.
    fn drawn(&self) -> Vec<String> {
        let rows = self.rows();
        let lines = rows.iter().map(|row| {
            let object = row.object;
            let (kind, name, state) = (&object.kind, &object.name, object.state);
            format!("{}{kind} {name}: {state}, {}", row.branches, row.note)
        });
        lines.collect()
    }
}

#[test]
fn what_is_labelled_hangs_on_its_project_and_what_is_owned_on_its_owner() {
    let network = of_apollo(object("Network", "blue"));
    let subnet = with(
        object("Subnet", "s"),
        "ownerReferences",
        json!([{"uid": "blue"}]),
    );
    let stage = Stage::with(&[
        subnet,
        network,
        of_apollo(object("Volume", "data")),
        object("Network", "uplink"),
        object("Project", "gemini"),
        kept_by(
            object("Project", "apollo"),
            &["kube-cascade.dev/demo_project"],
        ),
        with(
            object("Network", "lost"),
            "labels",
            json!({"example.com/project": "nobody"}),
        ),
    ]);
    assert_eq!(
        stage.drawn(),
        [
            "Project apollo: live, held by kube-cascade",
            "├┄ Network blue: live, ",
            "│  └─ Subnet s: live, ",
            "└┄ Volume data: live, ",
            "Project gemini: live, ",
            "Network lost: live, orphan",
            "Network uplink: live, of no project",
        ]
    );
}

#[test]
fn what_terminates_says_what_it_waits_for_in_the_order_in_which_that_goes() {
    let finalizers = ["clusters.any.example.com/here_web", "foregroundDeletion"];
    let network = kept_by(terminating(object("Network", "blue")), &finalizers);
    let subnet = with(
        object("Subnet", "s"),
        "ownerReferences",
        json!([{"uid": "blue"}]),
    );
    let mut stage = Stage::with(&[
        network.clone(),
        subnet.clone(),
        kept_by(
            terminating(object("Cluster", "web")),
            &["any.example.com/shutdown"],
        ),
        kept_by(
            terminating(object("Project", "apollo")),
            &["kube-cascade.dev/demo_project"],
        ),
    ]);
    let note = |stage: &Stage, name: &str| {
        let rows = stage.rows();
        let row = rows.iter().find(|row| row.object.name == name);
        row.expect("it is on the stage").note.clone()
    };
    assert_eq!(note(&stage, "blue"), "waits for what it owns: 1");
    assert_eq!(note(&stage, "web"), "its service shuts it down");
    assert_eq!(note(&stage, "apollo"), "held: nothing left, looks twice");
    stage.apply(&change(
        Actor::You,
        None,
        Some(&of_apollo(object("Volume", "data"))),
    ));
    assert_eq!(note(&stage, "apollo"), "held: goes last");
    stage.apply(&change(Actor::Collector, Some(&subnet), None));
    assert_eq!(note(&stage, "s"), "deleted by the collector");
    assert_eq!(note(&stage, "blue"), "in use by Cluster web");
    let last = kept_by(network, &finalizers[..1]);
    assert_eq!(
        stage.told(&change(Actor::You, Some(&last), None)),
        ["you Network here/blue is gone: Cluster web uses it no more"]
    );
}

#[test]
fn a_deletion_is_told_as_it_begins_and_as_it_ends() {
    let held = kept_by(
        object("Project", "apollo"),
        &["kube-cascade.dev/demo_project"],
    );
    let mut stage = Stage::with(&[object("Project", "apollo")]);
    let holding = change(
        Actor::Controller,
        Some(&object("Project", "apollo")),
        Some(&held),
    );
    assert_eq!(
        stage.told(&holding),
        ["kube-cascade holds Project here/apollo, which is to go last"]
    );
    assert!(stage.holds_project("apollo"));
    let going = terminating(held.clone());
    assert_eq!(
        stage.told(&change(Actor::You, Some(&held), Some(&going))),
        ["you kubectl delete project apollo: terminating"]
    );
    assert!(stage.has_project("apollo"));
    assert_eq!(
        stage.told(&change(Actor::Controller, Some(&going), None)),
        ["kube-cascade Project here/apollo is gone: released"]
    );
    assert!(!stage.has_project("apollo") && !stage.holds_project("apollo"));
    // Who took the last finalizer off is not who deleted it.
    assert_eq!(stage.drawn(), ["Project apollo: gone, deleted by you"]);
}

#[test]
fn a_reference_is_told_by_the_name_of_its_user() {
    let network = object("Network", "blue");
    let used = kept_by(network.clone(), &["clusters.any.example.com/here_web"]);
    let mut stage = Stage::with(&[network.clone(), object("Cluster", "web")]);
    let service = Actor::Service("compute".to_owned());
    assert_eq!(
        stage.told(&change(service.clone(), Some(&network), Some(&used))),
        ["compute marks Network here/blue: in use by Cluster web"]
    );
    assert_eq!(
        stage.told(&change(service, Some(&used), Some(&network))),
        ["compute unmarks Network here/blue: Cluster web uses it no more"]
    );
}

#[test]
fn what_is_no_part_of_the_platform_is_not_shown() {
    let mut lease = object("Lease", "l");
    lease["apiVersion"] = json!("coordination.k8s.io/v1");
    let mut stage = Stage::default();
    assert!(
        stage
            .told(&change(Actor::Controller, None, Some(&lease)))
            .is_empty()
    );
    assert!(
        stage
            .told(&change(Actor::Controller, None, None))
            .is_empty()
    );
    assert!(stage.rows().is_empty());
}

#[test]
fn what_comes_again_takes_the_place_of_what_is_gone() {
    let old = of_apollo(object("Network", "blue"));
    let mut stage = Stage::with(&[object("Project", "apollo"), old.clone()]);
    stage.apply(&change(Actor::Controller, Some(&old), None));
    assert_eq!(stage.count().by_controller, 1);
    let new = with(old, "uid", json!("another"));
    stage.apply(&change(Actor::You, None, Some(&new)));
    assert_eq!(
        stage.drawn(),
        ["Project apollo: live, ", "└┄ Network blue: live, "]
    );
    stage.apply(&change(Actor::You, Some(&new), None));
    stage.forget(Duration::from_secs(2));
    assert_eq!(stage.drawn(), ["Project apollo: live, "]);
}
