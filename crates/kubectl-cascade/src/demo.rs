//! `demo`: a platform, the controller and a deletion, all in this process.
mod screen;
mod services;
mod stage;
mod view;
