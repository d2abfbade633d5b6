//! The world of a seed: kinds, rules, namespaces and the objects that are there at the start.
//!
//! Pure: it says what to create; the [`schedule`](crate::schedule) creates it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::dice::Dice;

/// A kind of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An upstream in namespaces.
    Project,
    /// An upstream without namespaces.
    Tenant,
    /// A dependent, and an upstream of addresses.
    Network,
    /// A dependent.
    Volume,
    /// A dependent without namespaces.
    Zone,
    /// A dependent of networks.
    Address,
    /// Owned by a network or volume through `ownerReferences`.
    Port,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Project,
        Self::Tenant,
        Self::Network,
        Self::Volume,
        Self::Zone,
        Self::Address,
        Self::Port,
    ];

    /// The API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Project | Self::Tenant => "identity.example.com",
            Self::Network | Self::Volume | Self::Zone => "region.example.com",
            Self::Address | Self::Port => "net.example.com",
        }
    }

    /// The kind as objects spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Project => "Project",
            Self::Tenant => "Tenant",
            Self::Network => "Network",
            Self::Volume => "Volume",
            Self::Zone => "Zone",
            Self::Address => "Address",
            Self::Port => "Port",
        }
    }

    /// The kind as paths spell it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Project => "projects",
            Self::Tenant => "tenants",
            Self::Network => "networks",
            Self::Volume => "volumes",
            Self::Zone => "zones",
            Self::Address => "addresses",
            Self::Port => "ports",
        }
    }

    /// Whether its objects are in namespaces.
    #[must_use]
    pub fn namespaced(self) -> bool {
        !matches!(self, Self::Tenant | Self::Zone)
    }

    /// The kind of this group and plural.
    #[must_use]
    pub fn of(group: &str, plural: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.plural() == plural && kind.group() == group)
    }

    /// The name of its definition.
    #[must_use]
    pub fn definition_name(self) -> String {
        format!("{}.{}", self.plural(), self.group())
    }

    /// Its definition.
    #[must_use]
    pub fn definition(self) -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.definition_name()},
            "spec": {
                "group": self.group(),
                "names": {
                    "kind": self.name(),
                    "listKind": format!("{}List", self.name()),
                    "plural": self.plural(),
                    "singular": self.name().to_lowercase(),
                },
                "scope": if self.namespaced() { "Namespaced" } else { "Cluster" },
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": true,
                    }},
                }],
            },
        })
    }

    /// The path of its collection.
    #[must_use]
    pub fn path(self, namespace: Option<&str>) -> String {
        let (group, plural) = (self.group(), self.plural());
        match namespace {
            Some(namespace) => format!("/apis/{group}/v1/namespaces/{namespace}/{plural}"),
            None => format!("/apis/{group}/v1/{plural}"),
        }
    }

    /// An object of this kind.
    #[must_use]
    pub fn object(self, namespace: Option<&str>, name: &str) -> Value {
        let mut object = json!({
            "apiVersion": format!("{}/v1", self.group()),
            "kind": self.name(),
            "metadata": {"name": name},
        });
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    }
}

/// Where the ID of an upstream comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// Its name.
    Name,
    /// Its UID.
    Uid,
    /// Its namespace, a dot and its name.
    NamespacedName,
}

impl Id {
    /// The ID of an upstream.
    #[must_use]
    pub fn of(self, namespace: Option<&str>, name: &str, uid: &str) -> String {
        match (self, namespace) {
            (Self::Uid, _) => uid.to_owned(),
            (Self::NamespacedName, Some(namespace)) => format!("{namespace}.{name}"),
            _ => name.to_owned(),
        }
    }
}

/// Where a rule looks for dependents of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere, or a kind without namespaces.
    Everywhere,
    /// In these namespaces.
    In(Vec<&'static str>),
    /// In the upstream's own namespace.
    SameAsUpstream,
}

/// A dependent kind of a rule.
#[derive(Clone, Debug)]
pub struct Dependent {
    /// The kind.
    pub kind: Kind,
    /// Where it is looked for.
    pub scope: Scope,
}

/// A rule, as the oracle understands it: written a second time, and never read from the rules that
/// the controller parses.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Whether it deletes.
    pub enforce: bool,
    /// The kind of its upstreams.
    pub upstream: Kind,
    /// The namespaces of its upstreams; all where there are none.
    pub namespaces: Vec<&'static str>,
    /// What its dependents carry.
    pub id: Id,
    /// Whether the author says that names are unique.
    pub unique: bool,
    /// Whether upstreams are held.
    pub hold: bool,
    /// The label of its dependents.
    pub label: &'static str,
    /// What is deleted.
    pub dependents: Vec<Dependent>,
    /// The most that is deleted at a time.
    pub limit: usize,
}

