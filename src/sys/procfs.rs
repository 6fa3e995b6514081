//! Which processes there are: proc(5).
//!
//! What /proc says is past when it is read. So a process that is to be signalled is pinned by a pidfd first and
//! looked at again after that; a number that was given to another in between is seen. Without /proc, or without
//! the right to see it, the answer is an error and never a guess. Next: [`crate::sys::pidfd`].

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use foster_core::sorted::SortedSet;
use nix::unistd::{self, Pid};

use crate::sys::pidfd;

/// A living process, pinned.
#[derive(Debug)]
pub struct Member {
    /// Its number.
    pub pid: Pid,
    /// What it is signalled with.
    pub pidfd: OwnedFd,
}

/// What /proc/PID/stat says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    life: Life,
    parent: i32,
    session: i32,
}

/// Whether a process still does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// At least one of its threads does.
    Alive,
    /// It only waits to be reaped.
    Zombie,
}

/// The processes whose parent is foster now, zombies included, in no order. While some of them end others may
/// be missed (proc(5)): ask again until nothing is left.
///
/// # Errors
/// Where /proc is not mounted or not readable.
pub fn children() -> io::Result<Vec<Pid>> {
    // By thread, since a child belongs to the thread that bore it.
    let mut found = Vec::new();
    for thread in numbers(Path::new("/proc/self/task"))? {
        match fs::read_to_string(format!("/proc/self/task/{thread}/children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(pid)),
            // A kernel without CONFIG_PROC_CHILDREN.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return children_by_parent(),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The living processes of a session, each pinned. A process that ends meanwhile may be among them: sending it
/// a signal then says ESRCH.
///
/// A session's number is used again only after its last process is gone: asked while one is known to live, or
/// while the leader is not reaped, the answer is about that session and no other.
///
/// # Errors
/// Where /proc is not mounted or not readable; no descriptor is left.
pub fn session_members(session: Pid) -> io::Result<Vec<Member>> {
    living(|stat| stat.session == session.as_raw())
}

/// The living processes of several sessions, found by one look.
///
/// # Errors
/// As [`session_members`].
pub fn members_of(sessions: &[Pid]) -> io::Result<Vec<Member>> {
    let sessions: SortedSet<i32> = sessions.iter().map(|session| session.as_raw()).collect();
    living(|stat| sessions.contains(&stat.session))
}

/// Every living process that foster can see but itself, each pinned.
///
/// # Errors
/// As [`session_members`].
pub fn others() -> io::Result<Vec<Member>> {
    let own = unistd::getpid();
    let mut members = living(|_| true)?;
    members.retain(|member| member.pid != own);
    Ok(members)
}

/// The memory that processes and their descendants hold, in bytes: the sum of their resident sets
/// (proc_pid_statm(5)), in which pages that several share count several times.
///
/// Made for one look at many: what each look needs is got once.
#[derive(Debug)]
pub struct Memory {
    page: u64,
    text: Vec<u8>,
}

impl Memory {
    /// Where /proc has not been looked at yet.
    pub fn new() -> Memory {
        let page = unistd::sysconf(unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        Memory { page: u64::try_from(page).unwrap_or(4096), text: Vec::new() }
    }

    /// What this process and its descendants hold. `None` where it is gone, or without /proc.
    pub fn of_tree(&mut self, root: Pid) -> Option<u64> {
        let mut total = self.resident(root.as_raw())?;
        let mut open = vec![root.as_raw()];
        // A tree that grows while it is walked ends the walk, not foster.
        for _ in 0..10_000 {
            let Some(parent) = open.pop() else { break };
            // Children of other threads than the first are left out: to look at every thread costs more than it tells.
            let first = open.len();
            if let Some(list) = self.read(format_args!("/proc/{parent}/task/{parent}/children")) {
                open.extend(list.split_ascii_whitespace().filter_map(|child| i32::from_str(child).ok()));
            }
            for child in open.get(first..).unwrap_or_default() {
                total = total.saturating_add(self.resident(*child).unwrap_or(0));
            }
        }
        Some(total)
    }

    fn resident(&mut self, pid: i32) -> Option<u64> {
        let page = self.page;
        let statm = self.read(format_args!("/proc/{pid}/statm"))?;
        u64::from_str(statm.split_ascii_whitespace().nth(1)?).ok()?.checked_mul(page)
    }

    /// A file of /proc: three system calls, where the size of what has none is not asked for.
    fn read(&mut self, path: fmt::Arguments<'_>) -> Option<&str> {
        self.text.clear();
        self.text.resize(ROOM, 0);
        let mut file = fs::File::open(path.to_string()).ok()?;
        let mut end = 0;
        loop {
            let room = self.text.get_mut(end..)?;
            let space = room.len();
            let count = file.read(room).ok()?;
            end += count;
            // Less than there was room for is all: the kernel writes such a file in one go (seq_file).
            if count < space {
                break;
            }
            self.text.resize(end * 2, 0);
        }
        str::from_utf8(self.text.get(..end)?).ok()
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

/// Enough for the numbers of statm, and for many a list of children.
const ROOM: usize = 4096;

/// foster's own file mode creation mask, which umask(2) tells only to who changes it. `None` without /proc.
pub fn own_umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

fn living(belongs: impl Fn(Stat) -> bool) -> io::Result<Vec<Member>> {
    let belongs = |stat: Stat| stat.life == Life::Alive && belongs(stat);
    let mut members = Vec::new();
    for number in numbers(Path::new("/proc"))? {
        if !stat(number).is_some_and(belongs) {
            continue;
        }
        let pid = Pid::from_raw(number);
        let pidfd = match pidfd::open(pid) {
            Ok(pidfd) => pidfd,
            Err(nix::Error::ESRCH | nix::Error::EINVAL) => continue,
            Err(error) => return Err(error.into()),
        };
        // Again, now that the pidfd holds it: the number may have changed hands in between.
        if stat(number).is_some_and(belongs) {
            members.push(Member { pid, pidfd });
        }
    }
    Ok(members)
}

fn children_by_parent() -> io::Result<Vec<Pid>> {
    let own = unistd::getpid().as_raw();
    let is_child = |number: &i32| stat(*number).is_some_and(|stat| stat.parent == own);
    Ok(numbers(Path::new("/proc"))?.into_iter().filter(is_child).map(Pid::from_raw).collect())
}

/// The entries of a directory that are numbers.
fn numbers(directory: &Path) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| i32::from_str(name).ok()));
    }
    // A directory that is there and empty: /proc is not mounted.
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::Unsupported, "/proc is not mounted")),
        false => Ok(found),
    }
}

