//! Configurations of other tools: `foster migrate` prints what a person would have written, `foster check` accepts it, and a
//! run from it goes through the states that the fixture names.
//!
//! `tests/fixtures/migrate/NAME.txt` has the files (`--- path`), the commands that are stubs (`--- stubs`, each a puppet's
//! script) and the states (`--- states`); `NAME.toml` is what is printed. `UPDATE_EXPECT=1` writes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use expect_test::expect_file;

use crate::support::{Foster, Running, binary, repository, run};

/// The files of a fixture, each with its path.
fn parts(name: &str) -> Vec<(String, String)> {
    let path = repository().join("tests/fixtures/migrate").join(name).with_extension("txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parts = text.split("--- ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(path, text)| (path.trim().to_owned(), text.to_owned())).collect()
}

fn part<'p>(parts: &'p [(String, String)], name: &str) -> &'p str {
    parts.iter().find(|(path, _)| path == name).map_or("", |(_, text)| text)
}

/// What `foster migrate` prints for a fixture, in its folder.
fn printed(parts: &[(String, String)], folder: &Path) -> String {
    let mut target = None;
    for (path, text) in parts.iter().filter(|(path, _)| path != "stubs" && path != "states") {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("its folder");
        fs::write(&file, text).expect("a file");
        // A folder is given as a whole.
        let whole = ["units", "tree"].into_iter().find(|folder| path.starts_with(&format!("{folder}/")));
        target = target.or(Some(whole.unwrap_or(path.as_str())));
    }
    let mut command = Command::new(binary());
    command.arg("migrate").arg(target.expect("a file")).current_dir(folder);
    let finished = run(command).expect(0);
    assert_eq!(finished.stderr, "");
    finished.stdout
}

/// Migrates, compares, checks and runs a fixture.
fn migrates(name: &str) -> Running {
    let parts = parts(name);
    let folder = tempfile::tempdir().expect("a folder");
    let toml = printed(&parts, folder.path());
    let expected = repository().join("tests/fixtures/migrate").join(name).with_extension("toml");
    expect_file![expected].assert_eq(&toml);
    let mut foster = Foster::new().all_names().file("foster.toml", &toml);
    for (path, text) in &parts {
        match path.as_str() {
            "states" => {}
            "stubs" => {
                for (command, script) in text.lines().filter_map(|line| line.split_once(": ")) {
                    let path = format!("bin/{command}");
                    foster = foster.file(&path, &format!("#!/bin/sh\nexec puppet {script}\n"));
                    make_executable(&foster.folder().join(path));
                }
            }
            path => {
                foster = foster.file(path, text);
                if text.starts_with("#!") {
                    make_executable(&foster.folder().join(path));
                }
            }
        }
    }
    let mut check = Command::new(binary());
    fs::write(folder.path().join("foster.toml"), &toml).expect("a file");
    check.args(["check", "-c"]).arg(folder.path().join("foster.toml"));
    run(check).expect(0);
    let script = "cd /run; test ! -d tree || cp -a tree/. /; PATH=/run/bin:$PATH exec foster run";
    let running = foster.image().program("sh", &["-c", script]).start();
    for (program, state) in part(&parts, "states").lines().filter_map(|line| line.split_once(' ')) {
        running.wait_for_state(program, state);
    }
    running
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// What `foster migrate` says about a file that it refuses.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.arg("migrate").args(arguments).current_dir(folder);
    let finished = run(command).expect(2);
    assert_eq!(finished.stdout, "");
    finished.stderr
}

/// Each example of a document is a file and what `foster migrate` prints for it, without the comment at the top.
fn examples(page: &str, names: &[(&str, &str)]) -> usize {
    let text = fs::read_to_string(repository().join("docs").join(page)).expect("the document");
    let blocks: Vec<(&str, &str)> =
        text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect();
    let mut count = 0;
    for pair in blocks.windows(2) {
        let [(kind, source), ("toml", toml)] = pair else { continue };
        let Some((_, name)) = names.iter().find(|(known, _)| known == kind) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = vec![((*name).to_owned(), (*source).to_owned())];
        if let Some(folder) = name.strip_suffix("/run") {
            files.push((format!("{folder}/type"), "longrun\n".to_owned()));
            files.push((format!("{folder}/notification-fd"), "3\n".to_owned()));
            files.push((format!("{folder}/timeout-kill"), "8000\n".to_owned()));
        }
        let printed = printed(&files, folder.path());
        let printed = printed.split_once("\n\n").map_or("", |(_, rest)| rest);
        assert_eq!(printed, *toml, "{page}");
        count += 1;
    }
    count
}

#[test]
fn the_examples_of_the_documents_are_what_is_printed() {
    assert_eq!(examples("from-compose.md", &[("yaml", "compose.yaml"), ("procfile", "Procfile")]), 2);
    let run = "tree/etc/s6-overlay/s6-rc.d/web/run";
    assert_eq!(examples("from-s6-overlay.md", &[("execline", run)]), 1);
    assert_eq!(examples("from-systemd.md", &[("systemd", "shop.service")]), 1);
}

mod compose;
mod procfile;
mod s6;
mod systemd;
