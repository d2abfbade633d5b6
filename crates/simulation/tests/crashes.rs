//! A controller that dies at any of its calls leaves nothing undone and nothing wrong.

use simulation::{
    line::Death,
    schedule::{self, Options, Part, Verdict},
};

/// Schedules in which cascades are carried out, with and without holds and leases.
const SEEDS: [u64; 2] = [1, 4];

fn run(seed: u64, dies: Option<Death>) -> Verdict {
    let parts = [Part::Faults, Part::Events, Part::Deaths, Part::Disturbances];
    let without = parts.into_iter().collect();
    schedule::run(
        seed,
        &Options {
            without,
            dies,
            ..Options::default()
        },
    )
}

#[test]
fn fault_44_a_death_before_and_after_every_call_is_made_good_by_the_next_start() {
    for seed in SEEDS {
        let undisturbed = run(seed, None);
        assert!(undisturbed.violations.is_empty(), "{undisturbed:?}");
        for call in 1..=undisturbed.calls {
            for death in [Death::Before(call), Death::After(call)] {
                let violations = run(seed, Some(death)).violations;
                assert!(
                    violations.is_empty(),
                    "seed {seed}, {death:?}: {violations:?}"
                );
            }
        }
    }
}
