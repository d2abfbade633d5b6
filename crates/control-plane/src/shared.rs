//! The control plane that all tests of one test binary share.

use std::{error::Error, sync::OnceLock};

use crate::ControlPlane;

/// The control plane that all tests of this process share, started by the first that asks.
///
/// Sharing saves more than the seconds of a start: the garbage collector learns of new kinds
/// only every 30 s, so kinds are best installed early and once. Tests keep apart by namespaces
/// and by [`ControlPlane::fresh_user`]; one that stops or pauses a component starts a control
/// plane of its own.
///
/// A static is never dropped; the control plane ends with the process.
///
/// # Panics
///
/// When the control plane does not start. The start is tried once: every further caller panics
/// at once, with the same message.
#[must_use]
pub fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    let started = SHARED.get_or_init(|| ControlPlane::start().map_err(|error| with_causes(&error)));
    match started {
        Ok(control_plane) => control_plane,
        Err(message) => panic!("the shared control plane did not start: {message}"),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |message, cause| {
        format!("{message}: {cause}")
    })
}
