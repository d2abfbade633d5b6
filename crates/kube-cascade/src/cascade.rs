//! What a cascade selects.

mod selection;

pub use selection::{
    InvalidLabelKey, InvalidLabelValue, LabelKey, LabelSelector, LabelValue, Namespaces,
    NoNamespace, Scope, Selection, Selector,
};
