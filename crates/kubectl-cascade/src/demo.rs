//! `demo`: a platform, the controller and a deletion, all in this process.
mod services;
mod stage;
mod view;
