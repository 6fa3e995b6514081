//! A scripted misbehaving program for the tests: its arguments are steps, carried out in order.
//!
//! `puppet print:hello sleep:0.2 exit:3` prints, waits and fails; with no step left it exits with 0.
//! The table of steps is [`Puppet::perform`]. It is not a part of foster and follows none of its rules: it
//! sleeps, forks, has threads and crashes on purpose. Read next: `tests/support/`, which puts it on `PATH`.
#![allow(clippy::disallowed_methods, reason = "a puppet sleeps and has threads; foster does not")]
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a script that is wrong ends"
)]
#![allow(unsafe_code, reason = "orphans are made with fork(2), faster than any command could be started")]

mod reporting;
mod serving;
mod usage;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{self, SigHandler, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{self, ForkResult, Pid};
use signal_hook::iterator::Signals;

/// How many orphans one parent leaves behind at once: enough for a burst, far below any pid limit.
const ORPHANS_AT_ONCE: u32 = 100;

fn main() -> ExitCode {
    let mut puppet = Puppet { traps: Vec::new() };
    for step in std::env::args().skip(1) {
        // The first other step arms the traps, so that their lists are complete.
        if let Some(trap) = step.strip_prefix("trap:") {
            puppet.trap(trap);
            continue;
        }
        puppet.arm();
        perform(&step);
    }
    puppet.arm();
    ExitCode::SUCCESS
}

/// The steps of a signal, until it is armed.
struct Puppet {
    traps: Vec<(Signal, Vec<String>)>,
}

impl Puppet {
    /// `SIG:STEP`; several for one signal are done in order.
    fn trap(&mut self, text: &str) {
        let (name, step) = text.split_once(':').expect("trap:SIG:STEP");
        let signal = signal_named(name);
        match self.traps.iter_mut().find(|(known, _)| *known == signal) {
            Some((_, steps)) => steps.push(step.to_owned()),
            None => self.traps.push((signal, vec![step.to_owned()])),
        }
    }

    fn arm(&mut self) {
        for (signal, steps) in self.traps.drain(..) {
            let mut signals = Signals::new([signal as i32]).expect("a signal that can be caught");
            thread::spawn(move || {
                for _ in signals.forever() {
                    steps.iter().for_each(|step| perform(step));
                }
            });
        }
    }
}

/// The table of steps.
fn perform(step: &str) {
    let (verb, rest) = step.split_once(':').unwrap_or((step, ""));
    match verb {
        // Output.
        "print" => say(&format!("{rest}\n")),
        "partial" => say(rest),
        "stderr" => eprintln!("{rest}"),
        "line" => say(&format!("{}\n", "x".repeat(number(rest)))),
        "lines" => count_to(number(rest)),
        "flood" => flood(),
        "bytes" => io::stdout().write_all(&[0xff, 0xfe, b'!', b'\n']).expect("stdout"),
        "reopen-stdout" => reopen("/dev/stdout", rest),
        "reopen-stderr" => reopen("/dev/stderr", rest),
        // Its environment.
        "cat" => say(&fs::read_to_string(rest).unwrap_or_else(|error| format!("{rest}: {error}\n"))),
        "env" => env(),
        "fds" => fds(),
        "cwd" => say(&format!("{}\n", std::env::current_dir().expect("a working directory").display())),
        "ids" => ids(),
        // Files.
        "touch" => drop(File::create(rest).expect("touch:PATH")),
        "append" => append(rest),
        "wait-file" => wait_for_file(Path::new(rest)),
        // Until its parent has ended and the init of its PID namespace has adopted it.
        "wait-adopted" => {
            while unistd::getppid() != Pid::from_raw(1) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        "fail-first" => fail_first(rest),
        // Processes.
        "orphans" => orphans(u32::try_from(number(rest)).expect("orphans:N")),
        "grow" => usage::grow(number(rest)),
        "creep" => usage::creep(rest),
        "spin" => usage::spin(Duration::from_millis(rest.parse().expect("spin:MILLISECONDS"))),
        "child" => child(rest),
        "forks" => forks(number(rest)),
        "chain" => chain(rest),
        "setsid" => drop(unistd::setsid().expect("setsid")),
        "pgrp" => unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).expect("setpgid"),
        // Signals.
        "ignore" => ignore(signal_named(rest)),
        "report-signals" => report_signals(),
        "stop-others" => stop_others(i32::try_from(number(rest)).expect("stop-others:LAST")),
        // Servers.
        "listen" => listen(rest),
        "accept" => accept(rest),
        "nonblocking" => nonblocking(i32::try_from(number(rest)).expect("nonblocking:FD")),
        "http" => serving::http(rest),
        "serve" => serving::serve(rest),
        // Reports about itself.
        "notify" => reporting::notify(rest),
        "save-socket" => reporting::save_socket(rest),
        "notify-junk" => reporting::junk(),
        "beat" => reporting::beat(rest),
        "notify-flood" => reporting::flood(),
        "notify-descriptor" => reporting::notify_with_descriptor(rest),
        "write-fd" => reporting::write_descriptor(rest),
        // Time and ends.
        "sleep" => thread::sleep(Duration::from_secs_f64(rest.parse().expect("sleep:SECONDS"))),
        "pause" => loop {
            unistd::pause();
        },
        "exit" => std::process::exit(rest.parse().expect("exit:CODE")),
        "crash" => crash(signal_named(if rest.is_empty() { "SEGV" } else { rest })),
        unknown => {
            eprintln!("puppet: no step is called `{unknown}`");
            std::process::exit(125);
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn signal_named(name: &str) -> Signal {
    format!("SIG{name}").parse().expect("the name of a signal, without SIG")
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Without a reader there is no use in a panic's text on stderr.
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(141);
    }
}

/// `N` numbered lines, so that a test sees a loss, a repetition or a change of order.
fn count_to(last: usize) {
    let mut out = BufWriter::new(io::stdout().lock());
    for n in 1..=last {
        writeln!(out, "line {n}").expect("stdout");
    }
}

fn flood() {
    let mut out = io::stdout().lock();
    for n in 0_u64.. {
        if writeln!(out, "flood {n} {}", "~".repeat(80)).is_err() {
            std::process::exit(141);
        }
    }
}

/// Opens the stream again by its name, as nginx does with `/dev/stdout`.
fn reopen(path: &str, text: &str) {
    match OpenOptions::new().append(true).open(path) {
        Ok(mut stream) => writeln!(stream, "{text}").expect("a stream"),
        Err(error) => say(&format!("cannot reopen {path}: {error}\n")),
    }
}

fn env() {
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        say(&format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy()));
    }
}

fn fds() {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").expect("/proc").flatten() {
        // The descriptor of this listing is closed by then, or names a `fd` folder.
        match fs::read_link(entry.path()) {
            Ok(target) if !target.to_string_lossy().ends_with("/fd") => {
                lines.push(format!("fd {} {}\n", entry.file_name().to_string_lossy(), target.display()));
            }
            Ok(_) | Err(_) => {}
        }
    }
    lines.sort();
    say(&lines.concat());
}

