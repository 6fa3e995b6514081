//! A verb that runs in the background, such as `logs -f`, `events -f` or `update`.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use super::builder::binary;
use super::running::Running;
use super::verb::Finished;

/// A client in the background. It is killed when this is dropped.
pub(crate) struct Following(Option<Child>);

impl Following {
    pub(crate) fn start(foster: &Running, arguments: &[&str]) -> Following {
        let mut command = Command::new(binary());
        command.args(arguments).env("FOSTER_SOCKET", foster.path("foster.sock"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Following(Some(command.spawn().expect("a client")))
    }

    /// Waits until foster has read the request.
    pub(crate) fn wait_until_asked(&self, foster: &Running) {
        let pid = self.0.as_ref().expect("a client").id();
        foster.wait_for("the client to wait for its answer", || {
            let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
            // The client has sent its request and reads (x86-64: read 0, recvfrom 45; aarch64: 63, 207).
            ["0", "45", "63", "207"].contains(&call.split(' ').next().unwrap_or_default())
        });
        // foster handles requests in order.
        foster.verb(&["status"]);
    }

    /// Reads the next lines byte by byte, so that later ones stay in the pipe.
    pub(crate) fn next_lines(&mut self, count: usize) -> String {
        let stdout = self.0.as_mut().and_then(|client| client.stdout.as_mut()).expect("a pipe");
        read_lines(stdout, count)
    }

    /// The next line of its stderr, as it comes.
    pub(crate) fn next_error_line(&mut self) -> String {
        let stderr = self.0.as_mut().and_then(|client| client.stderr.as_mut()).expect("a pipe");
        read_lines(stderr, 1)
    }

    /// Waits for its exit; returns the rest of its output.
    pub(crate) fn finish(mut self) -> Finished {
        let output = self.0.take().expect("a client").wait_with_output().expect("its end");
        Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn read_lines(stream: &mut impl Read, count: usize) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while text.iter().filter(|byte| **byte == b'\n').count() < count {
        assert_eq!(stream.read(&mut byte).expect("a line"), 1, "{}", String::from_utf8_lossy(&text));
        text.extend(byte);
    }
    String::from_utf8(text).expect("text")
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(client) = &mut self.0 {
            // It may have exited.
            _ = client.kill();
            _ = client.wait();
        }
    }
}
