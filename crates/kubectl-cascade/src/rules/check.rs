//! What the fields mean together: within one rule, and among rules.
//!
//! Owns the refusals that no single field shows. They are the static half of the safety rules;
//! the other half is decided against live objects, before each delete.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kube_cascade::cascade::{LabelKey, Scope};

use super::{
    problem::{Place, Problems},
    reader::Located,
    rule::{GroupKind, IdSource, Propagation, UpstreamScope},
    schema::{DependentDraft, Draft},
};

/// Kinds that are never deleted on a label's word alone: group, kind (`*` for all) and why.
const DANGEROUS: &[(&str, &str, &str)] = &[
    ("", "Namespace", "everything in it goes with it"),
    ("", "Node", "its pods lose their place"),
    ("", "PersistentVolume", "data may go with it"),
    ("", "PersistentVolumeClaim", "data may go with it"),
    ("", "Secret", "what it holds may exist nowhere else"),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "every object of its kind goes with it",
    ),
    (
        "apiregistration.k8s.io",
        "APIService",
        "every kind behind it becomes unreachable",
    ),
    (
        "admissionregistration.k8s.io",
        "*",
        "what it guards is unguarded without it",
    ),
    (
        "rbac.authorization.k8s.io",
        "*",
        "others lose the rights that it grants",
    ),
    ("kube-cascade.dev", "*", "it steers cascades itself"),
];

/// Reports everything that is wrong with these rules beyond their single fields.
pub(super) fn all(drafts: &[Draft], problems: &mut Problems) {
    for draft in drafts {
        dangerous_kinds(draft, problems);
        identity(draft, problems);
        repetitions(draft, problems);
    }
    names(drafts, problems);
    shared_labels(drafts, problems);
    cycles(drafts, problems);
}

/// Dependents of a kind whose loss would reach further than the rule shows.
fn dangerous_kinds(draft: &Draft, problems: &mut Problems) {
    let upstream = draft.upstream().and_then(|upstream| upstream.kind.as_ref());
    for dependent in draft.dependents() {
        let Some(Located { value: kind, place }) = &dependent.kind else {
            continue;
        };
        if dependent.allow_dangerous != Some(false) {
            continue;
        }
        let why = if upstream.is_some_and(|upstream| upstream.value == *kind) {
            "it is the upstream's own kind, so that one deletion leads to the next"
        } else if let Some(why) = danger(kind) {
            why
        } else {
            continue;
        };
        problems.add(
            place,
            format!("{kind}, a dangerous kind to delete by label: {why}"),
            "any other kind",
            "remove this dependent; if it is really meant, add `allowDangerous: true` to it",
        );
    }
}

fn danger(kind: &GroupKind) -> Option<&'static str> {
    let is_meant = |&&(group, name, _): &&(&str, &str, &str)| {
        group == kind.group() && (name == "*" || name.eq_ignore_ascii_case(kind.kind()))
    };
    DANGEROUS.iter().find(is_meant).map(|(.., why)| *why)
}

/// Whether the ID tells every two upstreams of the rule apart, wherever dependents are looked for.
fn identity(draft: &Draft, problems: &mut Problems) {
    let Some(upstream) = draft.upstream() else {
        return;
    };
    let (Some(scope), Some(id)) = (&upstream.scope, &upstream.id) else {
        return;
    };
    let scopes = || {
        draft
            .dependents()
            .filter_map(|dependent| dependent.scope.as_ref())
    };
    if scope.value == UpstreamScope::ClusterScoped {
        if id.value.from == IdSource::NamespacedName {
            problems.add(
                &id.place,
                "NamespacedName as the ID of a cluster-scoped kind, which has no namespace",
                "Name or UID",
                "write `from: Name`, or add the upstream's scope if its kind is namespaced",
            );
        }
        for same in scopes().filter(|scope| scope.value == Scope::SameAsUpstream) {
            problems.add(
                &same.place,
                "`sameAsUpstream`, though the upstream has no scope and so no namespace",
                "`{namespaces: [NAME, ...]}` or `{all: true}`",
                "name the namespaces, or add the upstream's scope if its kind is namespaced",
            );
        }
        return;
    }
    let is_one = match &scope.value {
        UpstreamScope::Namespaces(namespaces) => namespaces.only().is_some(),
        UpstreamScope::AllNamespaces | UpstreamScope::ClusterScoped => false,
    };
    let is_told_apart = is_one || id.value.from != IdSource::Name || id.value.unique;
    if !is_told_apart && scopes().any(|scope| scope.value != Scope::SameAsUpstream) {
        problems.add(
            &id.place,
            "names as IDs of upstreams in several namespaces: two of one name would take each \
             other's dependents along",
            "one upstream namespace; or `scope: {sameAsUpstream: true}` for every dependent; or \
             `id: {from: UID}` or `{from: NamespacedName}`; or, for names that are unique over \
             all namespaces, such as GUIDs, `id: {unique: true}`",
            "limit the upstream's scope to one namespace, or change what the label carries",
        );
    }
}

