//! The process: its kernel, its place among others, its user, what it may do and how much of it.
//!
//! From /proc/PID/status and /proc/PID/limits (proc(5)), of PID 1 or of this process, as `rootfs.rs` decides. A field
//! that an old kernel does not have gives no line. Refused system calls are found by trying them.

use std::fs;

use caps::Capability;
use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd;

use crate::errno;
use crate::sys::{pidfd, process};

use super::Finding;
use super::Grade::{Note, Ok, Warn};
use super::rootfs::RootFs;

pub(super) fn findings(rootfs: &RootFs) -> Vec<Finding> {
    let capabilities = rootfs.status("CapEff").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    let mut findings = vec![kernel(rootfs), pid1(rootfs), namespace(rootfs)];
    findings.extend(subreaper(rootfs));
    findings.extend(proc_namespace(rootfs));
    findings.extend(user(rootfs, capabilities));
    findings.extend(capabilities.map(privileges));
    findings.extend(restrictions(rootfs));
    findings.extend(limits(rootfs));
    findings
}

fn kernel(rootfs: &RootFs) -> Finding {
    let release = rootfs.text("proc/sys/kernel/osrelease");
    let release = release.map_or_else(|| "unknown".to_owned(), |text| text.trim_end().to_owned());
    match pidfd_signals() {
        Result::Ok(()) => {
            let meaning = "It has pidfds: a signal never reaches another process that got the same number.";
            Finding::new(Ok, "kernel", release, meaning)
        }
        Err((call, error)) => {
            let meaning = format!(
                "{call} is refused: {}. foster signals its own children without it; processes that it only adopted, \
                 such as those that a program leaves behind, it cannot signal safely. Linux 5.3 and a seccomp profile \
                 that allows pidfd_open(2) and pidfd_send_signal(2) have it; qemu-user and Docker before 20.10 do not.",
                errno::text(error)
            );
            Finding::new(Warn, "kernel", release, meaning)
        }
    }
}

/// Whether this process can be signalled through a pidfd: a sandbox may allow to open one and refuse to use it.
fn pidfd_signals() -> Result<(), (&'static str, Errno)> {
    let pidfd = pidfd::open(unistd::getpid()).map_err(|error| ("pidfd_open(2)", error))?;
    // SIGURG is ignored unless a process wants it, and this one does not.
    let Some(harmless) = Signal::parse("URG") else { return Result::Ok(()) };
    pidfd::send(&pidfd, harmless).map_err(|error| ("pidfd_send_signal(2)", error))
}

/// Where foster is not the first process, orphans come to it only as a subreaper.
fn subreaper(rootfs: &RootFs) -> Option<Finding> {
    if rootfs.is_pid1() {
        return None;
    }
    match process::become_subreaper() {
        Result::Ok(()) => None,
        Err(error) => {
            let meaning = format!(
                "prctl(PR_SET_CHILD_SUBREAPER) is refused: {}. Orphans of programs go to PID 1 of this namespace, and \
                 foster neither reaps nor stops them. As PID 1 of a container it needs no such call.",
                errno::text(error)
            );
            Some(Finding::new(Warn, "subreaper", "refused", meaning))
        }
    }
}

/// A /proc of another PID namespace has other processes behind the same numbers.
fn proc_namespace(rootfs: &RootFs) -> Option<Finding> {
    let own = unistd::getpid().to_string();
    let shown = fs::read_link(rootfs.path("proc/self")).ok()?.to_string_lossy().into_owned();
    if shown == own {
        return None;
    }
    let meaning = "/proc is that of another PID namespace: what foster reads there is about other processes. Mount one \
                   of this namespace (`mount -t proc proc /proc`), and do not bind the machine's.";
    Some(Finding::new(Warn, "/proc", format!("shows this process as {shown}, it is {own}"), meaning))
}

/// Programs that are inits and nothing else.
const INITS: [&str; 5] = ["tini", "docker-init", "dumb-init", "catatonit", "podman-init"];

