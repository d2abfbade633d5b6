//! `demo`: a platform, the controller and a deletion, all in this process.
mod stage;
mod view;
