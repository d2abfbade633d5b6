//! Many writers of references to one object, each as a process of its own would be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use kube_cascade::{ObjectRef, Reference, kubernetes::Disposition, reference::References};
use kube_sim::fault::{Faults, Match};
use tokio::sync::Barrier;

use crate::{
    fixtures::{Object, client_under, control_plane},
    ground::{Ground, KEPT},
    references::named,
};

const WRITERS: usize = 32;
const REFERENCES: usize = 500;

/// All references, and those of the writers, who have every 32nd.
fn references_of(writer: usize) -> Vec<Reference> {
    let numbers = (writer..REFERENCES).step_by(WRITERS);
    let text = |number| format!("networks.region.example.com/region_network-{number}");
    numbers
        .map(|number| text(number).parse().expect("it is a reference"))
        .collect()
}

/// Lets every writer put on its references and take them off, and counts their requests, which
/// `benches/references.rs` holds against a bound.
///
/// Where they `fill` the list, all are on before the first is taken off.
async fn write(project: &Object, fill: bool) -> usize {
    let barrier = Arc::new(Barrier::new(WRITERS + 1));
    let writers = (0..WRITERS).map(|writer| {
        let (object, barrier) = (named(project), Arc::clone(&barrier));
        tokio::spawn(async move {
            let faults = Faults::new();
            let kubeconfig = control_plane().admin().kubeconfig_path();
            let writer_of = References::new(client_under(&faults, kubeconfig).await);
            let mine = references_of(writer);
            for reference in &mine {
                put(&writer_of, &object, reference).await;
                if !fill {
                    take(&writer_of, &object, reference).await;
                }
            }
            barrier.wait().await;
            barrier.wait().await;
            if fill {
                for reference in mine.iter().rev() {
                    take(&writer_of, &object, reference).await;
                }
            }
            faults.recorder().count(&Match::any())
        })
    });
    let writers: Vec<_> = writers.collect();
    barrier.wait().await;
    if fill {
        let mut there = project.finalizers().await;
        there.sort();
        let mut all: Vec<_> = (0..WRITERS)
            .flat_map(references_of)
            .map(|reference| reference.to_string())
            .chain([KEPT.to_owned()])
            .collect();
        all.sort();
        assert_eq!(there, all);
    }
    barrier.wait().await;
    let mut requests = 0;
    for writer in writers {
        requests += writer.await.expect("no writer fails");
    }
    requests
}

/// Puts a reference on, as a controller does: what is to be tried again is.
async fn put(references: &References, object: &ObjectRef, reference: &Reference) {
    while let Err(error) = references.add(object, reference).await {
        assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    }
}

async fn take(references: &References, object: &ObjectRef, reference: &Reference) {
    while let Err(error) = references.remove(object, reference).await {
        assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    }
}

/// How often somebody else's finalizer has come and gone, and whether that is enough.
#[derive(Default)]
struct Others {
    rounds: AtomicUsize,
    enough: AtomicBool,
}

/// Somebody else's finalizer comes and goes all the time, by reading and replacing.
async fn somebody_else(project: Object, others: Arc<Others>) {
    while !others.enough.load(Ordering::Relaxed) {
        project
            .edit_finalizers("other.example.com/", &[], &["other.example.com/a"])
            .await;
        project
            .edit_finalizers("other.example.com/", &["other.example.com/a"], &[])
            .await;
        others.rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reference_of_32_writers_is_lost_or_left() {
    // One after the other: each is as much as a small machine can do.
    check(true).await;
    check(false).await;
}

async fn check(fill: bool) {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
    let requests = write(&project, fill).await;
    assert_eq!(project.finalizers().await, [KEPT]);
    let operations = 2 * REFERENCES;
    println!("{requests} requests for {operations} operations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_replaces_the_object_loses_nothing_to_writers_of_references() {
    let ground = Ground::new().await;
    let project = ground.project().kept_by(KEPT).create(&ground.hands).await;
    let others = Arc::new(Others::default());
    let theirs = tokio::spawn(somebody_else(project.clone(), Arc::clone(&others)));
    let references = References::new(ground.client.clone());
    let (object, mine) = (named(&project), references_of(0));
    let mut rounds = 0;
    while !theirs.is_finished() && (rounds < 5 || others.rounds.load(Ordering::Relaxed) < 10) {
        for reference in &mine[..3] {
            references
                .add(&object, reference)
                .await
                .expect("it is put on");
        }
        for reference in &mine[..3] {
            let there = project.finalizers().await;
            assert!(
                there.iter().any(|it| it == reference.as_str()),
                "{reference} is lost"
            );
            references
                .remove(&object, reference)
                .await
                .expect("it is taken off");
        }
        rounds += 1;
    }
    others.enough.store(true, Ordering::Relaxed);
    theirs.await.expect("the others find what is theirs");
    assert_eq!(project.finalizers().await, [KEPT]);
}
