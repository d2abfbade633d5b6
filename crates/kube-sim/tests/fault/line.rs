//! A server that cannot be reached.

use futures::StreamExt;
use http::{Method, StatusCode};
use kube_sim::fault::{Action, Answer, Gate, Match, Rule, Verb};

use crate::bench::{WATCH, both, is_reset};

#[tokio::test]
async fn a_server_that_is_down_resets_calls_and_watches_until_it_is_up() {
    both(async |bench| {
        let events = bench.server.events();
        let mut watch = bench
            .send(Method::GET, WATCH, "")
            .await
            .expect("an answer")
            .chunks();
        events
            .unbounded_send("{}\n".into())
            .expect("the watch runs");
        watch.next().await.expect("a chunk").expect("a good chunk");
        bench.faults.down();
        assert!(watch.next().await.expect("an error").is_err());
        assert!(watch.next().await.is_none());
        let error = bench.delete().await.expect_err("the server is down");
        assert!(is_reset(&error), "{error:?}");
        assert_eq!(bench.server.seen().len(), 1, "only the watch got through");
        bench.faults.up();
        bench.delete().await.expect("the server is up");
    })
    .await;
}

#[tokio::test]
async fn a_cut_ends_what_runs_and_lets_new_calls_through() {
    both(async |bench| {
        let _events = bench.server.events();
        let mut watch = bench
            .send(Method::GET, WATCH, "")
            .await
            .expect("an answer")
            .chunks();
        let gate = Gate::new();
        bench
            .faults
            .add(Rule::new(Match::verb(Verb::Delete), Action::gate(&gate)));
        let call = bench.spawn_delete();
        let held = gate.arrived().await;
        bench.faults.cut();
        assert!(watch.next().await.expect("an error").is_err());
        let error = call.await.expect("no panic").expect_err("the line was cut");
        assert!(is_reset(&error), "{error:?}");
        held.release();
        bench.get().await.expect("the server is reachable");
        assert_eq!(bench.faults.recorder().count(&Match::verb(Verb::Delete)), 1);
        assert_eq!(bench.faults.recorder().deletes()[0].forwarded(), 0);
    })
    .await;
}

#[tokio::test]
async fn rules_do_not_count_calls_to_a_server_that_is_down() {
    both(async |bench| {
        let busy = Answer::status(StatusCode::TOO_MANY_REQUESTS);
        let rule = bench
            .faults
            .add(Rule::new(Match::any(), Action::answer(busy)).first(1));
        bench.faults.down();
        bench.get().await.expect_err("the server is down");
        assert_eq!(rule.fired(), 0);
        bench.faults.up();
        let status = bench.get().await.expect("an answer").status;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}

#[tokio::test]
async fn a_hook_can_take_the_server_down_in_the_middle_of_a_call() {
    both(async |bench| {
        let faults = bench.faults.clone();
        let down = Action::after(move |_, _| {
            faults.down();
            async {}
        });
        bench.faults.add(Rule::new(Match::any(), down));
        let error = bench.delete().await.expect_err("the server went down");
        assert!(is_reset(&error), "{error:?}");
        assert_eq!(bench.server.seen().len(), 1);
        let recorded = &bench.faults.recorder().all()[0];
        assert_eq!(recorded.server_status(), Some(StatusCode::OK));
    })
    .await;
}
