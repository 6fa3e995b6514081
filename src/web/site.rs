//! Which handler answers a path.
//!
//! Its sender is permitted already (`auth.rs`), but for the health of the programs. What a path is not known for is status
//! 404, never a file.

use std::net::IpAddr;

use super::answer::{Answer, Context, Follower};
use super::http::{Request, Response, TEXT};
use super::{health, metrics, page};
use crate::control::protocol::{self, Events, Logs, Reply};
use crate::control::web_process::{ServerSettings, Settings};
use crate::sys::timer;
use crate::xmlrpc;
use crate::xmlrpc::script::{Script, Stop};

/// The bytes of a reply for a client that follows.
pub(super) fn bytes_of(follower: Follower, reply: &Reply) -> Vec<u8> {
    match (follower, reply) {
        (Follower::Output(stream), reply) => {
            xmlrpc::kept_text(std::slice::from_ref(reply), stream).into_bytes()
        }
        (Follower::MainLog, Reply::Event(event)) => xmlrpc::log_line(event).into_bytes(),
        (Follower::MainLog, _) => Vec::new(),
        (Follower::Events, reply) => page::live::event(reply),
        (Follower::Lines, reply) => page::live::line(reply),
    }
}

/// How many lines a client that follows gets first: about the kilobyte that supervisord starts with.
const FIRST_LINES: u32 = 16;

/// Whether a request is answered without a password: an orchestrator has none.
pub(super) fn is_open(request: &Request) -> bool {
    matches!(request.path.as_str(), "/healthz" | "/readyz")
}

/// Whether a request gives an order.
pub(super) fn is_order(request: &Request) -> bool {
    request.path == "/order"
}

/// The answer to a request.
pub(super) fn respond(context: Context<'_>, request: &Request, script: &mut Script) -> Result<Answer, Stop> {
    let whole = |response| Ok(Answer::Whole(response));
    let (method, path) = (request.method.as_str(), request.path.as_str());
    if let Some(refused) = foreign_host(context.server, request) {
        return whole(refused);
    }
    if context.server.rpc && path.starts_with("/RPC2") {
        return match method {
            "POST" if request.is_cross_site() => whole(Response::of_status(403)),
            "POST" => whole(xml_rpc(context.settings, request, script)?),
            _ => whole(Response::of_status(400)),
        };
    }
    let known: Option<&str> = match path {
        "/order" => Some("POST"),
        "/metrics" if !context.server.metrics => None,
        "/" | "/log" | "/events" | "/follow" | "/style.css" | "/script.js" | "/metrics" | "/healthz"
        | "/readyz" | "/mainlogtail" => Some("GET"),
        path if path.starts_with("/logtail/") => Some("GET"),
        _ => None,
    };
    let Some(allowed) = known else { return whole(Response::of_status(404)) };
    let is_read = matches!(method, "GET" | "HEAD");
    if if allowed == "GET" { !is_read } else { method != allowed } {
        let mut response = Response::of_status(405);
        response.headers.push_str(if allowed == "GET" { "Allow: GET, HEAD\r\n" } else { "Allow: POST\r\n" });
        return whole(response);
    }
    let answer = match path {
        "/" => Answer::Whole(page::overview(context, request, script)?),
        "/log" => Answer::Whole(page::log(context, request, script)?),
        "/order" => page::orders::order(context, request, script)?,
        "/style.css" => Answer::Whole(page::style()),
        "/script.js" => Answer::Whole(page::script()),
        "/metrics" => Answer::Whole(metrics::respond(request, script)?),
        "/healthz" => Answer::Whole(health::respond(health::Counted::Wanted, context.is_permitted, script)?),
        "/readyz" => {
            Answer::Whole(health::respond(health::Counted::Autostarted, context.is_permitted, script)?)
        }
        "/events" => page::live::events(),
        "/follow" => page::live::follow(request),
        "/mainlogtail" => main_log_tail(),
        other => log_tail(other.strip_prefix("/logtail/").unwrap_or_default(), script)?,
    };
    if method == "HEAD"
        && let Answer::Follow { response, .. } = answer
    {
        return whole(response);
    }
    Ok(answer)
}

