use std::{fs, num::NonZeroUsize};

use kube_cascade::cascade::Scope;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// The rule of the documentation, which every table below changes in one place.
const PROJECT: &str = "\
apiVersion: kube-cascade.dev/v1alpha1
kind: ClusterCascadeRule
metadata: {name: project}
spec:
  mode: Enforce
  upstream:
    group: identity.example.com
    kind: Project
    scope: {namespaces: [tenants]}
    id: {from: Name}
    hold: true
  dependents:
  - group: region.example.com
    kind: Network
    label: example.com/project
    scope: {namespaces: [region]}
    propagation: Foreground
  limit: 1000
";

/// A rule `name` that deletes the networks of `region` with the upstreams of `kind`.
fn rule(name: &str, kind: &str, more: &str) -> String {
    format!(
        "apiVersion: kube-cascade.dev/v1alpha1
kind: ClusterCascadeRule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  upstream: {{group: identity.example.com, kind: {kind}, scope: {{namespaces: [tenants]}}{more}}}
  dependents:
  - {{group: region.example.com, kind: Network, label: example.com/project, scope: {{namespaces: [region]}}}}
"
    )
}

fn changed(from: &str, to: &str) -> String {
    assert!(PROJECT.contains(from), "{from:?} is not in the rule");
    PROJECT.replacen(from, to, 1)
}

fn problems(text: &str) -> Vec<Problem> {
    match parse("rules.yaml", text) {
        Ok(rules) => panic!("accepted as {rules:?}:\n{text}"),
        Err(error) => error.problems().to_vec(),
    }
}

/// Each change makes for exactly one problem, at this field and line, that begins with `found`.
fn check(rows: &[(&str, &str, &str, u64, &str)]) {
    for (from, to, field, line, found) in rows {
        let text = changed(from, to);
        let problems = problems(&text);
        let [problem] = problems.as_slice() else {
            panic!("{problems:#?} in\n{text}");
        };
        assert_eq!(
            (problem.field(), problem.line(), problem.source()),
            (*field, Some(*line), "rules.yaml"),
            "{problem}\nin\n{text}"
        );
        assert!(problem.found().starts_with(found), "{problem}\nin\n{text}");
        assert!(!problem.allowed().is_empty() && !problem.remedy().is_empty());
    }
}

/// The fields with a problem, in their order.
fn fields(text: &str) -> Vec<String> {
    let problems = problems(text);
    problems
        .iter()
        .map(|problem| problem.field().to_owned())
        .collect()
}

fn accept(text: &str) -> Vec<Rule> {
    match parse("rules.yaml", text) {
        Ok(rules) => rules.into_iter().collect(),
        Err(error) => panic!("{error}\nin\n{text}"),
    }
}

#[test]
fn a_rule_says_what_its_file_says() {
    let [rule] = accept(PROJECT).try_into().unwrap();
    assert_eq!(rule.name().as_str(), "project");
    assert_eq!(rule.mode(), Mode::Enforce);
    assert_eq!(rule.limit(), NonZeroUsize::new(1000).unwrap());
    let upstream = rule.upstream();
    assert_eq!(upstream.kind().to_string(), "Project.identity.example.com");
    assert_eq!(
        (upstream.id(), upstream.is_unique(), upstream.is_held()),
        (IdSource::Name, false, true)
    );
    let UpstreamScope::Namespaces(namespaces) = upstream.scope() else {
        panic!("{upstream:?}");
    };
    assert_eq!(namespaces.to_string(), "tenants");
    let [dependent] = rule.dependents() else {
        panic!("{rule:?}");
    };
    assert_eq!(dependent.kind().to_string(), "Network.region.example.com");
    assert_eq!(dependent.label().as_str(), "example.com/project");
    assert_eq!(dependent.scope().to_string(), "region");
    assert_eq!(dependent.propagation(), Propagation::Foreground);
}

#[test]
fn what_may_be_left_out_has_the_documented_default() {
    let written = accept(PROJECT);
    for line in [
        "    id: {from: Name}\n",
        "    hold: true\n",
        "    propagation: Foreground\n",
        "  limit: 1000\n",
    ] {
        assert_eq!(accept(&changed(line, "")), written, "without {line:?}");
    }
}

