//! What happened, line by line; written down only where somebody will read it.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A trace; clones write to the same one.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Option<Arc<Mutex<String>>>,
}

impl Trace {
    /// A trace that is written down.
    #[must_use]
    pub fn written() -> Self {
        Self {
            lines: Some(Arc::default()),
        }
    }

    /// Adds a line, which is only put together if it is written down.
    pub fn line(&self, at: Duration, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(lines, "{:>9.3} {}", at.as_secs_f64(), line())
                .expect("writing to a String cannot fail");
        }
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines.as_ref();
        lines.map_or_else(String::new, |lines| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}
