//! The example on a cluster, as a reader would run it.

mod story;

#[test]
fn on_a_cluster_what_uses_goes_before_what_is_used() {
    let example = env!("CARGO_BIN_EXE_example-operators");
    let mut example = control_plane::shared().command(example);
    story::tells_who_went_when(example.arg("--cluster"));
}
