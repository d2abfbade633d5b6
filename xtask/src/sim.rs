//! `cargo xtask sim`: the whole controller on an in-memory API, schedule after schedule.

use std::{ffi::OsString, fs, process::ExitCode};

use crate::{
    Result,
    cargo::{cargo, workspace},
    exit_code,
};

/// Where a run keeps its progress, in the target folder.
const PROGRESS: &str = "simulation/progress";

/// Runs the simulation, optimised, with its own arguments.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || workspace().join("target"),
        |folder| workspace().join(folder),
    );
    let progress = target.join(PROGRESS);
    if let Some(folder) = progress.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut command = cargo();
    command.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "simulation",
        "--",
    ]);
    if !arguments.iter().any(|argument| argument == "--seed") {
        command.arg("--progress").arg(progress);
    }
    Ok(exit_code(command.args(arguments).status()?))
}
