//! Orders to processes: start, stop, signal, and the end of the supervisor.
//!
//! foster takes an order that is already fulfilled; supervisord has a fault for it, so the states are looked at first.

use foster_core::ids::Signal;

use super::processes::{Chosen, Process, State, all, choose, group};
use super::script::{Script, Stop};
use super::value::Value;
use super::{
    ALREADY_STARTED, BAD_SIGNAL, Context, FAILED, NO_FILE, NOT_EXECUTABLE, NOT_RUNNING, Params, SPAWN_ERROR,
    fault,
};
use crate::control::protocol::{Input, Names, Order, Outcome, Reply, Request, SignalOrder, Update, Verdict};
use crate::plan::BROKER;

/// The most bytes of an event of a client's. As JSON within JSON it is a line of the control socket.
const LONGEST_EVENT: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
}

impl Verb {
    /// Whether a process is not yet as it orders.
    fn applies(self, process: &Process) -> bool {
        process.state.is_up() == (self == Verb::Stop)
    }

    fn request(self, processes: &[Process], wait: bool) -> Request {
        let names = processes.iter().map(|process| process.row.label.clone()).collect();
        let order = Order { names, wait };
        if self == Verb::Start { Request::Start(order) } else { Request::Stop(order) }
    }

    /// What a process that is as ordered already gets.
    fn needless(self, name: &str) -> Stop {
        fault(if self == Verb::Start { ALREADY_STARTED } else { NOT_RUNNING }, name)
    }
}

/// The fault of an order that failed.
fn failure(verb: Verb, name: &str, message: &str) -> Stop {
    match verb {
        Verb::Start if message.contains("No such file") || message.contains("not found") => {
            fault(NO_FILE, message)
        }
        Verb::Start if message.contains("Permission denied") => fault(NOT_EXECUTABLE, message),
        Verb::Start => fault(SPAWN_ERROR, name),
        Verb::Stop => fault(FAILED, message),
    }
}

/// Orders several; the status of each.
fn each(script: &mut Script, verb: Verb, mut processes: Vec<Process>, wait: bool) -> Result<Value, Stop> {
    processes.retain(|process| verb.applies(process));
    if processes.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let replies = script.need(verb.request(&processes, wait))?;
    let status = |process: &Process| {
        let failed = outcome(replies, process).filter(|outcome| outcome.verdict == Verdict::Failed);
        status(process, failed.map(|outcome| failure(verb, &process.namespec(), &outcome.message)))
    };
    Ok(Value::Array(processes.iter().map(status).collect()))
}

pub(super) fn outcome<'r>(replies: &'r [Reply], process: &Process) -> Option<&'r Outcome> {
    let outcomes = replies
        .iter()
        .filter_map(|reply| if let Reply::Outcome(outcome) = reply { Some(outcome) } else { None });
    outcomes.into_iter().find(|outcome| outcome.name == process.row.label)
}

/// The status of one process of several.
pub(super) fn status(process: &Process, failure: Option<Stop>) -> Value {
    let (code, text) = match failure {
        Some(Stop::Fault(code, text)) => (code, text),
        Some(Stop::Ask(_)) | None => (80, "OK".to_owned()),
    };
    Value::of(vec![
        ("name", Value::text(&*process.name)),
        ("group", Value::text(&*process.group)),
        ("status", Value::Int(code)),
        ("description", Value::Text(text)),
    ])
}

fn single(script: &mut Script, verb: Verb, params: &Params<'_>) -> Result<Value, Stop> {
    let (name, wait) = (params.text(0)?, params.wait(1));
    let process = match choose(all(script)?, name)? {
        Chosen::Group(members) => return each(script, verb, members, wait),
        Chosen::One(process) => process,
    };
    if !verb.applies(&process) {
        return Err(verb.needless(name));
    }
    let replies = script.need(verb.request(std::slice::from_ref(&process), wait))?;
    match outcome(replies, &process) {
        Some(Outcome { verdict: Verdict::Failed, message, .. }) => Err(failure(verb, name, message)),
        Some(_) | None => Ok(Value::Bool(true)),
    }
}

pub(super) fn start(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    single(script, Verb::Start, params)
}

pub(super) fn stop(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    single(script, Verb::Stop, params)
}

pub(super) fn start_group(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let members = group(all(script)?, params.text(0)?)?;
    each(script, Verb::Start, members, params.wait(1))
}

