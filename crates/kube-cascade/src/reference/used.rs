//! References on many objects: put on those of a set, taken off all others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{
    Reference, References,
    error::{AddAllError, Failures, RemoveAllError},
    references::Change,
};
use crate::{
    cascade::{LabelKey, LabelValue},
    kubernetes::{CallError, Query, Resource, list},
    names::Namespace,
    object::{Kind, ObjectRef},
};

/// Objects that are changed at a time: many are done soon, without a burst.
const AT_A_TIME: usize = 8;

/// Objects of one kind that a user may use: where they are, and their labels.
///
/// # Examples
/// ```
/// use kube_cascade::{Kind, reference::Used};
///
/// let groups = Kind::new("region.example.com", "SecurityGroup");
/// let of_project = Used::in_namespace(groups, "region".parse()?)
///     .labelled("example.com/project".parse()?, "p1".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Used {
    kind: Kind,
    namespace: Option<Namespace>,
    labels: BTreeMap<LabelKey, LabelValue>,
}

impl Used {
    /// Those of one namespace.
    pub fn in_namespace(kind: Kind, namespace: Namespace) -> Self {
        Self {
            namespace: Some(namespace),
            ..Self::everywhere(kind)
        }
    }

    /// Those of all namespaces, or of a cluster-scoped kind.
    pub fn everywhere(kind: Kind) -> Self {
        Self {
            kind,
            namespace: None,
            labels: BTreeMap::new(),
        }
    }

    /// Of them, only those with this label; a key that is given again gets the new value.
    pub fn labelled(mut self, key: LabelKey, value: LabelValue) -> Self {
        self.labels.insert(key, value);
        self
    }

    /// The API's `labelSelector`. Neither a key nor a value can hold a `,` or a `=`.
    fn selector(&self) -> Option<String> {
        let mut selector = String::new();
        for (key, value) in &self.labels {
            let comma = if selector.is_empty() { "" } else { "," };
            write!(selector, "{comma}{key}={value}").expect("writing to a String cannot fail");
        }
        (!selector.is_empty()).then_some(selector)
    }
}

/// What became of the objects of a set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changed {
    objects: Vec<ObjectRef>,
    unchanged: usize,
}

impl Changed {
    /// The objects that were written, in the order of their names.
    #[must_use]
    pub fn objects(&self) -> &[ObjectRef] {
        &self.objects
    }

    /// How many others were as they should be.
    #[must_use]
    pub fn unchanged(&self) -> usize {
        self.unchanged
    }
}

/// An object of a list.
struct Found {
    object: ObjectRef,
    uid: Arc<str>,
    is_on: bool,
}

impl References {
    /// Says that the user uses those of the objects that have these names.
    ///
    /// All of them are looked for before anything is written. Then each that lacks the reference is
    /// written, also after another one has failed.
    ///
    /// # Errors
    /// [`AddAllError`]; a name that no object has, or that several have, is one.
    pub async fn add_all(
        &self,
        used: &Used,
        names: impl IntoIterator<Item = impl AsRef<str>>,
        reference: &Reference,
    ) -> Result<Changed, AddAllError> {
        let (resource, found) = self.find(used, reference).await?;
        let mut by_name = BTreeMap::<String, Vec<Found>>::new();
        for found in found {
            let name = found.object.name().to_owned();
            by_name.entry(name).or_default().push(found);
        }
        let names = set(names);
        let unknown = |name: &&String| !by_name.contains_key(*name);
        let ids: Vec<_> = names.iter().filter(unknown).cloned().collect();
        let kind = || used.kind.clone();
        if !ids.is_empty() {
            return Err(AddAllError::UnknownIds { kind: kind(), ids });
        }
        let ambiguous = |name: &&String| by_name[*name].len() > 1;
        let ids: Vec<_> = names.iter().filter(ambiguous).cloned().collect();
        if !ids.is_empty() {
            return Err(AddAllError::AmbiguousIds { kind: kind(), ids });
        }
        by_name.retain(|name, _| names.contains(name));
        let (on, off): (Vec<_>, Vec<_>) = by_name
            .into_values()
            .flatten()
            .partition(|found| found.is_on);
        let resource = &resource;
        let changes = off.into_iter().map(|found| async move {
            let (object, uid) = (&found.object, Some(&*found.uid));
            let change = self.add_to(resource, object, uid, reference).await;
            (found.object, change)
        });
        Ok(all(changes, on.len()).await?)
    }

    /// Says that the user no longer uses any of the objects, but for those with these names.
    ///
    /// Each that has the reference is written, also after another one has failed. A name that no
    /// object has means nothing.
    ///
    /// # Errors
    /// [`RemoveAllError`].
    pub async fn remove_all_but(
        &self,
        used: &Used,
        names: impl IntoIterator<Item = impl AsRef<str>>,
        reference: &Reference,
    ) -> Result<Changed, RemoveAllError> {
        let (resource, mut found) = self.find(used, reference).await?;
        let names = set(names);
        found.retain(|found| !names.contains(found.object.name()));
        let (on, off): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.is_on);
        let resource = &resource;
        let changes = on.into_iter().map(|found| async move {
            let (object, uid) = (&found.object, Some(&*found.uid));
            let change = self.remove_from(resource, object, uid, reference).await;
            (found.object, change)
        });
        Ok(all(changes, off.len()).await?)
    }

    /// Says that the user no longer uses any of the objects.
    ///
    /// # Errors
    /// [`RemoveAllError`].
    pub async fn clear(
        &self,
        used: &Used,
        reference: &Reference,
    ) -> Result<Changed, RemoveAllError> {
        self.remove_all_but(used, [""; 0], reference).await
    }

    async fn find(
        &self,
        used: &Used,
        reference: &Reference,
    ) -> Result<(Resource, Vec<Found>), CallError> {
        let resource = self.kinds.resolve(&used.kind).await?;
        let selector = used.selector();
        let query = Query {
            namespace: used.namespace.as_ref().map(Namespace::as_str),
            labels: selector.as_deref(),
            fields: None,
        };
        let keep = |meta: crate::kubernetes::Meta| Found {
            object: meta.object_ref(&used.kind),
            is_on: meta.finalizers.iter().any(|it| it == reference.as_str()),
            uid: meta.uid,
        };
        let listing = list(self.kinds.client(), &resource, query, keep).await;
        let items = self.heeded(&used.kind, listing)?.items;
        Ok((resource, items))
    }
}

fn set(names: impl IntoIterator<Item = impl AsRef<str>>) -> BTreeSet<String> {
    let names = names.into_iter();
    names.map(|name| name.as_ref().to_owned()).collect()
}

/// Makes all changes, whatever becomes of each.
async fn all<E>(
    changes: impl Iterator<Item = impl Future<Output = (ObjectRef, Result<Change, E>)>>,
    unchanged: usize,
) -> Result<Changed, Failures<E>> {
    let mut outcome = Changed {
        unchanged,
        ..Changed::default()
    };
    let mut failed = Vec::new();
    let mut changes = stream::iter(changes).buffer_unordered(AT_A_TIME);
    while let Some((object, change)) = changes.next().await {
        match change {
            Ok(Change::Written) => outcome.objects.push(object),
            Ok(Change::Unneeded) => outcome.unchanged += 1,
            Err(error) => failed.push((object, error)),
        }
    }
    outcome.objects.sort();
    if failed.is_empty() {
        return Ok(outcome);
    }
    failed.sort_by(|(one, _), (other, _)| one.cmp(other));
    Err(Failures {
        failed,
        changed: outcome,
    })
}
