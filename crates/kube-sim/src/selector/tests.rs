//! The refusals are word for word those of a kube-apiserver 1.36.3.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

const VALUE_HINT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY_HINT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const PREFIX_HINT: &str = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const OPERATORS: &str = "expected: in, notin, =, ==, !=, gt, lt";

fn refusal(selector: &str) -> String {
    let status = LabelSelector::parse(selector).expect_err(selector);
    assert_eq!(
        (status.code().as_u16(), status.reason()),
        (400, "BadRequest")
    );
    status.message().to_owned()
}

#[test]
fn labels_are_selected() {
    let labels = [("a", "b"), ("n", "5"), ("in", "in"), ("empty", "")];
    for (selector, selected) in [
        ("", true),
        ("  ", true),
        ("a=b", true),
        ("a==b", true),
        ("a=c", false),
        ("a=", false),
        ("a=b\n", true),
        ("empty=", true),
        ("empty", true),
        ("!empty", false),
        ("a!=b", false),
        ("a!=c", true),
        ("x!=c", true),
        ("x=", false),
        ("a", true),
        ("x", false),
        ("!x", true),
        ("! a", false),
        ("a in (b,c)", true),
        ("a in (c)", false),
        ("x in (c)", false),
        ("a notin ( b , c )", false),
        ("x notin (b)", true),
        ("empty in ()", true),
        ("empty in (,)", true),
        ("empty in (b,)", true),
        ("a in (,b)", true),
        ("in", true),
        ("in in (in,notin)", true),
        ("in=in", true),
        ("n>4", true),
        ("n > 5", false),
        ("n<6", true),
        ("a<6", false),
        ("x<6", false),
        ("a=b,n=5", true),
        ("a=b,n=6", false),
        ("a=\0b", true),
        ("a=b\0\0,", true),
    ] {
        let parsed = LabelSelector::parse(selector).expect(selector);
        assert_eq!(parsed.matches(&labels), selected, "{selector:?}");
    }
    let everything = LabelSelector::parse(" ").expect("blanks are fine");
    assert!(everything.is_everything());
}

#[test]
fn a_bad_label_selector_is_refused_in_the_servers_words() {
    let long = "x".repeat(64);
    let in_requirement = |why: &str| format!("unable to parse requirement: {why}");
    for (selector, message) in [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        (
            "=",
            "found '=', expected: !, identifier, or 'end of string'",
        ),
        (
            ",a",
            "found ',', expected: !, identifier, or 'end of string'",
        ),
        (
            ")",
            "found ')', expected: !, identifier, or 'end of string'",
        ),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("!a b", "found 'b', expected: ',' or 'end of string'"),
        ("a=b!", "found '!', expected: ',' or 'end of string'"),
        ("a in (b)c", "found 'c', expected: ',' or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in (b))", "found ')', expected: ',' or 'end of string'"),
    ] {
        assert_eq!(refusal(selector), message, "{selector:?}");
    }
    for (selector, why) in [
        ("a in b", "found 'b' expected: '('".to_owned()),
        ("a in b,c", "found 'b' expected: '('".to_owned()),
        ("a in (", "found '', expected: ',', ')' or identifier".to_owned()),
        ("a in (=)", "found '=', expected: ',', ')' or identifier".to_owned()),
        ("a in (b", "found '', expected: ',' or ')'".to_owned()),
        ("a in (b c)", "found 'c', expected: ',' or ')'".to_owned()),
        ("a in (b=)", "found '=', expected: ',' or ')'".to_owned()),
        ("a=>1", "found '>', expected: identifier".to_owned()),
        ("a=(b)", "found '(', expected: identifier".to_owned()),
        ("a=!b", "found '!', expected: identifier".to_owned()),
        ("a===b", "found '=', expected: identifier".to_owned()),
        ("a=<b", "found '<', expected: identifier".to_owned()),
        ("!", "found '', expected: identifier".to_owned()),
        ("a b", format!("found 'b', {OPERATORS}")),
        ("a\0b", format!("found 'b', {OPERATORS}")),
        ("a!b", format!("found '!', {OPERATORS}")),
        ("a !", format!("found '!', {OPERATORS}")),
        ("a gt 1", format!("found 'gt', {OPERATORS}")),
        ("a()", format!("found '(', {OPERATORS}")),
        ("a > x", "values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer".to_owned()),
        ("a=x/y", format!("values[0][a]: Invalid value: \"x/y\": {VALUE_HINT}")),
        ("a=-x", format!("values[0][a]: Invalid value: \"-x\": {VALUE_HINT}")),
        ("a=é", format!("values[0][a]: Invalid value: \"é\": {VALUE_HINT}")),
        ("é=a", format!("<nil>: Invalid value: \"é\": name part {KEY_HINT}")),
        ("/a=b", "<nil>: Invalid value: \"/a\": prefix part must be non-empty".to_owned()),
        ("a/=b", format!("<nil>: Invalid value: \"a/\": name part must be non-empty; name part {KEY_HINT}")),
        ("a/b/c=d", format!("<nil>: Invalid value: \"a/b/c\": a valid label key {KEY_HINT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")),
        ("A.b/c=d", format!("<nil>: Invalid value: \"A.b/c\": {PREFIX_HINT}")),
        (&format!("a={long}"), format!("values[0][a]: Invalid value: \"{long}\": must be no more than 63 bytes")),
        (&format!("{long}=b"), format!("<nil>: Invalid value: \"{long}\": name part must be no more than 63 bytes")),
        (
            &format!("a in (b,{long},c/d)"),
            format!("[values[1][a]: Invalid value: \"c/d\": {VALUE_HINT}, values[2][a]: Invalid value: \"{long}\": must be no more than 63 bytes]"),
        ),
    ] {
        assert_eq!(refusal(selector), in_requirement(&why), "{selector:?}");
    }
}

