//! supervisord's XML-RPC: every method with its parameters, results and faults.
//!
//! `methods.rs` has the table of methods; each is a handler that asks the supervisor on its way (`script.rs`).

pub(crate) mod groups;
mod logs;
mod methods;
mod orders;
pub(crate) mod processes;
pub(crate) mod script;
pub(crate) mod value;
pub(crate) mod xml;

use crate::control::protocol::{Events, Reply, Request};
use foster_core::action::EventName;
use methods::METHODS;
use script::{Script, Stop};
use value::Value;

pub(crate) use logs::{channel, kept_text, log_line};

const UNKNOWN_METHOD: (i64, &str) = (1, "UNKNOWN_METHOD");
const INCORRECT_PARAMETERS: (i64, &str) = (2, "INCORRECT_PARAMETERS");
const BAD_ARGUMENTS: (i64, &str) = (3, "BAD_ARGUMENTS");
const SIGNATURE_UNSUPPORTED: (i64, &str) = (4, "SIGNATURE_UNSUPPORTED");
const SHUTDOWN_STATE: (i64, &str) = (6, "SHUTDOWN_STATE");
const BAD_NAME: (i64, &str) = (10, "BAD_NAME");
const BAD_SIGNAL: (i64, &str) = (11, "BAD_SIGNAL");
const NO_FILE: (i64, &str) = (20, "NO_FILE");
const NOT_EXECUTABLE: (i64, &str) = (21, "NOT_EXECUTABLE");
const FAILED: (i64, &str) = (30, "FAILED");
const SPAWN_ERROR: (i64, &str) = (50, "SPAWN_ERROR");
const ALREADY_STARTED: (i64, &str) = (60, "ALREADY_STARTED");
const NOT_RUNNING: (i64, &str) = (70, "NOT_RUNNING");

const ALREADY_ADDED: (i64, &str) = (90, "ALREADY_ADDED");
const STILL_RUNNING: (i64, &str) = (91, "STILL_RUNNING");
const CANT_REREAD: (i64, &str) = (92, "CANT_REREAD");

/// What the methods know without asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// supervisord's `identifier`.
    pub(crate) identifier: &'a str,
    /// The process ID of the supervisor.
    pub(crate) supervisor: i32,
    /// The time in seconds of Unix time.
    pub(crate) now: i64,
}

/// A fault with what it is about.
fn fault((code, name): (i64, &str), about: &str) -> Stop {
    Stop::Fault(code, format!("{name}: {about}"))
}

/// A fault that says nothing more.
fn bare_fault((code, name): (i64, &str)) -> Stop {
    Stop::Fault(code, name.to_owned())
}

/// The answer to a document; `Err`: what is needed for it, or nothing where it is not a call.
pub(crate) fn respond(
    context: Context<'_>,
    document: &[u8],
    script: &mut Script,
) -> Result<Option<String>, Stop> {
    let Some(call) = script.call.take().or_else(|| xml::call(document).ok()) else { return Ok(None) };
    let result = if call.method == "system.multicall" {
        multicall(context, script, &call.params)
    } else {
        single(context, script, &call.method, &call.params)
    };
    match result {
        Ok(value) => Ok(Some(value::response(&value))),
        Err(Stop::Fault(code, text)) => Ok(Some(value::fault_response(code, &text))),
        Err(ask @ Stop::Ask(_)) => {
            script.call = Some(call);
            Err(ask)
        }
    }
}

fn single(context: Context<'_>, script: &mut Script, name: &str, params: &[Value]) -> Result<Value, Stop> {
    let method =
        METHODS.iter().find(|method| method.name == name).ok_or_else(|| bare_fault(UNKNOWN_METHOD))?;
    if !(method.required..=method.params.len()).contains(&params.len()) {
        return Err(bare_fault(INCORRECT_PARAMETERS));
    }
    if name.starts_with("supervisor.")
        && name != "supervisor.sendRemoteCommEvent"
        && is_shutting_down(script)?
    {
        return Err(bare_fault(SHUTDOWN_STATE));
    }
    (method.run)(context, script, &Params(params))
}

/// Calls one method for a client on the same machine, which is also answered while the supervisor shuts down.
pub(crate) fn call(
    context: Context<'_>,
    script: &mut Script,
    name: &str,
    params: &[Value],
) -> Result<Value, Stop> {
    let method =
        METHODS.iter().find(|method| method.name == name).ok_or_else(|| bare_fault(UNKNOWN_METHOD))?;
    (method.run)(context, script, &Params(params))
}

/// Calls in order; a fault of one does not keep the next ones from being made.
fn multicall(context: Context<'_>, script: &mut Script, params: &[Value]) -> Result<Value, Stop> {
    let [Value::Array(calls)] = params else { return Err(bare_fault(INCORRECT_PARAMETERS)) };
    for call in calls.iter().skip(script.kept()) {
        let none = Vec::new();
        let params = match call.member("params") {
            Some(Value::Array(params)) => params,
            Some(_) | None => &none,
        };
        let result = match call.member("methodName") {
            Some(Value::Text(name)) if name == "system.multicall" => {
                Err(fault(INCORRECT_PARAMETERS, "Recursive system.multicall forbidden"))
            }
            Some(Value::Text(_)) if script.is_full() => {
                Err(fault(FAILED, "the results together are too long: ask for less at once"))
            }
            Some(Value::Text(name)) => single(context, script, name, params),
            Some(_) | None => Err(fault(INCORRECT_PARAMETERS, "No methodName")),
        };
        script.keep(match result {
            Ok(value) => value,
            Err(Stop::Fault(code, text)) => value::fault(code, &text),
            Err(ask @ Stop::Ask(_)) => return Err(ask),
        });
    }
    Ok(Value::Array(script.take_kept()))
}

/// Whether the supervisor shuts down.
fn is_shutting_down(script: &mut Script) -> Result<bool, Stop> {
    let events = Events { events: vec![EventName::Shutdown], lines: Some(1), ..Events::default() };
    Ok(script.ask(Request::Events(events))?.as_ref().is_ok_and(|replies| {
        replies.iter().any(|reply| matches!(reply, Reply::Event(event) if event.text("event") == "shutdown"))
    }))
}

/// The parameters of a call, of which there are as many as the method requires.
struct Params<'a>(&'a [Value]);

impl Params<'_> {
    fn text(&self, at: usize) -> Result<&str, Stop> {
        match self.0.get(at) {
            Some(Value::Text(text)) => Ok(text),
            Some(_) | None => Err(bare_fault(INCORRECT_PARAMETERS)),
        }
    }

    /// A number, also one in a text.
    fn int(&self, at: usize) -> Result<i64, Stop> {
        let number = match self.0.get(at) {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Bool(value)) => Some(i64::from(*value)),
            Some(Value::Text(text)) => text.trim().parse().ok(),
            Some(Value::Double(_) | Value::Array(_) | Value::Struct(_)) | None => None,
        };
        number.ok_or_else(|| bare_fault(INCORRECT_PARAMETERS))
    }

    /// `wait`, true by default. As in Python, what is empty is false.
    fn wait(&self, at: usize) -> bool {
        match self.0.get(at) {
            None => true,
            Some(Value::Bool(value)) => *value,
            Some(Value::Int(number)) => *number != 0,
            Some(Value::Text(text)) => !text.is_empty(),
            Some(Value::Double(_) | Value::Array(_) | Value::Struct(_)) => true,
        }
    }
}
