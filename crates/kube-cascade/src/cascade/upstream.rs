//! The upstream: which kind it is, what its ID is, and how a deletion of it is confirmed.

use std::{collections::BTreeSet, sync::Arc};

use kube::Client;

use super::judge::{Definition, Evidence, Sighting};
use crate::{
    envelope::Envelope,
    hold::HoldName,
    kubernetes::{CallError, IdSource, Kinds, Meta, Query, Resource, list},
    object::{Kind, ObjectRef},
};

/// How a deletion of the upstream is confirmed before anything is deleted.
#[derive(Clone)]
pub struct Upstream(Confirm);

#[derive(Clone)]
enum Confirm {
    Kubernetes(Confirmed),
    TrustEnvelope,
}

#[derive(Clone)]
struct Confirmed {
    kinds: Kinds,
    kind: Kind,
    id: IdSource,
    /// Where upstreams are whose envelopes name no namespace.
    namespace: Option<Arc<str>>,
    namesakes: Namesakes,
}

/// Where to look for another upstream of the same ID.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Namesakes {
    Nowhere,
    In(BTreeSet<String>),
    Everywhere,
}

impl Upstream {
    /// Confirms by live, consistent reads of the upstream, its definition and its namesakes.
    ///
    /// By default an ID that is a name of a namespaced kind is looked for in all namespaces: another
    /// upstream of that name parks the cascade, because nothing tells their dependents apart.
    #[must_use]
    pub fn kubernetes(client: Client, kind: Kind, id: IdSource) -> Self {
        let namesakes = match id {
            IdSource::Name => Namesakes::Everywhere,
            IdSource::Uid | IdSource::NamespacedName => Namesakes::Nowhere,
        };
        let kinds = Kinds::new(client);
        Self(Confirm::Kubernetes(Confirmed {
            kinds,
            kind,
            id,
            namespace: None,
            namesakes,
        }))
    }

    /// Believes the envelope: an upstream that it calls terminating or vanished is so.
    ///
    /// For embedders whose system of record cannot be reached, as the original does always. A
    /// forged, stale or repeated envelope then deletes the dependents of a live upstream.
    #[must_use]
    pub fn trust_envelope() -> Self {
        Self(Confirm::TrustEnvelope)
    }

    /// The namespace of upstreams whose envelopes name none, as the original's never do.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        if let Confirm::Kubernetes(confirmed) = &mut self.0 {
            confirmed.namespace = Some(namespace.into());
        }
        self
    }

    /// The author's word that names are unique among the upstreams of these namespaces, and that
    /// upstreams of other namespaces have no dependents in scope.
    ///
    /// Only these namespaces are then searched for a namesake; an empty set stands for all.
    #[must_use]
    pub fn unique_in(mut self, scope: impl IntoIterator<Item = String>) -> Self {
        let scope: BTreeSet<_> = scope.into_iter().collect();
        if let Confirm::Kubernetes(confirmed) = &mut self.0
            && confirmed.namesakes == Namesakes::Everywhere
            && !scope.is_empty()
        {
            confirmed.namesakes = Namesakes::In(scope);
        }
        self
    }

    /// Looks for no namesakes: every dependent is in its upstream's own namespace
    /// ([`Scope::SameAsUpstream`](crate::cascade::Scope::SameAsUpstream)), which separates them.
    #[must_use]
    pub fn separated_by_namespace(mut self) -> Self {
        if let Confirm::Kubernetes(confirmed) = &mut self.0 {
            confirmed.namesakes = Namesakes::Nowhere;
        }
        self
    }

    /// Whether the ID is the upstream's UID.
    pub(crate) fn id_is_uid(&self) -> bool {
        matches!(&self.0, Confirm::Kubernetes(confirmed) if confirmed.id == IdSource::Uid)
    }

    /// The upstream that an envelope is about, where it is a Kubernetes object.
    pub(crate) fn object(&self, envelope: &Envelope) -> Option<ObjectRef> {
        let Confirm::Kubernetes(confirmed) = &self.0 else {
            return None;
        };
        let namespace = confirmed.namespace(envelope).map(Arc::from);
        Some(ObjectRef::new(
            confirmed.kind.clone(),
            namespace,
            envelope.name(),
        ))
    }

    /// Where its holds are put and released; `None` where envelopes are trusted.
    pub(crate) async fn resource(&self) -> Result<Option<(Client, Resource)>, CallError> {
        let Confirm::Kubernetes(Confirmed { kinds, kind, .. }) = &self.0 else {
            return Ok(None);
        };
        let resource = kinds.resolve(kind).await?;
        Ok(Some((kinds.client().clone(), resource)))
    }

    /// The IDs of all upstreams there are; `None` where nobody can be asked.
    ///
    /// In every namespace that upstreams may be in: an upstream that no rule watches has its
    /// dependents, too.
    pub(crate) async fn ids(&self) -> Result<Option<BTreeSet<String>>, CallError> {
        let Confirm::Kubernetes(Confirmed {
            kinds,
            kind,
            id,
            namesakes,
            ..
        }) = &self.0
        else {
            return Ok(None);
        };
        let resource = kinds.resolve(kind).await?;
        let scopes = match namesakes {
            Namesakes::In(scope) if resource.namespaced => scope
                .iter()
                .map(|namespace| Some(namespace.as_str()))
                .collect(),
            _ => vec![None],
        };
        let mut ids = BTreeSet::new();
        for namespace in scopes {
            let query = Query {
                namespace,
                ..Query::default()
            };
            ids.extend(
                list(kinds.client(), &resource, query, |meta| id.id(&meta))
                    .await?
                    .items,
            );
        }
        Ok(Some(ids))
    }

    /// What to demand of the definition later, for a hint that does not say.
    pub(crate) async fn definition(&self) -> Result<Option<Arc<str>>, CallError> {
        let Confirm::Kubernetes(Confirmed { kinds, kind, .. }) = &self.0 else {
            return Ok(None);
        };
        let resource = kinds.resolve(kind).await?;
        Ok(Some(definition(kinds, &resource).await?.token()))
    }

    /// Reads the namesakes, then the upstream, then its definition; live and consistent.
    ///
    /// In this order the answers hold together at one moment, that of the first, for an upstream
    /// that is terminating: a deletion is never taken back, so it was terminating then as well, and a
    /// definition that is not being deleted now was not then. In the reverse order a namesake could
    /// go and the upstream come again between the reads, and at no moment would dependents of that
    /// name have been without a live upstream. One that is gone has no such moment: it may have been
    /// created anew and deleted in between, but what was listed before belonged to nobody else.
    ///
    /// # Errors
    /// Any read that fails: what cannot be read is never taken for gone.
    pub(crate) async fn confirm(
        &self,
        envelope: &Envelope,
        hold: Option<&HoldName>,
    ) -> Result<Evidence, CallError> {
        let Confirm::Kubernetes(confirmed) = &self.0 else {
            return Ok(Evidence {
                upstream: Sighting::Trusted,
                definition: Definition::BuiltIn,
                namesakes: Vec::new(),
            });
        };
        let evidence = confirmed.evidence(envelope, hold).await;
        evidence.inspect_err(|error| confirmed.kinds.forget_unserved(&confirmed.kind, error))
    }
}

