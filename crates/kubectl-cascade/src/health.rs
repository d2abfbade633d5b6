//! `/healthz`, `/readyz` and `/metrics` over HTTP.
//!
//! Owns what "ready" means: a standby that sees the Lease is, and a leader once each rule has a
//! complete list of its upstreams or is known to be unable to get one. The controller says what
//! happens through [`Health`].

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kube_cascade::lease::Observed;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time::sleep,
};

use crate::metrics::{self, Metrics};

/// How long a shutdown waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(1);

const TEXT: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What the controller knows of its readiness. Cheap to clone; every clone is the same.
#[derive(Clone, Debug)]
pub struct Health {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    leadership: Leadership,
    rules: BTreeMap<String, Progress>,
}

#[derive(Debug)]
enum Leadership {
    /// Contending has not begun.
    Unknown,
    /// There is no Lease: this process leads.
    Unelected,
    /// As was last seen of the Lease.
    Contending(watch::Receiver<Observed>),
}

#[derive(Clone, Debug)]
enum Progress {
    Listing,
    Snapshotted,
    Degraded(String),
}

impl Health {
    /// The health of a process that serves these rules and has not begun yet.
    #[must_use]
    pub fn new(rules: Vec<String>) -> Self {
        let rules = rules.into_iter().map(|rule| (rule, Progress::Listing));
        let known = Known {
            leadership: Leadership::Unknown,
            rules: rules.collect(),
        };
        Self {
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Follows what is seen of the Lease.
    pub fn leadership(&self, observed: watch::Receiver<Observed>) {
        self.lock().leadership = Leadership::Contending(observed);
    }

    /// There is no Lease to contend for: this process leads.
    pub fn no_lease(&self) {
        self.lock().leadership = Leadership::Unelected;
    }

    /// The rule has a complete list of its upstreams.
    pub fn rule_snapshotted(&self, rule: &str) {
        self.set(rule, Progress::Snapshotted);
    }

    /// The rule cannot work as it should, which is no reason to hold up the others.
    pub fn rule_degraded(&self, rule: &str, why: impl Into<String>) {
        self.set(rule, Progress::Degraded(why.into()));
    }

    /// Every rule has to be listed anew: a term begins.
    pub fn reset_rules(&self) {
        for progress in self.lock().rules.values_mut() {
            *progress = Progress::Listing;
        }
    }

    /// Whether this process leads, as far as it knows.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.lock().leadership.is_leading()
    }

    fn set(&self, rule: &str, progress: Progress) {
        if let Some(known) = self.lock().rules.get_mut(rule) {
            *known = progress;
        }
    }

    fn readiness(&self) -> Report {
        let known = self.lock();
        let mut report = Report::default();
        report.line("lease", known.leadership.check());
        if known.leadership.is_leading() {
            for (rule, progress) in &known.rules {
                report.line(&format!("rule {rule}"), progress.check());
            }
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each use is a single assignment, so a panic cannot leave it half-done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves health and metrics until `shutdown`.
///
/// # Errors
/// The listener fails for good.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (closing, closed) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        let _ = closing.send(());
    };
    let server = axum::serve(listener, router(health, metrics)).with_graceful_shutdown(shutdown);
    // A client that neither sends nor goes away must not keep the process.
    let overdue = async {
        if closed.await.is_ok() {
            sleep(DRAIN).await;
        }
    };
    tokio::select! {
        result = server => result,
        () = overdue => Ok(()),
    }
}

/// The paths, for those who serve them in their own way.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(async || (TEXT, "ok\n")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state((health, metrics))
}

async fn readyz(State((health, _)): State<(Health, Metrics)>) -> Response {
    let report = health.readiness();
    let (status, end) = if report.failed {
        (StatusCode::SERVICE_UNAVAILABLE, "failed")
    } else {
        (StatusCode::OK, "passed")
    };
    let text = format!("{}readyz check {end}\n", report.text);
    (status, TEXT, text).into_response()
}

async fn scrape(State((health, metrics)): State<(Health, Metrics)>) -> Response {
    metrics.set_leader(health.is_leading());
    let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (kind, metrics.encode()).into_response()
}

impl Leadership {
    fn is_leading(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Unelected => true,
            Self::Contending(observed) => *observed.borrow() == Observed::Leading,
        }
    }

    fn check(&self) -> Check {
        let observed = match self {
            Self::Unknown => return Check::Failed("contending has not begun".into()),
            Self::Unelected => return Check::Ok("leading without a lease".into()),
            Self::Contending(observed) => observed.borrow(),
        };
        match &*observed {
            Observed::Leading => Check::Ok("leading".into()),
            Observed::Standby { holder: None } => Check::Ok("standby, nobody leads".into()),
            Observed::Standby {
                holder: Some(holder),
            } => Check::Ok(format!("standby, {holder} leads")),
            _ => Check::Failed("it has not been seen".into()),
        }
    }
}

impl Progress {
    fn check(&self) -> Check {
        match self {
            Self::Listing => Check::Failed("its upstreams are not listed completely yet".into()),
            Self::Snapshotted => Check::Ok(String::new()),
            Self::Degraded(why) => Check::Ok(format!("degraded: {why}")),
        }
    }
}

enum Check {
    /// Passed; with what there is to add.
    Ok(String),
    Failed(String),
}

/// The list that kube-apiserver's own `/readyz?verbose` prints.
#[derive(Default)]
struct Report {
    text: String,
    failed: bool,
}

impl Report {
    fn line(&mut self, name: &str, check: Check) {
        // Writing to a string cannot fail.
        let _ = match check {
            Check::Ok(note) if note.is_empty() => writeln!(self.text, "[+]{name} ok"),
            Check::Ok(note) => writeln!(self.text, "[+]{name} ok ({})", one_line(&note)),
            Check::Failed(why) => {
                self.failed = true;
                writeln!(self.text, "[-]{name} failed: {}", one_line(&why))
            }
        };
    }
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
