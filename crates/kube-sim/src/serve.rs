//! The server behind a socket, for clients in other processes such as `kubectl`.
//!
//! Plain HTTP/1.1, without authentication: bind it to a loopback address. Faults on the wire are
//! the business of [`FaultProxy`](crate::fault::FaultProxy), which takes a server, too.

use std::{convert::Infallible, io};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, ServiceExt as _, service_fn};

/// Serves until `shutdown` ends; then the watches end, and what else is being answered is answered
/// to its end.
pub(crate) async fn serve<S, B>(
    service: S,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let stopping = CancellationToken::new();
    let stopped = stopping.clone();
    let answer = service_fn(move |request: Request| {
        let (service, stopped) = (service.clone(), stopped.clone());
        async move {
            let answer = match service.oneshot(request).await {
                Ok(response) => response.map(|body| until(&stopped, Body::new(body))),
                Err(error) => failure(&error.into()),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    axum::serve(listener, tower::make::Shared::new(answer))
        .with_graceful_shutdown(async move {
            shutdown.await;
            stopping.cancel();
        })
        .await
}

/// The body, but a stream ends with the server: nobody could wait for the end of a watch.
fn until(stopped: &CancellationToken, body: Body) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let stopped = stopped.clone().cancelled_owned();
    Body::from_stream(body.into_data_stream().take_until(stopped))
}

fn failure(error: &BoxError) -> Response {
    tracing::warn!(%error, "failed to answer a request");
    let mut response = Response::new(Body::from(error.to_string()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use futures::stream;
    use http_body_util::BodyExt as _;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tokio::time::timeout;

    use super::*;

    /// A watch that says something and then waits, or an answer that is there at once.
    async fn api(request: Request) -> Result<Response<Body>, Infallible> {
        Ok(Response::new(match request.uri().path() {
            "/watch" => {
                let line = stream::iter([Ok::<_, Infallible>(Bytes::from("line\n"))]);
                Body::from_stream(line.chain(stream::pending()))
            }
            _ => Body::from("whole"),
        }))
    }

    #[tokio::test]
    async fn a_watch_ends_with_the_server_and_the_port_is_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(service_fn(api), listener, async {
            let _ = stopped.await;
        }));
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let get = |path: &str| client.get(format!("http://{address}{path}").parse().unwrap());
        let whole = get("/").await.unwrap();
        assert_eq!(whole.headers()[http::header::CONTENT_LENGTH], "5");
        let mut watch = get("/watch").await.unwrap().into_body();
        let line = watch.frame().await.unwrap().unwrap();
        assert_eq!(line.into_data().unwrap(), "line\n");
        stop.send(()).unwrap();
        let ended = timeout(Duration::from_secs(30), watch.frame()).await;
        assert!(ended.unwrap().is_none(), "the end of the stream");
        server.await.unwrap().unwrap();
        TcpListener::bind(address).await.unwrap();
    }
}
