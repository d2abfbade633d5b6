//! Taking an installation's holds off.

use crate::{
    cli::ReleaseOptions,
    exit::{Exit, Failure},
};

/// Releases the holds of one rule, or of all.
#[allow(
    clippy::unused_async,
    reason = "the signature that releasing is going to need"
)]
pub async fn run(_options: ReleaseOptions) -> Result<Exit, Failure> {
    let error = "releasing holds is not there yet";
    Err(Failure::new(Exit::Failure, error))
}
