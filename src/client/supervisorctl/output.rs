//! `tail`: the last bytes of a process's output.

use super::processes::{self, Chosen};
use super::{Session, ask, status};
use crate::control::protocol::{Logs, Request, Stream};

impl Session<'_, '_> {
    /// The last bytes of a stream, by default 1600; with `-f` what follows, too.
    pub(super) fn tail(&mut self, words: &[String]) -> u8 {
        let (flag, words) = match words {
            [flag, rest @ ..] if flag.starts_with('-') => (Some(flag.as_str()), rest),
            words => (None, words),
        };
        let bytes = match flag {
            None | Some("-f") => Some(1600),
            Some(number) => number.trim_start_matches('-').parse::<usize>().ok(),
        };
        let (name, stream) = match words {
            [name] => (name, Some(Stream::Stdout)),
            [name, stream] if stream == "stdout" => (name, Some(Stream::Stdout)),
            [name, stream] if stream == "stderr" => (name, Some(Stream::Stderr)),
            [name, _] => (name, None),
            _ => {
                self.say("Error: too few arguments: tail [-f|-BYTES] <name> [stdout|stderr]");
                return status::FAILED;
            }
        };
        let (Some(bytes), Some(stream)) = (bytes, stream) else {
            self.say("Error: bad argument: tail [-f|-BYTES] <name> [stdout|stderr]");
            return status::FAILED;
        };
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let Chosen::One(process) = processes::choose(&all, name) else {
            self.say(format!("{name}: ERROR (no such process name)"));
            return status::FAILED;
        };
        let mut request =
            Logs { names: vec![process.label.clone()], lines: None, since_ms: None, follow: false };
        let text = match self.ask(&Request::Logs(request.clone())) {
            Ok(replies) => processes::output(&replies, stream),
            Err(code) => return code,
        };
        let start = text.len().saturating_sub(bytes);
        // A character that is cut is left out, too.
        let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        // With one more line end, as supervisorctl's own.
        self.say(text.get(start..).unwrap_or(""));
        if flag == Some("-f") {
            let _ = self.io.out.flush();
            (request.follow, request.lines) = (true, Some(0));
            let Ok(answer) = ask(&self.sockets, &Request::Logs(request)) else { return status::FAILED };
            for reply in answer.map_while(Result::ok) {
                let text = processes::output(std::slice::from_ref(&reply), stream);
                // The reader has gone.
                if self.io.out.write_all(text.as_bytes()).and_then(|()| self.io.out.flush()).is_err() {
                    break;
                }
            }
        }
        status::DONE
    }
}
