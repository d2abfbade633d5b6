//! The Kubernetes source: one watched kind, metadata only, an epoch per unbroken watch.
//!
//! It reports what it saw; the [`Queue`](crate::Queue) decides what is news and what is absent,
//! and consumers confirm everything before they act.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, future::try_join_all, pin_mut};
use kube::{
    Client,
    api::{WatchEvent, WatchParams},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    call::{self, CallError, Class},
    kind::{Kinds, Resource},
    list::{Query, list},
    object::{Meta, Partial},
};
use crate::{
    cascade::upstream::definition,
    envelope::{Envelope, Key, ResourceId, State},
    hold::HoldName,
    object::Kind,
    source::{Feed, Malformed, Source, SourceError},
};

/// How long the server may keep a watch open; client-go asks for five to ten minutes.
const WATCH_SECONDS: u32 = 290;

/// How long a watch may be silent before it counts as dead: the server sends a bookmark about once
/// a minute, and ends the watch after [`WATCH_SECONDS`].
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// A watch that the server ends sooner than this counts as an error.
const SHORTEST: Duration = Duration::from_secs(1);

/// How often everything is listed again while the watch goes on.
///
/// A watch can be silent for ever without an error, for instance after etcd was restored from a
/// backup (observed). client-go has no such relist; its informers rely on restarts.
const RELIST: Duration = Duration::from_secs(600);

/// Which part of an upstream's metadata is its ID.
///
/// Complete: each is safe under conditions of its own, which a reader has to know.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum IdSource {
    /// `metadata.name`, as in the original.
    #[default]
    Name,
    /// `metadata.uid`.
    Uid,
    /// `namespace.name`, unambiguous since a namespace holds no dot; the name alone for a
    /// cluster-scoped kind.
    NamespacedName,
}

impl IdSource {
    pub(crate) fn id(self, meta: &Meta) -> String {
        match (self, meta.namespace.as_deref()) {
            (Self::Uid, _) => meta.uid.to_string(),
            (Self::NamespacedName, Some(namespace)) => format!("{namespace}.{}", meta.name),
            _ => meta.name.to_string(),
        }
    }
}

/// A [`Source`] of the objects of one kind.
///
/// # Guarantees
/// - Each epoch begins with a complete, consistent list; the watch goes on where that list ended.
/// - Any watch error ends the epoch: nothing is known until the next list is complete.
/// - Only metadata is read.
/// - Everything is listed again every ten minutes while the watch goes on; resource versions that
///   went backwards end the epoch.
pub struct KubernetesSource {
    kinds: Kinds,
    kind: Kind,
    namespaces: BTreeSet<String>,
    namespaced: Option<bool>,
    labels: Option<String>,
    id: IdSource,
    news: News,
    relist: Duration,
}

/// What of an object is news besides its UID, the phase of its deletion and its definition.
enum News {
    Nothing,
    /// Whether this hold is on it.
    Hold(HoldName),
    /// Which finalizers are on it.
    Finalizers,
}

impl KubernetesSource {
    /// Watches a kind in all namespaces, or cluster-wide.
    ///
    /// The client should not retry by itself (`Config::default_retry = false`): the queue does.
    #[must_use]
    pub fn new(client: Client, kind: Kind) -> Self {
        Self {
            kinds: Kinds::new(client),
            kind,
            namespaces: BTreeSet::new(),
            namespaced: None,
            labels: None,
            id: IdSource::Name,
            news: News::Nothing,
            relist: RELIST,
        }
    }

