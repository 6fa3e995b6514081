//! The address of a TCP socket in a text: of a probe, of a listening socket.
//!
//! It is literal: the first process of a container resolves no names, because a resolver blocks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LITERAL: &str = "an IP address or `localhost`: host names are not resolved";

/// Parses `127.0.0.1:80`, `[::1]:80` or `localhost:80`; the port may be missing if there is a default.
///
/// # Errors
/// What was expected.
pub(super) fn address(text: &str, default_port: Option<u16>) -> Result<SocketAddr, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']').ok_or("a `]` after an IPv6 address")?;
            let host = host.parse().map(IpAddr::V6).map_err(|_| "an IPv6 address in the brackets")?;
            match behind.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if behind.is_empty() => (host, None),
                None => return Err("`:` and a port after the `]`"),
            }
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err("an IPv6 address in brackets: `[::1]:80`");
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (literal(host).ok_or(LITERAL)?, port)
        }
    };
    let port = match (port, default_port) {
        (Some(port), _) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        (Some(_), _) => None,
        (None, default) => default,
    };
    match port {
        Some(port @ 1..) => Ok(SocketAddr::new(host, port)),
        Some(0) | None => Err("a port from 1 to 65535 after the address"),
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    host.parse().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tcp_address_needs_a_port() {
        assert!(address("127.0.0.1:6379", None).is_ok());
        assert_eq!(
            address("localhost:1", None).map(|address| address.to_string()),
            Ok("127.0.0.1:1".to_owned())
        );
        for text in ["", ":", "127.0.0.1", "6379", ":6379", "redis:6379", "[::1]"] {
            assert!(address(text, None).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic_of_the_address_parser(text in any::<String>()) {
            let _ = address(&text, None);
        }
    }
}
