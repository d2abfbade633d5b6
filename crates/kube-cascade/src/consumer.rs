//! What is done with a delivery: the [`Consumer`] trait and what it may answer.
//!
//! This owns the vocabulary between consumers and the engine. When a delivery is made, and when it
//! is made again, is up to [`queue`](crate::queue).

#[cfg(feature = "kubernetes")]
use std::iter;
use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{chain::Chain, envelope::Envelope};

/// One call's worth of work: an envelope, and how often it has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    envelope: Envelope,
    attempt: u32,
}

impl Delivery {
    /// A first delivery, for those who call [`Consumer::consume`] without a queue.
    #[must_use]
    pub fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            attempt: 0,
        }
    }

    /// Sets how many attempts in a row have failed before this one.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// What the source said.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// How many attempts in a row have failed before this one; 0 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// Something that acts on what happens to resources.
///
/// # Guarantees
/// One consumer is never called twice at a time for one key. An error is followed by another
/// delivery, without a maximum of attempts. Everything known is delivered again after a restart.
///
/// # Assumptions
/// `consume` is idempotent, because deliveries repeat. It takes the envelope as a hint and confirms
/// it before it destroys anything. Its future may be dropped at any await (the end of a drain), so
/// what must happen together happens in one call to the server.
///
/// # Examples
/// ```
/// use kube_cascade::{ConsumeError, Consumer, Delivery, Outcome, State};
///
/// struct Printer;
///
/// impl Consumer for Printer {
///     fn name(&self) -> &str {
///         "printer"
///     }
///
///     async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
///         if let State::Terminating { .. } = delivery.envelope().state() {
///             println!("{} is going away", delivery.envelope().key());
///         }
///         Ok(Outcome::Done)
///     }
/// }
/// ```
pub trait Consumer: Send + Sync + 'static {
    /// A name that is unique in its queue: logs, metrics and parked work are told apart by it.
    fn name(&self) -> &str;

    /// Acts on one delivery; an error asks for another attempt after a backoff.
    fn consume(
        &self,
        delivery: Delivery,
    ) -> impl Future<Output = Result<Outcome, ConsumeError>> + Send;
}

impl<C: Consumer> Consumer for Arc<C> {
    fn name(&self) -> &str {
        C::name(self)
    }

    fn consume(
        &self,
        delivery: Delivery,
    ) -> impl Future<Output = Result<Outcome, ConsumeError>> + Send {
        C::consume(self, delivery)
    }
}

/// How a delivery ended when it did not fail.
///
/// This is complete: work is over, goes on, or waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do until there is news.
    Done,
    /// The work goes on: deliver again after this long, without counting an error.
    Recheck(Duration),
    /// Set aside visibly, and judged again from time to time, because something must change first.
    Park(Parked),
}

/// Why work is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    reason: ParkReason,
    message: String,
}

