//! Reads the arguments of each verb into a [`Command`]: the functions in the rows of `commands.rs`.
//!
//! Invalid values are refused here. No function depends on the verb. Pure. Next: `args.rs`.

use std::path::PathBuf;
use std::time::Duration;

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;

use super::args::ParsedArgs;
use super::command::{ClientCommand, Command, Detach, Endpoint, Output, Scope};
use super::flags::{
    ALL, CONFIG, DETACH, DRY_RUN, EVENT, FOLLOW, FOLLOW_RUN, FROM, HERE, JSON, LINES, LOG, NO_WAIT, PID_FILE,
    SINCE, SOCKET, STATE, TIMEOUT, TIMESTAMPS, WAIT, WATCH,
};
use super::problem::Problem;
use super::shell::Shell;
use crate::config::Format;
use crate::control::protocol::{
    Events, Exec, HealthCheck, Logs, Names, Order, Request, RunJob, Scale, SignalOrder, Update, UpdateMode,
    Wait,
};
use crate::plan::InstanceCount;

pub(super) fn run(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let config = configuration(args)?;
    let (pid_file, log) = (args.path(&PID_FILE), args.path(&LOG));
    let detach = args.has(&DETACH).then(|| {
        let wait = Wait { names: vec!["all".to_owned()], timeout_ms: None, startup: true };
        let wait = client_command(args, Request::Wait(wait));
        Box::new(Detach { pid_file: pid_file.clone(), log: log.clone(), wait })
    });
    if detach.is_none() {
        let unused = [(&PID_FILE, pid_file), (&LOG, log)].into_iter().find(|(_, value)| value.is_some());
        if let Some((flag, _)) = unused {
            return Err(Problem::OnlyWith { flag, with: &DETACH });
        }
    }
    Ok(Command::Run { config, detach })
}

pub(super) fn check(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let scope = if args.has(&HERE) { Scope::Here } else { Scope::File };
    Ok(Command::Check { config: configuration(args)?, scope, output: output(args) })
}

pub(super) fn init(args: &mut ParsedArgs) -> Result<Command, Problem> {
    Ok(Command::Init { file: args.optional_path() })
}

pub(super) fn migrate(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let from = args
        .read(&FROM, FROM.summary, |text| Format::FOREIGN.into_iter().find(|format| format.name() == text))?;
    Ok(Command::Migrate { file: args.optional_path().ok_or(Problem::MissingArgument("FILE"))?, from })
}

pub(super) fn status(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let names = args.rest()?;
    Ok(client(args, Request::Status(Names { names })))
}

pub(super) fn health(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let check = HealthCheck { names: args.rest()?, all: args.has(&ALL) };
    Ok(client(args, Request::Health(check)))
}

pub(super) fn logs(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let lines = args.read(&LINES, "a number of lines", |text| text.parse::<u32>().ok())?;
    let since_ms = args.read(&SINCE, "a duration such as `10m`", milliseconds)?;
    let logs = Logs { names: args.rest()?, lines, since_ms, follow: args.has(&FOLLOW) };
    Ok(client(args, Request::Logs(logs)))
}

pub(super) fn events(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let lines = args.read(&LINES, "a number of events", |text| text.parse::<u32>().ok())?;
    let events = args.words(&EVENT, &EventName::ALL, EventName::name)?;
    let states = args.words(&STATE, &StateName::ALL, StateName::name)?;
    let events = Events { names: args.rest()?, events, states, lines, follow: args.has(&FOLLOW) };
    Ok(client(args, Request::Events(events)))
}

pub(super) fn exec(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let (name, exec) = (args.next("NAME")?, args.command()?);
    Ok(Command::Client(ClientCommand { exec, ..client_command(args, Request::Exec(Exec { name })) }))
}

pub(super) fn order(args: &mut ParsedArgs, request: fn(Order) -> Request) -> Result<Command, Problem> {
    let order = Order { names: args.names()?, wait: !args.has(&NO_WAIT) };
    Ok(client(args, request(order)))
}

