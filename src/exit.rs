//! Every exit status of the program, once (spec, sections 5, 9 and 10).
//!
//! `main.rs` is the only place that hands one to the system; everything else returns it.

/// What the process tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// It was done.
    pub const DONE: ExitStatus = ExitStatus(0);
    /// It failed, a program is not as asked, or there is no such name.
    pub const FAILED: ExitStatus = ExitStatus(1);
    /// The command line or the configuration is wrong.
    pub const USAGE: ExitStatus = ExitStatus(2);
    /// `status`: something that is wanted does not run.
    pub const NOT_RUNNING: ExitStatus = ExitStatus(3);
    /// No supervisor answers at the socket.
    pub const NO_SUPERVISOR: ExitStatus = ExitStatus(4);
    /// The command is there and cannot be run, as a shell says it.
    pub const NOT_EXECUTABLE: ExitStatus = ExitStatus(126);
    /// There is no such command, as a shell says it.
    pub const NOT_FOUND: ExitStatus = ExitStatus(127);
}
