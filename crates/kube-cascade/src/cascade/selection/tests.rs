use proptest::prelude::*;

use super::*;

fn by_label() -> Selection {
    let key = "example.com/project".parse().unwrap();
    Selection::label(key, Scope::AllNamespaces)
}

fn every_object() -> Selection {
    Selection::every_object_in(namespace("region"))
}

fn namespace(name: &str) -> Namespace {
    name.parse().unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    pairs.iter().map(owned).collect()
}

/// No selector comes into being for any of these IDs, and the error names the ID.
fn check_refused(selection: &Selection, ids: &[&str]) {
    for id in ids {
        let error = selection.selector(id).expect_err(id);
        assert!(error.to_string().contains(&format!("{id:?}")), "{error}");
    }
}

// Row 1, an omitted label, is the `compile_fail` examples of `Selection`; the empty one is here.
#[test]
fn fault_01_an_empty_label_key_is_refused() {
    assert!("".parse::<LabelKey>().is_err());
}

#[test]
fn fault_02_no_selector_is_built_for_a_blank_id() {
    for selection in [by_label(), every_object()] {
        check_refused(&selection, &["", " ", "\t\n", "\u{a0}"]);
    }
}

#[test]
fn fault_03_no_selector_is_built_for_an_id_that_no_label_can_hold() {
    let (long, longer) = ("a".repeat(64), "a".repeat(253));
    check_refused(
        &by_label(),
        &[
            "a/b", "system:x", "-a", "a-", ".a", "a_", "a b", "a\0", "ä", &long, &longer,
        ],
    );
}

#[test]
fn fault_04_no_selector_is_built_for_an_id_that_would_be_two_requirements() {
    check_refused(
        &by_label(),
        &[
            "p1,b",
            "p1,",
            ",b",
            "p1=b",
            "p1,b=c",
            "p1,!b",
            "p1 in (b)",
            "p1\n,b",
        ],
    );
}

#[test]
fn fault_05_invalid_label_keys_are_refused() {
    let (name, prefix) = ("a".repeat(64), "a".repeat(254));
    let (long_name, long_prefix) = (format!("example.com/{name}"), format!("{prefix}/a"));
    let invalid = [
        "",
        " ",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "A.com/a",
        "a..b/c",
        "-a/b",
        "-a",
        "a-",
        "a b",
        "a=b",
        "a,b",
        "!a",
        "ä",
        "example.com/-a",
        &name,
        &long_name,
        &long_prefix,
    ];
    for key in invalid {
        assert!(key.parse::<LabelKey>().is_err(), "{key:?} passes");
    }
}

#[test]
fn fault_06_no_namespace_never_comes_to_mean_all() {
    assert_eq!(Namespaces::new([]), Err(NoNamespace));
    for name in ["", " ", "*", "A", "a.b", "a,b", "-a"] {
        assert!(Namespace::try_from(name).is_err(), "{name:?} passes");
    }
}

#[test]
fn label_keys_of_the_api_are_taken_as_they_are() {
    let (name, prefix) = ("a".repeat(63), "a".repeat(253));
    let longest = format!("{prefix}/{name}");
    for key in [
        "a",
        "A_b.c-D",
        "example.com/project",
        "kubernetes.io/metadata.name",
        &longest,
    ] {
        assert_eq!(key.parse::<LabelKey>().unwrap().to_string(), key);
    }
}

#[test]
fn the_selector_is_the_label_with_the_id() {
    let id = "a".repeat(63);
    for id in [
        "p1",
        "2b1c9f5e-8a54-4c3f-9d7e-0f2f6c1f3a10",
        "ns.name",
        "P_1",
        &id,
    ] {
        let Selector::Label(selector) = by_label().selector(id).unwrap() else {
            panic!("a selection by label selects by something else");
        };
        assert_eq!(selector.to_string(), format!("example.com/project={id}"));
    }
    assert_eq!(every_object().selector("a/b"), Ok(Selector::EveryObject));
}

#[test]
fn a_relabelled_object_is_no_longer_selected() {
    let selector = by_label().selector("p1").unwrap();
    assert!(selector.matches(&labels(&[("a", "b"), ("example.com/project", "p1")])));
    for other in [
        labels(&[]),
        labels(&[("example.com/project", "")]),
        labels(&[("example.com/project", "p2")]),
        labels(&[("project", "p1")]),
    ] {
        assert!(!selector.matches(&other), "{other:?}");
    }
}

#[test]
fn namespaces_are_named_once() {
    let named = Namespaces::new(["b", "a", "b"].map(namespace)).unwrap();
    assert_eq!(named.to_string(), "a, b");
    assert_eq!(named.only(), None);
    assert_eq!(
        Namespaces::from(namespace("a")).only(),
        Some(&namespace("a"))
    );
}

#[test]
fn only_disjoint_scopes_do_not_overlap() {
    let scope = |names: &[&str]| {
        Scope::from(Namespaces::new(names.iter().map(|name| namespace(name))).unwrap())
    };
    assert!(scope(&["a", "b"]).may_overlap(&scope(&["b", "c"])));
    assert!(scope(&["a"]).may_overlap(&Scope::AllNamespaces));
    assert!(Scope::SameAsUpstream.may_overlap(&scope(&["a"])));
    assert!(Scope::ClusterScoped.may_overlap(&Scope::ClusterScoped));
    assert!(!scope(&["a"]).may_overlap(&scope(&["b"])));
    assert!(!Scope::ClusterScoped.may_overlap(&Scope::AllNamespaces));
}

#[test]
fn errors_say_what_was_found_and_what_is_allowed() {
    assert_eq!(
        by_label().selector("p1,b").unwrap_err().to_string(),
        "\"p1,b\" is an ID that no label can hold; allowed: 1 to 63 ASCII letters, digits, '-', \
         '_' and '.', beginning and ending with a letter or digit"
    );
    assert_eq!(
        "a/b/c".parse::<LabelKey>().unwrap_err().to_string(),
        "\"a/b/c\" is no label key; allowed: 1 to 63 ASCII letters, digits, '-', '_' and '.', \
         beginning and ending with a letter or digit, after an optional prefix such as \
         'example.com/' (a DNS subdomain of at most 253 bytes)"
    );
}

proptest! {
    /// Whatever the ID is, the selector on the wire is one requirement on our key.
    #[test]
    fn every_selector_is_a_single_requirement(id in any::<String>()) {
        if let Ok(Selector::Label(selector)) = by_label().selector(&id) {
            let text = selector.to_string();
            prop_assert_eq!(text.matches(['=', ',', '!', '(', ' ']).count(), 1);
            prop_assert_eq!(text.strip_prefix("example.com/project="), Some(id.as_str()));
        }
    }
}
