//! The command line: flags, help and the way from arguments to an exit code.
//!
//! Owns every flag; help and errors come from the same declarations. What a command does is in
//! the module of its name.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use kube_cascade::{
    hold::{Installation, RuleName},
    names::Namespace,
};
use tracing::level_filters::LevelFilter;

use crate::{
    demo,
    exit::{self, Exit, Failure},
    logging, release, run,
};

/// Runs the command line and says how it ended. The first argument is the program's own name.
#[must_use]
pub fn main(arguments: &[OsString]) -> Exit {
    match parse(arguments) {
        Ok(cli) => execute(cli).unwrap_or_else(|failure| {
            tell!("error: {failure}");
            failure.exit()
        }),
        Err(error) => {
            // Help and version are data and go to stdout. A closed pipe is no failure of ours.
            let _ = error.print();
            if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
        }
    }
}

fn execute(cli: Cli) -> Result<Exit, Failure> {
    let level = match cli.command {
        Command::Run(_) => Some(LevelFilter::INFO),
        // A command that somebody waits for says what it does itself.
        Command::Release(_) => Some(LevelFilter::WARN),
        // Its own screen says it all.
        Command::Demo(_) => None,
    };
    if let Some(level) = level {
        logging::init(level).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failure, error))?;
    runtime.block_on(async {
        match cli.command {
            Command::Run(options) => run::run(options).await,
            Command::Release(options) => release::run(options).await,
            Command::Demo(options) => demo::run(options).await,
        }
    })
}

/// Reads the arguments, the first of which is the program's own name.
///
/// # Errors
///
/// clap's error, which names the flag, what was found and what is allowed; or what
/// `--help` and `--version` ask for.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    if let Some(program) = arguments.first() {
        command = command.bin_name(called(program));
    }
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// How the program is called by those who read its help: kubectl runs a plugin `kubectl-x` as
/// `kubectl x`, and hands it no other sign of that than its name.
fn called(program: &OsStr) -> String {
    let name = Path::new(program)
        .file_name()
        .unwrap_or(program)
        .to_string_lossy();
    match name.strip_prefix("kubectl-") {
        Some(plugin) => format!("kubectl {plugin}"),
        None => name.into_owned(),
    }
}

/// Cascading deletion beyond ownerReferences.
///
/// When a resource is deleted, kube-cascade deletes what carries its ID in a label, in other
/// namespaces and clusters too, and keeps the resource until all of that is gone. Rules say what belongs to
/// what.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-cascade",
    version,
    after_help = exit::HELP,
    subcommand_required = true,
    arg_required_else_help = false
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Run the controller: watch the rules' upstreams, delete their dependents
    #[command(after_help = RUN_HELP)]
    Run(RunOptions),
    /// Take holds off upstreams, so that nothing of ours keeps them any longer
    #[command(after_help = RELEASE_HELP)]
    Release(ReleaseOptions),
    /// Show it all on an in-memory API: no cluster, nothing to set up, a few seconds
    #[command(after_help = DEMO_HELP)]
    Demo(DemoOptions),
}

const RUN_HELP: &str = "\
Examples:
  # Serve the rules of a file, from a laptop, without a lease
  kubectl cascade run --rules rules.yaml --leader-elect=false

  # Serve all rules of a folder under a name of its own
  kubectl cascade run --rules /etc/kube-cascade/rules --installation region

Exit codes:
  0  ended by SIGTERM or SIGINT
  1  failure
  2  bad usage or bad rules; nothing was started
  3  refused: another cluster uses this installation's name";

const RELEASE_HELP: &str = "\
Examples:
  # Take off the holds of a rule that has been withdrawn
  kubectl cascade release project

  # Take off all holds of an installation, without being asked
  kubectl cascade release --all --installation region --yes

Exit codes:
  0  done
  1  failure
  2  bad usage
  3  refused: a live leader serves the rule, its Lease is elsewhere or may not be looked for, or
     the question was answered with no";

const DEMO_HELP: &str = "\
Examples:
  # See a project of a small platform deleted
  kubectl cascade demo

  # Keep the platform up and try it with kubectl in another terminal
  kubectl cascade demo --serve

Exit codes:
  0  done; with --serve: ended by a signal
  1  failure, or interrupted
  2  bad usage
  4  not come to its end in time

Colours are left out where NO_COLOR is set or CLICOLOR is 0.";

/// What `run` is told.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// File of rules, or folder of *.yaml, *.yml and *.json files (not recursive); read once
    #[arg(long, value_name = "PATH")]
    pub rules: PathBuf,

    /// Which installation this is.
    #[command(flatten)]
    pub installation: InstallationOptions,

    /// Work only while holding the installation's lease; false is for a single run on a laptop,
    /// which `release` does not see
    #[arg(
        long,
        value_name = "true|false",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set,
        hide_possible_values = true
    )]
    pub leader_elect: bool,

    /// Where to serve metrics and health
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    /// How many deletes may wait for an answer at a time
    #[arg(long, value_name = "N", default_value = "32", value_parser = positive::<NonZeroUsize>, allow_negative_numbers = true)]
    pub max_in_flight: NonZeroUsize,

    /// How many deletes to begin per second at most [default: as many as the server takes]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>, allow_negative_numbers = true)]
    pub qps: Option<NonZeroU32>,

    /// How the clusters are reached.
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

/// What `release` is told.
#[derive(Debug, Clone, Args)]
#[group(id = "which", required = true, multiple = false, args = ["rule", "all"])]
pub struct ReleaseOptions {
    /// The rule whose holds to take off; it need not exist any more
    #[arg(value_name = "RULE")]
    rule: Option<RuleName>,

    /// Take off the holds of all rules of the installation
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Which installation's holds.
    #[command(flatten)]
    pub installation: InstallationOptions,

    /// How the clusters are reached.
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

/// What `demo` is told.
#[derive(Debug, Clone, Copy, Args)]
pub struct DemoOptions {
    /// Delete nothing; serve the platform on a loopback port until Ctrl-C, and print the line that
    /// points kubectl at it
    #[arg(long)]
    pub serve: bool,
}

/// Whose holds to release. Complete: one rule's, or those of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Those of this rule.
    Rule(&'a RuleName),
    /// Those of every rule, also of rules that no longer exist.
    All,
}

impl ReleaseOptions {
    /// Whose holds to release.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        // The parser lets exactly one of the two through.
        self.rule.as_ref().map_or(Target::All, Target::Rule)
    }
}

/// Which installation a command is about.
#[derive(Debug, Clone, Args)]
pub struct InstallationOptions {
    /// Name of the installation: of its lease, kube-cascade-NAME, and of its holds; at most 20
    /// characters
    #[arg(long = "installation", value_name = "NAME", default_value = "default")]
    pub name: Installation,

    /// Namespace of the lease, in the upstream's cluster [default: the pod's own, else kube-system]
    #[arg(long, value_name = "NAMESPACE")]
    pub lease_namespace: Option<Namespace>,
}

/// How the clusters are reached.
#[derive(Debug, Clone, Args)]
pub struct ConnectionOptions {
    /// Kubeconfig file to use [default: the pod's own account, else what kubectl uses]
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig to use [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Kubeconfig file of the upstream's cluster [default: upstreams and dependents share one]
    #[arg(long, value_name = "PATH")]
    pub upstream_kubeconfig: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "allowed: an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
            .into()
    })
}

fn positive<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "allowed: a whole number of 1 or more".into())
}

#[cfg(test)]
mod tests;
