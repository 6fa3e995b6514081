//! Ports and HTTP requests.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as SocketAddrUnix, UnixListener};
use std::time::Duration;

/// Returns a port that no other process takes: below those that the kernel gives to connections, which may come to hold any
/// port that was only tried and closed; and claimed, by a name in the abstract namespace of this network, from every
/// other test until this process ends. `free_port` of tests/docker/engine.py does the same.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..32_768;
    let start = std::process::id().wrapping_mul(97);
    let port = (0..PORTS.end - PORTS.start)
        .map(|step| PORTS.start + start.wrapping_add(step) % (PORTS.end - PORTS.start))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|&port| claim(port) && is_free(port));
    port.expect("a free port")
}

fn claim(port: u16) -> bool {
    let name = SocketAddrUnix::from_abstract_name(format!("foster-test-port-{port}")).expect("a name");
    // Held to the end of the process.
    UnixListener::bind_addr(&name).map(std::mem::forget).is_ok()
}

fn is_free(port: u16) -> bool {
    let unspecified = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    unspecified.into_iter().all(|address| match TcpListener::bind((address, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::AddrInUse,
    })
}

/// Sends a GET; returns status and body. `None`: no connection, or no response.
pub(crate) fn get(port: u16, target: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    // With one write: a server that answers the first part and closes would reset the connection at the rest.
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
