//! What a command said, without what differs from run to run.

use std::{fmt, process::Command};

/// The output of a command, comparable.
#[derive(PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) status: Option<i32>,
    text: String,
    errors: String,
}

impl Output {
    /// Runs the command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().expect("a shell");
        Self {
            status: output.status.code(),
            text: comparable(&String::from_utf8_lossy(&output.stdout)),
            errors: comparable(&without_log(&String::from_utf8_lossy(&output.stderr))),
        }
    }
}

impl Output {
    /// The lines that only one of them has: those of this one with a minus, those of the other one
    /// with a plus.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let (mine, others) = (format!("{self:?}"), format!("{other:?}"));
        let only = |lines: &str, others: &str, sign: &str| -> String {
            let known: Vec<&str> = others.lines().collect();
            let only = lines.lines().filter(|line| !known.contains(line));
            only.flat_map(|line| ["  ", sign, line, "\n"]).collect()
        };
        match only(&mine, &others, "-") + &only(&others, &mine, "+") {
            same if same.is_empty() => format!("  -{mine}\n  +{others}"),
            different => different,
        }
    }
}

/// As it is on a terminal.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {:?}\n{}{}", self.status, self.text, self.errors)
    }
}

/// Takes away what `kubectl` logs, such as `E0102 03:04:05.678901 …`: what it waited for, and for
/// how long, depends on the machine.
fn without_log(errors: &str) -> String {
    let is_logged = |line: &&str| {
        let (level, rest) = line.split_at_checked(1).unwrap_or_default();
        let date = rest.split(' ').next().unwrap_or_default();
        "IWEF".contains(level)
            && date.len() == 4
            && date.chars().all(|digit| digit.is_ascii_digit())
    };
    let lines = errors.lines().filter(|line| !is_logged(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Puts names in the place of UIDs, times, ages, versions and addresses, and single spaces where
/// columns were padded.
pub(crate) fn comparable(text: &str) -> String {
    text.lines()
        .map(|line| comparable_line(line) + "\n")
        .collect()
}

fn comparable_line(line: &str) -> String {
    let content = line.trim_start();
    let mut comparable = line[..line.len() - content.len()].to_owned();
    let words: Vec<&str> = content.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            comparable.push(' ');
        }
        let before = words[..at].join(" ").to_lowercase();
        comparable.push_str(&comparable_word(word, &before));
    }
    comparable
}

fn comparable_word(word: &str, before: &str) -> String {
    let core = word.trim_matches(|character: char| "\"',;()".contains(character));
    let is_version = [
        "resourceversion:",
        "\"resourceversion\":",
        "resource version:",
    ]
    .iter()
    .any(|key| before.ends_with(key));
    let name = match core {
        "" => return word.to_owned(),
        _ if is_version => "VERSION",
        _ if is_uid(core) => "UID",
        _ if is_time(core) => "TIME",
        _ if is_age(core) => "AGE",
        _ if core.starts_with("https://127.0.0.1:") || core.starts_with("http://127.0.0.1:") => {
            "SERVER"
        }
        _ => return word.to_owned(),
    };
    word.replace(core, name)
}

/// `f2b1c5de-3d1e-4c47-9d2f-0c7a1c3e8f55`.
fn is_uid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && word
            .chars()
            .all(|character| character == '-' || character.is_ascii_hexdigit())
}

/// `2026-01-01T00:00:00Z`.
fn is_time(word: &str) -> bool {
    let shape: String = word
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    shape == "0000-00-00T00:00:00Z"
}

/// `5s`, `3m20s`, `1y2d`.
fn is_age(word: &str) -> bool {
    let units: String = word
        .chars()
        .filter(|character| !character.is_ascii_digit())
        .collect();
    word.starts_with(|first: char| first.is_ascii_digit())
        && ["s", "m", "ms", "h", "hm", "d", "dh", "y", "yd"].contains(&units.as_str())
}
