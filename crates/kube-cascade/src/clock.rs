//! What time it is, for what people read: Leases and Events.
//!
//! Nothing is ever decided by it. Waits, expiries and backoffs go by tokio's monotonic clock, which
//! tests can pause; a wall clock is passed in so that a run can be repeated to the last byte.

use std::{fmt, sync::Arc, time::SystemTime};

/// A wall clock; cheap to clone.
///
/// # Examples
/// ```
/// use kube_cascade::clock::Clock;
/// use std::time::{Duration, SystemTime};
///
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 60 * 60);
/// let stopped = Clock::new(move || noon);
/// assert_eq!(stopped.now(), noon);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The machine's own clock, which is the default wherever a clock can be set.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// A clock that says what `now` says.
    #[must_use]
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
