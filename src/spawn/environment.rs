//! The environment of a program, from several sources.
//!
//! Later sources override earlier ones: foster's environment, the variables of `user`, the env files in order, the
//! secrets, `environment`, and those that foster adds. Files are read at each start. Messages and `Debug` output never
//! contain a value, because it may be a secret. Next: `dotenv.rs` for the format of env files.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use foster_core::sorted::SortedMap;
use nix::errno::Errno;

use crate::bounded_read::{self, Accept, Unread};
use crate::plan::{Inherit, Launch, Presence};
use crate::spawn::dotenv::{self, BadLine};
use crate::spawn::identity::Identity;

/// Variables by name. No name or value contains a NUL byte, and no name a `=`.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Environment<'a>(SortedMap<Cow<'a, OsStr>, Value<'a>>);

/// The value of a variable.
#[derive(PartialEq, Eq)]
enum Value<'a> {
    /// An inherited `NAME=value`.
    Inherited(&'a CStr),
    /// A value of the program.
    Own(OsString),
}

/// foster's environment, prepared for execve(2). It never changes, so it is prepared once.
pub(super) struct Variables(Vec<(OsString, CString)>);

/// Why the environment could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// An env file was not read.
    EnvFile(PathBuf, Unread),
    /// A line of one is not an assignment.
    EnvLine(PathBuf, BadLine),
    /// A secret's file was not read.
    Secret(String, PathBuf, Unread),
    /// A secret contains a NUL byte.
    SecretNul(String, PathBuf),
    /// An invalid name.
    Name(String),
    /// The value of this variable contains a NUL byte.
    Nul(String),
}

/// The size limit of an env file or a secret, in bytes.
const LARGEST: usize = 1 << 20;

/// The inherited variables with `inherit_environment = false`.
const BASICS: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "LANG"];

/// Variables for foster itself, which a program must not use in its place (sd_notify(3), sd_listen_fds(3),
/// sd_watchdog_enabled(3)). Full names only: programs use names such as `LISTEN_PORT`.
const FOSTER_VARIABLES: [&str; 7] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// What variables begin with that hold foster's own command line (`config/pm2.rs`).
const COMMAND_LINE: &[u8] = b"FOSTER_PM2_";

impl Variables {
    /// The first of two variables with the same name counts, as for getenv(3).
    pub(super) fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Variables {
        Variables(variables.filter_map(|(name, value)| Some((name.clone(), join(&name, &value)?))).collect())
    }
}

