//! Rules: which deletion cascades to what, as files declare it.
//!
//! Owns the way from a path to a [`RuleSet`]: everything in one has been read, checked against
//! the schema and against the other rules. It asks no server: whether a kind is served, is
//! cluster-scoped as the rule claims, or a namespace exists, is for the controller to find out.
//!
//! One stage per module, each collecting every problem that it finds, so that an author sees all
//! of them at once: `parse` (files to documents), `node` (YAML with places), `schema` (fields, by means of
//! `reader`),
//! `check` (meaning), and `rule`, what is left when nothing is wrong.

mod check;
mod node;
mod parse;
mod problem;
mod reader;
mod rule;
mod schema;

pub use parse::{load, parse};
pub use problem::{Problem, RulesError};
pub use rule::{
    Dependent, GroupKind, IdSource, InvalidGroupKind, Mode, Propagation, Rule, RuleSet, Upstream,
    UpstreamScope,
};

#[cfg(test)]
mod tests;
