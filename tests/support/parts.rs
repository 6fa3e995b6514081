//! Programs that a test needs and that may not be installed: a failure in CI, a printed skip elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::repository;

/// The path of this program, if it is installed.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").expect("PATH");
    // Debian's servers are in folders that an ordinary user's PATH does not have.
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let place = places.map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    present_or_skipped(place, program)
}

/// A Python with this module: the one that `.ci/run` makes, or the machine's.
pub(crate) fn python_with(module: &str) -> Option<String> {
    let made = repository().join("target/python/bin/python3");
    let has = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", &format!("import {module}")]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let python = [made, PathBuf::from("python3")].into_iter().find(has);
    Some(present_or_skipped(python, &format!("Python with `{module}`"))?.display().to_string())
}

/// Whether PID and mount namespaces can be created, which needs root.
pub(crate) fn may_make_namespaces() -> bool {
    let root = nix::unistd::geteuid().is_root().then_some(());
    present_or_skipped(root, "root, to be PID 1 of a namespace").is_some()
}

/// Returns the program; a missing one is a failure in CI and a printed skip elsewhere.
pub(crate) fn present_or_skipped<T>(part: Option<T>, name: &str) -> Option<T> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if part.is_none() {
        assert!(!in_ci, "CI must have {name}");
        eprintln!("skipped: needs {name}");
    }
    part
}
