//! The platform's services, in small: what somebody else's operators would do.
//!
//! A service makes what a spec asks for as children with an owner reference, marks what its
//! clusters use by a finalizer, and shuts a deleted cluster down before it lets it go. Owns that
//! decision only, as a pure function of what there is; who looks and who acts is [`demo`](super).

use std::collections::BTreeMap;

use http::Method;
use kube_cascade::{ObjectRef, Reference};
use serde_json::{Value, json};

/// The finalizer by which the compute service keeps a cluster until it has shut it down.
const SHUTDOWN: &str = "compute.example.com/shutdown";

/// The finalizer of a foreground deletion: children come first.
const FOREGROUND: &str = "foregroundDeletion";

/// A kind of the platform; its service is the first word of its group, and its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
}

impl Kind {
    const fn new(service: &'static str, name: &'static str, plural: &'static str) -> Self {
        Self {
            service,
            name,
            plural,
        }
    }

    pub(super) fn group(self) -> String {
        format!("{}.example.com", self.service)
    }

    fn path(self, namespace: &str) -> String {
        let (group, plural) = (self.group(), self.plural);
        format!("/apis/{group}/v1/namespaces/{namespace}/{plural}")
    }
}

const CLUSTERS: Kind = Kind::new("compute", "Cluster", "clusters");
const MACHINES: Kind = Kind::new("compute", "Machine", "machines");
const NETWORKS: Kind = Kind::new("region", "Network", "networks");
const SUBNETS: Kind = Kind::new("region", "Subnet", "subnets");
const VOLUMES: Kind = Kind::new("storage", "Volume", "volumes");
const SNAPSHOTS: Kind = Kind::new("storage", "Snapshot", "snapshots");

/// What owns what; the spec says how many by the plural.
const OWNED: [(Kind, Kind); 3] = [
    (CLUSTERS, MACHINES),
    (NETWORKS, SUBNETS),
    (VOLUMES, SNAPSHOTS),
];

/// What the services look at.
pub(super) const LOOKED_AT: [Kind; 6] = [CLUSTERS, MACHINES, NETWORKS, SUBNETS, VOLUMES, SNAPSHOTS];

/// A request that a service makes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) service: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Value,
}

/// What there is, by kind.
#[derive(Debug, Default)]
pub(super) struct World(BTreeMap<Kind, Vec<Value>>);

impl World {
    /// Looks at every kind.
    pub(super) fn seen(mut look: impl FnMut(Kind) -> Vec<Value>) -> Self {
        Self(LOOKED_AT.map(|kind| (kind, look(kind))).into())
    }

    /// What the services would do about it: nothing, once everything is as it should be.
    pub(super) fn work(&self) -> Vec<Order> {
        let mut orders = Vec::new();
        for (owner, owned) in OWNED {
            let live = self.all(owner).filter(|object| is_live(object));
            orders.extend(live.flat_map(|object| self.missing_children(owner, owned, object)));
        }
        for cluster in self.all(CLUSTERS).filter(|cluster| is_live(cluster)) {
            orders.extend(with_finalizer(CLUSTERS, cluster, SHUTDOWN));
        }
        for kind in [NETWORKS, VOLUMES] {
            orders.extend(
                self.all(kind)
                    .filter_map(|object| self.marked(kind, object)),
            );
        }
        orders
    }

    /// Clusters that nothing keeps any more but their shutdown, by UID.
    pub(super) fn shutting_down(&self) -> BTreeMap<String, Order> {
        let mut orders = BTreeMap::new();
        for cluster in self.all(CLUSTERS).filter(|cluster| !is_live(cluster)) {
            let finalizers = finalizers(cluster);
            if finalizers.contains(&SHUTDOWN) && !finalizers.contains(&FOREGROUND) {
                let left = finalizers.into_iter().filter(|name| *name != SHUTDOWN);
                let order = replaced(CLUSTERS, cluster, left);
                orders.insert(text(&cluster["metadata"]["uid"]).to_owned(), order);
            }
        }
        orders
    }

    fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.0.get(&kind).into_iter().flatten()
    }

    fn missing_children(&self, owner: Kind, child: Kind, object: &Value) -> Vec<Order> {
        let metadata = &object["metadata"];
        let namespace = text(&metadata["namespace"]);
        let wanted = object["spec"][child.plural].as_u64().unwrap_or_default();
        let names = (0..wanted).map(|number| format!("{}-{number}", text(&metadata["name"])));
        let missing = names.filter(|name| {
            let mut there = self.all(child).map(|other| &other["metadata"]);
            !there.any(|other| other["namespace"] == namespace && other["name"] == **name)
        });
        let order = |name: String| Order {
            service: child.service,
            method: Method::POST,
            path: child.path(namespace),
            body: json!({
                "apiVersion": format!("{}/v1", child.group()),
                "kind": child.name,
                "metadata": {
                    "name": name,
                    "ownerReferences": [{
                        "apiVersion": format!("{}/v1", owner.group()),
                        "kind": owner.name,
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "controller": true,
                        "blockOwnerDeletion": true,
                    }],
                },
            }),
        };
        missing.map(order).collect()
    }

    /// The object with a mark for each cluster that uses it, and none of clusters that are no more;
    /// nothing if it is so already.
    fn marked(&self, kind: Kind, object: &Value) -> Option<Order> {
        let name = &object["metadata"]["name"];
        let is_user = |cluster: &&Value| {
            let spec = &cluster["spec"];
            let volumes = spec["volumes"].as_array();
            if kind == NETWORKS {
                spec["network"] == *name
            } else {
                volumes.is_some_and(|volumes| volumes.contains(name))
            }
        };
        let is_live = is_live(object);
        let users: Vec<_> = self
            .all(CLUSTERS)
            .filter(is_user)
            .filter_map(mark)
            .collect();
        let before = finalizers(object);
        let mut after: Vec<_> = before
            .iter()
            .copied()
            .filter(|name| !is_mark(name) || users.iter().any(|user| user.as_str() == *name))
            .collect();
        // The API takes no new finalizer on what is being deleted.
        let new = users.iter().map(Reference::as_str).filter(|_| is_live);
        let new: Vec<_> = new.filter(|user| !before.contains(user)).collect();
        after.extend(new);
        (after != before).then(|| replaced(kind, object, after.into_iter()))
    }
}

/// "In use by this cluster", as a finalizer.
fn mark(cluster: &Value) -> Option<Reference> {
    let metadata = &cluster["metadata"];
    let namespace = Some(text(&metadata["namespace"]).into());
    let kind = kube_cascade::Kind::new(CLUSTERS.group(), CLUSTERS.name);
    let cluster = ObjectRef::new(kind, namespace, text(&metadata["name"]));
    Reference::new(&cluster, &CLUSTERS.plural.parse().ok()?).ok()
}

/// Whether the finalizer says that some cluster uses the object.
fn is_mark(finalizer: &str) -> bool {
    finalizer.parse::<Reference>().is_ok_and(|reference| {
        reference.plural().as_str() == CLUSTERS.plural && reference.group() == CLUSTERS.group()
    })
}

fn with_finalizer(kind: Kind, object: &Value, finalizer: &str) -> Option<Order> {
    let before = finalizers(object);
    let is_new = !before.contains(&finalizer);
    is_new.then(|| replaced(kind, object, before.into_iter().chain([finalizer])))
}

/// A PUT of the object, as it was seen, with these finalizers.
fn replaced<'a>(kind: Kind, object: &Value, finalizers: impl Iterator<Item = &'a str>) -> Order {
    let metadata = &object["metadata"];
    let path = kind.path(text(&metadata["namespace"]));
    let name = text(&metadata["name"]);
    let mut body = object.clone();
    body["metadata"]["finalizers"] = finalizers.collect();
    Order {
        service: CLUSTERS.service,
        method: Method::PUT,
        path: format!("{path}/{name}"),
        body,
    }
}

fn is_live(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_null()
}

fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
