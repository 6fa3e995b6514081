//! The place: where output goes, what can be written, who is at the socket, what time it is.
//!
//! What has to be asked of somebody, the socket and the configuration, was asked before and comes as [`Known`].
//! Whether a path can be written is asked of the kernel, and nothing is written.

use std::io::ErrorKind;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::Grade::{Bad, Note, Ok, Warn};
use super::tree::Tree;
use super::{Configuration, Finding, Known, Listener, Socket};

pub(super) fn findings(tree: &Tree, known: &Known) -> Vec<Finding> {
    let mut findings = vec![stream(tree, "standard output", "fd/1"), stream(tree, "standard error", "fd/2")];
    findings.extend(root(tree));
    findings.push(configuration(&known.configuration));
    findings.push(socket(tree, &known.socket));
    findings.push(termination_log(tree, &known.termination_log));
    findings.push(time_zone(tree, known.time_zone.as_deref()));
    findings
}

fn stream(tree: &Tree, subject: &'static str, link: &str) -> Finding {
    let target = match tree.link(link) {
        Result::Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound && tree.status("Pid").is_some() => {
            return Finding::new(
                Warn,
                subject,
                "closed",
                "What programs write is shown by `foster logs` alone.",
            );
        }
        Err(_) => return Finding::new(Note, subject, "unknown", "It cannot be seen from here."),
    };
    let is_terminal = ["/dev/pts/", "/dev/tty", "/dev/console"].iter().any(|place| target.starts_with(place));
    let (grade, value, meaning) = match target.as_str() {
        "/dev/null" => (
            Warn,
            target,
            "What programs write is shown by `foster logs` alone; so is a stream that was closed.",
        ),
        _ if is_terminal => {
            (Ok, format!("a terminal, {target}"), "Names before lines are coloured, unless $NO_COLOR is set.")
        }
        pipe if pipe.starts_with("pipe:") => {
            let meaning =
                "Whoever reads it sets the pace: one that stops reading stops the writers, never foster.";
            (Ok, "a pipe".to_owned(), meaning)
        }
        socket if socket.starts_with("socket:") => {
            (Ok, "a socket".to_owned(), "As with a pipe; systemd's journal, for instance, is one.")
        }
        file if file.starts_with('/') => {
            let meaning = "It grows, and nobody rotates it. foster rotates what `stdout = { file = … }` of a program \
                           names.";
            (Note, format!("a file, {target}"), meaning)
        }
        _ => (Ok, target, "Lines go there."),
    };
    Finding::new(grade, subject, value, meaning)
}

fn root(tree: &Tree) -> Option<Finding> {
    let flags = statvfs(&tree.path("/")).ok()?.flags();
    let (value, meaning) = match flags.contains(FsFlags::ST_RDONLY) {
        true => {
            ("read-only", "foster writes nothing that the configuration does not name, and needs no path.")
        }
        false => ("writable", "foster needs no path of it: `docker run --read-only` is possible."),
    };
    Some(Finding::new(Ok, "root file system", value, meaning))
}

fn configuration(configuration: &Configuration) -> Finding {
    let subject = "configuration";
    match configuration {
        Configuration::None => {
            let meaning = "`foster run` wants one: `-c FILE`, $FOSTER_CONFIG, or one of the usual places. `foster help \
                           run` tells them.";
            Finding::new(Note, subject, "none", meaning)
        }
        Configuration::Wrong { problems } => {
            let value = format!("wrong in {problems} place{}", if *problems == 1 { "" } else { "s" });
            Finding::new(
                Bad,
                subject,
                value,
                "`foster run` starts nothing with it; `foster check` tells all.",
            )
        }
        Configuration::Right { path, programs } => {
            let value = path.display().to_string();
            let plural = if *programs == 1 { "" } else { "s" };
            Finding::new(Ok, subject, value, format!("It is in order, and has {programs} program{plural}."))
        }
    }
}