#[test]
fn no_scope_is_the_claim_of_a_cluster_scoped_kind() {
    let text = changed("    scope: {namespaces: [tenants]}\n", "");
    let [rule] = accept(&text.replace("    scope: {namespaces: [region]}\n", ""))
        .try_into()
        .unwrap();
    assert_eq!(rule.upstream().scope(), &UpstreamScope::ClusterScoped);
    assert_eq!(rule.dependents()[0].scope(), &Scope::ClusterScoped);
}

#[test]
fn every_value_of_every_field_is_understood() {
    for (from, to) in [
        ("mode: Enforce", "mode: Report"),
        ("id: {from: Name}", "id: {from: UID}"),
        ("id: {from: Name}", "id: {from: NamespacedName}"),
        ("id: {from: Name}", "id: {unique: true}"),
        ("hold: true", "hold: false"),
        ("{namespaces: [region]}", "{namespaces: [a, b, a]}"),
        ("{namespaces: [region]}", "{all: true}"),
        ("{namespaces: [region]}", "{sameAsUpstream: true}"),
        ("propagation: Foreground", "propagation: Background"),
        ("limit: 1000", "limit: 1"),
        ("group: region.example.com", "group: \"\""),
        (
            "{name: project}",
            "{name: project, labels: {a: b}, annotations: {a: b}}",
        ),
    ] {
        assert_ne!(accept(&changed(from, to)).len(), 0);
    }
}

#[test]
fn fault_01_an_omitted_or_empty_label_is_refused_with_its_path() {
    let label = "label: example.com/project";
    let path = "spec.dependents[0].label";
    check(&[
        (
            "    label: example.com/project\n",
            "",
            path,
            13,
            "nothing: the field is missing",
        ),
        (label, "label:", path, 15, "nothing (null)"),
        (label, "label: \"\"", path, 15, "\"\""),
        (label, "label: \" \"", path, 15, "\" \""),
        (label, "label: {}", path, 15, "an empty mapping"),
        (label, "label: []", path, 15, "an empty list"),
    ]);
    // A misspelt label is two problems: the field that is not there, and the one that is.
    assert_eq!(
        fields(&changed("label:", "lable:")),
        ["spec.dependents[0].label", "spec.dependents[0].lable"]
    );
}

#[test]
fn fault_05_an_invalid_label_key_is_refused_with_its_path() {
    let label = "label: example.com/project";
    let path = "spec.dependents[0].label";
    check(&[
        (
            label,
            "label: example.com/a/b",
            path,
            15,
            "\"example.com/a/b\"",
        ),
        (
            label,
            "label: example.com/project=x",
            path,
            15,
            "\"example.com/project=x\"",
        ),
        (
            label,
            "label: Example.com/project",
            path,
            15,
            "\"Example.com/project\"",
        ),
        (label, "label: a,b", path, 15, "\"a,b\""),
        (label, "label: -a", path, 15, "\"-a\""),
        (
            label,
            "label: yes",
            path,
            15,
            "the boolean true, written \"yes\"",
        ),
    ]);
}

#[test]
fn fault_06_a_scope_that_names_no_namespace_is_refused() {
    let scope = "scope: {namespaces: [region]}";
    let path = "spec.dependents[0].scope";
    let names = "spec.dependents[0].scope.namespaces";
    let first = "spec.dependents[0].scope.namespaces[0]";
    check(&[
        (scope, "scope:", path, 16, "nothing (null)"),
        (scope, "scope: {}", path, 16, "an empty mapping"),
        (scope, "scope: region", path, 16, "\"region\""),
        (scope, "scope: {namespaces: []}", names, 16, "an empty list"),
        (scope, "scope: {namespaces: }", names, 16, "nothing (null)"),
        (
            scope,
            "scope: {namespaces: region}",
            names,
            16,
            "\"region\"",
        ),
        (scope, "scope: {namespaces: [\"\"]}", first, 16, "\"\""),
        (scope, "scope: {namespaces: [\"*\"]}", first, 16, "\"*\""),
        (
            scope,
            "scope: {namespaces: [Region]}",
            first,
            16,
            "\"Region\"",
        ),
        (
            scope,
            "scope: {all: false}",
            "spec.dependents[0].scope.all",
            16,
            "the boolean false",
        ),
        (
            scope,
            "scope: {all: true, namespaces: [a]}",
            path,
            16,
            "all and namespaces together",
        ),
        (
            "scope: {namespaces: [tenants]}",
            "scope: {}",
            "spec.upstream.scope",
            9,
            "an empty mapping",
        ),
        (
            "scope: {namespaces: [tenants]}",
            "scope: {sameAsUpstream: true}",
            "spec.upstream.scope.sameAsUpstream",
            9,
            "the unknown field `sameAsUpstream`",
        ),
    ]);
}

