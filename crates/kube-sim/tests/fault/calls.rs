//! What can happen to a single call.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::Full;
use kube_sim::fault::{Action, Answer, Faults, Gate, Match, Outcome, Recorded, Rule, Verb};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::bench::{ANSWER, BLUE, Bench, LIST, both, is_pending, is_reset};

#[tokio::test]
async fn calls_that_no_rule_matches_pass_unchanged() {
    both(async |bench| {
        let rule = Rule::new(Match::verb(Verb::Delete), Action::reset_before());
        let rule = bench.faults.add(rule);
        let answer = bench
            .send(Method::PUT, BLUE, r#"{"a":1}"#)
            .await
            .expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        assert_eq!(answer.text().await.expect("a body"), ANSWER);
        assert_eq!(rule.fired(), 0);
        let seen = bench.server.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (&seen[0].method, seen[0].path.as_str()),
            (&Method::PUT, BLUE)
        );
        assert_eq!(seen[0].body, r#"{"a":1}"#);
    })
    .await;
}

#[tokio::test]
async fn a_status_answer_looks_like_the_api_servers_and_the_server_sees_nothing() {
    both(async |bench| {
        let busy = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(32);
        bench
            .faults
            .add(Rule::new(Match::any(), Action::answer(busy)));
        let answer = bench.delete().await.expect("an answer");
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers[RETRY_AFTER], "32");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        let status = answer.json().await;
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["status"], "Failure");
        assert_eq!(status["reason"], "TooManyRequests");
        assert_eq!(status["code"], 429);
        assert_eq!(status["details"]["retryAfterSeconds"], 32);
        assert!(bench.server.seen().is_empty());
        let recorded = bench.faults.recorder().all();
        assert_eq!(recorded[0].forwarded(), 0);
        assert_eq!(
            recorded[0].outcome(),
            Outcome::Answered(StatusCode::TOO_MANY_REQUESTS)
        );
    })
    .await;
}