pub(super) fn update(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let mode = if args.has(&DRY_RUN) { UpdateMode::DryRun } else { UpdateMode::Apply };
    let update = Update { names: args.rest()?, mode, wait: !args.has(&NO_WAIT) };
    Ok(client(args, Request::Update(update)))
}

pub(super) fn scale(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let (name, number) = (args.next("NAME")?, args.next("N")?);
    let instances = number.parse().ok().filter(|number| *number <= InstanceCount::MOST);
    let Some(instances) = instances else { return Err(Problem::NotANumberOfInstances(number)) };
    Ok(client(args, Request::Scale(Scale { name, instances, wait: !args.has(&NO_WAIT) })))
}

pub(super) fn run_job(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let name = args.next("NAME")?;
    let (follow, wait) = (args.has(&FOLLOW_RUN), !args.has(&NO_WAIT));
    if follow && !wait {
        return Err(Problem::Contradiction(&FOLLOW_RUN, &NO_WAIT));
    }
    Ok(client(args, Request::RunJob(RunJob { name, wait, follow })))
}

pub(super) fn signal(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let text = args.next("SIGNAL")?;
    let Some(signal) = Signal::parse(&text) else {
        let second = args.optional()?.filter(|second| Signal::parse(second).is_some());
        return Err(match second {
            Some(signal) => Problem::SignalComesFirst { name: text, signal },
            None => Problem::no_such_signal(&text),
        });
    };
    let names = args.names()?;
    Ok(client(args, Request::Signal(SignalOrder { names, signal })))
}

pub(super) fn wait(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let timeout_ms = args.read(&TIMEOUT, "a duration such as `30s` or `1m 30s`", milliseconds)?;
    let wait = Wait { names: args.names()?, timeout_ms, startup: false };
    Ok(client(args, Request::Wait(wait)))
}

pub(super) fn doctor(args: &mut ParsedArgs) -> Result<Command, Problem> {
    Ok(Command::Doctor { endpoint: endpoint(args), output: output(args) })
}

pub(super) fn completions(args: &mut ParsedArgs) -> Result<Command, Problem> {
    let name = args.next("SHELL")?;
    let Some((_, shell)) = Shell::ALL.into_iter().find(|(known, _)| *known == name) else {
        return Err(Problem::NoSuchShell(name));
    };
    Ok(Command::Completions { shell, words: args.rest()? })
}

pub(super) fn version(args: &mut ParsedArgs) -> Result<Command, Problem> {
    Ok(Command::Version { output: output(args) })
}

pub(super) fn help(args: &mut ParsedArgs) -> Result<Command, Problem> {
    Ok(Command::Help { verb: args.optional()? })
}

/// A request without further arguments.
pub(super) fn client(args: &ParsedArgs, request: Request) -> Command {
    Command::Client(client_command(args, request))
}

fn client_command(args: &ParsedArgs, request: Request) -> ClientCommand {
    ClientCommand {
        request,
        endpoint: endpoint(args),
        output: output(args),
        timestamps: args.has(&TIMESTAMPS),
        watch: args.has(&WATCH),
        until_end: args.has(&WAIT),
        exec: Vec::new(),
    }
}

/// FILE, or `-c FILE`.
fn configuration(args: &mut ParsedArgs) -> Result<Option<PathBuf>, Problem> {
    match (args.path(&CONFIG), args.optional_path()) {
        (Some(_), Some(_)) => Err(Problem::TwoConfigurations),
        (flag, argument) => Ok(flag.or(argument)),
    }
}

fn endpoint(args: &ParsedArgs) -> Endpoint {
    Endpoint { socket: args.path(&SOCKET), config: args.path(&CONFIG) }
}

fn output(args: &ParsedArgs) -> Output {
    if args.has(&JSON) { Output::Json } else { Output::Text }
}

fn milliseconds(text: &str) -> Option<u64> {
    let duration: Duration = humantime::parse_duration(text).ok()?;
    Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
