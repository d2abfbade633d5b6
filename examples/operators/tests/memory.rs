//! The example as it comes: on an API server in memory.

mod story;

use std::process::Command;

#[test]
fn in_memory_what_uses_goes_before_what_is_used() {
    let example = env!("CARGO_BIN_EXE_example-operators");
    story::tells_who_went_when(&mut Command::new(example));
}
