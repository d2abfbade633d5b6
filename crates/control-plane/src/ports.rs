//! Free loopback ports.

use std::{io, net::TcpListener};

use crate::credentials::random;

/// Below every usual range of ephemeral ports (Linux: from 32768, others: from 49152), so that no
/// outgoing connection takes the port of a component while that is down.
const RANGE: std::ops::Range<u16> = 12_000..30_000;

/// A loopback port on which nothing listens.
///
/// Somebody else may take it before the component does; whoever starts components tries again
/// with other ports then.
pub(crate) fn free() -> io::Result<u16> {
    loop {
        let port = RANGE.start + u16::from_le_bytes(random()?) % (RANGE.end - RANGE.start);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a component's log says that it ended because its port was taken.
pub(crate) fn were_taken(log: &str) -> bool {
    log.contains("address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_ephemeral_ones() {
        assert!(RANGE.contains(&free().unwrap()));
    }

    #[test]
    fn a_taken_port_is_told_from_other_ends() {
        assert!(were_taken(
            "listen tcp 127.0.0.1:2379: bind: address already in use"
        ));
        assert!(!were_taken("unknown flag: --no-such-flag"));
    }
}
