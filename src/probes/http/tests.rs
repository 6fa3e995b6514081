//! Valid and hostile responses, whole and in pieces.

use proptest::prelude::*;

use super::*;

fn probe(status: &[u16]) -> HttpProbe {
    HttpProbe {
        address: ([127, 0, 0, 1], 8000).into(),
        method: "GET".to_owned(),
        host: "127.0.0.1:8000".to_owned(),
        target: "/api/health?full".to_owned(),
        headers: Vec::new(),
        status: status.to_vec(),
    }
}

/// The result of these pieces and a closed connection.
fn verdict<'a>(status: &[u16], pieces: impl IntoIterator<Item = &'a [u8]>) -> ProbeResult {
    let mut answer = ResponseHead::new(&probe(status));
    let verdict = pieces.into_iter().find_map(|piece| answer.take(piece));
    assert!(answer.head.len() <= HEAD_LIMIT);
    verdict.unwrap_or_else(|| answer.end())
}

fn of(text: &str) -> ProbeResult {
    verdict(&[], [text.as_bytes()])
}

fn failed(why: &str) -> ProbeResult {
    ProbeResult::Failed(why.to_owned())
}

#[test]
fn the_request_is_complete_and_requests_a_closed_connection() {
    let expected = format!(
        "GET /api/health?full HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: foster/{}\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(request(&probe(&[])), expected);
}

#[test]
fn every_status_from_200_to_399_passes_unless_a_list_says_otherwise() {
    for status in ["200 OK", "204 No Content", "302 Found", "399", "200"] {
        assert_eq!(of(&format!("HTTP/1.1 {status}\r\n\r\n")), ProbeResult::Passed, "{status}");
    }
    assert_eq!(of("HTTP/1.0 200 OK\nServer: old\n\n"), ProbeResult::Passed);
    for status in [199, 400, 404, 503, 999] {
        let expected = if status == 199 {
            "GET /api/health?full: the connection was closed in the middle of the response".to_owned()
        } else {
            format!("GET /api/health?full answered {status}")
        };
        assert_eq!(of(&format!("HTTP/1.1 {status} X\r\n\r\n")), failed(&expected));
    }
    let list = [401, 204];
    assert_eq!(verdict(&list, [&b"HTTP/1.1 401 No\r\n\r\n"[..]]), ProbeResult::Passed);
    assert_eq!(
        verdict(&list, [&b"HTTP/1.1 200 OK\r\n\r\n"[..]]),
        failed("GET /api/health?full answered 200")
    );
}

#[test]
fn interim_responses_are_skipped_and_101_is_final() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let text = format!("HTTP/1.1 100 Continue\r\n\r\n{early}{early}HTTP/1.1 200 OK\r\n\r\nbody");
    assert_eq!(of(&text), ProbeResult::Passed);
    assert_eq!(of("HTTP/1.1 101 Switching Protocols\r\n\r\n"), failed("GET /api/health?full answered 101"));
    assert_eq!(
        of(&early.repeat(1000)),
        failed("GET /api/health?full: the response's headers are longer than 16 KiB")
    );
}

#[test]
fn the_result_needs_the_head_and_not_the_body() {
    let mut answer = ResponseHead::new(&probe(&[]));
    assert_eq!(answer.take(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"), None);
    assert_eq!(answer.take(b"\r\n"), Some(ProbeResult::Passed));
}

#[test]
fn a_response_that_is_not_http_fails_at_once() {
    for text in
        ["SSH-2.0-OpenSSH_9.9\r\n", "+PONG\r\n", "H\0", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0", "\x15\x03"]
    {
        let mut answer = ResponseHead::new(&probe(&[]));
        assert_eq!(
            answer.take(text.as_bytes()),
            Some(failed("GET /api/health?full: the response is not HTTP")),
            "{text:?}"
        );
    }
}

#[test]
fn a_truncated_response_is_reported() {
    assert_eq!(of(""), failed("GET /api/health?full: the connection was closed without a response"));
    for text in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\n\r"] {
        assert_eq!(
            of(text),
            failed("GET /api/health?full: the connection was closed in the middle of the response"),
            "{text:?}"
        );
    }
}

#[test]
fn endless_headers_are_rejected_at_the_limit() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1_000_000));
    assert_eq!(of(&long), failed("GET /api/health?full: the response's headers are longer than 16 KiB"));
    let many = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(100_000));
    assert_eq!(of(&many), failed("GET /api/health?full: the response has more than 128 headers"));
    assert_eq!(
        of(&"\r\n".repeat(100_000)),
        failed("GET /api/health?full: the response's headers are longer than 16 KiB")
    );
}

#[test]
fn a_head_of_exactly_the_limit_is_read() {
    let frame = "HTTP/1.1 200 OK\r\nX: \r\n\r\n".len();
    for (filling, expected) in [
        (HEAD_LIMIT - frame, ProbeResult::Passed),
        (
            HEAD_LIMIT - frame + 1,
            failed("GET /api/health?full: the response's headers are longer than 16 KiB"),
        ),
    ] {
        assert_eq!(of(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(filling))), expected);
    }
}

/// Bytes that often start like a response.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<Vec<u8>>(),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"HTTP/1.0 503\n".to_vec()),
        Just(b"Server: a\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(vec![b'a'; 9000]),
        "[HTP/1. 0\r\n:]{0,20}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_how_the_bytes_are_split(
        bytes in answers(),
        cuts in proptest::collection::vec(1_usize..64, 1..32),
    ) {
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for size in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*size));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(verdict(&[], pieces), verdict(&[], [bytes.as_slice()]));
    }
}

fn fields(method: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let request = request(&HttpProbe { method: method.to_owned(), headers, ..probe(&[]) });
    let head = request.strip_suffix("\r\n\r\n").expect("an empty line at the end");
    head.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn configured_headers_replace_fosters_own_and_the_method_is_sent_as_it_is() {
    let agent = format!("User-Agent: {USER_AGENT}");
    assert_eq!(
        fields("HEAD", &[("X-Token", "a b"), ("host", "example.org")]),
        [
            "HEAD /api/health?full HTTP/1.1",
            "host: example.org",
            &agent,
            "Accept: */*",
            "X-Token: a b",
            "Connection: close"
        ]
    );
    let own = [("Accept", "text/plain"), ("user-agent", "probe")];
    assert_eq!(
        fields("GET", &own)[1..],
        ["Host: 127.0.0.1:8000", "Accept: text/plain", "user-agent: probe", "Connection: close"]
    );
}

#[test]
fn a_post_declares_no_content() {
    assert!(fields("POST", &[]).contains(&"Content-Length: 0".to_owned()));
    assert!(!fields("OPTIONS", &[]).iter().any(|field| field.starts_with("Content-Length")));
}

#[test]
fn messages_name_the_method_of_the_probe() {
    let mut head = ResponseHead::new(&HttpProbe { method: "HEAD".to_owned(), ..probe(&[]) });
    assert_eq!(head.take(b"HTTP/1.1 503 X\r\n\r\n"), Some(failed("HEAD /api/health?full answered 503")));
}
