//! References on one object: put on, taken off, listed.

use kube::Client;

use super::{
    NotReferences, Plural, Reference, ReferenceStyle,
    error::{AddError, NameError, RemoveError},
};
use crate::{
    fence::Fence,
    kubernetes::{CallError, Finalizer, Kinds, Put, Removed, Resource},
    object::{Kind, ObjectRef},
};

/// References on the objects of one cluster.
///
/// # Guarantees
/// - Nobody's finalizer is ever lost, whoever else writes at the same time, in whatever way.
/// - Everything may be done again: what is so already is not written.
/// - No reference is put on an object that is being deleted.
/// - A reference is only put on, or taken off, the very object that was read before.
///
/// # Caveats
/// An object that is used by many gets a long list: each reference takes about 50 bytes of it, and
/// an object has room for about 1.5 MB.
///
/// # Examples
/// A Network says that it uses a Project, and that it no longer does:
/// ```
/// use kube_cascade::{Kind, ObjectRef, reference::References};
/// # use serde_json::{Value, json};
///
/// # let server = kube_sim::ApiServer::new();
/// # for (group, kind, plural) in [
/// #     ("identity.example.com", "Project", "projects"),
/// #     ("region.example.com", "Network", "networks"),
/// # ] {
/// #     let definition = json!({
/// #         "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
/// #         "metadata": {"name": format!("{plural}.{group}")},
/// #         "spec": {
/// #             "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
/// #             "versions": [{"name": "v1", "served": true, "storage": true,
/// #                 "schema": {"openAPIV3Schema": {"type": "object"}}}],
/// #         },
/// #     });
/// #     let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// #     server.request(&http::Method::POST, path, &definition).unwrap();
/// # }
/// # for (path, object) in [
/// #     ("/api/v1/namespaces", json!({
/// #         "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenants"}})),
/// #     ("/apis/identity.example.com/v1/namespaces/tenants/projects", json!({
/// #         "apiVersion": "identity.example.com/v1", "kind": "Project",
/// #         "metadata": {"name": "prod"}})),
/// # ] {
/// #     server.request(&http::Method::POST, path, &object).unwrap();
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let client = kube::Client::new(server.clone(), "default");
/// let project = Kind::new("identity.example.com", "Project");
/// let project = ObjectRef::new(project, Some("tenants".into()), "prod");
/// let network = Kind::new("region.example.com", "Network");
/// let network = ObjectRef::new(network, Some("region".into()), "net-1");
///
/// let references = References::new(client);
/// let reference = references.to(&network).await?;
/// references.add(&project, &reference).await?;
/// assert_eq!(references.list(&project).await?, Some(vec![reference.clone()]));
/// references.remove(&project, &reference).await?;
/// # let project = server.get("identity.example.com", "projects", Some("tenants"), "prod");
/// # assert_eq!(project.unwrap()["metadata"].get("finalizers"), None);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct References {
    pub(super) kinds: Kinds,
    pub(super) style: ReferenceStyle,
    pub(super) known: NotReferences,
    fence: Fence,
}

/// Whether an operation has written.
///
/// Complete: it has, or it had nothing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It has.
    Written,
    /// What was asked for was so already.
    Unneeded,
}

