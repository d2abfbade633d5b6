//! The project's own tasks, run as `cargo xtask …`.
//!
//! Links no Kubernetes client; what it needs of the workspace it runs through Cargo.

use std::{
    error::Error,
    ffi::OsString,
    process::{ExitCode, ExitStatus},
};

use clap::{Parser, Subcommand};

mod cargo;
mod sim;
mod targets;
mod test;
mod with_cluster;

/// What a task fails with; it is only ever printed.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a command against a fresh control plane.
    ///
    /// Starts etcd, kube-apiserver and kube-controller-manager on loopback, runs the command with
    /// KUBECONFIG set (as a member of system:masters) and kubectl in its PATH, ends everything
    /// and exits with the command's status.
    #[command(after_help = "Examples:
  # List the namespaces of a fresh control plane
  cargo xtask with-cluster -- kubectl get namespaces

  # Work with one until the shell ends
  cargo xtask with-cluster -- bash")]
    WithCluster {
        /// The command and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Run every test of the workspace, also those that need a control plane.
    ///
    /// Ends with a line that counts: "N passed, N failed". A plain `cargo test` runs what needs
    /// no control plane.
    #[command(after_help = "Examples:
  # Run everything
  cargo xtask test

  # Run the tests whose names contain a word, and show what they print
  cargo xtask test -- namesake --nocapture")]
    Test {
        /// Arguments of the test binaries.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Run a benchmark, optimised.
    ///
    /// Without a name, lists what there is.
    #[command(after_help = "Examples:
  # Compare a fan-out with what a raw client needs for it
  cargo xtask bench fan-out")]
    Bench {
        /// The benchmark's name.
        name: Option<String>,
        /// Arguments of the benchmark.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Run the controller on an in-memory API with a paused clock, schedule after schedule.
    ///
    /// A seed makes up a world, what happens in it and what goes wrong; an oracle judges every
    /// write. Says how many schedules it ran a second, and the seeds of those that were violated.
    #[command(after_help = "Examples:
  # Run 100000 schedules
  cargo xtask sim --schedules 100000

  # Go on where that was interrupted
  cargo xtask sim --schedules 100000 --resume

  # Print what happens in one of them
  cargo xtask sim --seed 42

  # List all options
  cargo xtask sim -- --help")]
    Sim {
        /// Arguments of the simulation
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run a soak: a test too long for the test command.
    ///
    /// Without a name, lists what there is.
    #[command(after_help = "Examples:
  # List the soaks
  cargo xtask soak

  # Kill the controller in mid-cascade, ten times, as an earlier run did
  SOAK_ROUNDS=10 SOAK_SEED=42 cargo xtask soak crash")]
    Soak {
        /// The soak's name.
        name: Option<String>,
        /// Arguments of the test binary.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::WithCluster { command } => with_cluster::run(&command),
        Task::Test { arguments } => test::run(&arguments),
        Task::Bench { name, arguments } => targets::bench(name.as_deref(), &arguments),
        Task::Sim { arguments } => sim::run(&arguments),
        Task::Soak { name, arguments } => targets::soak(name.as_deref(), &arguments),
    };
    result.unwrap_or_else(|error| {
        report(error.as_ref());
        ExitCode::FAILURE
    })
}

fn report(error: &dyn Error) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
}

/// A child's status as a shell would tell it: 128 and the signal's number when one ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
