//! No program and no user of a program can block PID 1: verbs, signals and restarts continue.
//!
//! Each test blocks something, checks that it is blocked, and sends requests. The shortest of five times counts, because
//! other processes of the machine use CPU time too.

use std::fs;
use std::io::{PipeReader, Read, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    DeadFileSystem, End, Foster, PtyPair, Running, cpu_time, may_make_namespaces, written_by,
};

/// At least one of several requests of a kind is served within this time.
const AT_ONCE: Duration = Duration::from_millis(100);
/// A restart includes a new process, which is slow in a debug build on a loaded machine.
const RESTART: Duration = Duration::from_secs(1);
/// A shutdown with a `shutdown_timeout` of one second.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// A uid without an entry in /etc/passwd.
const USER: u32 = 12345;

/// A program that is not blocked: it records its starts and its signals in files.
const BYSTANDER: &str = "[program.bystander]
command = 'puppet trap:USR1:append:signals:x append:starts:x touch:bystander pause'
min_uptime = '1ms'
stdout = 'null'
[foster]
shutdown_timeout = '1s'
";

#[track_caller]
fn assert_served(foster: &Running) {
    let status = shortest(|| drop(foster.verb(&["status", "bystander"]).expect(0)));
    assert!(status < AT_ONCE, "status took {status:?}");
    let signals = foster.content("signals").len();
    let before = Instant::now();
    foster.verb(&["signal", "USR1", "bystander"]).expect(0);
    foster.wait_for("the signal to arrive", || foster.content("signals").len() > signals);
    assert!(before.elapsed() < RESTART, "a signal took {:?}", before.elapsed());
    let signal = shortest(|| drop(foster.verb(&["signal", "USR1", "bystander"]).expect(0)));
    assert!(signal < AT_ONCE, "signal took {signal:?}");
    let starts = foster.content("starts").len();
    let main = foster.pid_of("bystander");
    let before = Instant::now();
    kill(Pid::from_raw(main), Signal::SIGKILL).expect("a kill");
    foster.wait_for("the restart", || foster.content("starts").len() > starts);
    assert!(before.elapsed() < RESTART, "a restart took {:?}", before.elapsed());
}

fn shortest(mut ask: impl FnMut()) -> Duration {
    let once = |_| {
        let before = Instant::now();
        ask();
        before.elapsed()
    };
    (0..5).map(once).min().expect("five")
}

#[track_caller]
fn assert_ended_by_term(mut foster: Running) {
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0), "{}", foster.output().shown());
    assert!(at - before < SHUTDOWN, "{:?}\n{}", at - before, foster.output().shown());
}

/// Whether a child of foster is stopped before its exec.
fn is_stopped_before_exec(foster: &Running) -> bool {
    let is_fosters =
        |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("foster"));
    foster.processes().iter().any(|process| process.state == 'T' && is_fosters(process.pid))
}

#[test]
fn a_user_that_stops_its_new_processes_before_exec_blocks_only_its_programs() {
    if !may_make_namespaces() {
        return;
    }
    // A long PATH prolongs the search for the program, during which the child has the program's user.
    let path = format!("{}${{PATH}}", "/x:".repeat(2000));
    let victim = |n: u32| {
        format!(
            "[program.victim{n}]\ncommand = 'puppet exit:1'\nenvironment = {{ PATH = '{path}' }}\nuser = '{USER}'\nready = {{ file = 'never', timeout = '300ms' }}\nstop_timeout = '10ms'\nstart_limit = 'unlimited'\nbackoff = {{ initial = '10ms', max = '20ms' }}\n"
        )
    };
    let attacker = format!("[program.attacker]\ncommand = 'puppet stop-others:400'\nuser = '{USER}'\n");
    let config: String = (0..8).map(victim).chain([attacker, BYSTANDER.to_owned()]).collect();
    let foster = Foster::new().config(&config).start();
    foster.wait_for_file("bystander");
    foster.wait_for("a child that is stopped before exec", || is_stopped_before_exec(&foster));
    assert_served(&foster);
    foster.wait_for("a child that is stopped before exec", || is_stopped_before_exec(&foster));
    assert_ended_by_term(foster);
}

