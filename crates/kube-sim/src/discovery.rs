//! What the server says about itself: its version, its health, and the resources it serves.
//!
//! Every answer is a function of the request and of the served resources. Left out are the
//! `storageVersionHash` of resources and the address of the server: no client needs them, and the
//! in-process server has no address.

use std::cmp::Ordering;

use bytes::Bytes;
use http::{HeaderMap, Response, header::CACHE_CONTROL};
use serde_json::{Map, Value, json};

use crate::{
    document,
    resource::{Origin, Resource},
};

/// The type of the lists that hold all groups with their resources.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What a resource that is part of the server can do.
const BUILT_IN_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// What a custom resource can do, in the order in which the server tells it.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// Answers a read of this path, if it is one of discovery's.
pub(crate) fn answer(
    path: &str,
    headers: &HeaderMap,
    resources: &[&Resource],
) -> Option<Response<Bytes>> {
    let groups = groups(resources);
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let document = match *segments.as_slice() {
        [""] => index(&groups),
        ["healthz" | "livez" | "readyz"] => return Some(healthy()),
        ["version"] => version(),
        ["api"] => return Some(list(headers, &groups[..1], || core_versions(&groups))),
        ["apis"] => return Some(list(headers, &groups[1..], || group_list(&groups))),
        ["api", version] => resource_list(groups.first()?, version)?,
        ["apis", name] => group(find(&groups, name)?, true),
        ["apis", name, version] => resource_list(find(&groups, name)?, version)?,
        _ => return None,
    };
    Some(document::json(&document))
}

/// Orders versions as Kubernetes prefers them: stable ones first, then beta, then alpha, each from
/// high to low; names of another form come last, in alphabetical order.
pub(crate) fn compare_versions(one: &str, other: &str) -> Ordering {
    match (rank(one), rank(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// Stability, major and minor number of a version such as `v1` or `v2beta1`.
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let end = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, rest) = rest.split_at(end);
    let (stability, minor) = match rest {
        "" => (2, "0"),
        _ => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (1, minor),
            (_, Some(minor)) => (0, minor),
            _ => return None,
        },
    };
    Some((stability, major.parse().ok()?, minor.parse().ok()?))
}

/// A group's versions, the preferred one first, and what they serve.
struct Group<'a> {
    name: &'a str,
    versions: Vec<(&'a str, Vec<&'a Resource>)>,
}

/// All groups: the core group, the other ones that are built in, then those of definitions.
fn groups<'a>(resources: &[&'a Resource]) -> Vec<Group<'a>> {
    let mut groups = vec![Group {
        name: "",
        versions: Vec::new(),
    }];
    let mut sorted = resources.to_vec();
    sorted.sort_by(|one, other| {
        let key = |resource: &Resource| (resource.origin != Origin::BuiltIn, priority(resource));
        key(one)
            .cmp(&key(other))
            .then_with(|| one.group.cmp(&other.group))
            .then_with(|| compare_versions(&one.version, &other.version))
            .then_with(|| one.plural.cmp(&other.plural))
    });
    for resource in sorted {
        if groups.last().is_none_or(|last| last.name != resource.group) {
            groups.push(Group {
                name: &resource.group,
                versions: Vec::new(),
            });
        }
        let versions = &mut groups.last_mut().expect("the core group").versions;
        match versions.last_mut() {
            Some((version, served)) if *version == resource.version => served.push(resource),
            _ => versions.push((&resource.version, vec![resource])),
        }
    }
    groups
}

/// Where the server puts a group that is built in.
fn priority(resource: &Resource) -> usize {
    ["", "events.k8s.io", "apiextensions.k8s.io"]
        .iter()
        .position(|group| *group == resource.group)
        .unwrap_or(usize::MAX)
}

fn find<'a, 'b>(groups: &'a [Group<'b>], name: &str) -> Option<&'a Group<'b>> {
    groups[1..].iter().find(|group| group.name == name)
}

fn healthy() -> Response<Bytes> {
    let mut response = document::answer("text/plain; charset=utf-8", "ok");
    response.headers_mut().insert(
        http::header::X_CONTENT_TYPE_OPTIONS,
        http::HeaderValue::from_static("nosniff"),
    );
    response
}

/// The version of Kubernetes whose behaviour the crate is tested against.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.3+kube-sim-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// `/api` and `/apis`: all at once for a client that accepts it, the names alone for another one.
fn list(headers: &HeaderMap, groups: &[Group<'_>], names: impl Fn() -> Value) -> Response<Bytes> {
    let response = document::negotiate(headers, |media_type, parameters| {
        if !document::is_json(media_type) {
            return None;
        }
        let value = |name| {
            let found = parameters.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| *value)
        };
        match (value("as"), value("g"), value("v")) {
            (None, _, _) => Some(document::json(&names())),
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                let body = aggregated(groups).to_string();
                let mut response = document::answer(AGGREGATED, body);
                response
                    .headers_mut()
                    .insert(CACHE_CONTROL, http::HeaderValue::from_static("public"));
                Some(document::cacheable(response, headers))
            }
            _ => None,
        }
    });
    response.unwrap_or_else(document::not_acceptable)
}

