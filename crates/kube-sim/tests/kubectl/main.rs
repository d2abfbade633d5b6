//! The real `kubectl`, against an in-memory server and against a real one, side by side.
//!
//! `KUBECTL` names another binary than that of the control plane, for instance an older one.

mod both;
mod deleting;
mod discovering;
mod output;
mod reading;
mod watching;
mod writing;
