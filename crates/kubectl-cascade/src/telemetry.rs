//! What cascades tell, passed on: as Events to those who look at an upstream, as metrics to those
//! who look at all of them, and as log lines.
//!
//! Owns the words of the Events and of those lines, and who has to be told what. Every DELETE has
//! an audit line already, which the library writes.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use kube_cascade::{
    ObjectRef, ParkReason, Parked,
    cascade::{CascadeError, Notice, Observer, Refusal, Subject},
    kubernetes::Class,
};
use tracing::{debug, info, warn};

use crate::{
    events::{Event, EventRecorder, Reason},
    exit::one_line,
    metrics::Metrics,
    recent::Recent,
};

/// Cascades whose last line is remembered. What is forgotten is only logged once more.
const REMEMBERED: usize = 4096;

/// Passes on what cascades tell.
pub struct Telemetry {
    recorder: EventRecorder,
    metrics: Metrics,
    observer: Option<Arc<dyn Observer>>,
    told: Mutex<Recent<Cascade, u64>>,
}

/// Which cascade: its rule, its upstream and that one's UID.
type Cascade = (Arc<str>, ObjectRef, Option<Arc<str>>);

impl Telemetry {
    /// Writes Events with `recorder` and counts in `metrics`.
    #[must_use]
    pub fn new(recorder: EventRecorder, metrics: Metrics) -> Self {
        metrics.follow(&recorder);
        let told = Mutex::new(Recent::new(REMEMBERED));
        Self {
            recorder,
            metrics,
            observer: None,
            told,
        }
    }

    /// Passes everything on to one more.
    #[must_use]
    pub fn also_tell(self, observer: Arc<dyn Observer>) -> Self {
        Self {
            observer: Some(observer),
            ..self
        }
    }

    fn record(&self, subject: &Subject<'_>, telling: &Telling) {
        let uid = match &telling.about {
            About::Upstream => subject.uid,
            About::Successor(uid) => Some(&**uid),
            About::Nothing => return,
        };
        if let Some(upstream) = &subject.upstream {
            let message = format!("rule {}: {}", subject.cascade, telling.full());
            let event = Event::new(telling.reason, message);
            self.recorder.record(upstream, uid, event);
        }
    }

    /// Whether this is not what was told of the cascade last.
    fn is_news(&self, subject: &Subject<'_>, telling: &Telling) -> bool {
        let Some(upstream) = subject.upstream.clone() else {
            // Nothing tells one from another, so nothing is a repetition.
            return true;
        };
        let cascade = (
            subject.cascade.into(),
            upstream,
            subject.uid.map(Into::into),
        );
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if telling.reason == Reason::Completed {
            told.remove(&cascade);
            return true;
        }
        let mut hasher = DefaultHasher::new();
        (telling.reason, &telling.message).hash(&mut hasher);
        let hash = hasher.finish();
        told.insert(cascade, hash) != Some(hash)
    }
}

impl Observer for Telemetry {
    fn observe(&self, subject: &Subject<'_>, notice: &Notice<'_>) {
        self.metrics.count(subject.cascade, notice);
        if let Some(observer) = &self.observer {
            observer.observe(subject, notice);
        }
        let Some(telling) = Telling::of(notice) else {
            return;
        };
        log(subject, &telling, self.is_news(subject, &telling));
        self.record(subject, &telling);
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("recorder", &self.recorder)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// A notice in words.
#[derive(Debug)]
struct Telling {
    reason: Reason,
    message: String,
    remedy: Option<&'static str>,
    about: About,
}

/// Which object an Event is about.
#[derive(Debug)]
enum About {
    /// The upstream.
    Upstream,
    /// What has its place now, of this UID.
    Successor(Arc<str>),
    /// Nothing that exists.
    Nothing,
}

impl Telling {
    /// What there is to tell; nothing of a DELETE, which has its audit line.
    fn of(notice: &Notice<'_>) -> Option<Self> {
        let telling = match notice {
            Notice::Started(summary) => Self::new(Reason::Started, format!("deleting {summary}")),
            Notice::Reported(summary) => {
                let message = format!("would delete {summary}; mode is Report, so nothing is");
                Self::new(Reason::Reported, message)
            }
            Notice::Completed { deleted } => {
                let message =
                    format!("nothing is left; objects deleted by this process: {deleted}");
                Self::new(Reason::Completed, message)
            }
            Notice::Parked(parked) => {
                let remedy = park_remedy(parked);
                Self {
                    remedy,
                    ..Self::new(Reason::Parked, parked.to_string())
                }
            }
            Notice::Failed(error) => {
                let remedy = Some(failure_remedy(error));
                Self {
                    remedy,
                    ..Self::new(Reason::Failed, one_line(*error))
                }
            }
            Notice::Refused(refusal) => {
                let about = about(refusal);
                Self {
                    about,
                    ..Self::new(Reason::Refused, refusal.to_string())
                }
            }
            _ => return None,
        };
        Some(telling)
    }

    fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            remedy: None,
            about: About::Upstream,
        }
    }

    fn full(&self) -> String {
        match self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.message),
            None => self.message.clone(),
        }
    }
}

/// What helps, where the message does not say so itself.
fn park_remedy(parked: &Parked) -> Option<&'static str> {
    match parked.reason() {
        ParkReason::InvalidId => {
            Some("nothing can carry this ID as a label; let the rule use `id: {from: UID}`")
        }
        ParkReason::Forbidden => {
            Some("grant this to the controller's account; it is tried again within a minute")
        }
        ParkReason::NotServed => Some("install the kind, or take it out of the rule"),
        ParkReason::NamespaceMissing => Some("create the namespace, or take it out of the rule"),
        ParkReason::WrongScope => Some("give the dependent a scope that fits its kind"),
        _ => None,
    }
}

fn failure_remedy(error: &CascadeError) -> &'static str {
    match error {
        CascadeError::Delete { failed, .. }
            if failed.iter().any(|(_, e)| *e.class() == Class::Forbidden) =>
        {
            "grant `delete` to the controller's account, or look for an admission policy that \
             forbids it; it is tried again, ever more slowly"
        }
        _ => "it is tried again, ever more slowly",
    }
}

fn about(refusal: &Refusal) -> About {
    match refusal {
        Refusal::UpstreamReplaced(uid) => About::Successor(Arc::clone(uid)),
        Refusal::UpstreamUnknown | Refusal::DeletionUnwitnessed => About::Nothing,
        _ => About::Upstream,
    }
}

/// One line, where a person must act as a warning; a repetition only for those who debug.
fn log(subject: &Subject<'_>, telling: &Telling, is_news: bool) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                rule = subject.cascade,
                upstream = subject.upstream.as_ref().map(tracing::field::display),
                upstream_uid = subject.uid,
                remedy = telling.remedy,
                "{}: {}",
                telling.reason,
                telling.message
            )
        };
    }
    if !is_news {
        line!(debug);
    } else if telling.reason.is_warning() {
        line!(warn);
    } else {
        line!(info);
    }
}

#[cfg(test)]
mod tests;
