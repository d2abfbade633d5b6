//! Exit codes and streams of the binary.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

fn kubectl_cascade(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary can be started")
}

/// Ends with this code, says this on stderr and nothing on stdout.
fn check_refused(arguments: &[&str], code: i32, stderr: &str) {
    let output = kubectl_cascade(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(stderr), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn bad_usage_and_bad_rules_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    check_refused(&["run"], 2, "--rules <PATH>");
    check_refused(
        &["run", "--rules", &path],
        2,
        "error: the rules have a problem; nothing was started",
    );
    check_refused(
        &["run", "--rules", "/nowhere"],
        2,
        "found:   a file that cannot be read",
    );
    check_refused(
        &["run", "--rules", "-"],
        2,
        "correct the path; /dev/stdin is standard input",
    );
    fs::write(
        folder.path().join("rules.yaml"),
        "kind: Pod\napiVersion: v1",
    )
    .unwrap();
    check_refused(
        &["run", "--rules", &path],
        2,
        "/rules.yaml:1: kind\n  found:   \"Pod\"\n",
    );
}

#[test]
fn a_bad_log_filter_ends_with_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"))
        .args(["release", "--all"])
        .env("RUST_LOG", "kube=loud")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("error: RUST_LOG holds \"kube=loud\"")
    );
}

/// The text of a kubeconfig of one cluster.
pub(crate) fn kubeconfig(url: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: \
         {{cluster: a, user: a}}}}], users: [{{name: a, user: {{}}}}], clusters: [{{name: a, \
         cluster: {{server: '{url}'}}}}]}}"
    )
}

/// A server that nobody is.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn of_several_kubeconfigs_those_that_exist_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, kubeconfig(NOBODY)).unwrap();
    let release = |listed: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"))
            .args(["release", "--all"])
            .env("KUBECONFIG", listed)
            .env_remove("RUST_LOG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = release(&format!("/nowhere:{}:", path.display()));
    let server = "error: cannot read Leases on http://127.0.0.1:1/; check that it can be reached";
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with(server), "{said}");
    let (code, said) = release("/nowhere:/neither");
    let missing = "error: no cluster to talk to: there is no kubeconfig /nowhere, /neither; give";
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with(missing), "{said}");
    for unusable in ["[", "{apiVersion: v1, kind: Config}"] {
        fs::write(&path, unusable).unwrap();
        let (code, said) = release(&path.display().to_string());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.starts_with("error: KUBECONFIG: cannot use "), "{said}");
    }
}

#[test]
fn a_controller_whose_log_cannot_be_written_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, config) = (
        folder.path().join("rules.yaml"),
        folder.path().join("config"),
    );
    fs::write(
        &rules,
        include_str!("../../../../examples/platform/rules.yaml"),
    )
    .unwrap();
    fs::write(&config, kubeconfig(NOBODY)).unwrap();
    let mut controller = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"))
        .args(["run", "--listen", "127.0.0.1:0", "--rules"])
        .arg(&rules)
        .env("KUBECONFIG", &config)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(controller.stderr.take().unwrap()).lines();
    let is_at_work = |line: String| line.contains("cannot read namespace kube-system");
    assert!(log.any(|line| is_at_work(line.unwrap())));
    drop(log);
    // It says that it ends, to nobody.
    kill_process(Pid::from_child(&controller), Signal::TERM).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ended = loop {
        match controller.try_wait().unwrap() {
            Some(ended) => break ended,
            None if Instant::now() < deadline => sleep(Duration::from_millis(20)),
            None => {
                controller.kill().unwrap();
                break controller.wait().unwrap();
            }
        }
    };
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn help_is_data() {
    let output = kubectl_cascade(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: kubectl cascade <COMMAND>"), "{help}");
}
