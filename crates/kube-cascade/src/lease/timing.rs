//! The three spans of a lease, checked against each other before anything starts.

use std::time::Duration;

use thiserror::Error;

/// How long a lease lasts and how often it is renewed.
///
/// The defaults are those of Kubernetes' own controllers: 15 s, 10 s and 2 s. A crashed leader is
/// replaced after the duration plus at most one retry period, a pause of the API server shorter
/// than the renew deadline goes unnoticed, and a contender costs one small request every retry
/// period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// The spans of a [`LeaseTiming`] do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTiming {
    /// Somebody else could take the lease while the holder still believes in it.
    #[error("the renew deadline {renew_deadline:?} is not shorter than the duration {duration:?}")]
    DeadlineNotBelowDuration {
        /// The renew deadline that was given.
        renew_deadline: Duration,
        /// The duration that was given.
        duration: Duration,
    },
    /// The lease would be lost without a second attempt to renew it.
    #[error(
        "the retry period {retry_period:?} is not shorter than the renew deadline {renew_deadline:?}"
    )]
    RetryNotBelowDeadline {
        /// The retry period that was given.
        retry_period: Duration,
        /// The renew deadline that was given.
        renew_deadline: Duration,
    },
    /// The lease would be renewed without a pause.
    #[error("the retry period is zero")]
    NoRetryPeriod,
    /// Kubernetes writes the duration as a 32-bit number of seconds.
    #[error("the duration {duration:?} is longer than a Lease can say")]
    DurationTooLong {
        /// The duration that was given.
        duration: Duration,
    },
}

impl LeaseTiming {
    /// Checks that `retry_period` < `renew_deadline` < `duration`.
    pub fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidTiming> {
        if renew_deadline >= duration {
            return Err(InvalidTiming::DeadlineNotBelowDuration {
                renew_deadline,
                duration,
            });
        }
        if retry_period >= renew_deadline {
            return Err(InvalidTiming::RetryNotBelowDeadline {
                retry_period,
                renew_deadline,
            });
        }
        if retry_period.is_zero() {
            return Err(InvalidTiming::NoRetryPeriod);
        }
        if duration > Duration::from_secs(i32::MAX as u64) {
            return Err(InvalidTiming::DurationTooLong { duration });
        }
        Ok(Self {
            duration,
            renew_deadline,
            retry_period,
        })
    }

    /// How long others wait after a renewal before they take the lease.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// How long the holder acts after it has sent a successful renewal.
    #[must_use]
    pub fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// How long holder and contenders wait between two attempts.
    #[must_use]
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// The duration as a Lease says it. Rounded up: a shorter one would make others impatient.
    pub(super) fn duration_seconds(self) -> i32 {
        let whole = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(whole).unwrap_or(i32::MAX)
    }
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_would_make_two_leaders_or_none_are_refused() {
        // milliseconds: duration, renew deadline, retry period, accepted
        let rows = [
            (15_000, 10_000, 2_000, true),
            (10_000, 10_000, 2_000, false),
            (15_000, 2_000, 2_000, false),
            (15_000, 10_000, 0, false),
            (3, 2, 1, true),
            (0, 0, 0, false),
            (u64::from(u32::MAX) * 1000, 10_000, 2_000, false),
        ];
        for (duration, deadline, retry, accepted) in rows {
            let timing = LeaseTiming::new(
                Duration::from_millis(duration),
                Duration::from_millis(deadline),
                Duration::from_millis(retry),
            );
            assert_eq!(
                timing.is_ok(),
                accepted,
                "{duration} {deadline} {retry}: {timing:?}"
            );
        }
        let default = LeaseTiming::default();
        assert_eq!(
            LeaseTiming::new(
                default.duration,
                default.renew_deadline,
                default.retry_period
            ),
            Ok(default)
        );
    }

    #[test]
    fn a_lease_says_its_duration_rounded_up() {
        for (milliseconds, seconds) in [(15_000, 15), (1_001, 2), (3, 1)] {
            let timing = LeaseTiming {
                duration: Duration::from_millis(milliseconds),
                ..LeaseTiming::default()
            };
            assert_eq!(timing.duration_seconds(), seconds);
        }
    }
}
