//! Whether the server can be reached, and the end of what runs when it cannot.

use std::{
    error::Error,
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The line between clients and server; clones are the same line.
///
/// Those who wait for its end are woken in the order in which they began to: a `watch` channel
/// would wake them in a random one, and a schedule could not be replayed.
#[derive(Clone, Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    up: bool,
    /// Grows whenever everything that runs is cut, so that going down and up again is not missed.
    cuts: u64,
}

impl Link {
    pub(super) fn new() -> Self {
        let state = State { up: true, cuts: 0 };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }

    pub(super) fn down(&self) {
        self.change(|state| {
            state.up = false;
            state.cuts += 1;
        });
    }

    pub(super) fn up(&self) {
        self.change(|state| state.up = true);
    }

    pub(super) fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    pub(super) fn is_up(&self) -> bool {
        self.lock().up
    }

    /// Ends when the line is down, or was cut after this call.
    pub(super) fn broken(&self) -> impl Future<Output = ()> + Send + 'static {
        let link = self.clone();
        let cuts = link.lock().cuts;
        async move {
            loop {
                let mut changed = pin!(link.shared.changed.notified());
                // Before the look at the state, so that no change falls in between.
                changed.as_mut().enable();
                let now = *link.lock();
                if !now.up || now.cuts != cuts {
                    return;
                }
                changed.await;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection reset as an operating system reports it, so that clients classify it the same.
pub(super) fn reset() -> tower::BoxError {
    Box::new(io::Error::new(io::ErrorKind::ConnectionReset, Injected))
}

#[derive(Debug)]
struct Injected;

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection reset by an injected fault")
    }
}

impl Error for Injected {}
