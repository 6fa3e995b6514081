//! Why a process could not be made: every stage there is, and its sentence.
//!
//! Each sentence says what was attempted, on what, and the system's word for it; "cannot start NAME: " goes
//! before it. No sentence contains a value of the environment. Next: `child.rs`, where most of them come from.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use foster_core::event::{Persistence, StartFailure};
use nix::errno::Errno;

use crate::plan::Limit;
use crate::spawn::environment;
use crate::spawn::identity;
use crate::sys::errno::text;

/// Every stage there is, as words for machines.
pub(super) const STAGES: [&str; 14] = [
    "process",
    "user",
    "secrets",
    "env_file",
    "environment",
    "session",
    "stdio",
    "oom_score_adj",
    "limits",
    "nice",
    "capabilities",
    "no_new_privileges",
    "directory",
    "exec",
];

/// A start that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What every spawn needs could not be had.
    Prepare(Errno),
    /// The user, or foster's own, could not be looked up.
    User(identity::Problem),
    /// The environment could not be put together.
    Environment(environment::Problem),
    /// The kernel makes no process.
    Process(Errno),
    /// It could not have a session of its own.
    Session(Errno),
    /// Its descriptors could not be put in place.
    Stdio(Errno),
    /// The value is not permitted, or /proc is not there.
    OomScoreAdj(i16, Errno),
    /// The limit is not permitted.
    Limit(Limit, Errno),
    /// The nice value is not permitted.
    Nice(i8, Errno),
    /// Its user, with the groups, could not be taken on.
    ChangeUser(String, Errno),
    /// The capabilities to keep could not be kept, or the others not given up.
    Capabilities(Errno),
    /// The kernel does not know it.
    NoNewPrivileges(Errno),
    /// The working directory cannot be entered.
    Directory(PathBuf, Errno),
    /// The program could not be run.
    Exec(String, ExecProblem),
}

/// Why a program could not be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExecProblem {
    /// In none of these directories.
    NotFound {
        /// PATH, as the program has it.
        path: OsString,
    },
    /// The file is there; what runs it is not.
    NoInterpreter(PathBuf),
    /// The file has no form that the kernel can run.
    NoFormat,
    /// Arguments and environment are of this many bytes: too many.
    TooLong(usize),
    /// A NUL byte cannot be passed on.
    Nul,
    /// The system's word, with the file that it is about where a search found it.
    Refused(Option<PathBuf>, Errno),
}

impl Failure {
    /// The step, as a word for machines.
    fn stage(&self) -> &'static str {
        match self {
            Failure::Prepare(_) | Failure::Process(_) => "process",
            Failure::User(_) | Failure::ChangeUser(..) => "user",
            Failure::Environment(problem) => problem.stage(),
            Failure::Session(_) => "session",
            Failure::Stdio(_) => "stdio",
            Failure::OomScoreAdj(..) => "oom_score_adj",
            Failure::Limit(..) => "limits",
            Failure::Nice(..) => "nice",
            Failure::Capabilities(_) => "capabilities",
            Failure::NoNewPrivileges(_) => "no_new_privileges",
            Failure::Directory(..) => "directory",
            Failure::Exec(..) => "exec",
        }
    }

    /// Whether a later attempt can go better.
    fn persistence(&self) -> Persistence {
        match self {
            Failure::Prepare(errno)
            | Failure::Process(errno)
            | Failure::Session(errno)
            | Failure::Stdio(errno)
            | Failure::OomScoreAdj(_, errno)
            | Failure::Limit(_, errno)
            | Failure::Nice(_, errno)
            | Failure::ChangeUser(_, errno)
            | Failure::Capabilities(errno)
            | Failure::NoNewPrivileges(errno)
            | Failure::Directory(_, errno)
            | Failure::Exec(_, ExecProblem::Refused(_, errno)) => persistence_of(*errno),
            Failure::User(problem) => problem.errno().map_or(Persistence::Permanent, persistence_of),
            Failure::Environment(problem) => problem.errno().map_or(Persistence::Permanent, persistence_of),
            Failure::Exec(
                _,
                ExecProblem::NotFound { .. }
                | ExecProblem::NoInterpreter(_)
                | ExecProblem::NoFormat
                | ExecProblem::TooLong(_)
                | ExecProblem::Nul,
            ) => Persistence::Permanent,
        }
    }
}

/// What the kernel refuses for what a file or a right is, it refuses again; what it has not enough of, it may have later.
fn persistence_of(errno: Errno) -> Persistence {
    const PERMANENT: [Errno; 12] = [
        Errno::ENOENT,
        Errno::ENOTDIR,
        Errno::EISDIR,
        Errno::ELOOP,
        Errno::ENAMETOOLONG,
        Errno::EACCES,
        Errno::EPERM,
        Errno::ENOEXEC,
        Errno::ELIBBAD,
        Errno::EINVAL,
        Errno::E2BIG,
        Errno::ENOSYS,
    ];
    match PERMANENT.contains(&errno) {
        true => Persistence::Permanent,
        false => Persistence::Transient,
    }
}

