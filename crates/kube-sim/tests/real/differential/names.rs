//! Names for what only one of the two servers can know: UIDs, versions, times.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::side::Reply;

/// Names for what one server alone can know, given in the order in which it is seen.
pub(super) struct Names {
    namespaces: [String; 2],
    uids: Vec<String>,
    /// The number of each version.
    versions: BTreeMap<String, usize>,
    generated: Vec<String>,
    /// How each object was last seen.
    seen: BTreeMap<String, Seen>,
}

/// A version of an object.
struct Seen {
    version: String,
    number: usize,
    content: Value,
}

impl Names {
    pub(super) fn new(namespaces: &[String; 2]) -> Self {
        Self {
            namespaces: namespaces.clone(),
            uids: Vec::new(),
            versions: BTreeMap::new(),
            generated: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// The reply in names, new ones included.
    pub(super) fn commit(&mut self, reply: &Reply) -> Value {
        self.collect(&reply.body);
        self.reply(reply, true)
    }

    /// The reply in names, without versions and without making new names.
    pub(super) fn peek(&self, reply: &Reply) -> Value {
        self.reply(reply, false)
    }

    fn reply(&self, reply: &Reply, versions: bool) -> Value {
        let mut body = self.value(&reply.body, versions, "");
        sort_causes(&mut body);
        json!({
            "code": reply.code,
            "content type": reply.content_type,
            "warnings": reply.warnings.iter().map(|warning| self.text(warning)).collect::<Vec<_>>(),
            "body": body,
        })
    }

    /// Gives names to what is new.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(object) => {
                self.learn_content(value);
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                if let (Some(uid), Some(version)) = (text("uid"), text("resourceVersion")) {
                    learn(&mut self.uids, uid);
                    self.learn_version(version, None);
                }
                if let (Some(base), Some(name)) = (text("generateName"), text("name"))
                    && name.len() == base.len() + 5
                    && name.starts_with(base)
                {
                    learn(&mut self.generated, name);
                }
                let mut keys: Vec<_> = object.keys().collect();
                keys.sort();
                for key in keys.into_iter().filter(|key| *key != "managedFields") {
                    self.collect(&object[key]);
                }
            }
            _ => {}
        }
    }

    fn learn_version(&mut self, version: &str, same_as: Option<usize>) -> usize {
        let next = self.versions.values().max().map_or(0, |last| last + 1);
        let number = self.versions.entry(version.to_owned());
        *number.or_insert(same_as.unwrap_or(next))
    }

    /// Gives a version the number of that before it, if it has the same content: what only changes
    /// who owns a field moves the version on one of the servers.
    fn learn_content(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().filter(|text| !text.is_empty());
        let is_partial = object["kind"] == "PartialObjectMetadata";
        let (Some(uid), Some(version), false) = (text("uid"), text("resourceVersion"), is_partial)
        else {
            return;
        };
        let last = self.seen.get(uid);
        // A dry run shows the version that there is with the content that there would be.
        if last.is_some_and(|last| last.version == version) {
            return;
        }
        let content = content(object);
        let same_as = last.filter(|last| last.content == content);
        let same_as = same_as.map(|last| last.number);
        let seen = Seen {
            version: version.to_owned(),
            number: self.learn_version(version, same_as),
            content,
        };
        self.seen.insert(uid.to_owned(), seen);
    }

    fn value(&self, value: &Value, versions: bool, key: &str) -> Value {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item, versions, ""))
                .collect(),
            Value::Object(object) => {
                let is_object = object.contains_key("uid");
                let fields = object.iter().filter(|(key, _)| *key != "managedFields");
                let named = fields.map(|(key, value)| {
                    let named = match (key.as_str(), value.as_str()) {
                        ("resourceVersion", Some(version)) if is_object => {
                            if versions {
                                self.version(version).into()
                            } else {
                                Value::Null
                            }
                        }
                        ("resourceVersion", Some("")) => "".into(),
                        ("resourceVersion", Some(_)) if object.len() <= 3 => "of a list".into(),
                        ("continue", Some(token)) if !token.is_empty() => "a token".into(),
                        _ => self.value(value, versions, key),
                    };
                    (key.clone(), named)
                });
                Value::Object(named.collect())
            }
            Value::String(_) if key == "marker" => "a marker".into(),
            Value::String(text) => self.text(text).into(),
            other => other.clone(),
        }
    }

    fn version(&self, version: &str) -> String {
        match self.versions.get(version) {
            Some(number) => format!("version {number}"),
            None => "a version never seen".to_owned(),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (index, namespace) in self.namespaces.iter().enumerate() {
            text = replace_whole(&text, namespace, &format!("${index}"));
        }
        for (index, name) in self.generated.iter().enumerate() {
            text = text.replace(name, &format!("<generated {index}>"));
        }
        text = without_fields(&text);
        text = self.uuids(&text);
        text = times(&text);
        for (before, after) in [
            ("in record (", ")"),
            ("in object meta: ", ""),
            ("resourceVersion:", ""),
            ("current: ", ""),
            ("in the precondition (", ")"),
            ("\"resourceVersion\":\"", "\""),
            ("\\\"resourceVersion\\\":\\\"", "\\\""),
        ] {
            text = numbers(&text, before, after);
        }
        text = unordered(&text);
        // The suffix of a generated name that was refused.
        for base in ["Gen-", "gen.", "gen-"] {
            text = without_suffix(&text, base);
        }
        text
    }

    fn uuids(&self, text: &str) -> String {
        const LENGTH: usize = 36;
        let bytes = text.as_bytes();
        let mut named = String::new();
        let mut at = 0;
        while at < text.len() {
            let window = bytes.get(at..at + LENGTH);
            if window.is_some_and(is_uuid) {
                let uid = &text[at..at + LENGTH];
                match self.uids.iter().position(|known| known == uid) {
                    Some(index) => {
                        let place = index.to_string();
                        named.extend(["<uid ", &place, ">"]);
                    }
                    // The one that sequences make up.
                    None if uid.starts_with("00000000-") => named.push_str(uid),
                    None => named.push_str("<uid never seen>"),
                }
                at += LENGTH;
            } else {
                let next = text[at..].chars().next().expect("there is more");
                named.push(next);
                at += next.len_utf8();
            }
        }
        named
    }
}

