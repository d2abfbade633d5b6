//! What the server makes of a kind: its version, its plural and its scope.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList, APIVersions};
use kube::{Client, core::ApiResource};

use super::{
    call::{self, CallError, Class, request},
    object::{Meta, Partial},
};
use crate::object::{Kind, ObjectRef};

/// A kind as the server serves it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) api: ApiResource,
    pub(crate) namespaced: bool,
}

impl Resource {
    /// The request builder for this kind, in one namespace or (`None`) in all or cluster-wide.
    pub(crate) fn requests(&self, namespace: Option<&str>) -> kube::core::Request {
        use kube::Resource as _;
        let url = kube::core::DynamicObject::url_path(&self.api, namespace);
        kube::core::Request::new(url)
    }

    /// The name of its `CustomResourceDefinition`, if it is a custom resource at all.
    pub(crate) fn definition_name(&self) -> String {
        format!("{}.{}", self.api.plural, self.api.group)
    }

    /// The kind of definitions themselves.
    pub(crate) fn custom_resource_definition() -> Self {
        let (group, kind) = ("apiextensions.k8s.io", "CustomResourceDefinition");
        let api = ApiResource {
            group: group.into(),
            version: "v1".into(),
            api_version: "apiextensions.k8s.io/v1".into(),
            kind: kind.into(),
            plural: "customresourcedefinitions".into(),
        };
        Self {
            kind: Kind::new(group, kind),
            api,
            namespaced: false,
        }
    }

