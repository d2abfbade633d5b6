//! Exit codes and streams of the binary.

use std::{
    fs,
    process::{Command, Output},
};

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

#[test]
fn help_is_data() {
    let output = kubectl_cascade(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: kubectl cascade <COMMAND>"), "{help}");
}
