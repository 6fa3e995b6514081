//! The ledger: what the next foster of this process has to know, kept up to date in a file in memory.
//!
//! An entry for each live run and for each listening socket: plain numbers, written when the run begins, is ready and
//! ends. After a fault it is read by the next foster alone (`takeover.rs`), whose plan has the same programs by their
//! names. Without a file (no memory, an old kernel) there is no next foster: a fault kills the programs.
//! Next: `sys/handover.rs`.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, BorrowedFd};

use foster_core::event::Adoption;
use foster_core::ids::{ProgramId, Run, Signal};
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
    /// The process of its program, or of its `pre_start`; 0: it has ended.
    pub(super) pid: i32,
    /// The priority of the program, and the signal that stops it: for a foster without its configuration.
    pub(super) priority: i32,
    pub(super) stop_signal: Signal,
}

/// The descriptors of a run's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Stdout,
    Stderr,
    Stdin,
}

const RUN: u32 = 1;
const SOCKET: u32 = 2;
/// How far a run has come, in the upper half of the first byte of an entry.
const REACHED: [Adoption; 3] = [Adoption::Preparing, Adoption::Starting, Adoption::Ready];

impl Ledger {
    /// A new file, which the next foster gets, with these arguments.
    pub(super) fn open(arguments: &[OsString]) -> Ledger {
        let memory = Memory::new();
        match &memory {
            Ok(memory) => memory.arm(arguments),
            Err(errno) => debug!("a fault will kill the programs: {}", errno::text(*errno)),
        }
        Ledger { memory: memory.ok(), ..Ledger::default() }
    }

    /// Writes what is known of a live run.
    pub(super) fn note(&mut self, run: Run, entry: &Entry) {
        self.write(Key::Run(run), entry);
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
            let mut entry = new_entry(SOCKET, hash);
            set_descriptor(&mut entry, 0, socket);
            self.write(Key::Socket(hash), &entry);
        }
    }
}

impl RunEntry {
    /// The run of an entry; `None`: it is of another kind.
    pub(super) fn of(entry: &Entry) -> Option<RunEntry> {
        let [head, low, high, number, pid, priority, ..] = *entry;
        let [first, stop_signal, low_index, high_index] = head.to_le_bytes();
        (u32::from(first & 0xf) == RUN).then(|| RunEntry {
            program: u64::from(low) | u64::from(high) << 32,
            index: u16::from_le_bytes([low_index, high_index]),
            number,
            reached: REACHED.get(usize::from(first >> 4)).copied().unwrap_or(Adoption::Starting),
            pid: pid.cast_signed(),
            priority: priority.cast_signed(),
            stop_signal: Signal::new(i32::from(stop_signal)).unwrap_or(Signal::TERM),
        })
    }

    /// The entry, without descriptors.
    pub(super) fn entry(self) -> Entry {
        let mut entry = new_entry(RUN, self.program);
        let reached = REACHED.iter().position(|reached| *reached == self.reached).unwrap_or_default();
        let reached = u32::try_from(reached).unwrap_or_default();
        let signal = self.stop_signal.number().unsigned_abs();
        let words = [self.number, self.pid.cast_unsigned(), self.priority.cast_unsigned()];
        for (place, word) in entry.iter_mut().skip(3).zip(words) {
            *place = word;
        }
        if let Some(head) = entry.first_mut() {
            *head |= reached << 4 | signal << 8 | u32::from(self.index) << 16;
        }
        entry
    }
}

/// The listening socket of an entry: the hash of its address.
pub(super) fn socket_of(entry: &Entry) -> Option<u64> {
    let [head, low, high, ..] = *entry;
    (head == SOCKET).then_some(u64::from(low) | u64::from(high) << 32)
}

fn new_entry(kind: u32, hash: u64) -> Entry {
    let mut entry = UNUSED;
    entry.iter_mut().skip(FIRST_DESCRIPTOR).step_by(2).for_each(|number| *number = NONE);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let words = [kind, hash as u32, (hash >> 32) as u32];
    for (place, word) in entry.iter_mut().zip(words) {
        *place = word;
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
