//! The queue: takes a source's hints and calls consumers until each is done with each of them.
//!
//! This owns the builder, the driver and the drain. What is news is decided by
//! [`Envelope::supersede`](crate::Envelope::supersede) and the table, who is called next by the
//! lanes; both are pure and in modules of their own. The queue keeps nothing across a restart,
//! because a source replays everything at each start, and it knows nothing of leases: whoever must
//! lead to act wraps the whole queue.

mod epochs;
mod intake;
mod lanes;
mod monitor;
mod retry;
mod table;

use std::{
    any::Any, collections::BTreeSet, fmt, future::Future, num::NonZeroUsize,
    panic::AssertUnwindSafe, sync::Arc, time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, debug, error, info_span, warn};

pub(crate) use self::intake::Intake;
use self::{
    epochs::Epochs,
    lanes::{Lanes, Verdict},
};
pub use self::{
    monitor::{Monitor, ParkedEntry, Stats},
    retry::{InvalidRetryPolicy, RetryPolicy},
};
use crate::{
    consumer::{ConsumeError, Consumer, Delivery, ErasedConsumer, Outcome},
    envelope::Key,
    source::{ErasedSource, Source, SourceError},
};

/// A source, its consumers, and the engine in between.
///
/// # Guarantees
/// Every known resource is delivered to every consumer at least once per start, and again whenever
/// there is news of it. An error is followed by another delivery, without a maximum of attempts. A
/// consumer is never called twice at a time for one key; apart from that, keys and consumers do not
/// wait for each other as long as there are slots. A panic of a consumer counts as an error, a
/// panic of the source as the end of its epoch.
///
/// # Caveats
/// What a consumer is told is the latest state, not every state: changes that happen while it is
/// busy coalesce.
///
/// # Examples
/// ```
/// use kube_cascade::{
///     ConsumeError, Consumer, Delivery, Envelope, Outcome, Queue, memory::MemoryStore,
/// };
/// use tokio::sync::mpsc;
///
/// struct Forward(mpsc::UnboundedSender<String>);
///
/// impl Consumer for Forward {
///     fn name(&self) -> &str {
///         "forward"
///     }
///
///     async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
///         self.0.send(delivery.envelope().name().to_owned())?;
///         Ok(Outcome::Done)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// store.put(Envelope::new("project-1".parse()?, None));
///
/// let (sender, mut names) = mpsc::unbounded_channel();
/// let queue = Queue::builder(store.source()).consumer(Forward(sender)).build()?;
/// queue
///     .run(async {
///         assert_eq!(names.recv().await.as_deref(), Some("project-1"));
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct Queue {
    intake: Arc<Intake>,
    epochs: Epochs,
    consumers: Vec<Arc<dyn ErasedConsumer>>,
    drain: Duration,
}

impl Queue {
    /// Starts a queue of what `source` feeds; it needs at least one consumer.
    pub fn builder(source: impl Source) -> QueueBuilder {
        QueueBuilder {
            source: Box::new(source),
            consumers: Vec::new(),
            retry: RetryPolicy::default(),
            slots: DEFAULT_SLOTS,
            seed: None,
            drain: DEFAULT_DRAIN,
        }
    }

    /// A handle that sees what the queue holds, also while it runs.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.intake))
    }

    /// Runs until `shutdown` resolves or the source fails for good.
    ///
    /// At the end the source is stopped, no further call is made, and calls that are being made
    /// have the drain's time to end; after that their futures are dropped. Dropping this future
    /// drops all of them at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), QueueError> {
        let Self {
            intake,
            epochs,
            consumers,
            drain,
        } = self;
        let mut driver = Driver {
            intake,
            consumers,
            calls: JoinSet::new(),
        };
        // In a task of its own, so that reading a large snapshot does not hold up the calls.
        let feeding = AbortOnDropHandle::new(tokio::spawn(epochs.run().in_current_span()));
        let ended = driver.drive(feeding, shutdown).await;
        driver.intake.begin_epoch(); // a feed that outlives the source is heard no more
        driver.drain(drain).await;
        ended
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .consumers
            .iter()
            .map(|consumer| consumer.name())
            .collect();
        f.debug_struct("Queue")
            .field("consumers", &names)
            .finish_non_exhaustive()
    }
}

