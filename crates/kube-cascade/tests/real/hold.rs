//! The hold: put on, kept, released, and nobody else's business touched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use kube_cascade::{
    CascadingDelete, Consumer, Delivery, Outcome, Queue, State,
    cascade::{Hold, Propagation, Scope},
    hold::HoldName,
    kubernetes::KubernetesSource,
    queue::RetryPolicy,
};
use kube_sim::fault::{Match, Recorded, Verb};

use crate::{
    fixtures::{CLUSTER, NETWORK, Object, PROJECT, control_plane, unique, until},
    ground::{Ground, KEPT, LABEL, always, during, network_deletes, network_lists, pass},
};

/// The hold of a rule of this name.
pub(crate) fn hold_name(rule: &str) -> HoldName {
    let installation = "tests".parse().expect("it names an installation");
    HoldName::new(&installation, &rule.parse().expect("it names a rule"))
}

pub(crate) fn kept(rule: &str) -> Hold {
    Hold::Keep(hold_name(rule))
}

/// A queue of the projects in the test's namespace, on one cascade that holds them.
pub(crate) fn holding(ground: &Ground, cascade: CascadingDelete, rule: &str) -> Queue {
    let source = KubernetesSource::new(ground.client.clone(), PROJECT.kind())
        .namespaces([&ground.namespace])
        .hold(hold_name(rule));
    let retry = RetryPolicy::default().with_base(std::time::Duration::from_millis(50));
    let queue = Queue::builder(source)
        .retry(retry)
        .consumer(cascade.hold(kept(rule)));
    queue.build().expect("it is sound")
}

async fn is_held(project: &Object, rule: &str) -> bool {
    project
        .finalizers()
        .await
        .iter()
        .any(|name| name == hold_name(rule).as_str())
}

#[tokio::test]
async fn fault_43_no_hold_is_tried_on_an_upstream_that_is_deleting() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
    let stale = project.envelope().await;
    project.delete().await;
    let cascade = ground.cascade().hold(kept("rule"));
    assert_eq!(pass(&cascade, stale).await, Outcome::Done);
    assert_eq!(ground.faults.recorder().count(&Match::writes()), 0);
}

#[tokio::test]
async fn fault_43_a_deletion_that_is_faster_than_the_hold_is_tolerated() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
    let cascade = ground.cascade().hold(kept("rule"));
    let (envelope, patches) = (project.envelope().await, Match::verb(Verb::Patch));
    let outcome = ground
        .meanwhile(
            patches.clone(),
            always,
            &cascade,
            envelope,
            project.delete(),
        )
        .await;
    assert_eq!(outcome.expect("it is no error"), Outcome::Done);
    let sent = ground.faults.recorder().matching(&patches);
    let answers: Vec<_> = sent.iter().filter_map(Recorded::server_status).collect();
    assert_eq!(answers, [422]);
    assert_eq!(project.finalizers().await, [KEPT]);
}

#[tokio::test]
async fn fault_74_no_finalizer_is_lost_while_others_change_theirs_200_times() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let envelope = project.envelope_of(State::Live);
    let theirs = project.clone();
    let (enough, edits) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (is_enough, done) = (Arc::clone(&enough), Arc::clone(&edits));
    let others = tokio::spawn(async move {
        let [one, two] = ["other.example.com/one", "other.example.com/two"];
        while !is_enough.load(Ordering::Relaxed) {
            theirs
                .edit_finalizers("other.example.com/", &[], &[one])
                .await;
            theirs
                .edit_finalizers("other.example.com/", &[one], &[one, two])
                .await;
            theirs
                .edit_finalizers("other.example.com/", &[one, two], &[two])
                .await;
            theirs
                .edit_finalizers("other.example.com/", &[two], &[])
                .await;
            done.fetch_add(4, Ordering::Relaxed);
        }
    });
    let mut rounds = 0;
    while !others.is_finished() && (rounds < 6 || edits.load(Ordering::Relaxed) < 200) {
        for (hold, held) in [
            (kept("rule"), true),
            (Hold::Release(hold_name("rule")), false),
        ] {
            // A cascade of its own, which knows of no backoff.
            let cascade = ground.cascade().hold(hold);
            until("nobody is in the way", async || {
                let delivery = Delivery::new(envelope.clone());
                cascade.consume(delivery).await.is_ok()
            })
            .await;
            assert_eq!(is_held(&project, "rule").await, held);
        }
        rounds += 1;
    }
    enough.store(true, Ordering::Relaxed);
    others.await.expect("the others find what is theirs");
    assert_eq!(project.finalizers().await, [""; 0]);
}

