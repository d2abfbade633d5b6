use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use server::{Link, Mode, Server};

mod server;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

/// A process that contends, whose work does nothing but wait for the end of its term.
struct Process {
    link: Link,
    terms: Arc<Mutex<Vec<Fence>>>,
    observed: watch::Receiver<Observed>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<Option<()>, LeaseError>>,
}

impl Process {
    fn start(server: &Server, identity: &str) -> Self {
        Self::start_with(server, identity, |lease| lease)
    }

    fn start_with(server: &Server, identity: &str, with: impl FnOnce(Lease) -> Lease) -> Self {
        let link = server.link();
        let lease = with(Lease::new(link.client(), "ns", "l", identity));
        let observed = lease.observed();
        let shutdown = CancellationToken::new();
        let terms = Arc::new(Mutex::new(Vec::new()));
        let noted = terms.clone();
        let running = tokio::spawn(lease.while_held(
            shutdown.clone().cancelled_owned(),
            move |term| {
                noted.lock().expect("no panic").push(term.fence());
                term.ended()
            },
        ));
        Self {
            link,
            terms,
            observed,
            shutdown,
            running,
        }
    }

    fn leads(&self) -> bool {
        self.terms
            .lock()
            .expect("no panic")
            .last()
            .is_some_and(Fence::is_held)
    }

    fn terms(&self) -> usize {
        self.terms.lock().expect("no panic").len()
    }

    fn observed(&self) -> Observed {
        self.observed.borrow().clone()
    }

    /// What SIGKILL does: nothing is released, and nothing is renewed.
    async fn kill(self) {
        self.running.abort();
        assert!(
            self.running
                .await
                .expect_err("it was running")
                .is_cancelled()
        );
    }

    async fn end(self) -> Result<Option<()>, LeaseError> {
        self.shutdown.cancel();
        self.running.await.expect("the process does not panic")
    }
}

fn standby(holder: &str) -> Observed {
    Observed::Standby {
        holder: Some(holder.to_owned()),
    }
}

/// Waits for the condition, all the while checking that at most one process leads.
async fn until(processes: &[&Process], limit: Duration, met: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    loop {
        assert!(
            processes.iter().filter(|process| process.leads()).count() <= 1,
            "two leaders"
        );
        if met() {
            return start.elapsed();
        }
        assert!(start.elapsed() < limit, "not within {limit:?}");
        sleep(TICK).await;
    }
}