    /// Watches these namespaces only; none given means all.
    #[must_use]
    pub fn namespaces<N: Into<String>>(mut self, namespaces: impl IntoIterator<Item = N>) -> Self {
        self.namespaces = namespaces.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses the kind unless it is namespaced, or unless it is not.
    #[must_use]
    pub fn namespaced(mut self, namespaced: bool) -> Self {
        self.namespaced = Some(namespaced);
        self
    }

    /// Watches only what this label selector matches.
    ///
    /// An object that is relabelled out of the selector looks deleted to such a watch: consumers
    /// must confirm, as [`CascadingDelete`](crate::CascadingDelete) does.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Takes the ID from elsewhere than `metadata.name`.
    #[must_use]
    pub fn id(mut self, id: IdSource) -> Self {
        self.id = id;
        self
    }

    /// Reports whether this hold is on an object, so that a stripped hold is news.
    #[must_use]
    pub fn hold(mut self, hold: HoldName) -> Self {
        self.news = News::Hold(hold);
        self
    }

    /// Reports every change of an object's finalizers, for those who wait for references to go
    /// ([`Reconciler`](crate::reconcile::Reconciler)); takes the place of [`hold`](Self::hold).
    #[must_use]
    pub fn every_finalizer(mut self) -> Self {
        self.news = News::Finalizers;
        self
    }

    /// Lists everything again this often; ten minutes unless set.
    #[must_use]
    pub fn relist_every(mut self, interval: Duration) -> Self {
        self.relist = interval;
        self
    }

    /// One list per namespace, or one of everything.
    fn scopes(&self) -> Vec<Option<&str>> {
        if self.namespaces.is_empty() {
            vec![None]
        } else {
            self.namespaces
                .iter()
                .map(|namespace| Some(namespace.as_str()))
                .collect()
        }
    }

    async fn epoch(&self, mut feed: Feed) -> Result<(), CallError> {
        self.kinds.forget(&self.kind);
        let resource = self.kinds.resolve(&self.kind).await?;
        let claimed = if self.namespaces.is_empty() {
            self.namespaced
        } else {
            Some(true)
        };
        if claimed.is_some_and(|namespaced| namespaced != resource.namespaced) {
            let is = if resource.namespaced {
                "namespaced"
            } else {
                "cluster-scoped"
            };
            let attempted = format!("watch {} as configured: the kind is {is}", self.kind);
            return Err(CallError::new(attempted, Class::Invalid));
        }
        // Before the list, so that an upstream is never reported under a definition newer than it.
        let definition = definition(&self.kinds, &resource).await?.token();
        let epoch = Epoch {
            source: self,
            resource,
            definition,
        };
        let mut watched: Vec<_> = self
            .scopes()
            .into_iter()
            .map(|scope| (scope, None))
            .collect();
        loop {
            epoch.snapshot(&mut feed, &mut watched).await?;
            let until = Instant::now() + self.relist;
            let endless = watched
                .iter_mut()
                .map(|(scope, version)| epoch.watch(*scope, version, feed.clone()));
            match timeout_at(until, try_join_all(endless)).await {
                Ok(Err(error)) => return Err(error),
                Ok(Ok(never)) => drop(never),
                Err(_) => tracing::debug!(kind = %self.kind, "listing again"),
            }
        }
    }
}

impl Source for KubernetesSource {
    async fn run(&mut self, feed: Feed) -> Result<(), SourceError> {
        self.epoch(feed).await.map_err(SourceError::transient)
    }
}

/// What stays the same from a complete list to the end of the watch.
struct Epoch<'a> {
    source: &'a KubernetesSource,
    resource: Resource,
    definition: Arc<str>,
}

/// The resource version up to which a scope has been watched; `None` before its first list.
type Version = Option<Arc<str>>;

