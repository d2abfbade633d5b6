//! A little server, and both ways to put faults in front of it.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex},
    task::Poll,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, channel::mpsc, future::BoxFuture};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use kube_sim::fault::{FaultProxy, Faults};
use serde_json::Value;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

pub(crate) const LIST: &str = "/apis/a.example.com/v1/namespaces/region/networks";
pub(crate) const BLUE: &str = "/apis/a.example.com/v1/namespaces/region/networks/blue";
pub(crate) const WATCH: &str = "/apis/a.example.com/v1/networks?watch=1";
/// What the server answers to everything but watches.
pub(crate) const ANSWER: &str = r#"{"kind":"Network","metadata":{"name":"blue"}}"#;

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A request as it reached the server.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Answers each call with [`ANSWER`], and a watch with the events that the test sends.
#[derive(Clone, Default)]
pub(crate) struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    events: Arc<Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>>,
}

impl Server {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// What the next watch will send; dropped, the watch ends.
    pub(crate) fn events(&self) -> mpsc::UnboundedSender<Bytes> {
        let (sender, receiver) = mpsc::unbounded();
        *self.events.lock().expect("not poisoned") = Some(receiver);
        sender
    }

    pub(crate) fn service<B>(
        &self,
    ) -> impl Service<
        Request<B>,
        Response = Response<Body>,
        Error = BoxError,
        Future = BoxFuture<'static, Result<Response<Body>, BoxError>>,
    > + Clone
    + Send
    + 'static
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let server = self.clone();
        tower::service_fn(move |request: Request<B>| {
            let server = server.clone();
            let answer: BoxFuture<'static, _> =
                Box::pin(async move { server.answer(request).await });
            answer
        })
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Body>, BoxError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(Into::into)?.to_bytes();
        let watch = head
            .uri
            .query()
            .is_some_and(|query| query.contains("watch="));
        self.seen.lock().expect("not poisoned").push(Seen {
            method: head.method,
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body,
        });
        let body = if watch {
            let events = self.events.lock().expect("not poisoned").take();
            let events = events.expect("the test has prepared a watch");
            StreamBody::new(events.map(|event| Ok(Frame::data(event)))).boxed_unsync()
        } else {
            Full::new(Bytes::from_static(ANSWER.as_bytes()))
                .map_err(Into::into)
                .boxed_unsync()
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !watch {
            headers.insert(CONTENT_LENGTH, ANSWER.len().into());
        }
        Ok(response)
    }
}

/// A client, faults, and the server behind them.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) faults: Faults,
    pub(crate) server: Server,
    client: BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>,
    pub(crate) proxy: Option<Arc<FaultProxy>>,
}

impl Bench {
    pub(crate) fn layer() -> Self {
        Self::layer_with(Faults::new())
    }

    pub(crate) fn layer_with(faults: Faults) -> Self {
        let server = Server::default();
        let client = tower::Layer::layer(&faults.layer(), server.service());
        let client = client.map_response(|response| response.map(BodyExt::boxed_unsync));
        Self {
            faults,
            server,
            client: BoxCloneSyncService::new(client),
            proxy: None,
        }
    }

    pub(crate) async fn proxy() -> Self {
        let (faults, server) = (Faults::new(), Server::default());
        let proxy = FaultProxy::start(server.service::<Full<Bytes>>(), &faults)
            .await
            .expect("a free port");
        let url = proxy.url();
        // One connection a call and no retries, so that each fault is seen by its own call.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build_http::<Full<Bytes>>();
        let client = client
            .map_request(move |request: Request<Full<Bytes>>| at(&url, request))
            .map_response(|response| {
                response.map(|body| body.map_err(BoxError::from).boxed_unsync())
            })
            .map_err(BoxError::from);
        let client = BoxCloneSyncService::new(client);
        Self {
            faults,
            server,
            client,
            proxy: Some(Arc::new(proxy)),
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        uri: &str,
        body: &'static str,
    ) -> Result<Answered, BoxError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Full::new(Bytes::from(body)))?;
        self.request(request).await
    }

    pub(crate) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answered, BoxError> {
        let (head, body) = self.client.clone().oneshot(request).await?.into_parts();
        Ok(Answered {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    pub(crate) async fn get(&self) -> Result<Answered, BoxError> {
        self.send(Method::GET, BLUE, "").await
    }

    pub(crate) async fn delete(&self) -> Result<Answered, BoxError> {
        self.send(Method::DELETE, BLUE, r#"{"preconditions":{"uid":"1"}}"#)
            .await
    }

    /// Starts a call that the test will wait for later.
    pub(crate) fn spawn_delete(&self) -> tokio::task::JoinHandle<Result<Answered, BoxError>> {
        let bench = self.clone();
        tokio::spawn(async move { bench.delete().await })
    }
}

fn at(url: &str, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    *request.uri_mut() = format!("{url}{}", request.uri())
        .parse()
        .expect("a valid URI");
    request
}

/// Runs a test under a client and through a proxy.
pub(crate) async fn both(test: impl AsyncFn(Bench)) {
    test(Bench::layer()).await;
    test(Bench::proxy().await).await;
}

/// An answer whose body was not read yet.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
}

impl Answered {
    pub(crate) async fn text(self) -> Result<String, BoxError> {
        Ok(String::from_utf8(
            self.body.collect().await?.to_bytes().into(),
        )?)
    }

    pub(crate) async fn json(self) -> Value {
        let text = self.text().await.expect("a whole body");
        serde_json::from_str(&text).expect("a JSON body")
    }

    /// The body, chunk by chunk.
    pub(crate) fn chunks(self) -> impl Stream<Item = Result<Bytes, BoxError>> + Unpin {
        self.body.into_data_stream()
    }
}

/// Whether a client would find a connection reset in the chain of this error.
pub(crate) fn is_reset(error: &BoxError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether a future has still not ended when it is polled once more.
pub(crate) async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}