impl Parked {
    /// Work set aside for `reason`; the message says what was found and what remedies it.
    #[must_use]
    pub fn new(reason: ParkReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The reason, fit for a metric's label.
    #[must_use]
    pub fn reason(&self) -> ParkReason {
        self.reason
    }

    /// What was found, and its remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// The closed list of reasons to set work aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ParkReason {
    /// The ID is no valid label value, so nothing can carry it.
    InvalidId,
    /// What the source said makes no sense to the consumer.
    Malformed,
    /// More dependents match than the rule allows.
    LimitExceeded,
    /// The upstream's definition is not the one under which the upstream was seen.
    DefinitionChanged,
    /// The upstream's definition is being deleted.
    DefinitionTerminating,
    /// Another upstream has the same ID.
    Namesake,
    /// A namespace that the rule names does not exist.
    NamespaceMissing,
    /// The scope of a rule does not fit the kind.
    WrongScope,
    /// A permission is missing.
    Forbidden,
    /// A kind is not served.
    NotServed,
    /// Others write a dependent faster than it can be judged and deleted.
    Contended,
    /// What was found does not warrant a deletion.
    Refused,
}

impl ParkReason {
    /// The reason as Kubernetes writes reasons, in `CamelCase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidId => "InvalidId",
            Self::Malformed => "Malformed",
            Self::LimitExceeded => "LimitExceeded",
            Self::DefinitionChanged => "DefinitionChanged",
            Self::DefinitionTerminating => "DefinitionTerminating",
            Self::Namesake => "Namesake",
            Self::NamespaceMissing => "NamespaceMissing",
            Self::WrongScope => "WrongScope",
            Self::Forbidden => "Forbidden",
            Self::NotServed => "NotServed",
            Self::Contended => "Contended",
            Self::Refused => "Refused",
        }
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed delivery, which is tried again.
///
/// Every error converts into it, so `?` means "try again"; where it is an error of this crate, or is
/// caused by one, that says how long to wait, then not before that: what a server's `Retry-After` asks
/// for, and a minute for what people cure, a missing permission or definition. For all this it is no
/// [`Error`] itself.
///
/// # Examples
/// ```
/// use kube_cascade::ConsumeError;
/// use std::time::Duration;
///
/// fn parse(text: &str) -> Result<u8, ConsumeError> {
///     Ok(text.parse::<u8>()?)
/// }
///
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// let throttled = ConsumeError::retry_after("too many requests", Duration::from_secs(32));
/// assert_eq!(throttled.minimum_delay(), Some(Duration::from_secs(32)));
/// ```
pub struct ConsumeError {
    error: Box<dyn Error + Send + Sync>,
    minimum_delay: Option<Duration>,
}

impl ConsumeError {
    /// A failure that is tried again after the queue's backoff, whatever the error says.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            minimum_delay: None,
        }
    }

    /// A failure that is not tried again before `delay` (a server's `Retry-After`) has passed.
    #[must_use]
    pub fn retry_after(error: impl Into<Box<dyn Error + Send + Sync>>, delay: Duration) -> Self {
        Self {
            error: error.into(),
            minimum_delay: Some(delay),
        }
    }

    /// The shortest wait before the next attempt, where one was asked for.
    #[must_use]
    pub fn minimum_delay(&self) -> Option<Duration> {
        self.minimum_delay
    }

    /// What caused the error that this carries.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }

    /// What it carries, and the shortest wait before the next attempt.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn into_parts(self) -> (Box<dyn Error + Send + Sync>, Option<Duration>) {
        (self.error, self.minimum_delay)
    }

    /// The error and all its causes on one line.
    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain(self.error.as_ref())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ConsumeError {
    fn from(error: E) -> Self {
        Self {
            minimum_delay: asked_for(&error),
            error: error.into(),
        }
    }
}

/// How long the error says to wait, or the first of its causes that has something to say.
#[cfg(feature = "kubernetes")]
fn asked_for(error: &(dyn Error + 'static)) -> Option<Duration> {
    use crate::{
        kubernetes::{CallError, Disposition},
        reconcile::ReconcileError,
        reference::{AddAllError, AddError, NameError, RemoveAllError, RemoveError},
    };
    // Those that pass on the message of a call's error as their own hide it from `source`.
    let known: [fn(&(dyn Error + 'static)) -> Option<Disposition>; 7] = [
        |error| error.downcast_ref().map(CallError::disposition),
        |error| error.downcast_ref().map(NameError::disposition),
        |error| error.downcast_ref().map(AddError::disposition),
        |error| error.downcast_ref().map(AddAllError::disposition),
        |error| error.downcast_ref().map(RemoveError::disposition),
        |error| error.downcast_ref().map(RemoveAllError::disposition),
        |error| error.downcast_ref().map(ReconcileError::disposition),
    ];
    let mut causes = iter::successors(Some(error), |&error| error.source());
    let disposition = causes.find_map(|error| known.iter().find_map(|of| of(error)));
    match disposition? {
        Disposition::RetryAfter(after) => Some(after),
        Disposition::Retry | Disposition::Permanent => None,
    }
}

#[cfg(not(feature = "kubernetes"))]
fn asked_for(_: &(dyn Error + 'static)) -> Option<Duration> {
    None
}

impl fmt::Debug for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumeError")
            .field("error", &self.error)
            .field("minimum_delay", &self.minimum_delay)
            .finish()
    }
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// A [`Consumer`] whose future is boxed, so that a queue can hold several kinds of them.
pub(crate) trait ErasedConsumer: Send + Sync {
    fn name(&self) -> &str;

    fn consume(&self, delivery: Delivery) -> ConsumeFuture<'_>;
}

pub(crate) type ConsumeFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Outcome, ConsumeError>> + Send + 'a>>;

impl<C: Consumer> ErasedConsumer for C {
    fn name(&self) -> &str {
        Consumer::name(self)
    }

    fn consume(&self, delivery: Delivery) -> ConsumeFuture<'_> {
        Box::pin(Consumer::consume(self, delivery))
    }
}

#[cfg(all(test, feature = "kubernetes"))]
mod tests;
