use std::{
    io::{self, Write},
    num::NonZeroUsize,
};

use kube_cascade::{
    Kind,
    cascade::{Answer, Plan, Propagation, Seen, Summary},
};
use tracing::level_filters::LevelFilter;

use super::*;
use crate::events::fake::Server;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of some notices.
struct Told {
    lines: Vec<String>,
    notes: Vec<(String, String)>,
    server: Server,
}

impl Told {
    fn levels(&self) -> Vec<&str> {
        let levels = self.lines.iter().map(|l| l.split_whitespace().next());
        levels.map(Option::unwrap).collect()
    }
}

/// Tells of the project p1, and waits until every Event is written.
async fn tell(notices: &[Notice<'_>]) -> Told {
    let server = Server::default();
    let (recorder, publisher) = EventRecorder::new(server.client(), "host-1".into());
    let telemetry = Telemetry::new(recorder, Metrics::new());
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(LevelFilter::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for notice in notices {
            telemetry.observe(&subject(), notice);
        }
    });
    drop(telemetry);
    publisher.await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    Told {
        lines: text.lines().map(str::to_owned).collect(),
        notes: server.notes(),
        server,
    }
}

fn subject() -> Subject<'static> {
    let kind = Kind::new("identity.example.com", "Project");
    Subject {
        cascade: "project",
        upstream: Some(ObjectRef::new(kind, Some("tenants".into()), "p1")),
        uid: Some("u1"),
    }
}

fn summary() -> Summary {
    let kind = Kind::new("region.example.com", "Network");
    let seen = Seen {
        object: ObjectRef::new(kind, Some("region".into()), "n1"),
        uid: "n".into(),
        resource_version: "1".into(),
        terminating: false,
        propagation: Propagation::Foreground,
    };
    Plan::of([seen]).summary()
}

fn limit(matches: usize) -> Parked {
    let limit = NonZeroUsize::new(2).unwrap();
    let refusal = Refusal::LimitExceeded { matches, limit };
    Parked::new(ParkReason::LimitExceeded, refusal.to_string())
}

fn failed(attempted: usize) -> CascadeError {
    CascadeError::Delete {
        attempted,
        failed: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cascade_is_told_from_its_beginning_to_its_end() {
    let summary = summary();
    let told = tell(&[Notice::Started(&summary), Notice::Completed { deleted: 1 }]).await;
    assert_eq!(told.levels(), ["INFO", "INFO"]);
    let note = |reason: &str, note: &str| (reason.to_owned(), note.to_owned());
    assert_eq!(
        told.notes,
        [
            note(
                "CascadeCompleted",
                "rule project: nothing is left; objects deleted by this process: 1"
            ),
            note(
                "CascadeStarted",
                "rule project: deleting 1 Network.region.example.com"
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_stays_parked_is_a_warning_once_and_its_remedy_is_told() {
    let (parked, worse) = (limit(3), limit(4));
    let told = tell(&[
        Notice::Parked(&parked),
        Notice::Parked(&parked),
        Notice::Parked(&parked),
        Notice::Parked(&worse),
    ])
    .await;
    assert_eq!(told.levels(), ["WARN", "DEBUG", "DEBUG", "WARN"]);
    assert_eq!(told.notes.len(), 2);
    for text in [&told.lines[0], &told.notes[0].1] {
        assert!(text.contains("LimitExceeded: 3 objects match"), "{text}");
        assert!(text.contains("raise the rule's `limit`"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_parks_again_after_it_went_on_is_a_warning_again() {
    let (parked, summary) = (limit(3), summary());
    let told = tell(&[
        Notice::Parked(&parked),
        Notice::Started(&summary),
        Notice::Parked(&parked),
        Notice::Completed { deleted: 1 },
        Notice::Parked(&parked),
    ])
    .await;
    assert_eq!(told.levels(), ["WARN", "INFO", "WARN", "INFO", "WARN"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_a_warning_once() {
    let error = failed(3);
    let told = tell(&[Notice::Failed(&error), Notice::Failed(&error)]).await;
    assert_eq!(told.levels(), ["WARN", "DEBUG"]);
    assert_eq!(told.notes.len(), 1);
    assert_eq!(told.notes[0].0, "CascadeFailed");
    assert!(told.notes[0].1.contains("0 of 3 deletes failed"));
    assert!(told.notes[0].1.contains("tried again"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_names_who_needs_it() {
    let parked = Parked::new(ParkReason::Forbidden, "failed to list: forbidden");
    let told = tell(&[Notice::Parked(&parked)]).await;
    assert!(told.lines[0].contains("grant this to the controller's account"));
    assert!(
        told.notes[0]
            .1
            .contains("grant this to the controller's account")
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_says_what_would_be_deleted() {
    let summary = summary();
    let told = tell(&[Notice::Reported(&summary)]).await;
    assert_eq!(told.notes[0].0, "CascadeReported");
    assert!(told.notes[0].1.contains("would delete 1 Network"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_event_on_what_exists_only() {
    for (refusal, uid) in [
        (Refusal::UpstreamAlive, Some("u1")),
        (Refusal::UpstreamReplaced("u2".into()), Some("u2")),
        (Refusal::UpstreamUnknown, None),
        (Refusal::DeletionUnwitnessed, None),
    ] {
        let told = tell(&[Notice::Refused(&refusal)]).await;
        assert_eq!(told.levels(), ["WARN"], "{refusal:?}");
        let events = told.server.events();
        let found = events
            .first()
            .map(|e| e["regarding"]["uid"].as_str().unwrap());
        assert_eq!(found, uid, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_counted_and_neither_an_event_nor_another_line() {
    let object = subject().upstream.unwrap();
    let deleted = Notice::Deleted {
        object: &object,
        uid: "u",
        answer: Answer::Deleted,
    };
    let told = tell(&[deleted]).await;
    assert!(told.lines.is_empty() && told.notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn upstreams_of_other_systems_are_logged_and_get_no_event() {
    let server = Server::default();
    let (recorder, publisher) = EventRecorder::new(server.client(), "host-1".into());
    let telemetry = Telemetry::new(recorder, Metrics::new());
    let subject = Subject {
        cascade: "project",
        upstream: None,
        uid: None,
    };
    telemetry.observe(&subject, &Notice::Parked(&limit(3)));
    drop(telemetry);
    publisher.await;
    assert!(server.events().is_empty());
}

#[tokio::test]
async fn one_upstreams_repetition_is_no_others() {
    let (recorder, _publisher) = EventRecorder::new(Server::default().client(), "me".into());
    let telemetry = Telemetry::new(recorder, Metrics::new());
    let telling = || Telling::of(&Notice::Parked(&limit(3))).unwrap();
    assert!(telemetry.is_news(&subject(), &telling()));
    assert!(!telemetry.is_news(&subject(), &telling()));
    for other in [
        Subject {
            uid: Some("u2"),
            ..subject()
        },
        Subject {
            cascade: "another",
            ..subject()
        },
    ] {
        assert!(telemetry.is_news(&other, &telling()));
    }
}