impl Rule {
    /// The finalizer of its hold.
    #[must_use]
    pub fn hold_name(&self) -> String {
        format!("kube-cascade.dev/{INSTALLATION}_{}", self.name)
    }

    /// Whether it keeps holds on its upstreams.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.hold && self.enforce
    }

    /// Whether every dependent is in its upstream's namespace.
    #[must_use]
    pub fn is_separated(&self) -> bool {
        self.dependents
            .iter()
            .all(|dependent| dependent.scope == Scope::SameAsUpstream)
    }

    /// Whether upstreams of this namespace are its own.
    #[must_use]
    pub fn covers(&self, namespace: Option<&str>) -> bool {
        self.namespaces.is_empty()
            || namespace.is_some_and(|namespace| self.namespaces.contains(&namespace))
    }

    /// Whether a dependent kind is looked for in this namespace.
    #[must_use]
    pub fn selects(&self, kind: Kind, namespace: Option<&str>, upstream: Option<&str>) -> bool {
        let mut of_kind = self.dependents.iter().filter(|one| one.kind == kind);
        of_kind.any(|one| match &one.scope {
            Scope::Everywhere => true,
            Scope::In(names) => namespace.is_some_and(|namespace| names.contains(&namespace)),
            Scope::SameAsUpstream => namespace == upstream,
        })
    }

    fn yaml(&self, world: &World) -> String {
        let mode = if self.enforce { "Enforce" } else { "Report" };
        let mut scope = String::new();
        if self.upstream.namespaced() {
            scope = match self.namespaces.as_slice() {
                [] => ", scope: {all: true}".to_owned(),
                names => format!(", scope: {{namespaces: [{}]}}", names.join(", ")),
            };
        }
        let id = match self.id {
            Id::Name if self.unique => "{from: Name, unique: true}",
            Id::Name => "{from: Name}",
            Id::Uid => "{from: UID}",
            Id::NamespacedName => "{from: NamespacedName}",
        };
        let (group, kind) = (self.upstream.group(), self.upstream.name());
        let mut yaml = format!(
            "apiVersion: kube-cascade.dev/v1alpha1\nkind: ClusterCascadeRule\n\
             metadata: {{name: {}}}\nspec:\n  mode: {mode}\n  limit: {}\n  \
             upstream: {{group: {group}, kind: {kind}{scope}, id: {id}, hold: {}}}\n  dependents:\n",
            self.name, self.limit, self.hold
        );
        for dependent in &self.dependents {
            let kind = dependent.kind;
            let scope = match &dependent.scope {
                Scope::Everywhere if kind.namespaced() => ", scope: {all: true}".to_owned(),
                Scope::Everywhere => String::new(),
                Scope::In(names) => format!(", scope: {{namespaces: [{}]}}", names.join(", ")),
                Scope::SameAsUpstream => ", scope: {sameAsUpstream: true}".to_owned(),
            };
            let propagation = if world.background.contains(&kind) {
                "Background"
            } else {
                "Foreground"
            };
            writeln!(
                yaml,
                "  - {{group: {}, kind: {}, label: {}{scope}, propagation: {propagation}}}",
                kind.group(),
                kind.name(),
                self.label
            )
            .expect("writing to a String cannot fail");
        }
        yaml
    }
}

/// The name of the installation.
pub const INSTALLATION: &str = "sim";

/// The namespaces of upstreams.
pub const TENANTS: [&str; 2] = ["tenants-a", "tenants-b"];

/// The namespaces of dependents.
pub const REGIONS: [&str; 2] = ["region-a", "region-b"];

/// The names of upstreams; few, so that they collide.
pub const NAMES: [&str; 3] = ["p1", "p2", "p3"];

/// A name that no label can carry.
pub const UNFIT: &str =
    "p-whose-name-is-longer-than-the-sixty-three-bytes-that-a-label-value-can-carry";

/// What a seed makes up before anything runs.
#[derive(Clone, Debug)]
pub struct World {
    /// The rules, at least one.
    pub rules: Vec<Rule>,
    /// Kinds that are deleted in background.
    pub background: Vec<Kind>,
}

