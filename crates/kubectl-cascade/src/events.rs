//! Events on upstreams: what `kubectl describe` shows of a cascade.
//!
//! Owns what an Event looks like, how often the same one is written, and the task that writes
//! them. What is worth an Event is for [`telemetry`](crate::telemetry) to say. An Event is news and
//! never a record: whatever goes wrong with one is counted and left at that.

mod repeats;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::exit::one_line;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1 as api},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    discovery,
};
use kube_cascade::{Kind, ObjectRef, clock::Clock};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use self::repeats::{Decision, Repeats, Sameness};
use crate::recent::Recent;

/// Who writes the Events: the `From` column of `kubectl describe`.
const REPORTER: &str = "kube-cascade.dev/controller";

/// What was done to the object, machine-readable and required by the API.
const ACTION: &str = "Cascade";

/// Where Events about cluster-scoped objects have to be; the server refuses any other namespace
/// but `kube-system` (observed on 1.36).
const CLUSTER_SCOPED: &str = "default";

/// Events that wait to be written; with messages of a kilobyte at most, a megabyte or two.
const QUEUE: usize = 1024;

/// How long one call may take: Events are written one after the other, so a stalled one delays
/// the rest.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the publisher goes on after the last recorder is gone.
const DRAIN: Duration = Duration::from_secs(5);

/// The most bytes of a message that the API takes (`note` of events.k8s.io/v1).
const MESSAGE: usize = 1024;

/// How much of the end of a message is kept when it is too long: remedies stand there.
const MESSAGE_END: usize = 256;

/// The most bytes of the name of the reporting instance that the API takes.
const INSTANCE: usize = 128;

/// Kinds whose version is remembered; rules name far fewer.
const KINDS: usize = 256;

/// Records Events without ever waiting for a server.
///
/// Cheap to clone. The publisher ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    inner: Arc<Inner>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    sender: mpsc::Sender<Record>,
    drops: Arc<Drops>,
    _gone: DropGuard,
}

impl EventRecorder {
    /// A recorder of Events in the cluster of `client`, and the publisher that writes them.
    ///
    /// `identity` tells this process from others, as on the lease. The publisher is to be run as a
    /// task; it ends a few seconds after the last recorder is dropped at the latest, written or
    /// not. The account needs `create` and `patch` on `events.events.k8s.io` in the upstreams'
    /// namespaces, and in `default` for cluster-scoped upstreams.
    pub fn new(client: Client, mut identity: String) -> (Self, impl Future<Output = ()> + Send) {
        identity.truncate(cut(&identity, INSTANCE).len());
        let (sender, receiver) = mpsc::channel(QUEUE);
        let drops = Arc::<Drops>::default();
        let gone = CancellationToken::new();
        let publisher = Publisher {
            client,
            identity,
            receiver,
            repeats: Repeats::new(),
            versions: Recent::new(KINDS),
            written: 0,
            failing: false,
            drops: Arc::clone(&drops),
        };
        let publishing = publisher.run_until_drained(gone.clone());
        let inner = Arc::new(Inner {
            sender,
            drops,
            _gone: gone.drop_guard(),
        });
        let clock = Clock::system();
        (Self { inner, clock }, publishing)
    }

    /// Takes the time of Events from this clock; from the machine's by default.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Says that `event` happened to the object; returns at once.
    ///
    /// Without its UID, `kubectl describe` does not find the Event, but `kubectl get events` does.
    pub fn record(&self, regarding: &ObjectRef, uid: Option<&str>, event: Event) {
        let record = Record {
            regarding: regarding.clone(),
            uid: uid.map(Arc::from),
            event,
            at: Timestamp::try_from(self.clock.now()).unwrap_or_default(),
        };
        if let Err(error) = self.inner.sender.try_send(record) {
            self.inner.drops.count(DropReason::QueueFull);
            debug!(%regarding, why = %error, "event dropped");
        }
    }

    /// How many Events were not written; it outlives the recorder.
    pub(crate) fn drops(&self) -> Arc<Drops> {
        Arc::clone(&self.inner.drops)
    }
}

/// Something that happened to a cascade, fit for an Event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    reason: Reason,
    message: String,
}

