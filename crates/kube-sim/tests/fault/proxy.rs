//! What only a proxy does: sockets, headers of the connection, its own end.

use bytes::Bytes;
use futures::StreamExt;
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONNECTION, HOST},
};
use http_body_util::Full;
use kube_sim::fault::{Action, FaultProxy, Faults, Match, Outcome, Rule};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::bench::{BLUE, Bench, WATCH};

#[tokio::test]
async fn credentials_are_forwarded_and_headers_of_the_connection_are_not() {
    let bench = Bench::proxy().await;
    let request = Request::get(BLUE)
        .header(AUTHORIZATION, "Bearer t0ken")
        .header(CONNECTION, "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("x-end", "2")
        .body(Full::default())
        .expect("a valid request");
    bench.request(request).await.expect("an answer");
    let seen = &bench.server.seen()[0].headers;
    assert_eq!(seen[AUTHORIZATION], "Bearer t0ken");
    assert_eq!(seen["x-end"], "2");
    for name in ["connection", "x-hop", "te", HOST.as_str()] {
        assert!(!seen.contains_key(name), "{name} was forwarded");
    }
}

#[tokio::test]
async fn the_port_is_free_and_connections_end_when_the_proxy_is_dropped() {
    let mut bench = Bench::proxy().await;
    let _events = bench.server.events();
    let mut watch = bench
        .send(Method::GET, WATCH, "")
        .await
        .expect("an answer")
        .chunks();
    let proxy = bench.proxy.take().expect("a proxy");
    let address = proxy.address();
    drop(proxy);
    TcpListener::bind(address)
        .await
        .expect("the port is free at once");
    assert!(watch.next().await.expect("an error").is_err());
}

#[tokio::test]
async fn idle_connections_are_reset_when_the_server_goes_down() {
    let bench = Bench::proxy().await;
    let address = bench.proxy.as_ref().expect("a proxy").address();
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    idle.write_all(b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut buffer = [0; 1024];
    let read = idle.read(&mut buffer).await.expect("an answer");
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    bench.faults.down();
    // The rest of the answer may still be there.
    let end = loop {
        match idle.read(&mut buffer).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_server_that_fails_without_an_answer_resets_the_connection() {
    let faults = Faults::new();
    let broken = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<http::Response<Full<Bytes>>, _>(std::io::Error::other("no route"))
    });
    let proxy = FaultProxy::start(broken, &faults)
        .await
        .expect("a free port");
    let mut client = TcpStream::connect(proxy.address())
        .await
        .expect("a connection");
    client
        .write_all(b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let error = client.read(&mut [0; 16]).await.expect_err("no answer");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(faults.recorder().all()[0].outcome(), Outcome::Failed);
}

#[tokio::test]
async fn two_proxies_share_the_rules_of_one_handle() {
    let bench = Bench::proxy().await;
    let other = FaultProxy::start(bench.server.service::<Full<Bytes>>(), &bench.faults)
        .await
        .expect("a free port");
    assert!(other.url().starts_with("http://127.0.0.1:"));
    let rule = bench
        .faults
        .add(Rule::new(Match::any(), Action::reset_before()));
    let mut client = TcpStream::connect(other.address())
        .await
        .expect("a connection");
    client
        .write_all(b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    client.read(&mut [0; 16]).await.expect_err("a reset");
    bench.get().await.expect_err("a reset");
    assert_eq!(rule.fired(), 2);
}