fn pid1(rootfs: &RootFs) -> Finding {
    let subject = "init";
    let Some(first) = rootfs.pid1_name() else {
        let meaning = "/proc is not mounted. foster runs without it, but neither finds what a program leaves behind \
                       when it ends nor shows how much memory one takes.";
        return Finding::new(Warn, subject, "unknown", meaning);
    };
    if rootfs.is_pid1() {
        let meaning = "foster is the first process: every orphan comes to it and is reaped. What follows about \
                       process, limits and streams is about PID 1.";
        return Finding::new(Ok, subject, "PID 1 is `foster`", meaning);
    }
    let also = match INITS.contains(&first.as_str()) {
        true => " foster is an init itself: another one above it (`docker run --init`) is not needed.",
        false => "",
    };
    let meaning = format!(
        "What follows is about this process. A `foster run` here is not the first process: it makes itself \
         subreaper, so that orphans of its programs still come to it, and signals nothing that it did not start or \
         adopt.{also}"
    );
    Finding::new(Note, subject, format!("PID 1 is `{first}`, this is {}", unistd::getpid()), meaning)
}

/// The inode of the first PID namespace of a machine (PROC_PID_INIT_INO in the kernel's proc_ns.h).
const OF_THE_MACHINE: &str = "pid:[4026531836]";

fn namespace(rootfs: &RootFs) -> Finding {
    let subject = "PID namespace";
    match rootfs.link("ns/pid") {
        Result::Ok(link) if link == OF_THE_MACHINE => {
            let meaning = "All processes of the machine are visible. At the end foster stops only its own.";
            Finding::new(Note, subject, "the machine's", meaning)
        }
        Result::Ok(_) => Finding::new(
            Ok,
            subject,
            "separate",
            "When its PID 1 ends, the kernel kills all that is left in it.",
        ),
        Err(_) => Finding::new(Note, subject, "unknown", "It cannot be seen from here."),
    }
}

fn has(mask: u64, capability: Capability) -> bool {
    mask & capability.bitmask() != 0
}

fn user(rootfs: &RootFs, capabilities: Option<u64>) -> Option<Finding> {
    // Real, effective, saved, of the file system.
    let id = rootfs.status("Uid")?.split_whitespace().nth(1)?.to_owned();
    let passwd = rootfs.text("etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    let mask = capabilities.unwrap_or(0);
    let may_change = has(mask, Capability::CAP_SETUID) && has(mask, Capability::CAP_SETGID);
    let (grade, mut meaning) = match (may_change, id.as_str()) {
        (true, _) => (Ok, "Each program may have another `user`.".to_owned()),
        (false, "0") => {
            let meaning = "Without the capabilities setuid and setgid no program can have another `user`: such a start \
                           fails.";
            (Warn, meaning.to_owned())
        }
        (false, _) => {
            let meaning = "All programs run as this user; a start with another `user` fails.";
            (Note, meaning.to_owned())
        }
    };
    if name.is_none() {
        meaning += " It has no name in /etc/passwd: nothing in foster needs one, some programs do.";
    }
    Some(Finding::new(
        grade,
        "user",
        name.map_or_else(|| id.clone(), |name| format!("{id} ({name})")),
        meaning,
    ))
}

fn privileges(mask: u64) -> Finding {
    let subject = "capabilities";
    let names = |held: bool| {
        let mut names: Vec<String> = caps::all()
            .iter()
            .filter(|capability| has(mask, **capability) == held)
            .map(|capability| capability.to_string().to_lowercase().trim_start_matches("cap_").to_owned())
            .collect();
        names.sort();
        names
    };
    let (held, missing) = (names(true), names(false));
    let value = match (held.len(), missing.len()) {
        (0, _) => "none".to_owned(),
        (_, 0) => "all".to_owned(),
        (many, few) if few < many => format!("all but {}", missing.join(", ")),
        (_, _) => held.join(", "),
    };
    let changes_user = has(mask, Capability::CAP_SETUID);
    if changes_user && !has(mask, Capability::CAP_KILL) {
        let meaning = "Without kill, foster cannot stop a program with another `user`.";
        return Finding::new(Warn, subject, value, meaning);
    }
    if changes_user && !has(mask, Capability::CAP_CHOWN) {
        let meaning = "Without chown, a program with another `user` cannot open /dev/stdout again, as nginx \
                       does for its logs.";
        return Finding::new(Warn, subject, value, meaning);
    }
    let meaning = match mask {
        0 => {
            "foster needs none. Programs cannot change their user, nor listen below port 1024 where \
              net.ipv4.ip_unprivileged_port_start is not lowered (Docker lowers it)."
        }
        _ => "Programs inherit them; `capabilities = [\"…\"]` keeps some, `[]` none.",
    };
    Finding::new(Ok, subject, value, meaning)
}

fn restrictions(rootfs: &RootFs) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(flag) = rootfs.status("NoNewPrivs") {
        let (value, meaning) = match flag.as_str() {
            "0" => {
                ("off", "A setuid binary such as sudo gains privileges, unless `no_new_privileges` is set.")
            }
            _ => (
                "on",
                "No program gains privileges by a setuid binary such as sudo. `user` works all the same.",
            ),
        };
        findings.push(Finding::new(Ok, "no new privileges", value, meaning));
    }
    if let Some(mode) = rootfs.status("Seccomp") {
        let (value, meaning) = match mode.as_str() {
            "0" => ("off", "No system call is forbidden."),
            _ => (
                "a filter",
                "The runtime forbids some system calls: a program that needs one fails with EPERM.",
            ),
        };
        findings.push(Finding::new(Ok, "seccomp", value, meaning));
    }
    findings
}

