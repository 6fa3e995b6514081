//! `foster top`: a view of the programs that repaints itself, with the output of the selected one, and keys for orders.
//!
//! It asks for the state once a second, as `status` does, and follows the output of one instance, as `logs -f` does. It
//! never waits for one thing alone: keys, signals, the timer and each answer are descriptors of one poll(2). The terminal
//! is as before when it ends, also by a signal. Next: `top/model.rs` (what is shown), `top/view.rs` (how).

mod model;
mod screen;
mod view;

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use foster_core::ids::Signal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal as nix_signal;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::keys::KeyReader;
use super::{ANSWER_AT_ONCE, ClientIo, Failure, ask_within};
use crate::cli::ClientCommand;
use crate::control::client::{Answer, Patience};
use crate::control::protocol::{Logs, Reply, Request, StatusRow};
use crate::exit::ExitStatus;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::{self, SignalSet};
use model::{Model, Step};
use screen::Screen;

const REFRESH: Duration = Duration::from_secs(1);
/// The lines of output that are asked for when an instance is selected.
const FIRST_LINES: u32 = 500;
/// The most replies that are read before keys are looked at again.
const REPLIES_AT_ONCE: usize = 512;

/// Shows the programs until the user quits, or the supervisor no longer answers.
pub(super) fn run(
    command: &ClientCommand,
    sockets: &[PathBuf],
    client: &ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let stop = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
    let watched = SignalSet::of(&[stop.as_slice(), &[Signal::WINCH, Signal::CONT]].concat());
    let mut top = Top {
        link: Link { sockets, status: &command.request },
        model: Model::new(),
        answers: Answers::default(),
        keys: KeyReader::default(),
    };
    // Before the terminal changes: an error is then a plain message.
    let rows = top.link.ask(&command.request)?.filter_map(|reply| match reply {
        Ok(Reply::Row(row)) => Some(Ok(row)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    top.model.set_rows(rows.collect::<Result<_, _>>()?);
    let mut screen = Screen::open(client.colour)?;
    let before = sigwait::block(watched);
    let done = top.turn_until_the_end(&mut screen, watched);
    drop(screen);
    sigwait::block(before);
    match done? {
        Ending::Quit => Ok(ExitStatus::DONE),
        Ending::Signal(signal) => {
            // The shell sees that this signal ended the client.
            let _ = nix_signal::Signal::try_from(signal.number()).map(nix_signal::raise);
            Ok(ExitStatus::DONE)
        }
    }
}

/// Why the view ends.
enum Ending {
    /// A key.
    Quit,
    /// A signal.
    Signal(Signal),
}

/// How the supervisor is asked.
struct Link<'a> {
    sockets: &'a [PathBuf],
    /// The request for the state.
    status: &'a Request,
}

impl Link<'_> {
    /// The timeout is that of the rest of a line: a line that has begun to arrive is complete.
    fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        ask_within(self.sockets, request, Patience::For(ANSWER_AT_ONCE))
    }
}

/// An answer that arrives.
struct Arriving {
    answer: Answer,
    rows: Vec<StatusRow>,
}

/// The answers that arrive; each is absent between two of its kind.
#[derive(Default)]
struct Answers {
    rows: Slot,
    output: Slot,
    order: Slot,
}

#[derive(Default)]
struct Slot(Option<Arriving>);

impl From<Answer> for Slot {
    fn from(answer: Answer) -> Slot {
        Slot(Some(Arriving { answer, rows: Vec::new() }))
    }
}

struct Top<'a> {
    link: Link<'a>,
    model: Model,
    answers: Answers,
    keys: KeyReader,
}

/// What poll(2) has reported.
#[derive(Clone, Copy, Default)]
struct Ready {
    keys: bool,
    signals: bool,
    timer: bool,
    rows: bool,
    output: bool,
    order: bool,
}

