//! `/metrics`: the state of every program in the text formats of OpenMetrics 1.0 and of Prometheus 0.0.4.
//!
//! A label `program` and `index` names an instance: `instance` is the label of the host that Prometheus asks. Next:
//! docs/web.md, which lists the metrics.

use std::fmt::Write as _;

use foster_core::ids::Signal;
use nix::unistd::getppid;

use super::http::{Request, Response};
use crate::control::protocol::{self, Exit, Health, Kind, Names, Reply, State, StatusRow};
use crate::control::web_process::NAME;
use crate::sys::usage::UsageReader;
use crate::xmlrpc::processes::shown_rows;
use crate::xmlrpc::script::{Script, Stop};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The one that a client prefers; without a preference that of Prometheus, which every client reads.
    fn of(accept: Option<&str>) -> Format {
        let quality = |kind: &str| {
            let accept = accept.unwrap_or_default();
            let found = accept.split(',').map(|part| part.split(';').map(str::trim));
            let mut found = found.filter_map(|mut part| (part.next() == Some(kind)).then_some(part));
            let mut parameters = found.next()?;
            let q = parameters.find_map(|parameter| parameter.strip_prefix("q="));
            Some(q.and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0))
        };
        let (open, plain) = (quality("application/openmetrics-text"), quality("text/plain"));
        match open {
            Some(open) if open > 0.0 && plain.is_none_or(|plain| open >= plain) => Format::OpenMetrics,
            Some(_) | None => Format::Prometheus,
        }
    }
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Gauge,
    Counter,
    Info,
}

/// A document that is being written: each metric once, with all of its samples.
struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// Writes a metric, unless it has no samples. The name of a counter is that without `_total`.
    fn metric(&mut self, of: Type, name: &str, help: &str, samples: impl Iterator<Item = (String, String)>) {
        let mut samples = samples.peekable();
        if samples.peek().is_none() {
            return;
        }
        let (word, suffix) = match (of, self.format) {
            (Type::Gauge, _) => ("gauge", ""),
            (Type::Counter, _) => ("counter", "_total"),
            (Type::Info, Format::OpenMetrics) => ("info", "_info"),
            (Type::Info, Format::Prometheus) => ("gauge", "_info"),
        };
        // In OpenMetrics the suffix belongs to the sample, in Prometheus' format to the metric.
        let family = match self.format {
            Format::OpenMetrics => name.to_owned(),
            Format::Prometheus => format!("{name}{suffix}"),
        };
        let _ = writeln!(self.text, "# TYPE {family} {word}");
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _ = writeln!(self.text, "# UNIT {family} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {family} {help}");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{suffix}{labels} {value}");
        }
    }

    fn finish(mut self) -> Response {
        let kind = match self.format {
            Format::OpenMetrics => {
                self.text.push_str("# EOF\n");
                OPEN_METRICS
            }
            Format::Prometheus => PROMETHEUS,
        };
        Response::new(200, kind, self.text)
    }
}

/// `{a="x",b="y"}`; `\`, `"` and newlines are escaped.
fn labels(pairs: &[(&str, &str)]) -> String {
    let value = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, text)| format!("{name}=\"{}\"", value(text))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn flag(holds: bool) -> String {
    u8::from(holds).to_string()
}

pub(super) fn respond(request: &Request, script: &mut Script) -> Result<Response, Stop> {
    let rows = shown_rows(script)?;
    let helper = script.need(protocol::Request::Status(Names { names: vec![NAME.to_owned()] }))?;
    let helper = helper.iter().find_map(|reply| if let Reply::Row(row) = reply { Some(row) } else { None });
    let format = Format::of(request.headers.accept.as_deref());
    let mut metrics = Exposition { format, text: String::new() };
    of_programs(&mut metrics, &rows);
    of_foster(&mut metrics, helper);
    Ok(metrics.finish())
}

