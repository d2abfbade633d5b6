//! What starts a cascade, and what must not.

use std::time::SystemTime;

use futures::future::join_all;
use kube_cascade::{
    Envelope, Key, Outcome, ParkReason, Queue, State,
    cascade::{Answer, Scope, Upstream},
    kubernetes::{IdSource, KubernetesSource},
};
use kube_sim::fault::{Match, Verb};

use crate::{
    fixtures::{NETWORK, PROJECT, unique, until},
    ground::{Ground, KEPT, LABEL, during, network_deletes, parked, pass},
};

const LONG_AGO: State = State::Terminating {
    since: SystemTime::UNIX_EPOCH,
};

/// The second of the two calls that everything depends on, whichever comes first: the list of the
/// dependents, and the look at the upstream.
fn list_or_confirm() -> Match {
    Match::any().when(|call| {
        let what = (call.verb(), call.resource());
        what == (Verb::List, Some(NETWORK.plural)) || what == (Verb::Get, Some(PROJECT.plural))
    })
}

#[tokio::test]
async fn fault_64_a_namesake_that_appears_between_list_and_confirm_loses_nothing() {
    for terminating in [false, true] {
        let ground = Ground::new().await;
        let old = ground.terminating_project().await;
        ground.network_of(&old).await;
        let (cascade, mut news) = (ground.cascade(), None);
        let vanish_and_appear = async {
            old.set_finalizers(&[]).await;
            let new = old.again().kept_by(KEPT).create(&ground.hands).await;
            let network = ground.network_of(&new).await;
            if terminating {
                new.delete().await;
            }
            news = Some((new, network));
        };
        let envelope = old.envelope().await;
        let outcome = ground
            .meanwhile(
                list_or_confirm(),
                |rule| rule.nth(2),
                &cascade,
                envelope,
                vanish_and_appear,
            )
            .await;
        assert_eq!(outcome.expect("it ends"), Outcome::Done);
        assert_eq!(ground.deletes(), [""; 0]);
        assert_eq!(ground.told.all(), ["Refused UpstreamReplaced"]);
        let (_, network) = news.expect("they were created");
        assert!(network.lives().await);
    }
}

#[tokio::test]
async fn fault_64_a_namesake_that_appears_before_a_delete_keeps_what_replaced_the_planned() {
    let ground = Ground::new().await;
    let old = ground.terminating_project().await;
    let planned = ground.network_of(&old).await;
    let (cascade, mut replaced) = (ground.cascade(), None);
    let vanish_and_appear = async {
        old.set_finalizers(&[]).await;
        planned.delete().await;
        let new = old.again().create(&ground.hands).await;
        replaced = Some(
            planned
                .again()
                .labelled(LABEL, &new.name)
                .create(&ground.hands)
                .await,
        );
    };
    let envelope = old.envelope().await;
    let stale = envelope.clone();
    let outcome = ground
        .meanwhile(
            network_deletes(),
            |rule| rule.nth(1),
            &cascade,
            envelope,
            vanish_and_appear,
        )
        .await;
    assert!(matches!(outcome, Ok(Outcome::Recheck(_))), "{outcome:?}");
    assert_eq!(pass(&cascade, stale).await, Outcome::Done);
    assert_eq!(ground.delete_answers(), [409]);
    assert!(replaced.expect("it was created").lives().await);
}

