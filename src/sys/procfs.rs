//! Processes from /proc: proc(5).
//!
//! A pid read from /proc may be reused at once. A child that is not reaped keeps its pid; any other process is pinned by a
//! pidfd and read again before it is signalled ([`signal`]). Without /proc, or without permission, the answer is an
//! error and never a guess. Only files are read for which the kernel does not need the process's memory: reading
//! `environ` or `cmdline` blocks if the process maps a file on a file system that hangs.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::{self, Pid};

use crate::sys::{pidfd, process};

/// A process, from /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: Pid,
    /// Whether it is running.
    pub life: Life,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// When it started, in hundredths of a second since boot (`starttime`).
    pub started: u64,
    /// Its parent; 0: none in foster's PID namespace, or not known.
    pub parent: Pid,
    threads: i64,
}

/// Whether a process is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// At least one of its threads is.
    Alive,
    /// It has exited and is not reaped.
    Zombie,
}

impl Process {
    /// A child of foster that /proc does not show (no /proc, `hidepid`), from system calls. It is not reaped.
    pub fn unseen(pid: Pid) -> Process {
        let session = unistd::getsid(Some(pid)).unwrap_or(Pid::from_raw(0));
        let group = unistd::getpgid(Some(pid)).unwrap_or(Pid::from_raw(0));
        let life = if process::has_ended(pid) { Life::Zombie } else { Life::Alive };
        Process { pid, life, group, session, started: u64::MAX, parent: Pid::from_raw(0), threads: 1 }
    }
}

/// The list of foster's children. The file stays open, so that a read takes one system call and no new descriptor.
#[derive(Debug)]
pub struct OwnChildren {
    list: Option<File>,
    text: Vec<u8>,
}

impl OwnChildren {
    /// Opens the list. Without one (no /proc, that of another PID namespace, a kernel without CONFIG_PROC_CHILDREN),
    /// [`OwnChildren::read`] finds the children in other ways.
    pub fn open() -> OwnChildren {
        // The list is per thread, and foster has one thread.
        let list = shows_own_namespace().then(|| File::open("/proc/thread-self/children").ok());
        OwnChildren { list: list.flatten(), text: Vec::new() }
    }

    /// Returns the children of foster, zombies included, oldest first. None is missed, because only foster reaps them.
    ///
    /// # Errors
    /// If no way to find them works.
    pub fn read(&mut self) -> io::Result<Vec<Pid>> {
        match &self.list {
            Some(list) => {
                self.text.clear();
                let mut end = 0;
                loop {
                    self.text.resize(end + ROOM, 0);
                    let room = self.text.get_mut(end..).unwrap_or_default();
                    match list.read_at(room, u64::try_from(end).unwrap_or(u64::MAX))? {
                        0 => break,
                        count => end += count,
                    }
                }
                let text = str::from_utf8(self.text.get(..end).unwrap_or_default()).unwrap_or_default();
                Ok(text.split_ascii_whitespace().filter_map(pid).collect())
            }
            None if shows_own_namespace() => children_by_parent(),
            None => Ok(process::children_by_number()),
        }
    }
}

/// Whether /proc is that of another PID namespace: its numbers mean other processes there. It is looked up once.
pub fn is_foreign() -> bool {
    static FOREIGN: OnceLock<bool> = OnceLock::new();
    if let Some(known) = FOREIGN.get() {
        return *known;
    }
    match fs::read_link("/proc/self") {
        Ok(own) => *FOREIGN.get_or_init(|| own != Path::new(&unistd::getpid().to_string())),
        // In a /proc that foster has no number in. Without any /proc there is no first process either.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            *FOREIGN.get_or_init(|| fs::exists("/proc/1").unwrap_or(false))
        }
        Err(_) => false,
    }
}

fn refuse_foreign() -> io::Result<()> {
    match is_foreign() {
        true => Err(io::Error::new(ErrorKind::Unsupported, "it belongs to another PID namespace")),
        false => Ok(()),
    }
}

/// Whether /proc is mounted and belongs to foster's PID namespace.
pub fn shows_own_namespace() -> bool {
    fs::read_link("/proc/self").is_ok_and(|own| own == Path::new(&unistd::getpid().to_string()))
}

