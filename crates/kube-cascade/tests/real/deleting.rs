//! What is deleted, how, and what is left alone.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::{self, join_all};
use http::StatusCode;
use kube_cascade::{
    Outcome, ParkReason,
    cascade::{Answer, Mode, Propagation},
};
use kube_sim::fault::{Action, Answer as Faked, Match, Rule};
use serde_json::json;

use crate::{
    fixtures::{Object, PATIENCE, in_time, until},
    ground::{Ground, KEPT, LABEL, network_deletes, network_lists, parked, pass},
};

/// So many networks of a project, in the order of their creation.
async fn networks_of(ground: &Ground, project: &Object, count: usize) -> Vec<Object> {
    join_all((0..count).map(|_| ground.network_of(project))).await
}

/// Every one is gone, or about to be.
async fn none_lives(objects: &[Object]) -> bool {
    let live = join_all(objects.iter().map(Object::lives)).await;
    !live.contains(&true)
}

#[tokio::test]
async fn fault_10_a_dependent_recreated_between_list_and_delete_lives() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let planned = ground.network_of(&project).await;
    let (cascade, mut new) = (ground.cascade(), None);
    let recreate = async {
        planned.delete().await;
        let again = planned.again().labelled(LABEL, &project.name);
        new = Some(again.create(&ground.hands).await);
    };
    let envelope = project.envelope().await;
    let outcome = ground
        .meanwhile(network_deletes(), |rule| rule, &cascade, envelope, recreate)
        .await;
    assert!(matches!(outcome, Ok(Outcome::Recheck(_))), "{outcome:?}");
    assert_eq!(ground.delete_answers(), [409]);
    assert!(new.expect("it was created").lives().await);
}

#[tokio::test]
async fn fault_11_a_dependent_relabelled_between_list_and_delete_lives() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    let relabel = network.relabel(LABEL, "another");
    let outcome = ground
        .meanwhile(
            network_deletes(),
            |rule| rule.nth(1),
            &cascade,
            envelope.clone(),
            relabel,
        )
        .await;
    assert!(matches!(outcome, Ok(Outcome::Recheck(_))), "{outcome:?}");
    pass(&cascade, envelope).await;
    assert_eq!(ground.delete_answers(), [409]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_12_a_dependent_that_is_always_written_first_is_parked_and_goes_once_that_ends() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let written = network.clone();
    let writer = ground.faults.add(Rule::new(
        network_deletes(),
        Action::before(move |call| {
            let written = written.clone();
            async move {
                let value = call.number().try_into().expect("it is small");
                written.write(value).await;
            }
        }),
    ));
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    let contended = parked(&cascade, envelope.clone()).await;
    assert_eq!(contended.reason(), ParkReason::Contended);
    assert!(contended.message().contains(&network.name), "{contended}");
    assert!(
        (2..100).contains(&writer.fired()),
        "{} attempts",
        writer.fired()
    );
    assert!(network.lives().await);
    writer.remove();
    pass(&cascade, envelope).await;
    assert!(!network.lives().await);
    assert_guarded(&ground);
}

