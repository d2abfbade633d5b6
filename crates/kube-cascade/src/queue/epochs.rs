//! Runs a source, one epoch after the other.
//!
//! The caller is [`Queue::run`](super::Queue::run), which gives this a task of its own.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};
use tracing::{debug, error, warn};

use super::{intake::Intake, panic_message, retry::RetryPolicy};
use crate::{
    chain::Chain,
    source::{ErasedSource, Feed, SourceError},
};

/// The longest wait between two epochs. Shorter than between two calls, because a source that is
/// not read is a queue that is blind, and after an outage all must be whole within 60 s.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A source, and how long to let it rest after each epoch.
pub(super) struct Epochs {
    source: Box<dyn ErasedSource>,
    intake: Arc<Intake>,
    wait: RetryPolicy,
    rng: StdRng,
    /// How many epochs in a row were short.
    short: u32,
}

impl Epochs {
    pub(super) fn new(
        source: Box<dyn ErasedSource>,
        intake: Arc<Intake>,
        retry: RetryPolicy,
        seed: u64,
    ) -> Self {
        let max = retry.max().min(MAX_WAIT);
        let wait = retry.with_base(retry.base().min(max)).with_max(max);
        Self {
            source,
            intake,
            wait,
            rng: StdRng::seed_from_u64(seed),
            short: 0,
        }
    }

    /// Runs epochs until one fails for good.
    pub(super) async fn run(mut self) -> SourceError {
        loop {
            let begun = Instant::now();
            let feed = Feed::new(Arc::clone(&self.intake), self.intake.begin_epoch());
            // The block makes the call inside of what is caught: a source may panic before its
            // future.
            let result = AssertUnwindSafe(async { self.source.run(feed).await })
                .catch_unwind()
                .await;
            if let Some(fatal) = ended(result) {
                return fatal;
            }
            sleep(self.wait_after(begun.elapsed())).await;
        }
    }

    /// How long to wait after an epoch that lasted this long.
    ///
    /// An epoch that lasted longer than the longest wait was a healthy one, whatever ended it. A
    /// complete snapshot is no sign of health: a source that breaks off after each one would read
    /// everything once a second.
    fn wait_after(&mut self, lasted: Duration) -> Duration {
        if lasted > self.wait.max() {
            self.short = 0;
        }
        let wait = self.wait.delay(self.short, &mut self.rng);
        self.short = self.short.saturating_add(1);
        wait
    }
}

/// Logs how an epoch ended; the error if there is to be no other.
fn ended(result: Result<Result<(), SourceError>, Box<dyn Any + Send>>) -> Option<SourceError> {
    match result {
        Ok(Ok(())) => debug!("the source's epoch ended"),
        Ok(Err(error)) if error.is_fatal() => return Some(error),
        Ok(Err(error)) => warn!(error = %Chain(&error), "the source will be read again"),
        Err(panic) => {
            let panic = panic_message(&*panic);
            error!(panic, "the source panicked and will be read again");
        }
    }
    None
}