#[test]
fn what_yaml_takes_for_something_else_is_to_be_quoted() {
    let scope = "{namespaces: [region]}";
    for (written, found) in [
        ("no", "the boolean false, written \"no\""),
        ("y", "the boolean true, written \"y\""),
        ("123", "the number 123"),
        ("1e3", "the number 1000, written \"1e3\""),
        ("0x10", "the number 16, written \"0x10\""),
    ] {
        let text = changed(scope, &format!("{{namespaces: [{written}]}}"));
        let [problem] = problems(&text).try_into().unwrap();
        assert_eq!(problem.field(), "spec.dependents[0].scope.namespaces[0]");
        assert_eq!(problem.found(), found);
        let remedy = format!("quote it, if it is meant as text: \"{written}\"");
        assert_eq!(problem.remedy(), remedy);
        accept(&changed(
            scope,
            &format!("{{namespaces: [\"{}\"]}}", written.to_lowercase()),
        ));
    }
}

#[test]
fn missing_and_misnamed_parts_are_refused_with_their_paths() {
    check(&[
        ("  mode: Enforce\n", "", "spec.mode", 4, "nothing"),
        (
            "mode: Enforce",
            "mode: enforce",
            "spec.mode",
            5,
            "\"enforce\"",
        ),
        ("mode: Enforce", "mode:", "spec.mode", 5, "nothing (null)"),
        ("metadata: {name: project}\n", "", "metadata", 1, "nothing"),
        ("{name: project}", "{}", "metadata.name", 3, "nothing"),
        (
            "{name: project}",
            "{name: Project}",
            "metadata.name",
            3,
            "\"Project\"",
        ),
        (
            "{name: project}",
            "{name: a_b}",
            "metadata.name",
            3,
            "\"a_b\"",
        ),
        (
            "{name: project}",
            "{name: p, namespace: x}",
            "metadata.namespace",
            3,
            "the unknown field",
        ),
        (
            "    group: identity.example.com\n",
            "",
            "spec.upstream.group",
            6,
            "nothing",
        ),
        (
            "    kind: Project\n",
            "",
            "spec.upstream.kind",
            6,
            "nothing",
        ),
        (
            "kind: Project",
            "kind: projects.v1",
            "spec.upstream.kind",
            8,
            "\"projects.v1\"",
        ),
        (
            "group: identity.example.com",
            "group: a/v1",
            "spec.upstream.group",
            7,
            "\"a/v1\"",
        ),
        (
            "{from: Name}",
            "{from: name}",
            "spec.upstream.id.from",
            10,
            "\"name\"",
        ),
    ]);
}

#[test]
fn mistaken_values_are_refused_with_their_paths() {
    check(&[
        (
            "hold: true",
            "hold: \"true\"",
            "spec.upstream.hold",
            11,
            "\"true\"",
        ),
        (
            "hold: true",
            "hold:",
            "spec.upstream.hold",
            11,
            "nothing (null)",
        ),
        (
            "propagation: Foreground",
            "propagation: Orphan",
            "spec.dependents[0].propagation",
            17,
            "\"Orphan\"",
        ),
        ("limit: 1000", "limit: 0", "spec.limit", 18, "the number 0"),
        (
            "limit: 1000",
            "limit: -1",
            "spec.limit",
            18,
            "the number -1",
        ),
        (
            "limit: 1000",
            "limit: 1.5",
            "spec.limit",
            18,
            "the number 1.5",
        ),
        ("limit: 1000", "limit: \"1\"", "spec.limit", 18, "\"1\""),
        (
            "limit: 1000",
            "limit: .inf",
            "spec.limit",
            18,
            "the number inf, written \".inf\"",
        ),
        (
            "limit: 1000",
            "limit: 1\n  limit: 2",
            "spec.limit",
            19,
            "the field `limit` a second time",
        ),
        (
            "limit: 1000",
            "no: 1000",
            "spec.no",
            18,
            "the unknown field `no`",
        ),
        (
            "limit: 1000",
            "limits: 1000",
            "spec.limits",
            18,
            "the unknown field `limits`",
        ),
    ]);
}

