//! supervisord's event listeners: a process of foster's own between the events of the supervisor and the listeners.
//!
//! PID 1 has no part in it: this is a client of its control socket like any other. It follows the events, reads what the
//! listeners write from their output, and writes to their standard input. A listener that hangs, dies or writes garbage
//! costs its pool's bounded queue. Next: `pool.rs` (the protocol), `notices.rs` (foster's events in supervisord's words).

mod communication;
mod notices;
mod pool;
mod stdin;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::client::ask_supervisor;
use crate::control::client::{Answer, ClientError};
use crate::control::protocol::{
    Events, Input, LONGEST_TEXT, LogLine, Logs, Names, Reply, Request, State, StatusRow, Stream,
};
use crate::cut;
use crate::exit::ExitStatus;
use crate::sys::stream;
use communication::Communication;
use notices::{Notice, Process, Translator};
use pool::{Pool, Subscription};
use stdin::RemoteEvents;

/// The word that starts it: `foster listeners identifier=ID POOL=BUFFER=EVENTS… NAME:STREAM… NAME:STREAM:MOST…`.
pub const VERB: &str = "listeners";

/// The periods of `TICK` events, in seconds.
const TICKS: [(u64, &str); 3] = [(5, "TICK_5"), (60, "TICK_60"), (3600, "TICK_3600")];

