//! The part of Kubernetes' `JSONPath` that printer columns use.
//!
//! Fields, indices, `[*]` and filters; no recursion, no ranges, no unions, and in filters only a
//! comparison with a literal or the question whether something is there. What is not here does
//! not parse: whoever defines such a column must be refused.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A path such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter(JsonPath, Condition),
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Exists,
    Compares(Comparison, Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer ones first: `<=` is not `<` and something that begins with `=`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl JsonPath {
    /// Parses it; `None` when it is wrong, or uses what is not supported.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let path = steps(&mut rest, "")?;
        rest.is_empty().then_some(path)
    }

    /// Everything that the path leads to, in order; `None` when the object is not of the form that
    /// the path takes for granted, such as a list that is too short.
    pub(crate) fn find<'a>(&self, object: &'a Value) -> Option<Vec<&'a Value>> {
        let mut found = vec![object];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                step.take(value, &mut next)?;
            }
            found = next;
        }
        Some(found)
    }
}

impl Step {
    fn take<'a>(&self, value: &'a Value, found: &mut Vec<&'a Value>) -> Option<()> {
        match (self, value) {
            (Self::Field(name), Value::Object(object)) => found.extend(object.get(name)),
            (Self::All, Value::Array(list)) => found.extend(list),
            (Self::All, Value::Object(object)) => found.extend(object.values()),
            (Self::Index(index), Value::Array(list)) => {
                let length = i64::try_from(list.len()).ok()?;
                let index = if *index < 0 { index + length } else { *index };
                found.push(list.get(usize::try_from(index).ok()?)?);
            }
            (Self::Filter(path, condition), Value::Array(list)) => {
                for item in list {
                    if condition.holds(path, item)? {
                        found.push(item);
                    }
                }
            }
            (Self::Field(_) | Self::All, _) | (Self::Index(_), Value::Null) => {}
            (Self::Index(_) | Self::Filter(..), _) => return None,
        }
        Some(())
    }
}

impl Condition {
    fn holds(&self, path: &JsonPath, item: &Value) -> Option<bool> {
        let found = path.find(item);
        match self {
            Self::Exists => Some(found.is_some_and(|found| !found.is_empty())),
            Self::Compares(comparison, literal) => match *found? {
                [] => Some(false),
                [value] => comparison.compare(value, literal),
                _ => None,
            },
        }
    }
}

impl Comparison {
    /// `None` for two values of different types: they do not compare.
    fn compare(self, value: &Value, literal: &Value) -> Option<bool> {
        let ordering = match (value, literal) {
            (Value::String(value), Value::String(literal)) => value.cmp(literal),
            (Value::Number(value), Value::Number(literal)) => compare_numbers(value, literal)?,
            (Value::Bool(value), Value::Bool(literal)) => {
                return match self {
                    Self::Equal => Some(value == literal),
                    Self::NotEqual => Some(value != literal),
                    _ => None,
                };
            }
            _ => return None,
        };
        Some(match self {
            Self::Equal => ordering == Ordering::Equal,
            Self::NotEqual => ordering != Ordering::Equal,
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
        })
    }
}

/// Integers do not compare with fractions, as they are of another type to the server.
fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        _ => None,
    }
}

/// Steps up to the end, or to a character out of `ends` where a step could begin.
fn steps(rest: &mut &str, ends: &str) -> Option<JsonPath> {
    let mut path = Vec::new();
    loop {
        if rest.starts_with(|character| ends.contains(character)) {
            break;
        }
        if let Some(after) = rest.strip_prefix('[') {
            *rest = after;
            path.push(bracket(rest)?);
            continue;
        }
        let Some(after) = rest.strip_prefix('.') else {
            break;
        };
        *rest = after;
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            path.push(Step::All);
        } else if !rest.is_empty() && !rest.starts_with('[') {
            path.push(Step::Field(field(rest)?));
        }
    }
    Some(JsonPath(path))
}

/// A name after a dot. A backslash takes a dot into it.
fn field(rest: &mut &str) -> Option<String> {
    let mut name = String::new();
    let mut characters = rest.char_indices();
    let end = loop {
        match characters.next() {
            None => break rest.len(),
            Some((_, '\\')) => name.push(characters.next()?.1),
            Some((_, character))
                if character.is_alphanumeric() || matches!(character, '_' | '-' | '/' | ':') =>
            {
                name.push(character);
            }
            Some((at, _)) => break at,
        }
    };
    *rest = &rest[end..];
    (!name.is_empty()).then_some(name)
}

