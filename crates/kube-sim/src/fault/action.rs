//! What a rule does to a call.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::Value;

use super::{
    answer::Answer,
    body::{Edit, Ending},
    call::{Call, Verb},
    gate::Gate,
};

/// One thing done to a call; several rules can take part in the same call.
///
/// Actions on a *watch* concern watch calls only: their rules neither match nor count others, and
/// an answer that is no success passes unchanged. Events are counted from 1 within each stream,
/// without bookmarks, because a server sends those when it likes.
#[derive(Clone)]
#[must_use]
pub struct Action(pub(super) Kind);

pub(super) type BeforeHook = Arc<dyn Fn(Arc<Call>) -> BoxFuture<'static, ()> + Send + Sync>;
pub(super) type AfterHook =
    Arc<dyn Fn(Arc<Call>, Option<StatusCode>) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
pub(super) enum Kind {
    Latency(Range<Duration>),
    DelayBefore(Duration),
    GateBefore(Gate),
    Before(BeforeHook),
    Answer(Answer),
    ResetBefore,
    Stall,
    Replay,
    ResetAfter,
    StallAfter,
    DelayAfter(Duration),
    GateAfter(Gate),
    After(AfterHook),
    Body(Edit),
    Events(Edit),
}

/// The fate of a call.
impl Action {
    /// Answers in the server's place; the server never sees the call.
    pub fn answer(answer: Answer) -> Self {
        Self(Kind::Answer(answer))
    }

    /// Resets the connection before the call reaches the server.
    pub fn reset_before() -> Self {
        Self(Kind::ResetBefore)
    }

    /// Forwards the call and, once the server has answered, resets the connection instead of
    /// passing the answer on.
    pub fn reset_after() -> Self {
        Self(Kind::ResetAfter)
    }

    /// Accepts the call and never answers; the server never sees it.
    pub fn stall() -> Self {
        Self(Kind::Stall)
    }

    /// Forwards the call and never passes the server's answer on.
    pub fn stall_after() -> Self {
        Self(Kind::StallAfter)
    }
}

/// The way to the server and back.
impl Action {
    /// Waits before the call is forwarded.
    pub fn delay(time: Duration) -> Self {
        Self(Kind::DelayBefore(time))
    }

    /// Waits before the answer is passed on.
    pub fn delay_after(time: Duration) -> Self {
        Self(Kind::DelayAfter(time))
    }

    /// Takes a while on the way to the server and on the way back, each drawn from this range by the
    /// seed of the [`Faults`](super::Faults), anew for every call.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn latency(range: Range<Duration>) -> Self {
        assert!(range.start < range.end, "a latency is drawn from a range");
        Self(Kind::Latency(range))
    }

    /// Holds the call at the gate; the server has not seen it yet.
    pub fn gate(gate: &Gate) -> Self {
        Self(Kind::GateBefore(gate.clone()))
    }

    /// Holds the answer at the gate; the server has carried the call out.
    pub fn gate_after(gate: &Gate) -> Self {
        Self(Kind::GateAfter(gate.clone()))
    }

    /// Sends the request twice, one after the other, and passes on the second answer.
    pub fn replay() -> Self {
        Self(Kind::Replay)
    }

    /// Runs a hook before the call is forwarded, which waits for the hook's end.
    pub fn before<F, Fut>(hook: F) -> Self
    where
        F: Fn(Arc<Call>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Kind::Before(Arc::new(move |call| Box::pin(hook(call)))))
    }

    /// Runs a hook before the answer is passed on; it gets the status, or `None` if the call was
    /// reset before or failed.
    pub fn after<F, Fut>(hook: F) -> Self
    where
        F: Fn(Arc<Call>, Option<StatusCode>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Kind::After(Arc::new(move |call, status| {
            Box::pin(hook(call, status))
        })))
    }
}

/// The body of the answer.
impl Action {
    /// Ends the body after so many bytes, as if that were all of it.
    pub fn truncate(keep: usize) -> Self {
        Self(Kind::Body(Edit::Truncate {
            keep,
            ending: Ending::Clean,
        }))
    }

    /// Loses the connection after so many bytes of the body.
    pub fn truncate_and_reset(keep: usize) -> Self {
        Self(Kind::Body(Edit::Truncate {
            keep,
            ending: Ending::Reset,
        }))
    }