#[test]
fn parts_that_are_missing_are_named_once() {
    let whole = changed("spec:", "spec: {}\nother:");
    assert_eq!(
        fields(&whole),
        ["spec.mode", "spec.upstream", "spec.dependents", "other"]
    );
    let none = PROJECT.split("  dependents:").next().unwrap();
    assert_eq!(fields(none), ["spec.dependents"]);
    assert_eq!(
        fields(&format!("{none}  dependents: []\n")),
        ["spec.dependents"]
    );
    assert_eq!(
        fields(&format!("{none}  dependents: {{}}\n")),
        ["spec.dependents"]
    );
    assert_eq!(
        fields(&format!("{none}  dependents: [a]\n")),
        ["spec.dependents[0]"]
    );
}

#[test]
fn fields_of_later_versions_are_refused_as_not_supported_yet() {
    for field in [
        "stage",
        "suspend",
        "serviceAccountName",
        "clusterRef",
        "selector",
        "onTimeout",
    ] {
        for (from, path) in [
            ("  mode: Enforce\n", "spec"),
            ("    kind: Project\n", "spec.upstream"),
            ("    kind: Network\n", "spec.dependents[0]"),
        ] {
            let indent = &from[..from.len() - from.trim_start().len()];
            let text = changed(from, &format!("{from}{indent}{field}: true\n"));
            let [problem] = problems(&text).try_into().unwrap();
            assert_eq!(problem.field(), format!("{path}.{field}"));
            assert_eq!(
                problem.found(),
                format!("the field `{field}`, which is not supported yet")
            );
        }
    }
    check(&[
        (
            "propagation: Foreground",
            "propagation: Auto",
            "spec.dependents[0].propagation",
            17,
            "\"Auto\", which is not supported yet",
        ),
        (
            "kind: ClusterCascadeRule",
            "kind: CascadeRule",
            "kind",
            2,
            "\"CascadeRule\", the namespaced kind, which is not supported yet",
        ),
    ]);
}

#[test]
fn documents_that_are_no_rules_are_refused() {
    check(&[
        ("v1alpha1", "v1", "apiVersion", 1, "\"kube-cascade.dev/v1\""),
        (
            "kind: ClusterCascadeRule",
            "kind: List",
            "kind",
            2,
            "\"List\"",
        ),
        (
            "apiVersion: kube-cascade.dev/v1alpha1\n",
            "",
            "apiVersion",
            1,
            "nothing",
        ),
    ]);
    for (text, found) in [
        ("a", "\"a\""),
        ("[a]", "a list"),
        ("no", "the boolean false, written \"no\""),
    ] {
        assert_eq!(problems(text)[0].found(), found);
    }
    assert_eq!(fields("{}"), ["apiVersion", "kind"]);
}

#[test]
fn no_rule_at_all_is_refused() {
    for text in ["", "\n", "# nothing\n", "---\n---\n", "null", "~"] {
        let error = parse("rules.yaml", text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the rules have a problem; nothing was started\n\
             rules.yaml\n  \
               found:   no rule\n  \
               allowed: at least one ClusterCascadeRule in a file, or in a folder's *.yaml, *.yml \
             and *.json\n  \
               remedy:  name the file or folder that holds the rules"
        );
    }
}

#[test]
fn a_document_that_is_no_yaml_or_too_much_of_it_is_refused() {
    let deep = "[".repeat(200);
    let levels: Vec<_> = (1..20)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]",
                vec![format!("*a{}", n - 1); 9].join(",")
            )
        })
        .collect();
    let bomb = format!("a0: &a0 [x]\n{}\n", levels.join("\n"));
    for text in [
        "a: [",
        "a: b: c",
        "a:\n\tb: c",
        "? [a]\n: b",
        "a: !thing b",
        "<<: {a: b}",
        &deep,
        &bomb,
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].allowed(), "YAML or JSON", "{text:.40}");
        assert!(problems[0].line().is_some(), "{problems:?}");
    }
}

