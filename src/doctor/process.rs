//! The process: kernel, PID 1, namespaces, user, capabilities and limits.
//!
//! From /proc/PID/status and /proc/PID/limits (proc(5)) of PID 1 or this process, as `rootfs.rs` decides. A field that
//! an old kernel lacks is omitted. Refused system calls are found by trying them.

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
            let meaning = "It has pidfds: a signal never reaches another process with a reused pid.";
            Finding::new(Ok, "kernel", release, meaning)
        }
        Err((call, error)) => {
            let meaning = format!(
                "{call} is refused: {}. foster does not need it to signal its children, but cannot safely signal orphans \
                 that it adopted. It needs Linux 5.3 and a seccomp profile that allows pidfd_open(2) and \
                 pidfd_send_signal(2); qemu-user and Docker before 20.10 lack it.",
                errno::text(error)
            );
            Finding::new(Warn, "kernel", release, meaning)
        }
    }
}

/// Whether signals can be sent through a pidfd: a sandbox may allow pidfd_open(2) and refuse pidfd_send_signal(2).
fn pidfd_signals() -> Result<(), (&'static str, Errno)> {
    let pidfd = pidfd::open(unistd::getpid()).map_err(|error| ("pidfd_open(2)", error))?;
    // SIGURG is ignored by default.
    let Some(harmless) = Signal::parse("URG") else { return Result::Ok(()) };
    pidfd::send(&pidfd, harmless).map_err(|error| ("pidfd_send_signal(2)", error))
}

/// If foster is not PID 1, it adopts orphans only as a subreaper.
fn subreaper(rootfs: &RootFs) -> Option<Finding> {
    if rootfs.is_pid1() {
        return None;
    }
    match process::become_subreaper() {
        Result::Ok(()) => None,
        Err(error) => {
            let meaning = format!(
                "prctl(PR_SET_CHILD_SUBREAPER) is refused: {}. Orphans of programs are adopted by PID 1 of this \
                 namespace, and foster neither reaps nor stops them. As PID 1 foster does not need this call.",
                errno::text(error)
            );
            Some(Finding::new(Warn, "subreaper", "refused", meaning))
        }
    }
}

/// In the /proc of another PID namespace the same pids are other processes.
fn proc_namespace(rootfs: &RootFs) -> Option<Finding> {
    let own = unistd::getpid().to_string();
    let shown = fs::read_link(rootfs.path("proc/self")).ok()?.to_string_lossy().into_owned();
    if shown == own {
        return None;
    }
    let meaning = "/proc belongs to another PID namespace, so foster would read about other processes. Mount that of \
                   this namespace (`mount -t proc proc /proc`) instead of binding the host's.";
    Some(Finding::new(
        Warn,
        "/proc",
        format!("shows pid {shown} for this process, which has pid {own}"),
        meaning,
    ))
}

/// Minimal inits.
const INITS: [&str; 5] = ["tini", "docker-init", "dumb-init", "catatonit", "podman-init"];

fn pid1(rootfs: &RootFs) -> Finding {
    let subject = "init";
    let Some(first) = rootfs.pid1_name() else {
        let meaning = "/proc is not mounted. foster runs without it, but neither finds processes that a program leaves \
                       behind nor shows memory usage.";
        return Finding::new(Warn, subject, "unknown", meaning);
    };
    if rootfs.is_pid1() {
        let meaning = "foster is PID 1: it adopts and reaps every orphan. The following lines about process, limits and \
                       streams describe PID 1.";
        return Finding::new(Ok, subject, "PID 1 is `foster`", meaning);
    }
    let also = match INITS.contains(&first.as_str()) {
        true => " foster is an init itself: `docker run --init` is not needed.",
        false => "",
    };
    let meaning = format!(
        "The following lines describe this process. `foster run` would not be PID 1 here: it becomes a subreaper to \
         adopt orphans of its programs, and signals only processes that it started or adopted.{also}"
    );
    Finding::new(Note, subject, format!("PID 1 is `{first}`, this is {}", unistd::getpid()), meaning)
}

/// The initial PID namespace: PROC_PID_INIT_INO in the kernel's proc_ns.h.
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";

