//! The surroundings that a container runtime gives to a first process, for the tests.
//!
//! `container [--read-only] [--root DIR] [--uid N] [--drop CAPABILITY] [--without-proc] [--refuse CALL=ERRNO]… --
//! COMMAND…` gives itself a mount namespace with its own `/proc`, makes the changes that its options ask for and becomes
//! the command. Its parent makes the PID namespace. A step that fails is printed and ends it. Read next:
//! `refusal.rs`, `tests/support/`.
#![allow(clippy::print_stderr, reason = "a test's tool speaks on stderr")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{self, Gid, Uid};

mod refusal;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    read_only: bool,
    without_proc: bool,
    root: Option<PathBuf>,
    uid: Option<u32>,
    drop: Option<Capability>,
    refused: Vec<refusal::Refusal>,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    match parse().and_then(become_it) {
        Ok(never) => never,
        Err(reason) => {
            eprintln!("container: {reason}");
            ExitCode::from(125)
        }
    }
}

fn parse() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--read-only") => options.read_only = true,
            Some("--without-proc") => options.without_proc = true,
            Some("--root") => options.root = arguments.next().map(PathBuf::from),
            Some("--uid") => options.uid = arguments.next().and_then(|uid| uid.to_str()?.parse().ok()),
            Some("--drop") => options.drop = arguments.next().and_then(|name| name.to_str()?.parse().ok()),
            Some("--refuse") => {
                let text = arguments.next().and_then(|text| text.into_string().ok()).unwrap_or_default();
                options.refused.push(refusal::parse(&text)?);
            }
            Some("--") => {
                options.command.extend(arguments);
                return Ok(options);
            }
            Some(_) | None => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Err("no command".to_owned())
}

fn become_it(options: Options) -> Result<ExitCode, String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("cannot unshare: {error}"))?;
    mount_at("none", Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    mount_at("proc", Path::new("/proc"), Some("proc"), MsFlags::empty())?;
    if let Some(root) = &options.root {
        enter(root)?;
    }
    if options.read_only {
        make_read_only()?;
    }
    if options.without_proc {
        mount_at("none", Path::new("/proc"), Some("tmpfs"), MsFlags::empty())?;
    }
    if let Some(capability) = options.drop {
        // Out of the bounding set: the command, executed as root, does not get it.
        caps::drop(None, CapSet::Bounding, capability).map_err(|error| format!("cannot drop: {error}"))?;
    }
    if let Some(uid) = options.uid {
        let said = |error| format!("cannot become {uid}: {error}");
        unistd::setgroups(&[]).map_err(said)?;
        unistd::setgid(Gid::from_raw(uid)).map_err(said)?;
        unistd::setuid(Uid::from_raw(uid)).map_err(said)?;
    }
    // After the change of user, which clears it (prctl(2)): a test that is killed leaves nothing behind.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("cannot follow the parent: {error}"))?;
    refusal::install(&options.refused)?;
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    Err(format!("cannot become {}: {}", program.display(), Command::new(program).args(arguments).exec()))
}

/// A root directory with nothing but what is in it, `/proc` and `/dev`.
fn enter(root: &Path) -> Result<(), String> {
    for place in ["proc", "dev"] {
        let inside = root.join(place);
        fs::create_dir_all(&inside).map_err(|error| format!("cannot make {}: {error}", inside.display()))?;
        mount_at(&format!("/{place}"), &inside, None, MsFlags::MS_BIND | MsFlags::MS_REC)?;
    }
    unistd::chroot(root).map_err(|error| format!("cannot enter {}: {error}", root.display()))?;
    unistd::chdir("/").map_err(|error| format!("cannot enter /: {error}"))
}

/// Every mount, whatever it is: a device node on one of them can still be written to.
fn make_read_only() -> Result<(), String> {
    let mounts =
        fs::read_to_string("/proc/self/mounts").map_err(|error| format!("cannot read mounts: {error}"))?;
    for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|place| *place != "/proc") {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        match mount_at("none", Path::new(place), None, flags) {
            Ok(()) => {}
            Err(reason) if place == "/" => return Err(reason),
            // Hidden beneath another mount: out of reach anyway.
            Err(_) => {}
        }
    }
    Ok(())
}

fn mount_at(source: &str, target: &Path, kind: Option<&str>, flags: MsFlags) -> Result<(), String> {
    mount(Some(source), target, kind, flags, None::<&str>)
        .map_err(|error| format!("cannot mount {}: {error}", target.display()))
}
