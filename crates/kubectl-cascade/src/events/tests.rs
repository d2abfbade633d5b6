use std::time::Duration;

use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    fake::{Mode, Server},
    *,
};

fn start(server: &Server) -> (EventRecorder, JoinHandle<()>) {
    let (recorder, publisher) = EventRecorder::new(server.client(), "host-1".into());
    (recorder, tokio::spawn(publisher))
}

fn project(namespace: Option<&str>) -> ObjectRef {
    let kind = Kind::new("identity.example.com", "Project");
    ObjectRef::new(kind, namespace.map(Into::into), "p1")
}

fn parked(message: &str) -> Event {
    Event::new(Reason::Parked, message)
}

#[tokio::test(start_paused = true)]
async fn an_event_says_what_kubectl_looks_for() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    let event = Event::new(Reason::Started, "deleting 3 Network");
    recorder.record(&project(Some("tenants")), Some("u1"), event);
    drop(recorder);
    publisher.await.unwrap();
    let [event] = &server.events()[..] else {
        panic!("one event");
    };
    assert_eq!(event["metadata"]["namespace"], "tenants");
    let regarding = json!({
        "apiVersion": "identity.example.com/v1", "kind": "Project", "namespace": "tenants",
        "name": "p1", "uid": "u1",
    });
    assert_eq!(event["regarding"], regarding);
    assert_eq!(event["reason"], "CascadeStarted");
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["note"], "deleting 3 Network");
    assert_eq!(event["reportingInstance"], "host-1");
}

#[tokio::test(start_paused = true)]
async fn an_event_about_a_cluster_scoped_object_is_in_the_default_namespace() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    recorder.record(&project(None), Some("u1"), parked("limit"));
    drop(recorder);
    publisher.await.unwrap();
    let events = server.events();
    assert_eq!(events[0]["metadata"]["namespace"], "default");
    assert_eq!(events[0]["regarding"].get("namespace"), None);
    assert_eq!(events[0]["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn without_discovery_only_the_api_version_is_missing() {
    let server = Server::default();
    server.set(Mode::NoDiscovery);
    let (recorder, publisher) = start(&server);
    recorder.record(&project(None), Some("u1"), parked("limit"));
    drop(recorder);
    publisher.await.unwrap();
    assert_eq!(server.events()[0]["regarding"].get("apiVersion"), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_for_an_hour_is_one_event_with_a_count_and_few_writes() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    for _ in 0..60 {
        recorder.record(&project(Some("tenants")), Some("u1"), parked("limit"));
        sleep(Duration::from_secs(60)).await;
    }
    drop(recorder);
    publisher.await.unwrap();
    let [event] = &server.events()[..] else {
        panic!("one event");
    };
    assert_eq!(event["series"]["count"], 56);
    assert!(event["series"]["lastObservedTime"].is_string());
    assert_eq!(server.writes(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_expired_is_written_anew() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    for _ in 0..2 {
        recorder.record(&project(Some("tenants")), Some("u1"), parked("limit"));
        sleep(Duration::from_secs(60)).await;
        server.expire();
        sleep(Duration::from_secs(300)).await;
    }
    recorder.record(&project(Some("tenants")), Some("u1"), parked("limit"));
    drop(recorder);
    publisher.await.unwrap();
    assert_eq!(server.events().len(), 1);
    assert_eq!(server.events()[0].get("series"), None);
}

#[tokio::test(start_paused = true)]
async fn other_objects_uids_reasons_and_messages_are_other_events() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    for (namespace, uid, event) in [
        ("a", "u1", parked("limit")),
        ("b", "u1", parked("limit")),
        ("a", "u2", parked("limit")),
        ("a", "u1", parked("namesake")),
        ("a", "u1", Event::new(Reason::Failed, "limit")),
    ] {
        recorder.record(&project(Some(namespace)), Some(uid), event);
    }
    drop(recorder);
    publisher.await.unwrap();
    assert_eq!(server.events().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_is_counted_and_not_hurried() {
    let server = Server::default();
    server.set(Mode::Forbid);
    let (recorder, publisher) = start(&server);
    for _ in 0..299 {
        recorder.record(&project(Some("tenants")), Some("u1"), parked("limit"));
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(server.writes(), 1);
    server.set(Mode::Up);
    sleep(Duration::from_secs(1)).await;
    recorder.record(&project(Some("tenants")), Some("u1"), parked("limit"));
    let drops = recorder.drops();
    drop(recorder);
    publisher.await.unwrap();
    assert_eq!(server.events().len(), 1);
    assert_eq!(drops.total(DropReason::WriteFailed), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_40_a_server_that_never_answers_blocks_nobody_and_loses_what_does_not_fit() {
    let server = Server::default();
    server.set(Mode::Stall);
    let (recorder, publisher) = start(&server);
    let started = Instant::now();
    for number in 0..2 * QUEUE {
        let event = parked(&number.to_string());
        recorder.record(&project(Some("tenants")), Some("u1"), event);
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    let drops = recorder.drops();
    assert_eq!(
        drops.total(DropReason::QueueFull),
        u64::try_from(QUEUE).unwrap()
    );
    sleep(Duration::from_secs(60)).await;
    assert!(drops.total(DropReason::WriteFailed) > 0);
    drop(recorder);
    publisher.await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(60) + DRAIN);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_server_does_not_keep_the_publisher_after_the_drain() {
    let server = Server::default();
    server.set(Mode::Stall);
    let (recorder, publisher) = start(&server);
    for number in 0..100 {
        recorder.record(&project(None), Some(&number.to_string()), parked("limit"));
    }
    let another = recorder.clone();
    drop(recorder);
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    drop(another);
    publisher.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), DRAIN.as_secs());
}

#[tokio::test(start_paused = true)]
async fn one_object_cannot_take_all_of_the_publisher() {
    let server = Server::default();
    let (recorder, publisher) = start(&server);
    for number in 0..100 {
        recorder.record(&project(None), Some("u1"), parked(&number.to_string()));
    }
    recorder.record(&project(None), Some("u2"), parked("limit"));
    let drops = recorder.drops();
    drop(recorder);
    publisher.await.unwrap();
    assert_eq!(server.events().len(), 26);
    assert_eq!(drops.total(DropReason::TooMany), 75);
}

#[test]
fn a_long_message_loses_its_middle_and_keeps_its_remedy() {
    for character in ["x", "é", "…", "𝕏"] {
        for offset in 0..4 {
            let begin = "y".repeat(offset);
            let message = format!("{begin}{}; raise the limit", character.repeat(2000));
            let event = parked(&message);
            let length = event.message().len();
            assert!((1000..=1024).contains(&length), "{length}");
            assert!(event.message().starts_with(&begin));
            assert!(event.message().ends_with("; raise the limit"));
        }
    }
    assert_eq!(parked(&"x".repeat(1024)).message(), "x".repeat(1024));
}

#[test]
fn an_event_has_a_valid_name_whatever_its_object_is_called() {
    let at = Timestamp::UNIX_EPOCH;
    let long = "é".repeat(253);
    for (object, expected) in [
        ("p1", "p1.0.7"),
        ("system:node", "system-node.0.7"),
        ("a.b", "a-b.0.7"),
        (":", "cascade.0.7"),
        (&long, "cascade.0.7"),
    ] {
        assert_eq!(event_name(object, at, 7), expected);
    }
    assert!(event_name(&"x".repeat(253), Timestamp::MAX, u64::MAX).len() <= 253);
}
