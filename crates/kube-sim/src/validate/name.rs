//! The formats of names: DNS labels and subdomains, path segments, label keys and label values.
//!
//! Each function lists what is wrong with a value, in the server's words. A good value costs no
//! allocation: lists and watches come through here.

const DNS_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS_SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS_1035_LABEL: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_KEY_HINT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
    regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_HINT: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

/// A label of RFC 1123: lower case, digits, `-`; at most 63 bytes.
pub(crate) fn dns_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX, "characters");
    if is_dns_label(value) {
        return errors;
    }
    if is_dns_subdomain(value) {
        errors.push("must not contain dots".to_owned());
    } else {
        errors.push(format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '{DNS_LABEL}')"
        ));
    }
    errors
}

/// Labels of RFC 1123 with dots in between; at most 253 bytes.
pub(crate) fn dns_subdomain(value: &str) -> Vec<String> {
    subdomain(value, "characters")
}

fn subdomain(value: &str, unit: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX, unit);
    if !is_dns_subdomain(value) {
        errors.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is '{DNS_SUBDOMAIN}')"
        ));
    }
    errors
}

/// A label of RFC 1035: as in RFC 1123, but a letter comes first.
pub(crate) fn dns_1035_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX, "characters");
    let starts_well = value.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts_well || !is_dns_label(value) {
        errors.push(format!(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123', regex used for validation is '{DNS_1035_LABEL}')"
        ));
    }
    errors
}

/// Anything that can stand in the path of a URL.
pub(crate) fn path_segment(value: &str) -> Vec<String> {
    match value {
        "." | ".." => vec![format!("may not be '{value}'")],
        _ => path_segment_prefix(value),
    }
}

/// Anything that can begin a path segment.
pub(crate) fn path_segment_prefix(value: &str) -> Vec<String> {
    ['/', '%']
        .into_iter()
        .filter(|c| value.contains(*c))
        .map(|c| format!("may not contain '{c}'"))
        .collect()
}

/// The key of a label, also known as a qualified name: `name` or `prefix/name`.
pub(crate) fn label_key(key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, rest)) if rest.contains('/') => {
            return vec![format!(
                "a valid label key {LABEL_KEY_HINT} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            errors.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            let wrong = subdomain(prefix, "bytes").into_iter();
            errors.extend(wrong.map(|error| format!("prefix part {error}")));
            name
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    }
    errors.extend(
        too_long(name, LABEL_MAX, "bytes")
            .into_iter()
            .map(|error| format!("name part {error}")),
    );
    if !is_label_text(name) {
        errors.push(format!("name part {LABEL_KEY_HINT}"));
    }
    errors
}

/// The value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX, "bytes");
    if !value.is_empty() && !is_label_text(value) {
        errors.push(LABEL_VALUE_HINT.to_owned());
    }
    errors
}

/// The server counts bytes everywhere, and calls them characters where a name is meant.
fn too_long(value: &str, max: usize, unit: &str) -> Vec<String> {
    if value.len() > max {
        vec![format!("must be no more than {max} {unit}")]
    } else {
        Vec::new()
    }
}

/// A key of a `ConfigMap` or a `Secret`, which may become a file.
pub(crate) fn config_key(key: &str) -> Vec<String> {
    let mut errors = too_long(key, SUBDOMAIN_MAX, "characters");
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if key.is_empty() || !key.bytes().all(is_good) {
        errors.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
             'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match key {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

fn is_dns_subdomain(value: &str) -> bool {
    value.split('.').all(is_dns_label)
}

fn is_dns_label(value: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = value.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
}

/// What a label's value, and the name part of its key, are made of.
fn is_label_text(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
