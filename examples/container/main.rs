//! The surroundings that a container runtime gives to a first process, for the tests.
//!
//! `container [OPTION…] -- COMMAND…` gives itself a mount namespace with its own `/proc`, changes what the options
//! ask for (the fields of [`Options`]) and becomes the command. The PID namespace is made by its parent.
//! It does nothing by halves: an option that fails ends it, with the reason. Read next: `tests/support/`.
#![allow(clippy::print_stderr, reason = "a test's tool speaks on stderr")]
#![allow(clippy::disallowed_methods, reason = "a test's tool has threads; foster does not")]

use std::ffi::OsString;
use std::fs::{self, File};
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
mod watch;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    /// `--read-only`: every mount.
    read_only: bool,
    /// `--without-proc`: `/proc` is an empty folder.
    without_proc: bool,
    /// `--without-groups`: cgroups of version 2 are read-only, as in most containers.
    without_groups: bool,
    /// `--host-proc`: `/proc` is that of the machine, whose numbers are those of other processes.
    host_proc: bool,
    /// `--instead-of PATH FILE`: this file is at that path.
    instead: Vec<(PathBuf, PathBuf)>,
    /// `--hidepid`: a process sees those of its own user alone (proc(5)).
    hidepid: bool,
    /// `--root DIR`: nothing is there but what is in it, `/proc` and `/dev`.
    root: Option<PathBuf>,
    /// `--image DIR`: the machine's files, with changes that stay in memory, DIR as `/run` and an empty `/tmp`.
    image: Option<PathBuf>,
    /// `--bind DIR`: with `--image`, a directory of another file system that is there as well.
    bound: Option<PathBuf>,
    /// `--network`: a new network namespace, with the loopback interface alone.
    network: bool,
    /// `--hanging DIR`: a FUSE file system whose server never answers; standard input is its `/dev/fuse`.
    hanging: Option<PathBuf>,
    /// `--uid N`.
    uid: Option<u32>,
    /// `--drop CAPABILITY`.
    drop: Option<Capability>,
    /// `--refuse CALL=ERRNO`: system calls that fail.
    refused: Vec<refusal::Refusal>,
    /// `--watched-by SOCKET`, `--watch NUMBER`: system calls that a test is asked about.
    watch: watch::Watch,
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
            Some("--without-groups") => options.without_groups = true,
            Some("--host-proc") => options.host_proc = true,
            Some("--instead-of") => {
                let mut path = || arguments.next().map(PathBuf::from).ok_or("--instead-of PATH FILE");
                options.instead.push((path()?, path()?));
            }
            Some("--hidepid") => options.hidepid = true,
            Some("--hanging") => options.hanging = arguments.next().map(PathBuf::from),
            Some("--watched-by") => options.watch.by = arguments.next().map(PathBuf::from),
            Some("--watch") => options.watch.calls.extend(arguments.next().and_then(number)),
            Some("--image") => options.image = arguments.next().map(PathBuf::from),
            Some("--bind") => options.bound = arguments.next().map(PathBuf::from),
            Some("--network") => options.network = true,
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

fn number(text: OsString) -> Option<u32> {
    text.to_str()?.parse().ok()
}

fn become_it(options: Options) -> Result<ExitCode, String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("cannot unshare: {error}"))?;
    mount_at("none", Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    if !options.host_proc {
        mount_with("proc", Path::new("/proc"), Some("proc"), options.hidepid.then_some("hidepid=2"))?;
    }
    for (path, file) in &options.instead {
        mount_at(&file.display().to_string(), path, None, MsFlags::MS_BIND)?;
    }
    if let Some(place) = &options.hanging {
        hang(place)?;
    }
    if options.network {
        separate_network()?;
    }
    if let Some(folder) = &options.image {
        enter_image(folder, options.bound.as_deref())?;
    }
    if let Some(root) = &options.root {
        enter(root)?;
    }
    if options.read_only {
        make_read_only(|_| true)?;
    }
    if options.without_groups {
        make_read_only(|kind| kind == "cgroup2")?;
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
    options.watch.install()?;
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

/// The machine's root directory beneath a layer in memory, which takes every change.
fn enter_image(folder: &Path, bound: Option<&Path>) -> Result<(), String> {
    let make = |place: PathBuf| {
        fs::create_dir_all(&place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
        Ok::<PathBuf, String>(place)
    };
    let layers = make(folder.join("layers"))?;
    mount_at("tmpfs", &layers, Some("tmpfs"), MsFlags::empty())?;
    let (upper, work, root) =
        (make(layers.join("upper"))?, make(layers.join("work"))?, make(layers.join("root"))?);
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount_with("overlay", &root, Some("overlay"), Some(&options))?;
    mount_at(&folder.display().to_string(), &make(root.join("run"))?, None, MsFlags::MS_BIND)?;
    mount_with("tmpfs", &make(root.join("tmp"))?, Some("tmpfs"), Some("mode=1777"))?;
    // After those two: it may be below one of them.
    for shared in ["/sys"].into_iter().map(Path::new).chain(bound) {
        let inside = make(root.join(shared.strip_prefix("/").unwrap_or(shared)))?;
        mount_at(&shared.display().to_string(), &inside, None, MsFlags::MS_BIND | MsFlags::MS_REC)?;
    }
    enter(&root)
}

fn separate_network() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("cannot separate the network: {error}"))?;
    match Command::new("ip").args(["link", "set", "lo", "up"]).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`ip link set lo up`: {status}")),
        Err(error) => Err(format!("cannot run `ip`: {error}")),
    }
}

/// Every mount of these kinds: a device node on one of them can still be written to.
fn make_read_only(is_meant: impl Fn(&str) -> bool) -> Result<(), String> {
    let mounts =
        fs::read_to_string("/proc/self/mounts").map_err(|error| format!("cannot read mounts: {error}"))?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    for (place, _) in mounts.filter(|(place, kind)| *place != "/proc" && is_meant(kind)) {
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

/// A server that never answers the kernel's first request answers none: whatever looks below this folder waits.
fn hang(place: &Path) -> Result<(), String> {
    fs::create_dir_all(place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
    mount_with("hanging", place, Some("fuse"), Some(options))?;
    let null = File::open("/dev/null").map_err(|error| format!("cannot open /dev/null: {error}"))?;
    unistd::dup2_stdin(null).map_err(|error| format!("cannot replace standard input: {error}"))
}

fn mount_with(source: &str, target: &Path, kind: Option<&str>, options: Option<&str>) -> Result<(), String> {
    mount(Some(source), target, kind, MsFlags::empty(), options)
        .map_err(|error| format!("cannot mount {}: {error}", target.display()))
}

fn mount_at(source: &str, target: &Path, kind: Option<&str>, flags: MsFlags) -> Result<(), String> {
    mount(Some(source), target, kind, flags, None::<&str>)
        .map_err(|error| format!("cannot mount {}: {error}", target.display()))
}
