//! `cargo xtask sim`: the whole controller on an in-memory API, schedule after schedule.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

use crate::{
    Result,
    cargo::{cargo, workspace},
    exit_code,
};

/// Where runs keep their progress, in the target folder.
const PROGRESS: &str = "simulation";

/// Runs the simulation, optimised, with its own arguments.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || workspace().join("target"),
        |folder| workspace().join(folder),
    );
    let mut command = simulation();
    if !arguments.iter().any(is_seed) {
        command.arg("--progress").arg(target.join(PROGRESS));
    }
    Ok(exit_code(command.args(arguments).status()?))
}

/// Runs the simulation for the tests, which take no part in the progress of a long run.
pub(crate) fn test(arguments: &[&str]) -> Result<bool> {
    Ok(simulation().args(arguments).status()?.success())
}

fn simulation() -> Command {
    let mut command = cargo();
    command.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "simulation",
        "--",
    ]);
    command
}

/// `--seed 7` or `--seed=7`, which replays one and keeps nothing.
fn is_seed(argument: impl AsRef<OsStr>) -> bool {
    let argument = argument.as_ref().to_string_lossy();
    argument == "--seed" || argument.starts_with("--seed=")
}
