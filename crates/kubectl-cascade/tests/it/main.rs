//! The binary from outside.

mod cli;