#[tokio::test]
async fn fault_22_the_upstream_goes_last_and_a_late_dependent_goes_before_it() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let slow = ground
        .network()
        .labelled(LABEL, &project.name)
        .kept_by(KEPT);
    let slow = slow.create(&ground.hands).await;
    let queue = holding(&ground, ground.cascade(), "last");
    let story = async {
        until("the upstream is held", async || {
            is_held(&project, "last").await
        })
        .await;
        project.delete().await;
        until("its dependent terminates", async || slow.terminates().await).await;
        let late = ground.network_of(&project).await;
        until("a late one goes too", async || late.is_gone().await).await;
        assert!(project.terminates().await && is_held(&project, "last").await);
        slow.set_finalizers(&[]).await;
        until("the upstream goes", async || project.is_gone().await).await;
        assert!(
            slow.is_gone().await,
            "the upstream went before its dependent"
        );
    };
    during(queue, story).await;
    assert_eq!(ground.deletes().len(), 2);
    assert_eq!(
        ground.told.all().last().map(String::as_str),
        Some("Completed 2")
    );
}

/// The server stores objects that are nested thousands deep, and repeats the nesting in their
/// `managedFields`; JSON is read here up to a depth of 127. One such object must not keep all others
/// of its kind from being listed or watched.
#[tokio::test]
async fn objects_that_are_nested_deeper_than_json_is_read_are_held_and_go_all_the_same() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let deep = ground.network_of(&project).await;
    let other = ground.network_of(&project).await;
    project.nest(1000).await;
    deep.nest(9000).await;
    let queue = holding(&ground, ground.cascade(), "deep");
    let story = async {
        let held = format!("\"{}\"", hold_name("deep").as_str());
        until("the upstream is held", async || {
            project
                .text()
                .await
                .is_some_and(|text| text.contains(&held))
        })
        .await;
        project.nest(1001).await;
        project.delete_unread().await;
        until("the upstream goes", async || project.text().await.is_none()).await;
        assert_eq!(deep.text().await, None);
        assert!(other.is_gone().await);
    };
    during(queue, story).await;
    assert_eq!(ground.deletes().len(), 2);
}

#[tokio::test]
async fn fault_22_a_dependent_that_appears_between_the_two_empty_rounds_goes_too() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(hold_name("settle").as_str());
    let project = project.create(&ground.hands).await.deleting().await;
    let queue = holding(&ground, ground.cascade(), "settle");
    let story = async {
        let list = ground.faults.recorder();
        list.until_ended(&network_lists(), 1).await;
        let late = ground.network_of(&project).await;
        until("the upstream goes", async || project.is_gone().await).await;
        assert!(
            late.is_gone().await,
            "the upstream went before its dependent"
        );
    };
    during(queue, story).await;
}

#[tokio::test]
async fn fault_65_the_first_of_two_installations_to_finish_releases_only_its_own_hold() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let slow = ground
        .network()
        .labelled(LABEL, &project.name)
        .kept_by(KEPT);
    let slow = slow.create(&ground.hands).await;
    let quick = ground.cascade_of(CLUSTER, ground.here());
    let (quick, slower) = (
        holding(&ground, quick, "quick"),
        holding(&ground, ground.cascade(), "slower"),
    );
    let story = async {
        until("both hold", async || {
            is_held(&project, "quick").await && is_held(&project, "slower").await
        })
        .await;
        project.delete().await;
        until("the quick one releases", async || {
            !is_held(&project, "quick").await
        })
        .await;
        assert!(is_held(&project, "slower").await);
        slow.set_finalizers(&[]).await;
        until("the upstream goes", async || project.is_gone().await).await;
    };
    during(quick, Box::pin(during(slower, story))).await;
}

