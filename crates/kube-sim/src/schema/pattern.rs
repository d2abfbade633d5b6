//! Regular expressions: the syntax of Go's `regexp` on the engine of this language.
//!
//! Both are of the same family. Where Go means ASCII and this engine Unicode (`\d`, `\s`, `\w`,
//! `\b`), the pattern is rewritten.

use regex::Regex;

/// # Errors
///
/// What is wrong with the pattern, not in Go's words.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let rewritten = rewrite(pattern);
    Regex::new(&rewritten).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

fn rewrite(pattern: &str) -> String {
    let mut rewritten = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next();
                let class = match escaped {
                    Some('d') => Some("0-9"),
                    Some('s') => Some("\\t\\n\\f\\r "),
                    Some('w') => Some("0-9A-Za-z_"),
                    _ => None,
                };
                match (class, escaped) {
                    (Some(class), _) if in_class => rewritten.push_str(class),
                    (Some(class), _) => {
                        rewritten.push('[');
                        rewritten.push_str(class);
                        rewritten.push(']');
                    }
                    (None, Some('D')) if !in_class => rewritten.push_str("[^0-9]"),
                    (None, Some('S')) if !in_class => rewritten.push_str("[^\\t\\n\\f\\r ]"),
                    (None, Some('W')) if !in_class => rewritten.push_str("[^0-9A-Za-z_]"),
                    (None, Some('b')) => rewritten.push_str("(?-u:\\b)"),
                    (None, escaped) => {
                        rewritten.push('\\');
                        rewritten.extend(escaped);
                    }
                }
            }
            // Within a class, this engine knows operators that Go takes literally.
            '[' if in_class && chars.as_str().starts_with(':') => {
                // A class by name, such as `[:alpha:]`, within a class.
                rewritten.push(c);
                for inner in chars.by_ref() {
                    rewritten.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' if in_class => rewritten.push_str("\\["),
            '&' | '~' if in_class => {
                rewritten.push('\\');
                rewritten.push(c);
            }
            '[' => {
                in_class = true;
                rewritten.push(c);
                // A bracket that comes first in a class is a character.
                let rest = chars.as_str();
                let rest = rest.strip_prefix('^').unwrap_or(rest);
                if rest.len() < chars.as_str().len() {
                    rewritten.push('^');
                    chars.next();
                }
                if rest.starts_with(']') {
                    rewritten.push_str("\\]");
                    chars.next();
                }
            }
            ']' => {
                in_class = false;
                rewritten.push(c);
            }
            _ => rewritten.push(c),
        }
    }
    rewritten
}
