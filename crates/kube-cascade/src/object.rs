//! How objects and kinds are named; no client, no server.

use std::{fmt, sync::Arc};

/// A group and a kind; the version is the server's business.
///
/// Prints as kubectl writes it: `Network.region.example.com`, and `ConfigMap` for the core group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Kind {
    group: Arc<str>,
    kind: Arc<str>,
}

impl Kind {
    /// A kind of a group; the core group is the empty one.
    #[must_use]
    pub fn new(group: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// The kind of a Rust type.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn of<K: kube::Resource<DynamicType = ()>>() -> Self {
        Self::new(K::group(&()).as_ref(), K::kind(&()).as_ref())
    }

    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The kind within the group, in `CamelCase`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.group)
        }
    }
}

/// The name under which people and audit logs find one object.
///
/// Prints as `Network.region.example.com region/net-1`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectRef {
    kind: Kind,
    namespace: Option<Arc<str>>,
    name: Arc<str>,
}

impl ObjectRef {
    /// Names an object; `namespace` is `None` for a cluster-scoped kind.
    #[must_use]
    pub fn new(kind: Kind, namespace: Option<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            namespace,
            name: name.into(),
        }
    }

    /// Names an object of a Rust type, whose kind is `&()`, or a dynamic one, whose kind is its
    /// `ApiResource`.
    ///
    /// An object that has no name yet, because the server is to make one up, gets the empty name,
    /// which nothing accepts.
    ///
    /// # Examples
    /// ```
    /// use k8s_openapi::api::core::v1::ConfigMap;
    /// use kube::core::ObjectMeta;
    /// use kube_cascade::ObjectRef;
    ///
    /// let metadata = ObjectMeta {
    ///     namespace: Some("region".into()),
    ///     name: Some("settings".into()),
    ///     ..ObjectMeta::default()
    /// };
    /// let settings = ConfigMap { metadata, ..ConfigMap::default() };
    /// assert_eq!(ObjectRef::of(&settings, &()).to_string(), "ConfigMap region/settings");
    /// ```
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn of<K: kube::Resource>(object: &K, kind: &K::DynamicType) -> Self {
        let metadata = object.meta();
        Self::new(
            Kind::new(K::group(kind).as_ref(), K::kind(kind).as_ref()),
            metadata.namespace.as_deref().map(Arc::from),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its namespace, unless the kind is cluster-scoped.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
