//! The requests: carries out what `election` decides, one attempt at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{info, warn};

use super::election::{Election, Step};
use super::record::LeaseRecord;
use super::{Lease, LeaseError, Observed};
use crate::fence::{Fence, Tenure};

/// How long one request may take. Half of the default renew deadline, so that a stalled renewal
/// leaves time for another; with a shorter deadline, half of that.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the release may take. A process that is told to end has little time, and a Lease that
/// is not released merely expires.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait between two attempts to release.
const RELEASE_RETRY: Duration = Duration::from_millis(200);

/// What a released Lease says as its duration, as Kubernetes' own controllers do.
const RELEASED_SECONDS: i32 = 1;

/// How often an attempt reads again at once after a conflict. More of them would make a request
/// storm out of a Lease that somebody else writes all the time.
const CONFLICTS: u32 = 3;

/// One process that contends for one Lease.
pub(super) struct Contender {
    lease: Lease,
    api: Api<Object>,
    /// Whether a write in our name is under way or ended with an unknown outcome.
    unsure: AtomicBool,
    trouble: Mutex<Option<String>>,
}

/// What a contender knows from one attempt to the next.
pub(super) struct Candidacy {
    election: Election,
    /// The Lease as we wrote it last; `None` if it has to be read.
    written: Option<Object>,
}

/// How an attempt ended.
enum Attempt {
    Leads { until: Instant },
    Waits { until: Instant },
    Lost,
    Refused { reason: String },
}

#[derive(Debug, Error)]
enum CallError {
    #[error("failed to {verb} the Lease: {}", explain(source))]
    Request {
        verb: &'static str,
        // Not a `source`: its text is above, without the Debug form that kube's own has.
        source: kube::Error,
    },
    #[error("failed to {verb} the Lease: no answer within {after:?}")]
    TimedOut { verb: &'static str, after: Duration },
    #[error("failed to write the Lease: somebody else wrote it {CONFLICTS} times in between")]
    Contended,
}

impl Contender {
    pub(super) fn new(lease: Lease) -> Self {
        let api = Api::namespaced(lease.client.clone(), &lease.namespace);
        Self {
            lease,
            api,
            unsure: AtomicBool::new(false),
            trouble: Mutex::new(None),
        }
    }

    /// Waits until the lease is ours.
    pub(super) async fn acquire(&self) -> Result<(Candidacy, Tenure, Fence), LeaseError> {
        let retry_period = self.lease.timing.retry_period();
        let mut candidacy = Candidacy {
            election: Election::new(self.lease.identity.clone(), self.lease.timing),
            written: None,
        };
        loop {
            let next = Instant::now() + retry_period;
            match self.attempt(&mut candidacy).await {
                Ok(Attempt::Leads { until }) => {
                    self.untroubled();
                    if Instant::now() < until {
                        let (tenure, fence) = Tenure::begin(until);
                        info!(lease = %self.lease.name, identity = %self.lease.identity, "leading");
                        self.observe(Observed::Leading);
                        return Ok((candidacy, tenure, fence));
                    }
                }
                Ok(Attempt::Waits { until }) => {
                    self.untroubled();
                    sleep_until(next.min(until)).await;
                    continue;
                }
                Ok(Attempt::Lost) => {}
                Ok(Attempt::Refused { reason }) => {
                    return Err(LeaseError::Refused {
                        namespace: self.lease.namespace.clone(),
                        name: self.lease.name.clone(),
                        reason,
                    });
                }
                Err(error) => self.troubled(&error),
            }
            // After, not at: a server that takes long to fail is not to be asked at once again.
            sleep(retry_period).await;
        }
    }

    /// Renews until the lease is lost.
    pub(super) async fn keep(self: Arc<Self>, mut candidacy: Candidacy, tenure: Tenure) {
        let retry_period = self.lease.timing.retry_period();
        let mut why = "not renewed in time";
        while let Some(deadline) = tenure.deadline() {
            let attempt = timeout_at(deadline, async {
                sleep(retry_period).await;
                self.attempt(&mut candidacy).await
            });
            match attempt.await {
                Ok(Ok(Attempt::Leads { until })) => {
                    self.untroubled();
                    if !tenure.extend(until) {
                        break;
                    }
                }
                Ok(Err(error)) => self.troubled(&error),
                Ok(Ok(_)) => {
                    why = "somebody else wrote it";
                    break;
                }
                Err(_) => break,
            }
        }
        drop(tenure);
        self.observe(Observed::Unknown);
        warn!(lease = %self.lease.name, identity = %self.lease.identity, why, "lost the lease");
    }

    /// Gives the lease up if it is ours, so that others need not wait for its expiry.
    pub(super) async fn release(&self) {
        self.observe(Observed::Unknown);
        let released = timeout(RELEASE_TIMEOUT, async {
            while let Err(error) = self.try_release().await {
                self.troubled(&error);
                sleep(RELEASE_RETRY).await;
            }
        });
        if released.await.is_err() {
            warn!(lease = %self.lease.name, "not released in time, others wait for its expiry");
        }
    }

    /// Gives up a lease that we may have got without knowing.
    pub(super) async fn withdraw(&self) {
        if self.unsure.load(Ordering::Relaxed) {
            self.release().await;
        }
    }