/// One kind by one label twice in a rule, where both could find the same objects.
fn repetitions(draft: &Draft, problems: &mut Problems) {
    let dependents: Vec<_> = draft.dependents().filter_map(Selected::of).collect();
    for (index, later) in dependents.iter().enumerate() {
        let repeats = |earlier: &&Selected| earlier.matches(later) && earlier.overlaps(later);
        if let Some(earlier) = dependents[..index].iter().find(repeats) {
            problems.add(
                later.label_place,
                format!(
                    "{} by the label {} again, as in {}",
                    later.kind,
                    later.label,
                    earlier.label_place.path(),
                ),
                "each kind and label once where the scopes overlap",
                "remove one of the two, or let their scopes name different namespaces",
            );
        }
    }
}

/// A rule name twice.
fn names(drafts: &[Draft], problems: &mut Problems) {
    let mut seen = BTreeMap::new();
    for Located { value: name, place } in drafts.iter().filter_map(|draft| draft.name.as_ref()) {
        if let Some(first) = seen.get(name) {
            let first: &&Place = first;
            problems.add(
                place,
                format!(
                    "the name {name}, which the rule at {} has as well",
                    first.origin()
                ),
                "a name of its own for each rule",
                "rename one of the two; a copied file may have been left behind",
            );
        } else {
            seen.insert(name, place);
        }
    }
}

/// Two rules that look for one kind by one label, and what they must then agree on.
fn shared_labels(drafts: &[Draft], problems: &mut Problems) {
    let mut seen: BTreeMap<(&GroupKind, &LabelKey), Vec<(&Draft, Selected)>> = BTreeMap::new();
    for draft in drafts {
        for later in draft.dependents().filter_map(Selected::of) {
            let others = seen.entry((later.kind, later.label)).or_default();
            let others_of = |refused: &dyn Fn(&(&Draft, Selected)) -> bool| {
                let other = |(other, _): &&(&Draft, Selected)| !std::ptr::eq(*other, draft);
                others
                    .iter()
                    .filter(other)
                    .find(|entry| refused(entry))
                    .map(|(other, _)| *other)
            };
            let confuses = |(other, earlier): &(&Draft, Selected)| {
                !may_share(other, draft)
                    || earlier.mixes_namespaces_with(&later) && !(by_uid(other) && by_uid(draft))
            };
            if let Some(other) = others_of(&confuses) {
                problems.add(
                    later.label_place,
                    format!(
                        "{} by the label {}, which {} uses in another sense (another upstream kind, \
                         another `id`, or `sameAsUpstream` in one of them only): the ID of one could \
                         be the ID of the other",
                        later.kind,
                        later.label,
                        described(other),
                    ),
                    "a label of its own for each relation, or `id: {from: UID}` in both rules",
                    "give one of the two relations another label",
                );
            }
            let differs = |(_, earlier): &(&Draft, Selected)| {
                earlier.overlaps(&later) && earlier.propagates_unlike(&later)
            };
            if let Some(other) = others_of(&differs) {
                let place = later.propagation.map_or(later.label_place, |it| &it.place);
                problems.add(
                    place,
                    format!(
                        "another propagation than {} has for {} by the label {}: which of the two \
                         an object gets would be chance",
                        described(other),
                        later.kind,
                        later.label,
                    ),
                    "one propagation for objects that two rules find",
                    "write the same propagation in both rules",
                );
            }
            others.push((draft, later));
        }
    }
}

/// Whether no ID of the one rule can be an ID of the other without naming the same upstream.
///
/// A name that somebody chooses can be the UID, or the `namespace.name`, of another upstream; the
/// same part of the same kind cannot, and the cascade looks for namesakes itself.
fn may_share(a: &Draft, b: &Draft) -> bool {
    let kind = |draft: &'_ Draft| Some(draft.upstream()?.kind.as_ref()?.value.clone());
    match (kind(a), kind(b)) {
        (Some(a_kind), Some(b_kind)) => {
            a_kind == b_kind && id_of(a) == id_of(b) || by_uid(a) && by_uid(b)
        }
        _ => true,
    }
}