#[tokio::test]
async fn fault_12_a_dependent_that_is_written_every_10_ms_is_deleted_or_parked() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    // Kept, so that the writer's object is there until the test ends.
    let network = ground
        .network()
        .labelled(LABEL, &project.name)
        .kept_by(KEPT);
    let network = network.create(&ground.hands).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (target, stopped) = (network.clone(), Arc::clone(&stop));
    let writer = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut written = 0;
        while !stopped.load(Ordering::Relaxed) {
            ticks.tick().await;
            written += 1;
            target.write(written).await;
        }
    });
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    for _ in 0..3 {
        match pass(&cascade, envelope.clone()).await {
            Outcome::Park(parked) => assert_eq!(parked.reason(), ParkReason::Contended),
            outcome => assert!(network.terminates().await, "{outcome:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("the writer does not panic");
    pass(&cascade, envelope).await;
    assert!(network.terminates().await);
    assert_guarded(&ground);
}

#[tokio::test]
async fn fault_31_a_dependent_that_somebody_else_deleted_is_a_success() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    let outcome = ground
        .meanwhile(
            network_deletes(),
            |rule| rule,
            &cascade,
            envelope,
            network.delete(),
        )
        .await;
    assert!(matches!(outcome, Ok(Outcome::Recheck(_))), "{outcome:?}");
    assert_eq!(ground.delete_answers(), [404]);
}

#[tokio::test]
async fn fault_33_one_failing_delete_of_100_stops_no_other_and_is_the_only_one_repeated() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let networks = networks_of(&ground, &project, 100).await;
    let unlucky = &networks[42];
    let fails = Action::answer(Faked::status(StatusCode::INTERNAL_SERVER_ERROR));
    let failed = ground
        .faults
        .add(Rule::new(network_deletes().name(&unlucky.name), fails).first(1));
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    let error =
        kube_cascade::Consumer::consume(&cascade, kube_cascade::Delivery::new(envelope.clone()));
    let error = error.await.expect_err("one failed").to_string();
    assert!(error.starts_with("1 of 100 deletes failed"), "{error}");
    assert_eq!(failed.fired(), 1);
    assert!(unlucky.lives().await);
    assert_eq!(ground.told.deletes(Answer::Deleted), 99);
    pass(&cascade, envelope).await;
    assert!(none_lives(&networks).await);
    let mut sent = ground.deletes();
    assert_eq!(sent.len(), 101);
    sent.retain(|name| *name == unlucky.name);
    assert_eq!(sent.len(), 2);
}

/// Every DELETE names exactly these fields, spelled so.
fn assert_guarded(ground: &Ground) {
    for sent in ground.faults.recorder().deletes() {
        let body = sent.call().json();
        let guard = &body["preconditions"];
        let expected = json!({
            "preconditions": {"uid": guard["uid"], "resourceVersion": guard["resourceVersion"]},
            "propagationPolicy": body["propagationPolicy"],
        });
        assert_eq!(body, expected, "{}", sent.call());
        assert!(
            guard["uid"].is_string() && guard["resourceVersion"].is_string(),
            "{guard}"
        );
    }
}

#[tokio::test]
async fn fault_42_every_delete_carries_uid_resource_version_and_policy() {
    for (propagation, policy) in [
        (Propagation::Foreground, "Foreground"),
        (Propagation::Background, "Background"),
    ] {
        let ground = Ground::new().await;
        let project = ground.terminating_project().await;
        let networks = networks_of(&ground, &project, 30).await;
        let mut expected = BTreeSet::new();
        for network in &networks {
            let body = json!({
                "preconditions": {
                    "resourceVersion": network.resource_version().await,
                    "uid": network.uid,
                },
                "propagationPolicy": policy,
            });
            expected.insert((network.name.clone(), body.to_string()));
        }
        let cascade = ground.cascade().propagation(propagation);
        pass(&cascade, project.envelope().await).await;
        let sent = ground.faults.recorder().deletes();
        assert_eq!(sent.len(), networks.len());
        let sent = sent.iter().map(|sent| {
            let call = sent.call();
            assert!(call.query("labelSelector").is_none(), "{call}");
            (
                call.name().expect("no collection is deleted").to_owned(),
                call.json().to_string(),
            )
        });
        assert_eq!(sent.collect::<BTreeSet<_>>(), expected);
    }
}