#[test]
fn json_and_windows_files_are_read_as_well() {
    let json = r#"{
	"apiVersion": "kube-cascade.dev/v1alpha1", "kind": "ClusterCascadeRule",
	"metadata": {"name": "project"},
	"spec": {
		"mode": "Enforce",
		"upstream": {"group": "identity.example.com", "kind": "Project", "scope": {"namespaces": ["tenants"]}},
		"dependents": [{
			"group": "region.example.com", "kind": "Network",
			"label": "example.com\/project", "scope": {"namespaces": ["region"]}
		}]
	}
}"#;
    assert_eq!(accept(json), accept(PROJECT));
    let windows = format!("\u{feff}{}", PROJECT.replace('\n', "\r\n"));
    assert_eq!(accept(&windows), accept(PROJECT));
    let quoted = windows.replace("[region]", "[no]");
    assert_eq!(
        problems(&quoted)[0].found(),
        "the boolean false, written \"no\""
    );
}

#[test]
fn anchors_are_followed_and_their_problems_placed_where_they_are_used() {
    let text = changed("{namespaces: [tenants]}", "{namespaces: &place [tenants]}");
    let used = |text: &str| text.replace("{namespaces: [region]}", "{namespaces: *place}");
    let [rule] = accept(&used(&text)).try_into().unwrap();
    assert_eq!(rule.dependents()[0].scope().to_string(), "tenants");

    let text = changed("identity.example.com", "&place [1]");
    let text = text.replace("label: example.com/project", "label: *place");
    let lines: Vec<_> = problems(&text).iter().map(Problem::line).collect();
    assert_eq!(lines, [Some(7), Some(15)]);
}

#[test]
fn a_file_that_is_none_of_ours_does_not_fill_the_screen() {
    let field = |n| format!("  field{n}: x");
    let text = (0..100).map(field).collect::<Vec<_>>().join("\n") + "\n";
    let error = parse("rules.yaml", &changed("spec:\n", &format!("spec:\n{text}"))).unwrap_err();
    assert_eq!(error.problems().len(), 100);
    assert!(error.to_string().ends_with("\nand 50 more"));
}

#[test]
fn every_problem_of_every_rule_is_reported_at_once() {
    let second = rule("project", "Project", "").replace("mode: Enforce", "mode: Off");
    let text = format!(
        "{}---\n---\n{second}",
        changed("label: example.com/project", "label: a/b/c")
    );
    let error = parse("rules.yaml", &text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rules have 3 problems; nothing was started\n\
         rules.yaml:15: spec.dependents[0].label (rule project)\n  \
           found:   \"a/b/c\"\n  \
           allowed: the key of the label whose value is the upstream's ID: an optional DNS prefix \
         and '/', then 1 to 63 letters, digits, '-', '_' and '.'\n  \
           remedy:  write the key alone, without a value: `example.com/project`\n\
         rules.yaml:23: metadata.name (rule project)\n  \
           found:   the name project, which the rule at rules.yaml:3 has as well\n  \
           allowed: a name of its own for each rule\n  \
           remedy:  rename one of the two; a copied file may have been left behind\n\
         rules.yaml:25: spec.mode (rule project)\n  \
           found:   the boolean false, written \"Off\"\n  \
           allowed: Report or Enforce\n  \
           remedy:  quote it, if it is meant as text: \"Off\""
    );
}

#[test]
fn fault_08_the_upstreams_own_kind_is_refused_unless_it_is_meant() {
    let own = changed(
        "group: region.example.com\n    kind: Network",
        "group: identity.example.com\n    kind: Project",
    );
    let [problem] = problems(&own).try_into().unwrap();
    assert_eq!(
        problem.to_string(),
        "rules.yaml:14: spec.dependents[0].kind (rule project)\n  \
           found:   Project.identity.example.com, a dangerous kind to delete by label: it is the \
         upstream's own kind, so that one deletion leads to the next\n  \
           allowed: any other kind\n  \
           remedy:  remove this dependent; if it is really meant, add `allowDangerous: true` to it"
    );
    accept(&own.replace(
        "    propagation:",
        "    allowDangerous: true\n    propagation:",
    ));
}

