//! How long to wait before trying again.

use std::time::Duration;

use rand::{Rng, RngExt};

/// How long a queue waits before it calls a consumer again.
///
/// After the n-th failure in a row the bound is `base * 2^(n-1)`, at most `max`; the wait is drawn
/// between half of the bound and the whole, so that what failed together does not return together.
/// A server's `Retry-After` is a floor, also above `max`. There is no maximum of attempts: a
/// deletion that is given up is a parent that is stuck.
///
/// # Examples
/// ```
/// use kube_cascade::queue::RetryPolicy;
/// use std::time::Duration;
///
/// let policy = RetryPolicy::default().with_max(Duration::from_secs(60));
/// assert_eq!(policy.max(), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    base: Duration,
    max: Duration,
    park: Duration,
}

impl Default for RetryPolicy {
    /// 1 s, so that a blip costs little; 5 min at most, so that a cure is noticed; parked work is
    /// judged again every 60 s, so that what heals goes on by itself.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(5 * 60),
            park: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Sets the bound after the first failure.
    #[must_use]
    pub fn with_base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// Sets the bound that repeated failures do not exceed.
    #[must_use]
    pub fn with_max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    /// Sets how long parked work waits before it is judged again.
    #[must_use]
    pub fn with_park(self, park: Duration) -> Self {
        Self { park, ..self }
    }

    /// The bound after the first failure.
    #[must_use]
    pub fn base(&self) -> Duration {
        self.base
    }

    /// The bound that repeated failures do not exceed.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// How long parked work waits before it is judged again.
    #[must_use]
    pub fn park(&self) -> Duration {
        self.park
    }

    /// Says what is wrong with the policy, if anything is.
    pub(super) fn validate(&self) -> Result<(), InvalidRetryPolicy> {
        if self.base.is_zero() {
            return Err(InvalidRetryPolicy::ZeroBase);
        }
        if self.max < self.base {
            return Err(InvalidRetryPolicy::MaxBelowBase {
                base: self.base,
                max: self.max,
            });
        }
        if self.park.is_zero() {
            return Err(InvalidRetryPolicy::ZeroPark);
        }
        Ok(())
    }

    /// Draws the wait after the failure that followed `failures` others.
    pub(super) fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let bound = self.bound(failures);
        rng.random_range(bound / 2..=bound)
    }

    /// The bound of the wait after the failure that followed `failures` others.
    pub(super) fn bound(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.base
            .checked_mul(factor)
            .map_or(self.max, |bound| bound.min(self.max))
    }
}

/// A [`RetryPolicy`] that would try without pause, or has its bounds the wrong way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRetryPolicy {
    /// The first retry would be immediate.
    #[error("the base of the backoff is zero")]
    ZeroBase,
    /// The largest bound is smaller than the first.
    #[error("the backoff's maximum of {max:?} is below its base of {base:?}")]
    MaxBelowBase {
        /// The bound after the first failure.
        base: Duration,
        /// The largest bound.
        max: Duration,
    },
    /// Parked work would be judged without pause.
    #[error("parked work would be judged again without a pause")]
    ZeroPark,
}
