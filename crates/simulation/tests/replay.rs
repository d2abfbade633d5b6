//! One seed is one run: in this process, and in others.

use std::process::Command;

use simulation::{
    report,
    schedule::{self, Options},
};

fn traced(seed: u64) -> String {
    let options = Options {
        traced: true,
        ..Options::default()
    };
    report::whole(&schedule::run(seed, &options))
}

/// The trace of another process, whatever addresses and hash seeds that one has.
fn traced_elsewhere(seed: u64) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_simulation"))
        .args(["--seed", &seed.to_string()])
        .output()
        .expect("the binary is built");
    String::from_utf8(output.stdout).expect("traces are text")
}

/// Seeds in which several calls wait for a line that is cut, and are woken at once: the first that
/// differed when the order of waking was left to chance.
const CUT: [u64; 3] = [93, 135, 139];

#[test]
fn a_seed_is_replayed_to_the_last_byte_in_one_process() {
    for seed in (0..20).chain(CUT) {
        let (one, other) = (traced(seed), traced(seed));
        same(seed, &one, &other);
        assert!(one.lines().count() > 20, "{one}");
    }
}

#[test]
fn a_seed_is_replayed_to_the_last_byte_in_another_process() {
    for seed in (0..10).chain(CUT) {
        same(seed, &traced(seed), &traced_elsewhere(seed));
    }
}

#[test]
fn a_trace_that_nobody_writes_down_changes_nothing() {
    for seed in 0..20 {
        let silent = schedule::run(seed, &Options::default());
        let options = Options {
            traced: true,
            ..Options::default()
        };
        let written = schedule::run(seed, &options);
        assert_eq!(
            (
                silent.calls,
                silent.judged,
                silent.converged,
                silent.violations
            ),
            (
                written.calls,
                written.judged,
                written.converged,
                written.violations
            ),
            "seed {seed}"
        );
    }
}

fn same(seed: u64, one: &str, other: &str) {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    if let Some((number, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        panic!("seed {seed} differs in line {number}:\n{one}\n{other}");
    }
    assert_eq!(one.len(), other.len(), "seed {seed} is longer once");
}
