//! HTTP/1.1: a request out of the bytes of a client, an answer into bytes. Pure.
//!
//! The head of a request is read before its body, so that a client without the password costs a head alone.
//! A request is refused as soon as it is certain that it is none: too long, ambiguous, or with a body that has no length.
//! Nothing is sent on, so no two parsers have to agree about it (RFC 9112, section 11).

use super::limits;

/// A whole request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, decoded, without the query.
    pub(super) path: String,
    /// The pairs of the query, or of the form in the body, decoded.
    pub(super) form: Vec<(String, String)>,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    /// Whether the connection stays open after it.
    pub(super) keep_alive: bool,
    /// How its client finds the end of an answer without a length.
    pub(super) framing: Framing,
}

/// How the end of an answer without a length is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// By an empty chunk.
    #[default]
    Chunks,
    /// By that of the connection: HTTP/1.0 has no chunks (RFC 9112, section 6.1).
    Close,
}

impl Framing {
    /// A part of the body; an empty one ends it.
    pub(super) fn part(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Framing::Chunks => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            Framing::Close => bytes.to_vec(),
        }
    }
}

/// The header fields that the helper reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) authorization: Option<Vec<u8>>,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) referer: Option<String>,
    pub(super) fetch_site: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) content_type: Option<String>,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The request, without its body.
    pub(super) request: Request,
    /// Its own length in bytes.
    pub(super) length: usize,
    /// That of the body.
    pub(super) body: usize,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A head.
    Whole(Box<Head>),
    /// The beginning of one.
    Partial,
    /// None; the status to answer with.
    Refused(u16),
}

/// Reads the head of a request from the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; limits::FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= limits::HEAD => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Parsed::Refused(431);
        }
        Ok(httparse::Status::Partial) if bytes.len() >= limits::HEAD => return Parsed::Refused(431),
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Refused(400),
    };
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        keep_alive: head.version == Some(1),
        framing: if head.version == Some(1) { Framing::Chunks } else { Framing::Close },
        ..Request::default()
    };
    let (mut body, mut expects_continue) = (None, false);
    for field in head.headers.iter() {
        let name = field.name.to_ascii_lowercase();
        let text = || Some(String::from_utf8_lossy(field.value).into_owned());
        let headers = &mut request.headers;
        match name.as_str() {
            "content-length" => {
                let length = std::str::from_utf8(field.value)
                    .ok()
                    .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let Some(length) = length.and_then(|text| text.parse::<usize>().ok()) else {
                    return Parsed::Refused(400);
                };
                if body.is_some_and(|earlier| earlier != length) {
                    return Parsed::Refused(400);
                }
                body = Some(length);
            }
            "transfer-encoding" => return Parsed::Refused(501),
            "expect" => expects_continue = true,
            "connection" => {
                let value = field.value.to_ascii_lowercase();
                let has =
                    |word: &[u8]| value.split(|byte| *byte == b',').any(|part| part.trim_ascii() == word);
                request.keep_alive = !has(b"close") && (request.keep_alive || has(b"keep-alive"));
            }
            "authorization" => headers.authorization = Some(field.value.to_vec()),
            "host" if headers.host.is_some() => return Parsed::Refused(400),
            "host" => headers.host = text(),
            "origin" => headers.origin = text(),
            "referer" => headers.referer = text(),
            "sec-fetch-site" => headers.fetch_site = text(),
            "accept" => headers.accept = text(),
            "content-type" => headers.content_type = text(),
            _ => {}
        }
    }
    let body = body.unwrap_or(0);
    if body > limits::BODY {
        return Parsed::Refused(413);
    }
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // Of a proxy's form only the path is of interest.
    let path = path
        .strip_prefix("http://")
        .map_or(path, |rest| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    let Some(path) = decoded(path, false).filter(|path| path.starts_with('/')) else {
        return Parsed::Refused(400);
    };
    request.path = path;
    request.form = pairs(query);
    Parsed::Whole(Box::new(Head { request, length, body, expects_continue }))
}

impl Request {
    /// The request with its body.
    pub(super) fn with_body(mut self, body: Vec<u8>) -> Request {
        let kind = self.headers.content_type.as_deref();
        if kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            self.form.extend(pairs(&String::from_utf8_lossy(&body)));
        } else {
            self.body = body;
        }
        self
    }

    /// The value of a field of the query or of the form: the first of this name.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a browser sent it for a page of another site: then it must change nothing.
    pub(super) fn is_cross_site(&self) -> bool {
        let Headers { host, origin, referer, fetch_site, .. } = &self.headers;
        if let Some(site) = fetch_site {
            return !matches!(site.as_str(), "same-origin" | "none");
        }
        let of = |url: &str| {
            url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned())
        };
        match origin.as_deref().or(referer.as_deref()) {
            Some(url) => of(url).is_none_or(|from| Some(from.as_str()) != host.as_deref()),
            None => false,
        }
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name, true)?, decoded(value, true)?))
    };
    text.split('&').filter(|text| !text.is_empty()).filter_map(pair).collect()
}

