//! `foster run --detach` as a user that owns nothing but a home folder: it outlives a terminal, and starts from cron.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;

use super::{Machine, WEB, is_running, session_and_terminal, wait_for};
use crate::support::{binary, found, may_make_namespaces, run};

/// A user that no file of the machine belongs to, and no other run of these tests has.
fn user() -> u32 {
    100_000 + std::process::id()
}

/// A command as this user, with the few variables that cron sets; HOME is none of them.
pub(super) fn command(user: u32, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let user = user.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"]).arg(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("LOGNAME", "user");
    command
}

/// A home folder with a foster in it; `None` without root, which makes one of another user.
fn home(config: &str) -> Option<Machine> {
    found("setpriv").filter(|_| may_make_namespaces())?;
    let mut machine = Machine::new(config);
    fs::copy(binary(), machine.path("foster")).expect("a copy");
    fs::set_permissions(machine.path("foster.toml"), Permissions::from_mode(0o600)).expect("a mode");
    for path in [machine.folder.path().to_path_buf(), machine.path("foster.toml")] {
        chown(path, Some(user()), Some(user())).expect("an owner");
    }
    machine.user = Some(user());
    Some(machine)
}

/// The line that starts foster.
fn start(machine: &Machine) -> String {
    let path = |name| machine.path(name).display().to_string();
    format!(
        "{} run --detach --pid-file {} --log {} -c {}",
        path("foster"),
        path("pid"),
        path("log"),
        path("foster.toml")
    )
}

/// Both ends of a terminal. No process inherits the user's end: the terminal is hung up when this test closes it.
fn terminal() -> (PtyMaster, File) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&master).expect("its permissions");
    unlockpt(&master).expect("its other end");
    let mut options = File::options();
    options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
    let slave = options.open(ptsname_r(&master).expect("its name")).expect("its other end");
    (master, slave)
}

/// The pids of the programs.
fn programs(machine: &Machine) -> Vec<String> {
    let status = machine.foster(&["status", "--json"]).expect(0).stdout;
    let rows = crate::support::rows(&status);
    rows.iter().filter(|row| row["kind"] == "program").map(|row| row["pid"].to_string()).collect()
}

#[test]
fn it_runs_and_a_second_one_is_refused() {
    let config = format!("{WEB}[program.whoami]\ncommand = 'cat /proc/self/status'\nrestart = 'never'\n");
    let Some(machine) = home(&config) else { return };
    let started = machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    assert!(!started.text().contains("warning"), "{}", started.text());
    let (pid, names) = (machine.pid(), machine.names());
    for (name, mode) in [("socket", 0o700), ("log", 0o644), ("pid", 0o644)] {
        let found = fs::symlink_metadata(machine.path(name)).expect("a file");
        assert_eq!((found.mode() & 0o777, found.uid()), (mode, user()), "{name}");
    }
    let log = || fs::read_to_string(machine.path("log")).expect("a log");
    wait_for("user in the log", || log().contains(&format!("Uid:\t{0}\t{0}", user())));
    let second = machine.detach(&["--pid-file", "pid-2", "--log", "log-2"]).expect(1);
    assert!(second.text().contains(&format!("already running here (PID {pid})")), "{}", second.text());
    assert_eq!(machine.names(), names);
    machine.foster(&["health"]).expect(0);
    machine.foster(&["restart", "web"]).expect(0);
    machine.shut_down(pid);
}

#[test]
fn at_the_default_socket_it_is_found_and_a_second_one_is_refused() {
    let Some(machine) = home(WEB) else { return };
    let config = fs::read_to_string(machine.path("foster.toml")).expect("a configuration");
    let without = config.lines().filter(|line| !line.starts_with("socket")).collect::<Vec<_>>().join("\n");
    fs::write(machine.path("foster.toml"), without).expect("a configuration");
    machine.detach(&["--pid-file", "pid"]).expect(0);
    let pid = machine.pid();
    let second = machine.detach(&[]).expect(1);
    assert!(second.text().contains(&format!("already running here (PID {pid})")), "{}", second.text());
    machine.foster(&["health"]).expect(0);
    machine.shut_down(pid);
}

#[test]
fn it_outlives_the_terminal_that_it_was_started_from() {
    let Some(machine) = home(WEB) else { return };
    let (master, slave) = terminal();
    let copy = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let shell = command(user(), Path::new("/bin/sh"));
    let mut session = Command::new("setsid");
    session.args(["--ctty", "--wait"]).arg(shell.get_program()).args(shell.get_args());
    session.args(["-c", &format!("{}; echo started; cat", start(&machine))]);
    session.env_clear().env("PATH", "/usr/bin:/bin").stdin(copy()).stdout(copy()).stderr(copy());
    let mut session = session.spawn().expect("setsid");
    drop(slave);
    let mut screen = BufReader::new(master).lines().map_while(Result::ok);
    let seen: Vec<String> = screen.by_ref().take_while(|line| line.trim_end() != "started").collect();
    assert!(seen.iter().any(|line| line.contains("runs in the background")), "{seen:?}");
    let (pid, before) = (machine.pid(), programs(&machine));

    // The connection breaks: the kernel hangs up the terminal.
    drop(screen);
    let ended = session.wait().expect("our child");
    assert_eq!(ended.signal(), Some(Signal::SIGHUP as i32), "the session is not hung up: {ended}");
    assert!(is_running(pid));
    assert_eq!(session_and_terminal(pid), (pid.to_string(), "0".to_owned()));
    machine.foster(&["health"]).expect(0);
    assert_eq!(programs(&machine), before);
    machine.foster(&["restart", "web"]).expect(0);
    assert_ne!(programs(&machine), before);
    machine.shut_down(pid);
}

#[test]
fn it_starts_from_cron_with_few_variables_and_another_working_directory() {
    let Some(machine) = home(WEB) else { return };
    let mut cron = command(user(), Path::new("/bin/sh"));
    cron.args(["-c", &start(&machine)]).current_dir("/");
    let finished = run(cron).expect(0);
    assert!(finished.text().contains("web: ready"), "{}", finished.text());
    machine.foster(&["health"]).expect(0);
    machine.shut_down(machine.pid());
}

#[test]
fn a_log_that_cannot_be_rotated_says_so_and_grows() {
    let config = "log_max_size = '4K'\n[program.web]\ncommand = ['sh', '-c', 'seq 3000; exec sleep 1000']\n";
    let Some(machine) = home(config) else { return };
    // The user may write to the file but not rename it.
    let folder = machine.path("logs");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("a mode");
    fs::write(folder.join("log"), "").expect("a file");
    chown(folder.join("log"), Some(user()), Some(user())).expect("an owner");
    machine.detach(&["--pid-file", "pid", "--log", "logs/log"]).expect(0);
    let log = || fs::read_to_string(folder.join("log")).expect("a log");
    let warning = format!("cannot rotate `{}`: Permission denied", folder.join("log").display());
    wait_for("warning", || log().contains(&warning));
    wait_for("last line", || log().contains("web    | 3000\n"));
    assert_eq!(log().lines().filter(|line| line.starts_with("web    | ")).count(), 3000);
    machine.shut_down(machine.pid());
}