    /// The kind of namespaces.
    pub(crate) fn namespace() -> Self {
        let api = ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: "Namespace".into(),
            plural: "namespaces".into(),
        };
        Self {
            kind: Kind::new("", "Namespace"),
            api,
            namespaced: false,
        }
    }

    /// A live, consistent read of one object's metadata; `None` when the server says it is gone.
    ///
    /// The resource version is left unset, so that no watch cache answers.
    pub(crate) async fn get(
        &self,
        client: &Client,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Meta>, CallError> {
        let get = self
            .requests(namespace)
            .get_metadata(name, &kube::api::GetParams::default());
        let attempted = || {
            let object = ObjectRef::new(self.kind.clone(), namespace.map(Into::into), name);
            format!("get {object}")
        };
        match request::<Partial>(client, attempted, get).await {
            Ok(partial) if &*partial.metadata.name == name => Ok(Some(partial.metadata)),
            Ok(_) => Err(CallError::new(attempted(), Class::Unavailable)),
            Err(error) if *error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Looks kinds up in the server's discovery and remembers the answers.
///
/// An answer is forgotten as soon as a call finds the kind unserved ([`forget_unserved`](Self::forget_unserved)), so
/// a definition that is installed, upgraded or re-scoped is found by the next look.
#[derive(Clone)]
pub(crate) struct Kinds {
    client: Client,
    known: Arc<Mutex<BTreeMap<Kind, Resource>>>,
}

impl Kinds {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn resolve(&self, kind: &Kind) -> Result<Resource, CallError> {
        let known = self.lock().get(kind).cloned();
        if let Some(resource) = known {
            return Ok(resource);
        }
        let resource = discover(&self.client, kind).await?;
        self.lock().insert(kind.clone(), resource.clone());
        Ok(resource)
    }

    /// Every kind of a group whose objects can be patched, in the version that is preferred, else the
    /// first that has it.
    pub(crate) async fn of_group(&self, group: &str) -> Result<Vec<Resource>, CallError> {
        let attempted = || format!("look up the kinds of group {group:?}");
        let mut found = BTreeMap::new();
        for version in versions(&self.client, attempted, group).await? {
            for resource in served(&self.client, attempted, group, &version, "patch").await? {
                found.entry(resource.kind.clone()).or_insert(resource);
            }
        }
        Ok(found.into_values().collect())
    }

    /// What a group serves under this plural: one kind, or several if its versions disagree.
    pub(crate) async fn of_plural(
        &self,
        group: &str,
        plural: &str,
    ) -> Result<Vec<Resource>, CallError> {
        let is_wanted =
            |resource: &Resource| resource.api.group == group && resource.api.plural == plural;
        let known = self.lock().values().find(|it| is_wanted(it)).cloned();
        if let Some(resource) = known {
            return Ok(vec![resource]);
        }
        let attempted = || format!("look up {plural} of group {group:?}");
        let mut found = BTreeMap::new();
        for version in versions(&self.client, attempted, group).await? {
            let served = served(&self.client, attempted, group, &version, "get").await?;
            for resource in served.into_iter().filter(is_wanted) {
                found.entry(resource.kind.clone()).or_insert(resource);
            }
        }
        match found.len() {
            0 => return Err(CallError::new(attempted(), Class::NotServed)),
            1 => self.lock().extend(found.clone()),
            _ => {}
        }
        Ok(found.into_values().collect())
    }

    /// Forgets the kind when `error` says that it is not served as it was remembered.
    pub(crate) fn forget_unserved(&self, kind: &Kind, error: &CallError) {
        if *error.class() == Class::NotServed {
            self.forget(kind);
        }
    }

    pub(crate) fn forget(&self, kind: &Kind) {
        self.lock().remove(kind);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Kind, Resource>> {
        // A panic cannot leave the map half-written: each use is a single operation.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the kind in the group's preferred version, else in the first version that has it.
async fn discover(client: &Client, kind: &Kind) -> Result<Resource, CallError> {
    let attempted = || format!("look up {kind}");
    for version in versions(client, attempted, kind.group()).await? {
        let served = served(client, attempted, kind.group(), &version, "list").await?;
        if let Some(resource) = served.into_iter().find(|resource| resource.kind == *kind) {
            return Ok(resource);
        }
    }
    Err(CallError::new(attempted(), Class::NotServed))
}

/// The group's versions, the preferred one first.
async fn versions(
    client: &Client,
    attempted: impl Fn() -> String,
    group: &str,
) -> Result<Vec<String>, CallError> {
    if group.is_empty() {
        let core: APIVersions = get_path(client, attempted, "/api").await?;
        return Ok(core.versions);
    }
    let group: APIGroup = get_path(client, attempted, &format!("/apis/{group}")).await?;
    let preferred = group.preferred_version.map(|preferred| preferred.version);
    let others = group.versions.into_iter().map(|version| version.version);
    let others = others.filter(|version| Some(version) != preferred.as_ref());
    Ok(preferred.iter().cloned().chain(others).collect())
}

/// What one version of a group serves that can be listed, and more; subresources are no kinds.
async fn served(
    client: &Client,
    attempted: impl Fn() -> String,
    group: &str,
    version: &str,
    also: &str,
) -> Result<Vec<Resource>, CallError> {
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let list: APIResourceList = get_path(client, attempted, &path).await?;
    let listable = list.resources.into_iter().filter(|resource| {
        let allows = |wanted| resource.verbs.iter().any(|verb| verb == wanted);
        !resource.name.contains('/') && allows("list") && allows(also)
    });
    let resources = listable.map(|resource| Resource {
        kind: Kind::new(group, resource.kind.as_str()),
        api: ApiResource {
            group: group.to_owned(),
            api_version: list.group_version.clone(),
            version: version.to_owned(),
            kind: resource.kind,
            plural: resource.name,
        },
        namespaced: resource.namespaced,
    });
    Ok(resources.collect())
}

pub(crate) async fn get_path<T: serde::de::DeserializeOwned>(
    client: &Client,
    attempted: impl Fn() -> String,
    path: &str,
) -> Result<T, CallError> {
    let get = http::Request::get(path)
        .body(Vec::new())
        .map_err(|source| CallError::from_kube(attempted(), kube::Error::HttpError(source)))?;
    call::call(attempted, client.request::<T>(get)).await
}
