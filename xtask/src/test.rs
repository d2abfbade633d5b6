//! `cargo xtask test`: every test of the workspace, counted.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use control_plane::Assets;

use crate::{
    Result,
    cargo::{cargo, cargo_with},
    sim,
};

mod tally;

use tally::Tally;

/// What is simulated besides: as many schedules as a minute holds; how many is printed.
const SIMULATED: [&str; 3] = ["--schedules=1000000", "--seconds=60", "--fail-fast"];

/// What `cargo test` runs by default, and what it leaves out because it needs a control plane.
const RUNS: [&[&str]; 2] = [
    &["--workspace"],
    &["--workspace", "--test", "real", "--test", "kubectl"],
];

pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let assets = Assets::find_or_build()?;
    // Before the first test, so that a run either happens or does not build.
    for selection in RUNS {
        let status = cargo()
            .args(["test", "--no-run"])
            .args(selection)
            .status()?;
        if !status.success() {
            return Err("the tests do not build".into());
        }
    }
    let started = Instant::now();
    let mut tally = Tally::default();
    for selection in RUNS {
        let mut command = cargo_with(&assets);
        command
            .args(["test", "--no-fail-fast"])
            .args(selection)
            .arg("--")
            .args(arguments);
        count(&mut command, &mut tally)?;
    }
    let seconds = started.elapsed().as_secs();
    // Arguments choose among the tests, and no schedule has a name.
    let what = if arguments.is_empty() {
        tally.simulated(sim::test(&SIMULATED)?);
        "all tests of the workspace"
    } else {
        "the tests that were chosen, and no simulation"
    };
    println!("\n{what}, {seconds} s\n{tally}");
    Ok(if tally.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs it, passes its output on and counts its results.
fn count(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = io::stdout().lock();
    let lines = BufReader::new(child.stdout.take().expect("it was asked for"));
    for line in lines.split(b'\n') {
        let mut line = line?;
        tally.line(&String::from_utf8_lossy(&line));
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()?;
    }
    tally.end(child.wait()?.success());
    Ok(())
}