/// Enough that a few slow calls do not hold up the rest, few enough to be kind to a server.
const DEFAULT_SLOTS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Within the 30 s that Kubernetes gives a pod to end, with time left to release a lease.
const DEFAULT_DRAIN: Duration = Duration::from_secs(20);

/// A queue that is being put together.
#[must_use = "a builder does nothing until it is built"]
pub struct QueueBuilder {
    source: Box<dyn ErasedSource>,
    consumers: Vec<Arc<dyn ErasedConsumer>>,
    retry: RetryPolicy,
    slots: NonZeroUsize,
    seed: Option<u64>,
    drain: Duration,
}

impl QueueBuilder {
    /// Adds a consumer, with lanes of its own.
    pub fn consumer(mut self, consumer: impl Consumer) -> Self {
        self.consumers.push(Arc::new(consumer));
        self
    }

    /// Sets how long to wait before consumers are called again.
    pub fn retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// Sets how many calls each consumer takes at a time: at least two (8 by default), because
    /// failing keys hold at most half.
    pub fn slots(self, slots: NonZeroUsize) -> Self {
        Self { slots, ..self }
    }

    /// Fixes the seed of the jitter (random by default), so that a run can be repeated.
    pub fn seed(self, seed: u64) -> Self {
        Self {
            seed: Some(seed),
            ..self
        }
    }

    /// Sets how long calls may go on after the shutdown (20 s by default).
    pub fn drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Checks the combination and makes the queue; nothing runs yet.
    pub fn build(self) -> Result<Queue, BuildError> {
        self.validate()?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let lanes = self.consumers.iter().zip(1..).map(|(consumer, number)| {
            // Every consumer draws from a generator of its own, so that one consumer's failures do
            // not move another's backoff.
            let lanes = Lanes::new(self.retry, self.slots, seed.wrapping_add(number));
            (consumer.name().into(), lanes)
        });
        let intake = Arc::new(Intake::new(lanes));
        let epochs = Epochs::new(self.source, Arc::clone(&intake), self.retry, seed);
        Ok(Queue {
            intake,
            epochs,
            consumers: self.consumers,
            drain: self.drain,
        })
    }

    fn validate(&self) -> Result<(), BuildError> {
        if self.consumers.is_empty() {
            return Err(BuildError::NoConsumer);
        }
        let mut names = BTreeSet::new();
        for name in self.consumers.iter().map(|consumer| consumer.name()) {
            if name.trim().is_empty() {
                return Err(BuildError::BlankName);
            }
            if !names.insert(name) {
                return Err(BuildError::DuplicateName {
                    name: name.to_owned(),
                });
            }
        }
        if self.slots.get() < 2 {
            return Err(BuildError::TooFewSlots);
        }
        self.retry.validate().map_err(BuildError::Retry)
    }
}

impl fmt::Debug for QueueBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBuilder")
            .field("retry", &self.retry)
            .field("slots", &self.slots)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

/// Why a queue cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nobody would be called.
    #[error("the queue has no consumer")]
    NoConsumer,
    /// A consumer could not be told from others.
    #[error("a consumer's name is blank")]
    BlankName,
    /// Two consumers could not be told apart.
    #[error("two consumers are named {name:?}")]
    DuplicateName {
        /// The name that two have.
        name: String,
    },
    /// Failing keys could hold all slots, or none.
    #[error("a consumer needs at least two slots, because failing keys hold at most half")]
    TooFewSlots,
    /// The retry policy contradicts itself.
    #[error("the retry policy is not usable")]
    Retry(#[source] InvalidRetryPolicy),
}

/// Why a queue ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// No further epoch would help.
    #[error("the queue has lost its source")]
    Source(#[source] SourceError),
}

