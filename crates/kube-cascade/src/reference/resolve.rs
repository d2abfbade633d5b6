//! From a reference back to the object that it names.

use thiserror::Error;

use super::{Form, Plural, Reference, ReferenceStyle, References};
use crate::{
    kubernetes::{CallError, Class, Query, Resource, list},
    object::{Kind, ObjectRef},
};

/// What a reference names.
#[derive(Debug)]
#[non_exhaustive]
pub enum Resolved {
    /// This object. It may be terminating.
    Live(ObjectRef),
    /// Nothing, for certain: its kind is served, and a consistent read says that there is no such
    /// object.
    ///
    /// That it *is* a reference is not proven: somebody else's finalizer that is unknown to
    /// [`NotReferences`](super::NotReferences) can have the form of one to a cluster-scoped object.
    ProvenDangling,
    /// Nobody can tell.
    Unknown(Unresolved),
}

/// Why nobody can tell what a reference names.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unresolved {
    /// No kind is served under its plural and group.
    #[error(transparent)]
    NotServed(CallError),
    /// We are not permitted to read such objects.
    #[error(transparent)]
    Forbidden(CallError),
    /// They could not be read, for another reason.
    #[error(transparent)]
    Unreadable(CallError),
    /// Several kinds are served under its plural and group.
    #[error("several kinds are called like that: {}", join(.0))]
    AmbiguousKind(Vec<Kind>),
    /// Several objects are called like that: it was written without a namespace.
    #[error("several objects are called like that: {}", join(.0))]
    Ambiguous(Vec<ObjectRef>),
    /// It is told apart by [`NotReferences`](super::NotReferences), or names nothing that is there
    /// in a form that only the original writes, without the namespace of a namespaced kind.
    #[error("it may be somebody else's finalizer: references of this style are not written so")]
    Foreign,
    /// It names a namespace, but the kind is cluster-scoped now.
    #[error("it names a namespace, but {0} is cluster-scoped")]
    WrongScope(Kind),
}

fn join<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}

impl From<CallError> for Unresolved {
    fn from(error: CallError) -> Self {
        match error.class() {
            Class::NotServed => Self::NotServed(error),
            Class::Forbidden => Self::Forbidden(error),
            _ => Self::Unreadable(error),
        }
    }
}

impl References {
    /// Looks for the object that a reference names.
    ///
    /// A short reference, and one of the original to a namespaced kind, take a complete list of the
    /// kind: in one namespace where that is known, else in all. All others take one read.
    ///
    /// In [`ReferenceStyle::Original`](super::ReferenceStyle::Original) with
    /// [`GroupRewrite::Legacy`](super::GroupRewrite::Legacy), the group that a rewritten one stands
    /// for is looked at, too. What is found in one of them is the object, also where the other cannot be
    /// read; what is in neither is proven dangling only where both are served.
    pub async fn resolve(&self, reference: &Reference) -> Resolved {
        if self.known.contains(reference.as_str()) {
            return Resolved::Unknown(Unresolved::Foreign);
        }
        let own = self.resolve_in(reference, reference.group()).await;
        let other = match reference.form() {
            Form::Named { .. } => self.style.also_read(reference.group()),
            Form::Namespaced { .. } | Form::Short { .. } => None,
        };
        let Some(other) = other else {
            return resolved(own);
        };
        match (own, self.resolve_in(reference, other).await) {
            (Ok(mut own), Ok(other)) => {
                own.extend(other);
                resolved(Ok(own))
            }
            // Nobody can tell for which of the two it was written.
            (Ok(found), Err(error)) | (Err(error), Ok(found)) if found.is_empty() => {
                Resolved::Unknown(error)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => resolved(Ok(found)),
            (Err(Unresolved::NotServed(_)), Err(error)) | (Err(error), Err(_)) => {
                Resolved::Unknown(error)
            }
        }
    }

    /// The objects of this group that a reference may name.
    async fn resolve_in(
        &self,
        reference: &Reference,
        group: &str,
    ) -> Result<Vec<ObjectRef>, Unresolved> {
        let plural = reference.plural();
        let mut found = self.kinds.of_plural(group, plural.as_str()).await?;
        if found.len() > 1 {
            let kinds = found.into_iter().map(|resource| resource.kind).collect();
            return Err(Unresolved::AmbiguousKind(kinds));
        }
        let resource = found.pop().expect("what is served nowhere is an error");
        let found = self.find_named(reference, &plural, &resource).await;
        found.inspect_err(|error| {
            if let Unresolved::NotServed(_) = error {
                self.kinds.forget(&resource.kind);
            }
        })
    }

    async fn find_named(
        &self,
        reference: &Reference,
        plural: &Plural,
        resource: &Resource,
    ) -> Result<Vec<ObjectRef>, Unresolved> {
        let client = self.kinds.client();
        let object = |namespace: Option<&str>, name: &str| {
            ObjectRef::new(resource.kind.clone(), namespace.map(Into::into), name)
        };
        let (namespace, name) = match reference.form() {
            Form::Namespaced { .. }
            | Form::Short {
                namespace: Some(_), ..
            } if !resource.namespaced => {
                return Err(Unresolved::WrongScope(resource.kind.clone()));
            }
            Form::Short { namespace, .. } => {
                let query = Query {
                    namespace,
                    ..Query::default()
                };
                let keep = |meta: crate::kubernetes::Meta| {
                    let found = meta.object_ref(&resource.kind);
                    reference.matches(&found, plural).then_some(found)
                };
                let found = list(client, resource, query, keep).await?.items;
                return Ok(found.into_iter().flatten().collect());
            }
            // Only the original leaves the namespace out.
            Form::Named { name } if resource.namespaced => {
                let fields = format!("metadata.name={name}");
                let query = Query {
                    fields: Some(&fields),
                    ..Query::default()
                };
                let keep = |meta: crate::kubernetes::Meta| meta.object_ref(&resource.kind);
                let mut found = list(client, resource, query, keep).await?.items;
                found.retain(|found| found.name() == name);
                if found.is_empty() && self.style == ReferenceStyle::Ours {
                    return Err(Unresolved::Foreign);
                }
                return Ok(found);
            }
            Form::Named { name } => (None, name),
            Form::Namespaced { namespace, name } => (Some(namespace), name),
        };
        let found = resource.get(client, namespace, name).await?;
        Ok(found.map(|_| object(namespace, name)).into_iter().collect())
    }
}

fn resolved(found: Result<Vec<ObjectRef>, Unresolved>) -> Resolved {
    match found {
        Ok(mut found) => match (found.pop(), found.is_empty()) {
            (None, _) => Resolved::ProvenDangling,
            (Some(only), true) => Resolved::Live(only),
            (Some(last), false) => {
                found.push(last);
                Resolved::Unknown(Unresolved::Ambiguous(found))
            }
        },
        Err(error) => Resolved::Unknown(error),
    }
}
