//! One document, field by field.
//!
//! Owns which fields there are, which are required, and what each may hold. What the fields mean
//! together, within a rule and among rules, is for `check`; how any field is read, for `reader`.

use std::num::NonZeroUsize;

use kube_cascade::{
    cascade::{LabelKey, Namespaces, Scope},
    hold::RuleName,
    names::{self, Namespace},
};

use super::{
    node::{Content, Node},
    problem::{Place, Problems},
    reader::{Field, Fields, Located, Reader},
    rule::{Dependent, GroupKind, IdSource, Mode, Propagation, Rule, Upstream, UpstreamScope},
};

/// How many dependents a cascade deletes without being asked, unless the rule says otherwise.
const DEFAULT_LIMIT: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// A rule as far as it could be read. `None` is a field about which a problem has been reported,
/// so that the others can be checked all the same.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: Option<Located<RuleName>>,
    pub(super) spec: SpecDraft,
}

#[derive(Debug, Default)]
pub(super) struct SpecDraft {
    pub(super) mode: Option<Mode>,
    pub(super) upstream: Option<UpstreamDraft>,
    pub(super) dependents: Option<Vec<Option<DependentDraft>>>,
    pub(super) limit: Option<NonZeroUsize>,
}

#[derive(Debug)]
pub(super) struct UpstreamDraft {
    pub(super) kind: Option<Located<GroupKind>>,
    pub(super) scope: Option<Located<UpstreamScope>>,
    pub(super) id: Option<Located<Id>>,
    pub(super) hold: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Id {
    pub(super) from: IdSource,
    pub(super) unique: bool,
}

#[derive(Debug)]
pub(super) struct DependentDraft {
    pub(super) kind: Option<Located<GroupKind>>,
    pub(super) label: Option<Located<LabelKey>>,
    pub(super) scope: Option<Located<Scope>>,
    pub(super) propagation: Option<Located<Propagation>>,
    pub(super) allow_dangerous: Option<bool>,
}

impl Draft {
    /// What of the upstream could be read.
    pub(super) fn upstream(&self) -> Option<&UpstreamDraft> {
        self.spec.upstream.as_ref()
    }

    /// Those of the dependents that could be read at all.
    pub(super) fn dependents(&self) -> impl Iterator<Item = &DependentDraft> {
        self.spec.dependents.iter().flatten().flatten()
    }

    /// The rule, if nothing is missing from it.
    pub(super) fn into_rule(self) -> Option<Rule> {
        let dependents = self.spec.dependents?.into_iter();
        Some(Rule {
            name: self.name?.value,
            mode: self.spec.mode?,
            upstream: self.spec.upstream?.into_upstream()?,
            dependents: dependents
                .map(|draft| draft?.into_dependent())
                .collect::<Option<_>>()?,
            limit: self.spec.limit?,
        })
    }
}

impl UpstreamDraft {
    fn into_upstream(self) -> Option<Upstream> {
        let Id { from, unique } = self.id?.value;
        Some(Upstream {
            kind: self.kind?.value,
            scope: self.scope?.value,
            id: from,
            unique,
            hold: self.hold?,
        })
    }
}

impl DependentDraft {
    fn into_dependent(self) -> Option<Dependent> {
        Some(Dependent {
            kind: self.kind?.value,
            label: self.label?.value,
            scope: self.scope?.value,
            propagation: self.propagation?.value,
        })
    }
}

/// Reads one document. `None`: it is none of ours, which has been reported.
pub(super) fn read(
    document: &Node,
    text: &str,
    place: &Place,
    problems: &mut Problems,
) -> Option<Draft> {
    Reader { text, problems }.document(document, &place.at_line(document.line))
}

impl Reader<'_> {
    fn document(&mut self, node: &Node, place: &Place) -> Option<Draft> {
        // Somebody else's document would fill the screen with unknown fields.
        self.is_ours(node, place)?;
        let place = match name_of(node) {
            Some(name) => &place.of_rule(name),
            None => place,
        };
        let fields = self.fields(node, place, &["apiVersion", "kind", "metadata", "spec"])?;
        let name = self
            .required(
                &fields,
                "metadata",
                "a mapping with the rule's name",
                "add `metadata: {name: NAME}`",
            )
            .and_then(|field| self.metadata(&field));
        let spec = self
            .required(
                &fields,
                "spec",
                "a mapping with mode, upstream, dependents and limit",
                "write what the rule is to do",
            )
            .and_then(|field| self.spec(&field))
            .unwrap_or_default();
        Some(Draft { name, spec })
    }

