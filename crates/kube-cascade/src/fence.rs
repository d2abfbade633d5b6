//! Whether this process may still act as the leader.
//!
//! A [`Fence`] is the read side of a lease: it is handed to everything that writes, and is asked
//! before every write. It owns no connection and no task, and it knows nothing of elections:
//! [`crate::lease`] makes the fences and moves their deadline.

use std::fmt;

use futures::future;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The right to act, for as long as the lease behind it is held.
///
/// # Guarantees
/// - Every [`check`](Self::check) compares the monotonic clock with the deadline of the last
///   renewal. No task has to run for a fence to be lost, so a process that was stopped and wakes
///   up late sees at once that it no longer leads.
/// - Lost is final: a renewal that is answered after the deadline does not bring a fence back.
///
/// # Caveats
/// - A fence gives economy, not safety: between a check and the server's receiving the request
///   any time may pass. Safety is each request's own preconditions.
/// - On Linux the monotonic clock stands still while the whole machine is suspended, so such a
///   sleep is seen only when the next renewal fails.
#[derive(Clone)]
pub struct Fence {
    /// `None` for a fence without a lease.
    deadline: Option<watch::Receiver<Option<Instant>>>,
}

/// The lease is no longer held, so nothing more may be written in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the lease is no longer held")]
#[non_exhaustive]
pub struct FenceLost;

impl Fence {
    /// A fence that is never lost, for a process that runs without a lease.
    #[must_use]
    pub fn always() -> Self {
        Self { deadline: None }
    }

    /// Whether the lease is held at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let Some(deadline) = &self.deadline else {
            return true;
        };
        // The clock is read while the deadline cannot move: otherwise a renewal in between could
        // make one check fail and the next succeed.
        let deadline = deadline.borrow();
        deadline.is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Fails once the lease is no longer held; to be asked right before every write.
    pub fn check(&self) -> Result<(), FenceLost> {
        if self.is_held() {
            Ok(())
        } else {
            Err(FenceLost)
        }
    }

    /// Completes when the lease is no longer held, and never for [`Fence::always`].
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let deadline = self.deadline.clone();
        async move {
            let Some(mut deadline) = deadline else {
                return future::pending().await;
            };
            loop {
                let Some(until) = *deadline.borrow_and_update() else {
                    return;
                };
                if Instant::now() >= until {
                    return;
                }
                tokio::select! {
                    biased;
                    () = sleep_until(until) => {}
                    changed = deadline.changed() => if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence")
            .field("held", &self.is_held())
            .finish()
    }
}

/// The write side of a fence: one uninterrupted time of holding the lease. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Tenure {
    deadline: watch::Sender<Option<Instant>>,
}

impl Tenure {
    /// Begins to hold until `deadline`.
    pub(crate) fn begin(deadline: Instant) -> (Self, Fence) {
        let (sender, receiver) = watch::channel(Some(deadline));
        (
            Self { deadline: sender },
            Fence {
                deadline: Some(receiver),
            },
        )
    }

    /// Holds on until `later`; false when it is too late for that, and then the fence stays lost.
    pub(crate) fn extend(&self, later: Instant) -> bool {
        self.deadline.send_if_modified(|deadline| {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                *deadline = None;
            }
            if deadline.is_some() {
                *deadline = Some(later);
            }
            true
        });
        self.deadline.borrow().is_some()
    }

    /// When the fence is lost unless it is extended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        *self.deadline.borrow()
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.deadline.send_replace(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_fence_without_a_lease_is_never_lost() {
        let fence = Fence::always();
        advance(SECOND * 86_400).await;
        assert_eq!(fence.check(), Ok(()));
        assert_eq!(fence.lost().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fence_is_lost_at_its_deadline_without_any_task_having_run() {
        let (_tenure, fence) = Tenure::begin(Instant::now() + SECOND * 10);
        let lost = fence.lost();
        advance(Duration::from_millis(9_999)).await;
        assert_eq!(fence.check(), Ok(()));
        advance(Duration::from_millis(1)).await;
        assert_eq!(fence.check(), Err(FenceLost));
        assert_eq!(lost.now_or_never(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_moves_the_deadline_of_every_clone() {
        let (tenure, fence) = Tenure::begin(Instant::now() + SECOND * 10);
        let waiting = tokio::spawn(fence.clone().lost());
        advance(SECOND * 9).await;
        assert!(tenure.extend(Instant::now() + SECOND * 10));
        advance(SECOND * 9).await;
        tokio::task::yield_now().await;
        assert_eq!(fence.clone().check(), Ok(()));
        assert!(!waiting.is_finished());
        let before = Instant::now();
        waiting.await.expect("the future does not panic");
        assert_eq!(before.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_renewal_does_not_bring_a_fence_back() {
        let (tenure, fence) = Tenure::begin(Instant::now() + SECOND * 10);
        advance(SECOND * 10).await;
        assert!(!tenure.extend(Instant::now() + SECOND * 10));
        assert_eq!(fence.check(), Err(FenceLost));
        assert!(!tenure.extend(Instant::now() + SECOND * 10));
        assert_eq!(fence.check(), Err(FenceLost));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_tenure_loses_its_fence_at_once() {
        let (tenure, fence) = Tenure::begin(Instant::now() + SECOND * 10);
        let lost = tokio::spawn(fence.lost());
        tokio::task::yield_now().await;
        let before = Instant::now();
        drop(tenure);
        assert_eq!(fence.check(), Err(FenceLost));
        lost.await.expect("the future does not panic");
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
