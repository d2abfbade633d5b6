use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn duplicates_are_told_and_the_last_one_counts() {
    let text = br#"{"a":1,"b":[{"c":1,"c":2,"c":3}],"a":{"d":1,"d":2}}"#;
    let read = parse(text).expect("JSON");
    assert_eq!(read.value, json!({"a": {"d": 2}, "b": [{"c": 3}]}));
    assert_eq!(read.duplicates, ["b[0].c", "a.d", "a"]);
}

#[test]
fn numbers_are_kept_as_the_server_keeps_them() {
    let read = |text: &str| parse(text.as_bytes()).expect(text).value;
    assert_eq!(read("1.0"), json!(1));
    assert_eq!(read("-1e3"), json!(-1000));
    assert_eq!(read("1.5"), json!(1.5));
    assert_eq!(read("9223372036854775807"), json!(i64::MAX));
    assert!(read("9223372036854775808").is_f64());
}

#[test]
fn what_is_no_json_is_refused_in_the_words_of_go() {
    for (text, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("[", "unexpected end of JSON input"),
        ("\"a", "unexpected end of JSON input"),
        ("1.", "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{}x", "invalid character 'x' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        (
            "{a",
            "invalid character 'a' looking for beginning of object key string",
        ),
        (
            "{'",
            "invalid character '\\'' looking for beginning of object key string",
        ),
        (
            "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string",
        ),
        ("{\"a\"1", "invalid character '1' after object key"),
        (
            "{\"a\":1 \"",
            "invalid character '\"' after object key:value pair",
        ),
        ("[1 2", "invalid character '2' after array element"),
        (
            "[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        ("\"\n\"", "invalid character '\\n' in string literal"),
        ("\"\\x", "invalid character 'x' in string escape code"),
        (
            "\"\\u00g",
            "invalid character 'g' in \\u hexadecimal character escape",
        ),
        ("-x", "invalid character 'x' in numeric literal"),
        (
            "1.x",
            "invalid character 'x' after decimal point in numeric literal",
        ),
        (
            "1e+x",
            "invalid character 'x' in exponent of numeric literal",
        ),
        (
            "tru3",
            "invalid character '3' in literal true (expecting 'e')",
        ),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(message.to_owned()), "{text:?}");
    }
}

#[test]
fn what_is_read_again_is_as_it_was() {
    for text in [
        r#"{"$serde_json::private::RawValue":"no JSON"}"#,
        r#"{"$serde_json::private::Number":"1"}"#,
        "[1.0,-0.0,997.8853406066951,1e17,18446744073709551615,-9223372036854775808]",
    ] {
        let value = read(text.as_bytes()).expect(text);
        assert_eq!(value.to_string().replace("1e+17", "1e17"), text);
    }
}

#[test]
fn only_so_many_fields_are_told_that_are_there_twice() {
    let long = "k".repeat(400_000);
    let twice = r#""a":1,"b":1,"c":1,"a":1,"b":1,"c":1"#;
    let text = format!(r#"{{"{long}":{{{twice}}}}}"#);
    let duplicates = parse(text.as_bytes()).expect("JSON").duplicates;
    assert_eq!(duplicates, [format!("{long}.a"), format!("{long}.b")]);
    let many: Vec<String> = (0..300)
        .map(|key| format!(r#""{key}":1,"{key}":1"#))
        .collect();
    let text = format!("{{{}}}", many.join(","));
    assert_eq!(parse(text.as_bytes()).expect("JSON").duplicates.len(), 100);
}

proptest! {
    #[test]
    fn go_finds_no_fault_where_there_is_none(text in "[\\[\\]{}\",:0-2.eE+a-u\\\\ -]{0,20}") {
        prop_assert_eq!(syntax::error(text.as_bytes()).is_none(), parse(text.as_bytes()).is_ok());
    }
}
