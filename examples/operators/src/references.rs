//! Saying that one object uses another.

use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use kube_cascade::{ObjectRef, Reference, reference::Plural};

use crate::Result;

/// Puts references on objects and takes them off.
pub(crate) struct References(Client);

impl References {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) async fn add(&self, used: &ObjectRef, by: &ObjectRef) -> Result<()> {
        self.change(used, by, true).await
    }

    pub(crate) async fn remove(&self, used: &ObjectRef, by: &ObjectRef) -> Result<()> {
        self.change(used, by, false).await
    }

    async fn change(&self, used: &ObjectRef, by: &ObjectRef, add: bool) -> Result<()> {
        let plural: Plural = resource(by).plural.parse()?;
        let reference = Reference::new(by, &plural)?.to_string();
        let namespace = used.namespace().unwrap_or_default();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.0.clone(), namespace, &resource(used));
        loop {
            let Some(mut found) = api.get_opt(used.name()).await? else {
                return if add {
                    Err(format!("{used} is not there").into())
                } else {
                    Ok(())
                };
            };
            let mut finalizers = found.metadata.finalizers.take().unwrap_or_default();
            if finalizers.contains(&reference) == add {
                return Ok(());
            }
            if add {
                finalizers.push(reference.clone());
            } else {
                finalizers.retain(|it| *it != reference);
            }
            found.metadata.finalizers = Some(finalizers);
            match api
                .replace(used.name(), &PostParams::default(), &found)
                .await
            {
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                replaced => return replaced.map(drop).map_err(Into::into),
            }
        }
    }
}

fn resource(object: &ObjectRef) -> ApiResource {
    let kind = object.kind();
    ApiResource::from_gvk(&GroupVersionKind::gvk(kind.group(), "v1", kind.kind()))
}