impl Top<'_> {
    fn turn_until_the_end(&mut self, screen: &mut Screen, watched: SignalSet) -> Result<Ending, Failure> {
        let signals = SignalFd::new(watched).map_err(Failure::Wait)?;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
                .map_err(Failure::Wait)?;
        timer.set(Expiration::Interval(REFRESH.into()), TimerSetTimeFlags::empty()).map_err(Failure::Wait)?;
        let mut is_painted = false;
        loop {
            let patience = if is_painted { PollTimeout::NONE } else { PollTimeout::ZERO };
            let ready = self.poll(&signals, &timer, patience)?;
            let is_quiet = !(ready.keys || ready.signals || ready.rows || ready.output || ready.order);
            if ready.signals {
                for signal in signals.take() {
                    match signal {
                        Signal::WINCH => {}
                        Signal::CONT => screen.enter().map_err(Failure::Print)?,
                        signal => return Ok(Ending::Signal(signal)),
                    }
                }
            }
            if ready.keys && !self.press(screen)? {
                return Ok(Ending::Quit);
            }
            self.read(ready)?;
            if ready.timer {
                let _ = timer.wait();
                if self.answers.rows.0.is_none() {
                    self.answers.rows = self.link.ask(self.link.status)?.into();
                }
            }
            self.follow();
            // While output keeps arriving the screen is painted once a second, and after each key.
            is_painted = is_quiet || ready.timer || ready.keys || ready.signals;
            if is_painted {
                screen.paint(&mut self.model).map_err(Failure::Print)?;
            }
        }
    }

    fn poll(&self, signals: &SignalFd, timer: &TimerFd, patience: PollTimeout) -> Result<Ready, Failure> {
        let (stdin, Answers { rows, output, order }) = (io::stdin(), &self.answers);
        let wanted = PollFlags::POLLIN;
        let mut polled: Vec<PollFd<'_>> = [stdin.as_fd(), signals.as_fd(), timer.as_fd()]
            .into_iter()
            .chain([rows, output, order].into_iter().filter_map(|slot| Some(slot.0.as_ref()?.answer.as_fd())))
            .map(|descriptor| PollFd::new(descriptor, wanted))
            .collect();
        match poll(&mut polled, patience) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Failure::Wait(errno)),
        }
        let mut reported = polled.iter().map(|one| one.any().unwrap_or_default());
        let mut next = || reported.next().unwrap_or_default();
        let (keys, signals, timer) = (next(), next(), next());
        let mut of = |slot: &Slot| match &slot.0 {
            Some(arriving) => next() || arriving.answer.has_buffered(),
            None => false,
        };
        Ok(Ready { keys, signals, timer, rows: of(rows), output: of(output), order: of(order) })
    }

    /// Handles the keys that were pressed; false: the user quits.
    fn press(&mut self, screen: &mut Screen) -> Result<bool, Failure> {
        let Some(keys) = self.keys.read(&io::stdin()) else { return Ok(false) };
        for key in keys {
            match self.model.press(key) {
                Step::Nothing => {}
                Step::Quit => return Ok(false),
                Step::Suspend => screen.suspend().map_err(Failure::Print)?,
                Step::Order(request) => match self.link.ask(&request) {
                    Ok(answer) => self.answers.order = answer.into(),
                    Err(failure) => self.model.report(&failure.render()),
                },
            }
        }
        Ok(true)
    }

    /// Reads what has arrived of each answer.
    fn read(&mut self, ready: Ready) -> Result<(), Failure> {
        let (model, answers) = (&mut self.model, &mut self.answers);
        if ready.rows {
            answers.rows.read(|reply, rows| {
                if let Reply::Row(row) = reply {
                    rows.push(row);
                }
            })?;
            if let Some(rows) = answers.rows.take_finished() {
                model.set_rows(rows);
            }
        }
        if ready.output && answers.output.read(|reply, _| model.add_output(&reply)).is_err() {
            // The program is gone, or the supervisor is, which the next request for the state finds.
            answers.output.0 = None;
        }
        answers.output.take_finished();
        if ready.order {
            let read = answers.order.read(|reply, _| {
                if let Reply::Outcome(outcome) = reply {
                    model.report(&format!("{}: {}", outcome.name, outcome.message));
                }
            });
            if let Err(failure) = read {
                model.report(&failure.render());
                answers.order.0 = None;
            }
            answers.order.take_finished();
        }
        Ok(())
    }

    /// Follows the output of the instance that is selected now.
    fn follow(&mut self) {
        if !self.model.select_output() {
            return;
        }
        let logs = |label: &String| Logs {
            names: vec![label.clone()],
            lines: Some(FIRST_LINES),
            since_ms: None,
            follow: true,
        };
        let answer = self.model.output.of.as_ref().map(|label| self.link.ask(&Request::Logs(logs(label))));
        self.answers.output = answer.and_then(Result::ok).map(Slot::from).unwrap_or_default();
    }
}

impl Slot {
    /// Hands over the replies that have arrived; not all, if they do not end.
    fn read(&mut self, mut take: impl FnMut(Reply, &mut Vec<StatusRow>)) -> Result<(), Failure> {
        let Some(Arriving { answer, rows }) = &mut self.0 else { return Ok(()) };
        for _ in 0..REPLIES_AT_ONCE {
            match answer.next() {
                Some(reply) => take(reply?, rows),
                None => break,
            }
            if !answer.has_buffered() {
                break;
            }
        }
        Ok(())
    }

    /// The rows of an answer that is complete.
    fn take_finished(&mut self) -> Option<Vec<StatusRow>> {
        self.0.take_if(|arriving| arriving.answer.is_finished()).map(|arriving| arriving.rows)
    }
}