impl<'a> Environment<'a> {
    /// Builds the environment.
    pub(super) fn build(
        launch: &Launch,
        inherited: &'a Variables,
        identity: Option<&Identity>,
        extra: &[(String, String)],
    ) -> Result<Environment<'a>, Problem> {
        let mut all = Environment::inherit(launch.inherit_environment, inherited);
        for (name, value) in identity.iter().flat_map(|identity| identity.variables()) {
            all.0.insert(Cow::Borrowed(OsStr::new(name)), Value::Own(value.to_owned()));
        }
        for file in &launch.env_files {
            all.add_file(&file.path, file.presence)?;
        }
        for (name, path) in &launch.secrets {
            all.add_secret(name, path)?;
        }
        for (name, value) in launch.environment.iter().chain(extra) {
            all.add(name, OsString::from(value), || Problem::Nul(name.clone()))?;
        }
        Ok(all)
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        match self.0.get(OsStr::new(name))? {
            Value::Inherited(text) => text.to_bytes().get(name.len() + 1..).map(OsStr::from_bytes),
            Value::Own(value) => Some(value),
        }
    }

    /// The variables as `NAME=value`, for execve(2).
    pub(super) fn into_strings(self) -> Vec<Cow<'a, CStr>> {
        let string = |(name, value): (Cow<'_, OsStr>, Value<'a>)| match value {
            Value::Inherited(text) => Some(Cow::Borrowed(text)),
            Value::Own(value) => join(&name, &value).map(Cow::Owned),
        };
        self.0.into_iter().filter_map(string).collect()
    }

    fn inherit(what: Inherit, inherited: &'a Variables) -> Environment<'a> {
        let listed = |list: &[&str], name: &OsStr| list.iter().any(|known| name == *known);
        let mut all = SortedMap::new();
        for (name, text) in &inherited.0 {
            let wanted = match what {
                Inherit::All => {
                    !listed(&FOSTER_VARIABLES, name) && !name.as_bytes().starts_with(COMMAND_LINE)
                }
                Inherit::Basics => listed(&BASICS, name),
            };
            // The first of two values counts, as for getenv(3).
            if wanted && !all.contains_key(name.as_os_str()) {
                all.insert(Cow::Borrowed(name.as_os_str()), Value::Inherited(text));
            }
        }
        Environment(all)
    }

    fn add_file(&mut self, path: &Path, presence: Presence) -> Result<(), Problem> {
        let content = match presence {
            Presence::Required => bounded_read::read(path, LARGEST, Accept::AllButFifos),
            Presence::Optional => bounded_read::read_if_present(path, LARGEST, Accept::AllButFifos),
        };
        let content = content.map_err(|why| Problem::EnvFile(path.to_owned(), why))?;
        let variables = dotenv::parse(&content).map_err(|bad| Problem::EnvLine(path.to_owned(), bad))?;
        let variables = variables.into_iter();
        self.0.extend(variables.map(|(name, value)| {
            (Cow::Owned(OsString::from_vec(name)), Value::Own(OsString::from_vec(value)))
        }));
        Ok(())
    }

    fn add_secret(&mut self, name: &str, path: &Path) -> Result<(), Problem> {
        let content = bounded_read::read(path, LARGEST, Accept::AllButFifos);
        let mut content = content.map_err(|why| Problem::Secret(name.to_owned(), path.to_owned(), why))?;
        if content.pop_if(|last| *last == b'\n').is_some() {
            content.pop_if(|last| *last == b'\r');
        }
        self.add(name, OsString::from_vec(content), || Problem::SecretNul(name.to_owned(), path.to_owned()))
    }

    fn add(&mut self, name: &str, value: OsString, nul: impl Fn() -> Problem) -> Result<(), Problem> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Problem::Name(name.to_owned()));
        }
        if value.as_bytes().contains(&0) {
            return Err(nul());
        }
        self.0.insert(Cow::Owned(name.into()), Value::Own(value));
        Ok(())
    }
}

/// Names only.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Names only.
impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn join(name: &OsStr, value: &OsStr) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

impl Problem {
    /// The system error, if it is one.
    pub(super) fn errno(&self) -> Option<Errno> {
        match self {
            Problem::EnvFile(_, unread) | Problem::Secret(_, _, unread) => unread.errno(),
            Problem::EnvLine(..) | Problem::SecretNul(..) | Problem::Name(_) | Problem::Nul(_) => None,
        }
    }

    /// The name of the step, for machines.
    pub(super) fn stage(&self) -> &'static str {
        match self {
            Problem::Secret(..) | Problem::SecretNul(..) => "secrets",
            Problem::EnvFile(..) | Problem::EnvLine(..) => "env_file",
            Problem::Name(_) | Problem::Nul(_) => "environment",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::EnvFile(path, why) => {
                write!(f, "reading env file `{}`: {why}", path.display())?;
                if why.errno() == Some(Errno::ENOENT) {
                    write!(
                        f,
                        ": add it, or write `env_file = \"-{}\"` where it is optional",
                        path.display()
                    )?;
                }
                Ok(())
            }
            Problem::EnvLine(path, BadLine { line, why }) => {
                write!(f, "reading env file `{}`: line {line}: {why}", path.display())
            }
            Problem::Secret(name, path, why) => {
                write!(f, "reading secret `{name}` from `{}`: {why}", path.display())?;
                let remedy = if why.errno() == Some(Errno::ENOENT) { ": mount it there" } else { "" };
                f.write_str(remedy)
            }
            Problem::SecretNul(name, path) => {
                write!(f, "reading secret `{name}` from `{}`: it contains a NUL byte", path.display())
            }
            Problem::Name(name) => write!(f, "setting variable `{name}`: the name is not valid"),
            Problem::Nul(name) => write!(f, "setting variable `{name}`: its value contains a NUL byte"),
        }
    }
}

#[cfg(test)]
mod tests;
