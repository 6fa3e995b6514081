//! foster: the first process of a container.
//!
//! The shell around `foster-core`: it carries out the decisions of the core. Modules are listed in layer order, and
//! imports go one way: plan, exit <- sys <- the leaves <- init <- this file. `ARCHITECTURE.md` is the map.

mod base64;
mod cut;
pub mod duration;
pub mod errno;
pub mod exit;
pub mod glob;
pub mod ini;
pub mod json5;
pub mod plan;
#[cfg(test)]
mod roff;
pub mod suggest;
pub mod yaml;

pub mod bounded_read;
pub mod sys;

pub mod config;
pub mod control;
pub mod notify;
pub mod oom;
pub mod output;
pub mod probes;
pub mod sockets;
pub mod spawn;
pub mod termination_log;
pub mod zone;

pub mod cli;
mod xmlrpc;

pub mod bare;
pub mod client;
pub mod doctor;
pub mod ecosystem;
pub mod here;
pub mod init;
pub mod scaffold;
pub mod web;

pub mod detach;
pub mod listeners;
pub mod personality;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cli::verb::Verb;
use cli::{Command, Invocation, Output, Scope};
use client::ClientIo;
use config::Environment;
use exit::ExitStatus;
use foster_core::ids::Signal;
use serde::Serialize;
use serde_json::{Value, json};

/// Runs foster with this command line and returns the exit status.
pub fn main(given: Vec<OsString>) -> ExitStatus {
    if let [_, argument] = given.as_slice()
        && given.first().is_some_and(|name| name == control::web_process::EXECUTABLE)
        && argument == control::web_process::ARGUMENT
    {
        return web::run();
    }
    // First, since a bare init has to start fast and needs none of the rest.
    if let Some(status) = personality::run(&given) {
        return status;
    }
    // Before anything is read: PID 1 loses a signal that is neither caught nor blocked, and the configuration of a
    // supervisor takes time to read.
    let unblocked = sys::signal::block_all_but_faults();
    // A closed pipe is then an error of write(2) and does not kill foster.
    sys::signal::ignore(Signal::PIPE);
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let mut io = ClientIo::of_process(&mut stdout, &mut stderr);
    let called = given.first().map_or("", |name| personality::base_name(name));
    let words = given.get(1..).unwrap_or_default();
    if let Some((verb, rest)) = words.split_first()
        && verb == listeners::VERB
    {
        sys::sigwait::block(unblocked);
        return listeners::run(rest, io.err);
    }
    let arguments = match called {
        "supervisorctl" => {
            sys::sigwait::block(unblocked);
            return client::supervisorctl::run(words, &mut io);
        }
        "pm2" => {
            sys::sigwait::block(unblocked);
            return client::pm2::run(words, &mut io);
        }
        // A job restarts an app by foster's own name, which is this one where the binary has it.
        "pm2-runtime" | "pm2-docker" if words.first().is_some_and(|word| word == "restart") => {
            sys::sigwait::block(unblocked);
            return client::pm2::run(words, &mut io);
        }
        "pm2-runtime" | "pm2-docker" => match personality::pm2_runtime::read(words) {
            personality::pm2_runtime::Invocation::Run(arguments, variables) => {
                sys::process::set_variables(&variables);
                arguments
            }
            personality::pm2_runtime::Invocation::Print(text, status) => {
                return print(&text, status, &mut io);
            }
        },
        "supervisord" => match personality::supervisord::read(words, Path::exists) {
            personality::supervisord::Invocation::Run(arguments) => arguments,
            personality::supervisord::Invocation::Print { text, status } => {
                return print(&text, status, &mut io);
            }
        },
        _ => words.to_vec(),
    };
    let parsed = cli::parse(arguments);
    if !matches!(parsed, Ok(Invocation { command: Command::Run { .. }, .. })) {
        // ^C ends a client.
        sys::sigwait::block(unblocked);
    }
    let Invocation { verb, command } = match parsed {
        Ok(invocation) => invocation,
        Err(error) => return client::print_usage_error(&error, &mut io),
    };
    match command {
        Command::Run { config, detach } => {
            let inherited = sys::handover::inherit();
            if inherited.is_some() {
                sys::handover::set_name(given.first().map_or("", |name| personality::base_name(name)));
            }
            match load(config.as_deref()) {
                Ok(plan) => {
                    drop(stdout);
                    drop(stderr);
                    let env = init::InitEnv { arguments: given, inherited, ..surroundings() };
                    match detach {
                        None => init::run(plan, &env, |_| Ok(init::FirstRequest::None)),
                        Some(detach) if env.inherited.is_some() => detach::take_over(plan, &detach, &env),
                        Some(detach) => detach::run(plan, *detach, &env, unblocked),
                    }
                }
                Err(refused) => {
                    let status = refuse(&refused, &mut io);
                    inherited.as_ref().map_or(status, init::abandon)
                }
            }
        }
        Command::Check { config, scope, output } => check(config.as_deref(), scope, output, &mut io),
        Command::Init { file } => write_first_configuration(file.as_deref(), &mut io),
        Command::Migrate { file, from } => match config::migrate(&file, from, &environment()) {
            Ok(text) => client::print_page(&text, &mut io),
            Err(report) => {
                let _ = io.err.write_all(report.to_string().as_bytes());
                ExitStatus::USAGE
            }
        },
        Command::Client(command) => {
            let config = command.endpoint.config.clone();
            client::run(verb, &command, &mut io, || socket_of(config.as_deref()))
        }
        Command::Doctor { endpoint, output } => {
            let (page, status) = doctor::report(&endpoint, &environment(), output, io.colour);
            let printed = client::print_page(&page, &mut io);
            if printed == ExitStatus::DONE { status } else { printed }
        }
        Command::Schema => client::print_page(&config::json_schema(), &mut io),
        Command::Completions { shell, words } => {
            client::print_completions(shell, &words, &mut io, |endpoint| {
                socket_of(endpoint.config.as_deref())
            })
        }
        Command::Version { output } => client::print_version(output, &mut io),
        Command::Help { verb } => client::print_help(verb.as_deref().and_then(Verb::by_name), &mut io),
    }
}