impl Confirmed {
    fn namespace<'a>(&'a self, envelope: &'a Envelope) -> Option<&'a str> {
        envelope.key().namespace().or(self.namespace.as_deref())
    }

    async fn evidence(
        &self,
        envelope: &Envelope,
        hold: Option<&HoldName>,
    ) -> Result<Evidence, CallError> {
        let resource = self.kinds.resolve(&self.kind).await?;
        let namespace = self.namespace(envelope);
        let namesakes = self
            .namesakes
            .search(self.kinds.client(), &resource, namespace, envelope.name())
            .await?;
        let seen = resource
            .get(self.kinds.client(), namespace, envelope.name())
            .await?;
        let definition = definition(&self.kinds, &resource).await?;
        Ok(Evidence {
            upstream: sighting(seen, hold),
            definition,
            namesakes,
        })
    }
}

fn sighting(seen: Option<Meta>, hold: Option<&HoldName>) -> Sighting {
    match seen {
        None => Sighting::Gone,
        Some(meta) if meta.terminating() => Sighting::Terminating {
            held: hold.is_some_and(|hold| meta.finalizers.iter().any(|name| name == hold.as_str())),
            uid: meta.uid,
        },
        Some(meta) => Sighting::Live { uid: meta.uid },
    }
}

/// Reads the `CustomResourceDefinition` of a kind; a kind without one is built in.
pub(crate) async fn definition(
    kinds: &Kinds,
    resource: &Resource,
) -> Result<Definition, CallError> {
    if resource.api.group.is_empty() {
        return Ok(Definition::BuiltIn);
    }
    let crd = Resource::custom_resource_definition();
    Ok(
        match crd
            .get(kinds.client(), None, &resource.definition_name())
            .await?
        {
            None => Definition::BuiltIn,
            Some(meta) if meta.terminating() => Definition::Terminating,
            Some(meta) => Definition::Serving { uid: meta.uid },
        },
    )
}

impl Namesakes {
    /// Other objects of the upstream's name, in other namespaces than its own.
    async fn search(
        &self,
        client: &Client,
        resource: &Resource,
        own: Option<&str>,
        name: &str,
    ) -> Result<Vec<ObjectRef>, CallError> {
        let mut found = Vec::new();
        match self {
            _ if !resource.namespaced => {}
            Self::Nowhere => {}
            Self::In(scope) => {
                for namespace in scope.iter().filter(|namespace| own != Some(namespace)) {
                    found.extend(resource.get(client, Some(namespace), name).await?);
                }
            }
            Self::Everywhere => {
                let fields = format!("metadata.name={name}");
                let query = Query {
                    fields: Some(&fields),
                    ..Query::default()
                };
                found = list(client, resource, query, |meta| meta).await?.items;
                found.retain(|meta| meta.namespace.as_deref() != own && &*meta.name == name);
            }
        }
        Ok(found
            .iter()
            .map(|meta| meta.object_ref(&resource.kind))
            .collect())
    }
}
