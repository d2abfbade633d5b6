//! Holds calls until a test lets them go.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, oneshot};

use super::call::Call;

/// A place where calls wait, so that a test can act between two of them.
///
/// Put it into a rule with [`Action::gate`](super::Action::gate) (the server has not seen the
/// call yet) or [`Action::gate_after`](super::Action::gate_after) (it has, and the answer waits).
/// Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrival: Notify,
}

#[derive(Default)]
struct State {
    open: bool,
    waiting: VecDeque<Held>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until a call stands at the gate, and takes it over.
    ///
    /// Calls are handed out once each, in the order of their arrival. Nothing is lost when this
    /// is dropped while it waits.
    pub async fn arrived(&self) -> Held {
        loop {
            let arrival = self.shared.arrival.notified();
            if let Some(held) = self.with(|state| state.waiting.pop_front()) {
                return held;
            }
            arrival.await;
        }
    }

    /// How many calls stand at the gate and were not taken over by [`Gate::arrived`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.with(|state| state.waiting.len())
    }

    /// Lets go whatever waits, and from now on everything that arrives.
    pub fn open(&self) {
        let waiting = self.with(|state| {
            state.open = true;
            std::mem::take(&mut state.waiting)
        });
        waiting.into_iter().for_each(Held::release);
    }

    /// Holds whatever arrives from now on.
    pub fn close(&self) {
        self.with(|state| state.open = false);
    }

    pub(super) async fn pass(&self, call: &Arc<Call>) {
        let (release, released) = oneshot::channel();
        let held = Held {
            call: Arc::clone(call),
            _release: release,
        };
        let closed = self.with(|state| {
            if !state.open {
                state.waiting.push_back(held);
            }
            !state.open
        });
        if closed {
            self.shared.arrival.notify_one();
            // The sender sends nothing: it is dropped with what holds the call.
            let _ = released.await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(
            &mut self
                .shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, waiting) = self.with(|state| (state.open, state.waiting.len()));
        f.debug_struct("Gate")
            .field("open", &open)
            .field("waiting", &waiting)
            .finish()
    }
}

/// A call that stands at a [`Gate`].
///
/// Dropping it lets the call go, so that a test that fails does not hang.
#[derive(Debug)]
#[must_use = "dropping this lets the call go at once"]
pub struct Held {
    call: Arc<Call>,
    _release: oneshot::Sender<()>,
}

impl Held {
    /// The call that waits.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Lets the call go.
    pub fn release(self) {
        drop(self);
    }
}
