//! What a Kubernetes API does, one behaviour a test.
//!
//! Every test runs against kube-sim (target `conformance`) and against a real control plane
//! (target `real`). The target says, in its module `target`, what a behaviour runs on.

/// Makes tests of functions that take a [`World`](world::World).
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod that {
            $(
                #[test]
                fn $name() {
                    crate::target::run(super::$name);
                }
            )*
        }
    };
}

mod collecting;
mod creating;
mod definitions;
mod deleting;
mod discovery;
mod listing;
mod metadata_only;
mod namespaces;
mod numbers;
mod other_kinds;
mod patching;
mod refusing;
mod schemas;
mod selecting;
mod status;
mod updating;
mod validating;
mod watching;

pub(crate) mod kinds;
pub(crate) mod world;
