//! The binary from outside.

mod cli;
mod demo;
mod release;
