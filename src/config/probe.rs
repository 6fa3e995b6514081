//! What a probe asks, the same for `ready` and for `health` (spec, section 3.5).
//!
//! The first process of a container resolves no names (`address.rs`) and speaks no TLS. Next: `ready.rs`, which reads the
//! times beside it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::plan::{HttpProbe, LinePattern, Probe};

use super::address::address;
use super::command::command;
use super::phrase::{one_of, quoted};
use super::reader::Reader;
use super::table::{Item, Table};

/// The kinds that `ready` takes.
pub(super) const READY_KINDS: [&str; 9] =
    ["http", "tcp", "unix", "exec", "file", "log", "notify", "fd", "ipc"];
/// The kinds that `health` takes: without those by which a program reports that it is ready, which it does once.
pub(super) const HEALTH_KINDS: [&str; 5] = ["http", "tcp", "unix", "exec", "file"];
/// The kinds by which a program reports that it is ready. Where one is not a kind for a key, it is refused by name.
const REPORTED: [&str; 4] = ["log", "notify", "fd", "ipc"];

/// Reads the one probe in the table of `owner`, which is of one of these kinds. Where one is refused by name, none
/// is reported as missing.
pub(super) fn probe(
    reader: &mut Reader<'_>,
    owner: Item<'_>,
    table: &Table,
    kinds: &[&str],
) -> Option<Probe> {
    let name = owner.name();
    let mut given = table.items().filter(|item| kinds.contains(&item.name()));
    let Some(kind) = given.next() else {
        if !table.items().any(|item| REPORTED.contains(&item.name())) {
            let note = format!("expected one of {}", one_of(kinds.iter().copied()));
            reader.diagnostics.error(owner.value.span, format!("`{name}` needs exactly one probe"), note);
        }
        return None;
    };
    for other in given {
        let message = format!("`{name}` has both `{}` and `{}`", kind.name(), other.name());
        reader.diagnostics.error(other.key.span, message, "expected only one of them");
    }
    for key in ["status", "headers", "method"] {
        if let Some(item) = table.get(key).filter(|_| kind.name() != "http") {
            reader.diagnostics.error(item.key.span, format!("`{key}` is only valid with `http`"), "");
        }
    }
    match kind.name() {
        "http" => http(reader, kind, table).map(Probe::Http),
        "tcp" => tcp(reader, kind).map(Probe::Tcp),
        "unix" => reader.socket_path(kind).map(Probe::Unix),
        "exec" => command(reader, kind).map(Probe::Exec),
        "file" => reader.path(kind).map(Probe::File),
        "notify" => reported(reader, kind, Probe::Notify),
        "ipc" => reported(reader, kind, Probe::Ipc),
        "fd" => reader.integer_or(kind, DESCRIPTORS, "a descriptor from 3 to 1023").map(Probe::Fd),
        _ => log(reader, kind).map(Probe::Log),
    }
}

/// The numbers a program may be given: above the standard streams, and below the usual limit on open files.
const DESCRIPTORS: RangeInclusive<i32> = 3..=1023;

fn reported(reader: &mut Reader<'_>, item: Item<'_>, probe: Probe) -> Option<Probe> {
    let given = reader.boolean(item)?;
    if !given {
        let expected = format!("`true`; a program that does not report needs no `{}`", item.name());
        reader.refuse(item, "`false`", &expected);
    }
    given.then_some(probe)
}

