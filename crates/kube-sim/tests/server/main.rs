//! The server under `kube::Client`, without a socket.

mod basics;
mod deletion;
mod fixtures;
mod surface;
mod tables;
mod watches;