fn ids() {
    let session = unistd::getsid(None).expect("getsid");
    say(&format!("pid={} pgid={} sid={session}\n", unistd::getpid(), unistd::getpgrp()));
}

/// `PATH:TEXT`: one line at the end of a file; short appends of several programs do not mix (write(2)).
fn append(text: &str) {
    let (path, line) = text.split_once(':').expect("append:PATH:TEXT");
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("append:PATH");
    file.write_all(format!("{line}\n").as_bytes()).expect("append");
}

fn wait_for_file(path: &Path) {
    while !path.exists() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// `PATH:N:CODE`: the first N executions exit with CODE; the file counts them.
fn fail_first(text: &str) {
    let mut parts = text.split(':');
    let path = parts.next().expect("fail-first:PATH:N:CODE");
    let times: u64 = parts.next().and_then(|n| n.parse().ok()).expect("fail-first:PATH:N:CODE");
    let code = parts.next().and_then(|n| n.parse().ok()).expect("fail-first:PATH:N:CODE");
    append(&format!("{path}:x"));
    // Two bytes an execution.
    if fs::metadata(path).expect("the count").len() / 2 <= times {
        std::process::exit(code);
    }
}

/// Processes whose parent ends before them, as fast as fork(2) goes.
fn orphans(count: u32) {
    let mut left = count;
    while left > 0 {
        let burst = left.min(ORPHANS_AT_ONCE);
        left -= burst;
        // SAFETY: the child calls fork(2) and _exit(2) alone, both async-signal-safe.
        match unsafe { unistd::fork() }.expect("fork") {
            ForkResult::Parent { child } => drop(waitpid(child, None).expect("waitpid")),
            ForkResult::Child => leave_orphans(burst),
        }
    }
}

fn leave_orphans(count: u32) -> ! {
    for _ in 0..count {
        // SAFETY: the child calls _exit(2) alone.
        match unsafe { unistd::fork() } {
            Ok(ForkResult::Parent { .. }) => {}
            Ok(ForkResult::Child) | Err(_) => exit_now(),
        }
    }
    exit_now()
}

fn exit_now() -> ! {
    // SAFETY: _exit(2) has no precondition.
    unsafe { libc::_exit(0) }
}

/// Another puppet with these steps, separated by blanks; it inherits everything, and is reaped.
fn child(steps: &str) {
    let mut command = Command::new(own_program());
    let mut child = command.args(steps.split(' ')).spawn().expect("a child");
    thread::spawn(move || child.wait());
}

/// This program; without /proc it is the one that was called.
fn own_program() -> std::ffi::OsString {
    let called = || std::env::args_os().next().expect("a name");
    std::env::current_exe().map_or_else(|_| called(), Into::into)
}

/// So many children that do nothing until they are killed. They inherit everything, the session and what is ignored.
fn forks(count: usize) {
    for _ in 0..count {
        // SAFETY: the child calls pause(2) alone.
        if let ForkResult::Child = unsafe { unistd::fork() }.expect("fork") {
            loop {
                unistd::pause();
            }
        }
    }
}

/// A chain of processes: each forks, appends a byte to the file and ends; its child does the same, forever.
fn chain(path: &str) -> ! {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("chain:PATH");
    loop {
        // SAFETY: this process has one thread, so the child may call any function.
        match unsafe { unistd::fork() } {
            Ok(ForkResult::Parent { .. }) => exit_now(),
            Ok(ForkResult::Child) => file.write_all(b"x").expect("a file"),
            // Where no process can be made now, one can be later.
            Err(_) => {}
        }
    }
}

/// Sends SIGSTOP to every process of its user with a pid up to this, again and again.
fn stop_others(last: i32) -> ! {
    let own = unistd::getpid().as_raw();
    loop {
        for pid in (2..=last).filter(|pid| *pid != own) {
            // Most do not exist, or belong to another user.
            _ = signal::kill(Pid::from_raw(pid), Signal::SIGSTOP);
        }
    }
}

fn ignore(which: Signal) {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { signal::signal(which, SigHandler::SigIgn) }.expect("a signal that can be ignored");
}

/// Prints `got NAME` for every signal that can be caught.
fn report_signals() {
    let caught = Signal::iterator().filter(|signal| {
        !matches!(
            signal,
            Signal::SIGKILL
                | Signal::SIGSTOP
                | Signal::SIGTERM
                | Signal::SIGSEGV
                | Signal::SIGILL
                | Signal::SIGFPE
                | Signal::SIGBUS
                | Signal::SIGCHLD
        )
    });
    let mut signals = Signals::new(caught.map(|signal| signal as i32)).expect("signals that can be caught");
    thread::spawn(move || {
        for number in signals.forever() {
            let signal = Signal::try_from(number).expect("one of them");
            say(&format!("got {}\n", signal.as_str().trim_start_matches("SIG")));
        }
    });
    say("reporting signals\n");
}

/// `tcp:PORT` or `unix:PATH`: accepts connections and never answers.
fn listen(text: &str) {
    match text.split_once(':').expect("listen:tcp:PORT or listen:unix:PATH") {
        ("tcp", port) => {
            let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("bind");
            thread::spawn(move || keep_open(listener.incoming()));
        }
        (_, path) => {
            // The file of an earlier execution.
            drop(fs::remove_file(path));
            let listener = UnixListener::bind(path).expect("bind");
            thread::spawn(move || keep_open(listener.incoming()));
        }
    }
}

/// Sets O_NONBLOCK at a descriptor that it inherits.
fn nonblocking(descriptor: i32) {
    // SAFETY: fcntl takes numbers with this operation.
    let set = unsafe { libc::fcntl(descriptor, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK) };
    assert_eq!(set, 0, "fcntl");
}

/// `FD` or `FD:TEXT`: accepts connections at an inherited socket and answers every request with this text and its pid.
fn accept(text: &str) {
    let (descriptor, text) = text.split_once(':').unwrap_or((text, "pid"));
    let (descriptor, text): (i32, _) = (descriptor.parse().expect("accept:FD"), text.to_owned());
    thread::spawn(move || {
        loop {
            let connection = nix::sys::socket::accept(descriptor).expect("a connection");
            // SAFETY: the kernel made this descriptor just now. TCP or not: it is read and written alone.
            let mut stream = unsafe { TcpStream::from_raw_fd(connection) };
            drop(stream.read(&mut [0; 4096]));
            let body = format!("{text} {}\n", unistd::getpid());
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            drop(stream.write_all((head + &body).as_bytes()));
        }
    });
}

/// Not by `collect`: for an endless iterator it asks for more memory than there is.
fn keep_open<S>(connections: impl Iterator<Item = S>) {
    let mut open = Vec::new();
    for connection in connections {
        open.push(connection);
    }
}

fn crash(which: Signal) {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal::signal(which, SigHandler::SigDfl) }.expect("a signal");
    signal::raise(which).expect("raise");
}
