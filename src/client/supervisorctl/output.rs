//! `tail`, `maintail` and `fg`: the output of processes and of the supervisor.
//!
//! A log that is followed is a `Feed`; `input.rs` waits for it, for lines and for Ctrl-C.

use super::feed::Feed;
use super::input::{Arrived, Interrupts};
use super::processes::RUNNING;
use super::server::Failure;
use super::{Session, faults, help, status};
use crate::xmlrpc::value::Value;

/// The bytes that `tail` prints without a number.
const LAST: i64 = 1600;

/// What supervisorctl prints before it follows.
const FOLLOWING: &str = "==> Press Ctrl-C to exit <==";

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Last(i64),
    Followed,
}

impl Extent {
    /// Reads `-f` or `-BYTES`.
    fn read(word: &str) -> Option<Extent> {
        match word.strip_prefix('-')? {
            "f" => Some(Extent::Followed),
            number => number.parse().ok().map(Extent::Last),
        }
    }
}

impl Session<'_, '_> {
    fn failed(&mut self, line: &str) -> Result<(), Failure> {
        self.say(line);
        self.code = status::FAILED;
        Ok(())
    }

    /// The last bytes of a stream; with `-f` what follows, too.
    pub(super) fn tail(&mut self, words: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        if words.is_empty() || words.len() > 3 {
            let why = if words.is_empty() { "too few arguments" } else { "too many arguments" };
            self.misused("tail", why);
            return Ok(());
        }
        let (modifier, rest) = match words {
            [modifier, rest @ ..] if modifier.starts_with('-') => (Some(*modifier), rest),
            words => (None, words),
        };
        let (name, channel) = match rest {
            [] => return self.failed("Error: tail requires process name"),
            [name] => (*name, "stdout".to_owned()),
            [name, .., channel] => (*name, channel.to_lowercase()),
        };
        if !["stdout", "stderr"].contains(&channel.as_str()) {
            return self.failed(&format!("Error: bad channel '{channel}'"));
        }
        let bytes = match modifier.map(|word| (word, Extent::read(word))) {
            None => LAST,
            Some((_, Some(Extent::Last(bytes)))) => bytes,
            Some((_, Some(Extent::Followed))) => return self.follow_one(Some((name, &channel))),
            Some((word, None)) => return self.failed(&format!("Error: bad argument {word}")),
        };
        let method = if channel == "stdout" { "readProcessStdoutLog" } else { "readProcessStderrLog" };
        let range = [Value::text(name), Value::int(bytes.saturating_neg()), Value::int(0)];
        self.show(method, &range, name)
    }

    /// The last bytes of the supervisor's own log.
    pub(super) fn maintail(&mut self, words: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        let bytes = match words {
            [] => LAST,
            [word] => match Extent::read(word) {
                Some(Extent::Last(bytes)) => bytes,
                Some(Extent::Followed) => return self.follow_one(None),
                None => return self.failed(&format!("Error: bad argument {word}")),
            },
            _ => {
                self.misused("maintail", "too many arguments");
                return Ok(());
            }
        };
        self.show("readLog", &[Value::int(bytes.saturating_neg()), Value::int(0)], "supervisord")
    }