/// What of an object is more than its version and who owns its fields. Items of lists have no kind.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|key, _| !matches!(key.as_str(), "kind" | "apiVersion"));
    }
    if let Some(metadata) = content["metadata"].as_object_mut() {
        metadata.retain(|key, _| !matches!(key.as_str(), "managedFields" | "resourceVersion"));
    }
    content
}

fn learn(known: &mut Vec<String>, new: &str) {
    if !new.is_empty() && !known.iter().any(|known| known == new) {
        known.push(new.to_owned());
    }
}

fn is_uuid(window: &[u8]) -> bool {
    window.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Replaces a name, but not the beginning of a longer one.
fn replace_whole(text: &str, name: &str, by: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        replaced.push_str(&rest[..at]);
        let longer = after
            .chars()
            .next()
            .is_some_and(|next| next.is_ascii_digit());
        replaced.push_str(if longer { name } else { by });
        rest = after;
    }
    replaced + rest
}

/// Replaces what has the form of `2026-01-02T03:04:05Z`.
fn times(text: &str) -> String {
    const FORM: &[u8] = b"0000-00-00T00:00:00Z";
    let bytes = text.as_bytes();
    let fits = |at: usize| {
        let window = bytes.get(at..at + FORM.len());
        window.is_some_and(|window| {
            window.iter().zip(FORM).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
        })
    };
    let mut named = String::new();
    let mut at = 0;
    while at < text.len() {
        // What sequences make up stays.
        if fits(at) && !text[at..].starts_with("2001-") {
            named.push_str("<time>");
            at += FORM.len();
        } else {
            let next = text[at..].chars().next().expect("there is more");
            named.push(next);
            at += next.len_utf8();
        }
    }
    named
}

