//! The ledger: what the next foster of this process has to know, kept up to date in a file in memory.
//!
//! An entry for each live run and for each listening socket: plain numbers, written when the run begins, is ready and
//! ends. After a fault it is read by the next foster alone (`takeover.rs`), whose plan has the same programs by their
//! names. Without a file (no memory, an old kernel) there is no next foster: a fault kills the programs.
//! Next: `sys/handover.rs`.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use foster_core::event::{Adoption, Counts, Recalled, Rest};
use foster_core::ids::{Exit, InstanceId, KilledBy, ProgramId, Run, Signal};
use foster_core::sorted::SortedMap;
use log::debug;

use crate::errno;
use crate::plan::{ListenAddress, Plan};
use crate::sys::handover::{self, Entry, FIRST_DESCRIPTOR, Memory, NONE, UNUSED};

/// The file, and which of its entries are used.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    memory: Option<Memory>,
    slots: SortedMap<Key, u32>,
    free: Vec<u32>,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Run(Run),
    Rest(InstanceId),
    Socket(u64),
}

/// A live run, as an entry has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunEntry {
    /// The hash of its program's name ([`hash`]).
    pub(super) program: u64,
    /// The index of its instance.
    pub(super) index: u16,
    /// Its number.
    pub(super) number: u32,
    /// How far it has come.
    pub(super) reached: Adoption,
    pub(super) main: MainEntry,
    /// How it is stopped by a foster without its configuration.
    pub(super) stop: StopEntry,
    pub(super) times: Times,
    pub(super) counts: Counts,
}

/// The main process of a run, or its `pre_start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MainEntry {
    /// Its number: where it has ended, the one that it had.
    pub(super) pid: i32,
    /// How it has ended, where only others of the run are left.
    pub(super) exit: Option<Exit>,
}

/// The priority of a run's program, and its stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopEntry {
    pub(super) priority: i32,
    pub(super) signal: Signal,
}

/// The times of a run in milliseconds: when it began, since the start, and that of its watchdog, which is 0 where it has
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) since: u64,
    pub(super) watchdog: u32,
}

/// An instance without a run, as an entry has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestEntry {
    /// The hash of its program's name.
    pub(super) program: u64,
    /// Its index.
    pub(super) index: u16,
    /// What is known of it.
    pub(super) recalled: Recalled,
}

/// The descriptors of a run's entry: its output, its input, and what it reports by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Stdout,
    Stderr,
    Stdin,
    Notify,
    ReadyPipe,
}

const RUN: u32 = 1;
const SOCKET: u32 = 2;
const REST: u32 = 3;
/// The kinds of an exit, above its lowest byte.
const CODE: u32 = 0x100;
const SIGNAL: u32 = 0x200;
/// How far a run has come, in the upper half of the first byte of an entry.
const REACHED: [Adoption; 7] = [
    Adoption::Preparing,
    Adoption::Starting,
    Adoption::Ready,
    Adoption::Stopping,
    Adoption::Restarting,
    Adoption::NotReady,
    Adoption::Unhealthy,
];
/// Why an instance has no run, at the same place.
const RESTS: [Rest; 5] = [Rest::Due, Rest::Idle, Rest::Stopped, Rest::Exited, Rest::Fatal];

impl Ledger {
    /// A new file, which the next foster gets, with these arguments.
    pub(super) fn open(arguments: &[OsString], start: Duration, last_fault: Duration) -> Ledger {
        let memory = Memory::new();
        match &memory {
            Ok(memory) => memory.arm(arguments, start, last_fault),
            Err(errno) => debug!("a fault will kill the programs: {}", errno::text(*errno)),
        }
        Ledger { memory: memory.ok(), ..Ledger::default() }
    }

    /// Writes what is known of a live run.
    pub(super) fn note(&mut self, run: Run, entry: &Entry) {
        self.write(Key::Run(run), entry);
    }

    /// Writes why an instance has no run; `None`: it has one, or nothing is to be known.
    pub(super) fn note_rest(&mut self, instance: InstanceId, entry: Option<&RestEntry>) {
        match entry {
            Some(entry) => self.write(Key::Rest(instance), &entry.entry()),
            None => self.erase(&Key::Rest(instance)),
        }
    }

    fn write(&mut self, key: Key, entry: &Entry) {
        let Some(memory) = &self.memory else { return };
        let next = u32::try_from(self.slots.len() + self.free.len()).unwrap_or(u32::MAX);
        let slot = match self.slots.get(&key) {
            Some(slot) => *slot,
            None => {
                let slot = self.free.pop().unwrap_or(next);
                self.slots.insert(key, slot);
                slot
            }
        };
        memory.write(slot, entry);
    }

    fn erase(&mut self, key: &Key) {
        if let (Some(memory), Some(slot)) = (&self.memory, self.slots.remove(key)) {
            memory.write(slot, &UNUSED);
            self.free.push(slot);
        }
    }

    /// Nothing of a run is left.
    pub(super) fn forget(&mut self, run: Run) {
        self.erase(&Key::Run(run));
    }

    /// Writes the sockets that are open, in place of those before.
    pub(super) fn note_sockets<'a>(
        &mut self,
        sockets: impl Iterator<Item = (&'a ListenAddress, BorrowedFd<'a>)>,
    ) {
        let before: Vec<Key> =
            self.slots.keys().filter(|key| matches!(key, Key::Socket(_))).cloned().collect();
        before.iter().for_each(|key| self.erase(key));
        for (address, socket) in sockets {
            let hash = hash(&address.to_string());
            let mut entry = new_entry((SOCKET, None, 0, 0), hash, &[]);
            set_descriptor(&mut entry, 0, socket);
            self.write(Key::Socket(hash), &entry);
        }
    }
}

