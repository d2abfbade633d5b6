//! Cargo, as the tasks run it.

use std::{env, path::Path, process::Command};

use control_plane::Assets;

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the workspace")
}

/// The Cargo that runs this, at the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Cargo with an environment in which the control plane's binaries are found.
pub(crate) fn cargo_with(assets: &Assets) -> Command {
    let mut command = cargo();
    command.env("KUBEBUILDER_ASSETS", assets.folder());
    command.env("PATH", assets.prepended_to(env::var_os("PATH")));
    command
}
