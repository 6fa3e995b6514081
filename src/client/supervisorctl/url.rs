//! The URL of a server: `http://host:port` or `unix:///path`. Pure.
//!
//! `http.rs` connects to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String, u16),
}

impl Target {
    /// Reads a URL. A path, a user and a password in an `http` URL have no meaning, as for supervisorctl.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Target, String> {
        if let Some(path) = url.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Target::Unix(PathBuf::from(path))),
                false => Err(format!("{url} names no socket: expected unix:///path")),
            };
        }
        let expected =
            || format!("{url} is not the URL of a server: expected http://host:port or unix:///path");
        let rest = url.strip_prefix("http://").ok_or_else(expected)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => authority.rsplit_once(':').unwrap_or((authority, "")),
        };
        let port = if port.is_empty() { 80 } else { port.parse().map_err(|_| expected())? };
        if host.is_empty() { Err(expected()) } else { Ok(Target::Tcp(host.to_ascii_lowercase(), port)) }
    }

    /// Whether it can only be a process of this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Target::Unix(_) => true,
            Target::Tcp(host, _) if host == "localhost" => true,
            Target::Tcp(host, _) => host.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        }
    }

    /// The value of `Host`.
    pub(super) fn host(&self) -> String {
        match self {
            Target::Unix(_) => "localhost".to_owned(),
            Target::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Target::Tcp(host, port) => format!("{host}:{port}"),
        }
    }
}

/// The addresses of a host: itself, or those of its name in `/etc/hosts`, whose text is given. A client in a container has
/// no resolver of the C library to load.
pub(super) fn addresses(host: &str, port: u16, hosts: &str) -> Vec<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(address, port)];
    }
    let mut found: Vec<SocketAddr> = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        if let Some(address) = address
            && words.any(|name| name.eq_ignore_ascii_case(host))
        {
            found.push(SocketAddr::new(address, port));
        }
    }
    if found.is_empty() && host == "localhost" {
        found.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_socket_or_a_host_with_a_port() {
        let tcp = |host: &str, port| Ok(Target::Tcp(host.to_owned(), port));
        assert_eq!(Target::parse("unix:///run/s.sock"), Ok(Target::Unix("/run/s.sock".into())));
        assert_eq!(Target::parse("http://LOCALHOST:9001"), tcp("localhost", 9001));
        assert_eq!(Target::parse("http://user:word@10.0.0.1:9001/RPC2"), tcp("10.0.0.1", 9001));
        assert_eq!(Target::parse("http://[::1]:9001"), tcp("::1", 9001));
        assert_eq!(Target::parse("http://host"), tcp("host", 80));
        for wrong in [
            "",
            "localhost:9001",
            "https://a:1",
            "http://",
            "http://:1",
            "http://a:b",
            "http://a:70000",
            "unix://a",
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_looked_up_in_the_file_of_hosts() {
        let hosts = "127.0.0.1 localhost\n::1 localhost # x\n10.1.2.3\tdb.local db # and web\nbad db\n";
        let of = |host: &str| addresses(host, 1, hosts).iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        assert_eq!(of("localhost"), ["127.0.0.1:1", "[::1]:1"]);
        assert_eq!((of("DB"), of("web")), (vec!["10.1.2.3:1".to_owned()], vec![]));
        assert_eq!(of("::1"), ["[::1]:1"]);
        assert_eq!(addresses("localhost", 1, "").len(), 1);
    }

    #[test]
    fn only_sockets_and_loopback_addresses_are_local() {
        let is_local = |url: &str| Target::parse(url).unwrap().is_local();
        assert!(is_local("unix:///s") && is_local("http://localhost:1") && is_local("http://127.1.2.3:1"));
        assert!(!is_local("http://10.0.0.1:1") && !is_local("http://db:1"));
        assert_eq!(Target::parse("http://[::1]:9001").unwrap().host(), "[::1]:9001");
    }
}
