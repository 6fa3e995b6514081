//! What programs report about themselves becomes events: whose a report is, and whether it is believed.
//!
//! A datagram counts for the program that its sender belongs to ([`super::processes::Processes::run_of`]), a pipe for the
//! run that got it. What cannot be taken is logged once: a program that keeps sending it must not fill the log.
//!
//! The socket's queue is short (`net.unix.max_dgram_qlen`), and a flood keeps it full: a program finds room only while foster
//! reads. So a datagram from a sender that is known already, which says nothing new, has to cost little more than its two
//! system calls. Next: `notify/inbound.rs`.

use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;

use foster_core::event::{Event, Notice};
use foster_core::ids::Run;
use log::{debug, warn};
use nix::unistd::Pid;

use super::Init;
use super::children::Role;
use super::tree::named;
use crate::errno;
use crate::notify::inbound::{Complaint, NEWS_COST, ReadyMessage, Stranger};
use crate::notify::message::{LONGEST, Message, parse};
use crate::plan::{ListenSocket, Probe, Program};
use crate::sys::datagram::Datagram;
use crate::sys::procfs;

/// What a program is given beside its standard streams.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// Descriptors, each with its number in the program.
    pub(super) descriptors: Vec<(Rc<OwnedFd>, RawFd)>,
    /// Variables with the number of the process.
    pub(super) pid_variables: Vec<&'static str>,
}

/// The senders of one turn of the loop, in which nothing changes that is known of processes.
#[derive(Debug, Default)]
struct Senders {
    known: Vec<(Option<Pid>, Result<Run, Stranger>)>,
    /// The last datagram that was believed, and its sender.
    last: (Option<Pid>, Vec<u8>),
}

impl Senders {
    fn get(&self, pid: Option<Pid>) -> Option<Result<Run, Stranger>> {
        self.known.iter().find(|(known, _)| *known == pid).map(|(_, run)| *run)
    }

    /// Whether this is the last datagram again, which changes nothing.
    fn is_repeated(&mut self, pid: Option<Pid>, text: &[u8]) -> bool {
        let is_repeated = self.last.0 == pid && self.last.1 == text;
        if !is_repeated {
            self.last = (pid, text.to_owned());
        }
        is_repeated
    }
}

