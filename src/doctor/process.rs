//! The process: its kernel, its place among others, its user, what it may do and how much of it.
//!
//! From /proc/PID/status and /proc/PID/limits (proc(5)), of PID 1 or of this process, as `tree.rs` decides. A field
//! that is not there, as on an old kernel, gives no line.

use caps::Capability;
use nix::unistd;

use crate::sys::pidfd;

use super::Finding;
use super::Grade::{Bad, Note, Ok, Warn};
use super::tree::Tree;

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let capabilities = tree.status("CapEff").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    let mut findings = vec![kernel(tree), first(tree), namespace(tree)];
    findings.extend(user(tree, capabilities));
    findings.extend(capabilities.map(privileges));
    findings.extend(restrictions(tree));
    findings.extend(limits(tree));
    findings
}

fn kernel(tree: &Tree) -> Finding {
    let release = tree.text("proc/sys/kernel/osrelease");
    let release = release.map_or_else(|| "unknown".to_owned(), |text| text.trim_end().to_owned());
    match pidfd::open(unistd::getpid()) {
        Result::Ok(_) => Finding::new(
            Ok,
            "kernel",
            release,
            "It has pidfds: no signal of foster's ever reaches a stranger.",
        ),
        Err(error) => {
            let meaning = format!(
                "A pidfd cannot be opened: {}. foster needs Linux 5.3 or later, and a runtime that does not \
                 forbid pidfd_open(2).",
                error.desc()
            );
            Finding::new(Bad, "kernel", release, meaning)
        }
    }
}

/// Programs that are inits and nothing else.
const INITS: [&str; 5] = ["tini", "docker-init", "dumb-init", "catatonit", "podman-init"];

fn first(tree: &Tree) -> Finding {
    let subject = "init";
    let Some(first) = tree.first() else {
        let meaning = "/proc is not mounted. foster runs without it, but neither finds what a dead program leaves \
                       behind nor shows how much memory one takes.";
        return Finding::new(Warn, subject, "unknown", meaning);
    };
    if tree.is_of_first() {
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

fn namespace(tree: &Tree) -> Finding {
    let subject = "PID namespace";
    match tree.link("ns/pid") {
        Result::Ok(link) if link == OF_THE_MACHINE => {
            let meaning = "All processes of the machine are in sight. At the end foster stops its own alone.";
            Finding::new(Note, subject, "the machine's", meaning)
        }
        Result::Ok(_) => Finding::new(
            Ok,
            subject,
            "one of its own",
            "When its PID 1 ends, the kernel kills all that is left in it.",
        ),
        Err(_) => Finding::new(Note, subject, "unknown", "It cannot be seen from here."),
    }
}

fn has(mask: u64, capability: Capability) -> bool {
    mask & capability.bitmask() != 0
}

fn user(tree: &Tree, capabilities: Option<u64>) -> Option<Finding> {
    // Real, effective, saved, of the file system.
    let id = tree.status("Uid")?.split_whitespace().nth(1)?.to_owned();
    let passwd = tree.text("etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    let mask = capabilities.unwrap_or(0);
    let may_change = has(mask, Capability::CAP_SETUID) && has(mask, Capability::CAP_SETGID);
    let (grade, mut meaning) = match (may_change, id.as_str()) {
        (true, _) => (Ok, "Each program may have a `user` of its own.".to_owned()),
        (false, "0") => {
            let meaning = "Without the capabilities setuid and setgid no program can have a `user` of its own: \
                           such a start fails.";
            (Warn, meaning.to_owned())
        }
        (false, _) => {
            let meaning = "All programs run as this user; a `user` that is another one is a failed start.";
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
        let meaning = "Without kill, foster cannot stop a program whose `user` is another one.";
        return Finding::new(Warn, subject, value, meaning);
    }
    if changes_user && !has(mask, Capability::CAP_CHOWN) {
        let meaning = "Without chown, a program whose `user` is another one cannot open /dev/stdout again, as nginx \
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

fn restrictions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(flag) = tree.status("NoNewPrivs") {
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
    if let Some(mode) = tree.status("Seccomp") {
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

fn limits(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.of_process("limits") else { return Vec::new() };
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
            let meaning = "Programs begin with the first number; `limits = { nofile = … }` changes it. foster itself \
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