/// Programs whose start or readiness needs a file system that hangs.
const DEAD_STARTS: [&str; 8] = [
    "command = 'dead/app'",
    "command = 'puppet pause'\ndirectory = 'dead/work'",
    "command = 'app'\nenvironment = { PATH = 'dead' }",
    "command = 'puppet pause'\nenv_file = 'dead/env'",
    "command = 'puppet pause'\nsecrets = { KEY = 'dead/key' }",
    "command = 'puppet pause'\nready = { file = 'dead/ready' }",
    "command = 'puppet pause'\nready = { unix = 'dead/socket' }",
    "command = 'puppet pause'\nready = { exec = ['dead/check'] }",
];

#[test]
fn a_file_system_that_hangs_blocks_only_the_programs_that_use_it() {
    if !may_make_namespaces() {
        return;
    }
    for keys in DEAD_STARTS {
        let Some(dead) = DeadFileSystem::new() else { return };
        eprintln!("{keys}");
        let config = format!("[program.held]\n{keys}\nstop_timeout = '200ms'\n{BYSTANDER}");
        let foster = Foster::new().config(&config).dead_folder("dead", &dead).start();
        foster.wait_for_file("bystander");
        foster.wait_for_state("held", "starting");
        assert_served(&foster);
        foster.wait_for_state("held", "starting");
        assert_ended_by_term(foster);
    }
}

#[test]
fn a_start_that_hangs_is_a_failed_start_after_its_ready_timeout() {
    if !may_make_namespaces() {
        return;
    }
    let Some(dead) = DeadFileSystem::new() else { return };
    let config = format!(
        "[program.held]\ncommand = 'dead/app'\nready = {{ file = 'never', timeout = '200ms' }}\nstart_limit = 2\nbackoff = {{ initial = '10ms' }}\non_failure = 'ignore'\n{BYSTANDER}"
    );
    let foster = Foster::new().config(&config).dead_folder("dead", &dead).start();
    foster.wait_for_state("held", "fatal");
    foster.wait_for_line("held: .*200ms");
    assert_served(&foster);
    foster.wait_for("no process of the failed starts", || foster.processes().len() == 2);
    assert_ended_by_term(foster);
}

/// foster as a user that may not open its standard output again, because another user owns it.
fn as_user(config: &str) -> Foster {
    let foster = Foster::new().config(config).uid(USER);
    chown(foster.folder(), Some(USER), Some(USER)).expect("root");
    foster
}

/// Waits until the program's writes block: the number of written bytes stays the same for a while.
#[track_caller]
fn wait_until_blocked(foster: &Running, program: &str) {
    let pid = foster.pid_of(program);
    let mut seen = (0, Instant::now());
    foster.wait_for("the program to be blocked", || {
        let written = written_by(pid);
        if written != seen.0 {
            seen = (written, Instant::now());
        }
        written > 0 && seen.1.elapsed() > Duration::from_millis(200)
    });
}

const FLOOD: &str = "[program.flood]\ncommand = 'puppet flood'\nstop_timeout = '200ms'\n";

/// A terminal that only root may open.
fn terminal_of_root() -> PtyPair {
    let ends = PtyPair::open();
    let name = nix::unistd::ttyname(&ends.slave).expect("a terminal");
    fs::set_permissions(name, fs::Permissions::from_mode(0o600)).expect("its mode");
    ends
}

#[test]
fn a_terminal_of_another_user_with_a_stopped_reader_blocks_only_the_writer() {
    if !may_make_namespaces() {
        return;
    }
    let PtyPair { master, slave } = terminal_of_root();
    let foster = as_user(&format!("{FLOOD}{BYSTANDER}")).stdout(slave).start();
    foster.wait_for_file("bystander");
    wait_until_blocked(&foster, "flood");
    assert_served(&foster);
    assert_ended_by_term(foster);
    drop(master);
}

