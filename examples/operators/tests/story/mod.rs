//! What must be told, wherever it happens.

use std::process::{Command, Stdio};

/// Runs the example, and checks that what uses went before what is used.
pub(crate) fn tells_who_went_when(example: &mut Command) {
    let output = example.stdin(Stdio::null()).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{error}");
    let gone: Vec<_> = told
        .lines()
        .filter(|line| line.ends_with(" is gone"))
        .collect();
    let in_order = [
        "Cluster web is gone",
        "Network blue is gone",
        "Project apollo is gone",
    ];
    assert_eq!(gone, in_order, "{told}");
}
