//! `foster doctor`: examines the environment that foster runs in, and explains each finding.
//!
//! It examines PID 1 if that is foster, otherwise this process. All files are read below a root directory, so that a
//! test can provide one; nothing is changed or started. `process.rs`, `cgroup.rs` and `environment.rs` examine, this
//! file prints.

mod cgroup;
mod environment;
mod process;
mod rootfs;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::cli::format::{Colour, Style, painted};
use crate::cli::{Endpoint, Output};
use crate::config::{self, Environment, keys};
use crate::control::client::{self, ClientError, Patience};
use crate::control::protocol::{Names, Reason, Request};
use crate::exit::ExitStatus;

use rootfs::RootFs;

/// One thing that was examined.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// The subject.
    subject: &'static str,
    grade: Grade,
    /// Its state.
    value: Cow<'static, str>,
    /// What it means for foster, in one or two sentences.
    meaning: Cow<'static, str>,
}

impl Finding {
    fn new(
        grade: Grade,
        subject: &'static str,
        value: impl Into<Cow<'static, str>>,
        meaning: impl Into<Cow<'static, str>>,
    ) -> Finding {
        Finding { subject, grade, value: value.into(), meaning: meaning.into() }
    }
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    /// It is in order.
    Ok,
    /// Information.
    Note,
    /// It needs attention.
    Warn,
    /// It prevents foster from working.
    Bad,
}

impl Grade {
    const fn word(self) -> (&'static str, Style) {
        match self {
            Grade::Ok => ("ok", Style::Good),
            Grade::Note => ("note", Style::Quiet),
            Grade::Warn => ("warn", Style::Busy),
            Grade::Bad => ("bad", Style::Bad),
        }
    }
}

/// The facts that are not read below the root directory.
struct Known {
    configuration: Configuration,
    socket: Socket,
    termination_log: PathBuf,
    /// `$TZ`.
    time_zone: Option<String>,
}

/// The configuration that `foster run` would use.
enum Configuration {
    None,
    Invalid { problems: usize },
    Valid { path: PathBuf, programs: usize },
}

/// The control socket.
enum Socket {
    /// The configuration disables it.
    Disabled,
    /// Its path, and what was found there.
    At(PathBuf, Listener),
}

/// The process that listens at the socket.
#[derive(Clone, Copy)]
enum Listener {
    /// A supervisor that replies.
    Supervisor,
    /// A supervisor that does not reply to this user.
    Denied,
    /// None: the socket is left over from an earlier supervisor.
    Stale,
    /// None: there is no socket.
    Missing,
    /// A process that does not reply like a supervisor.
    Unknown,
}

/// The report, and the exit status of the verb.
pub fn report(
    endpoint: &Endpoint,
    environment: &Environment,
    output: Output,
    colour: Colour,
) -> (String, ExitStatus) {
    let findings = examine(Path::new("/"), &gather(endpoint, environment));
    let is_bad = findings.iter().any(|finding| finding.grade == Grade::Bad);
    let page = match output {
        Output::Text => text(&findings, colour),
        Output::Json => json(&findings),
    };
    (page, if is_bad { ExitStatus::FAILED } else { ExitStatus::DONE })
}

/// How long to wait for a supervisor's reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

fn gather(endpoint: &Endpoint, environment: &Environment) -> Known {
    let variable = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
    let plan = config::locate(endpoint.config.as_deref(), environment)
        .map(|path| config::load(&path, environment).map(|plan| (path, plan)));
    let usual = |name| PathBuf::from(keys::FOSTER.default_text(name));
    let (configuration, settings) = match plan {
        Err(_) => (Configuration::None, None),
        Ok(Err(report)) => (Configuration::Invalid { problems: report.count() }, None),
        Ok(Ok((path, plan))) => {
            (Configuration::Valid { path, programs: plan.programs.len() }, Some(plan.settings))
        }
    };
    let configured = match &settings {
        Some(settings) => settings.socket.clone(),
        None => Some(usual("socket")),
    };
    let named = endpoint.socket.clone().or_else(|| variable("FOSTER_SOCKET").map(PathBuf::from));
    Known {
        configuration,
        socket: named.or(configured).map_or(Socket::Disabled, |path| {
            let listener = listener(&path);
            Socket::At(path, listener)
        }),
        termination_log: settings
            .map_or_else(|| usual("termination_log"), |settings| settings.termination_log),
        time_zone: variable("TZ").map(|zone| zone.to_string_lossy().into_owned()),
    }
}

fn listener(path: &Path) -> Listener {
    let question = Request::Status(Names { names: Vec::new() });
    let answer = client::ask(path, &question, Patience::For(REPLY_TIMEOUT))
        .and_then(|mut answer| answer.next().transpose());
    match answer {
        Ok(_) => Listener::Supervisor,
        Err(ClientError::Refused(refusal)) if refusal.error == Reason::NotPermitted => Listener::Denied,
        Err(ClientError::Denied(_)) => Listener::Denied,
        Err(ClientError::Refused(_)) => Listener::Supervisor,
        Err(ClientError::NotListening(_)) => Listener::Stale,
        Err(ClientError::NoSocket(_)) => Listener::Missing,
        Err(
            ClientError::NotASocket(_)
            | ClientError::Unreachable(..)
            | ClientError::Untrusted(..)
            | ClientError::Silent(_)
            | ClientError::Lost(_)
            | ClientError::Garbled(_)
            | ClientError::TooLong,
        ) => Listener::Unknown,
    }
}

fn examine(root: &Path, known: &Known) -> Vec<Finding> {
    let rootfs = RootFs::at(root);
    let mut findings = process::findings(&rootfs);
    findings.extend(cgroup::findings(&rootfs));
    findings.extend(environment::findings(&rootfs, known));
    findings
}

/// The findings as text in 80 columns: the state in one line, and its meaning below.
fn text(findings: &[Finding], colour: Colour) -> String {
    const GRADE: usize = 4;
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let margin = GRADE + 2 + width + 2;
    let mut page = String::new();
    for Finding { subject, grade, value, meaning } in findings {
        let (word, mood) = grade.word();
        page += &painted(&format!("{word:GRADE$}"), mood, colour);
        page += &format!("  {subject:width$}");
        for line in [value, meaning].into_iter().flat_map(|text| wrapped(text, 80 - margin)) {
            page += &format!("  {line}\n{:1$}", "", margin - 2);
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
    }
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    page + &match (count(Grade::Bad), count(Grade::Warn)) {
        (0, 0) => "\nfoster can work here\n".to_owned(),
        (0, warnings) => format!("\nfoster can work here; items marked `warn` need attention ({warnings})\n"),
        (bad, _) => format!("\nfoster cannot work here: see the items marked `bad` ({bad})\n"),
    }
}

/// Breaks a text at spaces into lines of at most `width` characters; a longer word is one line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    lines
}

/// An array with one element per line.
fn json(findings: &[Finding]) -> String {
    // Serializing texts cannot fail.
    let rows: Vec<String> =
        findings.iter().map(|finding| serde_json::to_string(finding).unwrap_or_default()).collect();
    format!("[\n  {}\n]\n", rows.join(",\n  "))
}

#[cfg(test)]
mod tests;