#[test]
fn a_terminal_of_another_user_stopped_by_a_key_blocks_only_the_writer() {
    if !may_make_namespaces() {
        return;
    }
    let PtyPair { master, slave } = terminal_of_root();
    let foster = as_user(&format!("{FLOOD}{BYSTANDER}"))
        .stdout(slave.try_clone().expect("a descriptor"))
        .stderr(slave)
        .start();
    foster.wait_for_file("bystander");
    let screen =
        SlowReader::start(PipeReader::from(master.try_clone().expect("a descriptor")), Duration::ZERO);
    let flood = foster.pid_of("flood");
    foster.wait_for("the flood to run", || written_by(flood) > 100_000);
    // ^S stops the terminal's output.
    nix::unistd::write(&master, b"\x13").expect("a key");
    wait_until_blocked(&foster, "flood");
    assert_served(&foster);
    assert_ended_by_term(foster);
    drop(master);
    drop(screen.stop());
}

/// Reads a pipe page by page with pauses until it is stopped; the pipe stays open.
struct SlowReader {
    stop: Sender<()>,
    thread: thread::JoinHandle<PipeReader>,
}

impl SlowReader {
    fn start(mut reader: PipeReader, pause: Duration) -> SlowReader {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut page = [0; 4096];
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
                && reader.read(&mut page).is_ok_and(|count| count > 0)
            {}
            reader
        });
        SlowReader { stop, thread }
    }

    fn stop(self) -> PipeReader {
        // It may have exited.
        _ = self.stop.send(());
        self.thread.join().expect("a reader")
    }
}

/// The longest sleep of foster in a write during this time.
fn longest_write(foster: &Running, during: Duration) -> Duration {
    let calls = [libc::SYS_write, libc::SYS_writev, libc::SYS_pwritev2, libc::SYS_sendto]
        .map(|call| call.to_string());
    let (mut longest, mut since) = (Duration::ZERO, None);
    let begin = Instant::now();
    while begin.elapsed() < during {
        // The number of the call that it sleeps in, or `running` (proc_pid_syscall(5)).
        let call = fs::read_to_string(format!("/proc/{}/syscall", foster.pid())).expect("root");
        let writes = calls.iter().any(|number| call.split(' ').next() == Some(number));
        match (writes, since) {
            (true, None) => since = Some(Instant::now()),
            (true, Some(begin)) => longest = longest.max(begin.elapsed()),
            (false, _) => since = None,
        }
    }
    longest
}

#[test]
fn a_pipe_of_another_user_with_a_second_writer_and_a_slow_reader_blocks_only_the_writers() {
    if !may_make_namespaces() {
        return;
    }
    let (reader, writer) = pipe().expect("a pipe");
    let second = FLOOD.replace("program.flood", "program.second") + "stdout = 'inherit'\n";
    let foster = as_user(&format!("{FLOOD}{second}{BYSTANDER}")).stdout(OwnedFd::from(writer)).start();
    foster.wait_for_file("bystander");
    // Both writers compete for each page that becomes free, between foster's check for room and its write.
    let slow = SlowReader::start(reader, Duration::from_millis(20));
    let longest = longest_write(&foster, Duration::from_secs(3));
    assert!(longest < Duration::from_millis(10), "foster slept {longest:?} in a write");
    let reader = slow.stop();
    wait_until_blocked(&foster, "second");
    assert_served(&foster);
    assert_ended_by_term(foster);
    drop(reader);
}

#[test]
fn a_socket_whose_reader_closed_with_queued_bytes_costs_no_cpu_time() {
    let (reader, writer) = UnixStream::pair().expect("a socket");
    // What follows the readiness of everything, once, is not in the second that is looked at.
    let writes =
        "[program.writes]\ncommand = 'puppet lines:100000 touch:written pause'\nmin_uptime = '1ms'\n";
    let foster =
        Foster::new().config(&format!("{writes}{BYSTANDER}")).stdout(OwnedFd::from(writer)).alone().start();
    foster.wait_for_file("bystander");
    wait_until_blocked(&foster, "writes");
    drop(reader);
    foster.wait_for_file("written");
    // What is in the pipe is still to be read.
    foster.wait_for("the last line", || {
        foster.verb(&["logs", "-n", "1", "writes"]).stdout.contains(" 100000\n")
    });
    assert_served(&foster);
    let (before, since) = (cpu_time(foster.pid()), Instant::now());
    foster.wait_for("one second", || since.elapsed() >= Duration::from_secs(1));
    let used = cpu_time(foster.pid()) - before;
    assert!(used < since.elapsed() / 100, "{used:?} in {:?}", since.elapsed());
    assert_ended_by_term(foster);
}
