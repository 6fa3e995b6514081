//! `tail`, `maintail`, `fg` and `clear`: the output of processes and of the supervisor.
//!
//! foster keeps the last lines of each program, and its own events; log files are not read.

use super::input::{Arrived, Interrupts};
use super::processes::{self, Chosen, Process, State};
use super::{Session, ask, help, status};
use crate::control::protocol::{Event, Events, Input, Logs, Names, Outcome, Reply, Request, Stream, Verdict};

/// The bytes that `tail` prints without a number, and those that it starts with before it follows.
const LAST: usize = 1600;
const LAST_FOLLOWED: usize = 1024;

/// What supervisorctl prints before it follows.
const FOLLOWING: &str = "==> Press Ctrl-C to exit <==";

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Last(usize),
    Followed,
}

impl Extent {
    /// Reads `-f` or `-BYTES`, before other words.
    fn read(words: &[String]) -> Option<(Extent, &[String])> {
        match words {
            [flag, rest @ ..] if flag.starts_with('-') => match flag.as_str() {
                "-f" => Some((Extent::Followed, rest)),
                number => {
                    number.trim_start_matches('-').parse().ok().map(|bytes| (Extent::Last(bytes), rest))
                }
            },
            words => Some((Extent::Last(LAST), words)),
        }
    }
}

impl Session<'_, '_> {
    /// The last bytes of a stream; with `-f` what follows, too.
    pub(super) fn tail(&mut self, words: &[String]) -> u8 {
        let Some((extent, rest)) = Extent::read(words) else {
            self.say(format!("Error: bad argument {}", words.first().map_or("", String::as_str)));
            return status::FAILED;
        };
        let (name, stream) = match rest {
            _ if words.len() > 3 => return self.misused("tail", "too many arguments"),
            [name] => (name, "stdout"),
            [name, .., stream] => (name, stream.as_str()),
            [] => return self.misused("tail", "too few arguments"),
        };
        let stream = match stream.to_ascii_lowercase().as_str() {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => {
                self.say(format!("Error: bad channel '{stream}'"));
                return status::FAILED;
            }
        };
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let Chosen::One(process) = processes::choose(&all, name) else {
            self.say(format!("{name}: ERROR (no such process name)"));
            return status::FAILED;
        };
        self.show(extent, &logs(process), &process.name, &|reply| processes::output(reply, stream))
    }

    /// The last bytes of foster's own log.
    pub(super) fn maintail(&mut self, words: &[String]) -> u8 {
        let extent = match Extent::read(words) {
            Some((extent, [])) => extent,
            Some(_) if words.len() > 1 => return self.misused("maintail", "too many arguments"),
            Some(_) | None => {
                self.say(format!("Error: bad argument {}", words.first().map_or("", String::as_str)));
                return status::FAILED;
            }
        };
        self.show(extent, &Request::Events(Events::default()), "supervisord", &|reply| {
            if let Reply::Event(event) = reply { log_line(event) } else { String::new() }
        })
    }

    /// Prints the last bytes of these replies, and what follows.
    fn show(&mut self, extent: Extent, request: &Request, name: &str, text: &dyn Fn(&Reply) -> String) -> u8 {
        let replies = match self.ask(request) {
            Ok(replies) => replies,
            Err(code) => return code,
        };
        let all: String = replies.iter().map(text).collect();
        // The note says that foster keeps no output of it.
        if all.is_empty() && replies.iter().any(|reply| matches!(reply, Reply::Note(_))) {
            self.say(format!("{name}: ERROR (no log file)"));
            return status::FAILED;
        }
        let bytes = match extent {
            Extent::Last(bytes) => bytes,
            Extent::Followed => LAST_FOLLOWED,
        };
        let start = all.len().saturating_sub(bytes);
        // A character that is cut is left out, too.
        let start = (start..=all.len()).find(|at| all.is_char_boundary(*at)).unwrap_or(0);
        let last = all.get(start..).unwrap_or("");
        match extent {
            // With one more line end, as supervisorctl's own.
            Extent::Last(_) => self.say(last),
            Extent::Followed => {
                self.say(FOLLOWING);
                self.put(last);
                self.follow(request, text, None);
                self.say("");
            }
        }
        status::DONE
    }

    fn put(&mut self, text: &str) {
        let _ = self.io.out.write_all(text.as_bytes()).and_then(|()| self.io.out.flush());
    }

    /// Prints what this request brings from now on, until Ctrl-C or the end of the supervisor. Lines of standard input
    /// go to this process, until one cannot be written.
    fn follow(&mut self, request: &Request, text: &dyn Fn(&Reply) -> String, to: Option<&Process>) {
        let mut request = request.clone();
        if let Request::Logs(Logs { follow, lines, .. }) | Request::Events(Events { follow, lines, .. }) =
            &mut request
        {
            (*follow, *lines) = (true, Some(0));
        }
        let interrupts = Interrupts::new();
        let Ok(mut answer) = ask(&self.sockets, &request) else { return };
        loop {
            match self.input.wait(&answer, &interrupts, to.is_some()) {
                Arrived::Reply => match answer.next() {
                    Some(Ok(reply)) => self.put(&text(&reply)),
                    Some(Err(_)) | None => return,
                },
                Arrived::Line(line) => {
                    if to.is_some_and(|process| !self.send(process, line)) {
                        return;
                    }
                }
                Arrived::EndOfInput | Arrived::Interrupt => return,
            }
        }
    }