/// What stands in brackets, with the closing one.
fn bracket(rest: &mut &str) -> Option<Step> {
    if let Some(after) = rest.strip_prefix("?(") {
        *rest = after.trim_start().strip_prefix('@')?;
        let path = steps(rest, "")?;
        let condition = condition(rest)?;
        *rest = rest.trim_start().strip_prefix(")]")?;
        return Some(Step::Filter(path, condition));
    }
    let step = if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        Step::All
    } else if let Some(name) = quoted(rest) {
        Step::Field(name)
    } else {
        let end = rest.find(']')?;
        let (index, after) = rest.split_at(end);
        *rest = after;
        Step::Index(index.parse().ok()?)
    };
    *rest = rest.strip_prefix(']')?;
    Some(step)
}

fn condition(rest: &mut &str) -> Option<Condition> {
    *rest = rest.trim_start();
    let Some((symbol, comparison)) = COMPARISONS
        .iter()
        .find(|(symbol, _)| rest.starts_with(symbol))
    else {
        return Some(Condition::Exists);
    };
    *rest = rest[symbol.len()..].trim_start();
    Some(Condition::Compares(*comparison, literal(rest)?))
}

fn literal(rest: &mut &str) -> Option<Value> {
    if let Some(text) = quoted(rest) {
        return Some(text.into());
    }
    let end = rest.find(|character: char| character == ')' || character.is_whitespace())?;
    let (word, after) = rest.split_at(end);
    *rest = after;
    match word {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => word.parse::<Number>().ok().map(Value::Number),
    }
}

/// A text in single or double quotes, without escapes.
fn quoted(rest: &mut &str) -> Option<String> {
    let quote = rest.chars().next().filter(|first| "'\"".contains(*first))?;
    let (text, after) = rest[1..].split_once(quote)?;
    if text.contains('\\') {
        return None;
    }
    *rest = after;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: impl Into<Option<Value>>) {
        let object = json!({
            "spec": {
                "tags": ["a", "b"],
                "a.b": 1,
                "on": true,
                "nothing": null,
                "items": [
                    { "type": "Ready", "status": "True", "count": 3, "on": false },
                    { "type": "Synced", "count": 2.5, "on": true },
                ],
            },
        });
        let path_parsed = JsonPath::parse(path).unwrap_or_else(|| panic!("{path}"));
        let found = path_parsed.find(&object);
        let found = found.map(|found| found.into_iter().cloned().collect::<Value>());
        assert_eq!(found, expected.into(), "{path}");
    }

    #[test]
    fn paths_lead_where_the_servers_do() {
        check(".spec.on", Some(json!([true])));
        check("$.spec.on", Some(json!([true])));
        check(".spec.nothing", Some(json!([null])));
        check(".spec.nothing.more", Some(json!([])));
        check(".spec.nothing[0]", Some(json!([])));
        check(".absent.more", Some(json!([])));
        check(".spec.on.more", Some(json!([])));
        check(r".spec.a\.b", Some(json!([1])));
        check(".spec['a.b']", Some(json!([1])));
        check(".spec[\"on\"]", Some(json!([true])));
        check(".spec.tags[*]", Some(json!(["a", "b"])));
        check(".spec.tags.*", Some(json!(["a", "b"])));
        check(".spec.tags[1]", Some(json!(["b"])));
        check(".spec.tags[-1]", Some(json!(["b"])));
        check(".spec.tags.[0]", Some(json!(["a"])));
        check(".spec.items[*].status", Some(json!(["True"])));
        check(
            r#".spec.items[?(@.type=="Ready")].status"#,
            Some(json!(["True"])),
        );
        check(".spec.items[?(@.type == 'Ready')].count", Some(json!([3])));
        check(".spec.items[?(@.type!='Ready')].count", Some(json!([2.5])));
        check(".spec.items[?(@.type>='S')].type", Some(json!(["Synced"])));
        check(".spec.items[?(@.status)].type", Some(json!(["Ready"])));
        check(".spec.items[?(@.on==true)].type", Some(json!(["Synced"])));
        check(".spec.items[?(@.absent=='x')].type", Some(json!([])));
    }

    #[test]
    fn objects_of_another_form_give_nothing_at_all() {
        check(".spec.tags[2]", None);
        check(".spec.on[0]", None);
        check(".spec.on[?(@.x=='y')]", None);
        check(".absent[?(@.x=='y')]", Some(json!([])));
        // One count is not an integer.
        check(".spec.items[?(@.count>2)]", None);
        check(".spec.items[?(@.on<true)]", None);
    }

    #[test]
    fn what_is_not_supported_does_not_parse() {
        for path in [
            "spec",
            ".spec..on",
            ".a[0:1]",
            ".a[0,1]",
            ".a['b','c']",
            ".a[",
            ".a[?(@.b==c)]",
            ".a[?(@.b==@.c)]",
            ".a[?(@.b=='c']",
            ".a{",
            ".a b",
            ".a[?(b)]",
            ".a['b\\'c']",
        ] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }
}
