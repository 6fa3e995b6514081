//! foster's streams, configuration, socket, termination log and time zone.
//!
//! The socket and the configuration were tried before and are in [`Known`]. Write permission is checked with access(2);
//! nothing is written.

use std::io::ErrorKind;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use crate::errno;

use super::Grade::{Bad, Note, Ok, Warn};
use super::rootfs::RootFs;
use super::{Configuration, Finding, Known, Listener, Socket};

pub(super) fn findings(rootfs: &RootFs, known: &Known) -> Vec<Finding> {
    let mut findings =
        vec![stream(rootfs, "standard output", "fd/1"), stream(rootfs, "standard error", "fd/2")];
    findings.extend(root(rootfs));
    findings.push(configuration(&known.configuration));
    findings.push(socket(rootfs, &known.socket));
    findings.push(termination_log(rootfs, &known.termination_log));
    findings.push(time_zone(rootfs, known.time_zone.as_deref()));
    findings
}

fn stream(rootfs: &RootFs, subject: &'static str, link: &str) -> Finding {
    let target = match rootfs.link(link) {
        Result::Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound && rootfs.status("Pid").is_some() => {
            return Finding::new(
                Warn,
                subject,
                "closed",
                "The output of programs is visible in `foster logs` only.",
            );
        }
        Err(_) => return Finding::new(Note, subject, "unknown", "It is not visible to this process."),
    };
    let is_terminal =
        ["/dev/pts/", "/dev/tty", "/dev/console"].iter().any(|endpoint| target.starts_with(endpoint));
    let (grade, value, meaning) = match target.as_str() {
        "/dev/null" => (Warn, target, "The output of programs is visible in `foster logs` only."),
        _ if is_terminal => (
            Ok,
            format!("a terminal, {target}"),
            "Names at the start of lines are coloured, unless $NO_COLOR is set.",
        ),
        pipe if pipe.starts_with("pipe:") => {
            let meaning = "If its reader stops, programs that write block; foster never does.";
            (Ok, "a pipe".to_owned(), meaning)
        }
        socket if socket.starts_with("socket:") => {
            (Ok, "a socket".to_owned(), "It behaves like a pipe; an example is systemd's journal.")
        }
        file if file.starts_with('/') => {
            let meaning = "It grows and is not rotated. foster rotates only the files named in `stdout = { file = … }` \
                           of a program.";
            (Note, format!("a file, {target}"), meaning)
        }
        _ => (Ok, target, "Log lines are written there."),
    };
    Finding::new(grade, subject, value, meaning)
}

fn root(rootfs: &RootFs) -> Option<Finding> {
    let flags = statvfs(&rootfs.path("/")).ok()?.flags();
    let (value, meaning) = match flags.contains(FsFlags::ST_RDONLY) {
        true => ("read-only", "foster writes only files that the configuration names, and needs no other."),
        false => ("writable", "foster does not need that: `docker run --read-only` is possible."),
    };
    Some(Finding::new(Ok, "root file system", value, meaning))
}

fn configuration(configuration: &Configuration) -> Finding {
    let subject = "configuration";
    match configuration {
        Configuration::None => {
            let meaning = "`foster run` needs one: `-c FILE`, $FOSTER_CONFIG, or one of the usual paths, which `foster \
                           help run` lists.";
            Finding::new(Note, subject, "none", meaning)
        }
        Configuration::Invalid { problems } => {
            let value = format!("{problems} error{}", if *problems == 1 { "" } else { "s" });
            Finding::new(
                Bad,
                subject,
                value,
                "`foster run` starts nothing with it; `foster check` lists the errors.",
            )
        }
        Configuration::Valid { path, programs } => {
            let value = path.display().to_string();
            let plural = if *programs == 1 { "" } else { "s" };
            Finding::new(Ok, subject, value, format!("It is valid and has {programs} program{plural}."))
        }
    }
}