    fn is_ours(&mut self, node: &Node, place: &Place) -> Option<()> {
        const DOCUMENT: &str = "a mapping that begins with `apiVersion: kube-cascade.dev/v1alpha1` \
             and `kind: ClusterCascadeRule`";
        if !matches!(node.content, Content::Mapping(_)) {
            let found = node.describe(self.text);
            let remedy = "write a rule, or remove the document";
            self.problems.add(place, found, DOCUMENT, remedy);
            return None;
        }
        let mut is_ours = true;
        for (name, ours) in [
            ("apiVersion", "kube-cascade.dev/v1alpha1"),
            ("kind", "ClusterCascadeRule"),
        ] {
            let (line, found) = match node.get(name) {
                Some(value) if value.is_text(ours) => continue,
                Some(value) => (value.line, value.describe(self.text)),
                None => (node.line, "nothing: the field is missing".into()),
            };
            is_ours = false;
            let place = place.field(name).at_line(line);
            if name == "kind" && found == "\"CascadeRule\"" {
                self.problems.add(
                    &place,
                    "\"CascadeRule\", the namespaced kind, which is not supported yet",
                    ours,
                    "write a ClusterCascadeRule",
                );
            } else {
                let remedy =
                    format!("write `{name}: {ours}`, or remove the document: it is no rule");
                self.problems.add(&place, found, ours, remedy);
            }
        }
        is_ours.then_some(())
    }

    fn metadata(&mut self, (node, place): &Field) -> Option<Located<RuleName>> {
        // Labels and annotations are for whoever sorts rules; they mean nothing here.
        let fields = self.fields(node, place, &["name", "labels", "annotations"])?;
        let allowed = format!("the rule's name: {}", names::DNS_SUBDOMAIN);
        let field = self.required(&fields, "name", &allowed, "add `name: NAME`")?;
        self.parsed(&field, &allowed, "choose another name")
    }

    fn spec(&mut self, (node, place): &Field) -> Option<SpecDraft> {
        let fields = self.fields(node, place, &["mode", "upstream", "dependents", "limit"])?;
        let mode = self
            .required(
                &fields,
                "mode",
                "Report (says what it would delete) or Enforce (deletes)",
                "add `mode: Report`, and look at what it reports before you write Enforce",
            )
            .and_then(|field| {
                let modes = [("Report", Mode::Report), ("Enforce", Mode::Enforce)];
                self.one_of(&field, &modes, &[])
            });
        let upstream = self
            .required(
                &fields,
                "upstream",
                "a mapping with group, kind, scope, id and hold",
                "name the kind whose deletion starts the cascade",
            )
            .and_then(|field| self.upstream(&field));
        let dependents = self
            .required(
                &fields,
                "dependents",
                "a list of at least one kind of dependents",
                "name what is to be deleted with the upstream",
            )
            .and_then(|field| self.dependents(&field));
        let limit = match fields.get("limit") {
            Some(field) => self.limit(&field),
            None => Some(DEFAULT_LIMIT),
        };
        Some(SpecDraft {
            mode,
            upstream,
            dependents,
            limit,
        })
    }