/// An object that is shown in an error has its fields in any order; its letters will do.
fn unordered(text: &str) -> String {
    let shown = text.find("Invalid value: \"{").zip(text.rfind("}\""));
    let Some((start, end)) = shown.filter(|(start, end)| start < end) else {
        return text.to_owned();
    };
    let mut letters: Vec<char> = text[start..end].chars().filter(|c| *c != ',').collect();
    letters.sort_unstable();
    let letters: String = letters.into_iter().collect();
    format!("{}{letters}{}", &text[..start], &text[end..])
}

/// Takes the managed fields out of an object that is shown in an error.
fn without_fields(text: &str) -> String {
    let Some(name) = text.find("managedFields") else {
        return text.to_owned();
    };
    let at = text[..name].trim_end_matches(['"', '\\']).len();
    let mut depth = 0;
    let end = text[at..].char_indices().find(|(_, character)| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => return false,
        }
        depth == 0
    });
    let end = end.map_or(text.len(), |(end, _)| at + end + 1);
    let rest = text[end..].trim_start_matches(',');
    text[..at].to_owned() + rest
}

/// Replaces the five characters that the server has appended.
fn without_suffix(text: &str, base: &str) -> String {
    let mut parts = text.split(base);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let suffix: String = part.chars().take(5).collect();
        let drawn = suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_alphanumeric());
        named.push_str(base);
        named.push_str(if drawn { &part[5..] } else { part });
    }
    named
}

/// Replaces the number after some words.
fn numbers(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push_str(before);
        let rest = part.trim_start_matches(|byte: char| byte.is_ascii_digit());
        if rest.len() < part.len() && rest.starts_with(after) {
            named.push('#');
            named.push_str(rest);
        } else {
            named.push_str(part);
        }
    }
    named
}

/// The server goes through maps in any order, and so do its complaints.
fn sort_causes(body: &mut Value) {
    let causes = body.pointer_mut("/details/causes");
    let Some(causes) = causes.and_then(Value::as_array_mut) else {
        return;
    };
    if causes.len() < 2 {
        return;
    }
    causes.sort_by_key(ToString::to_string);
    let message = body["message"].as_str().unwrap_or_default();
    let (subject, list) = message.split_once(" is invalid: ").unwrap_or((message, ""));
    let list = list.trim_start_matches('[').trim_end_matches(']');
    let mut letters: Vec<char> = list.chars().collect();
    letters.sort_unstable();
    let letters: String = letters.into_iter().collect();
    body["message"] = format!("{subject} is invalid: {letters}").into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(version: &str, deleted_at: Option<&str>) -> Reply {
        let mut metadata = json!({"name": "a", "uid": "u", "resourceVersion": version});
        if let Some(time) = deleted_at {
            metadata["deletionTimestamp"] = time.into();
        }
        Reply::bare(json!({"kind": "ConfigMap", "metadata": metadata}))
    }

    /// The versions that a created object, a deletion in a dry run and a deletion show.
    fn versions(dry_run: &str, deletion: &str) -> Vec<Value> {
        let mut names = Names::new(&["one".to_owned(), "two".to_owned()]);
        let replies = [
            reply("100", None),
            reply("100", Some(dry_run)),
            reply("120", Some(deletion)),
        ];
        let shown = replies.map(|reply| names.commit(&reply));
        shown
            .iter()
            .map(|shown| shown["body"]["metadata"]["resourceVersion"].clone())
            .collect()
    }

    #[test]
    fn a_version_has_its_number_whichever_second_a_dry_run_falls_in() {
        let expected = ["version 0", "version 0", "version 1"];
        let (first, next) = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z");
        assert_eq!(versions(first, first), expected);
        assert_eq!(versions(first, next), expected);
    }

    #[test]
    fn a_write_that_changes_no_content_has_the_number_of_the_version_before() {
        let mut names = Names::new(&["one".to_owned(), "two".to_owned()]);
        for version in ["100", "120"] {
            let shown = names.commit(&reply(version, None));
            assert_eq!(shown["body"]["metadata"]["resourceVersion"], "version 0");
        }
    }
}
