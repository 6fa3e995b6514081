//! Which handler answers a path.
//!
//! Its sender is permitted already (`auth.rs`). What a path is not known for is status 404, never a file.

use super::http::{Request, Response, TEXT};
use crate::control::protocol::{self, Events, Logs, Reply, Stream};
use crate::control::web_process::Settings;
use crate::sys::timer;
use crate::xmlrpc;
use crate::xmlrpc::script::{Script, Stop};

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// A whole answer.
    Whole(Response),
    /// The beginning of one, which the replies to a request go on with.
    Follow {
        /// Its head.
        response: Response,
        /// The request.
        request: protocol::Request,
        /// How its replies are written.
        follower: Follower,
    },
}

/// How replies are written to a client that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follower {
    /// The text of a stream.
    Output(Stream),
    /// foster's own log.
    MainLog,
}

impl Follower {
    pub(super) fn bytes(self, reply: &Reply) -> Vec<u8> {
        match (self, reply) {
            (Follower::Output(stream), reply) => {
                xmlrpc::kept_text(std::slice::from_ref(reply), stream).into_bytes()
            }
            (Follower::MainLog, Reply::Event(event)) => xmlrpc::log_line(event).into_bytes(),
            (Follower::MainLog, _) => Vec::new(),
        }
    }
}

/// How many lines a client that follows gets first: about the kilobyte that supervisord starts with.
const FIRST_LINES: u32 = 16;

/// The answer to a request, whose sender is permitted.
pub(super) fn respond(settings: &Settings, request: &Request, script: &mut Script) -> Result<Answer, Stop> {
    let whole = |response| Ok(Answer::Whole(response));
    let (method, path) = (request.method.as_str(), request.path.as_str());
    if path.starts_with("/RPC2") {
        return match method {
            "POST" if request.is_cross_site() => whole(Response::of_status(403)),
            "POST" => whole(xml_rpc(settings, request, script)?),
            _ => whole(Response::of_status(400)),
        };
    }
    if let Some(rest) = path.strip_prefix("/logtail/") {
        return if method == "GET" { log_tail(rest, script) } else { whole(Response::of_status(400)) };
    }
    if path == "/mainlogtail" {
        let events = Events { lines: Some(FIRST_LINES), follow: true, ..Events::default() };
        let (request, follower) = (protocol::Request::Events(events), Follower::MainLog);
        return Ok(Answer::Follow { response: Response::new(200, TEXT, ""), request, follower });
    }
    whole(Response::of_status(404))
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