fn of_programs(metrics: &mut Exposition, rows: &[StatusRow]) {
    let instances: Vec<(&StatusRow, [String; 2])> = rows
        .iter()
        .filter_map(|row| Some((row, [row.instance?.to_string(), kind(row.kind).to_owned()])))
        .collect();
    let own = |row: &StatusRow, [index, kind]: &[String; 2]| {
        labels(&[("program", &row.name), ("index", index), ("kind", kind)])
    };
    // A sample for each row that has this figure.
    let mut figure = |of, name, help, value: &dyn Fn(&StatusRow) -> Option<String>| {
        let samples = instances.iter().filter_map(|(row, names)| Some((own(row, names), value(row)?)));
        metrics.metric(of, name, help, samples);
    };
    figure(Type::Gauge, "foster_program_ready", "Whether it is ready.", &|row| Some(flag(row.ready)));
    figure(Type::Gauge, "foster_program_healthy", "Whether its health check passes.", &|row| {
        row.health.map(|health| flag(health == Health::Healthy))
    });
    figure(Type::Gauge, "foster_program_wanted", "Whether it should run, or should have run.", &|row| {
        Some(flag(row.wanted))
    });
    figure(Type::Counter, "foster_program_restarts", "How often it was started again.", &|row| {
        Some(row.restarts.to_string())
    });
    figure(Type::Gauge, "foster_program_uptime_seconds", "The time since its start.", &|row| {
        row.uptime_ms.map(seconds)
    });
    figure(Type::Gauge, "foster_program_memory_bytes", "The resident sets of its processes.", &|row| {
        row.memory_bytes.map(|bytes| bytes.to_string())
    });
    figure(Type::Counter, "foster_program_cpu_seconds", "The CPU time of its processes.", &|row| {
        row.cpu_ms.map(seconds)
    });
    figure(
        Type::Counter,
        "foster_program_dropped_lines",
        "Lines of output that its log files could not take.",
        &|row| Some(row.dropped_lines.to_string()),
    );
    figure(Type::Gauge, "foster_program_last_exit_code", "The exit code of its last run.", &|row| match row
        .exit
        .as_ref()?
    {
        Exit::Code { code } => Some(code.to_string()),
        Exit::Signal { .. } => None,
    });
    figure(
        Type::Gauge,
        "foster_program_last_exit_signal",
        "The number of the signal that killed its last run.",
        &|row| match row.exit.as_ref()? {
            Exit::Signal { signal, .. } => Signal::parse(signal).map(|signal| signal.number().to_string()),
            Exit::Code { .. } => None,
        },
    );
    figure(
        Type::Gauge,
        "foster_program_last_exit_oom",
        "Whether the kernel killed its last run for memory.",
        &|row| match row.exit.as_ref()? {
            Exit::Signal { oom, .. } => Some(flag(*oom)),
            Exit::Code { .. } => Some(flag(false)),
        },
    );
    let states = instances.iter().flat_map(|(row, [index, kind])| {
        STATES.iter().filter(|(kinds, state, _)| kinds.contains(&row.kind) || *state == row.state).map(
            move |(_, state, word)| {
                let pairs =
                    [("program", row.name.as_str()), ("index", index), ("kind", kind), ("state", word)];
                (labels(&pairs), flag(*state == row.state))
            },
        )
    });
    metrics.metric(Type::Gauge, "foster_program_state", "Its state: 1 for the one that it is in.", states);
}

/// The states that each kind can be in.
const STATES: [(&[Kind], State, &str); 13] = [
    (&[Kind::Program, Kind::Task], State::Waiting, "waiting"),
    (&[Kind::Program], State::Starting, "starting"),
    (&[Kind::Program, Kind::Task, Kind::Job], State::Running, "running"),
    (&[Kind::Program], State::Unhealthy, "unhealthy"),
    (&[Kind::Program, Kind::Task, Kind::Job], State::Stopping, "stopping"),
    (&[Kind::Program, Kind::Task], State::Stopped, "stopped"),
    (&[Kind::Program, Kind::Task], State::Backoff, "backoff"),
    (&[Kind::Program], State::Exited, "exited"),
    (&[Kind::Program], State::Fatal, "fatal"),
    (&[Kind::Task], State::Succeeded, "succeeded"),
    (&[Kind::Task, Kind::Job], State::Failed, "failed"),
    (&[Kind::Job], State::Idle, "idle"),
    (&[Kind::Job], State::Paused, "paused"),
];

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Program => "program",
        Kind::Task => "task",
        Kind::Job => "job",
    }
}

/// foster's own: the supervisor's figures are read from /proc, so that they cost it nothing.
fn of_foster(metrics: &mut Exposition, helper: Option<&StatusRow>) {
    let one = |value: Option<String>| value.map(|value| (String::new(), value)).into_iter();
    let version = labels(&[("version", env!("CARGO_PKG_VERSION"))]);
    let info = std::iter::once((version, "1".to_owned()));
    metrics.metric(Type::Info, "foster_build", "The version of foster.", info);
    let usage = UsageReader::new().of_process(getppid());
    let memory = one(usage.map(|usage| usage.memory_bytes.to_string()));
    let help = "The resident set of the supervisor.";
    metrics.metric(Type::Gauge, "foster_supervisor_memory_bytes", help, memory);
    let cpu = one(usage.map(|usage| seconds(usage.cpu_ms)));
    metrics.metric(Type::Counter, "foster_supervisor_cpu_seconds", "The CPU time of the supervisor.", cpu);
    let restarts = one(helper.map(|row| row.restarts.to_string()));
    metrics.metric(
        Type::Counter,
        "foster_web_restarts",
        "How often the web server was started again.",
        restarts,
    );
    let memory = one(helper.and_then(|row| row.memory_bytes).map(|bytes| bytes.to_string()));
    metrics.metric(Type::Gauge, "foster_web_memory_bytes", "The resident set of the web server.", memory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_a_client_prefers() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, format) in [
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Format::Prometheus),
            (Some("text/plain, application/openmetrics-text; q=0.9"), Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (None, Format::Prometheus),
        ] {
            assert_eq!(Format::of(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn a_label_is_escaped_whatever_it_has() {
        assert_eq!(labels(&[("a", "x\\y\"z\nend")]), "{a=\"x\\\\y\\\"z\\nend\"}");
        assert_eq!(seconds(1_050), "1.050");
    }
}
