//! References on all objects of a set: some of them, one that fails, and one that was replaced.

use kube_cascade::{
    kubernetes::Disposition,
    reference::{AddAllError, AddError, RemoveAllError, Used},
};
use kube_sim::fault::{Action, Answer, Match, Rule, Verb};

use super::{named, patches, reference, references, writes};
use crate::{
    fixtures::{Object, PATIENCE, PROJECT, in_time},
    ground::{Ground, KEPT, LABEL, label, namespace},
};

/// The projects of the test's namespace that carry the label.
fn used(ground: &Ground) -> Used {
    let value = ground.namespace.parse().expect("it is a label value");
    Used::in_namespace(PROJECT.kind(), namespace(&ground.namespace)).labelled(label(), value)
}

async fn three_projects(ground: &Ground) -> [Object; 3] {
    let project = || {
        ground
            .project()
            .labelled(LABEL, &ground.namespace)
            .kept_by(KEPT)
    };
    [
        project().create(&ground.hands).await,
        project().create(&ground.hands).await,
        project().create(&ground.hands).await,
    ]
}

async fn users_of(projects: &[Object]) -> Vec<bool> {
    let mut users = Vec::new();
    for project in projects {
        let finalizers = project.finalizers().await;
        assert_eq!(finalizers[0], KEPT);
        users.push(finalizers.contains(&reference().to_string()));
    }
    users
}

#[tokio::test]
async fn a_set_is_used_left_but_for_some_and_left() {
    let ground = Ground::new().await;
    let projects = three_projects(&ground).await;
    let elsewhere = ground.another_namespace().await;
    let unlabelled = ground
        .project()
        .kept_by(reference().as_str())
        .create(&ground.hands)
        .await;
    let others = PROJECT.named(&*projects[0].name).within(&elsewhere);
    let others = others
        .labelled(LABEL, &ground.namespace)
        .kept_by(reference().as_str());
    let others = others.create(&ground.hands).await;
    let (references, reference) = (references(&ground), reference());
    let [one, two, _] = &projects;

    let names = [&one.name, &two.name];
    let changed = references.add_all(&used(&ground), names, &reference).await;
    assert_eq!(
        changed.expect("all are there").objects(),
        [named(one), named(two)]
    );
    assert_eq!(users_of(&projects).await, [true, true, false]);
    let changed = references.add_all(&used(&ground), names, &reference).await;
    let changed = changed.expect("all are there");
    assert_eq!((changed.objects().len(), changed.unchanged()), (0, 2));
    assert_eq!(writes(&ground), 2);

    let changed = references
        .remove_all_but(&used(&ground), [&two.name], &reference)
        .await;
    let changed = changed.expect("it is taken off");
    assert_eq!(
        (changed.objects(), changed.unchanged()),
        (&[named(one)][..], 1)
    );
    assert_eq!(users_of(&projects).await, [false, true, false]);
    let changed = references.clear(&used(&ground), &reference).await;
    assert_eq!(changed.expect("it is taken off").objects(), [named(two)]);
    assert_eq!(users_of(&projects).await, [false, false, false]);
    assert_eq!(writes(&ground), 4);
    // Neither without the label nor in another namespace.
    assert_eq!(unlabelled.finalizers().await, [reference.as_str()]);
    assert_eq!(others.finalizers().await, [reference.as_str()]);
}

#[tokio::test]
async fn nothing_is_written_when_a_name_is_unknown() {
    let ground = Ground::new().await;
    let projects = three_projects(&ground).await;
    let names = [&*projects[0].name, "missing", "absent"];
    let added = references(&ground)
        .add_all(&used(&ground), names, &reference())
        .await;
    let error = added.expect_err("two are unknown");
    let text = "no Project.identity.example.com of those selected is called absent, missing";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.disposition(), Disposition::Retry);
    assert_eq!(writes(&ground), 0);
}

#[tokio::test]
async fn nothing_is_written_when_two_objects_have_the_name() {
    let ground = Ground::new().await;
    let elsewhere = ground.another_namespace().await;
    let value = ground.namespace.as_str();
    let one = ground
        .project()
        .labelled(LABEL, value)
        .create(&ground.hands)
        .await;
    let other = PROJECT
        .named(&*one.name)
        .within(&elsewhere)
        .labelled(LABEL, value);
    other.create(&ground.hands).await;
    let everywhere = Used::everywhere(PROJECT.kind());
    let everywhere = everywhere.labelled(label(), value.parse().expect("it is a label value"));
    let added = references(&ground)
        .add_all(&everywhere, [&one.name], &reference())
        .await;
    let error = added.expect_err("two have it");
    assert!(matches!(error, AddAllError::AmbiguousIds { .. }), "{error}");
    assert_eq!(writes(&ground), 0);
}

