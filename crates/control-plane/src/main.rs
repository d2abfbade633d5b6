//! Runs a control plane until standard input ends, after printing where it is: one line each,
//! a name and a value. The tests of this crate end it in every way there is.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use control_plane::{Component, ControlPlane};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut source = error.source();
            eprintln!("error: {error}");
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let control_plane = ControlPlane::start()?;
    let mut output = io::stdout().lock();
    writeln!(output, "url {}", control_plane.url())?;
    writeln!(
        output,
        "kubeconfig {}",
        control_plane.kubeconfig_path().display()
    )?;
    writeln!(output, "folder {}", control_plane.folder().display())?;
    for component in Component::ALL {
        if let Some(pid) = control_plane.pid(component) {
            writeln!(output, "{component} {pid}")?;
        }
    }
    for pid in control_plane.pids() {
        writeln!(output, "pid {pid}")?;
    }
    writeln!(output, "ready")?;
    output.flush()?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}
