use std::collections::BTreeMap;

use proptest::{prelude::*, sample::select};

use super::*;
use crate::object::Kind;

fn plural(text: &str) -> Plural {
    text.parse().expect("it is a plural")
}

fn object(group: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    ObjectRef::new(Kind::new(group, "Network"), namespace.map(Into::into), name)
}

fn written(group: &str, namespace: Option<&str>, name: &str) -> String {
    let reference = Reference::new(&object(group, namespace, name), &plural("networks"));
    reference.expect("it can be written").to_string()
}

const GROUP: &str = "region.example.com";

#[test]
fn a_reference_says_plural_group_namespace_and_name() {
    for (group, namespace, name, text) in [
        (GROUP, Some("r"), "n", "networks.region.example.com/r_n"),
        (GROUP, None, "n", "networks.region.example.com/n"),
        ("apps", Some("r"), "n.m", "networks.apps/r_n.m"),
        ("", Some("r"), "n", "networks/r_n"),
        ("", None, "n", "networks/n"),
    ] {
        assert_eq!(written(group, namespace, name), text);
        let reference: Reference = text.parse().expect("it is one");
        assert_eq!(reference.plural(), plural("networks"));
        assert_eq!(reference.group(), group);
        let form = match namespace {
            Some(namespace) => Form::Namespaced { namespace, name },
            None => Form::Named { name },
        };
        assert_eq!(reference.form(), form);
    }
}

#[test]
fn a_name_part_of_63_bytes_is_written_out_and_one_of_64_is_cut() {
    let name = "n".repeat(61);
    assert_eq!(
        written(GROUP, Some("r"), &name),
        format!("networks.region.example.com/r_{name}")
    );
    // `printf networks.region.example.com/r/%062d 0 | tr 0 n | sha256sum`, of whose group no
    // letter is a zero.
    assert_eq!(
        written(GROUP, Some("r"), &"n".repeat(62)),
        format!(
            "networks.region.example.com/r_{}__e125d589a42e6e20536db1d36a0042bb",
            "n".repeat(27)
        )
    );
    let (fits, cut) = ("n".repeat(63), "n".repeat(64));
    assert!(written(GROUP, None, &fits).ends_with(&fits));
    assert!(written(GROUP, None, &cut).contains("__"));
}

#[test]
fn a_name_that_is_no_dns_subdomain_is_cut_whatever_its_length() {
    for (namespace, name, start) in [
        (None, "system:node", "system-node"),
        (None, ":", "x"),
        (None, "Admin", "admin"),
        (None, "a_b", "a-b"),
        (Some("a"), "b_c", "a_b-c"),
        (Some("a"), ":b", "a_-b"),
        (None, "äß", "x"),
    ] {
        let text = written("rbac.example.com", namespace, name);
        let (_, part) = text.split_once('/').expect("it has a slash");
        let (found, digest) = part.rsplit_once("__").expect("it is cut");
        assert_eq!((found, digest.len()), (start, DIGITS), "{name}");
    }
}

#[test]
fn a_short_form_tells_the_namespace_where_all_of_it_is_there() {
    for (length, told) in [(1, true), (28, true), (29, false), (63, false)] {
        let (namespace, name) = ("n".repeat(length), "x".repeat(253));
        let text = written(GROUP, Some(&namespace), &name);
        let reference: Reference = text.parse().expect("it is one");
        let Form::Short {
            namespace: found, ..
        } = reference.form()
        else {
            panic!("{text} is not short");
        };
        assert_eq!(found, told.then_some(&*namespace), "{text}");
    }
}

#[test]
fn what_no_object_can_be_called_is_not_written() {
    let longest = "g".repeat(244);
    let new = |group: &str, namespace, name| {
        Reference::new(&object(group, namespace, name), &plural("networks")).err()
    };
    assert_eq!(new(&longest, Some("r"), "n"), None);
    for group in [&*(longest + "g"), "G", "g.", "a_b", "a/b"] {
        let error = new(group, None, "n");
        let is_prefix = matches!(error, Some(UnwritableReference::Prefix { .. }));
        assert!(is_prefix, "{group}: {error:?}");
    }
    for name in ["", ".", "..", "a/b", "a%b"] {
        let error = new(GROUP, None, name);
        let is_name = matches!(error, Some(UnwritableReference::Name { .. }));
        assert!(is_name, "{name}: {error:?}");
    }
    for namespace in ["", "a.b", "a_b", "A", &"n".repeat(64)] {
        let error = new(GROUP, Some(namespace), "n");
        let is_namespace = matches!(error, Some(UnwritableReference::Namespace { .. }));
        assert!(is_namespace, "{namespace}: {error:?}");
    }
}

