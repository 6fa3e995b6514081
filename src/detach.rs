//! `foster run --detach`: a supervisor in the background, on a machine without a container.
//!
//! The supervisor is a child in a new session, so that neither a logout nor `^C` reaches it. It has `/dev/null` and
//! the log as its streams, and no descriptor of the shell. The command itself becomes its client, which waits for the end
//! of the startup, prints the result, and returns. A start that is refused changes no file: the control socket is bound before
//! the pid file is written and the log is opened. The command's request waits at the control socket before anything is started: a
//! supervisor that ends at once has its reason printed as well. Both have the client's socket, which the supervisor
//! connects. Next: `init/mod.rs`, which the child runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use foster_core::ids::Exit;
use nix::fcntl::OFlag;
use nix::unistd::{self, Pid};

use crate::cli::Detach;
use crate::cli::verb::Verb;
use crate::client::{self, ClientIo};
use crate::control::client::Answer;
use crate::errno;
use crate::exit::ExitStatus;
use crate::init::{self, FirstRequest, InitEnv};
use crate::plan::Plan;
use crate::sys::fork::fork;
use crate::sys::process;
use crate::sys::sigwait::{self, SignalSet};
use crate::sys::socket;

/// The first byte of the child's report: the path of the control socket follows.
const UP: u8 = b'+';
/// The first byte of the child's report: the reason why it cannot start follows.
const FAILED: u8 = b'-';

/// What runs in the background, and its answer to the request that it has.
struct Background {
    pid: Pid,
    answer: Answer,
}

/// The supervisor's ends of the connections to the command.
struct Ends {
    /// The report that it is up, or why not.
    report: OwnedFd,
    /// The client's socket.
    client: OwnedFd,
}

/// Starts the supervisor in the background and waits for the end of its startup. `unblocked` is the signal mask of the
/// caller, which a client has.
pub fn run(plan: Plan, detach: Detach, env: &InitEnv, unblocked: SignalSet) -> ExitStatus {
    let background = start(plan, &detach, env, unblocked);
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let mut io = ClientIo::of_process(&mut stdout, &mut stderr);
    match background {
        Ok(background) => await_startup(detach, background, &mut io),
        Err(reason) => {
            let _ = writeln!(io.err, "foster: {reason}");
            ExitStatus::FAILED
        }
    }
}

fn start(plan: Plan, detach: &Detach, env: &InitEnv, unblocked: SignalSet) -> Result<Background, String> {
    if process::is_init() {
        return Err("cannot detach as PID 1: the container would end; leave `--detach` out".into());
    }
    if plan.settings.socket.is_none() {
        return Err("cannot detach without a control socket: `socket` in `[foster]` is empty".into());
    }
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| format!("cannot open `/dev/null`: {}", errno::words(&error)))?;
    let system = |what: &str, errno| format!("cannot {what}: {}", errno::text(errno));
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| system("create a pipe", errno))?;
    let client = socket::unconnected().map_err(|errno| system("create a socket", errno))?;
    let shared = client.try_clone().map_err(|error| system("create a socket", errno::of(&error)))?;
    let mut ends = Some(Ends { report: writer, client });
    let child = fork(None, |child| {
        // The child never returns: the descriptors that it has borrowed are closed, and their owners are not dropped.
        let streams = [0, 1, 2].map(|number| (null.as_fd(), number));
        let Some(Ends { report: writer, client }) = &mut ends else { return ExitStatus::FAILED.0 };
        match child.new_session().and_then(|()| child.place_descriptors(&streams, &mut [writer, client])) {
            Ok(()) => supervise(plan, env, detach, &mut ends).0,
            Err(errno) => {
                report(&mut ends, FAILED, system("prepare the streams", errno).as_bytes());
                ExitStatus::FAILED.0
            }
        }
    })
    .map_err(|errno| system("start a process in the background", errno))?;
    // The end of the file is now the child's.
    drop(ends);
    // ^C ends the command; the supervisor is in another session.
    sigwait::block(unblocked);
    let mut report = Vec::new();
    let read = File::from(reader).read_to_end(&mut report);
    match (read, report.split_first()) {
        (Ok(_), Some((&UP, path))) => {
            let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
            Ok(Background { pid: child.pid(), answer: Answer::on(UnixStream::from(shared), &path) })
        }
        (Ok(_), Some((&FAILED, reason))) => {
            // Until it has ended, so that another start finds nothing of it.
            let _ = process::wait_for(child.pid());
            Err(String::from_utf8_lossy(reason).into_owned())
        }
        _ => Err(format!("it ended during the startup: {}", ending(child.pid()).0)),
    }
}