#[test]
fn fault_08_a_dangerous_kind_is_refused_unless_it_is_meant() {
    for (group, kind) in [
        ("\"\"", "Namespace"),
        ("\"\"", "namespace"),
        ("\"\"", "Node"),
        ("\"\"", "PersistentVolume"),
        ("\"\"", "PersistentVolumeClaim"),
        ("\"\"", "Secret"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration",
        ),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("kube-cascade.dev", "ClusterCascadeRule"),
    ] {
        let network = "group: region.example.com\n    kind: Network";
        let text = changed(network, &format!("group: {group}\n    kind: {kind}"));
        assert_eq!(fields(&text), ["spec.dependents[0].kind"], "{kind}");
        let refused = text.replace(
            "    propagation:",
            "    allowDangerous: false\n    propagation:",
        );
        assert_eq!(fields(&refused), ["spec.dependents[0].kind"], "{kind}");
        accept(&text.replace(
            "    propagation:",
            "    allowDangerous: true\n    propagation:",
        ));
    }
    accept(&changed(
        "region.example.com\n    kind: Network",
        "region.example.com\n    kind: Secret",
    ));
}

/// A rule from one kind to others, all cluster-scoped, with a label of its own.
fn edge(name: &str, from: &str, to: &[&str]) -> String {
    let dependent = |kind: &&str| {
        format!("  - {{group: x.dev, kind: {kind}, label: x.dev/{name}, allowDangerous: true}}\n")
    };
    format!(
        "---
apiVersion: kube-cascade.dev/v1alpha1
kind: ClusterCascadeRule
metadata: {{name: {name}}}
spec:
  mode: Report
  upstream: {{group: x.dev, kind: {from}}}
  dependents:
{}",
        to.iter().map(dependent).collect::<String>()
    )
}

#[test]
fn fault_08_a_cycle_of_rules_is_refused_with_its_path_and_cannot_be_overridden() {
    let text = [
        edge("one", "A", &["B", "X"]),
        edge("two", "B", &["C"]),
        edge("three", "C", &["A"]),
    ]
    .concat();
    let [problem] = problems(&text).try_into().unwrap();
    assert_eq!(
        problem.to_string(),
        "rules.yaml:28: spec.dependents[0].kind (rule three)\n  \
           found:   a cycle: A.x.dev -> B.x.dev by the rule one (rules.yaml:4) -> C.x.dev by the \
         rule two (rules.yaml:14) -> A.x.dev by the rule three (rules.yaml:23)\n  \
           allowed: rules that never lead back to a kind; this cannot be overridden\n  \
           remedy:  remove this dependent, or another one of the cycle"
    );
}

#[test]
fn fault_08_two_cycles_are_two_problems_and_a_diamond_is_none() {
    let apart = [
        edge("a", "A", &["B"]),
        edge("b", "B", &["A"]),
        edge("c", "C", &["D"]),
        edge("d", "D", &["C"]),
    ];
    assert_eq!(problems(&apart.concat()).len(), 2);
    let diamond = [
        edge("a", "A", &["B", "C"]),
        edge("b", "B", &["D"]),
        edge("c", "C", &["D"]),
    ];
    accept(&diamond.concat());
    // A tree of one kind is the author's word, not a cycle over rules.
    accept(&edge("a", "A", &["A"]));
}

#[test]
fn fault_09_two_rules_on_one_object_must_agree_on_its_propagation() {
    let other = rule("other", "Project", "");
    accept(&format!("{PROJECT}---\n{other}"));
    let background = changed("propagation: Foreground", "propagation: Background");
    let text = format!("{background}---\n{other}");
    let [problem] = problems(&text).try_into().unwrap();
    assert_eq!(problem.field(), "spec.dependents[0].propagation");
    assert_eq!(
        problem.found(),
        "another propagation than the rule project (rules.yaml:3) has for \
         Network.region.example.com by the label example.com/project: which of the two an object \
         gets would be chance"
    );
    let elsewhere = text.replace(
        "scope: {namespaces: [region]}}",
        "scope: {namespaces: [elsewhere]}}",
    );
    assert_eq!(accept(&elsewhere).len(), 2, "no object is in both scopes");
    let everywhere = text.replace("scope: {namespaces: [region]}}", "scope: {all: true}}");
    assert_eq!(fields(&everywhere), ["spec.dependents[0].propagation"]);
}

