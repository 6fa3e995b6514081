//! The server of a session: foster's own socket, or XML-RPC of foster's web helper or of supervisord.
//!
//! Every verb is written over [`Server::call`] and [`Server::follow`] alone. On foster's own socket the methods run here,
//! by the same code as in the web helper (`xmlrpc/`); elsewhere they are sent.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::feed::Feed;
use super::http::{self, Error};
use super::status;
use super::url::Target;
use crate::base64;
use crate::client::{ask, collect};
use crate::control::client::ClientError;
use crate::control::protocol::{Events, Logs, Names, Problem, Reply, Request};
use crate::sys::timer;
use crate::xmlrpc::script::{Script, Stop};
use crate::xmlrpc::value::{self, Value};
use crate::xmlrpc::{self, Context, processes, xml};

/// The longest answer in bytes.
const LONGEST_ANSWER: usize = 16 << 20;
/// How long an answer may take that a server has at once.
const ANSWER_AT_ONCE: Duration = Duration::from_secs(60);
/// How long foster or another server may take to show which it is.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// A server.
#[derive(Debug)]
pub(super) enum Server {
    /// A foster, at the first of these sockets on which one listens.
    Foster(Vec<PathBuf>),
    /// A server of XML-RPC.
    Remote(Remote),
}

/// A server of XML-RPC.
#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    target: Target,
    credentials: Credentials,
}

/// A user and a password, as far as they are given.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// Why a method has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// A fault of XML-RPC.
    Fault(i64, String),
    /// A status of HTTP that is not 200.
    Status(u16, String),
    /// There is no server: the message, and the exit status of verbs that look for it first.
    Absent(String, u8),
    /// Another reason.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Fault(code, text) => write!(f, "<Fault {code}: '{text}'>"),
            Failure::Status(status, reason) => write!(f, "the server answers {status} {reason}"),
            Failure::Absent(message, _) | Failure::Other(message) => f.write_str(message),
        }
    }
}

impl From<crate::client::Failure> for Failure {
    fn from(failure: crate::client::Failure) -> Failure {
        let text = failure.render();
        let crate::client::Failure::Client(error) = failure else { return Failure::Other(text) };
        if matches!(error, ClientError::NoSocket(_)) {
            return Failure::Absent(text, status::NOT_RUNNING);
        }
        let is_absent = matches!(
            error,
            ClientError::NotListening(_) | ClientError::NotASocket(_) | ClientError::Denied(_)
        );
        if is_absent { Failure::Absent(text, status::UNKNOWN) } else { Failure::Other(text) }
    }
}