impl Epoch<'_> {
    /// Lists every scope, then reports all of it as one snapshot.
    ///
    /// A scope that is being watched keeps its own version and so replays what happened since, in
    /// order: a deletion seen by nobody but the list would be an absence, not a deletion.
    async fn snapshot(
        &self,
        feed: &mut Feed,
        watched: &mut [(Option<&str>, Version)],
    ) -> Result<(), CallError> {
        let mut envelopes = Vec::new();
        for (scope, version) in watched {
            let labels = self.source.labels.as_deref();
            let query = Query {
                namespace: *scope,
                labels,
                fields: None,
            };
            let listing = list(self.source.kinds.client(), &self.resource, query, |meta| {
                self.envelope(&meta)
            })
            .await?;
            if went_backwards(version.as_deref(), &listing.resource_version) {
                let attempted = format!("go on watching {}", self.source.kind);
                return Err(CallError::new(attempted, Class::Expired));
            }
            version.get_or_insert_with(|| listing.resource_version.into());
            envelopes.extend(listing.items);
        }
        let mut malformed = Vec::new();
        let mut snapshot = feed.snapshot();
        for envelope in envelopes {
            match envelope {
                Ok(envelope) => snapshot.put(envelope),
                Err(problem) => malformed.push(problem),
            }
        }
        snapshot.complete();
        for problem in malformed {
            feed.malformed(problem);
        }
        Ok(())
    }

    /// Watches one scope until something goes wrong; a watch that the server ends in an orderly way
    /// is taken up again where it stood.
    async fn watch(
        &self,
        scope: Option<&str>,
        version: &mut Version,
        mut feed: Feed,
    ) -> Result<std::convert::Infallible, CallError> {
        loop {
            let begun = Instant::now();
            self.watch_once(scope, version, &mut feed).await?;
            // A server that ends every watch at once must not be asked in a tight loop; a queue
            // restarts an epoch after a backoff.
            if begun.elapsed() < SHORTEST {
                let attempted = format!("watch {} for longer than a moment", self.source.kind);
                return Err(CallError::new(attempted, Class::Unavailable));
            }
        }
    }

    async fn watch_once(
        &self,
        scope: Option<&str>,
        version: &mut Version,
        feed: &mut Feed,
    ) -> Result<(), CallError> {
        let attempted = || format!("watch {}", self.source.kind);
        let failed = |error: kube::Error| CallError::from_kube(attempted(), error);
        let params = WatchParams {
            label_selector: self.source.labels.clone(),
            timeout: Some(WATCH_SECONDS),
            ..WatchParams::default()
        };
        let from = version.as_deref().unwrap_or_default();
        let request = self.resource.requests(scope).watch_metadata(&params, from);
        let request = request.map_err(|error| failed(kube::Error::BuildRequest(error)))?;
        let client = self.source.kinds.client();
        let events = call::call(attempted, client.request_events::<Partial>(request)).await?;
        // A server ends the watches of a definition that goes in good order, and the same watch may
        // then be one of its successor's objects: they would be reported under the old one, and
        // their cascades be parked for as long as the epoch lasts.
        if definition(&self.source.kinds, &self.resource)
            .await?
            .token()
            != self.definition
        {
            let attempted = format!("watch {}, whose definition was replaced", self.source.kind);
            return Err(CallError::new(attempted, Class::Expired));
        }
        pin_mut!(events);
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Err(_) => return Err(CallError::new(attempted(), Class::Unknown)),
                Ok(None) => return Ok(()),
                Ok(Some(event)) => event.map_err(failed)?,
            };
            let seen = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.report(feed, &object.metadata, None);
                    object.metadata.resource_version
                }
                WatchEvent::Deleted(object) => {
                    self.report(feed, &object.metadata, Some(State::Vanished));
                    object.metadata.resource_version
                }
                WatchEvent::Bookmark(bookmark) => bookmark.metadata.resource_version.into(),
                WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
            };
            *version = Some(seen);
        }
    }

    fn report(&self, feed: &mut Feed, meta: &Meta, state: Option<State>) {
        match self.envelope(meta) {
            Ok(envelope) => feed.changed(match state {
                Some(state) => envelope.in_state(state),
                None => envelope,
            }),
            Err(problem) => feed.malformed(problem),
        }
    }

    fn envelope(&self, meta: &Meta) -> Result<Envelope, Malformed> {
        let id = ResourceId::try_from(self.source.id.id(meta).as_str()).map_err(|error| {
            let object = meta.object_ref(&self.resource.kind);
            Malformed::new(object.to_string(), error.to_string())
        })?;
        let key = Key::new(meta.namespace.as_deref(), id);
        let state = match meta.deletion_timestamp {
            Some(since) => State::Terminating {
                since: since.into(),
            },
            None => State::Live,
        };
        let envelope = Envelope::of(key, state)
            .with_name(Arc::clone(&meta.name))
            .with_uid(Arc::clone(&meta.uid))
            .with_definition(Arc::clone(&self.definition));
        Ok(match &self.source.news {
            News::Nothing => envelope,
            News::Hold(hold) if meta.finalizers.iter().any(|name| name == hold.as_str()) => {
                envelope.with_etag(HELD)
            }
            News::Hold(_) => envelope.with_etag(NOT_HELD),
            News::Finalizers => envelope.with_etag(fingerprint(&meta.finalizers)),
        })
    }
}

/// The etag of an object that carries the source's hold.
pub(crate) const HELD: &str = "held";
const NOT_HELD: &str = "not-held";

/// A few bytes that differ when the finalizers do; compared within this process only.
fn fingerprint(finalizers: &[String]) -> String {
    let mut hasher = DefaultHasher::new();
    finalizers.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// Whether a list is older than what was watched already.
///
/// Resource versions compare as numbers since Kubernetes 1.35 (KEP-5504); others say nothing.
fn went_backwards(watched: Option<&str>, listed: &str) -> bool {
    let number = |version: &str| version.parse::<u128>().ok();
    match (watched.and_then(number), number(listed)) {
        (Some(watched), Some(listed)) => listed < watched,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_smaller_number_is_a_step_backwards() {
        for (watched, listed, backwards) in [
            (None, "5", false),
            (Some("5"), "5", false),
            (Some("5"), "10", false),
            (Some("10"), "5", true),
            (Some("opaque"), "5", false),
            (Some("5"), "opaque", false),
        ] {
            assert_eq!(
                went_backwards(watched, listed),
                backwards,
                "{watched:?} {listed}"
            );
        }
    }
}
