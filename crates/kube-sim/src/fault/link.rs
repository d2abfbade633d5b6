//! Whether the server can be reached, and the end of what runs when it cannot.

use std::{error::Error, fmt, io, sync::Arc};

use tokio::sync::watch;

/// The line between clients and server; clones are the same line.
#[derive(Clone, Debug)]
pub(super) struct Link {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    up: bool,
    /// Grows whenever everything that runs is cut, so that going down and up again is not missed.
    cuts: u64,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State { up: true, cuts: 0 })),
        }
    }

    pub(super) fn down(&self) {
        self.state.send_modify(|state| {
            *state = State {
                up: false,
                cuts: state.cuts + 1,
            }
        });
    }

    pub(super) fn up(&self) {
        self.state.send_modify(|state| state.up = true);
    }

    pub(super) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.borrow().up
    }

    /// Ends when the line is down, or was cut after this call.
    pub(super) fn broken(&self) -> impl Future<Output = ()> + Send + 'static {
        let link = self.clone();
        let mut state = self.state.subscribe();
        let cuts = state.borrow().cuts;
        async move {
            let broken = state.wait_for(|now| !now.up || now.cuts != cuts).await;
            debug_assert!(broken.is_ok(), "the sender lives as long as this future");
            drop(link);
        }
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