#[test]
fn fault_09_one_rule_does_not_find_an_object_twice() {
    let again = "  - {group: region.example.com, kind: Network, label: example.com/project, scope: {all: true}}\n";
    let text = changed("  limit:", &format!("{again}  limit:"));
    let [problem] = problems(&text).try_into().unwrap();
    assert_eq!(problem.field(), "spec.dependents[1].label");
    assert_eq!(
        problem.found(),
        "Network.region.example.com by the label example.com/project again, as in spec.dependents[0].label"
    );
    accept(&text.replace("{all: true}", "{namespaces: [elsewhere]}"));
}

#[test]
fn fault_13_a_rule_that_cannot_tell_two_upstreams_apart_is_refused() {
    let scope = "scope: {namespaces: [tenants]}";
    let several = ["scope: {all: true}", "scope: {namespaces: [a, b]}"];
    for upstreams in several {
        let text = changed(scope, upstreams);
        let [problem] = problems(&text).try_into().unwrap();
        assert_eq!(
            (problem.field(), problem.line()),
            ("spec.upstream.id", Some(10))
        );
        assert!(
            problem
                .found()
                .starts_with("names as IDs of upstreams in several namespaces")
        );
        for id in [
            "{from: UID}",
            "{from: NamespacedName}",
            "{unique: true}",
            "{from: Name, unique: true}",
        ] {
            accept(&text.replace("{from: Name}", id));
        }
        let refused = text.replace("{from: Name}", "{unique: false}");
        assert_eq!(fields(&refused), ["spec.upstream.id"]);
        let unsaid = text.replace("    id: {from: Name}\n", "");
        assert_eq!(fields(&unsaid), ["spec.upstream.id"]);

        let same = text.replace("{namespaces: [region]}", "{sameAsUpstream: true}");
        accept(&same);
        let cluster = "  - {group: x.dev, kind: Zone, label: x.dev/project}\n  limit:";
        assert_eq!(
            fields(&same.replace("  limit:", cluster)),
            ["spec.upstream.id"]
        );
    }
    accept(&changed(scope, "scope: {namespaces: [a, a]}"));
}

#[test]
fn fault_13_upstreams_of_two_kinds_share_a_label_only_by_uid() {
    let uid = ", id: {from: UID}";
    let both = |first: &str, second: &str| {
        format!(
            "{}---\n{}",
            rule("one", "Project", first),
            rule("two", "Team", second)
        )
    };
    accept(&both(uid, uid));
    for text in [
        both("", ""),
        both(uid, ""),
        both("", uid),
        both(", id: {unique: true}", ", id: {unique: true}"),
    ] {
        let [problem] = problems(&text).try_into().unwrap();
        assert_eq!(
            (problem.field(), problem.line()),
            ("spec.dependents[0].label", Some(17))
        );
        assert_eq!(
            problem.found(),
            "Network.region.example.com by the label example.com/project, which the rule one \
             (rules.yaml:3) uses in another sense (another upstream kind, another `id`, or \
             `sameAsUpstream` in one of them only): the ID of one could be the ID of the other"
        );
    }
    let apart = both("", "");
    let at = apart.rfind("example.com/project").unwrap();
    accept(&format!(
        "{}example.com/team{}",
        &apart[..at],
        &apart[at + "example.com/project".len()..]
    ));
}

#[test]
fn fault_13_upstreams_of_one_kind_share_a_label_only_in_one_sense() {
    let (uid, dotted) = (", id: {from: UID}", ", id: {from: NamespacedName}");
    let own = |text: String| text.replace("{namespaces: [region]}", "{sameAsUpstream: true}");
    let both = |first: String, second: String| format!("{first}---\n{second}");
    let of = |name: &str, id: &str| rule(name, "Project", id);
    accept(&both(of("one", ""), of("two", "")));
    accept(&both(of("one", uid), of("two", uid)));
    accept(&both(own(of("one", "")), own(of("two", ""))));
    accept(&both(own(of("one", uid)), of("two", uid)));
    for text in [
        both(of("one", ""), of("two", uid)),
        both(of("one", dotted), of("two", "")),
        both(of("one", uid), of("two", dotted)),
        both(own(of("one", "")), of("two", "")),
        both(of("one", ""), own(of("two", ""))),
    ] {
        let [problem] = problems(&text).try_into().unwrap();
        assert_eq!(problem.field(), "spec.dependents[0].label", "{text}");
    }
}