/// Three descriptors for each program and a few for itself: below this there is room for few.
const FEW_FILES: u64 = 256;
/// What closes every descriptor that there could be takes seconds from here on.
const MANY_FILES: u64 = 1 << 20;

fn limits(rootfs: &RootFs) -> Vec<Finding> {
    let Some(table) = rootfs.of_process("limits") else { return Vec::new() };
    let limit = |name: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(name))?;
        let mut fields = line.split_whitespace();
        let (soft, hard) = (fields.next()?, fields.next()?);
        let number = |text: &str| if text == "unlimited" { Some(u64::MAX) } else { text.parse().ok() };
        let shown = if soft == hard { soft.to_owned() } else { format!("{soft}, at most {hard}") };
        Some((shown, number(soft)?, number(hard)?))
    };
    let mut findings = Vec::new();
    if let Some((shown, soft, hard)) = limit("Max open files") {
        let (grade, meaning) = if hard < FEW_FILES {
            let meaning = "foster needs three descriptors for each program: there is room for few. `docker run \
                           --ulimit nofile=65536` raises it.";
            (Warn, meaning)
        } else if soft > MANY_FILES {
            let meaning = "A program that closes every descriptor that could be open (old daemons, Python 2) takes \
                           seconds to start: `limits = { nofile = 65536 }` helps.";
            (Note, meaning)
        } else {
            let meaning = "Programs start with the first number; `limits = { nofile = … }` changes it. foster itself \
                           takes all that it may.";
            (Ok, meaning)
        };
        findings.push(Finding::new(grade, "open files", shown, meaning));
    }
    if let Some((shown, soft, _)) = limit("Max processes") {
        let (grade, meaning) = match soft {
            ..256 => {
                (Warn, "It counts all processes of this user on the machine: starts may fail with EAGAIN.")
            }
            _ => (Ok, "It counts all processes of this user on the machine."),
        };
        findings.push(Finding::new(grade, "user's processes", shown, meaning));
    }
    if let Some((shown, soft, _)) = limit("Max core file size") {
        let (grade, meaning) = match soft {
            0 => (Ok, "A crash writes no core file."),
            _ => (
                Note,
                "A crash may write a core file as large as the program: `limits = { core = 0 }` prevents it.",
            ),
        };
        findings.push(Finding::new(grade, "core files", shown, meaning));
    }
    findings
}
