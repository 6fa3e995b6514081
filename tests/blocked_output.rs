//! foster's stdout is stopped, full, without a reader, or closed: the supervision continues.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{End, Following, Foster, Running, binary, cpu_time, may_make_namespaces, puppet};

/// A user that owns neither the pipe nor the terminal, so that foster cannot open them again.
const OTHER_USER: u32 = 12345;

const FLOODING: &str = "[program.flooding]\ncommand = 'puppet flood'\n";
const CRASHING: &str = "[program.crashing]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";

fn config(flooding: &str) -> String {
    format!("{flooding}{CRASHING}[foster]\nshutdown_timeout = '1s'\nsocket = ''\n")
}

/// Waits until the writers are blocked, then checks that a crashed program is restarted and the container stops.
fn assert_supervises(mut foster: Running) {
    let flooding = process_of(&foster, "flood");
    let (mut seen, mut looks) = (0, 0);
    foster.wait_for("the writer to be stopped", || {
        let now = written(flooding);
        looks = if now == seen { looks + 1 } else { 0 };
        seen = now;
        looks == 30
    });
    let victim = process_of(&foster, "pause");
    let before = Instant::now();
    kill(Pid::from_raw(victim), Signal::SIGKILL).expect("a signal");
    foster.wait_for("the restart", || find(&foster, "pause").is_some_and(|pid| pid != victim));
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before < Duration::from_secs(3), "{:?}", at - before);
}

fn find(foster: &Running, argument: &str) -> Option<i32> {
    let is_it = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    };
    foster.processes().into_iter().map(|process| process.pid).find(|pid| is_it(*pid))
}

fn process_of(foster: &Running, argument: &str) -> i32 {
    let mut found = None;
    foster.wait_for(argument, || {
        found = find(foster, argument);
        found.is_some()
    });
    found.expect("just found")
}

/// The number of bytes that a process has written (proc_pid_io(5)).
fn written(pid: i32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_stopped_terminal_of_another_user_never_blocks_foster() {
    if !may_make_namespaces() {
        return;
    }
    let foster = Foster::new().config(&config(FLOODING)).on_terminal().uid(OTHER_USER).start();
    foster.wait_for_line("flooding");
    foster.type_keys("\x13");
    assert_supervises(foster);
}

#[test]
fn a_pipe_of_another_user_that_a_program_fills_as_well_never_blocks_foster() {
    if !may_make_namespaces() {
        return;
    }
    let inheriting = "[program.inheriting]\ncommand = 'puppet flood:also'\nstdout = 'inherit'\n";
    let both = format!("{FLOODING}{inheriting}");
    for foster in [Foster::new(), Foster::new().refusing("pwritev2", "ENOSYS")] {
        let foster = foster.config(&config(&both)).uid(OTHER_USER).start();
        foster.wait_for_line("flooding");
        foster.output().stop_reading_stdout();
        assert_supervises(foster);
    }
}

/// foster with these descriptors as its stdout and stderr. It is stopped when this is dropped.
struct Bare {
    child: Child,
    folder: TempDir,
}

impl Bare {
    fn start(programs: &str, stdout: Stdio, stderr: Stdio) -> Bare {
        let folder = TempDir::with_prefix("foster-").expect("a folder");
        let socket = folder.path().join("foster.sock");
        let text = format!("{programs}\n[foster]\nsocket = '{}'\n", socket.display());
        let text = text.replace("puppet ", &format!("{} ", puppet().display()));
        std::fs::write(folder.path().join("foster.toml"), text).expect("a file");
        let mut command = Command::new(binary());
        command.args(["run", "-c", "foster.toml"]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Bare { child: command.spawn().expect("foster"), folder }
    }

    /// Starts foster as a user that does not own its terminal, in a session without this terminal.
    fn at_a_foreign_terminal(programs: &str, terminal: &OwnedFd) -> Bare {
        let folder = TempDir::with_prefix("foster-").expect("a folder");
        let any = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), any).expect("its mode");
        for (from, name) in [(binary(), "foster"), (puppet(), "puppet")] {
            std::fs::copy(from, folder.path().join(name)).expect("a copy");
        }
        let text = format!("{programs}\n[foster]\nsocket = ''\nshutdown_timeout = '1s'\n");
        let text = text.replace("puppet ", &format!("{}/puppet ", folder.path().display()));
        std::fs::write(folder.path().join("foster.toml"), text).expect("a file");
        let mut command = Command::new("setpriv");
        let user = OTHER_USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "setsid", "./foster", "run"]);
        command.args(["-c", "foster.toml"]).current_dir(folder.path()).stdin(Stdio::null());
        let copy = || Stdio::from(terminal.try_clone().expect("a copy"));
        command.stdout(copy()).stderr(copy());
        Bare { child: command.spawn().expect("setpriv"), folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The CPU time used so far.
    fn busy(&self) -> Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a live process");
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .into_iter()
            .flat_map(str::split_whitespace)
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        // utime and stime in ticks of 10 ms (proc_pid_stat(5)).
        Duration::from_millis((fields[11] + fields[12]) * 10)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        _ = kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), Signal::SIGTERM);
        _ = self.child.wait();
    }
}

