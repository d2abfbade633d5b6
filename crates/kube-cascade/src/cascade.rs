//! Cascading deletion of what carries an upstream's ID.
//!
//! What decides is pure and stands alone: [`Selection`], [`Plan`] and [`judge()`]. What reads and
//! deletes comes with the feature `kubernetes`, and one pass of it is [`CascadingDelete`]: **read**
//! every dependent, then **confirm** the upstream, **judge**, **apply**. The order is what keeps a
//! namesake's dependents alive that appear in between.

#[cfg_attr(
    not(feature = "kubernetes"),
    allow(dead_code, reason = "what carries a plan out comes with the feature")
)]
pub mod judge;
#[cfg_attr(
    not(feature = "kubernetes"),
    allow(dead_code, reason = "what carries a plan out comes with the feature")
)]
pub mod plan;
mod selection;

#[cfg(feature = "kubernetes")]
mod apply;
#[cfg(feature = "kubernetes")]
mod delete;
#[cfg(feature = "kubernetes")]
mod notice;
#[cfg(feature = "kubernetes")]
mod orphans;
#[cfg(feature = "kubernetes")]
mod pace;
#[cfg(feature = "kubernetes")]
mod pass;
#[cfg(feature = "kubernetes")]
mod progress;
#[cfg(feature = "kubernetes")]
mod read;
#[cfg(feature = "kubernetes")]
pub(crate) mod upstream;

pub use judge::{Case, Definition, Evidence, Refusal, Sighting, Warrant, judge};
pub use plan::{Plan, Propagation, Seen, Summary, Target};
pub use selection::{
    InvalidLabelKey, InvalidLabelValue, LabelKey, LabelSelector, LabelValue, Namespaces,
    NoNamespace, Scope, Selection, Selector,
};

#[cfg(feature = "kubernetes")]
pub use delete::{CascadeError, CascadingDelete, Dependent, Hold, Mode};
#[cfg(feature = "kubernetes")]
pub use notice::{Answer, Notice, Observer, Subject};
#[cfg(feature = "kubernetes")]
pub use orphans::Orphans;
#[cfg(feature = "kubernetes")]
pub use pace::Pace;
#[cfg(feature = "kubernetes")]
pub use read::{ReadError, ReadErrors};
#[cfg(feature = "kubernetes")]
pub use upstream::Upstream;
