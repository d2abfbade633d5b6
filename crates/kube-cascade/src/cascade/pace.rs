//! How hard the API server may be pressed.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A bound on DELETEs in flight, and optionally on DELETEs a second.
///
/// Clones share one bound, so that one pace can serve all cascades of a process.
///
/// The default of 32 in flight is where a server with two cores was measured to gain little more:
/// 275 deletes a second with 1 connection, 594 with 8, 787 with 32.
#[derive(Clone)]
pub struct Pace {
    in_flight: Arc<Semaphore>,
    width: NonZeroUsize,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Pace {
    /// At most this many DELETEs in flight.
    #[must_use]
    pub fn new(in_flight: NonZeroUsize) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(in_flight.get())),
            width: in_flight,
            rate: None,
        }
    }

    /// Also at most this many DELETEs a second, without bursts.
    #[must_use]
    pub fn per_second(mut self, deletes: NonZeroU32) -> Self {
        let quota = Quota::per_second(deletes).allow_burst(NonZeroU32::MIN);
        self.rate = Some(Arc::new(RateLimiter::direct(quota)));
        self
    }

    /// The most DELETEs in flight.
    #[must_use]
    pub fn in_flight(&self) -> NonZeroUsize {
        self.width
    }

    /// Waits for a turn; the turn ends when the permit is dropped.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let permit = self
            .in_flight
            .acquire()
            .await
            .expect("the semaphore is never closed");
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        permit
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(NonZeroUsize::new(32).expect("32 is not zero"))
    }
}
