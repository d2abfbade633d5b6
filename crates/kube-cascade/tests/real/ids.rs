//! IDs that no label can hold, from a source that knows nothing of Kubernetes.

use std::time::SystemTime;

use kube_cascade::{
    Envelope, Malformed, ParkReason, Queue, ResourceId, memory::MemoryStore, queue::Stats,
};

use crate::{
    fixtures::{NETWORK, until},
    ground::{Ground, LABEL, during, network_lists},
};

/// Runs a queue of what is in the store, next to a good cascade, until that one has had time for
/// a second round; whatever is retried hot would have been seen many times by then.
async fn check(ground: &Ground, store: &MemoryStore, wanted: impl Fn(&Stats) -> bool) {
    let project = ground.terminating_project().await;
    let network = ground.network_of(&project).await;
    store.put(Envelope::new(
        project.name.parse().expect("it is an ID"),
        Some(SystemTime::now()),
    ));
    let upstream = ground.upstream().in_namespace(ground.namespace.as_str());
    let cascade = ground.cascade_on(upstream, NETWORK, ground.here());
    let queue = Queue::builder(store.source())
        .consumer(cascade)
        .build()
        .expect("it is sound");
    let monitor = queue.monitor();
    let done = async {
        until("the good one's dependent is gone", async || {
            network.is_gone().await
        })
        .await;
        ground
            .faults
            .recorder()
            .until_ended(&network_lists(), 2)
            .await;
        let stats = monitor.stats();
        assert!(wanted(&stats), "{stats:?}");
    };
    during(queue, done).await;
    let lists = ground.faults.recorder().matching(&network_lists());
    let expected = format!("{}={}", LABEL, project.name);
    for list in lists {
        assert_eq!(
            list.call().query("labelSelector"),
            Some(&*expected),
            "{}",
            list.call()
        );
    }
    assert_eq!(ground.deletes(), [network.name]);
}

#[tokio::test]
async fn fault_02_a_blank_id_is_counted_as_malformed_and_nothing_is_listed() {
    let ground = Ground::new().await;
    let store = MemoryStore::new();
    for blank in ["", " ", "\t\n", "\u{a0}"] {
        let refused = ResourceId::try_from(blank).expect_err("it identifies nothing");
        store.malformed(Malformed::new(format!("{blank:?}"), refused.to_string()));
    }
    check(&ground, &store, |stats| {
        stats.malformed() == 4 && stats.parked().is_empty()
    })
    .await;
}

/// Parks the ID once, and neither lists nor tries again.
async fn check_unfit(ids: &[&str]) {
    let ground = Ground::new().await;
    let store = MemoryStore::new();
    for id in ids {
        store.put(Envelope::new(
            id.parse().expect("it is not blank"),
            Some(SystemTime::now()),
        ));
    }
    check(&ground, &store, |stats| {
        let mut parked = stats.parked().iter();
        parked.len() == ids.len() && parked.all(|one| one.reason() == ParkReason::InvalidId)
    })
    .await;
    for id in ids {
        assert_eq!(ground.told.of(id), ["Parked InvalidId"], "{id}");
    }
}

#[tokio::test]
async fn fault_03_an_id_that_no_label_can_hold_is_parked_and_nothing_is_listed() {
    let long = "a".repeat(64);
    check_unfit(&[&long, "a/b", "system:x", "-a", "a-", "ä", "a b"]).await;
}

#[tokio::test]
async fn fault_04_an_id_that_would_be_two_requirements_is_parked_and_nothing_is_listed() {
    check_unfit(&["p1,b", "p1,b=c", "p1=b", "p1,!b", "p1)", "p1\n"]).await;
}
