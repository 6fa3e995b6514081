//! Reads and stores the output of a container.
//!
//! A thread reads each pipe. A test can pause the thread of stdout, like a container runtime with a full disk.

use std::io::{PipeReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use regex_lite::Regex;

/// Both streams.
pub(crate) struct Output {
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    streams: [Vec<u8>; 2],
    stopped: bool,
}

const STDOUT: usize = 0;
const STDERR: usize = 1;

impl Output {
    /// Starts to read. Without a second pipe, the first one has both streams, as stdout.
    pub(crate) fn read(stdout: PipeReader, stderr: Option<PipeReader>) -> Output {
        let shared = Arc::new(Shared::default());
        let mut readers = vec![reader(&shared, stdout, STDOUT)];
        readers.extend(stderr.map(|stderr| reader(&shared, stderr, STDERR)));
        Output { shared, readers }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.lock().streams[STDOUT]).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.lock().streams[STDERR]).into_owned()
    }

    /// Every byte of stdout.
    pub(crate) fn stdout_bytes(&self) -> Vec<u8> {
        self.lock().streams[STDOUT].clone()
    }

    /// All output for the message of a failure; if it is long, its first and last part.
    pub(crate) fn shown(&self) -> String {
        let state = self.lock();
        let [stdout, stderr] = state.streams.each_ref().map(|bytes| shortened(bytes));
        format!("---- stdout\n{stdout}\n---- stderr\n{stderr}\n----")
    }

    /// Whether a line of either stream matches.
    pub(crate) fn has_line(&self, pattern: &str) -> bool {
        matches(&self.stdout(), pattern) || matches(&self.stderr(), pattern)
    }

    /// Stops the reader of stdout, after at most one more chunk.
    pub(crate) fn stop_reading_stdout(&self) {
        self.lock().stopped = true;
    }

    pub(crate) fn read_stdout_again(&self) {
        self.lock().stopped = false;
        self.shared.changed.notify_all();
    }

    /// Waits for new output, at most for this time.
    pub(crate) fn wait_for_more(&self, at_most: Duration) {
        let state = self.lock();
        drop(self.shared.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether every writer has closed its end.
    pub(crate) fn is_over(&self) -> bool {
        self.readers.iter().all(JoinHandle::is_finished)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line of the text matches the regular expression.
pub(crate) fn matches(text: &str, pattern: &str) -> bool {
    let pattern = Regex::new(pattern).expect("a regular expression");
    text.lines().any(|line| pattern.is_match(line))
}

fn reader(shared: &Arc<Shared>, mut pipe: PipeReader, stream: usize) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut piece = vec![0; 65536];
        loop {
            let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let must_wait = |state: &mut State| stream == STDOUT && state.stopped;
            drop(shared.changed.wait_while(state, must_wait).unwrap_or_else(PoisonError::into_inner));
            let count = match pipe.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.streams[stream].extend_from_slice(&piece[..count]);
            shared.changed.notify_all();
        }
        shared.changed.notify_all();
    })
}

fn shortened(bytes: &[u8]) -> String {
    const END: usize = 8000;
    if bytes.len() <= 2 * END {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let (head, tail) = (&bytes[..END], &bytes[bytes.len() - END..]);
    let left_out = bytes.len() - 2 * END;
    format!("{}\n… {left_out} bytes …\n{}", String::from_utf8_lossy(head), String::from_utf8_lossy(tail))
}