impl Event {
    /// An event for this reason. A message of more than 1024 bytes loses its middle.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = bounded(message.into());
        Self { reason, message }
    }

    /// Why there is an Event.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What people read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The closed list of reasons for an Event.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Reason {
    /// Deleting begins.
    Started,
    /// Everything is gone.
    Completed,
    /// The cascade waits until somebody changes something.
    Parked,
    /// Some of it failed and is tried again.
    Failed,
    /// What a rule in mode `Report` would do.
    Reported,
    /// Nothing is deleted on account of what was seen.
    Refused,
}

impl Reason {
    /// The `reason` of the Event, in `CamelCase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "CascadeStarted",
            Self::Completed => "CascadeCompleted",
            Self::Parked => "CascadeParked",
            Self::Failed => "CascadeFailed",
            Self::Reported => "CascadeReported",
            Self::Refused => "CascadeRefused",
        }
    }

    /// Whether somebody should look at it: the Event's type is then `Warning`, else `Normal`.
    #[must_use]
    pub fn is_warning(self) -> bool {
        match self {
            Self::Started | Self::Completed | Self::Reported => false,
            Self::Parked | Self::Failed | Self::Refused => true,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts of Events that were not written, by why.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    queue_full: AtomicU64,
    too_many: AtomicU64,
    write_failed: AtomicU64,
}

/// Why an Event was not written. Complete: every way out of the recorder and the publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DropReason {
    /// The publisher is behind, or gone.
    QueueFull,
    /// One object has had its share.
    TooMany,
    /// The server refused it, or did not answer.
    WriteFailed,
}

impl DropReason {
    pub(crate) const ALL: [Self; 3] = [Self::QueueFull, Self::TooMany, Self::WriteFailed];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "QueueFull",
            Self::TooMany => "TooMany",
            Self::WriteFailed => "WriteFailed",
        }
    }
}

impl Drops {
    pub(crate) fn total(&self, why: DropReason) -> u64 {
        self.counter(why).load(Ordering::Relaxed)
    }

    fn count(&self, why: DropReason) {
        self.counter(why).fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, why: DropReason) -> &AtomicU64 {
        match why {
            DropReason::QueueFull => &self.queue_full,
            DropReason::TooMany => &self.too_many,
            DropReason::WriteFailed => &self.write_failed,
        }
    }
}

/// One call of [`EventRecorder::record`].
#[derive(Debug)]
struct Record {
    regarding: ObjectRef,
    uid: Option<Arc<str>>,
    event: Event,
    at: Timestamp,
}

impl Record {
    fn sameness(&self) -> Sameness {
        Sameness {
            object: (self.regarding.clone(), self.uid.clone()),
            reason: self.event.reason,
            message: self.event.message.as_str().into(),
        }
    }

    fn namespace(&self) -> &str {
        self.regarding.namespace().unwrap_or(CLUSTER_SCOPED)
    }
}

/// Writes Events, one after the other.
struct Publisher {
    client: Client,
    identity: String,
    receiver: mpsc::Receiver<Record>,
    repeats: Repeats,
    versions: Recent<Kind, String>,
    written: u64,
    failing: bool,
    drops: Arc<Drops>,
}

impl Publisher {
    async fn run_until_drained(mut self, gone: CancellationToken) {
        let overdue = async {
            gone.cancelled().await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            biased;
            () = self.run() => {}
            () = overdue => debug!(left = self.receiver.len(), "events left unwritten at the end"),
        }
    }

    async fn run(&mut self) {
        while let Some(record) = self.receiver.recv().await {
            self.publish(&record).await;
        }
    }

    async fn publish(&mut self, record: &Record) {
        let same = record.sameness();
        let result = match self.repeats.decide(&same, Instant::now()) {
            Decision::Suppress => return,
            Decision::TooMany => {
                self.drops.count(DropReason::TooMany);
                debug!(regarding = %record.regarding, "too many events about one object");
                return;
            }
            Decision::Create => self.create(record).await,
            Decision::Repeat { name, count } => match self.repeat(record, &name, count).await {
                // It has expired (after an hour, by default), or somebody deleted it.
                Err(error) if error.is_not_found() => {
                    self.repeats.begin_anew(&same);
                    self.create(record).await
                }
                result => result.map(|()| name),
            },
        };
        match result {
            Ok(name) => {
                self.repeats.written(&same, name);
                self.failing = false;
            }
            Err(error) => self.failed(record, &error),
        }
    }