    /// Writes a line to a process. What cannot be written is printed.
    fn send(&mut self, process: &Process, line: String) -> bool {
        let is_up = |all: Vec<Process>| {
            all.iter().any(|known| known.label == process.label && known.state == State::Running)
        };
        if !self.processes().is_ok_and(is_up) {
            self.say("Process got killed");
            return false;
        }
        let request = Request::Input(Input { name: process.label.clone(), text: line + "\n" });
        match ask(&self.sockets, &request).and_then(|answer| Ok(answer.collect::<Result<Vec<_>, _>>()?)) {
            Ok(_) => true,
            Err(failure) => {
                self.say(format!("ERROR: {}", failure.render()));
                false
            }
        }
    }

    /// Shows the output of a process, and gives it what is typed.
    pub(super) fn foreground(&mut self, names: &[String]) -> u8 {
        let name = match names {
            [name] => name,
            [] => {
                self.say("ERROR: no process name supplied");
                help::of("fg").into_iter().for_each(|text| self.say(text));
                return status::FAILED;
            }
            [_, _, ..] => {
                self.say("ERROR: too many process names supplied");
                return status::FAILED;
            }
        };
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let Chosen::One(process) = processes::choose(&all, name) else {
            self.say("ERROR: bad process name supplied");
            return status::FAILED;
        };
        if process.state != State::Running {
            self.say("ERROR: process not running");
            return status::FAILED;
        }
        self.say(FOLLOWING);
        let _ = self.io.out.flush();
        let text = |reply: &Reply| {
            processes::output(reply, Stream::Stdout) + &processes::output(reply, Stream::Stderr)
        };
        self.follow(&logs(process), &text, Some(process));
        self.say("Exiting foreground");
        status::DONE
    }

    /// Drops the output that foster keeps, and empties log files.
    pub(super) fn clear(&mut self, names: &[String]) -> u8 {
        if names.is_empty() {
            return self.nothing_named("clear");
        }
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let names = if names.iter().any(|name| name == "all") { &["all".to_owned()] } else { names };
        let mut code = status::DONE;
        for name in names {
            let chosen = match processes::choose(&all, name) {
                Chosen::All(chosen) => chosen,
                Chosen::One(process) => vec![process],
                Chosen::Group(_) | Chosen::NoGroup(_) | Chosen::NoProcess => {
                    self.say(format!("{name}: ERROR (no such process)"));
                    code = status::FAILED;
                    continue;
                }
            };
            for process in chosen {
                let cleared = self.ask(&Request::Clear(Names { names: vec![process.label.clone()] }));
                let has_failed =
                    |reply: &Reply| matches!(reply, Reply::Outcome(Outcome { verdict: Verdict::Failed, .. }));
                if cleared.is_ok_and(|replies| !replies.iter().any(has_failed)) {
                    self.say(format!("{}: cleared", process.name));
                } else {
                    self.say(format!("{}: ERROR (failed)", process.name));
                    code = status::FAILED;
                }
            }
        }
        code
    }
}

fn logs(process: &Process) -> Request {
    Request::Logs(Logs { names: vec![process.label.clone()], lines: None, since_ms: None, follow: false })
}

/// An event as supervisord writes it to its log: `2026-11-29 11:05:00,123 INFO …`.
fn log_line(event: &Event) -> String {
    let ts = event.text("ts");
    let (day, time) = (ts.get(..10).unwrap_or(""), ts.get(11..19).unwrap_or(""));
    let millis = ts.get(20..23).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let level = match event.text("level") {
        "error" => "ERRO",
        "warn" => "WARN",
        "debug" => "DEBG",
        "trace" => "TRAC",
        _ => "INFO",
    };
    format!("{day} {time},{} {level} {}\n", millis.unwrap_or("000"), event.text("msg"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_is_a_line_of_supervisords_log() {
        let event = json!({ "ts": "2026-11-29T11:05:00.123456Z", "level": "warn", "msg": "web: exited" });
        let Value::Object(fields) = event else { panic!("no object") };
        assert_eq!(log_line(&Event(fields)), "2026-11-29 11:05:00,123 WARN web: exited\n");
        assert_eq!(log_line(&Event(serde_json::Map::new())), " ,000 INFO \n");
    }

    #[test]
    fn a_number_of_bytes_or_a_wish_to_follow_comes_first() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Extent::read(&words).map(|(extent, rest)| (extent, rest.len()))
        };
        assert_eq!(read(&["web"]), Some((Extent::Last(1600), 1)));
        assert_eq!(read(&["-f", "web", "stderr"]), Some((Extent::Followed, 2)));
        assert_eq!(read(&["-20", "web"]), Some((Extent::Last(20), 1)));
        assert_eq!((read(&["-x", "web"]), read(&[])), (None, Some((Extent::Last(1600), 0))));
    }
}