impl References {
    /// References in the cluster of this client, written in our style.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            kinds: Kinds::new(client),
            style: ReferenceStyle::default(),
            known: NotReferences::default(),
            fence: Fence::always(),
        }
    }

    /// Sets the style that references are written in, [`ReferenceStyle::Ours`] by default.
    #[must_use]
    pub fn style(mut self, style: ReferenceStyle) -> Self {
        self.style = style;
        self
    }

    /// Sets the finalizers that are no references, [`NotReferences::well_known`] by default.
    #[must_use]
    pub fn not_references(mut self, known: NotReferences) -> Self {
        self.known = known;
        self
    }

    /// Writes only while this lease is held.
    #[must_use]
    pub fn fenced(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// The reference that names this user; the server says its plural and whether it has a
    /// namespace. [`ObjectRef::of`] names an object that was read.
    ///
    /// # Errors
    /// [`NameError`]; the object itself is not looked at.
    pub async fn to(&self, user: &ObjectRef) -> Result<Reference, NameError> {
        let (plural, namespaced) = self.served(user.kind()).await?;
        if user.namespace().is_some() != namespaced {
            let object = user.clone();
            return Err(NameError::Scope { object, namespaced });
        }
        Ok(self.style.reference(user, &plural)?)
    }

    /// Whether a reference names this object, in our style or the one that is set.
    ///
    /// # Errors
    /// [`NameError`], where it cannot be told.
    pub async fn names(
        &self,
        reference: &Reference,
        object: &ObjectRef,
    ) -> Result<bool, NameError> {
        let (plural, _) = self.served(object.kind()).await?;
        let written = self.style.reference(object, &plural);
        Ok(reference.matches(object, &plural) || written.is_ok_and(|own| own == *reference))
    }

    /// Says that the user which `reference` names uses the object.
    ///
    /// # Errors
    /// [`AddError`]; nothing was written, unless the outcome of a call is unknown.
    pub async fn add(&self, object: &ObjectRef, reference: &Reference) -> Result<Change, AddError> {
        let resource = self.kinds.resolve(object.kind()).await?;
        self.add_to(&resource, object, None, reference).await
    }

    /// Says that the user which `reference` names no longer uses the object.
    ///
    /// Done when the reference is not there, or the object is not.
    ///
    /// # Errors
    /// [`RemoveError`]; nothing was written, unless the outcome of a call is unknown.
    pub async fn remove(
        &self,
        object: &ObjectRef,
        reference: &Reference,
    ) -> Result<Change, RemoveError> {
        let resource = self.kinds.resolve(object.kind()).await?;
        self.remove_from(&resource, object, None, reference).await
    }

    /// Who uses the object, in the order of its finalizers; `None` when there is no such object.
    ///
    /// # Errors
    /// The object could not be read.
    pub async fn list(&self, object: &ObjectRef) -> Result<Option<Vec<Reference>>, CallError> {
        let resource = self.kinds.resolve(object.kind()).await?;
        let (client, namespace) = (self.kinds.client(), object.namespace());
        let found = resource.get(client, namespace, object.name()).await;
        let found = self.heeded(object.kind(), found)?;
        Ok(found.map(|meta| {
            let finalizers = meta.finalizers.iter().map(String::as_str);
            self.known.references(finalizers)
        }))
    }

    pub(super) async fn add_to(
        &self,
        resource: &Resource,
        object: &ObjectRef,
        uid: Option<&str>,
        reference: &Reference,
    ) -> Result<Change, AddError> {
        let finalizer = self.finalizer(resource, object, reference);
        let may_write = || Ok::<_, AddError>(self.fence.check()?);
        let put = finalizer.put(uid, may_write).await;
        let object = || object.clone();
        if let Err(AddError::Call(error)) = &put {
            self.kinds.forget_unserved(&resource.kind, error);
        }
        match put? {
            Put::Written => Ok(Change::Written),
            Put::WasThere => Ok(Change::Unneeded),
            Put::Terminating => Err(AddError::Terminating { object: object() }),
            Put::Gone => Err(AddError::NotFound { object: object() }),
            Put::Contended(source) => Err(AddError::Contended {
                object: object(),
                source,
            }),
        }
    }

    pub(super) async fn remove_from(
        &self,
        resource: &Resource,
        object: &ObjectRef,
        uid: Option<&str>,
        reference: &Reference,
    ) -> Result<Change, RemoveError> {
        let finalizer = self.finalizer(resource, object, reference);
        let may_write = || Ok::<_, RemoveError>(self.fence.check()?);
        let removed = finalizer.remove(uid, may_write).await;
        if let Err(RemoveError::Call(error)) = &removed {
            self.kinds.forget_unserved(&resource.kind, error);
        }
        match removed? {
            Removed::Written => Ok(Change::Written),
            Removed::WasOff => Ok(Change::Unneeded),
            Removed::Contended(source) => {
                let object = object.clone();
                Err(RemoveError::Contended { object, source })
            }
        }
    }

    fn finalizer<'a>(
        &'a self,
        resource: &'a Resource,
        object: &'a ObjectRef,
        reference: &'a Reference,
    ) -> Finalizer<'a> {
        Finalizer {
            client: self.kinds.client(),
            resource,
            object,
            name: reference.as_str(),
        }
    }

    /// The answer of a call; if it says that the kind is not served as it was, that is forgotten.
    pub(super) fn heeded<T>(
        &self,
        kind: &Kind,
        answer: Result<T, CallError>,
    ) -> Result<T, CallError> {
        answer.inspect_err(|error| self.kinds.forget_unserved(kind, error))
    }

    /// The plural of a kind, and whether it is namespaced.
    async fn served(&self, kind: &Kind) -> Result<(Plural, bool), NameError> {
        let resource = self.kinds.resolve(kind).await?;
        let plural = resource.api.plural.parse();
        let plural = plural.map_err(|source| NameError::Plural {
            kind: kind.clone(),
            source,
        })?;
        Ok((plural, resource.namespaced))
    }
}

#[cfg(test)]
mod tests;