impl Server {
    /// The server that a URL names. A Unix socket may be foster's own, whose answers differ from those of HTTP.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(super) fn at(url: &str, credentials: Credentials) -> Result<Server, String> {
        let target = Target::parse(url)?;
        if let Target::Unix(path) = &target
            && http::first_byte(&target, b"HEAD / HTTP/1.0\r\n\r\n", INTRODUCTION) == Some(b'{')
        {
            return Ok(Server::Foster(vec![path.clone()]));
        }
        Ok(Server::Remote(Remote { url: url.to_owned(), target, credentials }))
    }

    /// Calls a method.
    pub(super) fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Failure> {
        let method = format!("supervisor.{method}");
        match self {
            Server::Remote(remote) => remote.call(&method, params),
            Server::Foster(sockets) => {
                let supervisor = match method.as_str() {
                    // These are known without an answer, but only if there is a supervisor.
                    "supervisor.getVersion" | "supervisor.getPID" => {
                        let answer = ask(sockets, &Request::Status(Names { names: Vec::new() }))?;
                        answer.server().map_or(0, |server| server.pid)
                    }
                    _ => 0,
                };
                let context = Context { identifier: "supervisor", supervisor, now: timer::unix_ms() / 1000 };
                run(sockets, |script| xmlrpc::call(context, script, &method, params))
            }
        }
    }

    /// Calls a method whose result is a list.
    pub(super) fn list(&mut self, method: &str, params: &[Value]) -> Result<Vec<Value>, Failure> {
        let result = self.call(method, params)?;
        if let Value::Array(values) = result {
            Ok(values)
        } else {
            Err(Failure::Other(format!(
                "the result of `{method}` is not a list: the server is not supervisord"
            )))
        }
    }

    /// The output of a process, or with `None` the log of the supervisor: its end, and then what is added.
    pub(super) fn follow(&mut self, what: Option<(&str, &str)>) -> Result<Feed, Failure> {
        match self {
            Server::Remote(remote) => {
                let path = match what {
                    Some((name, channel)) => format!("/logtail/{name}/{channel}"),
                    None => "/mainlogtail".to_owned(),
                };
                remote.follow(&path)
            }
            Server::Foster(sockets) => {
                let Some((name, channel)) = what else {
                    let events = Events { lines: Some(FIRST_LINES), follow: true, ..Events::default() };
                    return Ok(Feed::events(ask(sockets, &Request::Events(events))?));
                };
                let process = run(sockets, |script| processes::one(processes::all(script)?, name))?;
                let names = vec![process.row.label];
                let logs = Logs { names, lines: Some(FIRST_LINES), since_ms: None, follow: true };
                let stream = xmlrpc::channel(channel)
                    .ok_or_else(|| Failure::Other(format!("there is no channel `{channel}`")))?;
                Ok(Feed::output(ask(sockets, &Request::Logs(logs))?, stream))
            }
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> Option<&str> {
        if let Server::Remote(remote) = self { Some(&remote.url) } else { None }
    }

    /// Who asks it.
    pub(super) fn credentials(&mut self) -> Option<&mut Credentials> {
        if let Server::Remote(remote) = self { Some(&mut remote.credentials) } else { None }
    }
}

/// How many lines come first: about the kilobyte that supervisord starts with.
const FIRST_LINES: u32 = 16;

/// Runs a method that asks the supervisor on its way, until it has its result.
pub(super) fn run<T>(
    sockets: &[PathBuf],
    method: impl Fn(&mut Script) -> Result<T, Stop>,
) -> Result<T, Failure> {
    let mut script = Script::default();
    loop {
        script.rewind();
        let request = match method(&mut script) {
            Ok(value) => return Ok(value),
            Err(Stop::Fault(code, text)) => return Err(Failure::Fault(code, text)),
            Err(Stop::Ask(request)) => request,
        };
        let mut problems = Vec::new();
        let asked = collect(sockets, &request, |line| problems.push(line.to_owned()));
        let answer = match asked {
            Ok(replies) => Ok(replies),
            Err(crate::client::Failure::Client(ClientError::Refused(refusal))) => {
                let problems = problems.into_iter().map(|text| Reply::Problem(Problem { text })).collect();
                Err((refusal, problems))
            }
            Err(failure) => return Err(failure.into()),
        };
        // The bound is the web helper's: this process has one request.
        script.answer(answer, 0);
    }
}

impl Remote {
    fn failure(&self, error: Error) -> Failure {
        match error {
            Error::Refused => Failure::Absent(format!("{} refused connection", self.url), status::UNKNOWN),
            Error::NoFile => Failure::Absent(format!("{} no such file", self.url), status::NOT_RUNNING),
            Error::Other(why) => Failure::Other(format!("{}: {why}", self.url)),
        }
    }

    /// The fields of every request.
    fn fields(&self, has_user: bool) -> String {
        let Credentials { username, password } = &self.credentials;
        let user = if has_user { username.as_deref() } else { username.as_deref().or(Some("")) };
        let mut fields = format!(
            "Host: {}\r\nUser-Agent: {}\r\n",
            self.target.host(),
            concat!("foster/", env!("CARGO_PKG_VERSION"))
        );
        if let (Some(user), Some(password)) = (user, password) {
            let text = base64::encode(format!("{user}:{password}").as_bytes());
            fields.push_str(&format!("Authorization: Basic {text}\r\n"));
        }
        fields
    }

    fn call(&self, method: &str, params: &[Value]) -> Result<Value, Failure> {
        let document = value::request(method, params);
        let head = format!(
            "POST /RPC2 HTTP/1.1\r\n{}Connection: close\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            self.fields(true),
            document.len()
        );
        let answer = http::send(&self.target, (head + &document).as_bytes(), patience(method));
        let answer = answer.map_err(|error| self.failure(error))?;
        if answer.status != 200 {
            return Err(Failure::Status(answer.status, answer.reason));
        }
        let body = answer.body.whole(LONGEST_ANSWER).map_err(|error| self.failure(error))?;
        match xml::response(&body) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err((code, text))) => Err(Failure::Fault(code, text)),
            Err(_) => Err(Failure::Other(format!(
                "{}: the answer is not XML-RPC: it is not supervisord's",
                self.url
            ))),
        }
    }

    fn follow(&self, path: &str) -> Result<Feed, Failure> {
        // Without `Connection: close`: to that supervisord sends no chunks, and never ends to collect the whole.
        let request = format!("GET {path} HTTP/1.1\r\n{}Accept: */*\r\n\r\n", self.fields(false));
        let answer =
            http::send(&self.target, request.as_bytes(), None).map_err(|error| self.failure(error))?;
        if answer.status == 200 {
            Ok(Feed::body(answer.body))
        } else {
            Err(Failure::Status(answer.status, path.to_owned()))
        }
    }
}

/// The time limit for an answer; `None`: a process may take long to start or to stop.
fn patience(method: &str) -> Option<Duration> {
    let waits = ["start", "stop", "add", "remove"];
    let verb = method.strip_prefix("supervisor.").unwrap_or(method);
    (!waits.iter().any(|start| verb.starts_with(start))).then_some(ANSWER_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_that_wait_for_a_process_have_no_time_limit() {
        for (method, is_limited) in [
            ("supervisor.getAllProcessInfo", true),
            ("supervisor.startProcess", false),
            ("supervisor.stopAllProcesses", false),
            ("supervisor.shutdown", true),
        ] {
            assert_eq!(patience(method).is_some(), is_limited, "{method}");
        }
    }
}
