//! Every exit status of the program, once (spec, sections 5, 9 and 10).
//!
//! Only `sys/entry.rs` passes one to the system; all other functions return it.

/// The exit status of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// Success.
    pub const DONE: ExitStatus = ExitStatus(0);
    /// It failed, a program is not in the requested state, or a name is unknown.
    pub const FAILED: ExitStatus = ExitStatus(1);
    /// The command line or the configuration is invalid.
    pub const USAGE: ExitStatus = ExitStatus(2);
    /// `status`: a program that should be running is not.
    pub const NOT_RUNNING: ExitStatus = ExitStatus(3);
    /// No supervisor replies at the socket.
    pub const NO_SUPERVISOR: ExitStatus = ExitStatus(4);
    /// The command exists but cannot be run, as in a shell.
    pub const NOT_EXECUTABLE: ExitStatus = ExitStatus(126);
    /// The command does not exist, as in a shell.
    pub const NOT_FOUND: ExitStatus = ExitStatus(127);
}
