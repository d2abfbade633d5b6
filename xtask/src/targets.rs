//! `cargo xtask bench` and `cargo xtask soak`: what is too long for the test command.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::ExitCode,
};

use control_plane::Assets;

use crate::{
    Result,
    cargo::{cargo, cargo_with, workspace},
    exit_code,
};

/// The package whose test target `soak` holds the soaks, one test each.
const SOAKS: [&str; 4] = ["--package", "kubectl-cascade", "--test", "soak"];

/// Runs a benchmark: a file, or a folder with a `main.rs`, in the `benches` of any package.
pub(crate) fn bench(name: Option<&str>, arguments: &[OsString]) -> Result<ExitCode> {
    let benches = benches()?;
    let found = benches
        .iter()
        .find(|bench| Some(bench.name.as_str()) == name);
    let Some(bench) = found else {
        return Err(unknown(
            "benchmark",
            name,
            benches.iter().map(|bench| bench.name.as_str()),
        ));
    };
    let mut command = cargo_with(&Assets::find_or_build()?);
    command.args(["bench", "--package", &bench.package, "--bench", &bench.name]);
    Ok(exit_code(command.arg("--").args(arguments).status()?))
}

/// Runs a soak; dashes in its name stand for underscores.
pub(crate) fn soak(name: Option<&str>, arguments: &[OsString]) -> Result<ExitCode> {
    let soaks = soaks()?;
    let wanted = name.map(|name| name.replace('-', "_"));
    let found = soaks
        .iter()
        .find(|soak| wanted.as_deref() == Some(last_part(soak)));
    let Some(soak) = found else {
        return Err(unknown(
            "soak",
            name,
            soaks.iter().map(|soak| last_part(soak)),
        ));
    };
    let mut command = cargo_with(&Assets::find_or_build()?);
    command
        .arg("test")
        .args(SOAKS)
        .args(["--", "--exact", soak, "--nocapture"]);
    Ok(exit_code(command.args(arguments).status()?))
}

struct Bench {
    package: String,
    name: String,
}

fn benches() -> Result<Vec<Bench>> {
    let mut benches = Vec::new();
    for package in fs::read_dir(workspace().join("crates"))? {
        let package = package?.path();
        for target in fs::read_dir(package.join("benches")).into_iter().flatten() {
            let target = target?.path();
            if target.extension() == Some(OsStr::new("rs")) || target.join("main.rs").is_file() {
                benches.push(Bench {
                    package: part(package.file_name()),
                    name: part(target.file_stem()),
                });
            }
        }
    }
    benches.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(benches)
}

/// The full names of the tests in the target `soak`.
fn soaks() -> Result<Vec<String>> {
    let mut command = cargo();
    command
        .args(["test", "--quiet"])
        .args(SOAKS)
        .args(["--", "--list", "--format=terse"]);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the soaks do not build".into());
    }
    let listing = String::from_utf8(output.stdout)?;
    Ok(listing
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect())
}

fn last_part(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

fn part(name: Option<&OsStr>) -> String {
    Path::new(name.unwrap_or_default()).display().to_string()
}

fn unknown<'a>(
    what: &str,
    name: Option<&str>,
    there_are: impl Iterator<Item = &'a str>,
) -> Box<dyn std::error::Error> {
    let there_are: Vec<_> = there_are.collect();
    let there_are = match there_are.as_slice() {
        [] => format!("there is no {what} yet"),
        names => format!("there is: {}", names.join(", ")),
    };
    match name {
        Some(name) => format!("there is no {what} \"{name}\"; {there_are}").into(),
        None => format!("which {what}? {there_are}").into(),
    }
}
