//! Whether a component serves, asked without a Kubernetes client.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

/// Long enough for a loaded machine; whoever asks does so again and again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the etcd that listens on the port is the one of this name, and has joined its cluster.
///
/// The name matters: when two control planes chose the same port, one of them finds the other's
/// etcd there.
pub(crate) fn etcd(port: u16, name: &str) -> bool {
    let members = post(port, "/v3/cluster/member/list", "{}").unwrap_or_default();
    members.contains(&format!("\"name\":\"{name}\""))
}

/// Whether something listens on the port.
pub(crate) fn listens(port: u16) -> bool {
    connect(port).is_ok()
}

/// Whether the command succeeds; its output does not matter.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)
}

fn post(port: u16, path: &str, body: &str) -> io::Result<String> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP 1.0, so that the answer ends with the connection.
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
