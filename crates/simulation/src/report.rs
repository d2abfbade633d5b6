//! What people read of a schedule.

use std::{cell::RefCell, collections::BTreeSet, fmt::Write as _};

use crate::schedule::{self, Options, Part, Verdict};

/// Everything that happened, and the verdict.
#[must_use]
pub fn whole(verdict: &Verdict) -> String {
    let mut text = verdict.trace.clone();
    let Verdict {
        seed,
        calls,
        judged,
        converged,
        ..
    } = verdict;
    writeln!(
        text,
        "seed {seed}: {calls} calls, {judged} writes judged, converged within {converged:?}, {} \
         violations",
        verdict.violations.len()
    )
    .expect("writing to a String cannot fail");
    for violation in &verdict.violations {
        writeln!(text, "violation: {violation}").expect("writing to a String cannot fail");
    }
    text
}

/// Which parts of a schedule its violation does not need.
#[must_use]
pub fn smaller(seed: u64) -> String {
    let mut options = Options::default();
    for part in Part::ALL {
        let mut without: BTreeSet<_> = options.without.clone();
        without.insert(part);
        let smaller = Options {
            without,
            ..options.clone()
        };
        if !schedule::run(seed, &smaller).violations.is_empty() {
            options = smaller;
        }
    }
    let names: Vec<_> = options.without.iter().map(|part| part.name()).collect();
    if names.is_empty() {
        return "every part of the schedule is needed".to_owned();
    }
    format!(
        "it does not need all of that: `cargo xtask sim --seed {seed} --without {}`",
        names.join(",")
    )
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on, a panic is noted and not printed.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
    }));
}

/// The last panic of this thread, once.
#[must_use]
pub fn take_panic() -> Option<String> {
    PANIC.with(|panic| panic.borrow_mut().take())
}