/// Waits for a condition, with a deadline.
#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let pause = std::sync::mpsc::channel::<()>();
    while !condition() {
        assert!(Instant::now() < deadline, "no {what} in time");
        _ = pause.1.recv_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_stopped_terminal_of_another_session_never_blocks_foster() {
    if !may_make_namespaces() {
        return;
    }
    let ends = openpty(None, None).expect("a terminal");
    let foster = Bare::at_a_foreign_terminal(
        "[program.flooding]\ncommand = 'puppet flood'\n[program.crashing]\ncommand = 'puppet wait-file:go append:ends:x exit:1'\nbackoff = { initial = '1ms' }\nmin_uptime = '1ms'\n",
        &ends.slave,
    );
    let mut master = File::from(ends.master);
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&piece).contains("flood 9") {
        let count = master.read(&mut piece).expect("the terminal");
        assert!(count > 0, "foster has closed the terminal");
    }
    // The test does not read any longer, and types ^S.
    master.write_all(b"\x13").expect("the terminal");
    std::fs::write(foster.path("go"), "").expect("a file");
    let ends = || std::fs::read_to_string(foster.path("ends")).unwrap_or_default().lines().count();
    wait_for("restarts", || ends() >= 3);
    let before = Instant::now();
    drop(foster);
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[test]
fn a_reader_that_closes_with_unread_bytes_costs_no_cpu_time() {
    let (socket, end) = UnixStream::pair().expect("a pair of sockets");
    let stdout = || Stdio::from(OwnedFd::from(end.try_clone().expect("a copy")));
    let (mut stderr, err) = std::io::pipe().expect("a pipe");
    let foster = Bare::start(
        "[program.flooding]\ncommand = 'puppet append:up:x flood'\n[program.idle]\ncommand = 'puppet pause'\nstdout = 'inherit'",
        stdout(),
        Stdio::from(err),
    );
    wait_for("bytes that no process reads", || unread_bytes(&socket) > 100_000);
    drop(socket);
    let mut log = String::new();
    let mut piece = [0; 4096];
    while !log.contains("cannot write stdout") {
        let count = stderr.read(&mut piece).expect("foster's log");
        assert!(count > 0, "the end of the log: {log}");
        log.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    assert!(log.contains("its lines are dropped from now on"), "{log}");
    // Stops the flood, so that foster should be idle. The other program keeps the socket open.
    let mut verb = Command::new(binary());
    verb.args(["stop", "flooding", "--socket"]).arg(foster.path("foster.sock")).stdout(Stdio::null());
    assert!(verb.status().expect("foster stop").success());
    let (before, began) = (foster.busy(), Instant::now());
    wait_for("two seconds", || began.elapsed() > Duration::from_secs(2));
    let used = foster.busy() - before;
    assert!(used <= began.elapsed() / 100 + Duration::from_millis(10), "{used:?}");
}

fn unread_bytes(socket: &UnixStream) -> usize {
    foster::sys::stream::unread(socket)
}

#[test]
fn a_fifo_as_stdout_keeps_lines_while_it_has_no_reader() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let first = File::options().read(true).write(true).open(&path).expect("the FIFO");
    let stdout = File::options().write(true).open(&path).expect("the FIFO");
    drop(first);
    let foster = Bare::start(
        "[program.app]\ncommand = 'puppet print:unread touch:written wait-file:go print:read pause'\nmin_uptime = '1ms'",
        Stdio::from(stdout),
        Stdio::null(),
    );
    wait_for("the first line", || foster.path("written").exists());
    let mut reader = File::options().read(true).open(&path).expect("the FIFO");
    std::fs::write(foster.path("go"), "").expect("a file");
    let mut seen = String::new();
    let mut piece = [0; 4096];
    while !seen.contains("app    | read\n") {
        let count = reader.read(&mut piece).expect("the FIFO");
        assert!(count > 0, "closed after {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    assert!(seen.contains("app    | unread\n"), "{seen}");
}

#[test]
fn closed_streams_without_dev_null_get_none_of_fosters_descriptors() {
    if !may_make_namespaces() {
        return;
    }
    let folder = TempDir::with_prefix("foster-").expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = format!(
        "[program.app]\ncommand = '{} touch:{} pause'\nstdin = 'inherit'\n[foster]\nsocket = ''\nshutdown_timeout = '1m'\n",
        puppet().display(),
        path("up")
    );
    std::fs::write(path("foster.toml"), config).expect("a file");
    let script = format!(
        "mount -t tmpfs none /dev; exec 1>&- 2>&- '{}' run -c {}",
        binary().display(),
        path("foster.toml")
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).stdin(File::open("/dev/null").expect("a file"));
    let foster = Bare { child: command.spawn().expect("unshare"), folder };
    wait_for("the program", || foster.path("up").exists());
    let before = Instant::now();
    drop(foster);
    assert!(before.elapsed() < Duration::from_secs(5), "it waited for a reader: {:?}", before.elapsed());
}

#[test]
fn with_few_descriptors_foster_still_reports_the_error() {
    for most in 10..16 {
        let foster = Foster::new().not_pid_1().limited("nofile", most);
        let foster = foster.config("[program.app]\ncommand = 'puppet pause'\n").start();
        foster.wait_for_line("Too many open files|descriptors");
    }
}

#[test]
fn while_the_last_output_waits_for_its_reader_nothing_that_happens_costs_processor_time() {
    let config = format!(
        "{FLOODING}stop_timeout = '1s'\n[foster]\nshutdown_timeout = '3s'\ntermination_log = 'log'\n"
    );
    let mut foster = Foster::new().config(&config).file("log", "").start();
    foster.wait_for_line("flooding");
    let followers: Vec<Following> = [&["events", "-f"][..], &["events", "-f"], &["events", "-f"]]
        .map(|verb| Following::start(&foster, verb))
        .into();
    followers.iter().for_each(|follower| follower.wait_until_asked(&foster));
    foster.output().stop_reading_stdout();
    foster.signal(Signal::SIGTERM);
    foster.wait_for("the last turn, which writes", || foster.content("log").contains("exit status 0"));
    let before = cpu_time(foster.pid());
    // Each makes a descriptor ready until foster serves it: clients that disconnect, and one that stays silent.
    drop(followers);
    let socket = foster.path("foster.sock");
    let silent: Vec<_> = (0..3).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGWINCH] {
        foster.signal(signal);
    }
    let since = Instant::now();
    foster.wait_for("a second", || since.elapsed() > Duration::from_secs(1));
    let used = cpu_time(foster.pid()) - before;
    assert!(used < Duration::from_millis(300), "{used:?}\n{}", foster.output().shown());
    drop(silent);
    assert_eq!(foster.wait_exit(), End::Code(0));
}