fn log(reader: &mut Reader<'_>, item: Item<'_>) -> Option<LinePattern> {
    let text = reader.text_or(item, "a regular expression")?;
    match LinePattern::new(&text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader.diagnostics.error(item.value.span, "`log` is not a regular expression", error);
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
    let headers = reader.field(table, "headers", headers);
    let method = reader.field(table, "method", |reader, item| reader.choice(item, &METHODS));
    let text = reader.text_or(item, "a URL such as `\"http://127.0.0.1:8000/health\"`")?;
    match url(&text) {
        Ok(probe) => Some(HttpProbe {
            status: status.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            method: method.unwrap_or(GET).to_owned(),
            ..probe
        }),
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

const GET: &str = "GET";
/// Methods that are valid without content.
const METHODS: [(&str, &str); 4] = [(GET, GET), ("HEAD", "HEAD"), ("OPTIONS", "OPTIONS"), ("POST", "POST")];

/// Fields that frame the request and control the connection; foster sets them itself.
const FRAMING: [&str; 6] = ["connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"];
/// The limits of header fields, so that a request is sent at once.
const MOST_HEADERS: usize = 32;
const LONGEST_HEADER: usize = 4096;

fn headers(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<(String, String)>> {
    let table = reader.table(item, "a table such as `{ Host = \"example.org\" }`")?;
    let mut headers = Vec::new();
    let mut names = BTreeSet::new();
    for item in table.items().take(MOST_HEADERS) {
        let value = header_value(reader, item);
        if is_header_name(reader, item, &mut names) {
            headers.extend(value.map(|value| (item.name().to_owned(), value)));
        }
    }
    if let Some(extra) = table.items().nth(MOST_HEADERS) {
        reader.diagnostics.error(
            extra.key.span,
            format!("`headers` has more than {MOST_HEADERS} fields"),
            "",
        );
    }
    Some(headers)
}

/// Whether a field may have this name (RFC 9110, section 5.1); else that is reported.
fn is_header_name(reader: &mut Reader<'_>, item: Item<'_>, names: &mut BTreeSet<String>) -> bool {
    let name = item.name();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let (message, note) = if name.is_empty() || !name.bytes().all(token) {
        let message = format!("{} is not a valid name of a header field", quoted(name));
        (message, "expected letters, digits and `-`")
    } else if FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
        (format!("`headers` cannot set `{name}`"), "foster sets this field itself")
    } else if !names.insert(name.to_ascii_lowercase()) {
        (format!("`{name}` in `headers` is set twice"), "names of fields are not case-sensitive")
    } else {
        return true;
    };
    reader.diagnostics.error(item.key.span, message, note);
    false
}

/// A valid field value (RFC 9110, section 5.5): a line end in it would start another field or request.
fn header_value(reader: &mut Reader<'_>, item: Item<'_>) -> Option<String> {
    let text = reader.text_or(item, "a string: `NAME = \"value\"`")?;
    let expected = if text.len() > LONGEST_HEADER {
        format!("at most {LONGEST_HEADER} bytes")
    } else if text.contains(|char: char| char.is_control() && char != '\t') {
        "a text without line ends or other control characters".to_owned()
    } else {
        return Some(text);
    };
    reader.refuse_text(item, &text, &expected);
    None
}

/// Parses a URL (RFC 3986, section 3; RFC 9110, section 7.1).
///
/// # Errors
/// What was expected.
fn url(text: &str) -> Result<HttpProbe, &'static str> {
    const HTTP: &str = "http://";
    let scheme = text.get(..HTTP.len()).unwrap_or("");
    if !scheme.eq_ignore_ascii_case(HTTP) {
        let tls = text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        return Err(if tls {
            "`http://`: TLS is not supported; use a port without TLS, or `exec`"
        } else {
            "a URL that starts with `http://`"
        });
    }
    let rest = text.get(HTTP.len()..).unwrap_or("");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let address = address(authority, Some(80))?;
    // The target is sent unchanged: a space or a line end in it would start another request.
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err("a path without spaces, `#` or other characters that a URL must encode");
    }
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(HttpProbe {
        address,
        method: GET.to_owned(),
        host: authority.to_owned(),
        target,
        headers: Vec::new(),
        status: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_an_address_a_host_and_a_target() {
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
    fn a_url_that_needs_a_resolver_or_tls_is_rejected() {
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

    proptest! {
        #[test]
        fn no_text_causes_a_panic_of_the_url_parser(text in any::<String>()) {
            let _ = url(&text);
            let _ = url(&format!("http://{text}"));
        }
    }
}