#[test]
fn a_cluster_scoped_upstream_has_no_namespace_to_refer_to() {
    let cluster = changed("    scope: {namespaces: [tenants]}\n", "");
    accept(&cluster);
    let same = cluster.replace("{namespaces: [region]}", "{sameAsUpstream: true}");
    assert_eq!(fields(&same), ["spec.dependents[0].scope"]);
    let named = cluster.replace("{from: Name}", "{from: NamespacedName}");
    assert_eq!(fields(&named), ["spec.upstream.id"]);
}

/// A folder with these files, and links to nowhere where the text is missing.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_its_rule_files_and_nothing_below() {
    let folder = folder(&[
        ("b.yml", &rule("b", "Project", "")),
        (
            "a.yaml",
            &format!(
                "---\n{}---\n{}",
                rule("a", "Project", ""),
                rule("c", "Project", "")
            ),
        ),
        ("d.json", &rule("d", "Project", "")),
        (".hidden.yaml", "not: ours"),
        ("..data/e.yaml", "not: ours"),
        ("sub/e.yaml", "not: ours"),
        ("sub.yaml/e.yaml", "not: ours"),
        ("notes.txt", "not: ours"),
        ("yaml", "not: ours"),
    ]);
    let rules = load(folder.path()).unwrap();
    let names: Vec<_> = rules.iter().map(|rule| rule.name().to_string()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[test]
fn a_named_file_is_read_whatever_its_ending() {
    let folder = folder(&[("rules.txt", PROJECT)]);
    assert_eq!(
        load(&folder.path().join("rules.txt"))
            .unwrap()
            .iter()
            .count(),
        1
    );
}

#[test]
fn a_mounted_config_map_is_followed() {
    let folder = folder(&[("..data/rules.yaml", PROJECT)]);
    let link = folder.path().join("rules.yaml");
    std::os::unix::fs::symlink("..data/rules.yaml", link).unwrap();
    assert_eq!(load(folder.path()).unwrap().iter().count(), 1);
}

#[test]
fn every_file_that_cannot_be_read_is_named() {
    let folder = folder(&[
        ("binary.yaml", ""),
        ("huge.yaml", &"#".repeat((1 << 20) + 1)),
        ("twice.yaml", PROJECT),
        ("fine.yaml", PROJECT),
    ]);
    fs::write(folder.path().join("binary.yaml"), b"\xff\xfe").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("lost.yaml")).unwrap();
    let error = load(folder.path()).unwrap_err();
    let found: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| {
            let file = problem.source().rsplit('/').next().unwrap();
            format!("{file}: {}", problem.found())
        })
        .collect();
    assert_eq!(
        found[0],
        "binary.yaml: a file that cannot be read: it is no UTF-8 text"
    );
    assert_eq!(
        found[1],
        "huge.yaml: a file that cannot be read: it is larger than 1 MiB"
    );
    assert!(found[2].starts_with("lost.yaml: a file that cannot be read: No such file"));
    assert!(found[3].starts_with("twice.yaml: the name project, which the rule at "));
    assert_eq!(found.len(), 4);
}

#[test]
fn a_path_without_rules_is_an_error() {
    let folder = folder(&[("notes.txt", "")]);
    let empty = load(folder.path()).unwrap_err();
    assert_eq!(empty.problems()[0].found(), "no rule");
    assert_eq!(
        empty.problems()[0].source(),
        folder.path().display().to_string()
    );
    let missing = load(&folder.path().join("missing.yaml")).unwrap_err();
    assert!(
        missing.problems()[0]
            .found()
            .starts_with("a file that cannot be read: No such file")
    );
}

proptest! {
    /// Whatever a line is replaced with, the rules are read or refused with a place; neither
    /// panics, and a rule that is read has at least one dependent.
    #[test]
    fn any_damage_is_read_or_refused(
        line in 0_usize..18,
        damage in prop_oneof![
            any::<String>(),
            "[ ]{0,6}[-a-zA-Z:]{0,12}: ?[-\\[\\]{}&*!|>'\"%@a-z0-9, .]{0,20}",
            Just(String::new()),
        ],
    ) {
        let mut lines: Vec<_> = PROJECT.lines().collect();
        lines[line] = &damage;
        match parse("rules.yaml", &lines.join("\n")) {
            Ok(rules) => prop_assert!(rules.iter().all(|rule| !rule.dependents().is_empty())),
            Err(error) => prop_assert!(!error.problems().is_empty()),
        }
    }
}
