//! What was given to a verb, made a [`Command`]: the functions that the table in `commands.rs` names.
//!
//! Values are read here, and what is wrong with one is said. Pure. Next: `given.rs`.

use std::time::Duration;

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;

use super::commands::Verb;
use super::completions::Shell;
use super::flags::{CONFIG, EVENT, FOLLOW, JSON, LINES, NO_WAIT, SOCKET, STATE, TIMEOUT};
use super::given::Given;
use super::{Ask, Command, Follow, Order, Output, Patience, Place, Problem, Question, no_such_signal};

pub(super) fn run(given: &mut Given) -> Result<Command, Problem> {
    Ok(Command::Run { config: given.path(&CONFIG) })
}

pub(super) fn check(given: &mut Given) -> Result<Command, Problem> {
    Ok(Command::Check { config: given.path(&CONFIG), output: output(given) })
}

pub(super) fn status(given: &mut Given) -> Result<Command, Problem> {
    let question = Question::Status { names: given.rest()? };
    Ok(ask(given, question))
}

pub(super) fn health(given: &mut Given) -> Result<Command, Problem> {
    let question = Question::Health { names: given.rest()? };
    Ok(ask(given, question))
}

pub(super) fn logs(given: &mut Given) -> Result<Command, Problem> {
    let lines = given.read(&LINES, "a number of lines", |text| text.parse::<u32>().ok())?;
    let follow = if given.has(&FOLLOW) { Follow::Yes } else { Follow::No };
    let question = Question::Logs { names: given.rest()?, lines, follow };
    Ok(ask(given, question))
}

pub(super) fn events(given: &mut Given) -> Result<Command, Problem> {
    let lines = given.read(&LINES, "a number of events", |text| text.parse::<u32>().ok())?;
    let follow = if given.has(&FOLLOW) { Follow::Yes } else { Follow::No };
    let events = given.words(&EVENT, &EventName::ALL, EventName::name)?;
    let states = given.words(&STATE, &StateName::ALL, StateName::name)?;
    let question = Question::Events { names: given.rest()?, events, states, lines, follow };
    Ok(ask(given, question))
}

pub(super) fn exec(given: &mut Given) -> Result<Command, Problem> {
    let question = Question::Exec { name: given.next("NAME")?, command: given.command()? };
    Ok(ask(given, question))
}

pub(super) fn order(given: &mut Given, order: Order) -> Result<Command, Problem> {
    let question = Question::Order { order, names: given.names()?, patience: patience(given) };
    Ok(ask(given, question))
}

pub(super) fn update(given: &mut Given) -> Result<Command, Problem> {
    let question = Question::Update { patience: patience(given) };
    Ok(ask(given, question))
}

fn patience(given: &Given) -> Patience {
    if given.has(&NO_WAIT) { Patience::None } else { Patience::UntilDone }
}

pub(super) fn signal(given: &mut Given) -> Result<Command, Problem> {
    let text = given.next("SIGNAL")?;
    let signal = Signal::parse(&text).ok_or_else(|| no_such_signal(&text))?;
    let question = Question::Signal { signal, names: given.names()? };
    Ok(ask(given, question))
}

pub(super) fn wait(given: &mut Given) -> Result<Command, Problem> {
    let expected = "a duration such as `30s` or `1m 30s`";
    let timeout: Option<Duration> =
        given.read(&TIMEOUT, expected, |text| humantime::parse_duration(text).ok())?;
    let question = Question::Wait { names: given.names()?, timeout };
    Ok(ask(given, question))
}

pub(super) fn shutdown(given: &mut Given) -> Result<Command, Problem> {
    Ok(ask(given, Question::Shutdown))
}

pub(super) fn doctor(given: &mut Given) -> Result<Command, Problem> {
    Ok(Command::Doctor { place: place(given), output: output(given) })
}

pub(super) fn completions(given: &mut Given) -> Result<Command, Problem> {
    let name = given.next("SHELL")?;
    let Some((_, shell)) = Shell::ALL.into_iter().find(|(known, _)| *known == name) else {
        return Err(Problem::NoSuchShell(name));
    };
    let words = given.rest()?;
    Ok(Command::Completions { shell, words })
}

pub(super) fn version(given: &mut Given) -> Result<Command, Problem> {
    Ok(Command::Version { output: output(given) })
}

pub(super) fn help(given: &mut Given) -> Result<Command, Problem> {
    match given.optional()? {
        None => Ok(Command::Help { verb: None }),
        Some(name) => match Verb::called(&name) {
            Some(verb) => Ok(Command::Help { verb: Some(verb) }),
            None => Err(Problem::unknown_verb(name)),
        },
    }
}

fn ask(given: &mut Given, question: Question) -> Command {
    Command::Ask(Ask { verb: given.verb, question, place: place(given), output: output(given) })
}

fn place(given: &Given) -> Place {
    Place { socket: given.path(&SOCKET), config: given.path(&CONFIG) }
}

fn output(given: &Given) -> Output {
    if given.has(&JSON) { Output::Json } else { Output::Text }
}
