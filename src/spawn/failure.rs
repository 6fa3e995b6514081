//! Why a start failed: its stage, its message, and whether a later attempt can succeed.
//!
//! A message says what was attempted on what, the system error, and the remedy if it is known; "cannot start NAME: " is
//! printed before it. None contains a value of the environment. Next: `child.rs`, where most failures occur.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use foster_core::event::{Persistence, StartFailure};
use nix::errno::Errno;
use nix::unistd::Uid;

use crate::errno::text;
use crate::plan::Limit;
use crate::spawn::environment;
use crate::spawn::identity;

/// The names of all stages, for machines.
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
    /// The resources that every start needs are missing.
    Prepare(Errno),
    /// The user, or foster's user, could not be looked up.
    User(identity::Problem),
    /// The environment could not be built.
    Environment(environment::Problem),
    /// The kernel created no process.
    Process(Errno),
    /// setsid(2) failed.
    Session(Errno),
    /// Its descriptors could not be set up.
    Stdio(Errno),
    /// The value is not permitted, or /proc is missing.
    OomScoreAdj(i16, Errno),
    /// The limit is not permitted.
    Limit(Limit, Errno),
    /// The nice value is not permitted.
    Nice(i8, Errno),
    /// A process of the given uid could not change to the user and its groups.
    ChangeUser(String, Uid, Errno),
    /// The capabilities could not be set.
    Capabilities(Errno),
    /// The kernel does not support it.
    NoNewPrivileges(Errno),
    /// The working directory cannot be entered.
    Directory(PathBuf, Errno),
    /// The program could not be run.
    Exec(String, ExecProblem),
}

/// Why a program could not be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExecProblem {
    /// The command is not in PATH.
    NotFound {
        /// The program's PATH.
        path: OsString,
    },
    /// The file exists, but its interpreter or loader does not.
    NoInterpreter(PathBuf),
    /// The kernel cannot run a file of this format.
    NoFormat,
    /// No user may execute this file.
    NotExecutable(PathBuf),
    /// It is a directory.
    Directory,
    /// Arguments and environment are too long, with this many bytes.
    TooLong(usize),
    /// An argument contains a NUL byte.
    Nul,
    /// A system error, and the file if a search found it.
    Refused(Option<PathBuf>, Errno),
}

impl Failure {
    /// The name of the step, for machines.
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

    /// Whether a later attempt can succeed.
    fn persistence(&self) -> Persistence {
        match self {
            Failure::Prepare(errno)
            | Failure::Process(errno)
            | Failure::Session(errno)
            | Failure::Stdio(errno)
            | Failure::OomScoreAdj(_, errno)
            | Failure::Limit(_, errno)
            | Failure::Nice(_, errno)
            | Failure::ChangeUser(_, _, errno)
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
                | ExecProblem::NotExecutable(_)
                | ExecProblem::Directory
                | ExecProblem::TooLong(_)
                | ExecProblem::Nul,
            ) => Persistence::Permanent,
        }
    }
}

/// An error of a file or a permission is permanent; a lack of resources may end.
pub fn persistence_of(errno: Errno) -> Persistence {
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
            | ExecProblem::NotExecutable(_)
            | ExecProblem::Directory
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
            Failure::Prepare(errno) => write!(f, "preparing to start processes: {}", text(*errno)),
            Failure::User(problem) => problem.fmt(f),
            Failure::Environment(problem) => problem.fmt(f),
            Failure::Process(errno) => {
                write!(f, "creating a process: {}{}", text(*errno), remedy_of_fork(*errno))
            }
            Failure::Session(errno) => write!(f, "creating a session: {}", text(*errno)),
            Failure::Stdio(errno) => write!(f, "setting up its descriptors: {}", text(*errno)),
            Failure::OomScoreAdj(value, errno) => {
                let right = needs(*errno, "lowering it needs CAP_SYS_RESOURCE");
                write!(f, "setting `oom_score_adj` to {value}: {}{right}", text(*errno))
            }
            Failure::Limit(limit, errno) => {
                let right = needs(*errno, "it exceeds the hard limit or fs.nr_open");
                write!(f, "setting the limit {}: {}{right}", Shown(limit), text(*errno))
            }
            Failure::Nice(value, errno) => {
                let right = needs(*errno, "lowering it needs CAP_SYS_NICE");
                write!(f, "setting `nice` to {value}: {}{right}", text(*errno))
            }
            Failure::ChangeUser(user, own, errno) => {
                write!(f, "changing to user `{user}`: {}", text(*errno))?;
                match (errno, own.is_root()) {
                    (Errno::EPERM, false) => write!(f, ": foster is not root here")?,
                    (Errno::EPERM, true) => write!(f, ": CAP_SETUID or CAP_SETGID is missing")?,
                    (Errno::EINVAL, _) => write!(f, ": the user namespace does not map this user")?,
                    (Errno::EAGAIN, _) => return write!(f, ": its limit `nproc` is reached"),
                    (_, _) => return Ok(()),
                }
                write!(f, "; `user = \"-{user}\"` runs it as foster's own user")
            }
            Failure::Capabilities(errno) => {
                let right = needs(*errno, "foster does not have all of `capabilities`");
                write!(f, "setting its capabilities: {}{right}", text(*errno))
            }
            Failure::NoNewPrivileges(errno) => write!(f, "setting no_new_privs: {}", text(*errno)),
            Failure::Directory(path, errno) => {
                let remedy = if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
                    ": create it, or correct `directory`"
                } else if *errno == Errno::EACCES {
                    ": the program's user may not enter it"
                } else {
                    ""
                };
                write!(f, "entering directory `{}`: {}{remedy}", path.display(), text(*errno))
            }
            Failure::Exec(command, problem) => problem.write(command, f),
        }
    }
}