impl Init {
    /// Opens what a run needs to report, and adds its variables.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub(super) fn open_channels(
        &mut self,
        run: Run,
        program: &Program,
        variables: &mut Vec<(String, String)>,
    ) -> nix::Result<Channels> {
        let watchdog = self.view(run.instance).and_then(|view| view.live).and_then(|live| live.watchdog);
        let inbound = &mut self.processes.inbound;
        let mut channels = Channels::default();
        let pipe = match program.ready {
            Some(Probe::Fd(number)) => Some((ReadyMessage::Newline, number)),
            Some(Probe::Ipc) => {
                let number = ListenSocket::first_descriptor_after(&program.sockets);
                variables.push(("NODE_CHANNEL_FD".into(), number.to_string()));
                Some((ReadyMessage::Node, number))
            }
            Some(
                Probe::Http(_)
                | Probe::Tcp(_)
                | Probe::Unix(_)
                | Probe::Exec(_)
                | Probe::File(_)
                | Probe::Log(_)
                | Probe::Notify,
            )
            | None => None,
        };
        if let Some((message, number)) = pipe {
            channels.descriptors.push((Rc::new(inbound.open_pipe(run, message)?), number));
        }
        if program.ready == Some(Probe::Notify) || watchdog.is_some() {
            variables.push(("NOTIFY_SOCKET".into(), inbound.register(run)?.into()));
        }
        if let Some(timeout) = watchdog {
            variables.push(("WATCHDOG_USEC".into(), timeout.as_micros().to_string()));
            channels.pid_variables.push("WATCHDOG_PID");
        }
        Ok(channels)
    }

    /// A socket or a pipe can be read.
    pub(super) fn take_reports(&mut self, key: u32) {
        if let Some((run, notice)) = self.processes.inbound.read_pipe(key) {
            return self.notified(run, notice);
        }
        let Some(run) = self.processes.inbound.run_of(key) else { return };
        let (mut buffer, mut senders) = ([0; LONGEST + 2], Senders::default());
        let mut budget = self.processes.inbound.budget(run, self.core.now);
        while budget > 0 {
            let Some(datagram) = self.processes.inbound.peek(run, &mut buffer) else {
                return self.processes.inbound.set_budget(run, budget);
            };
            let text = buffer.get(..datagram.length).unwrap_or_default();
            budget = budget.saturating_sub(self.take_datagram(datagram, text, &mut senders));
            if datagram.has_descriptors {
                // A process is made for them: one in this time.
                self.processes.inbound.set_budget(run, 0);
                return self.drop_descriptors(run);
            }
            self.processes.inbound.take(run);
        }
        self.processes.inbound.set_budget(run, 0);
        self.processes.inbound.pause(run, self.core.now);
    }

    /// Returns what it has cost.
    fn take_datagram(&mut self, datagram: Datagram, text: &[u8], senders: &mut Senders) -> u32 {
        let known = senders.get(datagram.sender);
        let run = known.unwrap_or_else(|| self.processes.run_of(datagram.sender));
        if known.is_none() {
            senders.known.push((datagram.sender, run));
        }
        match run {
            Ok(run) if !senders.is_repeated(datagram.sender, text) => {
                self.take_message(run, datagram, text);
                return NEWS_COST;
            }
            Ok(_) => {}
            Err(stranger) => self.ignore(datagram, stranger),
        }
        if known.is_none() { NEWS_COST } else { 1 }
    }

    fn take_message(&mut self, run: Run, datagram: Datagram, text: &[u8]) {
        let Some(message) = parse(text).filter(|_| !datagram.is_cut) else {
            return self.complain(
                run,
                Complaint::Malformed,
                "sent a notification that is too long or has a NUL byte: ignored",
            );
        };
        let Message { notices, status, main_pid, stores_descriptors } = message;
        if let Some(status) = status {
            self.processes.inbound.set_status(run, status);
        }
        if stores_descriptors {
            self.complain(
                run,
                Complaint::Descriptors,
                "wants descriptors to be kept (FDSTORE=1): closed, foster keeps none",
            );
        }
        if let Some(pid) = main_pid {
            self.name_main(run, Pid::from_raw(pid));
        }
        // Where another probe decides, the program's word does not, and so no reload has an end.
        let by_word =
            self.processes.children.definition(run).is_some_and(|it| it.ready == Some(Probe::Notify));
        let counts = |notice: &Notice| by_word || !matches!(notice, Notice::Ready | Notice::Reloading);
        for notice in notices.into_iter().filter(counts) {
            self.notified(run, notice);
        }
    }

    /// The run names its main process: one that is believed becomes it when the present one ends. Not before: until it is
    /// foster's child, its number can change hands.
    fn name_main(&mut self, run: Run, pid: Pid) {
        let is_present = self.processes.children.pid(Role::Main(run)) == Some(pid);
        let is_own = is_present || self.processes.run_of(Some(pid)) == Ok(run);
        let process = procfs::process(pid).ok().flatten().filter(|_| is_own && !is_present);
        if process.is_none() && !is_present {
            let text = "names a main process that does not descend from its own (MAINPID): ignored";
            return self.complain(run, Complaint::MainPid, text);
        }
        self.processes.inbound.set_successor(run, process);
    }

    /// What reports is executed.
    pub(super) fn notified(&mut self, run: Run, notice: Notice) {
        if let Some((role, how)) = self.processes.children.confirm_start(Role::Main(run)) {
            self.started(role, how);
        }
        self.core.push(Event::Notified(run, notice));
    }

    /// Says what has to come for the run to be ready, as long as nothing else is known of it: a probe has its answers for that.
    pub(super) fn note_awaited_report(&mut self, run: Run) {
        let ready = self.processes.children.definition(run).and_then(|program| program.ready.as_ref());
        if let Some(missing) = ready.and_then(missing_report) {
            self.core.push(Event::Notified(run, Notice::NotReady(missing)));
        }
    }

    /// A child takes the datagram, because the end of its descriptors can block.
    fn drop_descriptors(&mut self, run: Run) {
        match self.processes.inbound.take_in_child(run) {
            Ok(Some(process)) => self.processes.children.insert_process(Role::Taker(run), process),
            Ok(None) => {}
            Err(errno) => {
                debug!("cannot take a notification with descriptors: {}", errno::text(errno));
                self.processes.inbound.pause(run, self.core.now);
            }
        }
    }

    fn complain(&mut self, run: Run, complaint: Complaint, text: &str) {
        if self.processes.inbound.is_first(run, complaint) {
            warn!("{}: {text}", self.plan.label(run.instance));
        }
    }

    fn ignore(&mut self, datagram: Datagram, stranger: Stranger) {
        if !self.processes.inbound.is_first_stranger(stranger) {
            return;
        }
        let sender = datagram.sender.map_or(String::new(), named);
        match stranger {
            Stranger::Outside => warn!("ignored a notification from another PID namespace"),
            Stranger::Ended => warn!(
                "ignored a notification from pid {}, which has ended: its program is no longer known; have the main \
                 process send it, or `systemd-notify`, which waits until it was read",
                datagram.sender.map_or(0, Pid::as_raw)
            ),
            Stranger::Unrelated => warn!(
                "ignored a notification from {sender}: it does not descend from the main process of a program with \
                 `ready = {{ notify = true }}` or `watchdog`"
            ),
        }
    }
}

/// What a program has not reported as long as it is not ready; `None`: foster asks it.
fn missing_report(ready: &Probe) -> Option<String> {
    match ready {
        Probe::Log(pattern) => Some(format!("no line of its output matches `{}`", pattern.as_str())),
        Probe::Notify => Some("it has not sent READY=1".into()),
        Probe::Fd(number) => Some(format!("it has not written a newline to descriptor {number}")),
        Probe::Ipc => Some("it has not called process.send('ready')".into()),
        Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::Exec(_) | Probe::File(_) => None,
    }
}