/// The broker.
struct Broker {
    pools: Vec<Pool>,
    /// The streams whose lines are events, and those that have communications.
    watched: Vec<Watched>,
    /// The communication that a stream of a process has not ended.
    unfinished: BTreeMap<(String, &'static str), Communication>,
    translator: Translator,
    processes: BTreeMap<String, Process>,
    serial: u64,
    identifier: String,
    /// What is not later than this was for the broker before this one.
    taken_over: String,
}

/// A stream whose lines are events; or, with the most bytes of each, one whose communications are.
struct Watched {
    program: String,
    stream: Stream,
    most: Option<usize>,
}

/// Runs until the supervisor ends.
pub fn run(arguments: &[OsString], err: &mut dyn Write) -> ExitStatus {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match broker(&words) {
        Some(mut broker) => broker.run(err),
        None => Err("expected POOL=BUFFER=EVENTS for each pool of event listeners".to_owned()),
    };
    match result {
        Ok(()) => ExitStatus::DONE,
        Err(message) => {
            let _ = writeln!(err, "foster: {message}");
            ExitStatus::FAILED
        }
    }
}

fn broker(words: &[String]) -> Option<Broker> {
    let (mut pools, mut watched, mut identifier) = (Vec::new(), Vec::new(), "supervisor".to_owned());
    for word in words {
        let mut parts = word.splitn(3, '=');
        match (parts.next()?, parts.next(), parts.next()) {
            (name, Some(buffer), Some(events)) => {
                let events = Subscription::new(events);
                pools.push(Pool::new(name.to_owned(), buffer.parse().ok()?, events));
            }
            (_, Some(own), None) => own.clone_into(&mut identifier),
            (stream, _, _) => {
                let mut parts = stream.split(':');
                let program = parts.next()?.to_owned();
                let stream = if parts.next()? == "stderr" { Stream::Stderr } else { Stream::Stdout };
                let most = parts.next().map(str::parse).transpose().ok()?;
                watched.push(Watched { program, stream, most });
            }
        }
    }
    (!pools.is_empty()).then_some(Broker {
        pools,
        watched,
        unfinished: BTreeMap::new(),
        translator: Translator::default(),
        processes: BTreeMap::new(),
        serial: 0,
        identifier,
        taken_over: String::new(),
    })
}

impl Broker {
    fn run(&mut self, err: &mut dyn Write) -> Result<(), String> {
        let (is_first, rows) = self.read_processes()?;
        if !is_first {
            self.take_over(&rows)?;
        }
        let mut events = ask_supervisor(&Request::Events(Events { follow: true, ..Events::default() }))?;
        let names = self.pools.iter().map(|pool| pool.program.clone());
        let names = names.chain(self.watched.iter().map(|watched| watched.program.clone())).collect();
        let logs = Logs { names, lines: None, since_ms: None, follow: true };
        let mut output = ask_supervisor(&Request::Logs(logs))?;
        if is_first {
            self.announce_groups(&[]);
            self.publish(Notice::new("SUPERVISOR_STATE_CHANGE_RUNNING", String::new()));
        }
        let (mut ticked, mut orders) = (seconds(), RemoteEvents::default());
        loop {
            self.dispatch(err);
            let arrived = wait(&events, &output, &orders, self.tick_timeout())?;
            self.tick(&mut ticked);
            if arrived.orders {
                orders.read().into_iter().for_each(|notice| self.publish(notice));
            }
            // Events first: a line of a process is never read before its start.
            let reply = match arrived {
                Arrived { events: true, .. } => next(&mut events)?,
                Arrived { output: true, .. } => next(&mut output)?,
                Arrived { .. } => continue,
            };
            match reply {
                Some(Reply::Event(event)) => self.take_event(&event, err)?,
                Some(Reply::Line(line)) => self.take_line(&line, err),
                // A part of a communication may be among them.
                Some(Reply::Missed(_)) => self.unfinished.clear(),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Goes on where an earlier broker has ended.
    fn take_over(&mut self, rows: &[StatusRow]) -> Result<(), String> {
        let own = own_name();
        for reply in ask_supervisor(&Request::Events(Events::default()))? {
            if let Reply::Event(event) = reply.map_err(|error| error.to_string())?
                && event.text("program") == own
                && event.text("event") == "exited"
            {
                event.text("ts").clone_into(&mut self.taken_over);
            }
        }
        let names = self.pools.iter().map(|pool| pool.program.clone()).collect();
        let logs = Logs { names, lines: None, since_ms: None, follow: false };
        let mut heard = Vec::new();
        for reply in ask_supervisor(&Request::Logs(logs))? {
            if let Reply::Line(line) = reply.map_err(|error| error.to_string())? {
                heard.push(line.name);
            }
        }
        // After a fault foster has no earlier line and no earlier event.
        for row in rows {
            self.translator.know(row);
            if let Some(pool) = self.pools.iter_mut().find(|pool| pool.program == row.name)
                && !heard.contains(&row.label)
            {
                pool.assume_ready(&row.label);
            }
        }
        Ok(())
    }

    /// Reads the names of all processes; returns whether this is the first broker of this supervisor, and the rows.
    fn read_processes(&mut self) -> Result<(bool, Vec<StatusRow>), String> {
        let own = own_name();
        let (mut is_first, mut rows) = (true, Vec::new());
        let mut processes = BTreeMap::new();
        for reply in ask_supervisor(&Request::Status(Names { names: Vec::new() }))? {
            let Reply::Row(row) = reply.map_err(|error| error.to_string())? else { continue };
            if row.name == own {
                is_first = row.restarts == 0;
                continue;
            }
            let namespec = row.namespec.as_deref().unwrap_or(&row.label);
            let (group, name) = namespec.split_once(':').unwrap_or((namespec, namespec));
            let (group, name) = (group.to_owned(), name.to_owned());
            if let Some(pool) = self.pools.iter_mut().find(|pool| pool.program == row.name) {
                pool.group.clone_from(&group);
                pool.know(&row.label, matches!(row.state, State::Running | State::Unhealthy));
            }
            let (program, instance) = (row.name.clone(), row.instance.unwrap_or(0));
            processes.insert(row.label.clone(), Process { program, instance, group, name });
            rows.push(row);
        }
        self.processes = processes;
        Ok((is_first, rows))
    }

    fn announce_groups(&mut self, before: &[String]) {
        let now = self.groups();
        let line = |group: &String| format!("groupname:{group}\n");
        let removed = before.iter().filter(|group| !now.contains(group));
        let removed = removed.map(|group| Notice::new("PROCESS_GROUP_REMOVED", line(group)));
        let added = now.iter().filter(|group| !before.contains(group));
        let added = added.map(|group| Notice::new("PROCESS_GROUP_ADDED", line(group)));
        let notices: Vec<Notice> = removed.chain(added).collect();
        notices.into_iter().for_each(|notice| self.publish(notice));
    }

    fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.processes.values().map(|process| process.group.clone()).collect();
        // A group's processes are not beside each other: they are in the order of foster's own names.
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Queues a notice for each pool that wants it.
    fn publish(&mut self, notice: Notice) {
        let mut is_wanted = false;
        for pool in &mut self.pools {
            if pool.wants(notice.name) {
                pool.push(self.serial, notice.clone());
                is_wanted = true;
            }
        }
        self.serial += u64::from(is_wanted);
    }

    fn take_event(
        &mut self,
        event: &crate::control::protocol::Event,
        err: &mut dyn Write,
    ) -> Result<(), String> {
        let is_old = event.text("ts") <= self.taken_over.as_str();
        match event.text("event") {
            _ if is_old => {}
            "shutdown" => self.publish(Notice::new("SUPERVISOR_STATE_CHANGE_STOPPING", String::new())),
            "updated" => {
                let before = self.groups();
                self.read_processes()?;
                self.announce_groups(&before);
            }
            _ => {}
        }
        let label = self.translator.label(event, &self.processes);
        let Some((label, process)) =
            label.and_then(|label| Some((label.clone(), self.processes.get(&label)?)))
        else {
            return Ok(());
        };
        let notices = self.translator.notices(event, &label, process);
        for pool in &mut self.pools {
            pool.follow(&label, event, err);
        }
        if !is_old {
            notices.into_iter().for_each(|notice| self.publish(notice));
        }
        Ok(())
    }

    fn take_line(&mut self, line: &LogLine, err: &mut dyn Write) {
        if line.unfinished {
            return;
        }
        let end = if line.more { "" } else { "\n" };
        let text = format!("{}{end}", line.text);
        let Some(process) = self.processes.get(&line.name) else { return };
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.program == process.program) {
            if line.stream == Stream::Stdout {
                pool.read(&line.name, &text, &line.ts, err);
            }
            return;
        }
        let watched = |is_meant: fn(&Watched) -> bool| {
            let is_its = |watched: &&Watched| {
                watched.program == process.program && watched.stream == line.stream && is_meant(watched)
            };
            self.watched.iter().find(is_its)
        };
        let stream = if line.stream == Stream::Stderr { "stderr" } else { "stdout" };
        let taken = match watched(|watched| watched.most.is_some()).and_then(|watched| watched.most) {
            Some(most) => {
                let key = (line.name.clone(), stream);
                self.unfinished.entry(key).or_default().take(&text, most)
            }
            None => communication::Line::Output,
        };
        let notice = match taken {
            communication::Line::Whole(text) => {
                self.translator.communication(&line.name, process, line.stream, &text)
            }
            communication::Line::Output if watched(|watched| watched.most.is_none()).is_some() => {
                self.translator.output(&line.name, process, line.stream, &text)
            }
            communication::Line::Output | communication::Line::Part => return,
        };
        if line.ts > self.taken_over {
            self.publish(notice);
        }
    }

    /// Sends each ready listener what waits for it.
    fn dispatch(&mut self, err: &mut dyn Write) {
        for pool in &mut self.pools {
            while let Some((label, text)) = pool.next(&self.identifier) {
                if let Err(message) =
                    cut::pieces(&text, LONGEST_TEXT).try_for_each(|piece| write(&label, piece))
                {
                    pool.fail(&label, &message, err);
                }
            }
        }
    }

    fn ticks(&self) -> impl Iterator<Item = (u64, &'static str)> {
        TICKS.into_iter().filter(|(_, name)| self.pools.iter().any(|pool| pool.wants(name)))
    }

    /// Without a listener for it there is no timer.
    fn tick_timeout(&self) -> PollTimeout {
        let period = self.ticks().next().map(|(period, _)| period);
        let left = period.map(|period| Duration::from_secs(period - seconds() % period));
        left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
    }

    fn tick(&mut self, last: &mut u64) {
        let now = seconds();
        let due: Vec<(u64, &'static str)> =
            self.ticks().filter(|(period, _)| now / period != *last / period).collect();
        *last = now;
        for (period, name) in due {
            self.publish(Notice::new(name, format!("when:{}", now / period * period)));
        }
    }
}

/// What can be read.
struct Arrived {
    events: bool,
    output: bool,
    /// Something on the standard input.
    orders: bool,
}

fn wait(
    events: &Answer,
    output: &Answer,
    orders: &RemoteEvents,
    timeout: PollTimeout,
) -> Result<Arrived, String> {
    use std::os::fd::AsFd;
    let buffered = Arrived { events: events.has_buffered(), output: output.has_buffered(), orders: false };
    let timeout = if buffered.events || buffered.output { PollTimeout::ZERO } else { timeout };
    let mut watched =
        [events.as_fd(), output.as_fd(), stream::stdin()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    // Once it has ended, poll(2) would return at once again and again.
    let watched = if orders.has_ended() { watched.split_at_mut(2).0 } else { watched.as_mut_slice() };
    match poll(watched, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(crate::errno::text(errno)),
    }
    let is_ready = |at: usize| watched.get(at).and_then(PollFd::any).unwrap_or(false);
    Ok(Arrived {
        events: buffered.events || is_ready(0),
        output: buffered.output || is_ready(1),
        orders: is_ready(2),
    })
}

/// Writes to the standard input of a process.
fn write(label: &str, text: &str) -> Result<(), String> {
    let input = Request::Input(Input { name: label.to_owned(), text: text.to_owned() });
    ask_supervisor(&input)?.try_for_each(|reply| reply.map(drop).map_err(|error| error.to_string()))
}

/// The next reply; `None`: the supervisor has ended.
fn next(answer: &mut Answer) -> Result<Option<Reply>, String> {
    match answer.next() {
        Some(Ok(reply)) => Ok(Some(reply)),
        None | Some(Err(ClientError::Lost(_))) => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
    }
}

/// The name of the broker among the programs.
fn own_name() -> String {
    std::env::var("FOSTER_PROGRAM").unwrap_or_default()
}

/// The time of day: ticks are at its multiples.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