async fn pass(processes: &[&Process], time: Duration) {
    let start = Instant::now();
    until(processes, time * 2, || start.elapsed() >= time).await;
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_other_sees_who() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 120).await;
    assert_eq!(
        (a.observed(), b.observed()),
        (Observed::Leading, standby("a"))
    );
    assert_eq!((a.terms(), b.terms()), (1, 0));
    let spec = &server.lease("l")["spec"];
    assert_eq!(spec["holderIdentity"], "a");
    assert_eq!(spec["leaseDurationSeconds"], 15);
    assert_eq!(spec["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_stands_by_hears_of_changes_only() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let mut b = Process::start(&server, "b");
    until(&[&a, &b], SECOND * 10, || b.observed() == standby("a")).await;
    b.observed.mark_unchanged();
    pass(&[&a, &b], SECOND * 120).await;
    assert!(!b.observed.has_changed().expect("it runs"));
    a.kill().await;
    until(&[&b], SECOND * 30, || b.leads()).await;
    assert!(b.observed.has_changed().expect("it runs"));
}

#[tokio::test(start_paused = true)]
async fn fault_47_clocks_an_hour_apart_have_one_leader() {
    for hours in [-1, 1] {
        let server = Server::new();
        let a = Process::start(&server, "a");
        a.link.set_clock_ahead(hours);
        until(&[&a], SECOND, || a.leads()).await;
        let b = Process::start(&server, "b");
        pass(&[&a, &b], SECOND * 600).await;
        assert_eq!((a.terms(), b.terms()), (1, 0));
        a.kill().await;
        let took = until(&[&b], SECOND * 20, || b.leads()).await;
        assert!(took >= SECOND * 13, "took over after {took:?}");
        pass(&[&b], SECOND * 60).await;
        assert_eq!(b.terms(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_followed_after_its_lease_expired() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 31).await;
    a.kill().await;
    let took = until(&[&b], SECOND * 20, || b.leads()).await;
    assert!(
        took >= SECOND * 13 && took <= SECOND * 17,
        "took over after {took:?}"
    );
    assert_eq!(server.lease("l")["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_within_the_retry_period() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 31).await;
    let ended = Instant::now();
    assert_eq!(a.end().await.expect("nothing is refused"), Some(()));
    assert_eq!(ended.elapsed(), Duration::ZERO);
    let took = until(&[&b], SECOND * 20, || b.leads()).await;
    assert!(took <= SECOND * 2 + TICK, "took over after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_says_so_and_keeps_what_else_it_carries() {
    let server = Server::new();
    server.put(
        "l",
        &json!({"metadata": {"annotations": {"theirs": "1", "ours": "old"}}}),
    );
    let ours = BTreeMap::from([("ours".to_owned(), "new".to_owned())]);
    let a = Process::start_with(&server, "a", |lease| lease.annotations(ours));
    until(&[&a], SECOND, || a.leads()).await;
    let annotations = json!({"theirs": "1", "ours": "new"});
    assert_eq!(server.lease("l")["metadata"]["annotations"], annotations);
    a.end().await.expect("nothing is refused");
    let lease = server.lease("l");
    assert_eq!(lease["metadata"]["annotations"], annotations);
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 1);
}

#[tokio::test(start_paused = true)]
async fn fault_45_a_stalled_holder_loses_its_fence_before_another_leads() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 31).await;
    a.link.set(Mode::Stall);
    let stalled = until(&[&a, &b], SECOND * 20, || !a.leads()).await;
    assert!(stalled <= SECOND * 10 + TICK, "believed for {stalled:?}");
    sleep(TICK).await;
    assert_eq!(a.observed(), Observed::Unknown);
    let free = until(&[&a, &b], SECOND * 20, || b.leads()).await;
    assert!(
        free >= SECOND * 4,
        "taken {free:?} after the fence was lost"
    );
    a.link.set(Mode::Up);
    pass(&[&a, &b], SECOND * 20).await;
    assert_eq!((a.terms(), a.observed()), (1, standby("b")));
    b.end().await.expect("nothing is refused");
    until(&[&a], SECOND * 3, || a.leads()).await;
    assert_eq!(a.terms(), 2);
    assert_eq!(server.lease("l")["spec"]["leaseTransitions"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_stall_shorter_than_the_renew_deadline_goes_unnoticed() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    for mode in [
        Mode::Stall,
        Mode::Fail(500),
        Mode::Fail(429),
        Mode::Fail(403),
    ] {
        a.link.set(mode);
        pass(&[&a], Duration::from_millis(4_500)).await;
        a.link.set(Mode::Up);
        pass(&[&a], SECOND * 30).await;
        assert_eq!((a.terms(), a.leads()), (1, true), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_won_without_an_answer_is_ours_at_the_next_look() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    a.link.set(Mode::LoseWriteAnswer);
    until(&[&a], SECOND, || server.holder("l").as_deref() == Some("a")).await;
    assert!(!a.leads());
    a.link.set(Mode::Up);
    let took = until(&[&a], SECOND * 20, || a.leads()).await;
    assert!(took <= SECOND * 7, "took {took:?}");
    assert_eq!(server.lease("l")["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_an_answer_does_not_end_the_term() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    a.link.set(Mode::LoseWriteAnswer);
    pass(&[&a], SECOND * 3).await;
    a.link.set(Mode::Up);
    pass(&[&a], SECOND * 60).await;
    assert_eq!((a.terms(), a.leads()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_lease_won_without_an_answer_is_released_on_shutdown() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    a.link.set(Mode::LoseWriteAnswer);
    until(&[&a], SECOND, || server.holder("l").as_deref() == Some("a")).await;
    a.link.set(Mode::Up);
    assert_eq!(a.end().await.expect("nothing is refused"), None);
    assert_eq!(server.holder("l"), None);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_edit_does_not_end_the_term_and_stays() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    server.edit("l", |lease| {
        lease["metadata"]["labels"] = json!({"seen": "yes"});
    });
    pass(&[&a], SECOND * 30).await;
    assert_eq!((a.terms(), a.leads()), (1, true));
    assert_eq!(server.lease("l")["metadata"]["labels"]["seen"], "yes");
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_another_name_on_it_is_lost_at_the_next_renewal() {
    for holder in [json!("b"), json!(null), json!("")] {
        let server = Server::new();
        let a = Process::start(&server, "a");
        until(&[&a], SECOND, || a.leads()).await;
        server.edit("l", |lease| {
            lease["spec"]["holderIdentity"] = holder.clone();
        });
        let fence = a.terms.lock().expect("no panic")[0].clone();
        let took = until(&[&a], SECOND * 20, || !fence.is_held()).await;
        assert!(took <= SECOND * 2 + TICK, "{holder} believed for {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_comes_back_with_its_holder() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 7).await;
    server.delete("l");
    pass(&[&a, &b], SECOND * 60).await;
    assert_eq!((a.terms(), a.leads(), b.terms()), (1, true, 0));
    assert_eq!(server.holder("l").as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn missing_permissions_only_make_it_wait() {
    for mode in [
        Mode::Fail(403),
        Mode::Fail(500),
        Mode::FailWrites(403),
        Mode::Stall,
    ] {
        let server = Server::new();
        let a = Process::start(&server, "a");
        a.link.set(mode);
        pass(&[&a], SECOND * 600).await;
        assert_eq!(
            (a.terms(), a.observed()),
            (0, Observed::Unknown),
            "{mode:?}"
        );
        a.link.set(Mode::Up);
        until(&[&a], SECOND * 7, || a.leads()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_only_makes_it_wait() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    a.link.set(Mode::FailWrites(404));
    pass(&[&a], SECOND * 60).await;
    assert!(
        a.link.requests() <= 62,
        "{} requests in a minute",
        a.link.requests()
    );
    a.link.set(Mode::Up);
    until(&[&a], SECOND * 3, || a.leads()).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_trouble_is_logged_once() {
    let server = Server::new();
    let contender = Contender::new(Lease::new(server.link().client(), "ns", "l", "a"));
    let news = ["down", "down", "forbidden", "down"].map(|error| contender.is_news(error));
    assert_eq!(news, [true, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_until_the_drain_has_ended() {
    let server = Server::new();
    let lease = Lease::new(server.link().client(), "ns", "l", "a");
    let shutdown = sleep(SECOND * 5);
    let ended = lease
        .while_held(shutdown, |term| async move {
            term.ended().await;
            for _ in 0..60 {
                sleep(SECOND).await;
                term.fence()
                    .check()
                    .expect("the lease is held while draining");
            }
            "drained"
        })
        .await;
    assert_eq!(ended.expect("nothing is refused"), Some("drained"));
    assert_eq!(server.holder("l"), None);
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_by_itself_ends_it_and_releases() {
    let server = Server::new();
    let lease = Lease::new(server.link().client(), "ns", "l", "a");
    let ended = lease
        .while_held(std::future::pending(), |_| async { 7 })
        .await;
    assert_eq!(ended.expect("nothing is refused"), Some(7));
    assert_eq!(server.holder("l"), None);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_work_stops_the_renewing() {
    let server = Server::new();
    let lease = Lease::new(server.link().client(), "ns", "l", "a");
    let fence = Arc::new(Mutex::new(None));
    let kept = fence.clone();
    let running = tokio::spawn(lease.while_held(std::future::pending(), move |term| {
        *kept.lock().expect("no panic") = Some(term.fence());
        async move { panic!("as the test wants it") }
    }));
    assert!(running.await.expect_err("it panics").is_panic());
    tokio::task::yield_now().await;
    let fence = fence
        .lock()
        .expect("no panic")
        .take()
        .expect("the work ran");
    assert!(!fence.is_held());
    let before = server.lease("l");
    sleep(SECOND * 60).await;
    assert_eq!(server.lease("l"), before);
}

#[tokio::test(start_paused = true)]
async fn fault_48_a_release_takes_two_seconds_at_most() {
    for mode in [Mode::Stall, Mode::Fail(500), Mode::LoseWriteAnswer] {
        let server = Server::new();
        let a = Process::start(&server, "a");
        until(&[&a], SECOND, || a.leads()).await;
        pass(&[&a], SECOND * 3).await;
        a.link.set(mode);
        let start = Instant::now();
        a.end().await.expect("nothing is refused");
        assert!(
            start.elapsed() <= SECOND * 2,
            "{mode:?}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_standby_ends_at_once_and_leaves_the_lease_alone() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    pass(&[&a, &b], SECOND * 3).await;
    let start = Instant::now();
    assert_eq!(b.end().await.expect("nothing is refused"), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
    pass(&[&a], SECOND * 60).await;
    assert_eq!((a.terms(), a.leads()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_former_leader_leaves_its_successors_lease_alone() {
    let server = Server::new();
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let b = Process::start(&server, "b");
    a.link.set(Mode::Stall);
    until(&[&a, &b], SECOND * 40, || b.leads()).await;
    a.link.set(Mode::Up);
    pass(&[&a, &b], SECOND * 10).await;
    assert_eq!(a.end().await.expect("nothing is refused"), None);
    assert_eq!(server.holder("l").as_deref(), Some("b"));
    pass(&[&b], SECOND * 60).await;
    assert_eq!((b.terms(), b.leads()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn fault_49_two_installations_both_lead() {
    let server = Server::new();
    let one = Lease::new(server.link().client(), "ns", "kube-cascade-one", "a");
    let two = Lease::new(server.link().client(), "ns", "kube-cascade-two", "b");
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let work = |term: Term| {
        let both = both.clone();
        async move {
            both.wait().await;
            term.fence().check()
        }
    };
    let (one, two) = timeout(SECOND, async {
        tokio::join!(
            one.while_held(std::future::pending(), work),
            two.while_held(std::future::pending(), work)
        )
    })
    .await
    .expect("neither waits for the other");
    assert_eq!(one.expect("nothing is refused"), Some(Ok(())));
    assert_eq!(two.expect("nothing is refused"), Some(Ok(())));
}

/// A contender that insists on its own cluster, as the controller does.
fn of_cluster(uid: &'static str) -> impl FnOnce(Lease) -> Lease {
    move |lease| {
        lease
            .annotations(BTreeMap::from([("cluster".to_owned(), uid.to_owned())]))
            .refuse_if(move |record| {
                let recorded = record.annotations().get("cluster")?;
                (recorded != uid).then(|| format!("it is {recorded}'s"))
            })
    }
}

async fn assert_refused(process: Process) {
    let terms = process.terms.clone();
    let ended = timeout(SECOND * 60, process.running)
        .await
        .expect("it does not wait");
    let error = ended.expect("no panic").expect_err("it is refused");
    assert_eq!(terms.lock().expect("no panic").len(), 0);
    assert_eq!(
        error.to_string(),
        "refused to contend for lease ns/l: it is one's"
    );
}

#[tokio::test(start_paused = true)]
async fn fault_73_another_clusters_lease_is_refused_held_or_not() {
    let server = Server::new();
    let one = Process::start_with(&server, "a", of_cluster("one"));
    until(&[&one], SECOND, || one.leads()).await;
    assert_refused(Process::start_with(&server, "b", of_cluster("two"))).await;
    let standby = Process::start_with(&server, "c", of_cluster("one"));
    pass(&[&one, &standby], SECOND * 60).await;
    assert_eq!((one.terms(), one.leads(), standby.terms()), (1, true, 0));
    standby
        .end()
        .await
        .expect("a standby of the same cluster is not refused");

    one.end().await.expect("the first is not refused");
    assert_eq!(server.holder("l"), None);
    assert_refused(Process::start_with(&server, "d", of_cluster("two"))).await;
    let again = Process::start_with(&server, "e", of_cluster("one"));
    until(&[&again], SECOND, || again.leads()).await;
}

#[tokio::test(start_paused = true)]
async fn fault_73_of_two_clusters_that_start_together_one_is_refused() {
    let server = Server::new();
    let one = Process::start_with(&server, "a", of_cluster("one"));
    let two = Process::start_with(&server, "b", of_cluster("two"));
    // Both have read that there is no Lease before either creates it.
    two.link.set(Mode::BeforeWrite(Duration::from_secs(1)));
    until(&[&one, &two], SECOND, || one.leads()).await;
    assert_refused(two).await;
    assert!(one.leads());
}

#[tokio::test(start_paused = true)]
async fn a_lease_has_a_live_record_only_while_somebody_renews_it() {
    let server = Server::new();
    let reader = server.link().client();
    let live = || live_record(reader.clone(), "ns", "l");
    assert_eq!(live().await.expect("it is readable"), None);
    let a = Process::start(&server, "a");
    until(&[&a], SECOND, || a.leads()).await;
    let start = Instant::now();
    let record = live().await.expect("it is readable").expect("it is live");
    assert_eq!(record.holder(), Some("a"));
    assert!(start.elapsed() <= SECOND * 3, "took {:?}", start.elapsed());
    a.kill().await;
    let start = Instant::now();
    assert_eq!(live().await.expect("it is readable"), None);
    assert!(start.elapsed() >= SECOND * 15, "took {:?}", start.elapsed());
    let b = Process::start(&server, "b");
    until(&[&b], SECOND * 20, || b.leads()).await;
    b.end().await.expect("nothing is refused");
    assert_eq!(live().await.expect("it is readable"), None);
    let link = server.link();
    link.set(Mode::Fail(403));
    let error = live_record(link.client(), "ns", "l")
        .await
        .expect_err("it is forbidden");
    assert_eq!(error.to_string(), "failed to read lease ns/l");
}

#[tokio::test(start_paused = true)]
async fn a_term_without_a_lease_ends_on_shutdown_only() {
    let term = Term::without_lease(sleep(SECOND * 60));
    let start = Instant::now();
    term.ended().await;
    assert_eq!(start.elapsed(), SECOND * 60);
    assert_eq!(term.fence().check(), Ok(()));
    term.ended().await;
}

#[test]
fn what_embedders_spawn_is_send() {
    fn send<T: Send + 'static>(_: impl FnOnce(Lease) -> T) {}
    send(|lease| lease.while_held(std::future::pending(), |term| term.ended()));
}
