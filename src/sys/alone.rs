//! For tests of what belongs to a whole process: its children, its user, its limits, its descriptors.
//!
//! Tests share one process and run side by side in it; one that would reap another's child, or give up root for
//! all, runs once more in a process of its own, with nothing beside it.

use std::env;
use std::process::{Command, Output};

/// Set in the process of its own.
const ALONE: &str = "FOSTER_TEST_ALONE";

/// `None`: this is the process of its own, go on. Otherwise the test, by its whole name, has passed there; with
/// what was written meanwhile.
pub(crate) fn alone(test: &str) -> Option<Output> {
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let own = env::current_exe().unwrap();
    let output = Command::new(own).args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    Some(output)
}
