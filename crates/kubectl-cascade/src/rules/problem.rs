//! What is wrong with the rules, and where.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// How many problems are shown: a file that is none of ours has thousands.
const SHOWN: usize = 50;

/// Everything that is wrong with a set of rules, in the order of the files.
#[derive(Debug, Error)]
pub struct RulesError {
    problems: Vec<Problem>,
}

impl RulesError {
    /// All problems; there is at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Shows the first 50.
impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the rules have a problem; nothing was started")?,
            n => write!(f, "the rules have {n} problems; nothing was started")?,
        }
        for problem in self.problems.iter().take(SHOWN) {
            write!(f, "\n{problem}")?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// One thing that is wrong: where, what was found, what is allowed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) place: Place,
    pub(super) found: String,
    pub(super) allowed: String,
    pub(super) remedy: String,
}

impl Problem {
    /// The path of the field within its document, such as `spec.dependents[1].label`.
    ///
    /// Empty if the problem is not about a field: a file that cannot be read, for instance.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.place.field
    }

    /// The file, or whatever else the text came from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.place.source
    }

    /// The line in the source, counted from 1, where there is one to point at.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.place.line
    }

    /// What was found.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What is allowed instead.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.place)?;
        writeln!(f, "  found:   {}", self.found)?;
        writeln!(f, "  allowed: {}", self.allowed)?;
        write!(f, "  remedy:  {}", self.remedy)
    }
}

/// Where something stands: source, line, rule and field, as far as known.
///
/// Its `Display` begins with `source:line:`, which terminals and editors follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    source: Arc<str>,
    line: Option<u64>,
    rule: Option<Arc<str>>,
    field: String,
}

impl Place {
    /// A source as a whole.
    pub(super) fn source(source: &str) -> Self {
        Self {
            source: source.into(),
            line: None,
            rule: None,
            field: String::new(),
        }
    }

    /// The same place on this line.
    pub(super) fn at_line(&self, line: u64) -> Self {
        let line = Some(line).filter(|&line| line > 0);
        Self {
            line,
            ..self.clone()
        }
    }

    /// The same place in the rule of this name.
    pub(super) fn of_rule(&self, rule: &str) -> Self {
        let rule = Some(rule.into());
        Self {
            rule,
            ..self.clone()
        }
    }

    /// The field `name` of what is at this place.
    pub(super) fn field(&self, name: &str) -> Self {
        let separator = if self.field.is_empty() { "" } else { "." };
        let field = format!("{}{separator}{name}", self.field);
        Self {
            field,
            ..self.clone()
        }
    }

    /// The element `index` of the list at this place.
    pub(super) fn element(&self, index: usize) -> Self {
        let field = format!("{}[{index}]", self.field);
        Self {
            field,
            ..self.clone()
        }
    }
}

impl Place {
    /// Source and line alone, for a problem elsewhere that points here.
    pub(super) fn origin(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.source),
            None => self.source.to_string(),
        }
    }

    /// The field alone.
    pub(super) fn path(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, field, .. } = self;
        f.write_str(&self.origin())?;
        if !field.is_empty() {
            write!(f, ": {field}")?;
        }
        if let Some(rule) = rule {
            write!(f, " (rule {rule})")?;
        }
        Ok(())
    }
}

/// The problems found so far: what every stage of reading adds to.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        place: &Place,
        found: impl Into<String>,
        allowed: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.0.push(Problem {
            place: place.clone(),
            found: found.into(),
            allowed: allowed.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An error if there is any problem.
    pub(super) fn into_result(mut self) -> Result<(), RulesError> {
        if self.0.is_empty() {
            return Ok(());
        }
        // Stable: problems of one line stay in the order in which they were found.
        self.0.sort_by(|a, b| {
            let key = |problem: &Problem| (problem.place.source.clone(), problem.place.line);
            key(a).cmp(&key(b))
        });
        Err(RulesError { problems: self.0 })
    }
}