pub(super) fn stop_group(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let members = group(all(script)?, params.text(0)?)?;
    each(script, Verb::Stop, members, params.wait(1))
}

pub(super) fn start_all(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let processes = all(script)?;
    each(script, Verb::Start, processes, params.wait(0))
}

pub(super) fn stop_all(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let processes = all(script)?;
    each(script, Verb::Stop, processes, params.wait(0))
}

fn parsed(signal: &str) -> Result<Signal, Stop> {
    Signal::parse(&signal.trim().to_ascii_uppercase()).ok_or_else(|| fault(BAD_SIGNAL, signal))
}

/// Sends a signal to several; the status of each.
fn signal_each(script: &mut Script, mut processes: Vec<Process>, signal: &str) -> Result<Value, Stop> {
    processes.retain(|process| process.state.is_signallable());
    let mut statuses = Vec::new();
    for process in processes {
        let sent = send(script, &process, signal);
        if let Err(ask @ Stop::Ask(_)) = sent {
            return Err(ask);
        }
        statuses.push(status(&process, sent.err()));
    }
    Ok(Value::Array(statuses))
}

fn send(script: &mut Script, process: &Process, signal: &str) -> Result<(), Stop> {
    let (names, signal) = (vec![process.row.label.clone()], parsed(signal)?);
    let replies = script.need(Request::Signal(SignalOrder { names, signal }))?;
    match outcome(replies, process) {
        Some(Outcome { verdict: Verdict::Failed, message, .. }) => Err(fault(FAILED, message)),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn signal(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let (name, signal) = (params.text(0)?, signal_of(params, 1)?);
    let process = match choose(all(script)?, name)? {
        Chosen::Group(members) => return signal_each(script, members, &signal),
        Chosen::One(process) => process,
    };
    parsed(&signal)?;
    if !process.state.is_signallable() {
        return Err(fault(NOT_RUNNING, name));
    }
    send(script, &process, &signal).map(|()| Value::Bool(true))
}

pub(super) fn signal_group(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let members = group(all(script)?, params.text(0)?)?;
    signal_each(script, members, &signal_of(params, 1)?)
}

pub(super) fn signal_all(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let processes = all(script)?;
    signal_each(script, processes, &signal_of(params, 0)?)
}

/// A signal by name, or by number as a text or as a number.
fn signal_of(params: &Params<'_>, at: usize) -> Result<String, Stop> {
    match params.int(at) {
        Ok(number) => Ok(number.to_string()),
        Err(_) => params.text(at).map(str::to_owned),
    }
}

/// Sends an event to the event listeners, if there are any: their broker reads it on its standard input.
pub(super) fn send_event(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let (kind, data) = (params.text(0)?, params.text(1)?);
    if kind.len() + data.len() > LONGEST_EVENT {
        let length = kind.len() + data.len();
        return Err(fault(FAILED, &format!("an event of {length} bytes: at most {LONGEST_EVENT} are sent")));
    }
    let replies = script.need(Request::Status(Names { names: Vec::new() }))?;
    let rows = replies.iter().filter_map(|reply| if let Reply::Row(row) = reply { Some(row) } else { None });
    // A program of a supervisord configuration has a name of supervisord's; the broker has none.
    let (theirs, own): (Vec<_>, Vec<_>) = rows.partition(|row| row.namespec.is_some());
    let broker = own.into_iter().find(|row| row.name.starts_with(BROKER) && !theirs.is_empty());
    let Some(name) = broker.map(|row| row.name.clone()) else { return Ok(Value::Bool(true)) };
    let text = format!("{}\n", serde_json::json!({ "type": kind, "data": data }));
    match script.ask(Request::Input(Input { name, text }))? {
        Ok(_) => Ok(Value::Bool(true)),
        Err((refusal, _)) => Err(fault(FAILED, &refusal.to_string())),
    }
}

pub(super) fn shutdown(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    script.need(Request::Shutdown {})?;
    Ok(Value::Bool(true))
}

/// The configuration is read again, and everything that is up is started again.
pub(super) fn restart(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    script.need(Request::Update(Update { wait: false, ..Update::everything() }))?;
    let up = all(script)?.into_iter().filter(|process| process.state != State::Stopped);
    let names: Vec<String> = up.map(|process| process.row.label).collect();
    if !names.is_empty() {
        script.need(Request::Restart(Order { names, wait: false }))?;
    }
    Ok(Value::Bool(true))
}