#[tokio::test]
async fn fault_66_a_hold_that_is_stripped_from_a_live_upstream_is_put_back() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let network = ground.network_of(&project).await;
    let queue = holding(&ground, ground.cascade(), "stripped");
    let story = async {
        for _ in 0..2 {
            until("the upstream is held", async || {
                is_held(&project, "stripped").await
            })
            .await;
            project.set_finalizers(&[]).await;
        }
        until("it is held again", async || {
            is_held(&project, "stripped").await
        })
        .await;
    };
    during(queue, story).await;
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_67_an_upstream_whose_id_no_label_can_hold_is_never_held_and_is_released() {
    let ground = Ground::new().await;
    let long = |what: &str| unique(&format!("{}-{what}", "x".repeat(70)));
    let project = |what: &str| PROJECT.named(long(what)).within(&ground.namespace);
    let finalizer = hold_name("unfit");
    let live = project("live").create(&ground.hands).await;
    let held = project("held")
        .kept_by(finalizer.as_str())
        .create(&ground.hands)
        .await;
    let going = project("going")
        .kept_by(finalizer.as_str())
        .create(&ground.hands)
        .await;
    going.delete().await;
    let queue = holding(&ground, ground.cascade(), "unfit");
    let monitor = queue.monitor();
    let story = async {
        until("the terminating one is released", async || {
            going.is_gone().await
        })
        .await;
        until("the live one is released", async || {
            held.finalizers().await.is_empty()
        })
        .await;
        monitor
            .until(|stats| stats.snapshots() > 0 && stats.pending() == 0)
            .await;
    };
    during(queue, story).await;
    assert_eq!(live.finalizers().await, [""; 0]);
    assert_eq!(ground.deletes(), [""; 0]);
    let lists = ground.faults.recorder().count(&network_lists());
    assert_eq!(lists, 0);
}

#[tokio::test]
async fn fault_59_what_was_planned_is_finished_after_others_have_stripped_the_hold() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(hold_name("strip").as_str());
    let project = project.create(&ground.hands).await.deleting().await;
    let planned = ground.network_of(&project).await;
    let cascade = ground
        .cascade()
        .hold(kept("strip"))
        .propagation(Propagation::Background);
    let envelope = project.envelope().await;
    // The first attempt does not get through, and then the upstream goes.
    let refused = kube_sim::fault::Answer::status(http::StatusCode::INTERNAL_SERVER_ERROR);
    let refused = kube_sim::fault::Action::answer(refused);
    ground
        .faults
        .add(kube_sim::fault::Rule::new(network_deletes(), refused).first(1));
    cascade
        .consume(Delivery::new(envelope.clone()))
        .await
        .expect_err("its DELETE failed");
    project.set_finalizers(&[]).await;
    let late = ground.network_of(&project).await;
    pass(&cascade, envelope.clone()).await;
    assert!(!planned.lives().await);
    assert!(
        late.lives().await,
        "nobody planned it while the upstream was there"
    );
    // Another process, which planned nothing, deletes nothing.
    let restarted = ground.cascade().hold(kept("strip"));
    pass(&restarted, project.envelope_of(State::Vanished)).await;
    let terminating = State::Terminating {
        since: SystemTime::UNIX_EPOCH,
    };
    pass(&restarted, project.envelope_of(terminating)).await;
    assert!(late.lives().await);
}

#[tokio::test]
async fn fault_59_a_hold_that_is_stripped_in_the_first_pass_loses_nothing_of_its_plan() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let gate = ground.gate(network_deletes(), |rule| rule.first(1));
    let cascade = ground.cascade();
    let race = async {
        let held = gate.arrived().await;
        // Its DELETE will conflict, and its upstream is gone when it is judged again.
        network.write(1).await;
        project.set_finalizers(&[]).await;
        until("the upstream is gone", async || project.is_gone().await).await;
        held.release();
    };
    let (outcome, ()) = tokio::join!(pass(&cascade, project.envelope().await), race);
    assert!(!network.lives().await, "{outcome:?}");
}

#[tokio::test]
async fn an_upstream_that_carries_its_own_id_does_not_wait_for_itself() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    project.relabel(LABEL, &project.name).await;
    let cascade = ground.cascade_of(PROJECT, ground.here());
    pass(&cascade, project.envelope().await).await;
    assert!(ground.deletes().is_empty());
    let told = ground.told.of(&project.name);
    let completed = until("it is complete", async || {
        pass(&cascade, project.envelope().await).await;
        ground
            .told
            .of(&project.name)
            .iter()
            .any(|notice| notice.contains("Completed"))
    });
    completed.await;
    assert!(ground.deletes().is_empty(), "{told:?}");
}

#[tokio::test]
async fn a_namespace_that_went_with_its_upstream_parks_nothing() {
    let ground = Ground::new().await;
    let namespace = ground.another_namespace().await;
    let project = PROJECT.named(unique("p")).within(&namespace);
    let project = project.create(&ground.hands).await;
    control_plane()
        .kubectl(["delete", "namespace", &namespace])
        .expect("the namespace is deleted");
    until("the project is gone", async || project.is_gone().await).await;
    let cascade = ground.cascade_of(NETWORK, Scope::SameAsUpstream);
    let outcome = pass(&cascade, project.envelope_of(State::Vanished)).await;
    assert!(matches!(outcome, Outcome::Recheck(_)), "{outcome:?}");
}
