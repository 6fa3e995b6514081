//! Reads `sockets`: an address, and options behind a `?` as in a URL (spec, section 3.7).
//!
//! Nothing is opened here. What several programs say about the same address is compared in `shared_sockets.rs`.

use std::path::Path;

use crate::plan::{ListenAddress, ListenOptions, ListenSocket};
use crate::suggest::suggest;

use super::address::address;
use super::launch::{account, octal};
use super::phrase::quoted;
use super::reader::{LONGEST_SOCKET_PATH, Reader, Scope};
use super::table::Item;

/// More sockets than a server has, and far fewer than the limit on descriptors.
const MAX_SOCKETS: usize = 100;
const MAX_BACKLOG: u32 = 65_535;
/// As in systemd.socket(5), `FileDescriptorName`.
const MAX_NAME: usize = 255;

const EXPECTED: &str = "an address such as `\"tcp://0.0.0.0:3000\"` or `\"unix:///run/app.sock\"`";
const OPTIONS: [&str; 7] = ["backlog", "reuseport", "v6only", "mode", "user", "group", "name"];

/// Reads the sockets of a program.
pub(super) fn sockets(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<ListenSocket>> {
    let items = reader.one_or_more(item);
    if items.len() > MAX_SOCKETS {
        let message = format!("`{}` has {} addresses", item.name(), items.len());
        reader.diagnostics.error(item.value.span, message, format!("expected at most {MAX_SOCKETS}"));
        return None;
    }
    let mut sockets: Vec<ListenSocket> = Vec::new();
    for item in items {
        let Some(socket) = socket(reader, item) else { continue };
        if sockets.iter().any(|other| other.address == socket.address) {
            let message = format!("`{}` has `{}` twice", item.name(), socket.address);
            reader.diagnostics.error(item.value.span, message, "expected each address once");
            continue;
        }
        sockets.push(socket);
    }
    Some(sockets)
}

fn socket(reader: &mut Reader<'_>, item: Item<'_>) -> Option<ListenSocket> {
    let text = reader.text_or(item, EXPECTED)?;
    socket_of(reader, item, text)
}

/// Reads one address with its options; `text` is the expanded value.
pub(super) fn socket_of(reader: &mut Reader<'_>, item: Item<'_>, text: String) -> Option<ListenSocket> {
    let (address, options) = text.split_once('?').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let parsed = match address.split_once("://") {
        Some(("tcp", host)) => tcp(host),
        Some(("unix", path)) => unix(path),
        Some(_) | None => Err(EXPECTED.to_owned()),
    };
    let address = match parsed {
        Ok(address) => address,
        Err(expected) => {
            reader.refuse_text(item, &text, &expected);
            return None;
        }
    };
    // Unless it says otherwise, a socket has the name of its program.
    let name = match reader.scope() {
        Scope::Program(name) | Scope::Disabled(name) => name.to_owned(),
        Scope::File => String::new(),
    };
    let mut socket = ListenSocket { address, options: ListenOptions::default(), name };
    let mut seen: Vec<&str> = Vec::new();
    for option in options.iter().flat_map(|options| options.split('&')) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let result = match OPTIONS.contains(&key) {
            false if option.is_empty() => Err(("is empty".to_owned(), "expected `NAME=VALUE`".to_owned())),
            false => Err(("is unknown".to_owned(), suggest(key, OPTIONS))),
            true if seen.contains(&key) => Err(("is set twice".to_owned(), String::new())),
            true => set(&mut socket, key, value),
        };
        seen.push(key);
        if let Err((problem, note)) = result {
            let span = reader.diagnostics.narrow(item.value.span, option);
            let option =
                if option.is_empty() { "an option".to_owned() } else { format!("option {}", quoted(key)) };
            reader.diagnostics.error(span, format!("{option} of `{}` {problem}", socket.address), note);
        }
    }
    Some(socket)
}