/// Reads a process. `None`: no process has this pid, or it is hidden.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM, EIO; Unsupported where /proc is that of another PID namespace.
pub fn process(pid: Pid) -> io::Result<Option<Process>> {
    refuse_foreign()?;
    match read(&format!("/proc/{pid}/stat")) {
        Ok(line) => Ok(parse(&line)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the running descendants of this process, without itself. A process that loses its parent during the walk may
/// be missed; foster adopts it then.
///
/// # Errors
/// As for [`process`], and if the kernel has no CONFIG_PROC_CHILDREN.
pub fn descendants(root: Pid) -> io::Result<Vec<Process>> {
    let mut found: Vec<Process> = Vec::new();
    let mut next = 0;
    let mut parent = process(root)?;
    while let Some(process_of) = parent {
        for child in children_of(&process_of)? {
            if let Some(child) = process(child)?.filter(|child| child.life == Life::Alive) {
                found.push(child);
            }
        }
        parent = found.get(next).copied();
        next += 1;
    }
    Ok(found)
}

/// Whether the first thread of a process has children. Three system calls; an error counts as yes.
pub fn has_children(pid: Pid) -> bool {
    if is_foreign() {
        return true;
    }
    let mut first = [0];
    let list = File::open(format!("/proc/{pid}/task/{pid}/children"));
    list.and_then(|mut list| list.read(&mut first)).map_or(true, |count| count > 0)
}

/// Returns every other running process that foster can see and that is not `known`.
///
/// # Errors
/// If /proc is not mounted, not readable or that of another PID namespace, or no descriptor is free.
pub fn others(known: impl Fn(Pid) -> bool) -> io::Result<Vec<Process>> {
    refuse_foreign()?;
    let own = unistd::getpid();
    let mut found = Vec::new();
    for pid in numbers(Path::new("/proc"))?.into_iter().map(Pid::from_raw) {
        if pid != own && !known(pid) {
            found.extend(process(pid)?.filter(|process| process.life == Life::Alive));
        }
    }
    Ok(found)
}

/// The name of a process, as in ps(1). `None`: it was reaped or is hidden.
pub fn name(pid: Pid) -> Option<String> {
    refuse_foreign().ok()?;
    let name = read(&format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().escape_debug().to_string())
}

/// Signals a process that is not foster's child, if its pid still belongs to it. `Ok`: the signal was sent, or the process
/// was reaped.
///
/// # Errors
/// EPERM if it runs as another user and CAP_KILL is missing.
pub fn signal(seen: &Process, signal: Signal) -> nix::Result<()> {
    let pidfd = pidfd::open(seen.pid);
    if matches!(pidfd, Err(Errno::ESRCH)) {
        return Ok(());
    }
    // Read again, now that the pidfd pins the process: the pid may have been reused. An error proves nothing.
    if process(seen.pid).is_ok_and(|now| now.is_none_or(|now| now.started != seen.started)) {
        return Ok(());
    }
    let sent = match &pidfd {
        Ok(pidfd) => match pidfd::send(pidfd, signal) {
            Err(Errno::ENOSYS | Errno::EPERM) => process::signal_number(seen.pid, signal),
            sent => sent,
        },
        // No descriptor is free, or the kernel has no pidfds: signals by the pid that was just read.
        Err(_) => process::signal_number(seen.pid, signal),
    };
    match sent {
        Err(Errno::ESRCH) => Ok(()),
        sent => sent,
    }
}

/// The current time on the clock of [`Process::started`].
pub fn now() -> u64 {
    let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) else { return 0 };
    let hundredths = time.tv_sec().saturating_mul(100).saturating_add(time.tv_nsec() / 10_000_000);
    u64::try_from(hundredths).unwrap_or_default()
}

/// Enough for most lists of children.
const ROOM: usize = 4096;

/// foster's umask, from /proc because umask(2) cannot read it without changing it. `None` without /proc.
pub fn own_umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

/// Returns the children of a process, in any order. If some exit during the read, others may be missed (proc(5)).
fn children_of(parent: &Process) -> io::Result<Vec<Pid>> {
    let pid = parent.pid;
    // Each thread has its own list of children.
    let threads = match parent.threads {
        ..=1 => vec![pid.as_raw()],
        _ => match numbers(Path::new(&format!("/proc/{pid}/task"))) {
            Err(error) if is_gone(&error) => Vec::new(),
            threads => threads?,
        },
    };
    let mut found = Vec::new();
    for thread in threads {
        match read(&format!("/proc/{pid}/task/{thread}/children")) {
            Ok(list) => {
                let list = str::from_utf8(&list).unwrap_or_default();
                found.extend(list.split_ascii_whitespace().filter_map(self::pid));
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn children_by_parent() -> io::Result<Vec<Pid>> {
    let own = unistd::getpid();
    let mut found = Vec::new();
    for number in numbers(Path::new("/proc"))? {
        found.extend(process(Pid::from_raw(number))?.filter(|child| child.parent == own));
    }
    Ok(found.iter().map(|child| child.pid).collect())
}

/// Returns the entries of a directory that are numbers.
fn numbers(directory: &Path) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| i32::from_str(name).ok()));
    }
    // An empty directory: /proc is not mounted.
    match found.is_empty() {
        true => Err(io::Error::new(ErrorKind::Unsupported, "/proc is not mounted")),
        false => Ok(found),
    }
}

/// Reads a file of /proc, without asking for its size, which is 0.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    File::open(path)?.read_to_end(&mut text)?;
    Ok(text)
}

/// ESRCH: it was reaped after the file was opened.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// The second field, the name, is in parentheses and may contain any byte: the other fields follow the last `)`.
fn parse(line: &[u8]) -> Option<Process> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let number = str::from_utf8(line.get(..line.iter().position(|byte| *byte == b' ')?)?).ok()?;
    let fields = str::from_utf8(line.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = pid(fields.next()?)?;
    let (group, session) = (pid(fields.next()?)?, pid(fields.next()?)?);
    // The 20th field of proc_pid_stat(5); the session was the 6th. The 22nd is the start time.
    let threads: i64 = fields.nth(13)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    let life = match state {
        // A first thread that has exited before the others is in state Z as well.
        "Z" | "X" | "x" if threads <= 1 => Life::Zombie,
        _ => Life::Alive,
    };
    Some(Process { pid: pid(number)?, life, parent, group, session, threads, started })
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests;
