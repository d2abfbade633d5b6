//! Logs: readable on a terminal, JSON otherwise, always on stderr.
//!
//! Owns how log lines look and which are shown. stdout is left to data.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal},
    sync::Arc,
};

use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::MakeWriter};

/// The variable that says which lines are shown, as of the whole ecosystem.
const FILTER: &str = "RUST_LOG";

/// What is told better elsewhere: a failing cascade or source by a line of its rule, once per change
/// and not once per attempt, and a failing call by whoever made it.
const QUIET: &str = "kube_cascade::queue=error,kube_client=off";

/// The variable that, set to anything but nothing, forbids colours: <https://no-color.org>.
const NO_COLOR: &str = "NO_COLOR";

/// Why logging could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// `RUST_LOG` holds no filter.
    #[error(
        "RUST_LOG holds {found:?}, which is no filter; allowed: levels (error, warn, info, debug, \
         trace) by target, such as info,kube_cascade=debug"
    )]
    Filter {
        /// What was found.
        found: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody has set up logging before.
    #[error("failed to set up logging")]
    Install(#[from] SetGlobalDefaultError),
}

/// Sets up logging for this process; `level` is shown unless `RUST_LOG` says otherwise.
pub fn init(level: LevelFilter) -> Result<(), LoggingError> {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let format = Format::of(io::stderr().is_terminal(), is_set(NO_COLOR));
    let directives = env::var_os(FILTER).map(|text| text.to_string_lossy().into_owned());
    let filter = filter(directives.as_deref(), level)?;
    tracing::subscriber::set_global_default(subscriber(format, filter, io::stderr))?;
    Ok(())
}

/// As [`init`], but into a file: where a command has the terminal for itself.
pub(crate) fn init_to(level: LevelFilter, file: File) -> Result<(), LoggingError> {
    let directives = env::var_os(FILTER).map(|text| text.to_string_lossy().into_owned());
    let filter = filter(directives.as_deref(), level)?;
    let format = Format::Readable { colours: false };
    tracing::subscriber::set_global_default(subscriber(format, filter, Arc::new(file)))?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Readable { colours: bool },
    Json,
}

impl Format {
    fn of(is_terminal: bool, no_color: bool) -> Self {
        if is_terminal {
            Self::Readable { colours: !no_color }
        } else {
            Self::Json
        }
    }
}

fn filter(directives: Option<&str>, level: LevelFilter) -> Result<EnvFilter, LoggingError> {
    let quiet = format!("{level},{QUIET}");
    let builder = EnvFilter::builder().with_default_directive(level.into());
    builder
        .parse(directives.unwrap_or(&quiet))
        .map_err(|source| {
            let found = directives.unwrap_or_default().to_owned();
            LoggingError::Filter { found, source }
        })
}

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // They would go to stderr by a macro that panics where stderr cannot be written.
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        Format::Readable { colours } => Box::new(builder.with_ansi(colours).finish()),
        // Fields at the top level, where log collectors look for them.
        Format::Json => Box::new(builder.json().flatten_event(true).with_ansi(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged by one line of each of two levels.
    fn logged(format: Format, directives: Option<&str>) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = filter(directives, LevelFilter::INFO).unwrap();
        let subscriber = subscriber(format, filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("cascade", rule = "project").entered();
            tracing::info!(deleted = 3, "cascade completed");
            tracing::debug!("a detail");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_terminal_gets_text_and_everything_else_json() {
        assert_eq!(Format::of(true, false), Format::Readable { colours: true });
        assert_eq!(Format::of(true, true), Format::Readable { colours: false });
        assert_eq!(Format::of(false, false), Format::Json);
    }

    #[test]
    fn a_readable_line_has_colours_only_if_allowed() {
        let plain = logged(Format::Readable { colours: false }, None);
        assert!(plain.contains("INFO cascade{rule=\"project\"}"), "{plain}");
        assert!(plain.contains("cascade completed deleted=3"), "{plain}");
        assert!(!plain.contains('\x1b'), "{plain}");
        assert!(logged(Format::Readable { colours: true }, None).contains('\x1b'));
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields_and_its_span() {
        let line: serde_json::Value = serde_json::from_str(&logged(Format::Json, None)).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "cascade completed");
        assert_eq!(line["deleted"], 3);
        assert_eq!(line["span"]["rule"], "project");
    }

    #[test]
    fn the_filter_is_the_variables_or_else_the_default() {
        let plain = Format::Readable { colours: false };
        assert_eq!(logged(plain, None).lines().count(), 1);
        assert_eq!(logged(plain, Some("")).lines().count(), 1);
        assert_eq!(logged(plain, Some("debug")).lines().count(), 2);
        assert_eq!(logged(plain, Some("error")).lines().count(), 0);
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let error = filter(Some("kube=loud"), LevelFilter::INFO).unwrap_err();
        assert_eq!(
            error.to_string(),
            "RUST_LOG holds \"kube=loud\", which is no filter; allowed: levels (error, warn, info, \
             debug, trace) by target, such as info,kube_cascade=debug"
        );
    }
}