    /// Sends so many bytes of the body, then nothing, without an end.
    pub fn truncate_and_stall(keep: usize) -> Self {
        Self(Kind::Body(Edit::Truncate {
            keep,
            ending: Ending::Silent,
        }))
    }

    /// Changes the JSON document in the body, which is read to its end first; what is no JSON
    /// passes unchanged. Not for watches.
    pub fn edit_json(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self(Kind::Body(Edit::Json(Arc::new(edit))))
    }
}

/// The events of a watch.
impl Action {
    /// Loses the n-th event of the stream.
    ///
    /// # Panics
    ///
    /// If `nth` is 0: events are counted from 1.
    pub fn drop_event(nth: u64) -> Self {
        assert!(nth > 0, "events are counted from 1");
        Self(Kind::Events(Edit::DropNth(nth)))
    }

    /// Sends the n-th event of the stream after the one that follows it, which may be long after; if
    /// none follows, at the end of the stream.
    ///
    /// # Panics
    ///
    /// If `nth` is 0: events are counted from 1.
    pub fn swap_event(nth: u64) -> Self {
        assert!(nth > 0, "events are counted from 1");
        Self(Kind::Events(Edit::SwapNth(nth)))
    }

    /// Changes each event, bookmarks included (`{"type": …, "object": …}`), or loses it where
    /// the function returns false.
    pub fn edit_events(edit: impl Fn(&mut Value) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::Events(Edit::Events(Arc::new(edit))))
    }

    /// Loses the connection after so many events.
    pub fn cut_watch(events: u64) -> Self {
        Self(Kind::Events(Edit::EndAfter {
            events,
            ending: Ending::Reset,
        }))
    }

    /// Ends the stream in good order after so many events, as a server does at its timeout.
    pub fn end_watch(events: u64) -> Self {
        Self(Kind::Events(Edit::EndAfter {
            events,
            ending: Ending::Clean,
        }))
    }

    /// Sends an ERROR event with a `Status` of code 410 after so many events, then ends the
    /// stream.
    pub fn expire_watch(events: u64) -> Self {
        Self(Kind::Events(Edit::EndAfter {
            events,
            ending: Ending::Expired,
        }))
    }

    /// Falls silent after so many events, bookmarks included, without an end.
    pub fn mute_watch(events: u64) -> Self {
        Self(Kind::Events(Edit::EndAfter {
            events,
            ending: Ending::Silent,
        }))
    }
}

impl Action {
    pub(super) fn concerns(&self, call: &Call) -> bool {
        !matches!(self.0, Kind::Events(_)) || call.verb() == Verb::Watch
    }

    /// The actions of one call: what is left to chance is drawn.
    pub(super) fn drawn(&self, mut draw: impl FnMut() -> f64) -> Vec<Self> {
        let Kind::Latency(range) = &self.0 else {
            return vec![self.clone()];
        };
        let mut delay = || range.start + range.end.saturating_sub(range.start).mul_f64(draw());
        let (before, after) = (delay(), delay());
        vec![
            Self(Kind::DelayBefore(before)),
            Self(Kind::DelayAfter(after)),
        ]
    }

    /// Whether nothing that a later rule could do matters any more.
    pub(super) fn decides(&self) -> bool {
        matches!(
            self.0,
            Kind::Answer(_) | Kind::ResetBefore | Kind::ResetAfter | Kind::Stall | Kind::StallAfter
        )
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Latency(range) => write!(f, "latency {range:?}"),
            Kind::DelayBefore(time) => write!(f, "delay {time:?}"),
            Kind::GateBefore(_) => f.write_str("gate"),
            Kind::Before(_) => f.write_str("hook before"),
            Kind::Answer(answer) => answer.fmt(f),
            Kind::ResetBefore => f.write_str("reset before"),
            Kind::Stall => f.write_str("stall"),
            Kind::Replay => f.write_str("replay"),
            Kind::ResetAfter => f.write_str("reset after"),
            Kind::StallAfter => f.write_str("stall after"),
            Kind::DelayAfter(time) => write!(f, "delay after {time:?}"),
            Kind::GateAfter(_) => f.write_str("gate after"),
            Kind::After(_) => f.write_str("hook after"),
            Kind::Body(edit) | Kind::Events(edit) => edit.fmt(f),
        }
    }
}
