//! Runs a configuration that is JavaScript, with Node, and returns what it exports as JSON.
//!
//! It is another process, with a few seconds and a few megabytes of output; what it leaves is killed. Only the start, the
//! verbs that run as a separate process, and the child that reads the configuration for an update (`init/trial.rs`) do so: a
//! supervisor that runs never waits for a file. Next: `config/pm2.rs`, which reads the JSON.

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use foster_core::ids::{Exit, Signal};
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::config::ScriptError;
use crate::errno;
use crate::exit::ExitStatus;
use crate::spawn::path_lookup::{Search, try_each};
use crate::sys::fork::{ChildProcess, InChild, fork};
use crate::sys::in_child::StringList;
use crate::sys::{process, procfs};

/// How many seconds the file may run.
const TIME_LIMIT: u64 = 4;
/// How much it may print.
const MOST_BYTES: usize = 4 << 20;
/// What Node's heap may take.
const HEAP: &str = "--max-old-space-size=256";
/// What precedes the result in the output, which may have other lines before.
const MARK: &str = "\u{1e}foster ";

/// Prints the mark, then `json` and the JSON of the export, or `error`, a line number and a message.
const PROGRAM: &str = r#"
const fs = require("fs"), file = process.argv[1], { pathToFileURL } = require("url");
const end = (kind, text) => {
  const data = Buffer.from(`\x1efoster ${kind}\n${text}\n`);
  for (let at = 0; at < data.length;) at += fs.writeSync(1, data, at);
  process.exit(0);
};
import(pathToFileURL(file)).then((module) => {
  const value = module.default ?? module;
  for (const [kind, is] of [["function", typeof value === "function"], ["promise", typeof value?.then === "function"]]) {
    if (is) return end("error", `0 this file exports a ${kind}, and not its apps`);
  }
  const text = JSON.stringify(value, (_, item) => typeof item === "bigint" ? String(item) : item, 2);
  end("json", text ?? "null");
}).catch((error) => {
  const line = String(error?.stack).split(file + ":")[1];
  end("error", `${parseInt(line) || 0} ${error}`);
});
"#;

/// Runs the file and returns its export as JSON.
///
/// # Errors
/// There is no Node, or the file throws, does not end, prints too much, or exports nothing.
pub fn evaluate(path: &Path) -> Result<String, ScriptError> {
    let path = std::path::absolute(path).unwrap_or(path.to_owned());
    let (reader, child) = start(path.as_os_str()).map_err(|error| {
        failed(format!("cannot run this file with `node`: {}", errno::words(&error)), REMEDY)
    })?;
    let printed = read_to_end(reader);
    // All of it, also what would still wait for something. One that has ended keeps its status.
    let _ = child.signal_group(Signal::KILL);
    let _ = child.signal(Signal::KILL);
    let exit = process::wait_for(child.pid());
    match exit {
        Some(Exit::Code(code)) if code == ExitStatus::NOT_FOUND.0 => {
            Err(failed("cannot run this file: there is no `node` in PATH", REMEDY))
        }
        _ => result(&printed?, exit),
    }
}

const REMEDY: &str = "install Node, or write the configuration as JSON: `ecosystem.json`";

fn failed(message: impl Into<String>, note: &str) -> ScriptError {
    ScriptError { message: message.into(), note: note.to_owned(), line: None }
}

/// Starts Node in a new process group; both its streams are one pipe.
fn start(file: &OsStr) -> io::Result<(OwnedFd, ChildProcess)> {
    let (reader, writer) = io::pipe()?;
    let null = File::open("/dev/null")?;
    let words = [OsStr::new("node"), HEAP.as_ref(), "-e".as_ref(), PROGRAM.as_ref(), "--".as_ref(), file];
    let words = words.map(|word| CString::new(word.as_bytes()).map(Cow::Owned));
    let words = words.into_iter().collect::<Result<Vec<_>, _>>()?;
    let child = fork(None, |child| {
        let streams = [(null.as_fd(), 0), (writer.as_fd(), 1), (writer.as_fd(), 2)];
        execute(child, &streams, StringList::new(words.clone())).0
    })?;
    Ok((reader.into(), child))
}

/// Returns only if Node is not there.
fn execute(child: &InChild, streams: &[(BorrowedFd<'_>, i32)], words: StringList<'_>) -> ExitStatus {
    if child.new_group().is_err() || child.place_descriptors(streams, &mut []).is_err() {
        return ExitStatus::NOT_EXECUTABLE;
    }
    child.reset_signal_dispositions();
    child.unblock_signals();
    let search = Search::of(OsStr::new("node"), std::env::var_os("PATH").as_deref());
    let Ok(candidates) = search.candidates(OsStr::new("node")) else { return ExitStatus::NOT_FOUND };
    try_each(&candidates, |file| child.execute_inheriting(file, &words));
    ExitStatus::NOT_FOUND
}

fn read_to_end(reader: OwnedFd) -> Result<Vec<u8>, ScriptError> {
    let (mut reader, mut bytes, mut buffer) = (File::from(reader), Vec::new(), [0; 16 * 1024]);
    let end = procfs::now() + TIME_LIMIT * 100;
    loop {
        let left = Duration::from_millis(end.saturating_sub(procfs::now()) * 10);
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut wanted = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut wanted, wait) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) | Err(_) => {
                let note = "expected a file that only exports its apps, without waiting for anything";
                return Err(failed(format!("this file did not end within {TIME_LIMIT} s"), note));
            }
            Ok(_) => {}
        }
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(bytes),
        }
        if bytes.len() > MOST_BYTES {
            let message = format!("this file printed more than {} MiB", MOST_BYTES >> 20);
            return Err(failed(message, "expected a file that only exports its apps"));
        }
    }
}

fn result(printed: &[u8], exit: Option<Exit>) -> Result<String, ScriptError> {
    let text = String::from_utf8_lossy(printed);
    let Some((_, answer)) = text.rsplit_once(MARK) else {
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        let how = match exit {
            Some(Exit::Code(code)) => format!(" (exit status: {code})"),
            Some(Exit::Killed { signal, by: _ }) => format!(" (killed by {signal})"),
            None => String::new(),
        };
        return Err(failed(format!("this file ended before its exports were read{how}"), last));
    };
    let (kind, body) = answer.split_once('\n').unwrap_or((answer, ""));
    if kind == "json" {
        return Ok(body.to_owned());
    }
    let (line, message) = body.trim_end().split_once(' ').unwrap_or(("0", body));
    let line = line.parse().ok().filter(|line| *line > 0);
    let first = message.lines().next().unwrap_or_default();
    let is_own = first.starts_with("this file exports");
    let message = if is_own { first.to_owned() } else { format!("this file cannot be run: {first}") };
    Err(ScriptError { message, note: String::new(), line })
}
