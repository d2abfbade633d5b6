//! Finding holds on every kind that the server serves, also those of rules that are no more.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList;
use kube::Client;

use super::{HoldName, Holder};
use crate::{
    kubernetes::{CallError, Class, Kinds, Query, Resource, get_path, list},
    object::ObjectRef,
};

/// An object with holds on it.
#[derive(Clone, Debug)]
pub struct Held {
    object: ObjectRef,
    uid: Arc<str>,
    holds: Vec<HoldName>,
    resource: Resource,
}

impl Held {
    /// Where it is.
    #[must_use]
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The wanted holds on it.
    #[must_use]
    pub fn holds(&self) -> &[HoldName] {
        &self.holds
    }

    /// Takes these holds off, and nothing else; done when they or the object are gone.
    ///
    /// # Errors
    /// A read or write that failed.
    pub async fn release(&self, client: &Client) -> Result<(), CallError> {
        for hold in &self.holds {
            let holder = Holder {
                client,
                resource: &self.resource,
                object: &self.object,
                hold,
            };
            holder
                .release(Some(&self.uid), || Ok::<_, CallError>(()))
                .await?;
        }
        Ok(())
    }
}

/// What a search found, and what it could not read.
#[derive(Debug, Default)]
pub struct Search {
    /// Every object with a wanted hold on it, as far as could be read.
    pub held: Vec<Held>,
    /// The kinds and groups that could not be read.
    pub errors: Vec<CallError>,
}

/// Looks for finalizers that `wanted` picks, on every object of every served kind.
///
/// Reads metadata only, one page at a time; a kind that cannot be read is reported and does not
/// stop the search.
pub async fn find(client: &Client, wanted: impl Fn(&str) -> bool) -> Search {
    let kinds = Kinds::new(client.clone());
    let mut search = Search::default();
    let groups = match groups(client).await {
        Ok(groups) => groups,
        Err(error) => {
            search.errors.push(error);
            return search;
        }
    };
    let mut resources = Vec::new();
    for group in groups {
        match kinds.of_group(&group).await {
            Ok(found) => resources.extend(found),
            Err(error) => search.errors.push(error),
        }
    }
    for resource in resources {
        match find_of_kind(client, &resource, &wanted).await {
            Ok(found) => search.held.extend(found),
            // Discovery names kinds that no list serves any more by the time we ask.
            Err(error) if *error.class() == Class::NotServed => {}
            Err(error) => search.errors.push(error),
        }
    }
    search
}

async fn groups(client: &Client) -> Result<BTreeSet<String>, CallError> {
    let attempted = || "look up the API groups".to_owned();
    let list: APIGroupList = get_path(client, attempted, "/apis").await?;
    let mut groups: BTreeSet<_> = list.groups.into_iter().map(|group| group.name).collect();
    groups.insert(String::new());
    Ok(groups)
}

async fn find_of_kind(
    client: &Client,
    resource: &Resource,
    wanted: &impl Fn(&str) -> bool,
) -> Result<Vec<Held>, CallError> {
    let keep = |meta: crate::kubernetes::Meta| {
        let holds: Vec<_> = meta
            .finalizers
            .iter()
            .filter(|name| wanted(name))
            .map(|name| HoldName::found(name))
            .collect();
        (!holds.is_empty()).then(|| Held {
            object: meta.object_ref(&resource.kind),
            uid: meta.uid,
            holds,
            resource: resource.clone(),
        })
    };
    let listing = list(client, resource, Query::default(), keep).await?;
    Ok(listing.items.into_iter().flatten().collect())
}