#[tokio::test]
async fn fault_14_an_upstream_that_was_created_again_loses_nothing() {
    let ground = Ground::new().await;
    let old = ground
        .project()
        .create(&ground.hands)
        .await
        .deleting()
        .await;
    let new = old.again().create(&ground.hands).await;
    let network = ground.network_of(&new).await;
    for state in [LONG_AGO, State::Vanished] {
        assert_eq!(
            pass(&ground.cascade(), old.envelope_of(state)).await,
            Outcome::Done
        );
    }
    assert_eq!(ground.told.of(&new.name), ["Refused UpstreamReplaced"; 2]);
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_15_an_envelope_that_is_replayed_after_a_re_creation_deletes_nothing_more() {
    let ground = Ground::new().await;
    let old = ground.terminating_project().await;
    let first = ground.network_of(&old).await;
    let (cascade, envelope) = (ground.cascade(), old.envelope().await);
    pass(&cascade, envelope.clone()).await;
    assert!(!first.lives().await);
    old.set_finalizers(&[]).await;
    let new = old.again().create(&ground.hands).await;
    let second = ground.network_of(&new).await;
    for cascade in [cascade, ground.cascade()] {
        assert_eq!(pass(&cascade, envelope.clone()).await, Outcome::Done);
    }
    assert_eq!(ground.deletes(), [first.name]);
    assert!(second.lives().await);
}

#[tokio::test]
async fn fault_16_a_forged_envelope_deletes_nothing_of_a_living_upstream() {
    let ground = Ground::new().await;
    let project = ground.project().create(&ground.hands).await;
    let network = ground.network_of(&project).await;
    let forged = [LONG_AGO, State::Vanished].map(|state| project.envelope_of(state));
    for envelope in forged {
        let without_uid = Envelope::of(envelope.key().clone(), *envelope.state());
        for envelope in [envelope, without_uid] {
            assert_eq!(pass(&ground.cascade(), envelope).await, Outcome::Done);
        }
    }
    assert_eq!(ground.told.of(&project.name), ["Refused UpstreamAlive"; 4]);
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_17_an_upstream_that_is_gone_and_was_never_known_starts_nothing() {
    let ground = Ground::new().await;
    let project = ground
        .project()
        .create(&ground.hands)
        .await
        .deleting()
        .await;
    let network = ground.network_of(&project).await;
    let known = project.envelope_of(LONG_AGO);
    let unknown = Envelope::of(known.key().clone(), LONG_AGO);
    let absent = project.envelope_of(State::Absent);
    for (envelope, refusal) in [
        (unknown, Some("Refused UpstreamUnknown")),
        (known, Some("Refused DeletionUnwitnessed")),
        (absent, None),
    ] {
        let ground = Ground::new().await;
        let cascade = ground.cascade_of(NETWORK, Scope::AllNamespaces);
        assert_eq!(pass(&cascade, envelope).await, Outcome::Done);
        assert_eq!(ground.told.all(), Vec::from_iter(refusal));
        assert_eq!(ground.deletes(), [""; 0]);
    }
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_18_an_envelope_that_is_delivered_100_times_deletes_each_dependent_once() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let goes = ground.network_of(&project).await;
    let stays = ground
        .network()
        .labelled(LABEL, &project.name)
        .kept_by(KEPT);
    let stays = stays.create(&ground.hands).await;
    let (cascade, envelope) = (ground.cascade(), project.envelope().await);
    for _ in 0..10 {
        join_all((0..10).map(|_| pass(&cascade, envelope.clone()))).await;
    }
    // Those at the same time may both ask; the server does it once.
    assert_eq!(
        ground.told.deletes(Answer::Deleted),
        2,
        "{:?}",
        ground.delete_answers()
    );
    assert!(stays.terminates().await);
    until("the other one is gone", async || goes.is_gone().await).await;
}

#[tokio::test]
async fn fault_20_an_upstream_that_is_relabelled_out_of_the_watch_loses_nothing() {
    let ground = Ground::new().await;
    let tier = unique("gold");
    let project = ground
        .project()
        .labelled("tier", &tier)
        .create(&ground.hands)
        .await;
    let network = ground.network_of(&project).await;
    let source = KubernetesSource::new(ground.client.clone(), PROJECT.kind())
        .namespaces([&ground.namespace])
        .labels(format!("tier={tier}"));
    let queue = Queue::builder(source)
        .consumer(ground.cascade())
        .build()
        .expect("it is sound");
    let (told, monitor) = (ground.told.clone(), queue.monitor());
    let relabelled = async {
        monitor
            .until(|stats| stats.snapshots() > 0 && stats.known() == 1)
            .await;
        project.relabel("tier", "silver").await;
        until("the refusal is told", async || !told.all().is_empty()).await;
        monitor.until(|stats| stats.pending() == 0).await;
    };
    during(queue, relabelled).await;
    assert_eq!(ground.told.all(), ["Refused UpstreamAlive"]);
    assert_eq!(ground.deletes(), [""; 0]);
    assert!(network.lives().await);
}

#[tokio::test]
async fn fault_71_a_namesake_in_a_namespace_that_nobody_named_parks_the_cascade() {
    let ground = Ground::new().await;
    let project = ground.terminating_project().await;
    let elsewhere = ground.another_namespace().await;
    let namesake = PROJECT
        .named(&project.name)
        .within(&elsewhere)
        .create(&ground.hands)
        .await;
    let network = ground.network_of(&project).await;
    let envelope = project.envelope().await;
    let parked = parked(&ground.cascade(), envelope.clone()).await;
    assert_eq!(parked.reason(), ParkReason::Namesake);
    assert!(parked.message().contains(&elsewhere), "{parked}");
    assert_eq!(ground.deletes(), [""; 0]);
    namesake.delete().await;
    pass(&ground.cascade(), envelope).await;
    assert_eq!(ground.deletes(), [network.name]);
}

#[tokio::test]
async fn with_the_uid_as_the_id_a_namesake_neither_parks_nor_is_touched() {
    let ground = Ground::new().await;
    let old = ground.terminating_project().await;
    let network = ground
        .network()
        .labelled(LABEL, &old.uid)
        .create(&ground.hands)
        .await;
    let envelope = Envelope::of(
        Key::new(
            Some(&ground.namespace),
            old.uid.parse().expect("it is an ID"),
        ),
        LONG_AGO,
    )
    .with_name(old.name.as_str())
    .with_uid(old.uid.as_str());
    let elsewhere = ground.another_namespace().await;
    let namesake = PROJECT
        .named(&old.name)
        .within(&elsewhere)
        .create(&ground.hands)
        .await;
    let other = ground
        .network()
        .labelled(LABEL, &namesake.uid)
        .create(&ground.hands)
        .await;
    let upstream = Upstream::kubernetes(ground.client.clone(), PROJECT.kind(), IdSource::Uid);
    let cascade = ground.cascade_on(upstream, NETWORK, ground.here());
    pass(&cascade, envelope).await;
    assert_eq!(ground.deletes(), [network.name]);
    assert!(other.lives().await);
}