impl ExecProblem {
    /// Whether a shell would say "not found" (status 127), not "cannot be run" (126).
    pub(super) fn is_absence(&self) -> bool {
        match self {
            ExecProblem::NotFound { .. } | ExecProblem::Refused(_, Errno::ENOENT | Errno::ENOTDIR) => true,
            ExecProblem::NoInterpreter(_)
            | ExecProblem::NoFormat
            | ExecProblem::TooLong(_)
            | ExecProblem::Nul
            | ExecProblem::Refused(..) => false,
        }
    }
}

impl From<Failure> for StartFailure {
    fn from(failure: Failure) -> StartFailure {
        let (stage, persistence) = (failure.stage(), failure.persistence());
        StartFailure { stage, persistence, message: failure.to_string() }
    }
}

impl From<environment::Problem> for Failure {
    fn from(problem: environment::Problem) -> Failure {
        Failure::Environment(problem)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Prepare(errno) => write!(f, "preparing to make processes: {}", text(*errno)),
            Failure::User(problem) => problem.fmt(f),
            Failure::Environment(problem) => problem.fmt(f),
            Failure::Process(errno) => write!(f, "making a process: {}", text(*errno)),
            Failure::Session(errno) => write!(f, "beginning a session: {}", text(*errno)),
            Failure::Stdio(errno) => write!(f, "setting up its descriptors: {}", text(*errno)),
            Failure::OomScoreAdj(value, errno) => {
                write!(f, "setting oom_score_adj to {value}: {}", text(*errno))
            }
            Failure::Limit(limit, errno) => write!(f, "setting limit {}: {}", Shown(limit), text(*errno)),
            Failure::Nice(value, errno) => write!(f, "setting nice to {value}: {}", text(*errno)),
            Failure::ChangeUser(user, errno) => write!(f, "changing to user {user:?}: {}", text(*errno)),
            Failure::Capabilities(errno) => write!(f, "limiting its capabilities: {}", text(*errno)),
            Failure::NoNewPrivileges(errno) => write!(f, "forbidding new privileges: {}", text(*errno)),
            Failure::Directory(path, errno) => write!(f, "entering directory {path:?}: {}", text(*errno)),
            Failure::Exec(command, problem) => write!(f, "running {command:?}: {problem}"),
        }
    }
}

impl fmt::Display for ExecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecProblem::NotFound { path } => {
                write!(f, "No such file or directory in PATH ({})", path.display())
            }
            ExecProblem::NoInterpreter(file) => {
                let missing = text(Errno::ENOENT);
                write!(f, "{file:?}: {missing}: the interpreter in its first line, or its loader, is missing")
            }
            ExecProblem::NoFormat => {
                let word = text(Errno::ENOEXEC);
                write!(f, "{word}: not for this machine, or a script without `#!` in its first line")
            }
            ExecProblem::TooLong(size) => {
                let word = text(Errno::E2BIG);
                write!(f, "{word}: arguments and environment have {size} bytes")
            }
            ExecProblem::Nul => f.write_str("an argument contains a NUL byte"),
            ExecProblem::Refused(Some(file), errno) => write!(f, "{file:?}: {}", text(*errno)),
            ExecProblem::Refused(None, errno) => f.write_str(&text(*errno)),
        }
    }
}

/// A limit as it is written in a configuration.
struct Shown<'a>(&'a Limit);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limit { resource, soft, hard } = self.0;
        let name = resource.as_name();
        let name = name.strip_prefix("RLIMIT_").unwrap_or(name).to_ascii_lowercase();
        let value = |number: u64| match number {
            rlimit::INFINITY => "unlimited".to_owned(),
            number => number.to_string(),
        };
        match soft == hard {
            true => write!(f, "{name} to {}", value(*soft)),
            false => write!(f, "{name} to {} (hard {})", value(*soft), value(*hard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_as_it_was_written() {
        let told = |resource, soft, hard| Shown(&Limit { resource, soft, hard }).to_string();
        assert_eq!(told(rlimit::Resource::NOFILE, 9, 9), "nofile to 9");
        assert_eq!(
            told(rlimit::Resource::MEMLOCK, rlimit::INFINITY, rlimit::INFINITY),
            "memlock to unlimited"
        );
        assert_eq!(told(rlimit::Resource::NPROC, 100, 200), "nproc to 100 (hard 200)");
    }

    #[test]
    fn a_process_that_the_kernel_refuses_to_make_is_told() {
        let failure = StartFailure::from(Failure::Process(Errno::EAGAIN));
        assert_eq!(failure.stage, "process");
        assert_eq!(failure.message, "making a process: Resource temporarily unavailable");
    }
}
