//! Lines of a terminal, edited with the keys of Emacs, with history and completion: what readline is for supervisorctl.
//!
//! The terminal is raw only while a line is typed. The signals that would end this process are read meanwhile, so that the
//! former mode is back before one takes effect. `line_editor/line.rs` has the line, `keys.rs` the keys.

mod history;
mod line;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use foster_core::ids::Signal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal as nix_signal;

use super::keys::{Key, KeyReader};
use super::raw_mode::RawMode;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::{self, SignalSet};
use crate::sys::terminal;
use history::History;
use line::Line;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// ^D on an empty line, or the terminal is gone.
    End,
    /// ^C.
    Interrupt,
}

/// How the text of a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Echo {
    /// As it is; it is added to the history.
    Text,
    /// Not at all.
    Hidden,
}

/// The candidates for the word at the end of a text.
pub(super) type Complete<'c> = &'c mut dyn FnMut(&str) -> Vec<String>;

/// An editor of lines.
#[derive(Debug, Default)]
pub(super) struct Editor {
    keys: KeyReader,
    /// Keys that were pressed ahead.
    ahead: VecDeque<Key>,
    history: History,
    file: Option<PathBuf>,
}

impl Editor {
    /// One whose history is in this file.
    pub(super) fn new(file: Option<&Path>) -> Editor {
        let history = file.map(History::load).unwrap_or_default();
        Editor { history, file: file.map(Path::to_owned), ..Editor::default() }
    }

    /// Reads a line from standard input, which is a terminal, as standard output is.
    pub(super) fn read(
        &mut self,
        prompt: &str,
        echo: Echo,
        complete: Complete<'_>,
        out: &mut dyn Write,
    ) -> Typed {
        const ENDING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
        let watched = SignalSet::of(&[ENDING.as_slice(), &[Signal::WINCH, Signal::CONT]].concat());
        let before = sigwait::block(watched);
        let raw = io::stdin().as_fd().try_clone_to_owned().map_err(drop);
        let opened = raw.and_then(|terminal| RawMode::of(terminal).map_err(drop));
        let opened =
            opened.and_then(|raw| SignalFd::new(watched).map(|signals| (raw, signals)).map_err(drop));
        let Ok((raw, signals)) = opened else {
            sigwait::block(before);
            return Typed::End;
        };
        let mut reading = Reading { prompt, echo, line: Line::default(), has_asked: false, out };
        let ended = loop {
            reading.show();
            match self.next_key(&signals) {
                Next::Key(Key::Control('z')) => {
                    // As the terminal itself would: the shell continues this process, or not.
                    let _ = raw.unset();
                    let _ = nix_signal::raise(nix_signal::Signal::SIGTSTP);
                    let _ = raw.set();
                }
                Next::Key(key) => {
                    if let Some(typed) = reading.press(key, &mut self.history, complete) {
                        break Ok(typed);
                    }
                }
                Next::Signal(Signal::INT) => break Ok(Typed::Interrupt),
                // Another size, or another program has had the terminal.
                Next::Signal(Signal::WINCH | Signal::CONT) => drop(raw.set()),
                Next::Signal(signal) => break Err(signal),
                Next::Gone => break Ok(Typed::End),
            }
        };
        reading.line.go_to_end();
        reading.show();
        let _ = reading.out.write_all(b"\r\n").and_then(|()| reading.out.flush());
        drop((raw, signals));
        sigwait::block(before);
        match ended {
            Ok(typed) => {
                if let (Typed::Line(line), Echo::Text) = (&typed, echo) {
                    self.history.add(line);
                    // At once: what the line does may end this process.
                    if let Some(file) = &self.file {
                        self.history.save(file);
                    }
                }
                typed
            }
            Err(signal) => {
                let _ = nix_signal::Signal::try_from(signal.number()).map(nix_signal::raise);
                Typed::End
            }
        }
    }

    fn next_key(&mut self, signals: &SignalFd) -> Next {
        let stdin = io::stdin();
        loop {
            if let Some(key) = self.ahead.pop_front() {
                return Next::Key(key);
            }
            let mut watched = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            if poll(&mut watched, PollTimeout::NONE).is_err() {
                continue;
            }
            let [keys, signalled] = watched.map(|fd| fd.any().unwrap_or(false));
            if signalled && let Some(signal) = signals.take().first() {
                return Next::Signal(*signal);
            }
            if keys {
                match self.keys.read(&stdin) {
                    Some(keys) => self.ahead.extend(keys),
                    None => return Next::Gone,
                }
            }
        }
    }
}

/// What comes first.
enum Next {
    Key(Key),
    Signal(Signal),
    /// The terminal has hung up.
    Gone,
}

/// A line while it is typed.
struct Reading<'r> {
    prompt: &'r str,
    echo: Echo,
    line: Line,
    /// Whether the last key asked for candidates, and there were several.
    has_asked: bool,
    out: &'r mut dyn Write,
}

