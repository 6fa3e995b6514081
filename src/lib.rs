//! foster: the first process of a container.
//!
//! The shell around `foster-core`: it does what the core decides. Modules stand in layer order, and
//! imports go one way: plan, exit <- sys <- the leaves <- init <- this file. `ARCHITECTURE.md` is the map.

pub mod exit;
pub mod plan;
pub mod roff;
pub mod suggest;

pub mod sys;

pub mod cli;
pub mod config;
pub mod control;
pub mod notify;
pub mod oom;
pub mod output;
pub mod probes;
pub mod spawn;
pub mod termination_log;

pub mod bare;
pub mod doctor;
pub mod init;
pub mod verbs;

pub mod personality;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use cli::{Command, Output};
use config::Environment;
use exit::ExitStatus;
use foster_core::ids::Signal;
use verbs::Surroundings;

/// Runs foster with this command line and returns what the process is to end with.
pub fn main(arguments: Vec<OsString>) -> ExitStatus {
    // The shortest way there is, since many containers start this way: nothing comes before it.
    if let Some(status) = personality::run(&arguments) {
        return status;
    }
    // Before anything is read: PID 1 loses a signal that is neither caught nor blocked, and the configuration of a
    // supervisor takes time to read.
    let unblocked = sys::signal::block_all_but_faults();
    // A reader that goes away is an error to be seen, and does not end foster.
    sys::signal::ignore(Signal::PIPE);
    let stdout = io::stdout();
    let mut around = Surroundings {
        socket: std::env::var_os("FOSTER_SOCKET"),
        colour: verbs::colour(&stdout),
        out: &mut stdout.lock(),
        err: &mut io::stderr().lock(),
    };
    let command = cli::parse(arguments.into_iter().skip(1));
    if !matches!(command, Ok(Command::Run { .. })) {
        // A client is ended by ^C.
        sys::sigwait::block(unblocked);
    }
    match command {
        Ok(Command::Run { config }) => match load(config.as_deref()) {
            Ok(plan) => {
                drop(around);
                init::run(plan, &surroundings())
            }
            Err(refused) => refuse(&refused, &mut around),
        },
        Ok(Command::Check { config, output }) => check(config.as_deref(), output, &mut around),
        Ok(Command::Ask(ask)) => {
            let config = ask.place.config.clone();
            verbs::run_client(&ask, &mut around, || socket_of(config.as_deref()))
        }
        Ok(Command::Doctor { place, output }) => {
            let (page, status) = doctor::report(&place, &environment(), output, around.colour);
            let printed = verbs::print_page(&page, &mut around);
            if printed == ExitStatus::DONE { status } else { printed }
        }
        Ok(Command::Schema) => verbs::print_page(&config::json_schema(), &mut around),
        Ok(Command::Completions { shell, words }) => {
            verbs::print_completions(shell, &words, &mut around, |place| socket_of(place.config.as_deref()))
        }
        Ok(Command::Version { output }) => verbs::print_version(output, &mut around),
        Ok(Command::Help { verb }) => verbs::print_help(verb, &mut around),
        Err(error) => verbs::print_usage_error(&error, &mut around),
    }
}

fn environment() -> Environment {
    std::env::vars_os().collect()
}

fn surroundings() -> init::Surroundings {
    init::Surroundings {
        log: std::env::var("FOSTER_LOG").ok(),
        notify_socket: std::env::var_os("NOTIFY_SOCKET"),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}

fn load(option: Option<&Path>) -> Result<plan::Plan, config::Report> {
    let environment = environment();
    config::locate(option, &environment).and_then(|path| config::load(&path, &environment))
}

/// Where the configuration says the control socket is.
fn socket_of(option: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let environment = environment();
    let socket = config::locate(option, &environment).and_then(|path| config::socket(&path, &environment));
    socket.map_err(|report| report.to_string().trim_end().to_owned())
}

/// A configuration with an error starts nothing. The orchestrator sees why, too.
fn refuse(report: &config::Report, around: &mut Surroundings<'_>) -> ExitStatus {
    let text = report.to_string();
    // Nothing is left to be said to if stderr does not take it, or the termination log cannot be written.
    let _ = around.err.write_all(text.as_bytes());
    let _ = termination_log::write(report.termination_log(), &text);
    ExitStatus::USAGE
}

fn check(option: Option<&Path>, output: Output, around: &mut Surroundings<'_>) -> ExitStatus {
    let (status, text) = match load(option) {
        Ok(plan) => (ExitStatus::DONE, config::start_order(&plan)),
        Err(report) => (ExitStatus::USAGE, report.to_string()),
    };
    let printed = match (output, status) {
        (Output::Json, _) => {
            let lines: Vec<&str> = text.lines().collect();
            let answer = serde_json::json!({ "valid": status == ExitStatus::DONE, "lines": lines });
            writeln!(around.out, "{answer}")
        }
        (Output::Text, ExitStatus::DONE) => around.out.write_all(text.as_bytes()),
        (Output::Text, _) => around.err.write_all(text.as_bytes()),
    };
    if printed.is_ok() { status } else { ExitStatus::FAILED }
}