fn socket(tree: &Tree, socket: &Socket) -> Finding {
    let subject = "control socket";
    let Socket::At(path, listener) = socket else {
        let meaning =
            "The configuration wants none: no verb reaches the supervisor, and `foster health` fails.";
        return Finding::new(Note, subject, "none", meaning);
    };
    let shown = path.display();
    match listener {
        Listener::Supervisor => {
            let meaning = "A supervisor answers. A second `foster run` with this socket refuses to start.";
            Finding::new(Ok, subject, format!("{shown}, in use"), meaning)
        }
        Listener::Reserved => {
            let meaning = "A supervisor may be there, for root and its own user alone: no verb of this user reaches it.";
            Finding::new(Note, subject, format!("{shown}, not for this user"), meaning)
        }
        Listener::Strange => {
            let meaning = "Somebody is there, and gives no answer of a supervisor's: it is stopped, or another \
                           program, or another version of foster.";
            Finding::new(Warn, subject, format!("{shown}, no answer"), meaning)
        }
        Listener::Gone | Listener::Nobody => {
            let left = matches!(listener, Listener::Gone);
            let value =
                format!("{shown}, {}", if left { "left by a supervisor that is gone" } else { "free" });
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match writable(tree, folder) {
                Result::Ok(()) => {
                    Finding::new(Ok, subject, value, "No supervisor runs with it; `foster run` makes it.")
                }
                Err(error) => {
                    let meaning = format!(
                        "It cannot be made ({}): foster runs without it, and then no verb reaches it, and `foster \
                         health` fails. A tmpfs there helps, or `socket` in `[foster]`.",
                        error.desc()
                    );
                    Finding::new(Warn, subject, value, meaning)
                }
            }
        }
    }
}

fn writable(tree: &Tree, path: &Path) -> Result<(), Errno> {
    access(&tree.path(path), AccessFlags::W_OK)
}

fn termination_log(tree: &Tree, path: &Path) -> Finding {
    let subject = "termination log";
    let shown = path.display();
    match writable(tree, path) {
        Result::Ok(()) => Finding::new(
            Ok,
            subject,
            shown.to_string(),
            "What ends the container is told there, for Kubernetes.",
        ),
        Err(Errno::ENOENT | Errno::ENOTDIR) => {
            let meaning =
                "There is none, and none is made: what ends the container is told on standard error alone.";
            Finding::new(Ok, subject, format!("{shown}, not there"), meaning)
        }
        Err(error) => {
            let meaning =
                "It is there and cannot be written: what ends the container is told on standard error alone.";
            Finding::new(Warn, subject, format!("{shown}: {}", error.desc()), meaning)
        }
    }
}

fn time_zone(tree: &Tree, variable: Option<&str>) -> Finding {
    let subject = "time zone";
    let Some(zone) = variable else {
        return match tree.path("/etc/localtime").exists() {
            true => Finding::new(Ok, subject, "of /etc/localtime", "Stamps of foster's are UTC in any zone."),
            false => {
                Finding::new(Ok, subject, "UTC", "It is nowhere set; `TZ` in `environment` sets a program's.")
            }
        };
    };
    // `EST5EDT` and `:/path` need no database (tzset(3)).
    let named = zone.strip_prefix(':').unwrap_or(zone);
    let is_rule = named.contains(|letter: char| letter.is_ascii_digit() || letter == ',');
    let file = Path::new("/usr/share/zoneinfo").join(named);
    if named != "UTC" && !is_rule && !tree.path(&file).exists() {
        let meaning =
            format!("There is no {}: programs take it for UTC. A package `tzdata` has it.", file.display());
        return Finding::new(Warn, subject, format!("{zone}, by $TZ"), meaning);
    }
    Finding::new(
        Ok,
        subject,
        format!("{zone}, by $TZ"),
        "Programs inherit it. Stamps of foster's are UTC in any zone.",
    )
}