fn id_of(draft: &Draft) -> Option<IdSource> {
    let id = draft.upstream()?.id.as_ref()?;
    Some(id.value.from)
}

/// Whether the ID is the UID; where it could not be read, another problem says so.
fn by_uid(draft: &Draft) -> bool {
    id_of(draft).is_none_or(|id| id == IdSource::Uid)
}

fn described(draft: &Draft) -> String {
    match &draft.name {
        Some(name) => format!("the rule {} ({})", name.value, name.place.origin()),
        None => "a rule whose name is wrong".into(),
    }
}

/// The part of a dependent that decides what it finds, where it could be read.
struct Selected<'d> {
    kind: &'d GroupKind,
    label: &'d LabelKey,
    label_place: &'d Place,
    scope: Option<&'d Scope>,
    propagation: Option<&'d Located<Propagation>>,
}

impl<'d> Selected<'d> {
    fn of(dependent: &'d DependentDraft) -> Option<Self> {
        let label = dependent.label.as_ref()?;
        Some(Self {
            kind: &dependent.kind.as_ref()?.value,
            label: &label.value,
            label_place: &label.place,
            scope: dependent.scope.as_ref().map(|scope| &scope.value),
            propagation: dependent.propagation.as_ref(),
        })
    }

    fn matches(&self, other: &Self) -> bool {
        (self.kind, self.label) == (other.kind, other.label)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.scope
            .zip(other.scope)
            .is_some_and(|(a, b)| a.may_overlap(b))
    }

    /// Whether only one of the two looks in the upstream's own namespace, which is what tells its
    /// upstreams apart, and the other may find the same objects.
    fn mixes_namespaces_with(&self, other: &Self) -> bool {
        let is_own = |selected: &Self| selected.scope == Some(&Scope::SameAsUpstream);
        is_own(self) != is_own(other) && self.overlaps(other)
    }

    fn propagates_unlike(&self, other: &Self) -> bool {
        self.propagation
            .zip(other.propagation)
            .is_some_and(|(a, b)| a.value != b.value)
    }
}

/// Kinds that lead back to themselves over several rules. A dependent of the upstream's own kind
/// is no cycle in this sense but a dangerous kind: it may be meant (a tree of one kind).
fn cycles(drafts: &[Draft], problems: &mut Problems) {
    let mut graph = Graph::new();
    for draft in drafts {
        let Some(from) = draft.upstream().and_then(|upstream| upstream.kind.as_ref()) else {
            continue;
        };
        for to in draft
            .dependents()
            .filter_map(|dependent| dependent.kind.as_ref())
        {
            if from.value != to.value {
                let edges = graph.entry(&from.value).or_default();
                edges.entry(&to.value).or_insert(Edge {
                    draft,
                    place: &to.place,
                });
            }
        }
    }
    let mut reported = BTreeSet::new();
    for start in graph.keys() {
        let Some(cycle) = shortest_cycle(&graph, start) else {
            continue;
        };
        // The same cycle is found from each of its kinds.
        if !reported.insert(BTreeSet::from_iter(cycle.clone())) {
            continue;
        }
        let mut path = start.to_string();
        let mut last = None;
        for (index, from) in cycle.iter().enumerate() {
            let to = cycle[(index + 1) % cycle.len()];
            let edge = &graph[from][to];
            path = format!("{path} -> {to} by {}", described(edge.draft));
            last = Some(edge.place);
        }
        problems.add(
            last.expect("a cycle has an edge"),
            format!("a cycle: {path}"),
            "rules that never lead back to a kind; this cannot be overridden",
            "remove this dependent, or another one of the cycle",
        );
    }
}

type Graph<'d> = BTreeMap<&'d GroupKind, BTreeMap<&'d GroupKind, Edge<'d>>>;

struct Edge<'d> {
    draft: &'d Draft,
    place: &'d Place,
}

/// The kinds of a shortest cycle through `start`, beginning with it.
fn shortest_cycle<'d>(graph: &Graph<'d>, start: &'d GroupKind) -> Option<Vec<&'d GroupKind>> {
    let mut came_from: BTreeMap<&GroupKind, &GroupKind> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(kind) = queue.pop_front() {
        for next in graph.get(kind).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                let mut cycle = vec![kind];
                while let Some(previous) = came_from.get(cycle[cycle.len() - 1]) {
                    cycle.push(previous);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, kind);
                queue.push_back(next);
            }
        }
    }
    None
}