#[test]
fn what_is_not_of_the_grammar_is_refused() {
    let digest = "0".repeat(32);
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "foregroundDeletion",
        "a/b/c",
        "configmaps./x",
        ".a/b",
        "A.b/c",
        "a.b/C",
        "a.b/_c",
        "a.b/c_",
        "a.b/c_d_e",
        "a.b/c.d_e",
        "a.b/C_d",
        "a.b/c__d",
        "a.b/c_d__e",
        &format!("a.b/__{digest}"),
        &format!("a.b/C__{digest}"),
        &format!("a.b/c_d_e__{digest}"),
        &format!("a.b/c.d_e__{digest}"),
        &format!("a.b/c__{digest}0"),
        &format!("a.b/c__{}", &digest[1..]),
        &format!("a.b/c__{}", digest.replace('0', "F")),
        &format!("a.b/{}__{digest}", "c".repeat(30)),
        &format!("a.b/{}", "c".repeat(64)),
        &format!("{}.b/c", "a".repeat(64)),
        &format!("a.{}/c", "b".repeat(252)),
    ] {
        let error = text.parse::<Reference>().expect_err(text);
        assert!(
            error
                .to_string()
                .starts_with(&format!("{text:?} is no reference"))
        );
    }
}

#[test]
fn the_original_writes_no_namespace_and_renames_one_group() {
    let style = |rewrite| ReferenceStyle::Original(rewrite);
    let legacy = object("unikorn-cloud.org", Some("r"), "n");
    for (style, object, text) in [
        (
            style(GroupRewrite::Keep),
            &legacy,
            "networks.unikorn-cloud.org/n",
        ),
        (
            style(GroupRewrite::Legacy),
            &legacy,
            "networks.kubernetes.unikorn-cloud.org/n",
        ),
        (
            style(GroupRewrite::Legacy),
            &object(GROUP, None, "n"),
            "networks.region.example.com/n",
        ),
    ] {
        let reference = style.reference(object, &plural("networks"));
        let reference = reference.expect("the original writes it");
        assert_eq!(reference.as_str(), text);
        assert_eq!(text.parse(), Ok(reference));
    }
    let read = |style: ReferenceStyle, group| style.also_read(group);
    assert_eq!(
        read(style(GroupRewrite::Legacy), "kubernetes.unikorn-cloud.org"),
        Some("unikorn-cloud.org")
    );
    assert_eq!(
        read(style(GroupRewrite::Keep), "kubernetes.unikorn-cloud.org"),
        None
    );
    assert_eq!(
        read(ReferenceStyle::Ours, "kubernetes.unikorn-cloud.org"),
        None
    );
}

#[test]
fn the_original_has_no_form_for_the_core_group_and_for_long_names() {
    let style = ReferenceStyle::Original(GroupRewrite::Keep);
    for (group, name) in [
        ("", "n"),
        (GROUP, &*"n".repeat(64)),
        (GROUP, "a_b"),
        (GROUP, "A"),
    ] {
        let error = style.reference(&object(group, Some("r"), name), &plural("networks"));
        let error = error.expect_err(name);
        assert!(
            matches!(error, UnwritableReference::NotInOriginal { .. }),
            "{error}"
        );
    }
}

#[test]
fn finalizers_that_are_no_references_are_told_apart() {
    let known = NotReferences::default()
        .and("example.com/operator")
        .and_prefix("hooks.example.com");
    let text = "networks.region.example.com/region_net-1";
    for (finalizer, is) in [
        ("foregroundDeletion", Finalizer::Known),
        ("orphan", Finalizer::Known),
        ("kubernetes", Finalizer::Known),
        ("kubernetes.io/pv-protection", Finalizer::Known),
        ("kubernetes.io/pvc-protection", Finalizer::Known),
        (
            "customresourcecleanup.apiextensions.k8s.io",
            Finalizer::Known,
        ),
        ("kube-cascade.dev/default_project", Finalizer::Known),
        ("example.com/operator", Finalizer::Known),
        ("hooks.example.com/any", Finalizer::Known),
        ("Something else", Finalizer::Unknown),
        ("example.com/Another", Finalizer::Unknown),
        // On the safe side: it waits, and says for what.
        (
            "example.com/unheard-of",
            Finalizer::Reference("example.com/unheard-of".parse().unwrap()),
        ),
        (text, Finalizer::Reference(text.parse().unwrap())),
    ] {
        assert_eq!(known.classify(finalizer), is, "{finalizer}");
    }
    let found = known.references(["orphan", text, "Something else", text]);
    assert_eq!(found, [text.parse().unwrap()]);
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
}

