//! Carries out what the rules say, around any HTTP service.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use http::{Request, Response, header::CONTENT_LENGTH, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{
    action::{Action, Kind},
    body::{BoxBody, FaultBody, boxed},
    call::Call,
    faults::{Admitted, Faults},
    link,
    record::{Outcome, Ticket},
};

/// Puts [`Faults`] on top of an HTTP service, for instance under `kube::Client`.
///
/// It knows no client: request bodies only have to be made from bytes, and the answers' bodies
/// become [`FaultBody`]. With `kube`, `ClientBuilder::with_layer(&faults.layer())` puts it on top
/// of the whole stack, so what `kube` retries by itself passes below it; a
/// [`FaultProxy`](super::FaultProxy) sees every attempt.
#[derive(Clone, Debug)]
pub struct FaultLayer {
    faults: Faults,
}

impl FaultLayer {
    /// A layer that asks these faults.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults }
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService {
            faults: self.faults.clone(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }
}

/// A service under [`Faults`]; clones share the one service below.
///
/// It is always ready, because a call that a fault holds must not hold others: the service below
/// is waited for when a call is forwarded.
#[derive(Debug)]
pub struct FaultService<S> {
    faults: Faults,
    inner: Arc<Mutex<S>>,
}

impl<S> Clone for FaultService<S> {
    fn clone(&self) -> Self {
        Self {
            faults: self.faults.clone(),
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for FaultService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqBody: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<FaultBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<FaultBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let faults = self.faults.clone();
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            let send = move |head, body| -> Sending {
                let inner = Arc::clone(&inner);
                let request = Request::from_parts(head, ReqBody::from(body));
                Box::pin(async move {
                    let mut service = inner.lock().await;
                    let answer = service.ready().await.map_err(Into::into)?.call(request);
                    // Others may send while this one waits for its answer.
                    drop(service);
                    Ok(answer.await.map_err(Into::into)?.map(boxed))
                })
            };
            pass(&faults, head, body, &send).await
        })
    }
}

/// Sends a request to the service below.
type SendRequest<'a> = &'a (dyn Fn(Parts, Bytes) -> Sending + Send + Sync);

type Sending = BoxFuture<'static, Result<Response<BoxBody>, BoxError>>;

async fn pass(
    faults: &Faults,
    head: Parts,
    body: Bytes,
    send: SendRequest<'_>,
) -> Result<Response<FaultBody>, BoxError> {
    let mut broken: BoxFuture<'static, ()> = Box::pin(faults.link().broken());
    let Admitted {
        call,
        actions,
        ticket,
    } = faults.admit(&head, body.clone());
    let exchange = Exchange {
        call,
        actions: &actions,
        ticket: &ticket,
    };
    // The line is polled first, so that nothing is sent on one that is down.
    let result = match select(&mut broken, pin!(exchange.run(head, body, send))).await {
        Either::Left(_) => Err(Failure::Reset),
        // A hook may have taken the line down in the very poll that ended the exchange.
        Either::Right((result, broken)) => match broken.now_or_never() {
            Some(()) => Err(Failure::Reset),
            None => result,
        },
    };
    match result {
        Ok(response) => {
            ticket.end(Outcome::Answered(response.status()));
            Ok(response.map(|body| FaultBody::new(body, broken)))
        }
        Err(Failure::Reset) => {
            ticket.end(Outcome::Reset);
            Err(link::reset())
        }
        Err(Failure::Server(error)) => {
            ticket.end(Outcome::Failed);
            Err(error)
        }
    }
}

/// Why a call has no answer.
enum Failure {
    Reset,
    Server(BoxError),
}

/// One call under the actions that take part in it.
struct Exchange<'a> {
    call: Arc<Call>,
    actions: &'a [Action],
    ticket: &'a Ticket,
}

impl Exchange<'_> {
    async fn run(
        &self,
        head: Parts,
        body: Bytes,
        send: SendRequest<'_>,
    ) -> Result<Response<BoxBody>, Failure> {
        let result = match self.before().await {
            Some(decided) => decided,
            None => self.forward(head, body, send).await,
        };
        let response = self.after(result).await?;
        Ok(self.edit(response))
    }

    /// Everything up to the forwarding; something if a fault has decided instead of the server.
    async fn before(&self) -> Option<Result<Response<BoxBody>, Failure>> {
        for action in self.actions {
            match &action.0 {
                Kind::DelayBefore(time) => tokio::time::sleep(*time).await,
                Kind::GateBefore(gate) => gate.pass(&self.call).await,
                Kind::Before(hook) => hook(Arc::clone(&self.call)).await,
                Kind::Answer(answer) => {
                    return Some(Ok(answer.response().map(|body| boxed(Full::new(body)))));
                }
                Kind::ResetBefore => return Some(Err(Failure::Reset)),
                Kind::Stall => std::future::pending().await,
                // A latency has become two delays when it was drawn.
                Kind::Latency(_)
                | Kind::Replay
                | Kind::ResetAfter
                | Kind::StallAfter
                | Kind::DelayAfter(_)
                | Kind::GateAfter(_)
                | Kind::After(_)
                | Kind::Body(_)
                | Kind::Events(_) => {}
            }
        }
        None
    }

    async fn forward(
        &self,
        head: Parts,
        body: Bytes,
        send: SendRequest<'_>,
    ) -> Result<Response<BoxBody>, Failure> {
        let replays = self
            .actions
            .iter()
            .filter(|action| matches!(action.0, Kind::Replay));
        for _ in replays {
            self.sent(send(head.clone(), body.clone())).await?;
        }
        self.sent(send(head, body)).await
    }

    async fn sent(&self, sending: Sending) -> Result<Response<BoxBody>, Failure> {
        self.ticket.forwarded();
        let response = sending.await.map_err(Failure::Server)?;
        self.ticket.server_answered(response.status());
        Ok(response)
    }

    async fn after(
        &self,
        mut result: Result<Response<BoxBody>, Failure>,
    ) -> Result<Response<BoxBody>, Failure> {
        for action in self.actions {
            match &action.0 {
                Kind::DelayAfter(time) => tokio::time::sleep(*time).await,
                Kind::GateAfter(gate) => gate.pass(&self.call).await,
                Kind::After(hook) => {
                    let status = result.as_ref().ok().map(Response::status);
                    hook(Arc::clone(&self.call), status).await;
                }
                Kind::ResetAfter => result = Err(Failure::Reset),
                Kind::StallAfter => std::future::pending().await,
                Kind::Latency(_)
                | Kind::DelayBefore(_)
                | Kind::GateBefore(_)
                | Kind::Before(_)
                | Kind::Answer(_)
                | Kind::ResetBefore
                | Kind::Stall
                | Kind::Replay
                | Kind::Body(_)
                | Kind::Events(_) => {}
            }
        }
        result
    }

    fn edit(&self, mut response: Response<BoxBody>) -> Response<BoxBody> {
        for action in self.actions {
            let edit = match &action.0 {
                Kind::Body(edit) => edit,
                Kind::Events(edit) if response.status().is_success() => edit,
                _ => continue,
            };
            response.headers_mut().remove(CONTENT_LENGTH);
            response = response.map(|body| edit.apply(body));
        }
        response
    }
}