impl RunEntry {
    /// The run of an entry; `None`: it is of another kind.
    pub(super) fn of(entry: &Entry) -> Option<RunEntry> {
        let [_, low, high, number, pid, priority, since, later, restarts, failures, watchdog, exit, ..] =
            *entry;
        let (kind, state, stop_signal, index) = head(entry);
        (kind == RUN).then(|| RunEntry {
            program: joined(low, high),
            index,
            number,
            reached: REACHED.get(state).copied().unwrap_or(Adoption::Starting),
            main: MainEntry { pid: pid.cast_signed(), exit: exit_of(exit) },
            stop: StopEntry {
                priority: priority.cast_signed(),
                signal: Signal::new(i32::from(stop_signal)).unwrap_or(Signal::TERM),
            },
            times: Times { since: joined(since, later), watchdog },
            counts: Counts { restarts, failures },
        })
    }

    /// The entry, without descriptors.
    pub(super) fn entry(&self) -> Entry {
        let state = REACHED.iter().position(|reached| *reached == self.reached);
        let (since, later) = halves(self.times.since);
        let Counts { restarts, failures } = self.counts;
        let (pid, priority) = (self.main.pid.cast_unsigned(), self.stop.priority.cast_unsigned());
        let (watchdog, exit) = (self.times.watchdog, self.main.exit.map_or(0, exit_word));
        let words = [self.number, pid, priority, since, later, restarts, failures, watchdog, exit];
        new_entry((RUN, state, signal_byte(self.stop.signal), self.index), self.program, &words)
    }
}

impl RestEntry {
    /// The instance of an entry; `None`: it is of another kind.
    pub(super) fn of(entry: &Entry) -> Option<RestEntry> {
        let [_, low, high, last_run, code, restarts, failures, ..] = *entry;
        let (kind, state, signal, index) = head(entry);
        let exit = match Signal::new(i32::from(signal)) {
            Some(signal) => Exit::Killed { signal, by: KilledBy::Unknown },
            None => Exit::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        };
        let rest = RESTS.get(state).copied().unwrap_or(Rest::Due);
        let counts = Counts { restarts, failures };
        let recalled = Recalled { rest, last_run, exit, counts };
        (kind == REST).then(|| RestEntry { program: joined(low, high), index, recalled })
    }

    /// The entry.
    pub(super) fn entry(&self) -> Entry {
        let Recalled { rest, last_run, exit, counts: Counts { restarts, failures } } = self.recalled;
        let state = RESTS.iter().position(|known| *known == rest);
        let (signal, code) = match exit {
            Exit::Code(code) => (0, u32::from(code)),
            Exit::Killed { signal, by: _ } => (signal_byte(signal), 0),
        };
        new_entry((REST, state, signal, self.index), self.program, &[last_run, code, restarts, failures])
    }
}

/// The kind, the state, the signal and the index that the first word has.
fn head(entry: &Entry) -> (u32, usize, u8, u16) {
    let [first, signal, low, high] = entry.first().copied().unwrap_or_default().to_le_bytes();
    (u32::from(first & 0xf), usize::from(first >> 4), signal, u16::from_le_bytes([low, high]))
}

fn signal_byte(signal: Signal) -> u8 {
    u8::try_from(signal.number()).unwrap_or_default()
}

/// An exit in the word of an entry, of which 0 is none.
fn exit_word(exit: Exit) -> u32 {
    match exit {
        Exit::Code(code) => CODE | u32::from(code),
        Exit::Killed { signal, by: _ } => SIGNAL | u32::from(signal_byte(signal)),
    }
}

fn exit_of(word: u32) -> Option<Exit> {
    let [low, ..] = word.to_le_bytes();
    match word & !0xff {
        CODE => Some(Exit::Code(low)),
        SIGNAL => Some(Exit::Killed { signal: Signal::new(i32::from(low))?, by: KilledBy::Unknown }),
        _ => None,
    }
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn halves(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

/// The listening socket of an entry: the hash of its address.
pub(super) fn socket_of(entry: &Entry) -> Option<u64> {
    let [_, low, high, ..] = *entry;
    (head(entry).0 == SOCKET).then_some(joined(low, high))
}

/// An entry with its first word, the hash of a name, and more words; without descriptors.
fn new_entry((kind, state, signal, index): (u32, Option<usize>, u8, u16), hash: u64, more: &[u32]) -> Entry {
    let mut entry = UNUSED;
    entry.iter_mut().skip(FIRST_DESCRIPTOR).step_by(2).for_each(|number| *number = NONE);
    let state = state.and_then(|state| u32::try_from(state).ok()).unwrap_or_default();
    let first = kind | state << 4 | u32::from(signal) << 8 | u32::from(index) << 16;
    let (low, high) = halves(hash);
    for (place, word) in entry.iter_mut().zip([first, low, high].iter().chain(more)) {
        *place = *word;
    }
    entry
}

/// Adds a descriptor to an entry: as the first, the second …
pub(super) fn set_descriptor(entry: &mut Entry, which: usize, descriptor: BorrowedFd<'_>) {
    let at = FIRST_DESCRIPTOR + 2 * which;
    if let Some([number, mark]) = entry.get_mut(at..at + 2) {
        *number = descriptor.as_raw_fd().cast_unsigned();
        *mark = handover::mark(&descriptor);
    }
}

/// The hash by which the next foster knows a program or a socket: FNV-1a, which no version changes.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The programs of a plan by the hash of their names.
pub(super) fn programs(plan: &Plan) -> SortedMap<u64, ProgramId> {
    let mut programs = SortedMap::new();
    for (id, program) in plan.programs.iter() {
        programs.insert(hash(&program.name), id);
    }
    programs
}