fn socket(rootfs: &RootFs, socket: &Socket) -> Finding {
    let subject = "control socket";
    let Socket::At(path, listener) = socket else {
        let meaning =
            "The configuration disables it: no verb reaches the supervisor, and `foster health` fails.";
        return Finding::new(Note, subject, "none", meaning);
    };
    let shown = path.display();
    match listener {
        Listener::Supervisor => {
            let meaning = "A supervisor replies. A second `foster run` with this socket fails.";
            Finding::new(Ok, subject, format!("{shown}, in use"), meaning)
        }
        Listener::Denied => {
            let meaning = "A supervisor may be running; only root and its own user can reach it.";
            Finding::new(Note, subject, format!("{shown}, not for this user"), meaning)
        }
        Listener::Unknown => {
            let meaning = "A process listens there but does not reply like a supervisor: it is stopped, or it is \
                           another program or another version of foster.";
            Finding::new(Warn, subject, format!("{shown}, no answer"), meaning)
        }
        Listener::Stale | Listener::Missing => {
            let left = matches!(listener, Listener::Stale);
            let value =
                format!("{shown}, {}", if left { "left over from an earlier supervisor" } else { "free" });
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match writable(rootfs, folder) {
                Result::Ok(()) => {
                    Finding::new(Ok, subject, value, "No supervisor uses it; `foster run` creates it.")
                }
                Err(error) => {
                    let meaning = format!(
                        "It cannot be created ({}): foster runs without it, no verb reaches it, and `foster health` \
                         fails. Mount a tmpfs there, or set `socket` in `[foster]`.",
                        errno::text(error)
                    );
                    Finding::new(Warn, subject, value, meaning)
                }
            }
        }
    }
}

/// Whether this process may write to a path.
pub(super) fn writable(rootfs: &RootFs, path: &Path) -> Result<(), Errno> {
    access(&rootfs.path(path), AccessFlags::W_OK)
}

fn termination_log(rootfs: &RootFs, path: &Path) -> Finding {
    let subject = "termination log";
    let shown = path.display();
    match writable(rootfs, path) {
        Result::Ok(()) => Finding::new(
            Ok,
            subject,
            shown.to_string(),
            "foster writes the reason why the container ended to it, for Kubernetes.",
        ),
        Err(Errno::ENOENT | Errno::ENOTDIR) => {
            let meaning = "It does not exist, and foster does not create it: the reason why the container ended is only on standard error.";
            Finding::new(Ok, subject, format!("{shown}, missing"), meaning)
        }
        Err(error) => {
            let meaning =
                "It cannot be written: the reason why the container ended is only on standard error.";
            Finding::new(Warn, subject, format!("{shown}: {}", errno::text(error)), meaning)
        }
    }
}

fn time_zone(rootfs: &RootFs, variable: Option<&str>) -> Finding {
    let subject = "time zone";
    let Some(zone) = variable else {
        return match rootfs.path("/etc/localtime").exists() {
            true => Finding::new(Ok, subject, "from /etc/localtime", "foster's timestamps are always UTC."),
            false => Finding::new(
                Ok,
                subject,
                "UTC",
                "It is not set; `TZ` in `environment` sets it for a program.",
            ),
        };
    };
    // `EST5EDT` and `:/path` need no database (tzset(3)).
    let named = zone.strip_prefix(':').unwrap_or(zone);
    let is_rule = named.contains(|letter: char| letter.is_ascii_digit() || letter == ',');
    let file = Path::new("/usr/share/zoneinfo").join(named);
    if named != "UTC" && !is_rule && !rootfs.path(&file).exists() {
        let meaning =
            format!("{} does not exist: programs use UTC. The package `tzdata` has it.", file.display());
        return Finding::new(Warn, subject, format!("{zone}, from $TZ"), meaning);
    }
    Finding::new(
        Ok,
        subject,
        format!("{zone}, from $TZ"),
        "Programs inherit it. foster's timestamps are always UTC.",
    )
}
