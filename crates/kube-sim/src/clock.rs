//! The server's clock: a chosen start, and from there on tokio's time, so that it can be paused.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// What time it is on the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: SystemTime,
    origin: Instant,
}

impl Clock {
    /// A clock that shows `start` now.
    pub(crate) fn starting_at(start: SystemTime) -> Self {
        Self {
            start,
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.start + self.elapsed()
    }

    /// Time since the start; what is planned is planned in it.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// When that much time will have passed since the start.
    pub(crate) fn instant(&self, elapsed: Duration) -> Instant {
        self.origin + elapsed
    }
}

/// A time as objects carry it: RFC 3339, in UTC, whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}