/// Prints a text of another name's on stdout, or on stderr where it is an error.
fn print(text: &str, status: ExitStatus, client: &mut ClientIo<'_>) -> ExitStatus {
    let stream = if status == ExitStatus::DONE { &mut client.out } else { &mut client.err };
    if stream.write_all(text.as_bytes()).is_ok() { status } else { ExitStatus::FAILED }
}

fn environment() -> Environment {
    Environment::new(std::env::vars_os(), sys::cpus::allowed).evaluating(ecosystem::evaluate)
}

fn surroundings() -> init::InitEnv {
    init::InitEnv {
        log: std::env::var("FOSTER_LOG").ok(),
        notify_socket: std::env::var_os("NOTIFY_SOCKET"),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        evaluate: Some(ecosystem::evaluate),
        ..init::InitEnv::default()
    }
}

fn load(option: Option<&Path>) -> Result<plan::Plan, config::Report> {
    let environment = environment();
    config::locate(option, &environment).and_then(|path| config::load(&path, &environment))
}

/// The control socket in the configuration, if there is a readable configuration that sets one.
fn socket_of(option: Option<&Path>) -> Option<PathBuf> {
    let environment = environment();
    config::locate(option, &environment).and_then(|path| config::socket(&path, &environment)).ok().flatten()
}

/// Reports an invalid configuration: on stderr, and in the termination log for the orchestrator.
fn refuse(report: &config::Report, client: &mut ClientIo<'_>) -> ExitStatus {
    let text = report.to_string();
    // If neither can be written to, there is no other place to report to.
    let _ = client.err.write_all(text.as_bytes());
    let _ = termination_log::write(report.termination_log(), &text);
    ExitStatus::USAGE
}

fn check(option: Option<&Path>, scope: Scope, output: Output, client: &mut ClientIo<'_>) -> ExitStatus {
    let environment = environment();
    let loaded = config::locate(option, &environment).and_then(|path| match scope {
        Scope::File => config::load(&path, &environment),
        Scope::Here => config::load_and_examine(&path, &environment, here::examine),
    });
    let status = if loaded.is_ok() { ExitStatus::DONE } else { ExitStatus::USAGE };
    let now_ms = sys::timer::unix_ms();
    let printed = match (output, loaded) {
        (Output::Json, Ok(plan)) => {
            let order = config::start_order(&plan, now_ms);
            let lines: Vec<&str> = order.lines().collect();
            let warnings = with_severity("warning", &plan.warnings);
            let none: [&str; 0] = [];
            let answer = json!({ "valid": true, "errors": none, "warnings": warnings, "lines": lines });
            writeln!(client.out, "{answer}")
        }
        (Output::Json, Err(report)) => {
            let (text, errors) = (report.to_string(), with_severity("error", report.in_parts()));
            let lines: Vec<&str> = text.lines().collect();
            let none: [&str; 0] = [];
            let answer = json!({ "valid": false, "errors": errors, "warnings": none, "lines": lines });
            writeln!(client.out, "{answer}")
        }
        (Output::Text, Ok(plan)) => client.out.write_all(config::start_order(&plan, now_ms).as_bytes()),
        (Output::Text, Err(report)) => client.err.write_all(report.to_string().as_bytes()),
    };
    if printed.is_ok() { status } else { ExitStatus::FAILED }
}

/// `foster init`: writes the file, or prints it.
fn write_first_configuration(file: Option<&Path>, client: &mut ClientIo<'_>) -> ExitStatus {
    let (environment, directory) = (environment(), std::env::current_dir());
    let path = environment.get(OsStr::new("PATH")).map(|path| path.to_string_lossy()).unwrap_or_default();
    let variables = environment.names().cloned().collect();
    let directory = directory.unwrap_or_else(|_| PathBuf::from("/"));
    let image = scaffold::Image::new(Path::new("/"), &directory, &path, variables);
    let Ok(proposal) = scaffold::propose(&image) else {
        let _ = writeln!(
            client.err,
            "foster: nothing found in `{}` to write a configuration for: no supervisord.conf, ecosystem file, Procfile, \
             Python or Node application, and no nginx, php-fpm or redis in PATH; run it in the application's folder, or \
             start from the example in README",
            directory.display()
        );
        return ExitStatus::FAILED;
    };
    if file == Some(Path::new("-")) {
        return client::print_page(&proposal.text, client);
    }
    let file = file.unwrap_or(Path::new("foster.toml"));
    if let Err(message) = scaffold::write(file, &proposal.text) {
        let _ = writeln!(client.err, "foster: {message}");
        return ExitStatus::FAILED;
    }
    let mut page = format!("wrote `{}`:\n", file.display());
    for (name, reason) in &proposal.programs {
        page.push_str(&format!("  {name}: {reason}\n"));
    }
    page.push_str("next: read it, then `foster check --here`\n");
    client::print_page(&page, client)
}

/// The problems of a configuration as JSON objects, each with its severity.
fn with_severity(severity: &str, problems: &[impl Serialize]) -> Vec<Value> {
    let object = |problem| {
        let mut object = serde_json::to_value(problem).unwrap_or_default();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("severity".to_owned(), severity.into());
        }
        object
    };
    problems.iter().map(object).collect()
}
