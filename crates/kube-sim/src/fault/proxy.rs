//! The same faults for clients in other processes: a reverse proxy on a loopback port.
//!
//! Owns the sockets; what happens to a call is the layer's business.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use http::{
    HeaderMap, HeaderName, Request, Response, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{body::FaultBody, faults::Faults};

/// A reverse proxy with [`Faults`], plain HTTP/1.1 on a free port of 127.0.0.1.
///
/// It forwards to a service that the caller gives, so it needs no TLS and no credentials of its
/// own. In front of a real API server that service is a client, `Client::try_default()`; here it is
/// one of an in-memory server:
///
/// ```
/// # use k8s_openapi::api::core::v1::Namespace;
/// # use kube_sim::{ApiServer, fault::{Action, Answer, FaultProxy, Faults, Match, Rule}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = kube::Client::new(ApiServer::new(), "default");
/// let upstream = tower::service_fn(move |request| {
///     let client = client.clone();
///     async move { client.send(request).await }
/// });
/// let faults = Faults::new();
/// faults.add(Rule::new(Match::any(), Action::reset_before()).first(1));
/// let proxy = FaultProxy::start(upstream, &faults).await?;
///
/// let mut config = kube::Config::new(proxy.url().parse()?);
/// config.default_retry = false;
/// let namespaces: kube::Api<Namespace> = kube::Api::all(config.try_into()?);
/// assert!(namespaces.get("default").await.is_err());
/// assert!(namespaces.get("default").await.is_ok());
/// # Ok(())
/// # }
/// ```
///
/// Whoever talks to the proxy is, for the API server, whom that client authenticates as. All
/// headers but those of the connection are forwarded, so for passing on the `Authorization` of
/// the caller give a client without credentials.
///
/// An injected reset is a real one (RST), and so is the failure of the service. A body that a
/// fault cuts ends without its end mark. Upgraded connections (`exec`, `attach`, `port-forward`)
/// are not supported.
///
/// # Guarantees
///
/// When this is dropped the port is free at once, and the connections end as soon as the runtime
/// gets to it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    listener: SharedListener,
    accepting: AbortHandle,
}

/// Empty once the proxy is dropped; the accepting task alone would free the port only when it is
/// next polled.
type SharedListener = Arc<Mutex<Option<TcpListener>>>;

impl FaultProxy {
    /// Starts a proxy in front of the service.
    ///
    /// # Errors
    ///
    /// When no loopback port can be bound.
    pub async fn start<S, ReqBody, ResBody>(service: S, faults: &Faults) -> io::Result<Self>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        ReqBody: Body<Data = Bytes> + From<Bytes> + Send + 'static,
        ReqBody::Error: Into<BoxError>,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Into<BoxError>,
    {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = bound.local_addr()?;
        let listener = Arc::new(Mutex::new(Some(bound)));
        let service = faults.layer().layer(service);
        let forward: Forward = Arc::new(move |head, body| {
            Box::pin(
                service
                    .clone()
                    .oneshot(Request::from_parts(head, ReqBody::from(body))),
            )
        });
        let accepting = tokio::spawn(accept_all(Arc::clone(&listener), forward, faults.clone()));
        Ok(Self {
            address,
            listener,
            accepting: accepting.abort_handle(),
        })
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for a client's or kubeconfig's `server`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.accepting.abort();
    }
}

/// The service under faults, whatever its types.
type Forward = Arc<
    dyn Fn(Parts, Bytes) -> BoxFuture<'static, Result<Response<FaultBody>, BoxError>> + Send + Sync,
>;

async fn accept_all(listener: SharedListener, forward: Forward, faults: Faults) {
    // Owned here, so that aborting this task ends the connections too.
    let mut connections = JoinSet::new();
    while let Some(accepted) = accept(&listener).await {
        match accepted {
            Ok(stream) => {
                connections.spawn(serve(stream, Arc::clone(&forward), faults.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be given back.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn accept(listener: &SharedListener) -> Option<io::Result<TcpStream>> {
    std::future::poll_fn(|cx| {
        match listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            None => Poll::Ready(None),
            Some(listener) => listener
                .poll_accept(cx)
                .map(|accepted| Some(accepted.map(|(stream, _)| stream))),
        }
    })
    .await
}

async fn serve(stream: TcpStream, forward: Forward, faults: Faults) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let unanswered = Arc::new(AtomicBool::new(false));
    let handler = service_fn(|request| {
        let (forward, unanswered) = (Arc::clone(&forward), Arc::clone(&unanswered));
        async move {
            let answer = answer(&forward, request).await;
            if answer.is_err() {
                unanswered.store(true, Ordering::Relaxed);
            }
            // A concrete error, because rustc cannot prove the boxed one `Send` in here.
            answer.map_err(io::Error::other)
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
    let reset = match select(pin!(faults.link().broken()), &mut connection).await {
        Either::Left(_) => true,
        Either::Right((ended, _)) => ended.is_err() && unanswered.load(Ordering::Relaxed),
    };
    if reset && let Err(error) = connection.into_parts().io.into_inner().set_zero_linger() {
        tracing::debug!(%error, "failed to reset a connection, which is closed instead");
    }
}

async fn answer(
    forward: &Forward,
    request: Request<Incoming>,
) -> Result<Response<FaultBody>, BoxError> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    remove_hop_by_hop(&mut head.headers);
    // Both are the business of the client that forwards.
    head.headers.remove(HOST);
    head.headers.remove(CONTENT_LENGTH);
    let mut response = forward(head, body).await?;
    remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    Ok(response)
}

/// RFC 9110, section 7.6.1: what a proxy must not forward.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in always.into_iter().chain(named) {
        headers.remove(name);
    }
}