/// The loop that makes calls, and what it owns.
struct Driver {
    intake: Arc<Intake>,
    consumers: Vec<Arc<dyn ErasedConsumer>>,
    calls: JoinSet<Ended>,
}

/// A call that has ended.
struct Ended {
    consumer: usize,
    key: Key,
    verdict: Verdict,
}

impl Driver {
    /// Makes calls until the shutdown, or until the source has failed for good.
    ///
    /// Whatever wakes the loop, it looks at everything that is ready and due, so the order of the
    /// branches delays nothing.
    async fn drive(
        &mut self,
        mut feeding: AbortOnDropHandle<SourceError>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), QueueError> {
        tokio::pin!(shutdown);
        loop {
            self.start_calls();
            let due = self.intake.next_due();
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    feeding.abort();
                    // Awaited, so that the source has let go of everything before the drain.
                    let _ = feeding.await;
                    return Ok(());
                }
                ended = &mut feeding => {
                    let fatal = ended.unwrap_or_else(SourceError::fatal);
                    return Err(QueueError::Source(fatal));
                }
                Some(ended) = self.calls.join_next() => record(&self.intake, ended),
                () = self.intake.news.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Makes every call for which there is a slot.
    fn start_calls(&mut self) {
        let now = Instant::now();
        for (number, consumer) in self.consumers.iter().enumerate() {
            while let Some(delivery) = self.intake.start(number, now) {
                let call = call(number, Arc::clone(consumer), delivery);
                self.calls.spawn(call.in_current_span());
            }
        }
    }

    /// Waits for the calls that are being made, and drops those that take too long.
    async fn drain(&mut self, bound: Duration) {
        let Self { intake, calls, .. } = self;
        let all = async {
            while let Some(ended) = calls.join_next().await {
                record(intake, ended);
            }
        };
        if timeout(bound, all).await.is_err() {
            warn!(
                calls = self.calls.len(),
                ?bound,
                "calls were cut off at the end of the drain"
            );
            self.calls.shutdown().await;
        }
    }
}

fn record(intake: &Intake, ended: Result<Ended, JoinError>) {
    // A call catches its own panics, and nobody aborts one before the drain is over.
    let Ok(Ended {
        consumer,
        key,
        verdict,
    }) = ended
    else {
        return;
    };
    intake.finish(consumer, &key, verdict, Instant::now());
}

/// Makes one call, and turns whatever becomes of it into a verdict.
async fn call(number: usize, consumer: Arc<dyn ErasedConsumer>, delivery: Delivery) -> Ended {
    let key = delivery.envelope().key().clone();
    let attempt = delivery.attempt();
    let span = info_span!("consume", consumer = consumer.name(), %key, attempt);
    // The block makes the call inside of what is caught: a consumer may panic before its future.
    let result = AssertUnwindSafe(async { consumer.consume(delivery).await })
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let verdict = span.in_scope(|| verdict(result));
    Ended {
        consumer: number,
        key,
        verdict,
    }
}

/// Logs how a call ended, and says what follows.
fn verdict(result: Result<Result<Outcome, ConsumeError>, Box<dyn Any + Send>>) -> Verdict {
    match result {
        Ok(Ok(Outcome::Done)) => Verdict::Done,
        Ok(Ok(Outcome::Recheck(delay))) => {
            debug!(?delay, "not done yet");
            Verdict::Recheck(delay)
        }
        Ok(Ok(Outcome::Park(parked))) => {
            debug!(reason = %parked.reason(), message = parked.message(), "parked");
            Verdict::Park(parked)
        }
        Ok(Err(error)) => {
            warn!(error = %error.chain(), "failed, will be tried again");
            Verdict::Retry {
                floor: error.minimum_delay(),
            }
        }
        Err(panic) => {
            error!(
                panic = panic_message(&*panic),
                "panicked, will be tried again"
            );
            Verdict::Retry { floor: None }
        }
    }
}

/// What a panic said, where it was text.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests;
