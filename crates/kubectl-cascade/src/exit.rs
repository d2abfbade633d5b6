//! How a command ends: the exit codes that scripts rely on, and errors that carry one.

use std::{error::Error, fmt, process::ExitCode};

use crate::rules::RulesError;

/// The exit codes. Complete: a new one would be a change of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed.
    Failure = 1,
    /// The command line or the rules are wrong, and nothing was started.
    Usage = 2,
    /// It was refused: a limit, protection, an approval that is missing, a rule in service.
    Refused = 3,
    /// It was begun and not all of it was done in time.
    Incomplete = 4,
}

/// The exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failure
  2  bad usage or bad rules; nothing was started
  3  refused
  4  not all done in time";

impl Exit {
    /// The code as a number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// An error of a command, and the exit code that it makes for.
///
/// Its `Display` is the error and its chain of causes, one to a line: what is said on stderr.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// This error, which ends the command with this code.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        Self { exit, error }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = words(self.error.as_ref());
        f.write_str(&said)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let next = words(error);
            // Some errors print their causes themselves.
            if !said.contains(&next) {
                write!(f, "\n  caused by: {next}")?;
            }
            said = next;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The causes are part of the `Display` already.
        None
    }
}

/// An error and its causes on one line.
pub(crate) fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = words(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = words(error);
        if !line.contains(&next) {
            line.push_str(": ");
            line.push_str(&next);
        }
        cause = error.source();
    }
    line
}

/// What an error says; of an answer of the server its message, where kube prints all of it twice.
fn words(error: &(dyn Error + 'static)) -> String {
    let status = match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => Some(&**status),
        _ => error.downcast_ref::<kube::core::Status>(),
    };
    match status {
        Some(status) => format!("{} ({})", status.message, status.code),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read the lease")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_failure_says_its_whole_chain() {
        let failure = Failure::new(Exit::Failure, Outer(io::Error::other("reset by peer")));
        assert_eq!(
            failure.to_string(),
            "failed to read the lease\n  caused by: reset by peer"
        );
    }

    #[test]
    fn the_codes_are_those_of_the_help() {
        let all = [
            Exit::Done,
            Exit::Failure,
            Exit::Usage,
            Exit::Refused,
            Exit::Incomplete,
        ];
        let documented = HELP
            .lines()
            .skip(1)
            .map(|line| line.trim().as_bytes()[0] - b'0');
        assert!(all.map(Exit::code).into_iter().eq(documented));
    }
}