fn fields(selector: &str) -> FieldSelector {
    FieldSelector::parse(selector, FieldLabels::Metadata).expect(selector)
}

#[test]
fn fields_are_selected() {
    let value = |field: &str| {
        Cow::Borrowed(match field {
            "metadata.name" => "a",
            "metadata.namespace" => "default",
            _ => "",
        })
    };
    for (selector, selected) in [
        ("", true),
        (",", true),
        ("=", true),
        ("!=", true),
        ("metadata.name=a", true),
        ("metadata.name==a", true),
        ("metadata.name!=a", false),
        ("metadata.name=", false),
        (",metadata.name=a,", true),
        ("metadata.name=a,metadata.namespace!=x", true),
        ("metadata.name=b,metadata.namespace!=x", false),
        ("metadata.name=a\\=b", false),
    ] {
        assert_eq!(fields(selector).matches(value), selected, "{selector:?}");
    }
    let escaped = |_: &str| Cow::Borrowed("a,=b");
    assert!(fields("metadata.name=a\\,\\=b").matches(escaped));
    assert!(fields(",").is_everything());
}

#[test]
fn a_bad_field_selector_is_refused_in_the_servers_words() {
    let unknown = |field: &str| {
        format!(
            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    };
    for (selector, message) in [
        ("metadata.uid=a", unknown("metadata.uid")),
        ("=a", unknown("")),
        ("b=1,a=2", unknown("a")),
        ("metadata.name =a", unknown("metadata.name ")),
        (
            "foo",
            "invalid selector: 'foo'; can't understand 'foo'".to_owned(),
        ),
        (
            "metadata.name=a,x\\,",
            "invalid selector: 'metadata.name=a,x\\,'; can't understand 'x\\,'".to_owned(),
        ),
        (
            "metadata.uid=a,x",
            "invalid selector: 'metadata.uid=a,x'; can't understand 'x'".to_owned(),
        ),
        (
            "metadata.name=a=b",
            "invalid field selector: unescaped character in value: 61".to_owned(),
        ),
        (
            "metadata.name=a\\b",
            "invalid field selector: invalid escape sequence: \\b".to_owned(),
        ),
        (
            "metadata.name=a\\",
            "invalid field selector: invalid escape sequence: \\".to_owned(),
        ),
    ] {
        let status = FieldSelector::parse(selector, FieldLabels::Metadata).expect_err(selector);
        assert_eq!(status.message(), message, "{selector:?}");
        assert_eq!(status.code().as_u16(), 400);
    }
    let listed = ["metadata.name".to_owned(), "status.phase".to_owned()];
    let parse = |text| FieldSelector::parse(text, FieldLabels::Listed(&listed));
    assert!(parse("status.phase=Active").is_ok());
    let status = parse("metadata.namespace=x").expect_err("not listed");
    assert_eq!(
        status.message(),
        "field label not supported: metadata.namespace"
    );
}

proptest! {
    #[test]
    fn no_selector_panics(text in "[ a-c=!(),<>\\\\\u{0}in/é.-]{0,24}") {
        let _ = LabelSelector::parse(&text);
        let _ = FieldSelector::parse(&text, FieldLabels::Metadata);
    }

    #[test]
    fn a_selector_and_its_negation_part_the_objects(
        key in "[a-c]", value in "[a-c]{0,2}", held in proptest::option::of("[a-c]{0,2}"),
    ) {
        let labels: Vec<(String, String)> =
            held.into_iter().map(|held| ("a".to_owned(), held)).collect();
        for (one, other) in [
            (format!("{key}={value}"), format!("{key}!={value}")),
            (format!("{key} in ({value},x)"), format!("{key} notin (x,{value})")),
            (key.clone(), format!("!{key}")),
        ] {
            let one = LabelSelector::parse(&one).expect("well formed");
            let other = LabelSelector::parse(&other).expect("well formed");
            prop_assert_ne!(one.matches(labels.as_slice()), other.matches(labels.as_slice()));
        }
    }
}
