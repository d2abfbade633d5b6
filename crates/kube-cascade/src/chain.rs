//! An error with everything that caused it, on one line, for logs.

use std::{error::Error, fmt};

/// Displays an error and its sources, outermost first, joined by `: `.
///
/// Displays of errors in this crate never repeat their source, so nothing appears twice.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read the count")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn every_cause_is_shown_once() {
        let outer = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(
            Chain(&outer).to_string(),
            "failed to read the count: invalid digit found in string"
        );
    }
}