/// `None`: it is gone.
fn stat(number: i32) -> Option<Stat> {
    let path = PathBuf::from(format!("/proc/{number}/stat"));
    parse(&fs::read(path).ok()?)
}

/// The second field, the name, is in parentheses and may contain any byte: the fields begin after the last one.
fn parse(line: &[u8]) -> Option<Stat> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let fields = str::from_utf8(line.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    // The 20th field of proc_pid_stat(5); the session was the 6th.
    let threads: i64 = fields.nth(13)?.parse().ok()?;
    let life = match state {
        // A first thread that has ended before the others looks like a zombie too.
        "Z" | "X" | "x" if threads <= 1 => Life::Zombie,
        _ => Life::Alive,
    };
    Some(Stat { life, parent, session })
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foster_core::ids::Signal;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    fn line(name: &str, state: char, threads: u32) -> String {
        format!("42 ({name}) {state} 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 12345 99 9\n")
    }

    fn id(child: &Child) -> Pid {
        Pid::from_raw(child.id().cast_signed())
    }

    #[test]
    fn a_name_may_contain_anything() {
        let expected = Some(Stat { life: Life::Alive, parent: 7, session: 40 });
        for name in ["sleep", "a b", "a) S 1 1 1 (b", ")", "(", "", "\n) Z 1 1 1"] {
            assert_eq!(parse(line(name, 'S', 1).as_bytes()), expected, "{name}");
        }
        let mut bytes = b"42 (\xff\xfe".to_vec();
        bytes.extend_from_slice(line("", 'S', 1).split_at(4).1.as_bytes());
        assert_eq!(parse(&bytes), expected);
    }

    #[test]
    fn a_zombie_is_told_from_a_process_whose_first_thread_has_ended() {
        assert_eq!(parse(line("x", 'Z', 1).as_bytes()).unwrap().life, Life::Zombie);
        assert_eq!(parse(line("x", 'Z', 0).as_bytes()).unwrap().life, Life::Zombie);
        assert_eq!(parse(line("x", 'Z', 3).as_bytes()).unwrap().life, Life::Alive);
    }

    #[test]
    fn what_is_cut_short_or_no_stat_at_all_is_nothing() {
        let whole = line("x", 'S', 1);
        let last = whole.find(" 0 12345").unwrap();
        for end in 0..last {
            assert_eq!(parse(whole.split_at(end).0.as_bytes()), None, "{end}");
        }
        assert_eq!(parse(b"1 (x) S a b c"), None);
        assert_eq!(parse(b"1 (x) \xff 1 1 1"), None);
    }

    #[test]
    fn children_are_found_also_the_slow_way() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(children().unwrap().contains(&id(&child)));
        assert!(children_by_parent().unwrap().contains(&id(&child)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().unwrap().contains(&id(&child)));
    }

    #[test]
    fn every_living_process_of_a_session_is_a_member_and_no_zombie_is() {
        // In the session: the shell, a sleep, and a child that ends at once and is never waited for.
        let script = "sleep 1000 & (exit 0) & read -r line";
        let mut leader = Command::new("setsid")
            .args(["sh", "-c", &format!("echo $$; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(leader.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let session = pid(first.trim()).unwrap();
        assert_eq!(session, id(&leader), "setsid executes in place");

        let members = || session_members(session).unwrap();
        // The sleep and the zombie come about after the line was written.
        while !(members().len() == 2 && zombie_in(session)) {}
        assert!(members().iter().any(|member| member.pid == session));
        for member in members() {
            pidfd::send(&member.pidfd, Signal::KILL).unwrap();
        }
        leader.wait().unwrap();
        while !members().is_empty() {}
    }

    fn zombie_in(session: Pid) -> bool {
        let is = |stat: Stat| stat.life == Life::Zombie && stat.session == session.as_raw();
        numbers(Path::new("/proc")).unwrap().into_iter().any(|number| stat(number).is_some_and(is))
    }

    #[test]
    fn a_directory_without_processes_is_an_unmounted_proc() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(numbers(empty.path()).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert!(numbers(&empty.path().join("missing")).is_err());
    }
}