/// Decodes `%41`, and in a form `+`; `None`: it is not UTF-8, or has a control character.
fn decoded(text: &str, is_form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            b'+' if is_form => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    /// Further header fields, each with its line end.
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, kind, headers: String::new(), body: body.into() }
    }

    /// A page with the status alone.
    pub(super) fn of_status(status: u16) -> Response {
        let mut response = Response::new(status, TEXT, format!("{}\n", Response::title(status)));
        if status == 401 {
            response.headers.push_str("WWW-Authenticate: Basic realm=\"default\"\r\n");
        }
        response
    }

    /// The number and the name of a status.
    pub(super) fn title(status: u16) -> String {
        format!("{status} {}", reason(status))
    }

    /// The bytes of it: of an answer to `HEAD` the head alone (RFC 9110, section 9.3.2).
    pub(super) fn bytes_for(&self, method: &str, keep_alive: bool) -> Vec<u8> {
        let mut bytes = self.bytes(keep_alive);
        if method == "HEAD" {
            bytes.truncate(bytes.len() - self.body.len());
        }
        bytes
    }

    /// The bytes of it.
    pub(super) fn bytes(&self, keep_alive: bool) -> Vec<u8> {
        let length = format!("Content-Length: {}\r\n", self.body.len());
        [self.head(&length, keep_alive).as_bytes(), &self.body].concat()
    }

    /// The head of an answer that follows a log: its body has no length.
    pub(super) fn head_of_parts(&self, framing: Framing) -> Vec<u8> {
        let coding = if framing == Framing::Chunks { "Transfer-Encoding: chunked\r\n" } else { "" };
        self.head(&format!("{coding}X-Accel-Buffering: no\r\n"), framing == Framing::Chunks).into_bytes()
    }

    fn head(&self, length: &str, keep_alive: bool) -> String {
        let Response { status, kind, headers, .. } = self;
        let connection = if keep_alive { "" } else { "Connection: close\r\n" };
        let reason = reason(*status);
        format!(
            "HTTP/1.1 {status} {reason}\r\nServer: foster\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n{headers}{length}{connection}\r\n"
        )
    }
}

pub(super) const TEXT: &str = "text/plain;charset=utf-8";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Parsed::Whole(head) => {
                assert_eq!(head.length + head.body, text.len());
                let body = text.as_bytes().get(head.length..).unwrap_or_default();
                head.request.with_body(body.to_vec())
            }
            other @ (Parsed::Partial | Parsed::Refused(_)) => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_has_its_path_its_pairs_and_its_body() {
        let request = whole("GET /tail.html?processname=a%3Ab&limit=10 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!((request.path.as_str(), request.form.len()), ("/tail.html", 2));
        assert!(request.keep_alive && request.form.first() == Some(&("processname".into(), "a:b".into())));
        let request = whole("POST /RPC2 HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
        assert!(!request.keep_alive && request.body == b"abc");
        let form = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=b+c&d";
        assert_eq!(whole(form).form, [("a".into(), "b c".into()), ("d".into(), String::new())]);
        let proxy = whole("GET http://host/a HTTP/1.1\r\nConnection: Close\r\n\r\n");
        assert!(proxy.path == "/a" && !proxy.keep_alive);
    }

    #[test]
    fn what_is_too_long_or_ambiguous_is_refused() {
        let refused = |text: &str| match parse(text.as_bytes()) {
            Parsed::Refused(status) => status,
            other @ (Parsed::Whole(..) | Parsed::Partial) => panic!("{text:?}: {other:?}"),
        };
        for (text, status) in [
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", 413),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET /%zz HTTP/1.1\r\n\r\n", 400),
            ("GET /%00 HTTP/1.1\r\n\r\n", 400),
            ("GET /%ff HTTP/1.1\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
        ] {
            assert_eq!(refused(text), status, "{text}");
        }
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(10_000))), 431);
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(limits::HEAD))), 431);
    }

    #[test]
    fn a_request_of_another_site_is_known() {
        let from =
            |fields: &str| whole(&format!("POST / HTTP/1.1\r\nHost: h:1\r\n{fields}\r\n")).is_cross_site();
        for own in [
            "",
            "Origin: http://h:1\r\n",
            "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n",
            "Referer: http://h:1/x\r\n",
        ] {
            assert!(!from(own), "{own}");
        }
        for other in [
            "Origin: null\r\n",
            "Origin: http://h:2\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Referer: http://e/h:1\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            assert!(from(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"POST / HTTP/1.1\r\n".as_slice(), &bytes].concat());
        }

    }
}
