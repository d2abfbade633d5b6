//! Counts the results that the test harness prints.

use std::fmt;

/// The results of several runs of `cargo test`, summed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// What failed, by name, in the order of the output.
    names: Vec<String>,
    /// What had failed when the current run began.
    failed_before: u64,
    /// How many behaviours of the conformance suite passed on kube-sim, and on the real server.
    behaviours: [u64; 2],
    /// What the comparison of the two servers says of itself.
    differential: Vec<String>,
}

/// The modules under which the suite's tests are found, see `kube-sim`.
const SUITE: [&str; 2] = ["on_kube_sim::", "on_the_real_server::"];

impl Tally {
    /// Takes notice of a line of output.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.names.push(name.to_owned());
            } else if test.ends_with(" ... ok") {
                for (count, module) in self.behaviours.iter_mut().zip(SUITE) {
                    *count += u64::from(test.starts_with(module));
                }
            }
        } else if line.starts_with("differential: ") {
            self.differential.push(line.to_owned());
        }
    }

    /// Ends a run. One that failed although no test of it did, because a test binary died, counts
    /// as a failure of its own.
    pub(super) fn end(&mut self, successful: bool) {
        if !successful && self.failed == self.failed_before {
            self.failed += 1;
            self.names
                .push("a test binary that ended without a result, see above".to_owned());
        }
        self.failed_before = self.failed;
    }

    /// Takes notice of the simulation's end.
    pub(super) fn simulated(&mut self, successful: bool) {
        if !successful {
            self.failed += 1;
            self.names.push("the simulation, see above".to_owned());
        }
    }

    /// Whether anything failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            writeln!(formatter, "failed: {name}")?;
        }
        match self.behaviours {
            [0, 0] => {}
            [simulated, real] if simulated == real => writeln!(
                formatter,
                "conformance: {real} behaviours, on kube-sim and on the real server"
            )?,
            [simulated, real] => writeln!(
                formatter,
                "conformance: {simulated} behaviours on kube-sim, {real} on the real server"
            )?,
        }
        for line in &self.differential {
            writeln!(formatter, "{line}")?;
        }
        if self.ignored > 0 {
            writeln!(formatter, "{} ignored", self.ignored)?;
        }
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number before a word, in "ok. 3 passed; 0 failed; …".
fn count(result: &str, word: &str) -> u64 {
    let mut parts = result.split([';', '.']).map(str::trim);
    let part = parts.find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, successful: bool) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.line(line));
        tally.end(successful);
        tally
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out\n\
            test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let tally = tally(output, true);
        assert_eq!(tally.to_string(), "23 passed, 0 failed");
        assert!(!tally.has_failed());
    }

    #[test]
    fn what_failed_is_named_before_the_last_line() {
        let output = "test one ... ok\ntest two ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        let tally = tally(output, false);
        assert_eq!(tally.to_string(), "failed: two\n1 passed, 1 failed");
        assert!(tally.has_failed());
    }

    #[test]
    fn behaviours_are_counted_on_each_side() {
        let output = "test on_kube_sim::a::that::b ... ok\ntest on_kube_sim::c ... ok\n\
            test on_the_real_server::a::that::b ... ok\ntest on_the_real_server::c ... FAILED";
        assert_eq!(
            tally(output, true).to_string(),
            "failed: on_the_real_server::c\n\
             conformance: 2 behaviours on kube-sim, 1 on the real server\n0 passed, 0 failed"
        );
        let output = "test on_kube_sim::a ... ok\ntest on_the_real_server::a ... ok";
        assert_eq!(
            tally(output, true).to_string(),
            "conformance: 1 behaviours, on kube-sim and on the real server\n0 passed, 0 failed"
        );
    }

    #[test]
    fn ignored_tests_are_mentioned() {
        let output = "test result: ok. 1 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            tally(output, true).to_string(),
            "4 ignored\n1 passed, 0 failed"
        );
    }

    #[test]
    fn a_binary_that_died_without_a_result_is_a_failure() {
        let tally = tally("running 5 tests\n", false);
        assert!(tally.has_failed());
        assert!(
            tally.to_string().ends_with("\n0 passed, 1 failed"),
            "{tally}"
        );
    }

    #[test]
    fn a_violated_schedule_is_a_failure() {
        let passed = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let mut tally = tally(passed, true);
        tally.simulated(true);
        assert!(!tally.has_failed());
        tally.simulated(false);
        assert_eq!(
            tally.to_string(),
            "failed: the simulation, see above\n1 passed, 1 failed"
        );
        assert!(tally.has_failed());
    }

    #[test]
    fn a_later_run_is_judged_by_its_own_results() {
        let failed =
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        let mut tally = tally(failed, false);
        tally.end(false);
        assert!(tally.to_string().ends_with("0 passed, 2 failed"), "{tally}");
    }
}
