//! A finished command and its output.

use std::process::{Command, Stdio};

use serde_json::Value;

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails with the output unless the command exited with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "---- stdout\n{}\n---- stderr\n{}\n----", self.stdout, self.stderr);
        self
    }

    /// Both streams.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command until it exits.
pub(crate) fn run(mut command: Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().expect("a command that can be run");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Parses the rows of a verb's `--json`.
pub(crate) fn rows(text: &str) -> Vec<Value> {
    match serde_json::from_str(text) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) | Err(_) => Vec::new(),
    }
}
