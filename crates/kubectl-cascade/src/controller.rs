//! The controller: rules in service.

use crate::{
    cli::RunOptions,
    exit::{Exit, Failure},
    rules,
};

/// Serves the rules until it is told to stop.
#[allow(
    clippy::unused_async,
    reason = "the signature that the controller is going to need"
)]
pub async fn run(options: RunOptions) -> Result<Exit, Failure> {
    let rules = rules::load(&options.rules)?;
    let count = rules.iter().count();
    let error = format!("{count} rules read; serving them is not there yet");
    Err(Failure::new(Exit::Failure, error))
}
