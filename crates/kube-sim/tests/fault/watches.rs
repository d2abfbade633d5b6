//! What can happen to the events of a watch.

use futures::StreamExt;
use http::{Method, StatusCode};
use kube_sim::fault::{Action, Answer, Match, Rule};
use serde_json::{Value, json};

use crate::bench::{Bench, WATCH, both, is_pending};

fn event(kind: &str, name: &str) -> String {
    format!(
        "{}\n",
        json!({"type": kind, "object": {"metadata": {"name": name}}})
    )
}

/// How a watch went: the names of its events (of an ERROR, its code), and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Course(Vec<String>, End);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Clean,
    Lost,
    Silent,
}

/// The server sends a, a bookmark, b and c (b in two pieces), and then waits.
async fn watch(bench: &Bench, silent_after: Option<usize>) -> Course {
    let events = bench.server.events();
    let (b, c) = (event("ADDED", "b"), event("DELETED", "c"));
    let (b_start, b_end) = b.split_at(20);
    let parts = [
        event("ADDED", "a") + &event("BOOKMARK", "mark") + b_start,
        b_end.to_owned() + &c,
    ];
    let mut chunks = bench
        .send(Method::GET, WATCH, "")
        .await
        .expect("an answer")
        .chunks();
    for part in parts {
        // A fault may have ended the stream already, and with it the receiver.
        let _ = events.unbounded_send(part.into());
    }
    let mut received = String::new();
    let end = loop {
        if silent_after == Some(names(&received).len()) {
            assert!(is_pending(&mut chunks.next()).await);
            break End::Silent;
        }
        match chunks.next().await {
            Some(Ok(chunk)) => received += std::str::from_utf8(&chunk).expect("UTF-8"),
            Some(Err(_)) => break End::Lost,
            None => break End::Clean,
        }
    };
    Course(names(&received), end)
}

fn names(received: &str) -> Vec<String> {
    received
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| {
            let event: Value = serde_json::from_str(line).expect("an event");
            match event["type"].as_str() {
                Some("ERROR") => event["object"]["code"].to_string(),
                _ => event["object"]["metadata"]["name"]
                    .as_str()
                    .expect("a name")
                    .to_owned(),
            }
        })
        .collect()
}

#[tokio::test]
async fn a_watch_loses_events_or_ends_as_the_rule_says() {
    let drop_b =
        || Action::edit_events(|event| event["object"]["metadata"]["name"].as_str() != Some("b"));
    let rename = || {
        Action::edit_events(|event| {
            event["object"]["metadata"]["name"] = "x".into();
            true
        })
    };
    let rows: Vec<(Option<Action>, &[&str], End)> = vec![
        (None, &["a", "mark", "b", "c"], End::Silent),
        (
            Some(Action::drop_event(1)),
            &["mark", "b", "c"],
            End::Silent,
        ),
        (
            Some(Action::drop_event(2)),
            &["a", "mark", "c"],
            End::Silent,
        ),
        (
            Some(Action::swap_event(1)),
            &["mark", "b", "a", "c"],
            End::Silent,
        ),
        (
            Some(Action::swap_event(2)),
            &["a", "mark", "c", "b"],
            End::Silent,
        ),
        (
            Some(Action::swap_event(3)),
            &["a", "mark", "b"],
            End::Silent,
        ),
        (Some(drop_b()), &["a", "mark", "c"], End::Silent),
        (Some(rename()), &["x", "x", "x", "x"], End::Silent),
        (Some(Action::cut_watch(2)), &["a", "mark", "b"], End::Lost),
        (Some(Action::cut_watch(0)), &[], End::Lost),
        (Some(Action::end_watch(2)), &["a", "mark", "b"], End::Clean),
        (
            Some(Action::expire_watch(2)),
            &["a", "mark", "b", "410"],
            End::Clean,
        ),
        (Some(Action::expire_watch(0)), &["410"], End::Clean),
        (Some(Action::mute_watch(1)), &["a"], End::Silent),
    ];
    for (action, expected, end) in rows {
        both(async |bench| {
            if let Some(action) = &action {
                bench.faults.add(Rule::new(Match::any(), action.clone()));
            }
            let silent_after = (end == End::Silent).then_some(expected.len());
            let course = watch(&bench, silent_after).await;
            let names = expected.iter().map(ToString::to_string).collect();
            assert_eq!(course, Course(names, end), "{action:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_refused_watch_is_not_edited() {
    both(async |bench| {
        let gone = Answer::status(StatusCode::GONE);
        bench
            .faults
            .add(Rule::new(Match::any(), Action::expire_watch(0)));
        bench
            .faults
            .add(Rule::new(Match::any(), Action::answer(gone)));
        let answer = bench.send(Method::GET, WATCH, "").await.expect("an answer");
        assert_eq!(answer.status, StatusCode::GONE);
        assert_eq!(answer.json().await["reason"], "Expired");
    })
    .await;
}

#[tokio::test]
async fn events_pass_one_by_one_as_the_server_sends_them() {
    both(async |bench| {
        // A rule that edits must not buffer either.
        bench
            .faults
            .add(Rule::new(Match::any(), Action::drop_event(9)));
        let events = bench.server.events();
        let mut chunks = bench
            .send(Method::GET, WATCH, "")
            .await
            .expect("an answer")
            .chunks();
        for name in ["a", "b", "c"] {
            let event = event("ADDED", name);
            events
                .unbounded_send(event.clone().into())
                .expect("the watch runs");
            let chunk = chunks.next().await.expect("a chunk").expect("a good chunk");
            assert_eq!(chunk, event);
        }
        drop(events);
        assert!(chunks.next().await.is_none());
    })
    .await;
}