#[tokio::test]
async fn one_of_a_set_that_fails_does_not_hinder_the_others() {
    let ground = Ground::new().await;
    let projects = three_projects(&ground).await;
    let (references, reference) = (references(&ground), reference());
    let [going, one, two] = &projects;
    going.delete().await;
    let names = projects.iter().map(|project| &project.name);
    let added = references.add_all(&used(&ground), names, &reference).await;
    let Err(AddAllError::Objects(failures)) = added else {
        panic!("one of them terminates: {added:?}");
    };
    let failed: Vec<_> = failures.iter().map(|(object, _)| object.clone()).collect();
    assert_eq!(failed, [named(going)]);
    assert_eq!(failures.changed().objects(), [named(one), named(two)]);
    assert_eq!(users_of(&projects).await, [false, true, true]);

    let broken = Action::answer(Answer::status(http::StatusCode::INTERNAL_SERVER_ERROR));
    ground
        .faults
        .add(Rule::new(patches().name(&one.name), broken));
    let cleared = references.clear(&used(&ground), &reference).await;
    let error = cleared.expect_err("one of them cannot be written");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(matches!(error, RemoveAllError::Objects(_)), "{error}");
    let text = format!(
        "failed to change 1 of 3 objects, the first is {}",
        named(one)
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(users_of(&projects).await, [false, true, false]);
}

#[tokio::test]
async fn another_object_of_the_name_is_not_used_in_its_place() {
    let ground = Ground::new().await;
    let projects = three_projects(&ground).await;
    let (references, reference, used) = (references(&ground), reference(), used(&ground));
    let replaced = async |project: &Object| {
        project.delete().await;
        project.set_finalizers(&[]).await;
        project.again().kept_by(KEPT).create(&ground.hands).await;
    };
    // Before it is read again, and before it is written.
    let reads = Match::verb(Verb::Get).resource(PROJECT.plural);
    for (project, calls) in projects.iter().zip([reads, patches()]) {
        let gate = ground.gate(calls, |rule| rule.first(1));
        let deed = async {
            let held = gate.arrived().await;
            replaced(project).await;
            held.release();
        };
        let add = references.add_all(&used, [&project.name], &reference);
        let (added, ()) = in_time("a call", PATIENCE, futures::future::join(add, deed)).await;
        let Err(AddAllError::Objects(failures)) = added else {
            panic!("that object is gone: {added:?}");
        };
        let errors: Vec<_> = failures.iter().map(|(_, error)| error).collect();
        assert!(
            matches!(errors[..], [AddError::NotFound { .. }]),
            "{errors:?}"
        );
        assert_eq!(project.finalizers().await, [KEPT]);
    }
}

#[tokio::test]
async fn another_object_of_the_name_keeps_its_users() {
    let ground = Ground::new().await;
    let projects = three_projects(&ground).await;
    let (references, reference, used) = (references(&ground), reference(), used(&ground));
    let held = [KEPT, reference.as_str()];
    // Before it is read again, and before it is written.
    let reads = Match::verb(Verb::Get).resource(PROJECT.plural);
    for (project, calls) in projects.iter().zip([reads, patches()]) {
        let added = references.add_all(&used, [&project.name], &reference).await;
        added.expect("it is used");
        let gate = ground.gate(calls, |rule| rule.first(1));
        let deed = async {
            let waiting = gate.arrived().await;
            project.delete().await;
            project.set_finalizers(&[]).await;
            // At the same place of the list.
            let successor = project.again().kept_by(KEPT).kept_by(reference.as_str());
            successor.create(&ground.hands).await;
            waiting.release();
        };
        let clear = references.clear(&used, &reference);
        let (cleared, ()) = in_time("a call", PATIENCE, futures::future::join(clear, deed)).await;
        cleared.expect("it is gone, and so is its user");
        assert_eq!(project.finalizers().await, held);
    }
}