impl Reading<'_> {
    fn show(&mut self) {
        let width = terminal::size(&io::stdout()).0;
        let prompt = line::columns(self.prompt);
        let (text, column) = match self.echo {
            Echo::Text => self.line.window(width.saturating_sub(prompt)),
            Echo::Hidden => (String::new(), 0),
        };
        // A terminal that is gone shows nothing.
        let _ = write!(self.out, "\r{}{text}\x1b[K\r", self.prompt);
        if prompt + column > 0 {
            let _ = write!(self.out, "\x1b[{}C", prompt + column);
        }
        let _ = self.out.flush();
    }

    fn ring(&mut self) {
        let _ = self.out.write_all(b"\x07");
    }

    /// Does what a key is for; returns what it ends with.
    fn press(&mut self, key: Key, history: &mut History, complete: Complete<'_>) -> Option<Typed> {
        let has_asked = std::mem::take(&mut self.has_asked);
        match key {
            Key::Enter => return Some(Typed::Line(self.line.text())),
            Key::Control('c') => return Some(Typed::Interrupt),
            Key::Control('d') if self.line.is_empty() => return Some(Typed::End),
            Key::Control('d') | Key::Delete => self.line.delete(),
            Key::Char(char) => self.line.insert(&char.to_string()),
            Key::Backspace => self.line.delete_left(),
            Key::Left | Key::Control('b') => self.line.go_left(),
            Key::Right | Key::Control('f') => self.line.go_right(),
            Key::Home | Key::Control('a') => self.line.go_to_start(),
            Key::End | Key::Control('e') => self.line.go_to_end(),
            Key::Control('k') => self.line.kill_to_end(),
            Key::Control('u') => self.line.kill_to_start(),
            Key::Control('w') => self.line.kill_word(),
            Key::Control('y') => self.line.yank(),
            Key::Control('l') => drop(self.out.write_all(b"\x1b[H\x1b[2J")),
            Key::Up | Key::Control('p') if self.echo == Echo::Text => {
                match history.earlier(&self.line.text()) {
                    Some(line) => self.line.set(&line),
                    None => self.ring(),
                }
            }
            Key::Down | Key::Control('n') if self.echo == Echo::Text => match history.later() {
                Some(line) => self.line.set(&line),
                None => self.ring(),
            },
            Key::Tab if self.echo == Echo::Text => self.complete(complete, has_asked),
            Key::Up | Key::Down | Key::Tab | Key::Escape | Key::PageUp | Key::PageDown | Key::Control(_) => {}
        }
        None
    }

    /// Adds what all candidates have in common; where that is nothing, the next Tab lists them.
    fn complete(&mut self, complete: Complete<'_>, is_again: bool) {
        let head = self.line.head();
        let mut candidates = complete(&head);
        candidates.sort_unstable();
        candidates.dedup();
        let word = head.rsplit(char::is_whitespace).next().unwrap_or_default();
        let Some(common) = common_start(&candidates) else { return self.ring() };
        match common.strip_prefix(word) {
            Some(rest) if !rest.is_empty() => self.line.insert(rest),
            _ if is_again => self.list(&candidates),
            _ => {
                self.has_asked = true;
                self.ring();
            }
        }
    }

    /// Prints the candidates below the line, in columns.
    fn list(&mut self, candidates: &[String]) {
        let width = candidates.iter().map(|name| line::columns(name)).max().unwrap_or(0) + 2;
        let count = (terminal::size(&io::stdout()).0 / width).max(1);
        let mut text = String::from("\r\n");
        for row in candidates.chunks(count) {
            for name in row {
                text.push_str(name);
                text.push_str(&" ".repeat(width.saturating_sub(line::columns(name))));
            }
            text.truncate(text.trim_end().len());
            text.push_str("\r\n");
        }
        let _ = self.out.write_all(text.as_bytes());
    }
}

/// The longest text with which all of these start; `None` without any.
fn common_start(candidates: &[String]) -> Option<&str> {
    let (first, rest) = candidates.split_first()?;
    let mut common = first.as_str();
    for other in rest {
        let same = common.char_indices().zip(other.chars()).find(|((_, one), other)| one != other);
        let end = same.map_or(common.len().min(other.len()), |((at, _), _)| at);
        common = common.get(..end).unwrap_or_default();
    }
    Some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_have_their_start_in_common() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            common_start(&names).map(str::to_owned)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["stop "]).as_deref(), Some("stop "));
        assert_eq!(of(&["start ", "status ", "stop "]).as_deref(), Some("st"));
        assert_eq!(of(&["é1", "é2", "é"]).as_deref(), Some("é"));
        assert_eq!(of(&["a", "b"]).as_deref(), Some(""));
    }

    #[test]
    fn tab_adds_what_is_common_then_rings_then_lists() {
        let mut out = Vec::new();
        let mut reading = Reading {
            prompt: "> ",
            echo: Echo::Text,
            line: Line::default(),
            has_asked: false,
            out: &mut out,
        };
        let mut history = History::default();
        let mut complete = |_: &str| vec!["start ".to_owned(), "status ".to_owned()];
        for key in [Key::Char('s'), Key::Tab, Key::Tab, Key::Tab] {
            assert_eq!(reading.press(key, &mut history, &mut complete), None);
        }
        assert_eq!(reading.line.text(), "sta");
        assert_eq!(String::from_utf8_lossy(&out), "\x07\r\nstart    status\r\n");
    }
}
