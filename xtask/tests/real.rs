//! `cargo xtask with-cluster`, with the real binaries.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

fn with_cluster(command: &[&str]) -> Command {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["with-cluster", "--"]).args(command);
    xtask
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    xtask
}

fn output(command: &[&str]) -> Output {
    with_cluster(command).output().unwrap()
}

/// A command that sleeps in a control plane of its own.
struct Sleeping {
    xtask: Child,
    folder: PathBuf,
    command: PathBuf,
}

impl Sleeping {
    fn start() -> Self {
        let script = "echo $$; echo \"${KUBECONFIG%/kubeconfigs/admin}\"; exec sleep 600";
        let mut xtask = with_cluster(&["sh", "-c", script]).spawn().unwrap();
        let mut lines = BufReader::new(xtask.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let command = Path::new("/proc").join(lines.next().unwrap());
        let folder = PathBuf::from(lines.next().unwrap());
        assert!(folder.is_dir());
        Self {
            xtask,
            folder,
            command,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.xtask), signal).unwrap();
    }

    fn nothing_remains(&self) {
        eventually("the folder is gone", || !self.folder.exists());
        eventually("the command is gone", || !runs(&self.command));
        eventually("the components are gone", || !is_mentioned(&self.folder));
    }
}

/// Waits until something is true. The bound is for a machine under load.
fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "still not so after 60 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a process runs that is known by its folder in `/proc`. A dead one that nobody waits
/// for has no command line.
fn runs(process: &Path) -> bool {
    fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Whether the command line of a process mentions the folder.
fn is_mentioned(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(folder))
}

#[test]
fn the_command_finds_kubectl_and_the_cluster_and_its_output_is_its_own() {
    let output = output(&["kubectl", "get", "namespaces", "--output=name"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        printed.lines().all(|line| line.starts_with("namespace/")),
        "{printed}"
    );
    assert!(printed.contains("namespace/kube-system"), "{printed}");
}

#[test]
fn the_status_is_the_commands() {
    assert_eq!(output(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(
        output(&["sh", "-c", "kill -s KILL $$"]).status.code(),
        Some(128 + 9)
    );
}

#[test]
fn a_command_that_does_not_exist_is_an_error_that_names_it() {
    let output = output(&["no-such-command"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(
        message.contains("error: failed to run no-such-command: "),
        "{message}"
    );
}

#[test]
fn nothing_remains_when_the_command_has_ended() {
    let output = output(&["sh", "-c", "echo \"${KUBECONFIG%/kubeconfigs/admin}\""]);
    let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    assert!(folder.is_absolute());
    assert!(!folder.exists());
    eventually("the components are gone", || !is_mentioned(&folder));
}

#[test]
fn nothing_remains_after_sigkill_not_even_the_command() {
    let mut sleeping = Sleeping::start();
    sleeping.signal(Signal::KILL);
    sleeping.xtask.wait().unwrap();
    sleeping.nothing_remains();
}

#[test]
fn a_signal_ends_the_command_and_then_the_control_plane() {
    let mut sleeping = Sleeping::start();
    sleeping.signal(Signal::TERM);
    assert_eq!(sleeping.xtask.wait().unwrap().code(), Some(128 + 15));
    sleeping.nothing_remains();
}