    fn show(&mut self, method: &str, range: &[Value], name: &str) -> Result<(), Failure> {
        let why = match self.server.call(method, range) {
            Ok(Value::Text(text)) => {
                self.say(text);
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(Failure::Fault(faults::NO_FILE, _)) => "no log file",
            Err(Failure::Fault(faults::FAILED, _)) => "unknown error reading log",
            Err(Failure::Fault(faults::BAD_NAME, _)) => "no such process name",
            Err(failure) => return Err(failure),
        };
        self.failed(&format!("{name}: ERROR ({why})"))
    }

    /// Follows a log, until Ctrl-C or its end. As with supervisorctl, that it cannot be followed is no failure.
    fn follow_one(&mut self, what: Option<(&str, &str)>) -> Result<(), Failure> {
        self.say(FOLLOWING);
        let _ = self.io.out.flush();
        let interrupts = Interrupts::new();
        match self.server.follow(what) {
            Ok(feed) => {
                if self.follow(vec![feed], &interrupts, None) == Arrived::Interrupt {
                    self.say("");
                }
            }
            Err(failure) => self.cannot_follow(what, &failure),
        }
        Ok(())
    }

    fn cannot_follow(&mut self, what: Option<(&str, &str)>, failure: &Failure) {
        let path =
            what.map_or("/mainlogtail".to_owned(), |(name, channel)| format!("/logtail/{name}/{channel}"));
        let url = self.server.url().unwrap_or_default();
        let why = match failure {
            Failure::Status(status, _) => format!("Cannot read, status code {status}"),
            // A server has no path for an unknown name.
            Failure::Fault(..) => "Cannot read, status code 404".to_owned(),
            Failure::Absent(..) | Failure::Other(_) => format!("Cannot connect, error: {failure}"),
        };
        let _ = writeln!(self.io.err, "{url}{path} {why}");
    }

    fn put(&mut self, bytes: &[u8]) {
        let _ = self.io.out.write_all(bytes).and_then(|()| self.io.out.flush());
    }

    /// Prints what these bring, until all have ended, Ctrl-C, or the end of standard input. Lines of that go to this process,
    /// until one cannot be written.
    fn follow(&mut self, mut feeds: Vec<Feed>, interrupts: &Interrupts, to: Option<&str>) -> Arrived {
        loop {
            if feeds.is_empty() && to.is_none() {
                return Arrived::EndOfInput;
            }
            match self.input.wait(&feeds, interrupts, to.is_some()) {
                Arrived::Feed(at) => match feeds.get_mut(at).and_then(Feed::next) {
                    Some(bytes) => self.put(&bytes),
                    None => drop(feeds.swap_remove(at)),
                },
                Arrived::Line(line) => {
                    if to.is_some_and(|name| !self.send(name, line)) {
                        return Arrived::EndOfInput;
                    }
                }
                end @ (Arrived::EndOfInput | Arrived::Interrupt) => return end,
            }
        }
    }

    /// Writes a line to a process. What cannot be written is printed.
    fn send(&mut self, name: &str, line: String) -> bool {
        let sent = self.server.call("sendProcessStdin", &[Value::text(name), Value::Text(line + "\n")]);
        match sent.and_then(|_| self.server.call("getProcessInfo", &[Value::text(name)])) {
            Ok(info) if info.int_of("state") == RUNNING => return true,
            Ok(_) | Err(Failure::Fault(faults::NOT_RUNNING, _)) => self.say("Process got killed"),
            Err(failure) => self.say(format!("ERROR: {failure}")),
        }
        false
    }

    /// Shows the output of a process, and gives it what is typed.
    pub(super) fn foreground(&mut self, names: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        let name = match names {
            [name] => *name,
            [] => {
                self.say("ERROR: no process name supplied");
                help::of("fg").into_iter().for_each(|text| self.say(text));
                self.code = status::FAILED;
                return Ok(());
            }
            [_, _, ..] => return self.failed("ERROR: too many process names supplied"),
        };
        match self.server.call("getProcessInfo", &[Value::text(name)]) {
            Ok(info) if info.int_of("state") == RUNNING => {}
            Ok(_) => return self.failed("ERROR: process not running"),
            Err(Failure::Fault(faults::BAD_NAME, _)) => {
                return self.failed("ERROR: bad process name supplied");
            }
            Err(failure @ Failure::Fault(..)) => {
                self.say(format!("ERROR: {failure}"));
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        self.say(FOLLOWING);
        let _ = self.io.out.flush();
        let interrupts = Interrupts::new();
        let mut feeds = Vec::new();
        for channel in ["stdout", "stderr"] {
            match self.server.follow(Some((name, channel))) {
                Ok(feed) => feeds.push(feed),
                Err(failure) => self.cannot_follow(Some((name, channel)), &failure),
            }
        }
        self.follow(feeds, &interrupts, Some(name));
        self.say("Exiting foreground");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_bytes_or_a_wish_to_follow_is_read() {
        let of = ["-20", "-f", "-x", "web"].map(Extent::read);
        assert_eq!(of, [Some(Extent::Last(20)), Some(Extent::Followed), None, None]);
    }
}
