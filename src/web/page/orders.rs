//! The buttons of the page: a form that gives an order, and its result.
//!
//! Only where the server may control programs, and only for a form of the page itself. The supervisor looks at the rights of
//! the helper as well (`control/rights.rs`).

use super::super::answer::{Answer, Back, Context};
use super::super::http::{Request, Response, TEXT};
use super::results::{Report, Success};
use crate::control::protocol::{self, Kind, Names, Order, Reason, Reply, RunJob, Verdict};
use crate::xmlrpc::processes::shown_rows;
use crate::xmlrpc::script::{Script, Stop};

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Restart,
    Run,
    Clear,
}

impl Verb {
    fn parse(word: &str) -> Option<Verb> {
        match word {
            "start" => Some(Verb::Start),
            "stop" => Some(Verb::Stop),
            "restart" => Some(Verb::Restart),
            "run" => Some(Verb::Run),
            "clear" => Some(Verb::Clear),
            _ => None,
        }
    }

    fn request(self, name: &str, names: Vec<String>) -> protocol::Request {
        let order = Order { names: names.clone(), wait: true };
        match self {
            Verb::Start => protocol::Request::Start(order),
            Verb::Stop => protocol::Request::Stop(order),
            Verb::Restart => protocol::Request::Restart(order),
            Verb::Run => {
                protocol::Request::RunJob(RunJob { name: name.to_owned(), wait: false, follow: false })
            }
            Verb::Clear => protocol::Request::Clear(Names { names }),
        }
    }
}

/// The name of a form that is about all programs.
pub(super) const ALL: &str = "all";

pub(in crate::web) fn order(
    context: Context<'_>,
    request: &Request,
    script: &mut Script,
) -> Result<Answer, Stop> {
    let refused = |status: u16, text: &str| {
        Ok(Answer::Whole(Response::new(status, TEXT, format!("{}: {text}\n", Response::title(status)))))
    };
    if !context.server.control {
        return refused(403, "`control` of `[web]` is false");
    }
    if request.is_cross_site() {
        return refused(403, "the form is that of another site");
    }
    let (word, name) = (request.field("verb").unwrap_or_default(), request.field("name").unwrap_or_default());
    let Some(verb) = Verb::parse(word).filter(|_| !name.is_empty()) else {
        return refused(400, "expected `verb` (start, stop, restart, run or clear) and `name`");
    };
    let names = if name == ALL && verb != Verb::Clear { programs(script)? } else { vec![name.to_owned()] };
    if names.is_empty() {
        return refused(400, "there are no programs");
    }
    let report = report(format!("{word} {name}"), script.ask(verb.request(name, names))?);
    let back = match request.field("back") {
        Some("log") => Back::Log(name.to_owned()),
        Some(_) | None => Back::Overview,
    };
    Ok(Answer::Ordered(report, back))
}

/// The names of all programs: not of tasks, which would run again, and not of jobs, which would be paused.
fn programs(script: &mut Script) -> Result<Vec<String>, Stop> {
    let mut names: Vec<String> = Vec::new();
    for row in shown_rows(script)?.into_iter().filter(|row| row.kind == Kind::Program) {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    Ok(names)
}

fn report(title: String, answer: &crate::xmlrpc::script::Answer) -> Report {
    let (replies, refusal) = match answer {
        Ok(replies) => (replies, None),
        Err((refusal, replies)) => (replies, Some(refusal)),
    };
    let mut lines: Vec<String> = Vec::new();
    let mut has_failed = false;
    for reply in replies {
        if let Reply::Outcome(outcome) = reply {
            has_failed |= outcome.verdict == Verdict::Failed;
            lines.push(format!("{}: {}", outcome.name, outcome.message));
        }
    }
    let is_late = refusal.is_some_and(|refusal| refusal.error == Reason::TooSlow);
    if is_late {
        // What it waits for.
        let mut notes = replies
            .iter()
            .rev()
            .filter_map(|reply| if let Reply::Note(note) = reply { Some(note) } else { None });
        lines.extend(notes.next().map(|note| note.text.clone()));
    }
    lines.extend(refusal.map(ToString::to_string));
    let success = match refusal {
        _ if has_failed => Success::Failed,
        Some(_) if is_late => Success::UnderWay,
        Some(_) => Success::Failed,
        None => Success::Done,
    };
    Report { success, title, lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Note, Outcome, Refusal};
    use crate::control::web_process::{ServerSettings, Settings};
    use crate::web::page::results::Results;

    fn settings() -> Settings {
        Settings { supervisor: String::new(), identifier: String::new(), servers: Vec::new() }
    }

    fn form(pairs: &[(&str, &str)]) -> Request {
        let form = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "POST".into(), form, ..Request::default() }
    }

    fn status(control: bool, request: &Request) -> Option<u16> {
        let server = ServerSettings { control, ..ServerSettings::default() };
        let (settings, results) = (settings(), Results::default());
        let context = Context { settings: &settings, server: &server, results: &results, is_permitted: true };
        match order(context, request, &mut Script::default()) {
            Ok(Answer::Whole(response)) => Some(response.status),
            Ok(_) | Err(_) => None,
        }
    }

    #[test]
    fn only_a_form_of_the_page_where_it_may_control_gives_an_order() {
        let stop = form(&[("verb", "stop"), ("name", "web")]);
        assert_eq!((status(true, &stop), status(false, &stop)), (None, Some(403)));
        let mut foreign = stop.clone();
        foreign.headers.origin = Some("http://evil.example".into());
        assert_eq!(status(true, &foreign), Some(403));
        for pairs in [&[("verb", "shutdown"), ("name", "web")][..], &[("verb", "stop")], &[("name", "web")]] {
            assert_eq!(status(true, &form(pairs)), Some(400), "{pairs:?}");
        }
    }

    #[test]
    fn a_result_says_what_has_failed_and_what_takes_longer() {
        let outcome = |verdict| {
            let (name, message) = ("web".to_owned(), "m".to_owned());
            Reply::Outcome(Outcome { name, verdict, message, exit_status: None })
        };
        let of = |answer| {
            let report = report("stop web".into(), &answer);
            (report.success, report.lines.join("; "))
        };
        assert_eq!(of(Ok(vec![outcome(Verdict::Ok), Reply::End {}])), (Success::Done, "web: m".into()));
        assert_eq!(of(Ok(vec![outcome(Verdict::Failed)])), (Success::Failed, "web: m".into()));
        let late = Refusal::new(Reason::TooSlow, "late");
        let notes = vec![Reply::Note(Note { text: "web: stopping".into() })];
        assert_eq!(of(Err((late, notes))), (Success::UnderWay, "web: stopping; late".into()));
        let unknown = Refusal::new(Reason::NoSuchName, "no such name");
        assert_eq!(of(Err((unknown, Vec::new()))), (Success::Failed, "no such name".into()));
    }
}