/// A page of another site whose name leads to this host could read the answers, and give orders (DNS rebinding): where
/// neither a password nor the network keeps it out, only names of this host are answered.
fn foreign_host(server: &ServerSettings, request: &Request) -> Option<Response> {
    if server.unix || !server.local || server.username.is_some() {
        return None;
    }
    let host = request.headers.host.as_deref()?;
    if is_own(host) {
        return None;
    }
    let shown: String = host.chars().take(100).filter(|char| !char.is_control()).collect();
    let text = format!(
        "421 Misdirected Request: `{shown}` is not a name of this host. Ask at 127.0.0.1 or localhost, or set `username` \
         and `password_file` of `[web]`.\n"
    );
    Some(Response::new(421, TEXT, text))
}

/// Whether the field `Host` has an address or a name of the local host.
fn is_own(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.is_empty() || name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

fn xml_rpc(settings: &Settings, request: &Request, script: &mut Script) -> Result<Response, Stop> {
    let context = xmlrpc::Context {
        identifier: &settings.identifier,
        supervisor: nix::unistd::getppid().as_raw(),
        now: timer::unix_ms() / 1000,
    };
    Ok(match xmlrpc::respond(context, &request.body, script)? {
        Some(document) => Response::new(200, "text/xml", document),
        None => Response::of_status(400),
    })
}

fn main_log_tail() -> Answer {
    let events = Events { lines: Some(FIRST_LINES), follow: true, ..Events::default() };
    let (request, follower) = (protocol::Request::Events(events), Follower::MainLog);
    Answer::Follow { response: Response::new(200, TEXT, ""), request, follower }
}

/// `NAME` or `NAME/CHANNEL`.
fn log_tail(rest: &str, script: &mut Script) -> Result<Answer, Stop> {
    let (name, channel) = rest.split_once('/').unwrap_or((rest, "stdout"));
    let found = xmlrpc::processes::all(script).and_then(|all| xmlrpc::processes::one(all, name));
    let process = match found {
        Ok(process) => process,
        Err(Stop::Fault(..)) => return Ok(Answer::Whole(Response::of_status(404))),
        Err(ask @ Stop::Ask(_)) => return Err(ask),
    };
    let Some(stream) = xmlrpc::channel(channel) else { return Ok(Answer::Whole(Response::of_status(404))) };
    let names = vec![process.row.label];
    let logs = Logs { names, lines: Some(FIRST_LINES), since_ms: None, follow: true };
    let (request, follower) = (protocol::Request::Logs(logs), Follower::Output(stream));
    Ok(Answer::Follow { response: Response::new(200, TEXT, ""), request, follower })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_its_own() {
        for host in
            ["localhost:9001", "127.0.0.1", "127.0.0.1:9001", "[::1]:9001", "a.localhost", "LOCALHOST.", ""]
        {
            assert!(is_own(host), "{host}");
        }
        for host in ["example.org", "example.org:9001", "localhost.example.org", "127.0.0.1.example.org"] {
            assert!(!is_own(host), "{host}");
        }
    }

    #[test]
    fn a_foreign_host_is_refused_where_neither_a_password_nor_the_network_keeps_it_out() {
        let request = |host: Option<&str>| {
            let mut request = Request::default();
            request.headers.host = host.map(str::to_owned);
            request
        };
        let open = || ServerSettings { local: true, ..ServerSettings::default() };
        let refused = |server: &ServerSettings| {
            foreign_host(server, &request(Some("example.org"))).map(|response| response.status)
        };
        assert_eq!(refused(&open()), Some(421));
        assert!(foreign_host(&open(), &request(None)).is_none());
        for server in [
            ServerSettings { unix: true, ..open() },
            ServerSettings { local: false, ..open() },
            ServerSettings { username: Some("a".into()), ..open() },
        ] {
            assert_eq!(refused(&server), None);
        }
    }
}
