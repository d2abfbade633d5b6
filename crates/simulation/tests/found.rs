//! Seeds that once showed a mistake, of the controller or of the oracle.

use simulation::schedule::{self, Options};

/// What each of them showed.
const SEEDS: [(u64, &str); 4] = [
    (
        12,
        "an emptied list of finalizers stayed in the API, so that no hold could be put on",
    ),
    (
        201,
        "a round that failed between two empty ones was taken for one of the two",
    ),
    (316, "the same, with the ID of a namespaced name"),
    (
        690,
        "a list that another upstream of the same ID had needed was taken for ours",
    ),
];

#[test]
fn seeds_that_once_showed_a_mistake_show_none() {
    for (seed, what) in SEEDS {
        let violations = schedule::run(seed, &Options::default()).violations;
        assert!(
            violations.is_empty(),
            "seed {seed} ({what}): {violations:?}"
        );
    }
}
