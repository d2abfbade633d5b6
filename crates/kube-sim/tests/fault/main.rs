//! The fault layer over an in-process server, under a client and as a proxy.

mod bench;
mod calls;
mod kube_client;
mod line;
mod proxy;
mod watches;