fn core_versions(groups: &[Group<'_>]) -> Value {
    let versions: Vec<_> = groups[0].versions.iter().map(|(name, _)| *name).collect();
    json!({ "kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": [] })
}

/// The paths at which something is found.
fn index(groups: &[Group<'_>]) -> Value {
    let mut paths: Vec<String> = ["/api", "/apis"].map(str::to_owned).into();
    for group in groups {
        let root = match group.name {
            "" => "/api".to_owned(),
            name => format!("/apis/{name}"),
        };
        if !group.name.is_empty() {
            paths.push(root.clone());
        }
        let versions = group.versions.iter();
        paths.extend(versions.map(|(version, _)| format!("{root}/{version}")));
    }
    let others = [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    paths.extend(others.map(str::to_owned));
    json!({ "paths": paths })
}

fn group_list(groups: &[Group<'_>]) -> Value {
    let groups: Vec<_> = groups[1..].iter().map(|one| group(one, false)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn group(group: &Group<'_>, alone: bool) -> Value {
    let versions: Vec<_> = group
        .versions
        .iter()
        .map(|(version, _)| {
            json!({ "groupVersion": format!("{}/{version}", group.name), "version": version })
        })
        .collect();
    let mut document = json!({
        "name": group.name,
        "preferredVersion": versions[0],
        "versions": versions,
    });
    if alone {
        document["kind"] = "APIGroup".into();
        document["apiVersion"] = "v1".into();
    }
    document
}

fn resource_list(group: &Group<'_>, version: &str) -> Option<Value> {
    let (_, served) = group.versions.iter().find(|(name, _)| *name == version)?;
    let mut resources = Vec::new();
    for resource in served {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
        });
        add_names(&mut entry, resource);
        resources.push(entry);
        for (name, verbs) in subresources(resource) {
            resources.push(json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs,
            }));
        }
    }
    let mut document = Map::new();
    document.insert("kind".to_owned(), "APIResourceList".into());
    // The server leaves this out in the core group.
    if !group.name.is_empty() {
        document.insert("apiVersion".to_owned(), "v1".into());
    }
    document.insert("groupVersion".to_owned(), served[0].api_version().into());
    document.insert("resources".to_owned(), resources.into());
    Some(document.into())
}

fn aggregated(groups: &[Group<'_>]) -> Value {
    let items: Vec<_> = groups
        .iter()
        .map(|group| {
            let versions: Vec<_> = group
                .versions
                .iter()
                .map(|(version, served)| {
                    let resources: Vec<_> = served.iter().map(|one| aggregated_one(one)).collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let metadata = match group.name {
                "" => json!({}),
                name => json!({ "name": name }),
            };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_one(resource: &Resource) -> Value {
    // Of what is built in, the server tells the kind alone: group and version are those around it.
    let kind = match resource.origin {
        Origin::BuiltIn => json!({ "group": "", "version": "", "kind": resource.kind }),
        Origin::Definition { .. } => json!({
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        }),
    };
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    add_names(&mut entry, resource);
    let subresources: Vec<_> = subresources(resource)
        .into_iter()
        .map(|(name, verbs)| json!({ "subresource": name, "responseKind": kind, "verbs": verbs }))
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

fn add_names(entry: &mut Value, resource: &Resource) {
    for (key, names) in [
        ("shortNames", &resource.short_names),
        ("categories", &resource.categories),
    ] {
        if !names.is_empty() {
            entry[key] = names.clone().into();
        }
    }
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    match resource.origin {
        Origin::Definition { .. } => CUSTOM_VERBS.to_vec(),
        Origin::BuiltIn => {
            // A request must not be able to delete all namespaces at once.
            let unserved = if resource.plural == "namespaces" {
                "deletecollection"
            } else {
                ""
            };
            let verbs = BUILT_IN_VERBS.into_iter();
            verbs.filter(|verb| *verb != unserved).collect()
        }
    }
}

/// The subresources, and what each can do.
fn subresources(resource: &Resource) -> Vec<(&'static str, &'static [&'static str])> {
    let mut subresources: Vec<(_, &[&str])> = Vec::new();
    if resource.origin == Origin::BuiltIn && resource.plural == "namespaces" {
        subresources.push(("finalize", &["update"]));
    }
    if resource.status {
        subresources.push(("status", &["get", "patch", "update"]));
    }
    subresources
}

#[cfg(test)]
mod tests;
