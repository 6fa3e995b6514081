//! The memory and the CPU time of processes and all of their descendants: proc_pid_stat(5).
//!
//! Memory is the sum of resident sets, in which shared pages count several times. Only `stat` and the lists of children are
//! read, for which the kernel does not wait for the process's memory. Nothing is kept between two looks but a buffer.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::iter::Sum;
use std::str::FromStr;

use nix::unistd::{self, Pid, SysconfVar};

use crate::sys::procfs::{self, Process};

/// What processes have of memory, and have used of CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Their resident sets.
    pub memory_bytes: u64,
    /// Their CPU time, and that of the children that they have waited for.
    pub cpu_ms: u64,
}

/// Reads what processes use. One value serves many reads: it keeps the units and the buffer.
#[derive(Debug)]
pub struct UsageReader {
    /// The bytes of a page, and the clock ticks of a second.
    units: (u64, u64),
    text: Vec<u8>,
    /// All processes that may be descendants, sorted by their parents.
    others: Option<Vec<Process>>,
}

impl UsageReader {
    /// A reader with an empty buffer.
    pub fn new() -> UsageReader {
        let unit = |variable, usual| {
            let known = unistd::sysconf(variable).ok().flatten().and_then(|unit| u64::try_from(unit).ok());
            known.filter(|unit| *unit > 0).unwrap_or(usual)
        };
        let units = (unit(SysconfVar::PAGE_SIZE, 4096), unit(SysconfVar::CLK_TCK, 100));
        UsageReader { units, text: Vec::new(), others: None }
    }

    /// Reads all processes but those that are `known` once, so that no list of children is read later: for many trees, of
    /// which the roots are known.
    pub fn scan(&mut self, known: impl Fn(Pid) -> bool) {
        if procfs::shows_own_namespace() {
            self.others = procfs::others(known).ok();
        }
        if let Some(others) = &mut self.others {
            foster_core::sorted::sort_by_key(others, |process| process.parent);
        }
    }

    /// What this process and its descendants use. `None` if it was reaped, or without a /proc of this namespace.
    pub fn of_tree(&mut self, root: Pid) -> Option<Usage> {
        Some(self.of_processes(root)?.into_iter().map(|(_, usage)| usage).sum())
    }

    /// What this process alone uses, with the CPU time of the children that it has waited for left out. `None` as above.
    pub fn of_process(&mut self, pid: Pid) -> Option<Usage> {
        let units = self.units;
        let line = (!procfs::is_foreign()).then(|| self.read(format_args!("/proc/{pid}/stat")))??;
        usage(line, units, Children::Excluded)
    }

    /// What each of them uses. `None` as above.
    pub fn of_processes(&mut self, root: Pid) -> Option<Vec<(Pid, Usage)>> {
        if procfs::is_foreign() {
            return None;
        }
        let mut found = vec![(root, self.of(root.as_raw())?)];
        let mut open = vec![root.as_raw()];
        // A limit, because the tree may grow during the walk.
        for _ in 0..10_000 {
            let Some(parent) = open.pop() else { break };
            let first = open.len();
            if let Some(others) = &self.others {
                let before = others.partition_point(|process| process.parent.as_raw() < parent);
                let children = others.iter().skip(before).take_while(|child| child.parent.as_raw() == parent);
                open.extend(children.map(|child| child.pid.as_raw()));
            } else if let Some(list) = self.read(format_args!("/proc/{parent}/task/{parent}/children")) {
                // Children of other threads are left out: reading every thread's list costs too much.
                let list = str::from_utf8(list).unwrap_or_default();
                open.extend(list.split_ascii_whitespace().filter_map(|child| i32::from_str(child).ok()));
            }
            for child in open.get(first..).unwrap_or_default() {
                found.push((Pid::from_raw(*child), self.of(*child).unwrap_or_default()));
            }
        }
        Some(found)
    }

    fn of(&mut self, pid: i32) -> Option<Usage> {
        let units = self.units;
        usage(self.read(format_args!("/proc/{pid}/stat"))?, units, Children::Included)
    }

    /// Reads a file of /proc with three system calls: without asking for its size, which is 0.
    fn read(&mut self, path: fmt::Arguments<'_>) -> Option<&[u8]> {
        self.text.clear();
        self.text.resize(ROOM, 0);
        let mut file = File::open(path.to_string()).ok()?;
        let mut end = 0;
        loop {
            let room = self.text.get_mut(end..)?;
            let space = room.len();
            let count = file.read(room).ok()?;
            end += count;
            // A short read is the end of the file: the kernel fills the buffer if it can (seq_file).
            if count < space {
                break;
            }
            self.text.resize(end * 2, 0);
        }
        self.text.get(..end)
    }
}

impl Default for UsageReader {
    fn default() -> UsageReader {
        UsageReader::new()
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(all: I) -> Usage {
        all.fold(Usage::default(), |sum, one| Usage {
            memory_bytes: sum.memory_bytes.saturating_add(one.memory_bytes),
            cpu_ms: sum.cpu_ms.saturating_add(one.cpu_ms),
        })
    }
}

/// Enough for `stat`, and for most lists of children.
const ROOM: usize = 4096;

/// Whether the CPU time of children counts that a process has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Children {
    Included,
    Excluded,
}

/// The fields `utime`, `stime`, `cutime`, `cstime` and `rss` of a line, which has the name in parentheses as its second.
fn usage(line: &[u8], (page, ticks_per_second): (u64, u64), children: Children) -> Option<Usage> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = str::from_utf8(line.get(end + 1..)?).ok()?.split_ascii_whitespace();
    // The first of these is the third of proc_pid_stat(5).
    let (before, after) = (14 - 3, 24 - 18);
    let first = fields.nth(before)?;
    let times = [Some(first), fields.next(), fields.next(), fields.next()];
    let counted = if children == Children::Included { 4 } else { 2 };
    let times = times.into_iter().take(counted);
    let ticks = times.map(|time| time?.parse::<u64>().ok()).sum::<Option<u64>>()?;
    let pages: u64 = fields.nth(after)?.parse().ok()?;
    let cpu_ms = ticks.saturating_mul(1000) / ticks_per_second;
    Some(Usage { memory_bytes: pages.saturating_mul(page), cpu_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] =
        b"42 (a) b) S 7 42 40 0 -1 4194560 1 2 3 4 150 25 10 15 20 0 1 0 12345 99000 33 1844674407\n";

    #[test]
    fn the_times_and_the_resident_set_are_those_of_proc_pid_stat() {
        let of = |line, children| usage(line, (4096, 100), children);
        let memory_bytes = 33 * 4096;
        assert_eq!(of(LINE, Children::Included), Some(Usage { memory_bytes, cpu_ms: 2000 }));
        assert_eq!(of(LINE, Children::Excluded), Some(Usage { memory_bytes, cpu_ms: 1750 }));
        assert_eq!(of(b"42 (a) S 7 42", Children::Included), None);
        assert_eq!(of(b"", Children::Included), None);
    }

    #[test]
    fn the_root_comes_first_and_usages_are_added() {
        let mut reader = UsageReader::new();
        let (root, own) = reader.of_processes(Pid::this()).unwrap()[0];
        assert_eq!(root, Pid::this());
        assert!(own.memory_bytes > 100 << 10, "{own:?}");
        assert_eq!(reader.of_tree(Pid::from_raw(i32::MAX)), None);
        let sum: Usage = [own, own].into_iter().sum();
        assert_eq!(sum, Usage { memory_bytes: own.memory_bytes * 2, cpu_ms: own.cpu_ms * 2 });
    }
}