    fn upstream(&mut self, (node, place): &Field) -> Option<UpstreamDraft> {
        let fields = self.fields(node, place, &["group", "kind", "scope", "id", "hold"])?;
        let kind = self.group_kind(&fields);
        let scope = match fields.get("scope") {
            Some(field) => self.upstream_scope(&field),
            None => Some(Located {
                value: UpstreamScope::ClusterScoped,
                place: place.field("scope"),
            }),
        };
        let id = match fields.get("id") {
            Some(field) => self.id(&field),
            None => Some(Located {
                value: Id {
                    from: IdSource::Name,
                    unique: false,
                },
                place: place.field("id"),
            }),
        };
        let hold = self.flag(&fields, "hold", true);
        Some(UpstreamDraft {
            kind,
            scope,
            id,
            hold,
        })
    }

    fn id(&mut self, (node, place): &Field) -> Option<Located<Id>> {
        let fields = self.fields(node, place, &["from", "unique"])?;
        let from = match fields.get("from") {
            Some(field) => {
                let sources = [
                    ("Name", IdSource::Name),
                    ("UID", IdSource::Uid),
                    ("NamespacedName", IdSource::NamespacedName),
                ];
                self.one_of(&field, &sources, &[])
            }
            None => Some(IdSource::Name),
        };
        let unique = self.flag(&fields, "unique", false);
        let value = Id {
            from: from?,
            unique: unique?,
        };
        Some(Located {
            value,
            place: place.clone(),
        })
    }

    fn dependents(&mut self, field: &Field) -> Option<Vec<Option<DependentDraft>>> {
        let items = self.list(
            field,
            "a list of at least one kind of dependents",
            "name what is to be deleted with the upstream",
        )?;
        let read = |(index, item): (usize, &Node)| {
            self.dependent(&(item, field.1.element(index).at_line(item.line)))
        };
        Some(items.iter().enumerate().map(read).collect())
    }

    fn dependent(&mut self, (node, place): &Field) -> Option<DependentDraft> {
        let known = [
            "group",
            "kind",
            "label",
            "scope",
            "propagation",
            "allowDangerous",
        ];
        let fields = self.fields(node, place, &known)?;
        let kind = self.group_kind(&fields);
        let allowed = "the key of the label whose value is the upstream's ID: an optional DNS \
             prefix and '/', then 1 to 63 letters, digits, '-', '_' and '.'";
        let label = self
            .required(
                &fields,
                "label",
                allowed,
                "add a label such as `label: example.com/project`",
            )
            .and_then(|field| {
                self.parsed(
                    &field,
                    allowed,
                    "write the key alone, without a value: `example.com/project`",
                )
            });
        let scope = match fields.get("scope") {
            Some(field) => self.scope(&field),
            None => Some(Located {
                value: Scope::ClusterScoped,
                place: place.field("scope"),
            }),
        };
        let propagation = match fields.get("propagation") {
            Some(field) => {
                let values = [
                    ("Foreground", Propagation::Foreground),
                    ("Background", Propagation::Background),
                ];
                let value = self.one_of(&field, &values, &["Auto"]);
                value.map(|value| Located {
                    value,
                    place: field.1,
                })
            }
            None => Some(Located {
                value: Propagation::Foreground,
                place: place.field("propagation"),
            }),
        };
        let allow_dangerous = self.flag(&fields, "allowDangerous", false);
        Some(DependentDraft {
            kind,
            label,
            scope,
            propagation,
            allow_dangerous,
        })
    }

    fn group_kind(&mut self, fields: &Fields) -> Option<Located<GroupKind>> {
        let allowed = format!("the kind's API group: {}", names::DNS_SUBDOMAIN);
        let remedy = "add `group: GROUP`, or `group: \"\"` for a kind of the core group";
        let group = self.required(fields, "group", &allowed, remedy);
        let group = group.and_then(|field| {
            let remedy = "write the group alone, without a version: `identity.example.com`";
            self.text_that(GroupKind::is_group, &field, &allowed, remedy)
        });
        let allowed = format!("a kind: {}", GroupKind::KIND);
        let remedy = "write the kind as `kubectl api-resources` shows it, such as `kind: Network`";
        let field = self.required(fields, "kind", &allowed, remedy)?;
        let kind = self.text_that(GroupKind::is_kind, &field, &allowed, remedy)?;
        let value = GroupKind::new(group?, kind).ok()?;
        let place = field.1;
        Some(Located { value, place })
    }