fn namespace(rootfs: &RootFs) -> Finding {
    let subject = "PID namespace";
    match rootfs.link("ns/pid") {
        Result::Ok(link) if link == INITIAL_NAMESPACE => {
            let meaning = "All processes of the host are visible. At shutdown foster stops only its own.";
            Finding::new(Note, subject, "the host's", meaning)
        }
        Result::Ok(_) => Finding::new(
            Ok,
            subject,
            "separate",
            "When its PID 1 exits, the kernel kills the remaining processes.",
        ),
        Err(_) => Finding::new(Note, subject, "unknown", "It is not visible to this process."),
    }
}

fn has(mask: u64, capability: Capability) -> bool {
    mask & capability.bitmask() != 0
}

fn user(rootfs: &RootFs, capabilities: Option<u64>) -> Option<Finding> {
    // The four values are the real, effective, saved and file-system user.
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
        (true, _) => (Ok, "Programs can have another `user`.".to_owned()),
        (false, "0") => {
            let meaning = "Without CAP_SETUID and CAP_SETGID a program with another `user` fails to \
                           start.";
            (Warn, meaning.to_owned())
        }
        (false, _) => {
            let meaning = "All programs run as this user; one with another `user` fails to start.";
            (Note, meaning.to_owned())
        }
    };
    if name.is_none() {
        meaning += " It has no name in /etc/passwd, which some programs need; foster does not.";
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
        foster_core::sorted::sort(&mut names);
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
        let meaning = "Without CAP_KILL foster cannot stop a program with another `user`.";
        return Finding::new(Warn, subject, value, meaning);
    }
    if changes_user && !has(mask, Capability::CAP_CHOWN) {
        let meaning = "Without CAP_CHOWN a program with another `user` cannot open /dev/stdout, as nginx does for its \
                       logs.";
        return Finding::new(Warn, subject, value, meaning);
    }
    let meaning = match mask {
        0 => {
            "foster needs none. Programs cannot change their user, nor listen below port 1024 unless \
              net.ipv4.ip_unprivileged_port_start is lowered, as Docker does."
        }
        _ => "Programs inherit them; `capabilities = [\"…\"]` keeps some, `[]` keeps none.",
    };
    Finding::new(Ok, subject, value, meaning)
}

fn restrictions(rootfs: &RootFs) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(flag) = rootfs.status("NoNewPrivs") {
        let (value, meaning) = match flag.as_str() {
            "0" => {
                ("off", "A setuid binary such as sudo gains privileges unless `no_new_privileges` is set.")
            }
            _ => (
                "on",
                "No program gains privileges through a setuid binary such as sudo. `user` still works.",
            ),
        };
        findings.push(Finding::new(Ok, "no new privileges", value, meaning));
    }
    if let Some(mode) = rootfs.status("Seccomp") {
        let (value, meaning) = match mode.as_str() {
            "0" => ("off", "No system call is blocked."),
            _ => (
                "a filter",
                "The container runtime blocks some system calls: a program that needs one fails with EPERM.",
            ),
        };
        findings.push(Finding::new(Ok, "seccomp", value, meaning));
    }
    findings
}

/// foster needs three descriptors for each program: below this limit only few programs fit.
const FEW_FILES: u64 = 256;
/// Above this limit a program that closes all possible descriptors takes seconds.
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
            let meaning = "foster needs three descriptors for each program, so only few programs fit. `docker run \
                           --ulimit nofile=65536` raises the limit.";
            (Warn, meaning)
        } else if soft > MANY_FILES {
            let meaning = "A program that closes all possible descriptors (old daemons, Python 2) takes seconds to \
                           start: set `limits = { nofile = 65536 }`.";
            (Note, meaning)
        } else {
            let meaning = "Programs start with the first number; `limits = { nofile = … }` changes it. foster uses \
                           the second.";
            (Ok, meaning)
        };
        findings.push(Finding::new(grade, "open files", shown, meaning));
    }
    if let Some((shown, soft, _)) = limit("Max processes") {
        let (grade, meaning) = match soft {
            ..256 => (Warn, "It limits all processes of this user on the host: starts may fail with EAGAIN."),
            _ => (Ok, "It limits all processes of this user on the host."),
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