/// A supervisor in the background that had a fault has another one in its place.
pub fn take_over(plan: Plan, detach: &Detach, env: &InitEnv) -> ExitStatus {
    let status = init::run(plan, env, |brought_up| {
        // It has what it logs to as its stderr already.
        if let (Ok(mut up), Some(path)) = (brought_up, detach.log.as_deref())
            && let Err(why) = up.log_to(path)
        {
            log::error!("{why}");
        }
        Ok(FirstRequest::None)
    });
    if let Some(path) = detach.pid_file.as_deref() {
        remove_pid(path, unistd::getpid());
    }
    status
}

/// The supervisor, in the child.
fn supervise(plan: Plan, env: &InitEnv, detach: &Detach, ends: &mut Option<Ends>) -> ExitStatus {
    let (pid, pid_file) = (unistd::getpid(), detach.pid_file.as_deref());
    let status = init::run(plan, env, |brought_up| {
        let up = brought_up.map_err(str::to_owned).and_then(|mut up| {
            let socket = up.socket().ok_or("cannot detach: no control socket could be opened")?.to_owned();
            request(ends, detach, &socket)?;
            pid_file.map_or(Ok(()), |path| write_pid(path, pid))?;
            // Last, so that a start that is refused for another reason does not create it.
            detach.log.as_deref().map_or(Ok(()), |path| up.log_to(path))?;
            Ok(socket)
        });
        match up {
            Ok(socket) => {
                report(ends, UP, socket.as_os_str().as_bytes());
                Ok(FirstRequest::Waits)
            }
            Err(reason) => {
                report(ends, FAILED, reason.as_bytes());
                Err(reason)
            }
        }
    });
    if let Some(path) = pid_file {
        remove_pid(path, pid);
    }
    status
}

/// Sends the command's request: the control socket listens, so that it waits there for the first turn of the loop.
fn request(ends: &Option<Ends>, detach: &Detach, path: &Path) -> Result<(), String> {
    let Some(ends) = ends else { return Ok(()) };
    let connected = ends.client.try_clone().map_err(|error| errno::of(&error));
    let connected = connected.and_then(|client| socket::connect_it(client, path));
    let sent = connected.and_then(|mut stream| {
        let line = detach.wait.request.encode().unwrap_or_default();
        stream.write_all(&line).map_err(|error| errno::of(&error))
    });
    sent.map_err(|errno| format!("cannot connect to `{}`: {}", path.display(), errno::text(errno)))
}

/// Reports to the command, which may have been interrupted, and closes the connections.
fn report(ends: &mut Option<Ends>, kind: u8, text: &[u8]) {
    if let Some(Ends { report, client: _ }) = ends.take() {
        let _ = File::from(report).write_all(&[&[kind], text].concat());
    }
}

/// Writes the pid beside the file and renames it: a reader sees a whole number, and a symbolic link in its place is
/// replaced and not followed.
fn write_pid(path: &Path, pid: Pid) -> Result<(), String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{pid}"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&beside)
        .and_then(|mut file| writeln!(file, "{pid}"))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        format!("cannot write the pid file `{}`: {}", path.display(), errno::words(&error))
    })
}

/// Removes the pid file, unless another foster has written it since.
fn remove_pid(path: &Path, pid: Pid) {
    if fs::read_to_string(path).is_ok_and(|text| text.trim() == pid.to_string()) {
        let _ = fs::remove_file(path);
    }
}

/// Waits until everything that is started with foster is ready, or a start has failed; prints what the supervisor says.
fn await_startup(detach: Detach, background: Background, io: &mut ClientIo<'_>) -> ExitStatus {
    let Background { pid, answer } = background;
    let Some(verb) = Verb::by_name("wait") else { return ExitStatus::FAILED };
    match client::print_answer(verb, &detach.wait, answer, io) {
        Some(ExitStatus::DONE) => {
            let _ = writeln!(io.out, "foster: runs in the background (pid {pid})");
            return ExitStatus::DONE;
        }
        Some(_) => {
            let _ = writeln!(
                io.err,
                "foster: continues in the background (pid {pid}); `foster shutdown` ends it"
            );
            return ExitStatus::FAILED;
        }
        None => {}
    }
    let (how, status) = ending(pid);
    let log = detach.log.map_or("`--log FILE` keeps the reason".to_owned(), |log| {
        format!("`{}` has the reason", log.display())
    });
    let _ = match status {
        // A configuration of tasks alone, for example.
        ExitStatus::DONE => writeln!(io.out, "foster: everything has ended ({how})"),
        _ => writeln!(io.err, "foster: {how}; {log}"),
    };
    status
}

/// Waits for the end of the child: how it ended, and the exit status for that.
fn ending(pid: Pid) -> (String, ExitStatus) {
    match process::wait_for(pid) {
        Some(Exit::Code(code)) => (format!("exit status {code}"), ExitStatus(code)),
        Some(Exit::Killed { signal, by: _ }) => (format!("killed by {signal}"), ExitStatus::FAILED),
        None => ("it has ended".into(), ExitStatus::FAILED),
    }
}