fn subdomain(longest: usize) -> impl Strategy<Value = String> {
    let any = format!("[a-z0-9]([-a-z0-9.]{{0,{}}}[a-z0-9])?", longest - 2);
    // Every part between dots has to begin and end with a letter or digit.
    let any = proptest::string::string_regex(&any).expect("it is a pattern");
    any.prop_map(|name| {
        let name = name.replace(".-", ".a").replace("-.", "a.");
        name.replace("..", ".a").replace("..", ".a")
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => subdomain(253),
        2 => subdomain(63),
        1 => "[a-zA-Z0-9:_.@ äß-]{1,80}",
    ]
    .prop_filter("objects are not called like that", |name| {
        is_object_name(name)
    })
}

fn any_object() -> impl Strategy<Value = (ObjectRef, Plural)> {
    let group = prop_oneof![Just(String::new()), subdomain(189)];
    let namespace = proptest::option::of(label());
    (group, namespace, name(), label()).prop_map(|(group, namespace, name, name_of_kind)| {
        let object = object(&group, namespace.as_deref(), &name);
        (object, plural(&name_of_kind))
    })
}

/// Objects that are likely to be mistaken for each other.
fn similar_object() -> impl Strategy<Value = (ObjectRef, Plural)> {
    let long = "b".repeat(70);
    let names = ["a", "b", "a.b", "a-b", "a_b", "A", "a:b", "b_a", ":", &long];
    let longer = [format!("{long}c"), format!("a.{long}"), format!("a_{long}")];
    let names: Vec<_> = names.map(str::to_owned).into_iter().chain(longer).collect();
    let groups = select(vec!["", "a", "b", "a.b", "b.a"]);
    let namespaces = select(vec![None, Some("a"), Some("b"), Some("a-b")]);
    let plurals = select(vec!["a", "b", "a-b"]);
    (groups, namespaces, select(names), plurals).prop_map(|(group, namespace, name, of_kind)| {
        (object(group, namespace, &name), plural(of_kind))
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_reference((user, plural) in any_object()) {
        let reference = Reference::new(&user, &plural).expect("it can be written");
        prop_assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
        prop_assert_eq!(reference.plural(), plural);
        prop_assert_eq!(reference.group(), user.kind().group());
        match reference.form() {
            Form::Namespaced { namespace, name } => {
                prop_assert_eq!((Some(namespace), name), (user.namespace(), user.name()));
            }
            Form::Named { name } => prop_assert_eq!((None, name), (user.namespace(), user.name())),
            Form::Short { namespace, .. } => {
                prop_assert!(namespace.is_none() || namespace == user.namespace());
            }
        }
    }

    #[test]
    fn a_reference_is_a_finalizer_that_the_server_accepts((user, plural) in any_object()) {
        let reference = Reference::new(&user, &plural).expect("it can be written");
        let (prefix, name) = reference.as_str().split_once('/').expect("it has a slash");
        prop_assert!(names::is_dns_subdomain(prefix), "{}", reference);
        prop_assert!(names::is_qualified(name), "{}", reference);
    }

    #[test]
    fn a_reference_matches_its_own_object_and_no_other_of_a_crowd(
        crowd in proptest::collection::vec(prop_oneof![similar_object(), any_object()], 2..40),
    ) {
        let mut owners = BTreeMap::new();
        for (user, plural) in &crowd {
            let reference = Reference::new(user, plural).expect("it can be written");
            prop_assert!(reference.matches(user, plural));
            let owner = owners.entry(reference).or_insert((user, plural));
            prop_assert_eq!(*owner, (user, plural));
        }
        for (reference, owner) in &owners {
            for (user, plural) in &crowd {
                prop_assert_eq!(reference.matches(user, plural), *owner == (user, plural));
            }
        }
    }

    #[test]
    fn text_around_the_grammar_is_read_or_refused(
        (user, plural) in any_object(),
        place in 0.0..1.0,
        inserted in "[a-zA-Z0-9./_ä-]{0,3}",
        removed in 0_usize..3,
    ) {
        let text = Reference::new(&user, &plural).expect("it can be written").to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "it picks a place")]
        let place = (text.len() as f64 * place) as usize;
        let end = (place + removed).min(text.len());
        let changed = format!("{}{inserted}{}", &text[..place], &text[end..]);
        if let Ok(reference) = changed.parse::<Reference>() {
            prop_assert_eq!(reference.as_str(), &changed);
            let _ = (reference.form(), reference.plural(), reference.group());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-b_./A-]{0,12}(__[0-9a-f]{31,33})?|.{0,80}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.as_str(), &text);
            let _ = (reference.form(), reference.plural(), reference.group());
        }
        let _ = NotReferences::well_known().classify(&text);
    }
}