    async fn try_release(&self) -> Result<(), CallError> {
        let Some(object) = self.read().await? else {
            return Ok(());
        };
        if LeaseRecord::from(&object).holder() != Some(&self.lease.identity) {
            return Ok(());
        }
        let released = released(object, self.now());
        self.call(
            "release",
            self.api.replace(&self.lease.name, &post(), &released),
        )
        .await?;
        info!(lease = %self.lease.name, identity = %self.lease.identity, "released");
        Ok(())
    }

    /// Tells what is seen of the Lease, if that is something new.
    fn observe(&self, seen: Observed) {
        self.lease.observed.send_if_modified(|known| {
            let is_new = *known != seen;
            *known = seen;
            is_new
        });
    }

    /// Reads and writes until it is clear who leads.
    async fn attempt(&self, candidacy: &mut Candidacy) -> Result<Attempt, CallError> {
        for _ in 0..CONFLICTS {
            let object = match candidacy.written.take() {
                Some(object) => Some(object),
                None => self.read().await?,
            };
            let record = object.as_ref().map(LeaseRecord::from);
            if let Some(record) = record.as_ref().filter(|_| !candidacy.election.leads()) {
                self.observe(Observed::Standby {
                    holder: record.holder().map(str::to_owned),
                });
                if !candidacy.election.is_ours(record)
                    && let Some(reason) = (self.lease.refuse_if)(record)
                {
                    return Ok(Attempt::Refused { reason });
                }
            }
            let step = candidacy.election.decide(record.as_ref(), Instant::now());
            let object = match step {
                Step::Wait { until } => return Ok(Attempt::Waits { until }),
                Step::Lost => return Ok(Attempt::Lost),
                Step::Create | Step::TakeOver | Step::Renew => {
                    self.claimed(object.unwrap_or_default(), step)
                }
            };
            // Before the request: from its answer others may have counted for a while already.
            let sent = Instant::now();
            self.unsure.store(true, Ordering::Relaxed);
            let answer = if step == Step::Create {
                self.call("create", self.api.create(&post(), &object)).await
            } else {
                self.call(
                    "update",
                    self.api.replace(&self.lease.name, &post(), &object),
                )
                .await
            };
            match answer {
                Ok(written) => {
                    candidacy.written = Some(written);
                    return Ok(Attempt::Leads {
                        until: candidacy.election.won(sent),
                    });
                }
                // Somebody else was faster: read again. A 404 for a new Lease is no such case, but
                // says that its namespace is missing.
                Err(CallError::Request {
                    source: kube::Error::Api(status),
                    ..
                }) if status.code == 409 || (status.code == 404 && step != Step::Create) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CallError::Contended)
    }

    async fn read(&self) -> Result<Option<Object>, CallError> {
        self.call("read", self.api.get_opt(&self.lease.name)).await
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let after = CALL_TIMEOUT.min(self.lease.timing.renew_deadline() / 2);
        match timeout(after, request).await {
            Ok(answer) => answer.map_err(|source| CallError::Request { verb, source }),
            Err(_) => Err(CallError::TimedOut { verb, after }),
        }
    }

    /// The Lease with our name on it. Everything else that it carries stays.
    fn claimed(&self, mut object: Object, step: Step) -> Object {
        let now = self.now();
        object.metadata.name = Some(self.lease.name.clone());
        object.metadata.namespace = Some(self.lease.namespace.clone());
        if !self.lease.annotations.is_empty() {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.extend(self.lease.annotations.clone());
        }
        let transitions = LeaseRecord::from(&object).transitions();
        let spec = object.spec.get_or_insert_default();
        spec.lease_transitions = Some(match step {
            Step::TakeOver => transitions.saturating_add(1),
            _ => transitions,
        });
        if step != Step::Renew {
            spec.holder_identity = Some(self.lease.identity.to_string());
            spec.acquire_time = Some(now.clone());
        }
        spec.lease_duration_seconds = Some(self.lease.timing.duration_seconds());
        spec.renew_time = Some(now);
        object
    }

    fn now(&self) -> MicroTime {
        // A clock beyond what a timestamp can say is no reason not to lead.
        MicroTime(Timestamp::try_from(self.lease.clock.now()).unwrap_or_default())
    }

    /// Logs an error unless it is the one logged last.
    fn troubled(&self, error: &CallError) {
        let error = error.to_string();
        if self.is_news(&error) {
            warn!(
                lease = %self.lease.name, namespace = %self.lease.namespace, %error,
                "cannot reach the lease, trying again"
            );
        }
    }

    pub(super) fn is_news(&self, error: &str) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = known.as_deref() != Some(error);
        *known = Some(error.to_owned());
        news
    }

    fn untroubled(&self) {
        if self
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .is_some()
        {
            info!(lease = %self.lease.name, namespace = %self.lease.namespace, "lease reached again");
        }
    }
}

/// The Lease with nobody's name on it.
fn released(mut object: Object, now: MicroTime) -> Object {
    let spec = object.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(RELEASED_SECONDS);
    spec.renew_time = Some(now);
    object
}

fn post() -> PostParams {
    PostParams {
        field_manager: Some("kube-cascade".to_owned()),
        ..PostParams::default()
    }
}

/// kube's own texts repeat the whole answer in its Debug form.
fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("{} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