impl World {
    /// The world of a seed.
    #[must_use]
    pub fn of(dice: &mut Dice) -> Self {
        let kinds = [Kind::Network, Kind::Volume, Kind::Zone, Kind::Address];
        let background = kinds.into_iter().filter(|_| dice.percent(30)).collect();
        let mut rules = vec![project(dice)];
        if dice.percent(40) {
            rules.push(tenant(dice));
        }
        if dice.percent(30) {
            rules.push(network(dice));
        }
        Self { rules, background }
    }

    /// The rules as the controller reads them.
    #[must_use]
    pub fn yaml(&self) -> String {
        let rules: Vec<_> = self.rules.iter().map(|rule| rule.yaml(self)).collect();
        rules.join("---\n")
    }

    /// The kinds that are upstreams of a rule.
    #[must_use]
    pub fn upstream_kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<_> = self.rules.iter().map(|rule| rule.upstream).collect();
        kinds.sort();
        kinds
    }

    /// The policy of a DELETE of this kind.
    #[must_use]
    pub fn policy(&self, kind: Kind) -> &'static str {
        if self.background.contains(&kind) {
            "Background"
        } else {
            "Foreground"
        }
    }

    /// The kinds that any rule or object of this world needs.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let named = |kind: &Kind| {
            self.rules.iter().any(|rule| {
                rule.upstream == *kind || rule.dependents.iter().any(|one| one.kind == *kind)
            })
        };
        let all = Kind::ALL.into_iter();
        all.filter(|kind| *kind == Kind::Port || named(kind))
            .collect()
    }
}

fn project(dice: &mut Dice) -> Rule {
    let (mut namespaces, mut id, mut unique) = (Vec::new(), Id::Name, false);
    let mut same = false;
    match dice.below(5) {
        0 => namespaces = vec![TENANTS[0]],
        1 => (namespaces, unique) = (TENANTS.to_vec(), true),
        2 => same = true,
        3 => id = Id::Uid,
        _ => id = Id::NamespacedName,
    }
    let mut kinds = vec![Kind::Network];
    if dice.percent(70) {
        kinds.push(Kind::Volume);
    }
    if !same && dice.percent(30) {
        kinds.push(Kind::Zone);
    }
    Rule {
        name: "project",
        enforce: dice.percent(95),
        upstream: Kind::Project,
        namespaces,
        id,
        unique,
        hold: dice.percent(70),
        label: "example.com/project",
        dependents: dependents(dice, &kinds, same),
        limit: limit(dice),
    }
}

fn tenant(dice: &mut Dice) -> Rule {
    let kinds: &[Kind] = if dice.percent(50) {
        &[Kind::Volume, Kind::Zone]
    } else {
        &[Kind::Volume]
    };
    Rule {
        name: "tenant",
        enforce: true,
        upstream: Kind::Tenant,
        namespaces: Vec::new(),
        id: if dice.percent(70) { Id::Name } else { Id::Uid },
        unique: false,
        hold: dice.percent(70),
        label: "example.com/tenant",
        dependents: dependents(dice, kinds, false),
        limit: limit(dice),
    }
}

/// A chain: what the other rules delete has dependents of its own.
fn network(dice: &mut Dice) -> Rule {
    let same = dice.percent(50);
    Rule {
        name: "network",
        enforce: true,
        upstream: Kind::Network,
        namespaces: Vec::new(),
        id: if same { Id::Name } else { Id::Uid },
        unique: false,
        hold: dice.percent(70),
        label: "example.com/network",
        dependents: dependents(dice, &[Kind::Address], same),
        limit: limit(dice),
    }
}

fn dependents(dice: &mut Dice, kinds: &[Kind], same: bool) -> Vec<Dependent> {
    let kinds = kinds.iter();
    kinds
        .map(|kind| {
            let scope = match (kind.namespaced(), same) {
                (true, true) => Scope::SameAsUpstream,
                (true, false) => match dice.below(3) {
                    0 => Scope::Everywhere,
                    1 => Scope::In(vec![REGIONS[0]]),
                    _ => Scope::In(REGIONS.to_vec()),
                },
                (false, _) => Scope::Everywhere,
            };
            Dependent { kind: *kind, scope }
        })
        .collect()
}

fn limit(dice: &mut Dice) -> usize {
    if dice.percent(15) {
        usize::try_from(dice.within(2..6)).unwrap_or(2)
    } else {
        1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_has_rules_that_the_controller_accepts() {
        for seed in 0..2000 {
            let world = World::of(&mut Dice::new(seed).fork("world"));
            let yaml = world.yaml();
            if let Err(error) = kubectl_cascade::rules::parse("rules.yaml", &yaml) {
                panic!("{seed}: {error}\n{yaml}");
            }
        }
    }
}
