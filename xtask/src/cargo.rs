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
    forget_this_package(&mut command);
    command
}

/// Takes away what `cargo run` tells this process about its own package.
///
/// Build scripts of dependencies watch some of these variables, so an inner Cargo that still sees
/// them builds half of the dependencies again, and the next outer one does so, too.
pub(crate) fn forget_this_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let known = name.to_str().unwrap_or_default();
        if known.starts_with("CARGO_PKG_") || known.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Cargo with an environment in which the control plane's binaries are found.
pub(crate) fn cargo_with(assets: &Assets) -> Command {
    let mut command = cargo();
    command.env("KUBEBUILDER_ASSETS", assets.folder());
    command.env("PATH", assets.prepended_to(env::var_os("PATH")));
    command
}
