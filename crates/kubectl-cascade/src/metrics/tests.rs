use std::time::SystemTime;

use kube_cascade::{
    Consumer, Delivery, Envelope, Kind, ObjectRef, Outcome, ParkReason, Parked, Queue,
    cascade::Refusal, memory::MemoryStore,
};

use super::*;
use crate::events::fake::Server;

/// The lines of one metric, without its help.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.encode();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let named = samples.filter(|line| line.split(['{', ' ']).next() == Some(name));
    let mut lines: Vec<_> = named.map(str::to_owned).collect();
    lines.sort();
    lines
}

fn deleted(metrics: &Metrics, answer: Answer) {
    let object = ObjectRef::new(Kind::new("", "ConfigMap"), None, "c");
    let notice = Notice::Deleted {
        object: &object,
        uid: "u",
        answer,
    };
    metrics.count("project", &notice);
}

/// Parks what terminates, for two reasons; everything else is done.
struct Parker;

impl Consumer for Parker {
    fn name(&self) -> &'static str {
        "project"
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, kube_cascade::ConsumeError> {
        let envelope = delivery.envelope();
        let reason = match envelope.id().as_str() {
            "live" => return Ok(Outcome::Done),
            "failing" => return Err(std::io::Error::other("failing").into()),
            "big-1" | "big-2" => ParkReason::LimitExceeded,
            _ => ParkReason::Forbidden,
        };
        Ok(Outcome::Park(Parked::new(reason, "remedy")))
    }
}

#[test]
fn what_is_told_is_counted_by_rule_and_closed_reason() {
    let metrics = Metrics::new();
    deleted(&metrics, Answer::Deleted);
    deleted(&metrics, Answer::Deleted);
    deleted(&metrics, Answer::Conflict);
    metrics.count("project", &Notice::Refused(&Refusal::UpstreamAlive));
    metrics.count("project", &Notice::Completed { deleted: 2 });
    assert_eq!(
        lines(&metrics, "kube_cascade_deletes_total"),
        [
            r#"kube_cascade_deletes_total{rule="project",answer="Conflict"} 1"#,
            r#"kube_cascade_deletes_total{rule="project",answer="Deleted"} 2"#,
        ]
    );
    assert_eq!(
        lines(&metrics, "kube_cascade_refused_total"),
        [r#"kube_cascade_refused_total{rule="project",reason="UpstreamAlive"} 1"#]
    );
    assert_eq!(
        lines(&metrics, "kube_cascade_completed_total"),
        [r#"kube_cascade_completed_total{rule="project"} 1"#]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_holds_is_read_at_the_scrape() {
    let metrics = Metrics::new();
    let store = MemoryStore::new();
    for id in ["live", "failing", "big-1", "big-2", "other"] {
        store.put(Envelope::new(
            id.parse().unwrap(),
            Some(SystemTime::UNIX_EPOCH),
        ));
    }
    let queue = Queue::builder(store.source())
        .consumer(Parker)
        .build()
        .unwrap();
    metrics.attach("project", queue.monitor());
    let monitor = queue.monitor();
    let settled = async move {
        let settled = |s: &Stats| s.parked().len() == 3 && s.failing() == 1 && s.running() == 0;
        monitor.until(settled).await;
    };
    queue.run(settled).await.unwrap();
    assert_eq!(
        lines(&metrics, "kube_cascade_parked"),
        [
            r#"kube_cascade_parked{rule="project",reason="Forbidden"} 1"#,
            r#"kube_cascade_parked{rule="project",reason="LimitExceeded"} 2"#,
        ]
    );
    for (name, value) in [
        ("kube_cascade_failing", 1),
        ("kube_cascade_upstreams", 5),
        ("kube_cascade_snapshots_total", 1),
        ("kube_cascade_malformed_total", 0),
        ("kube_cascade_completed_total", 0),
    ] {
        let line = format!("{name}{{rule=\"project\"}} {value}");
        assert_eq!(lines(&metrics, name), [line]);
    }
    assert_eq!(lines(&metrics, "kube_cascade_deletes_total").len(), 7);

    metrics.detach("project");
    assert!(lines(&metrics, "kube_cascade_upstreams").is_empty());
    assert!(lines(&metrics, "kube_cascade_parked").is_empty());
}

#[test]
fn orphans_are_as_they_were_set_until_the_rule_is_detached() {
    let metrics = Metrics::new();
    metrics.set_orphans("project", 7);
    assert_eq!(
        lines(&metrics, "kube_cascade_orphans"),
        [r#"kube_cascade_orphans{rule="project"} 7"#]
    );
    metrics.detach("project");
    assert!(lines(&metrics, "kube_cascade_orphans").is_empty());
}

#[test]
fn the_process_says_whether_it_leads_and_which_build_it_is() {
    let metrics = Metrics::new();
    assert_eq!(
        lines(&metrics, "kube_cascade_leader"),
        ["kube_cascade_leader 0"]
    );
    metrics.set_leader(true);
    assert_eq!(
        lines(&metrics, "kube_cascade_leader"),
        ["kube_cascade_leader 1"]
    );
    let build = lines(&metrics, "kube_cascade_build_info");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        build,
        [format!(
            "kube_cascade_build_info{{version=\"{version}\"}} 1"
        )]
    );
}

#[tokio::test]
async fn events_that_are_not_written_are_counted_over_all_recorders() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        let (recorder, publisher) = EventRecorder::new(Server::default().client(), "me".into());
        metrics.follow(&recorder);
        metrics.follow(&recorder);
        // Nobody is there to write it.
        drop(publisher);
        let object = ObjectRef::new(Kind::new("", "ConfigMap"), None, "c");
        let event = crate::events::Event::new(crate::events::Reason::Started, "");
        recorder.record(&object, None, event);
    }
    let full = r#"kube_cascade_events_dropped_total{reason="QueueFull"} 2"#;
    assert!(lines(&metrics, "kube_cascade_events_dropped_total").contains(&full.to_owned()));
}

#[tokio::test]
async fn every_metric_has_a_help_that_is_a_sentence_and_the_text_has_an_end() {
    let metrics = Metrics::new();
    let queue = Queue::builder(MemoryStore::new().source()).consumer(Parker);
    metrics.attach("project", queue.build().unwrap().monitor());
    deleted(&metrics, Answer::Deleted);
    metrics.set_orphans("project", 0);
    let text = metrics.encode();
    for line in text.lines().filter(|line| line.starts_with("# HELP")) {
        assert!(line.starts_with("# HELP kube_cascade_"), "{line}");
        assert!(line.ends_with('.') && !line.ends_with(".."), "{line}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}
