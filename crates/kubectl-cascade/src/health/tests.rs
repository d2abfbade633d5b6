use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch, time::timeout};
use tower::ServiceExt as _;

use super::*;

/// What the path answers: status, media type and text.
async fn get_path(health: &Health, path: &str) -> (u16, String, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let router = router(health.clone(), Metrics::new());
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

async fn readyz(health: &Health) -> (u16, String) {
    let (status, _, text) = get_path(health, "/readyz").await;
    (status, text)
}

fn health() -> Health {
    Health::new(vec!["project".into(), "network".into()])
}

#[tokio::test]
async fn a_process_is_alive_before_it_is_ready() {
    let health = health();
    assert_eq!(get_path(&health, "/healthz").await.0, 200);
    let (status, text) = readyz(&health).await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "[-]lease failed: contending has not begun\nreadyz check failed\n"
    );
}

#[tokio::test]
async fn a_standby_is_ready_once_it_sees_the_lease() {
    let health = health();
    let (observed, receiver) = watch::channel(Observed::Unknown);
    health.leadership(receiver);
    assert_eq!(readyz(&health).await.0, 503);
    observed.send_replace(Observed::Standby {
        holder: Some("host-2".into()),
    });
    let (status, text) = readyz(&health).await;
    assert_eq!(status, 200);
    assert_eq!(
        text,
        "[+]lease ok (standby, host-2 leads)\nreadyz check passed\n"
    );
    observed.send_replace(Observed::Unknown);
    assert_eq!(readyz(&health).await.0, 503);
}

#[tokio::test]
async fn a_leader_is_ready_once_each_rule_is_snapshotted_or_degraded() {
    let health = health();
    let (_observed, receiver) = watch::channel(Observed::Leading);
    health.leadership(receiver);
    health.rule_snapshotted("project");
    let (status, text) = readyz(&health).await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "[+]lease ok (leading)\n\
         [-]rule network failed: its upstreams are not listed completely yet\n\
         [+]rule project ok\n\
         readyz check failed\n"
    );
    health.rule_degraded("network", "the kind\nis not served");
    let (status, text) = readyz(&health).await;
    assert_eq!(status, 200);
    let line = "[+]rule network ok (degraded: the kind is not served)\n";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn a_new_term_begins_unready() {
    let health = Health::new(vec!["project".into()]);
    health.no_lease();
    health.rule_snapshotted("project");
    assert_eq!(readyz(&health).await.0, 200);
    health.reset_rules();
    assert_eq!(readyz(&health).await.0, 503);
}

#[tokio::test]
async fn a_rule_that_is_not_served_changes_nothing() {
    let health = Health::new(Vec::new());
    health.no_lease();
    health.rule_degraded("unknown", "why");
    assert_eq!(
        readyz(&health).await.1,
        "[+]lease ok (leading without a lease)\nreadyz check passed\n"
    );
}

#[tokio::test]
async fn metrics_say_what_they_are_and_who_leads() {
    let health = health();
    health.no_lease();
    let (status, kind, text) = get_path(&health, "/metrics").await;
    assert_eq!(status, 200);
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(text.contains("\nkube_cascade_leader 1\n"), "{text}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    for path in ["/", "/debug", "/metrics/x", "/readyz/lease"] {
        assert_eq!(get_path(&health(), path).await.0, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_does_not_keep_the_process() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve(listener, health(), Metrics::new(), shutdown));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET /healthz HTTP/1.1\r\n")
        .await
        .unwrap();
    stop.send(()).unwrap();
    let ended = timeout(Duration::from_secs(60), server).await;
    ended.expect("it ends in time").unwrap().unwrap();
}