#[tokio::test]
async fn fault_50_two_ids_at_once_through_one_consumer_do_not_mix() {
    let ground = Ground::new().await;
    let [one, two] = [
        ground.terminating_project().await,
        ground.terminating_project().await,
    ];
    let alive = ground.project().create(&ground.hands).await;
    let (of_one, of_two, of_alive) = tokio::join!(
        networks_of(&ground, &one, 5),
        networks_of(&ground, &two, 5),
        networks_of(&ground, &alive, 5)
    );
    let cascade = ground.cascade();
    // The first one's list is held until the second one is through.
    let selected = format!("{LABEL}={}", one.name);
    let gate = ground.gate(network_lists().query("labelSelector", selected), |rule| {
        rule.first(1)
    });
    let second = async {
        let held = gate.arrived().await;
        pass(&cascade, two.envelope().await).await;
        let sent: BTreeSet<_> = ground.deletes().into_iter().collect();
        assert_eq!(
            sent,
            of_two.iter().map(|network| network.name.clone()).collect()
        );
        held.release();
    };
    let (first, third) = (one.envelope().await, alive.envelope().await);
    let passes = future::join3(pass(&cascade, first), pass(&cascade, third), second);
    in_time("three passes at once", PATIENCE, passes).await;
    assert_eq!(ground.deletes().len(), 10);
    assert!(none_lives(&of_one).await && none_lives(&of_two).await);
    let live = join_all(of_alive.iter().map(Object::lives)).await;
    assert_eq!(live, [true; 5]);
}

#[tokio::test]
async fn a_terminating_dependent_is_waited_for_and_never_deleted_again() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground
        .network()
        .labelled(LABEL, &project.name)
        .kept_by(KEPT);
    let network = network.create(&ground.hands).await.deleting().await;
    let before = network.resource_version().await;
    for _ in 0..3 {
        let outcome = pass(&ground.cascade(), project.envelope().await).await;
        assert!(matches!(outcome, Outcome::Recheck(_)), "{outcome:?}");
    }
    assert_eq!(ground.deletes(), [""; 0]);
    assert_eq!(network.resource_version().await, before);
}

#[tokio::test]
async fn a_child_that_blocks_its_owner_keeps_the_foreground_deleted_dependent() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    let child = ground
        .network()
        .owned_by(&network)
        .kept_by(KEPT)
        .create(&ground.hands)
        .await;
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    pass(&cascade, envelope.clone()).await;
    until("the collector deletes the child", async || {
        child.terminates().await
    })
    .await;
    let outcome = pass(&cascade, envelope).await;
    assert!(matches!(outcome, Outcome::Recheck(_)), "{outcome:?}");
    assert!(network.terminates().await, "its child still blocks it");
    assert_eq!(ground.deletes(), [&*network.name]);
    child.set_finalizers(&[]).await;
    until("its owner goes too", async || network.is_gone().await).await;
}

#[tokio::test]
async fn fault_53_more_matches_than_the_limit_are_parked_until_there_are_fewer() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let networks = networks_of(&ground, &project, 4).await;
    let cascade = ground
        .cascade()
        .limit(NonZeroUsize::new(3).expect("it is not zero"));
    let envelope = project.envelope().await;
    let over = parked(&cascade, envelope.clone()).await;
    assert_eq!(over.reason(), ParkReason::LimitExceeded);
    assert!(
        over.message().contains("4 objects match, the limit is 3"),
        "{over}"
    );
    assert_eq!(ground.deletes(), [""; 0]);
    networks[0].relabel(LABEL, "another").await;
    pass(&cascade, envelope).await;
    assert_eq!(ground.deletes().len(), 3);
    assert!(networks[0].lives().await);
}

#[tokio::test]
async fn fault_58_a_report_writes_nothing_and_moves_no_resource_version() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let networks = networks_of(&ground, &project, 3).await;
    let versions = async || {
        let of_networks = join_all(networks.iter().map(Object::resource_version)).await;
        (project.resource_version().await, of_networks)
    };
    let before = versions().await;
    let cascade = ground
        .cascade()
        .mode(Mode::Report)
        .hold(crate::hold::kept("report"));
    assert_eq!(
        pass(&cascade, project.envelope().await).await,
        Outcome::Done
    );
    let live = ground.project().create(&ground.hands).await;
    assert_eq!(pass(&cascade, live.envelope().await).await, Outcome::Done);
    assert_eq!(ground.told.all(), ["Reported 3 Network.region.example.com"]);
    assert_eq!(ground.faults.recorder().count(&Match::writes()), 0);
    assert_eq!(versions().await, before);
    assert_eq!(live.finalizers().await, [""; 0]);
}
