//! What a source says about one resource: its identity and how far its deletion has come.
//!
//! Nothing here talks to anything: an [`Envelope`] is a hint that the consumer confirms, and
//! [`Envelope::supersede`] is the one place that decides what counts as news. Whether an ID is fit
//! to be a label value is not decided here but where a selector is built. The caller is
//! [`queue`](crate::queue).

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

/// What identifies an upstream to its dependents: the value that their label carries.
///
/// # Examples
/// ```
/// use kube_cascade::ResourceId;
///
/// let id: ResourceId = "project-1".parse()?;
/// assert_eq!(id.as_str(), "project-1");
/// assert!(ResourceId::try_from("  ").is_err());
/// # Ok::<(), kube_cascade::InvalidResourceId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Arc<str>);

/// The text is empty or white space, so it identifies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a resource ID must not be empty or blank")]
#[non_exhaustive]
pub struct InvalidResourceId;

impl ResourceId {
    /// The ID as its source spelled it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for ResourceId {
    type Error = InvalidResourceId;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            return Err(InvalidResourceId);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ResourceId {
    type Error = InvalidResourceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a queue keeps apart: an ID, and the namespace for namespaced kinds.
///
/// A queue carries one kind, so the kind is no part of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    namespace: Option<Arc<str>>,
    id: ResourceId,
}

impl Key {
    /// A key in a namespace, or of a cluster-scoped kind.
    #[must_use]
    pub fn new(namespace: Option<&str>, id: ResourceId) -> Self {
        Self {
            namespace: namespace.map(Into::into),
            id,
        }
    }

    /// The namespace, absent for cluster-scoped kinds and sources without namespaces.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The resource's ID.
    #[must_use]
    pub fn id(&self) -> &ResourceId {
        &self.id
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.id),
            None => self.id.fmt(f),
        }
    }
}

/// How far a resource's deletion has come, as far as its source knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It exists and nobody has asked for its deletion.
    Live,
    /// Its deletion was asked for and something still holds it.
    Terminating {
        /// When the deletion was asked for.
        since: SystemTime,
    },
    /// The source saw it go, on an unbroken watch.
    Vanished,
    /// It was known, and a complete snapshot did not contain it.
    ///
    /// Only the queue says this. It is weaker than [`State::Vanished`]: nobody saw the resource
    /// go, so it is a reason to look, never to delete.
    Absent,
}

impl State {
    /// Whether the resource no longer exists as far as the source knows.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Vanished | Self::Absent)
    }

    /// Whether nothing changed between two states; the time of a deletion is not compared.
    fn is_same_phase(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// One source's word on one resource.
///
/// # Examples
/// ```
/// use kube_cascade::{Envelope, State};
///
/// let live = Envelope::new("project-1".parse()?, None).with_uid("8b1c");
/// assert_eq!(*live.state(), State::Live);
/// assert_eq!(live.name(), "project-1");
/// # Ok::<(), kube_cascade::InvalidResourceId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    key: Key,
    state: State,
    name: Option<Arc<str>>,
    uid: Option<Arc<str>>,
    etag: Option<Arc<str>>,
    definition: Option<Arc<str>>,
}

impl Envelope {
    /// A resource without a namespace: live, or terminating since `deleted`.
    #[must_use]
    pub fn new(id: ResourceId, deleted: Option<SystemTime>) -> Self {
        let state = deleted.map_or(State::Live, |since| State::Terminating { since });
        Self::of(Key::new(None, id), state)
    }

    /// A resource in a given state.
    #[must_use]
    pub fn of(key: Key, state: State) -> Self {
        Self {
            key,
            state,
            name: None,
            uid: None,
            etag: None,
            definition: None,
        }
    }

    /// Sets the resource's name where that is not its ID.
    #[must_use]
    pub fn with_name(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// Sets the UID, which tells a resource from a later one of the same name.
    #[must_use]
    pub fn with_uid(self, uid: impl Into<Arc<str>>) -> Self {
        Self {
            uid: Some(uid.into()),
            ..self
        }
    }

    /// Sets an opaque token for everything else that is news to consumers.
    ///
    /// It is compared for equality only. A token that changes with every write (a
    /// `resourceVersion`) would make news of every heartbeat, and so undo every backoff.
    #[must_use]
    pub fn with_etag(self, etag: impl Into<Arc<str>>) -> Self {
        Self {
            etag: Some(etag.into()),
            ..self
        }
    }

    /// Sets the UID of the definition (CRD) under which the source saw the resource.
    #[must_use]
    pub fn with_definition(self, definition: impl Into<Arc<str>>) -> Self {
        Self {
            definition: Some(definition.into()),
            ..self
        }
    }

    /// What the queue files this under.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The resource's ID.
    #[must_use]
    pub fn id(&self) -> &ResourceId {
        self.key.id()
    }

    /// How far the deletion has come.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The resource's name; its ID where no name was set.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id().as_str())
    }

    /// The resource's UID, where the source knows it.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The token for everything else that is news.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// The UID of the definition (CRD) under which the source saw the resource.
    #[must_use]
    pub fn definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    /// What is known after `next`, which is about the same key; `None` if `next` is no news.
    ///
    /// News is another UID, another phase of the deletion, another etag or another definition. Not
    /// the time of the deletion, not a name, and not an absence after a vanishing. What is gone
    /// keeps what was last known of it where `next` does not say.
    #[must_use]
    pub fn supersede(&self, next: &Self) -> Option<Self> {
        debug_assert_eq!(
            self.key, next.key,
            "an envelope only supersedes its own key"
        );
        let next = if next.state.is_gone() {
            next.clone().or(self)
        } else {
            next.clone()
        };
        let same_identity =
            self.uid == next.uid && self.etag == next.etag && self.definition == next.definition;
        let same_phase = self.state.is_same_phase(next.state)
            || (self.state, next.state) == (State::Vanished, State::Absent);
        (!(same_identity && same_phase)).then_some(next)
    }

    /// The same envelope in another state.
    pub(crate) fn in_state(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }

    /// Fills what this does not say from what was `known`.
    fn or(self, known: &Self) -> Self {
        Self {
            name: self.name.or_else(|| known.name.clone()),
            uid: self.uid.or_else(|| known.uid.clone()),
            etag: self.etag.or_else(|| known.etag.clone()),
            definition: self.definition.or_else(|| known.definition.clone()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
