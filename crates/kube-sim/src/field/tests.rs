use super::*;

#[test]
fn a_path_reads_as_the_server_writes_it() {
    let metadata = Path::Root("metadata");
    let owners = metadata.child("ownerReferences");
    let first = owners.index(0);
    assert_eq!(
        first.child("uid").to_string(),
        "metadata.ownerReferences[0].uid"
    );
    let labels = metadata.child("labels");
    assert_eq!(labels.key("a/b").to_string(), "metadata.labels[a/b]");
    assert_eq!(Path::Nil.to_string(), "<nil>");
    assert_eq!(Path::Nil.child("values").to_string(), "values");
}

#[test]
fn strings_are_quoted_as_go_does() {
    for (text, expected) in [
        ("plain", r#""plain""#),
        ("it's \"so\"\\", r#""it's \"so\"\\""#),
        ("a\nb\x01\x7f", r#""a\nb\x01\x7f""#),
        ("é\u{200b}", r#""é\u200b""#),
    ] {
        assert_eq!(quote(text), expected);
    }
}

#[test]
fn numbers_are_shown_as_go_does() {
    for (value, expected) in [
        (json!(1.5), "1.5"),
        (json!(3), "3"),
        (json!(1.0), "1"),
        (json!(1e21), "1e+21"),
        (json!(0.00001), "1e-05"),
        (json!(-0.001), "-0.001"),
        (json!({"b": "<", "a": 1}), "{\"a\":1,\"b\":\"\\u003c\"}"),
    ] {
        assert_eq!(show(&value), expected);
    }
}

#[test]
fn a_summary_says_each_thing_once() {
    let one = FieldError::required("spec.x", "");
    let other = FieldError::duplicate("spec.y", 1);
    assert_eq!(
        FieldError::summary(std::slice::from_ref(&one)),
        "spec.x: Required value"
    );
    assert_eq!(
        FieldError::summary(&[one.clone(), one.clone()]),
        "spec.x: Required value"
    );
    assert_eq!(
        FieldError::summary(&[one, other]),
        "[spec.x: Required value, spec.y: Duplicate value: 1]"
    );
}
