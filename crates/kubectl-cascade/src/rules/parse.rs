//! From a path to rules: files, folders and the documents in them.
//!
//! Owns which files are read. What a document says is for `schema`.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    check, node,
    problem::{Place, Problems, RulesError},
    rule::RuleSet,
    schema::{self, Draft},
};

/// The largest file that is read, in bytes. A rule takes about 1 kB, and the same document as an
/// object in a cluster could not be larger either (etcd's default limit is 1.5 MiB).
const MAX_FILE: u64 = 1 << 20;

/// The endings that make a file in a folder one of rules.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads the rules of one file, or of all files in a folder.
///
/// Of a folder, `*.yaml`, `*.yml` and `*.json` are read, but neither what is in folders within
/// it nor what has a name that begins with a dot (a mounted `ConfigMap` keeps its earlier
/// versions there).
///
/// # Errors
///
/// [`RulesError`] with everything that is wrong, in all files.
pub fn load(path: &Path) -> Result<RuleSet, RulesError> {
    let mut problems = Problems::default();
    let mut drafts = Vec::new();
    for file in files(path, &mut problems) {
        let place = Place::source(&file.display().to_string());
        match read(&file) {
            Ok(text) => drafts.extend(documents(&text, &place, &mut problems)),
            Err(error) => problems.add(
                &place,
                format!("a file that cannot be read: {error}"),
                "a readable file of UTF-8 text, at most 1 MiB",
                if file == path && error.kind() == io::ErrorKind::NotFound {
                    "correct the path; /dev/stdin is standard input"
                } else {
                    "make it readable, or move it away"
                },
            ),
        }
    }
    finish(
        drafts,
        &Place::source(&path.display().to_string()),
        problems,
    )
}

/// Reads the rules in a text; `source` is what its problems are said to be in.
///
/// # Errors
///
/// [`RulesError`] with everything that is wrong.
pub fn parse(source: &str, text: &str) -> Result<RuleSet, RulesError> {
    let mut problems = Problems::default();
    let place = Place::source(source);
    let drafts = documents(text, &place, &mut problems);
    finish(drafts, &place, problems)
}

fn finish(
    drafts: Vec<Draft>,
    place: &Place,
    mut problems: Problems,
) -> Result<RuleSet, RulesError> {
    check::all(&drafts, &mut problems);
    if drafts.is_empty() && problems.is_empty() {
        problems.add(
            place,
            "no rule",
            "at least one ClusterCascadeRule in a file, or in a folder's *.yaml, *.yml and *.json",
            "name the file or folder that holds the rules",
        );
    }
    problems.into_result()?;
    let rules = drafts.into_iter().map(Draft::into_rule);
    let mut rules: Vec<_> = rules
        .collect::<Option<_>>()
        .expect("what is missing from a draft has been reported as a problem");
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(RuleSet(rules))
}

fn documents(text: &str, place: &Place, problems: &mut Problems) -> Vec<Draft> {
    // Some editors begin a file with a byte order mark, which would shift every place.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match node::documents(text) {
        Ok(documents) => documents
            .iter()
            .filter_map(|document| schema::read(document, text, place, problems))
            .collect(),
        Err(error) => {
            let place = error
                .line
                .map_or_else(|| place.clone(), |line| place.at_line(line));
            problems.add(
                &place,
                error.why,
                "YAML or JSON",
                "correct the text; nothing in this file was read",
            );
            Vec::new()
        }
    }
}

/// The files that a path stands for, in the order of their names.
fn files(path: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    // Anything but a folder is read as it is, `/dev/stdin` included.
    if !path.is_dir() {
        return vec![path.into()];
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.unwrap_or_else(|error| {
        problems.add(
            &Place::source(&path.display().to_string()),
            format!("a folder that cannot be listed: {error}"),
            "a readable file or folder",
            "make it readable, or name another",
        );
        Vec::new()
    });
    let mut files: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path())
        // A folder is skipped; a link to nowhere is not, since a rule may be missing with it.
        .filter(|path| is_named_like_rules(path) && !path.is_dir())
        .collect();
    files.sort();
    files
}

fn is_named_like_rules(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && path
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no UTF-8 text"))
}