fn tcp(host: &str) -> Result<ListenAddress, String> {
    let host = match host.strip_prefix("*:") {
        Some(port) => return Err(format!("`tcp://0.0.0.0:{port}` or `tcp://[::]:{port}` for every address")),
        None => host,
    };
    address(host, None).map(ListenAddress::Tcp).map_err(str::to_owned)
}

fn unix(path: &str) -> Result<ListenAddress, String> {
    let is_file = path.starts_with('/') && Path::new(path).file_name().is_some() && !path.ends_with('/');
    let is_abstract = path.starts_with('@') && path.len() > 1;
    if path.len() > LONGEST_SOCKET_PATH {
        return Err(format!("at most {LONGEST_SOCKET_PATH} bytes for the path of a socket"));
    }
    match is_file || is_abstract {
        true => Ok(ListenAddress::Unix(path.into())),
        false => {
            Err("an absolute path, as in `unix:///run/app.sock`, or an abstract name: `unix://@app`"
                .to_owned())
        }
    }
}

/// Sets an option that is known.
///
/// # Errors
/// The problem, and what was expected.
fn set(socket: &mut ListenSocket, key: &str, value: &str) -> Result<(), (String, String)> {
    let kind = match &socket.address {
        ListenAddress::Tcp(address) if address.is_ipv6() => "IPv6",
        ListenAddress::Tcp(_) => "TCP",
        ListenAddress::Unix(path) if path.as_os_str().as_encoded_bytes().starts_with(b"@") => "abstract",
        ListenAddress::Unix(_) => "file",
    };
    let wanted = match key {
        "reuseport" if !matches!(kind, "TCP" | "IPv6") => "is only valid with `tcp://`",
        "v6only" if kind != "IPv6" => "is only valid with an IPv6 address",
        "mode" | "user" | "group" if kind != "file" => "is only valid with the path of a Unix socket",
        _ => "",
    };
    if !wanted.is_empty() {
        return Err((wanted.to_owned(), String::new()));
    }
    let expected = match key {
        "backlog" => "a number from 1 to 65535",
        "mode" => "an octal number such as `0660`",
        "user" => "the name or uid of a user",
        "group" => "the name or gid of a group",
        "name" => "at most 255 printable ASCII characters, without `:`",
        _ => "`true` or `false`",
    };
    let options = &mut socket.options;
    let is_set = match key {
        "backlog" => {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            options.backlog =
                value.parse().ok().filter(|backlog| digits && (1..=MAX_BACKLOG).contains(backlog));
            options.backlog.is_some()
        }
        "reuseport" => value.parse().map(|value| options.reuseport = value).is_ok(),
        "v6only" => value.parse().map(|value| options.v6only = value).is_ok(),
        "mode" => octal(value).map(|mode| options.mode = mode).is_some(),
        "user" => account(value).map(|user| options.user = Some(user)).is_some(),
        "group" => account(value).map(|group| options.group = Some(group)).is_some(),
        _ => {
            let valid = |byte: u8| byte.is_ascii_graphic() && byte != b':';
            let is_valid = !value.is_empty() && value.len() <= MAX_NAME && value.bytes().all(valid);
            value.clone_into(&mut socket.name);
            is_valid
        }
    };
    match is_set {
        true => Ok(()),
        false => Err((format!("cannot be {}", quoted(value)), format!("expected {expected}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_an_interface_a_path_or_an_abstract_name() {
        for text in ["0.0.0.0:80", "127.0.0.1:3000", "[::]:80", "[::1]:1", "localhost:80"] {
            assert!(tcp(text).is_ok(), "{text}");
        }
        for text in ["", ":80", "*:80", "0.0.0.0", "0.0.0.0:0", "0.0.0.0:65536", "web:80", "::1:80"] {
            assert!(tcp(text).is_err(), "{text}");
        }
        for text in ["/run/app.sock", "@app", "/a"] {
            assert!(unix(text).is_ok(), "{text}");
        }
        for text in ["", "/", "@", "run/app.sock", "/run/", "/run/..", &format!("/{}", "x".repeat(107))] {
            assert!(unix(text).is_err(), "{text}");
        }
    }
}
