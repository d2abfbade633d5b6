//! Dependents whose upstream is not there: found and reported, never deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CascadingDelete, Dependent,
    read::{ReadError, ReadErrors, exists, namespaces},
    selection::Scope,
};
use crate::{
    kubernetes::{Query, list, probe},
    object::ObjectRef,
};

/// IDs that dependents carry and no upstream has.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    by_id: BTreeMap<String, Found>,
}

#[derive(Clone, Debug)]
struct Found {
    count: usize,
    example: ObjectRef,
}

impl Orphans {
    /// How many dependents carry such an ID.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.values().map(|found| found.count).sum()
    }

    /// Each ID, the number of its dependents, and one of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &ObjectRef)> {
        self.by_id
            .iter()
            .map(|(id, found)| (id.as_str(), found.count, &found.example))
    }
}

impl CascadingDelete {
    /// Lists the dependents that carry the label at all, then the upstreams, and compares.
    ///
    /// In this order, so that the dependents of an upstream that is created meanwhile are none.
    /// Selections without a label know no orphans. An upstream of the ID in any namespace counts.
    ///
    /// # Errors
    /// Something could not be read; then nothing is known.
    pub async fn orphans(&self) -> Result<Orphans, ReadErrors> {
        let mut by_id = BTreeMap::<String, Found>::new();
        for dependent in &self.dependents {
            let Some(key) = dependent.selection().label_key() else {
                continue;
            };
            let resource = self
                .kinds
                .resolve(dependent.kind())
                .await
                .map_err(ReadError::from)?;
            let scopes = match dependent.selection().scope() {
                Scope::SameAsUpstream => BTreeSet::from([None]),
                _ => namespaces(dependent, &resource, None)?,
            };
            for namespace in scopes {
                let labels = Some(key.as_str());
                let query = Query {
                    namespace: namespace.as_deref(),
                    labels,
                    fields: None,
                };
                let keep = |mut meta: crate::kubernetes::Meta| {
                    let id = meta.labels.remove(key.as_str());
                    (id, meta.object_ref(dependent.kind()))
                };
                let listing = list(self.kinds.client(), &resource, query, keep).await;
                let found = listing.map_err(ReadError::from)?.items;
                if let (Some(namespace), true) = (&namespace, found.is_empty()) {
                    exists(&self.kinds, &resource, namespace).await?;
                }
                for (id, example) in found {
                    let Some(id) = id else { continue };
                    by_id.entry(id).or_insert(Found { count: 0, example }).count += 1;
                }
            }
        }
        if by_id.is_empty() {
            return Ok(Orphans::default());
        }
        let upstreams = self.upstream.ids().await.map_err(ReadError::from)?;
        by_id.retain(|id, _| upstreams.as_ref().is_some_and(|known| !known.contains(id)));
        Ok(Orphans { by_id })
    }
}

impl CascadingDelete {
    /// Asks, with one small list each, whether every dependent kind can still be read.
    ///
    /// # Errors
    /// The first that cannot: a cascade would delete nothing.
    pub async fn probe(&self) -> Result<(), ReadErrors> {
        for dependent in &self.dependents {
            self.probe_kind(dependent).await?;
        }
        Ok(())
    }

    async fn probe_kind(&self, dependent: &Dependent) -> Result<(), ReadError> {
        let resource = self.kinds.resolve(dependent.kind()).await?;
        let scopes = match dependent.selection().scope() {
            Scope::SameAsUpstream => BTreeSet::from([None]),
            _ => namespaces(dependent, &resource, None)?,
        };
        for namespace in scopes {
            let answer = probe(self.kinds.client(), &resource, namespace.as_deref()).await;
            answer.inspect_err(|error| self.kinds.forget_unserved(dependent.kind(), error))?;
        }
        Ok(())
    }
}

impl From<ReadError> for ReadErrors {
    fn from(error: ReadError) -> Self {
        Self::of(error)
    }
}
