//! A command in the form that execve(2) takes: arguments, environment, and every file that it might be.
//!
//! The files along PATH (`path_lookup.rs`) are tried one after the other; why none of them ran is found out afterwards.
//! All of it in the child, which may wait for a file system. Next: `child.rs`.

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

/// What execve(2) is called with.
#[derive(Debug)]
pub(super) struct Command<'a> {
    /// In the order in which they are tried.
    candidates: Vec<CString>,
    /// The name first.
    arguments: StringList<'static>,
    environment: StringList<'a>,
    name: String,
    search: Search,
}

impl<'a> Command<'a> {
    /// Lays out a command with its environment.
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

    /// Tries every file it might be. Returns only when none was executed.
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

    /// This candidate is there, and was not run.
    fn explain_refusal(&self, index: usize, errno: Errno) -> ExecProblem {
        let Some(file) = self.candidates.get(index).map(|file| path(file)) else {
            return ExecProblem::Refused(None, errno);
        };
        let is_found = matches!(self.search, Search::Path(_));
        match file.metadata() {
            Ok(metadata) if errno == Errno::EACCES && metadata.is_dir() && !is_found => {
                ExecProblem::Directory
            }
            // Else a directory above it, another user's permission or a mount without exec is in the way.
            Ok(metadata) if errno == Errno::EACCES && metadata.permissions().mode() & 0o111 == 0 => {
                ExecProblem::NotExecutable(file)
            }
            Ok(_) | Err(_) => ExecProblem::Refused(is_found.then_some(file), errno),
        }
    }

    /// No candidate could be refused: none is there, or one whose interpreter is not.
    fn explain_absence(&self, errno: Errno) -> ExecProblem {
        match (self.existing(), &self.search) {
            (Some(file), Search::Path(_)) => ExecProblem::NoInterpreter(file),
            (Some(file), Search::None) if errno == Errno::ENOENT => ExecProblem::NoInterpreter(file),
            (None, Search::Path(path)) => ExecProblem::NotFound { path: path.clone() },
            (_, Search::None) => ExecProblem::Refused(None, errno),
        }
    }

    /// The first candidate that is a file after all, seen from the working directory of the program.
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
    fn a_name_is_looked_for_along_path_and_a_path_is_not() {
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
