//! Bodies of answers: cut with the line, truncated, or with their events changed.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::{answer::status_object, link};
use crate::json;

pub(super) type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// The body of an answer that passed a fault layer; it streams, frame by frame.
pub struct FaultBody {
    inner: BoxBody,
    broken: Option<BoxFuture<'static, ()>>,
}

impl FaultBody {
    pub(super) fn new(inner: BoxBody, broken: BoxFuture<'static, ()>) -> Self {
        Self {
            inner,
            broken: Some(broken),
        }
    }
}

impl Body for FaultBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self
            .broken
            .as_mut()
            .is_some_and(|broken| broken.poll_unpin(cx).is_ready())
        {
            self.broken = None;
            self.inner = boxed(Empty::new());
            return Poll::Ready(Some(Err(link::reset())));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for FaultBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultBody").finish_non_exhaustive()
    }
}

pub(super) fn boxed<B>(body: B) -> BoxBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// A change to the body of an answer.
#[derive(Clone)]
pub(super) enum Edit {
    Truncate { keep: usize, ending: Ending },
    Json(Arc<dyn Fn(&mut Value) + Send + Sync>),
    DropNth(u64),
    SwapNth(u64),
    Events(Arc<dyn Fn(&mut Value) -> bool + Send + Sync>),
    EndAfter { events: u64, ending: Ending },
}

/// How a body ends before its time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Clean,
    Reset,
    Silent,
    /// With the ERROR event of a watch whose version is too old.
    Expired,
}

type Data = BoxStream<'static, Result<Bytes, BoxError>>;

impl Edit {
    pub(super) fn apply(&self, body: BoxBody) -> BoxBody {
        let data = body.into_data_stream().boxed();
        let edited = match self {
            Self::Truncate { keep, ending } => truncated(data, *keep, *ending),
            Self::Json(edit) => json_edited(data, Arc::clone(edit)),
            Self::DropNth(nth) => without_nth_event(data, *nth),
            Self::SwapNth(nth) => with_nth_event_late(data, *nth),
            Self::Events(edit) => events_edited(data, Arc::clone(edit)),
            Self::EndAfter { events, ending } => ended_after(data, *events, *ending),
        };
        boxed(StreamBody::new(edited.map_ok(Frame::data)))
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncate { keep, ending } => write!(f, "truncate to {keep} bytes, {ending:?}"),
            Self::Json(_) => f.write_str("edit JSON"),
            Self::DropNth(nth) => write!(f, "drop event {nth}"),
            Self::SwapNth(nth) => write!(f, "swap event {nth} with the next"),
            Self::Events(_) => f.write_str("edit events"),
            Self::EndAfter { events, ending } => write!(f, "end after {events} events, {ending:?}"),
        }
    }
}

fn truncated(data: Data, keep: usize, ending: Ending) -> Data {
    stream::try_unfold((data, keep), |(mut data, keep)| async move {
        if keep == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = data.try_next().await? else {
            return Ok(None);
        };
        chunk.truncate(keep);
        let left = keep - chunk.len();
        Ok(Some((chunk, (data, left))))
    })
    .chain(tail(ending))
    .boxed()
}

fn json_edited(data: Data, edit: Arc<dyn Fn(&mut Value) + Send + Sync>) -> Data {
    let edited = async move {
        let body: BytesMut = data
            .try_collect::<Vec<_>>()
            .await?
            .into_iter()
            .flatten()
            .collect();
        let Some(mut document) = json::read(&body) else {
            return Ok(body.freeze());
        };
        edit(&mut document);
        Ok(Bytes::from(json::text(&document)))
    };
    stream::once(edited).boxed()
}

fn without_nth_event(data: Data, nth: u64) -> Data {
    let mut seen = 0;
    lines(data)
        .try_filter(move |line| {
            seen += u64::from(counts(line));
            let lost = counts(line) && seen == nth;
            std::future::ready(!lost)
        })
        .boxed()
}

fn with_nth_event_late(data: Data, nth: u64) -> Data {
    let state = (lines(data).boxed(), 0_u64, None);
    stream::try_unfold(state, move |(mut lines, mut seen, mut held)| async move {
        loop {
            let Some(line) = lines.try_next().await? else {
                // The one that was held back is the last.
                return Ok(held.take().map(|line| (line, (lines, seen, None))));
            };
            let event = counts(&line);
            seen += u64::from(event);
            if event && seen == nth {
                held = Some(line);
                continue;
            }
            if event && let Some(late) = held.take() {
                let both: BytesMut = line.into_iter().chain(late).collect();
                return Ok(Some((both.freeze(), (lines, seen, None))));
            }
            return Ok(Some((line, (lines, seen, held))));
        }
    })
    .boxed()
}

fn events_edited(data: Data, edit: Arc<dyn Fn(&mut Value) -> bool + Send + Sync>) -> Data {
    lines(data)
        .try_filter_map(move |line| {
            let edited = match json::read(&line) {
                Some(mut event) => edit(&mut event).then(|| event_line(&event)),
                None => Some(line),
            };
            std::future::ready(Ok(edited))
        })
        .boxed()
}

fn ended_after(data: Data, events: u64, ending: Ending) -> Data {
    stream::try_unfold(
        (lines(data).boxed(), events),
        |(mut lines, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let Some(line) = lines.try_next().await? else {
                return Ok(None);
            };
            let left = left - u64::from(counts(&line));
            Ok(Some((line, (lines, left))))
        },
    )
    .chain(tail(ending))
    .boxed()
}

/// What comes after the last byte of a body that a fault has ended.
fn tail(ending: Ending) -> Data {
    match ending {
        Ending::Clean => stream::empty().boxed(),
        Ending::Silent => stream::pending().boxed(),
        Ending::Reset => stream::once(async {
            // A server flushes what it has when its body pauses, and throws it away when its body
            // fails: without the pause the bytes before the reset would sometimes be lost.
            tokio::task::yield_now().await;
            Err(link::reset())
        })
        .boxed(),
        Ending::Expired => {
            let mut status = status_object(StatusCode::GONE);
            status["message"] = json!("too old resource version");
            let error = event_line(&json!({ "type": "ERROR", "object": status }));
            stream::iter([Ok(error)]).boxed()
        }
    }
}

/// The lines of a body, each with its line feed; a watch sends one event a line.
fn lines(data: Data) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::try_unfold(
        (data, BytesMut::new()),
        |(mut data, mut buffer)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line = buffer.split_to(end + 1).freeze();
                    return Ok(Some((line, (data, buffer))));
                }
                match data.try_next().await? {
                    Some(chunk) => buffer.extend_from_slice(&chunk),
                    None if buffer.is_empty() => return Ok(None),
                    None => return Ok(Some((buffer.split().freeze(), (data, buffer)))),
                }
            }
        },
    )
}

fn event_line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}

/// Whether a line is an event that is counted: a bookmark is not.
fn counts(line: &[u8]) -> bool {
    json::read(line).is_some_and(|event| event["type"] != "BOOKMARK")
}
