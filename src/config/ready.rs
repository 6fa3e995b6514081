//! The probe of `ready` (spec, section 3.5).
//!
//! Addresses are literal: the first process of a container resolves no names, because a resolver blocks,
//! and speaks no TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use foster_core::spec::{Asking, Readiness};

use crate::plan::{HttpProbe, LinePattern, Probe};

use super::command::command;
use super::keys::READY;
use super::reader::{Reader, one_of};
use super::settings::socket_path;
use super::table::{Item, Table};

/// The keys of which there must be exactly one.
const KINDS: [&str; 6] = ["http", "tcp", "unix", "exec", "file", "log"];
/// The same, of later versions: they are refused by name, and then nothing is missing.
const LATER_KINDS: [&str; 2] = ["notify", "fd"];

/// Reads `ready`: how it is asked for, and what the core has to know.
pub(super) fn ready(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(Probe, Readiness)> {
    let table = reader.table(item, "a table such as `{ tcp = \"127.0.0.1:6379\" }`")?;
    reader.check_keys(table, &READY, "in `ready`");
    let full = table.over(&READY.defaults(), |_| false);
    let interval = reader.field(&full, "interval", Reader::duration_above_zero);
    let timeout = reader.field(&full, "timeout", Reader::duration_above_zero);
    let probe = probe(reader, item, table);
    let (probe, interval, timeout) = (probe?, interval?, timeout?);
    let asking = match probe {
        Probe::Log(_) => Asking::Told,
        Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::Exec(_) | Probe::File(_) => Asking::Asked,
    };
    Some((probe, Readiness::Probe { asking, interval, timeout }))
}

fn probe(reader: &mut Reader<'_>, ready: Item<'_>, table: &Table) -> Option<Probe> {
    let mut kinds = table.items().filter(|item| KINDS.contains(&item.name()));
    let later = table.items().any(|item| LATER_KINDS.contains(&item.name()));
    let Some(kind) = kinds.next() else {
        if !later {
            let note = format!("expected one of {}", one_of(KINDS.into_iter()));
            reader.findings.error(ready.value.place, "`ready` does not say what to ask", note);
        }
        return None;
    };
    for other in kinds {
        let message = format!("`ready` has both `{}` and `{}`", kind.name(), other.name());
        reader.findings.error(other.key.place, message, "expected only one of them");
    }
    if let Some(status) = table.get("status").filter(|_| kind.name() != "http") {
        reader.findings.error(status.key.place, "`status` goes only with `http`", "");
    }
    match kind.name() {
        "http" => http(reader, kind, table).map(Probe::Http),
        "tcp" => tcp(reader, kind).map(Probe::Tcp),
        "unix" => socket_path(reader, kind).map(Probe::Unix),
        "exec" => command(reader, kind).map(Probe::Exec),
        "file" => reader.path(kind).map(Probe::File),
        _ => log(reader, kind).map(Probe::Log),
    }
}

fn log(reader: &mut Reader<'_>, item: Item<'_>) -> Option<LinePattern> {
    let text = reader.text_or(item, "a regular expression")?;
    match regex_lite::Regex::new(&text) {
        Ok(regex) => Some(LinePattern(regex)),
        Err(error) => {
            reader.findings.error(item.value.place, "`log` is not a regular expression", error.to_string());
            None
        }
    }
}

fn tcp(reader: &mut Reader<'_>, item: Item<'_>) -> Option<SocketAddr> {
    let text = reader.text_or(item, "an address such as `\"127.0.0.1:6379\"`")?;
    let result = address(&text, None);
    if let Err(expected) = result {
        reader.refuse_text(item, &text, expected);
    }
    result.ok()
}

fn http(reader: &mut Reader<'_>, item: Item<'_>, table: &Table) -> Option<HttpProbe> {
    let status = reader.field(table, "status", statuses);
    let text = reader.text_or(item, "a URL such as `\"http://127.0.0.1:8000/health\"`")?;
    match url(&text) {
        Ok(probe) => Some(HttpProbe { status: status.unwrap_or_default(), ..probe }),
        Err(expected) => {
            reader.refuse_text(item, &text, expected);
            None
        }
    }
}

fn statuses(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<u16>> {
    let items = reader.one_or_more(item);
    if items.is_empty() {
        reader.refuse(item, "empty", "a list such as `[200]`");
    }
    Some(items.into_iter().filter_map(|item| reader.integer(item, 100..=599)).collect())
}

/// What a URL asks of whom (RFC 3986, section 3; RFC 9110, section 7.1).
///
/// # Errors
/// What would do instead.
fn url(text: &str) -> Result<HttpProbe, &'static str> {
    const HTTP: &str = "http://";
    let scheme = text.get(..HTTP.len()).unwrap_or("");
    if !scheme.eq_ignore_ascii_case(HTTP) {
        let tls = text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        return Err(if tls {
            "`http://`: foster speaks no TLS; ask a plain port, or use `exec`"
        } else {
            "a URL that begins with `http://`"
        });
    }
    let rest = text.get(HTTP.len()..).unwrap_or("");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let address = address(authority, Some(80))?;
    // It is written into the request as it is: a space or a line end there would make another request.
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err("a path without spaces, `#` or other characters that a URL has to encode");
    }
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(HttpProbe { address, host: authority.to_owned(), target, status: Vec::new() })
}

const LITERAL: &str = "an address as a number, or `localhost`: no names are looked up";

/// `127.0.0.1:80`, `[::1]:80`, `localhost:80`; without a port where there is a default one.
///
/// # Errors
/// What would do instead.
fn address(text: &str, default_port: Option<u16>) -> Result<SocketAddr, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']').ok_or("a `]` behind an IPv6 address")?;
            let host = host.parse().map(IpAddr::V6).map_err(|_| "an IPv6 address in the brackets")?;
            match behind.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if behind.is_empty() => (host, None),
                None => return Err("`:` and a port behind the `]`"),
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
        Some(0) | None => Err("a port from 1 to 65535 behind the address"),
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
    fn a_url_says_whom_to_ask_for_what() {
        for (text, address, host, target) in [
            ("http://127.0.0.1:8000/api?x=1", "127.0.0.1:8000", "127.0.0.1:8000", "/api?x=1"),
            ("HTTP://localhost", "127.0.0.1:80", "localhost", "/"),
            ("http://[::1]:81?x", "[::1]:81", "[::1]:81", "/?x"),
        ] {
            let probe = url(text).expect(text);
            assert_eq!((probe.address.to_string().as_str(), probe.host.as_str()), (address, host));
            assert_eq!(probe.target, target);
        }
    }

    #[test]
    fn a_url_that_cannot_be_asked_without_a_resolver_or_tls_is_refused() {
        for text in [
            "",
            "127.0.0.1",
            "https://127.0.0.1/",
            "http://",
            "http://db/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:+80/",
            "http://127.0.0.1:/",
            "http://::1/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[127.0.0.1]/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/\r\nHost: x",
            "http://127.0.0.1/#x",
            "http://127.0.0.1/ä",
            "htt\u{e9}p://",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_of_tcp_needs_its_port() {
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
        fn no_text_makes_the_address_parser_panic(text in any::<String>()) {
            let _ = url(&text);
            let _ = url(&format!("http://{text}"));
            let _ = address(&text, None);
        }
    }
}