#[tokio::test]
async fn an_answer_can_have_any_reason_header_and_body() {
    let forbidden = StatusCode::FORBIDDEN;
    let retried = HeaderName::from_static("x-retried");
    let rows = [
        (
            Answer::status(forbidden)
                .reason("Denied")
                .message("by a webhook"),
            "application/json",
            r#""reason":"Denied""#,
        ),
        (
            Answer::text(forbidden, "404 page not found"),
            "text/plain; charset=utf-8",
            "404 page",
        ),
        (
            Answer::html(forbidden, "<html></html>"),
            "text/html",
            "<html></html>",
        ),
        (
            Answer::json(forbidden, &serde_json::json!({"items": []})),
            "application/json",
            r#"{"items":[]}"#,
        ),
        (
            Answer::raw(forbidden, "application/yaml", "a: 1"),
            "application/yaml",
            "a: 1",
        ),
    ];
    for (answer, content_type, part) in rows {
        let answer = answer.header(retried.clone(), HeaderValue::from_static("no"));
        both(async |bench| {
            bench
                .faults
                .add(Rule::new(Match::any(), Action::answer(answer.clone())));
            let answered = bench.get().await.expect("an answer");
            assert_eq!(answered.status, forbidden);
            assert_eq!(answered.headers[CONTENT_TYPE], content_type);
            assert_eq!(answered.headers[&retried], "no");
            let text = answered.text().await.expect("a body");
            assert!(text.contains(part), "{text}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_reset_before_is_not_seen_by_the_server() {
    both(async |bench| {
        bench
            .faults
            .add(Rule::new(Match::any(), Action::reset_before()).first(1));
        let error = bench.delete().await.expect_err("a reset");
        assert!(is_reset(&error), "{error:?}");
        assert!(bench.server.seen().is_empty());
        assert_eq!(bench.faults.recorder().all()[0].outcome(), Outcome::Reset);
        bench.delete().await.expect("the second call passes");
    })
    .await;
}

#[tokio::test]
async fn a_reset_after_loses_the_answer_of_a_call_that_the_server_has_carried_out() {
    both(async |bench| {
        bench
            .faults
            .add(Rule::new(Match::any(), Action::reset_after()));
        let error = bench.delete().await.expect_err("a reset");
        assert!(is_reset(&error), "{error:?}");
        assert_eq!(bench.server.seen().len(), 1);
        let recorded = &bench.faults.recorder().all()[0];
        assert_eq!(recorded.outcome(), Outcome::Reset);
        assert_eq!(recorded.server_status(), Some(StatusCode::OK));
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_in_silence_has_been_carried_out() {
    both(async |bench| {
        let rule = Rule::new(Match::verb(Verb::Delete), Action::stall_after());
        let stalled = bench.faults.add(rule);
        let mut call = bench.spawn_delete();
        stalled.until_fired(1).await;
        bench.get().await.expect("another call passes");
        assert!(is_pending(&mut call).await);
        let recorded = bench.faults.recorder().deletes();
        assert_eq!(recorded[0].outcome(), Outcome::Pending);
        assert_eq!(recorded[0].server_status(), Some(StatusCode::OK));
        bench.faults.cut();
        let error = call.await.expect("no panic").expect_err("the line was cut");
        assert!(is_reset(&error), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stalled_call_is_accepted_and_stays_unanswered_while_others_pass() {
    both(async |bench| {
        let stalled = Rule::new(Match::verb(Verb::Delete), Action::stall());
        let stalled = bench.faults.add(stalled);
        let mut call = bench.spawn_delete();
        stalled.until_fired(1).await;
        bench.get().await.expect("another call passes");
        assert!(is_pending(&mut call).await);
        assert_eq!(
            bench.faults.recorder().deletes()[0].outcome(),
            Outcome::Pending
        );
        assert_eq!(bench.server.seen().len(), 1);
        bench.faults.cut();
        let error = call.await.expect("no panic").expect_err("the line was cut");
        assert!(is_reset(&error), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_the_server_does_not_answer_does_not_hold_others() {
    let server = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        if request.method() == Method::DELETE {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let faults = Faults::new();
    let service = faults.layer().layer(server);
    let request = |method| {
        Request::builder()
            .method(method)
            .uri(BLUE)
            .body(Full::default())
    };
    let delete = request(Method::DELETE).expect("a valid request");
    let mut slow = service.clone().oneshot(delete);
    assert!(is_pending(&mut slow).await);
    assert_eq!(faults.recorder().deletes()[0].forwarded(), 1);
    let get = request(Method::GET).expect("a valid request");
    service.oneshot(get).await.expect("an answer");
}

#[tokio::test(start_paused = true)]
async fn delays_take_the_time_they_say_before_and_after_the_server() {
    let bench = Bench::layer();
    let before = Rule::new(Match::any(), Action::delay(Duration::from_secs(30)));
    let after = Rule::new(Match::any(), Action::delay_after(Duration::from_secs(12)));
    bench.faults.add(before);
    bench.faults.add(after);
    let start = Instant::now();
    bench.get().await.expect("an answer");
    assert_eq!(start.elapsed(), Duration::from_secs(42));
}

#[tokio::test(start_paused = true)]
async fn latency_is_drawn_from_its_range_twice_for_each_call_and_the_same_for_one_seed() {
    let took = async |seed: u64| {
        let bench = Bench::layer_with(Faults::seeded(seed));
        let range = Duration::from_millis(10)..Duration::from_millis(50);
        bench
            .faults
            .add(Rule::new(Match::any(), Action::latency(range)));
        let mut took = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            bench.get().await.expect("an answer");
            took.push(start.elapsed());
        }
        took
    };
    let one = took(1).await;
    assert_eq!(one, took(1).await);
    assert_ne!(one, took(2).await);
    // Timers round up to the next millisecond.
    let possible = Duration::from_millis(20)..Duration::from_millis(103);
    assert!(one.iter().all(|time| possible.contains(time)), "{one:?}");
}

#[tokio::test]
async fn a_truncated_body_ends_early_as_the_rule_says() {
    both(async |bench| {
        bench
            .faults
            .add(Rule::new(Match::any(), Action::truncate(10)));
        let text = bench.get().await.expect("an answer").text().await;
        assert_eq!(text.expect("a clean end"), ANSWER[..10]);
        bench.faults.clear();

        bench
            .faults
            .add(Rule::new(Match::any(), Action::truncate_and_reset(10)));
        let mut chunks = bench.get().await.expect("an answer").chunks();
        let kept = chunks.next().await.expect("a chunk").expect("a good chunk");
        assert_eq!(kept, ANSWER[..10]);
        assert!(chunks.next().await.expect("an error").is_err());
        bench.faults.clear();

        bench
            .faults
            .add(Rule::new(Match::any(), Action::truncate_and_stall(10)));
        let mut chunks = bench.get().await.expect("an answer").chunks();
        let kept = chunks.next().await.expect("a chunk").expect("a good chunk");
        assert_eq!(kept, ANSWER[..10]);
        assert!(is_pending(&mut chunks.next()).await);
        bench.faults.down();
        assert!(chunks.next().await.expect("an error").is_err());
    })
    .await;
}

#[tokio::test]
async fn an_answer_can_be_edited() {
    both(async |bench| {
        let edit = Action::edit_json(|document| document["metadata"]["continue"] = "next".into());
        bench.faults.add(Rule::new(Match::any(), edit));
        let document = bench.get().await.expect("an answer").json().await;
        assert_eq!(document["metadata"]["continue"], "next");
        assert_eq!(document["metadata"]["name"], "blue");
    })
    .await;
}

#[tokio::test]
async fn a_replayed_request_reaches_the_server_twice_with_the_same_bytes() {
    both(async |bench| {
        bench
            .faults
            .add(Rule::new(Match::verb(Verb::Delete), Action::replay()));
        bench.delete().await.expect("an answer");
        let seen = bench.server.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].body, seen[1].body);
        assert_eq!(seen[0].path, seen[1].path);
        let recorded = bench.faults.recorder().deletes();
        assert_eq!((recorded.len(), recorded[0].forwarded()), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_gate_holds_a_call_between_two_others_until_the_test_has_acted() {
    both(async |bench| {
        let gate = Gate::new();
        bench
            .faults
            .add(Rule::new(Match::verb(Verb::Delete), Action::gate(&gate)));
        bench.send(Method::GET, LIST, "").await.expect("an answer");
        let call = bench.spawn_delete();
        let held = gate.arrived().await;
        assert_eq!(held.call().name(), Some("blue"));
        bench
            .send(Method::PUT, BLUE, "{}")
            .await
            .expect("the world changes");
        held.release();
        call.await.expect("no panic").expect("an answer");
        let methods: Vec<Method> = bench
            .server
            .seen()
            .into_iter()
            .map(|seen| seen.method)
            .collect();
        assert_eq!(methods, [Method::GET, Method::PUT, Method::DELETE]);
    })
    .await;
}

#[tokio::test]
async fn a_gate_after_holds_the_answer_of_a_call_that_the_server_has_carried_out() {
    both(async |bench| {
        let gate = Gate::new();
        bench.faults.add(Rule::new(
            Match::verb(Verb::Delete),
            Action::gate_after(&gate),
        ));
        let mut call = bench.spawn_delete();
        let held = gate.arrived().await;
        assert_eq!(bench.server.seen().len(), 1);
        assert!(is_pending(&mut call).await);
        held.release();
        assert_eq!(
            call.await.expect("no panic").expect("an answer").status,
            StatusCode::OK
        );
    })
    .await;
}

#[tokio::test]
async fn a_gate_hands_calls_out_in_order_and_lets_all_go_once_it_is_open() {
    let bench = Bench::layer();
    let gate = Gate::new();
    bench
        .faults
        .add(Rule::new(Match::any(), Action::gate(&gate)));
    let calls = [
        bench.spawn_delete(),
        bench.spawn_delete(),
        bench.spawn_delete(),
    ];
    let first = gate.arrived().await;
    let second = gate.arrived().await;
    assert_eq!((first.call().number(), second.call().number()), (1, 2));
    assert_eq!(gate.waiting(), 1);
    second.release();
    bench.faults.recorder().until_ended(&Match::any(), 1).await;
    let outcomes: Vec<Outcome> = bench
        .faults
        .recorder()
        .all()
        .iter()
        .map(Recorded::outcome)
        .collect();
    let answered = Outcome::Answered(StatusCode::OK);
    assert_eq!(outcomes, [Outcome::Pending, answered, Outcome::Pending]);
    gate.open();
    bench.delete().await.expect("an open gate holds nothing");
    drop(first);
    for call in calls {
        call.await.expect("no panic").expect("an answer");
    }
    gate.close();
    let mut call = bench.spawn_delete();
    let _held = gate.arrived().await;
    assert!(is_pending(&mut call).await);
}

#[tokio::test]
async fn a_client_that_gives_up_is_recorded_and_its_call_is_not_sent() {
    both(async |bench| {
        let gate = Gate::new();
        bench
            .faults
            .add(Rule::new(Match::any(), Action::gate(&gate)));
        let call = bench.spawn_delete();
        let held = gate.arrived().await;
        call.abort();
        let ended = bench.faults.recorder().until_ended(&Match::any(), 1).await;
        assert_eq!(ended[0].outcome(), Outcome::Abandoned);
        held.release();
        assert!(bench.server.seen().is_empty());
    })
    .await;
}

#[tokio::test]
async fn hooks_run_before_the_call_is_sent_and_after_its_answer() {
    both(async |bench| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (server, before) = (bench.server.clone(), Arc::clone(&log));
        bench.faults.add(Rule::new(
            Match::any(),
            Action::before(move |call| {
                let entry = format!("before {call}, seen {}", server.seen().len());
                before.lock().expect("not poisoned").push(entry);
                async {}
            }),
        ));
        let (server, after) = (bench.server.clone(), Arc::clone(&log));
        bench.faults.add(Rule::new(
            Match::any(),
            Action::after(move |_, status| {
                let entry = format!("after {status:?}, seen {}", server.seen().len());
                after.lock().expect("not poisoned").push(entry);
                async {}
            }),
        ));
        bench.delete().await.expect("an answer");
        let log = log.lock().expect("not poisoned").clone();
        assert_eq!(
            log,
            [
                format!("before #1 DELETE {BLUE}, seen 0"),
                "after Some(200), seen 1".to_owned()
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_crash_can_be_put_before_and_after_every_call() {
    both(async |bench| {
        for nth in 1..=3 {
            for sent in [nth - 1, nth] {
                let crashes = Arc::new(AtomicU64::new(0));
                let counter = Arc::clone(&crashes);
                let crash = move || {
                    counter.fetch_add(1, Ordering::Relaxed);
                    async {}
                };
                let (hook, fate) = if sent < nth {
                    (Action::before(move |_| crash()), Action::reset_before())
                } else {
                    (Action::after(move |_, _| crash()), Action::reset_after())
                };
                bench.faults.clear();
                bench.faults.add(Rule::new(Match::any(), hook).nth(nth));
                bench.faults.add(Rule::new(Match::any(), fate).nth(nth));
                let already = bench.server.seen().len();
                for call in 1..=nth {
                    assert_eq!(bench.delete().await.is_err(), call == nth);
                }
                assert_eq!(crashes.load(Ordering::Relaxed), 1);
                let reached = u64::try_from(bench.server.seen().len() - already);
                assert_eq!(reached.expect("a small number"), sent);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn rules_that_decide_follow_each_other_and_can_be_removed() {
    both(async |bench| {
        let fail = |status| Action::answer(Answer::status(status));
        let (internal, timeout) = (
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::GATEWAY_TIMEOUT,
        );
        bench
            .faults
            .add(Rule::new(Match::any(), fail(internal)).first(1));
        bench
            .faults
            .add(Rule::new(Match::any(), fail(timeout)).first(1));
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let last = bench.faults.add(Rule::new(Match::any(), fail(unavailable)));
        for expected in [internal, timeout, unavailable] {
            assert_eq!(bench.get().await.expect("an answer").status, expected);
        }
        last.remove();
        assert_eq!(bench.get().await.expect("an answer").status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn the_recorder_shows_the_bytes_of_each_delete_and_tells_writes_from_reads() {
    both(async |bench| {
        bench.get().await.expect("an answer");
        bench.send(Method::GET, LIST, "").await.expect("an answer");
        bench
            .send(Method::GET, "/version", "")
            .await
            .expect("an answer");
        bench
            .send(Method::DELETE, &format!("{BLUE}?dryRun=All"), "")
            .await
            .expect("an answer");
        let recorder = bench.faults.recorder();
        assert_eq!(recorder.writes().len(), 0);
        assert_eq!(recorder.deletes().len(), 1);
        recorder.clear();
        assert!(recorder.deletes().is_empty(), "no DELETE was sent");

        bench.delete().await.expect("an answer");
        bench
            .send(Method::DELETE, LIST, "")
            .await
            .expect("an answer");
        let deletes = recorder.deletes();
        assert_eq!(deletes[0].call().body(), r#"{"preconditions":{"uid":"1"}}"#);
        assert_eq!(deletes[1].call().verb(), Verb::DeleteCollection);
        assert_eq!(
            recorder.count(&Match::any().namespace("region").name("blue")),
            1
        );
        assert_eq!(recorder.writes().len(), 2);
        assert_eq!(deletes[0].outcome(), Outcome::Answered(StatusCode::OK));
    })
    .await;
}