    fn upstream_scope(&mut self, field: &Field) -> Option<Located<UpstreamScope>> {
        const ALLOWED: &str = "`{namespaces: [NAME, ...]}` or `{all: true}`; no scope at all for a \
             cluster-scoped kind";
        let Located { value, place } = self.any_scope(field, &["namespaces", "all"], ALLOWED)?;
        let value = match value {
            Scope::Namespaces(namespaces) => UpstreamScope::Namespaces(namespaces),
            Scope::AllNamespaces => UpstreamScope::AllNamespaces,
            // Neither can be written: the one is no field here, the other has none.
            Scope::SameAsUpstream | Scope::ClusterScoped => return None,
        };
        Some(Located { value, place })
    }

    fn scope(&mut self, field: &Field) -> Option<Located<Scope>> {
        const ALLOWED: &str = "`{namespaces: [NAME, ...]}`, `{all: true}` or \
             `{sameAsUpstream: true}`; no scope at all for a cluster-scoped kind";
        self.any_scope(field, &["namespaces", "all", "sameAsUpstream"], ALLOWED)
    }

    fn any_scope(
        &mut self,
        (node, place): &Field,
        known: &[&str],
        allowed: &str,
    ) -> Option<Located<Scope>> {
        let fields = self.fields(node, place, known)?;
        let [(key, value)] = fields.entries.as_slice() else {
            let names: Vec<_> = fields.entries.iter().map(|(key, _)| &*key.name).collect();
            let found = match &node.content {
                // What is there instead has been reported.
                Content::Mapping(entries) if names.is_empty() && !entries.is_empty() => {
                    return None;
                }
                _ if names.is_empty() => node.describe(self.text),
                _ => format!("{} together", names.join(" and ")),
            };
            self.problems
                .add(place, found, allowed, "say in one way where to look");
            return None;
        };
        let field = (*value, place.field(&key.name).at_line(key.line));
        let value = match key.name.as_str() {
            "namespaces" => Scope::Namespaces(self.namespaces(&field)?),
            word => {
                let Content::Bool(true) = value.content else {
                    let found = value.describe(self.text);
                    self.problems.add(
                        &field.1,
                        found,
                        "true",
                        format!("write `{word}: true`, or another scope"),
                    );
                    return None;
                };
                if word == "all" {
                    Scope::AllNamespaces
                } else {
                    Scope::SameAsUpstream
                }
            }
        };
        Some(Located {
            value,
            place: place.clone(),
        })
    }

    fn namespaces(&mut self, field: &Field) -> Option<Namespaces> {
        let items = self.list(
            field,
            "a list of at least one namespace",
            "name the namespaces; all of them are asked for with `{all: true}`",
        )?;
        let allowed = format!("the name of a namespace: {}", names::DNS_LABEL);
        let namespaces: Vec<Option<Namespace>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let field = (item, field.1.element(index).at_line(item.line));
                let remedy =
                    "write the namespace's name; all of them are asked for with `{all: true}`";
                self.parsed(&field, &allowed, remedy)
                    .map(|namespace| namespace.value)
            })
            .collect();
        Namespaces::new(namespaces.into_iter().collect::<Option<Vec<_>>>()?).ok()
    }

    fn limit(&mut self, (node, place): &Field) -> Option<NonZeroUsize> {
        let limit = match node.content {
            Content::Integer(value) => usize::try_from(value).ok().and_then(NonZeroUsize::new),
            _ => None,
        };
        if limit.is_none() {
            self.problems.add(
                place,
                node.describe(self.text),
                "a whole number of 1 or more",
                "write how many dependents one cascade may delete without being asked; a rule that \
                 is to delete nothing has `mode: Report`",
            );
        }
        limit
    }
}

/// What the document calls itself, however wrong, for the places of its problems.
fn name_of(document: &Node) -> Option<&str> {
    match &document.get("metadata")?.get("name")?.content {
        Content::Text(name) => Some(name),
        _ => None,
    }
}
