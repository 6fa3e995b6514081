//! A command for execve(2): arguments, environment, and the candidate files.
//!
//! The candidates in PATH (`path_lookup.rs`) are tried in order; the reason for a failure is determined afterwards. This
//! runs in the child, because a file system may block. Next: `child.rs`.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::spawn::environment::Environment;
use crate::spawn::failure::{ExecProblem, Failure};
use crate::spawn::path_lookup::{self, Refusal, Search};
use crate::sys::fork::InChild;
use crate::sys::in_child::StringList;

/// The arguments of execve(2).
#[derive(Debug)]
pub(super) struct Command<'a> {
    /// The files to try, in order.
    candidates: Vec<CString>,
    /// The arguments, starting with the name.
    arguments: StringList<'static>,
    environment: StringList<'a>,
    name: String,
    search: Search,
}

impl<'a> Command<'a> {
    /// Prepares a command with its environment.
    pub(super) fn new<S: AsRef<OsStr>>(
        command: &[S],
        environment: Environment<'a>,
    ) -> Result<Command<'a>, Failure> {
        let file = command.first().map(AsRef::as_ref).unwrap_or_default();
        let name = file.to_string_lossy().into_owned();
        let nul = |_| Failure::Exec(name.clone(), ExecProblem::Nul);
        let argument = |argument: &S| CString::new(argument.as_ref().as_bytes()).map(Cow::Owned);
        let arguments: Result<Vec<_>, _> = command.iter().map(argument).collect();
        let arguments = arguments.map_err(nul)?;
        let search = Search::of(file, environment.get("PATH"));
        let candidates = search.candidates(file).map_err(nul)?;
        Ok(Command {
            candidates,
            arguments: StringList::new(arguments),
            environment: StringList::new(environment.into_strings()),
            name,
            search,
        })
    }

    /// Tries every candidate. Returns only if none was executed.
    pub(super) fn execute(&self, child: &InChild) -> Failure {
        let Refusal { candidate, errno } = path_lookup::try_each(&self.candidates, |file| {
            child.execute(file, &self.arguments, &self.environment)
        });
        let problem = match (errno, candidate) {
            (Errno::E2BIG, _) => ExecProblem::TooLong(self.arguments.size() + self.environment.size()),
            (Errno::ENOEXEC, _) => ExecProblem::NoFormat,
            (errno, Some(index)) => self.explain_refusal(index, errno),
            (errno, None) => self.explain_absence(errno),
        };
        Failure::Exec(self.name.clone(), problem)
    }

    /// The reason why this existing candidate was not executed.
    fn explain_refusal(&self, index: usize, errno: Errno) -> ExecProblem {
        let Some(file) = self.candidates.get(index).map(|file| path(file)) else {
            return ExecProblem::Refused(None, errno);
        };
        let is_found = matches!(self.search, Search::Path(_));
        match file.metadata() {
            Ok(metadata) if errno == Errno::EACCES && metadata.is_dir() && !is_found => {
                ExecProblem::Directory
            }
            // Otherwise a directory, the file's permissions or a noexec mount is the cause.
            Ok(metadata) if errno == Errno::EACCES && metadata.permissions().mode() & 0o111 == 0 => {
                ExecProblem::NotExecutable(file)
            }
            Ok(_) | Err(_) => ExecProblem::Refused(is_found.then_some(file), errno),
        }
    }

    /// The reason why no candidate was found: none exists, or the interpreter of one is missing.
    fn explain_absence(&self, errno: Errno) -> ExecProblem {
        match (self.existing(), &self.search) {
            (Some(file), Search::Path(_)) => ExecProblem::NoInterpreter(file),
            (Some(file), Search::None) if errno == Errno::ENOENT => ExecProblem::NoInterpreter(file),
            (None, Search::Path(path)) => ExecProblem::NotFound { path: path.clone() },
            (_, Search::None) => ExecProblem::Refused(None, errno),
        }
    }

    /// The first candidate that exists, relative to the program's working directory.
    fn existing(&self) -> Option<PathBuf> {
        self.candidates.iter().map(|file| path(file)).find(|file| file.is_file())
    }
}

fn path(file: &CStr) -> PathBuf {
    PathBuf::from(OsString::from_vec(file.to_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Launch;
    use crate::spawn::environment::Variables;

    fn candidates(name: &str, path: Option<&str>) -> Vec<String> {
        let inherited = path.map(|path| (OsString::from("PATH"), OsString::from(path)));
        let inherited = Variables::new(inherited.into_iter());
        let environment = Environment::build(&Launch::default(), &inherited, None, &[]).unwrap();
        let command = Command::new(&[name.to_owned()], environment).unwrap();
        command.candidates.into_iter().map(|file| file.into_string().unwrap()).collect()
    }

    #[test]
    fn a_name_is_searched_in_path_and_a_path_is_not() {
        assert_eq!(candidates("x", Some("/a:/b/")), ["/a/x", "/b//x"]);
        assert_eq!(candidates("x", Some(":/a:")), ["./x", "/a/x", "./x"]);
        assert_eq!(candidates("x", Some("")), ["./x"]);
        assert_eq!(candidates("x", None).last().unwrap(), "/bin/x");
        assert_eq!(candidates("./x", Some("/a")), ["./x"]);
        assert_eq!(candidates("", Some("/a")), [""]);
    }

    #[test]
    fn an_argument_with_a_nul_is_refused() {
        let command = ["x".to_owned(), "a\0b".to_owned()];
        let failure = Command::new(&command, Environment::default()).unwrap_err();
        assert_eq!(failure.to_string(), "running `x`: an argument contains a NUL byte");
    }
}
