//! Leader election by a Kubernetes Lease: at most one of several processes works at a time.
//!
//! [`Lease::while_held`] wraps the work. It owns the waiting, the renewing and the release; the
//! work receives a [`Term`] with the [`Fence`] to ask before every write. What to do about a Lease
//! is decided in `election`, which reads no clock but the one it is handed; this file holds the
//! requests and the order of things.
//!
//! Deliberately absent: any comparison of the Lease's times with the local clock (they are written
//! for people and for other tools), and any promise of safety. Two processes may both act for as
//! long as a request is under way; what keeps that harmless are the preconditions of each write.

mod contender;
mod election;
mod identity;
mod live;
mod record;
mod timing;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use kube::Client;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{clock::Clock, fence::Fence};
use contender::Contender;
pub use live::live_record;
pub use record::LeaseRecord;
pub use timing::{InvalidTiming, LeaseTiming};

type Refusal = dyn Fn(&LeaseRecord) -> Option<String> + Send + Sync;

/// A Lease that this process contends for.
///
/// # Guarantees
/// - The holder stops believing in the lease (its [`Fence`] is lost) before anybody else who keeps
///   to the same rules may take it. Clocks need not agree; only their rates must, within the third
///   that the renew deadline is shorter than the duration.
/// - A Lease is only ever replaced with the `resourceVersion` that was read.
///
/// # Assumptions
/// - The client does not retry on its own (`Config::default_retry = false`), else an attempt could
///   spend its whole time on waiting for the next; and it is used for the Lease only, so that
///   renewals never queue behind the work's requests.
/// - The identity is unique to this start of the process; [`Lease::identity`] makes one.
/// - The service account may `get`, `create` and `update` `leases.coordination.k8s.io`.
pub struct Lease {
    client: Client,
    namespace: String,
    name: String,
    identity: Arc<str>,
    timing: LeaseTiming,
    annotations: BTreeMap<String, String>,
    refuse_if: Box<Refusal>,
    clock: Clock,
    observed: watch::Sender<Observed>,
}

/// What this process last saw of the Lease, for a readiness probe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observed {
    /// It has not been read, or was lost and has not been read since.
    Unknown,
    /// Somebody else holds it, or nobody.
    Standby {
        /// Who holds it.
        holder: Option<String>,
    },
    /// This process holds it.
    Leading,
}

/// Why contending for a lease, or reading one, ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The hook of [`Lease::refuse_if`] objects to what the Lease says.
    #[error("refused to contend for lease {namespace}/{name}: {reason}")]
    Refused {
        /// The namespace of the Lease.
        namespace: String,
        /// The name of the Lease.
        name: String,
        /// What the hook said.
        reason: String,
    },
    /// The Lease could not be read.
    #[error("failed to read lease {namespace}/{name}")]
    Read {
        /// The namespace of the Lease.
        namespace: String,
        /// The name of the Lease.
        name: String,
        /// What the request ended with.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One uninterrupted time of leading, as the work sees it.
#[derive(Clone)]
pub struct Term {
    fence: Fence,
    shutdown: Shared<BoxFuture<'static, ()>>,
}

impl Term {
    /// The term of a process that leads without a lease, until `shutdown`.
    pub fn without_lease(shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            fence: Fence::always(),
            shutdown: shutdown.boxed().shared(),
        }
    }

    /// What to ask before every write. It stays held during a shutdown, so that work which is
    /// being drained may end properly.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Completes when the work should come to its end: on shutdown, or because the lease is lost.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let (lost, shutdown) = (self.fence.lost(), self.shutdown.clone());
        async move {
            tokio::select! {
                biased;
                () = lost => {}
                () = shutdown => {}
            }
        }
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term")
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// A contender by the name of `identity` for the Lease `namespace`/`name`.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            timing: LeaseTiming::default(),
            annotations: BTreeMap::new(),
            refuse_if: Box::new(|_| None),
            clock: Clock::system(),
            observed: watch::Sender::new(Observed::Unknown),
        }
    }

    /// A name for this start of the process, `<host>_<16 random hexadecimal digits>`: a restarted
    /// process must not take the Lease of its predecessor for its own.
    #[must_use]
    pub fn identity() -> String {
        identity::fresh()
    }

    /// Other spans than the default ones.
    #[must_use]
    pub fn timing(mut self, timing: LeaseTiming) -> Self {
        self.timing = timing;
        self
    }

    /// Annotations that the Lease carries from the moment this process leads. They stay when it is
    /// released: they also say whose Lease it is, see [`Lease::refuse_if`].
    #[must_use]
    pub fn annotations(mut self, annotations: BTreeMap<String, String>) -> Self {
        self.annotations = annotations;
        self
    }

    /// Looks at everything that others have left on the Lease, held or not, before it is waited
    /// for or taken. A reason ends [`Lease::while_held`] with [`LeaseError::Refused`].
    #[must_use]
    pub fn refuse_if(
        mut self,
        refusal: impl Fn(&LeaseRecord) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.refuse_if = Box::new(refusal);
        self
    }

    /// The clock by which the Lease's times are written, for people and other tools; nothing here
    /// reads them.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What this process sees of the Lease, now and later; a change is told once.
    #[must_use]
    pub fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.subscribe()
    }

    /// Runs `work` whenever the lease is held, until `shutdown`.
    ///
    /// Waits as a standby for as long as it takes; an unreachable server and missing permissions
    /// only make it wait, and are logged once. While the work runs, a task of its own renews the
    /// lease. When the lease is lost, [`Term::ended`] completes, the work is awaited, and the
    /// waiting begins again. On shutdown [`Term::ended`] completes too; the lease is renewed until
    /// the work has ended, and then released within two seconds.
    ///
    /// Returns what the work returned in the term that was ended by the shutdown or by the work
    /// itself, and `None` if the shutdown came while waiting. What it returned in a term that was
    /// ended by losing the lease is dropped.
    ///
    /// # Assumptions
    /// The work ends soon after [`Term::ended`], within a bound of its own, and does not block its
    /// thread.
    ///
    /// # Cancellation
    /// Dropping the future stops the work and the renewing and loses the fence. The Lease is not
    /// released then; it expires.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] as told by [`Lease::refuse_if`], and nothing else.
    pub async fn while_held<W, F>(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
        mut work: W,
    ) -> Result<Option<F::Output>, LeaseError>
    where
        W: FnMut(Term) -> F,
        F: Future,
    {
        let shutdown = shutdown.boxed().shared();
        let contender = Arc::new(Contender::new(self));
        loop {
            let won = tokio::select! {
                biased;
                () = shutdown.clone() => None,
                won = contender.acquire() => Some(won?),
            };
            let Some((candidacy, tenure, fence)) = won else {
                contender.withdraw().await;
                return Ok(None);
            };
            let term = Term {
                fence: fence.clone(),
                shutdown: shutdown.clone(),
            };
            // Owned here, so that it ends with this future, also when the work panics.
            let mut renewing = JoinSet::new();
            renewing.spawn(contender.clone().keep(candidacy, tenure));
            let output = work(term).await;
            let held = fence.is_held();
            if held {
                renewing.shutdown().await;
            } else {
                // It ends by itself with the fence, and says so; its panic loses the fence too.
                renewing.join_next().await;
            }
            if held || shutdown.clone().now_or_never().is_some() {
                contender.release().await;
                return Ok(Some(output));
            }
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("identity", &self.identity)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