/// The remedy for a file that is not there.
const MISSING: &str = "add it to the image, or correct the command";

/// The missing privilege, for EPERM and EACCES only.
fn needs(errno: Errno, right: &str) -> String {
    match matches!(errno, Errno::EPERM | Errno::EACCES) {
        true => format!(": {right}"),
        false => String::new(),
    }
}

fn remedy_of_fork(errno: Errno) -> &'static str {
    if errno == Errno::EAGAIN {
        ": the container's `pids` limit or foster's `nproc` is reached"
    } else if errno == Errno::EMFILE {
        ": foster's limit `nofile` is reached"
    } else {
        ""
    }
}

impl ExecProblem {
    fn write(&self, command: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecProblem::NotFound { path } => {
                write!(f, "`{command}` is not in PATH ({}): {MISSING}", path.display())
            }
            ExecProblem::NoInterpreter(file) => write!(
                f,
                "running `{command}`: the interpreter in the first line of `{}`, or its loader, is missing",
                file.display()
            ),
            ExecProblem::NoFormat => write!(
                f,
                "running `{command}`: {}: it is for another architecture, or a script without `#!` in its first line",
                text(Errno::ENOEXEC)
            ),
            ExecProblem::NotExecutable(file) => {
                write!(
                    f,
                    "`{}` is not executable: use `chmod +x`, or run it with its interpreter",
                    file.display()
                )
            }
            ExecProblem::Directory => write!(f, "`{command}` is a directory"),
            ExecProblem::TooLong(size) => write!(
                f,
                "running `{command}`: {}: arguments and environment have {size} bytes",
                text(Errno::E2BIG)
            ),
            ExecProblem::Nul => write!(f, "running `{command}`: an argument contains a NUL byte"),
            ExecProblem::Refused(_, Errno::EAGAIN) => {
                write!(f, "running `{command}`: {}: its user's limit `nproc` is reached", text(Errno::EAGAIN))
            }
            ExecProblem::Refused(file, errno) => {
                write!(f, "running `{command}`: ")?;
                if let Some(file) = file {
                    write!(f, "`{}`: ", file.display())?;
                }
                let remedy = if self.is_absence() { format!(": {MISSING}") } else { String::new() };
                write!(f, "{}{remedy}", text(*errno))
            }
        }
    }
}

/// A limit as in a configuration.
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
            true => write!(f, "`{name}` to {}", value(*soft)),
            false => write!(f, "`{name}` to {} (hard {})", value(*soft), value(*hard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shown_as_in_a_configuration() {
        let shown = |resource, soft, hard| Shown(&Limit { resource, soft, hard }).to_string();
        assert_eq!(shown(rlimit::Resource::NOFILE, 9, 9), "`nofile` to 9");
        assert_eq!(
            shown(rlimit::Resource::MEMLOCK, rlimit::INFINITY, rlimit::INFINITY),
            "`memlock` to unlimited"
        );
        assert_eq!(shown(rlimit::Resource::NPROC, 100, 200), "`nproc` to 100 (hard 200)");
    }

    #[test]
    fn a_reached_process_limit_is_transient_and_named() {
        let failure = StartFailure::from(Failure::Process(Errno::EAGAIN));
        assert_eq!((failure.stage, failure.persistence), ("process", Persistence::Transient));
        let message = "creating a process: Resource temporarily unavailable: the container's `pids` limit or foster's `nproc` is reached";
        assert_eq!(failure.message, message);
    }

    #[test]
    fn errors_that_cannot_end_by_themselves_are_permanent() {
        let exec = |problem| Failure::Exec("x".to_owned(), problem);
        for failure in [
            exec(ExecProblem::NotFound { path: "/bin".into() }),
            exec(ExecProblem::Refused(None, Errno::ENOENT)),
            exec(ExecProblem::Refused(None, Errno::EACCES)),
            exec(ExecProblem::NotExecutable("x".into())),
            exec(ExecProblem::NoFormat),
            Failure::Directory("/x".into(), Errno::ENOENT),
            Failure::ChangeUser("app".to_owned(), Uid::from_raw(5), Errno::EPERM),
            Failure::User(identity::Problem::UnknownUser("app".to_owned())),
        ] {
            assert_eq!(failure.persistence(), Persistence::Permanent, "{failure}");
        }
        for failure in [
            exec(ExecProblem::Refused(None, Errno::EAGAIN)),
            exec(ExecProblem::Refused(None, Errno::ETXTBSY)),
            exec(ExecProblem::Refused(None, Errno::ENOMEM)),
            Failure::Stdio(Errno::EMFILE),
            Failure::Directory("/x".into(), Errno::EIO),
        ] {
            assert_eq!(failure.persistence(), Persistence::Transient, "{failure}");
        }
    }
}