    async fn create(&mut self, record: &Record) -> Result<Arc<str>, Unwritten> {
        let api_version = self.api_version(record.regarding.kind()).await;
        self.written += 1;
        let name = event_name(record.regarding.name(), record.at, self.written);
        let event = api::Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(record.namespace().to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(ACTION.to_owned()),
            reason: Some(record.event.reason.as_str().to_owned()),
            type_: Some(type_of(record.event.reason).to_owned()),
            note: Some(record.event.message.clone()),
            event_time: Some(MicroTime(record.at)),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            regarding: Some(ObjectReference {
                api_version,
                kind: Some(record.regarding.kind().kind().to_owned()),
                namespace: record.regarding.namespace().map(str::to_owned),
                name: Some(record.regarding.name().to_owned()),
                uid: record.uid.as_deref().map(str::to_owned),
                ..ObjectReference::default()
            }),
            ..api::Event::default()
        };
        let api = self.api(record);
        let parameters = PostParams::default();
        within_deadline(api.create(&parameters, &event)).await?;
        Ok(name.into())
    }

    async fn repeat(&self, record: &Record, name: &str, count: i32) -> Result<(), Unwritten> {
        let seen = MicroTime(record.at);
        let patch = Patch::Merge(json!({ "series": { "count": count, "lastObservedTime": seen } }));
        let (api, parameters) = (self.api(record), PatchParams::default());
        within_deadline(api.patch(name, &parameters, &patch)).await?;
        Ok(())
    }

    fn api(&self, record: &Record) -> Api<api::Event> {
        Api::namespaced(self.client.clone(), record.namespace())
    }

    /// The `apiVersion` of a kind, or nothing when that cannot be found out.
    ///
    /// The server and `kubectl describe` do without; `kubectl events --for` does not (observed on
    /// 1.36).
    async fn api_version(&mut self, kind: &Kind) -> Option<String> {
        if let Some(known) = self.versions.get_mut(kind) {
            return Some(known.clone());
        }
        let group = within_deadline(discovery::group(&self.client, kind.group())).await;
        let group = group
            .inspect_err(|error| debug!(%kind, error = error.chain(), "version not found"))
            .ok()?;
        let (resource, _) = group.recommended_kind(kind.kind()).or_else(|| {
            let mut versions = group.versions();
            versions.find_map(|version| {
                let mut resources = group.versioned_resources(version).into_iter();
                resources.find(|(resource, _)| resource.kind == kind.kind())
            })
        })?;
        self.versions
            .insert(kind.clone(), resource.api_version.clone());
        Some(resource.api_version)
    }

    /// Says so once, until an Event is written again: nothing can be done about it here.
    fn failed(&mut self, record: &Record, error: &Unwritten) {
        self.drops.count(DropReason::WriteFailed);
        if !std::mem::replace(&mut self.failing, true) {
            let (regarding, reason) = (&record.regarding, record.event.reason);
            debug!(%regarding, %reason, error = error.chain(), "failed to write an event");
        }
    }
}

/// Why the server has no such Event now.
#[derive(Debug)]
enum Unwritten {
    Refused(Box<kube::Error>),
    Late,
}

impl Unwritten {
    fn is_not_found(&self) -> bool {
        let Self::Refused(error) = self else {
            return false;
        };
        matches!(&**error, kube::Error::Api(status) if status.is_not_found())
    }

    fn chain(&self) -> String {
        match self {
            Self::Refused(error) => one_line(&**error),
            Self::Late => format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
        }
    }
}

async fn within_deadline<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Unwritten> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(|error| Unwritten::Refused(Box::new(error))),
        Err(_) => Err(Unwritten::Late),
    }
}

fn type_of(reason: Reason) -> &'static str {
    if reason.is_warning() {
        "Warning"
    } else {
        "Normal"
    }
}

/// A name that no other Event has. Events need a DNS subdomain even where their objects do not.
fn event_name(object: &str, at: Timestamp, number: u64) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let object: String = object.chars().take(200).map(plain).collect();
    let object = match object.trim_matches('-') {
        "" => "cascade",
        object => object,
    };
    format!("{object}.{:x}.{number:x}", at.as_nanosecond())
}

/// The message, without its middle where it is too long: its end often holds the remedy.
fn bounded(message: String) -> String {
    const GAP: &str = " […] ";
    if message.len() <= MESSAGE {
        return message;
    }
    let begin = cut(&message, MESSAGE - MESSAGE_END - GAP.len());
    let mut end = message.len() - MESSAGE_END;
    while !message.is_char_boundary(end) {
        end += 1;
    }
    format!("{begin}{GAP}{}", &message[end..])
}

/// As much of the text as `most` bytes hold, on a character's boundary.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
