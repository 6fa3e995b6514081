//! Twenty configurations of the kinds that public images have, and all thirty as `foster migrate` prints them.
//!
//! They run side by side, four at a time, because most of the time each waits for a second of supervisord's.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Session, foster_session, same_session_of};
use crate::support::{binary, repository};

const AT_A_TIME: usize = 4;

fn configurations(folder: &str) -> Vec<PathBuf> {
    let listing = fs::read_dir(repository().join(folder)).expect("a folder");
    let mut all: Vec<PathBuf> = listing.map(|entry| entry.expect("an entry").path()).collect();
    all.retain(|path| path.extension().is_some_and(|kind| kind == "conf"));
    all.sort();
    all
}

/// Calls `each` for all of these, some at a time, and returns what was wrong.
fn side_by_side(all: &[PathBuf], each: impl Fn(&PathBuf) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(each(path).err().map(|why| format!("{}: {why}", path.display())));
        }
        wrong
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    })
}

#[test]
fn configurations_as_in_public_images_behave_as_under_supervisord() {
    let all = configurations("tests/fixtures/supervisord/images");
    assert_eq!(all.len(), 20);
    let wrong = side_by_side(&all, same_session_of);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The states without names, which migrating changes: a group is no part of them.
fn states(session: &Session) -> Vec<String> {
    let mut states: Vec<String> = session.settled().into_iter().map(|(_, state)| state).collect();
    states.sort();
    states
}

#[test]
fn what_migrate_prints_passes_the_check_and_reaches_the_same_states() {
    let mut all = configurations("tests/fixtures/supervisord/images");
    all.extend(configurations("tests/fixtures/supervisord"));
    assert_eq!(all.len(), 30);
    let wrong = side_by_side(&all, |config| {
        let folder = tempfile::tempdir().expect("a folder");
        let foster = |arguments: &[&str], config: &PathBuf| {
            let mut command = Command::new(binary());
            command.args(arguments).arg(config).env("DIR", folder.path()).env("OUTER", "from outside");
            command.stdin(Stdio::null()).output().expect("foster")
        };
        let printed = foster(&["migrate"], config);
        let path = folder.path().join("foster.toml");
        let text = String::from_utf8_lossy(&printed.stdout);
        let text = text.replacen("[foster]\n", "[foster]\nsocket = \"${FOSTER_SOCKET:-}\"\n", 1);
        fs::write(&path, text).expect("a file");
        let check = foster(&["check", "-c"], &path);
        if !check.status.success() {
            return Err(format!(
                "{}{}",
                String::from_utf8_lossy(&check.stderr),
                String::from_utf8_lossy(&printed.stdout)
            ));
        }
        let script = fs::read_to_string(config).expect("a configuration");
        let first = script.lines().find_map(|line| line.strip_prefix(";= ")).expect("the first states");
        let mut wanted: Vec<String> =
            first.split(", ").filter_map(|row| row.rsplit(' ').next().map(str::to_owned)).collect();
        // The broker of events has its own row there.
        wanted.extend(script.contains("[eventlistener:").then(|| "RUNNING".to_owned()));
        wanted.sort();
        let session = foster_session(&path);
        session.wait_for(|| states(&session) == wanted);
        Ok(())
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
