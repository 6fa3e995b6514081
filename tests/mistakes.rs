//! The mistakes of a newcomer, each with the whole of what foster says about it: `tests/fixtures/newcomer`.
//!
//! The first line of a configuration says what is done with it: `check`, `check --here`, or `run` to its end. Read each
//! expected text aloud: it says what is wrong and what to do. `UPDATE_EXPECT=1` writes it.

use std::fs;
use std::path::PathBuf;

use expect_test::expect_file;
use nix::sys::signal::Signal;
use regex_lite::Regex;

use crate::support::{Foster, free_port, may_make_namespaces, repository};

/// How a mistake in a running container is provoked: three attempts, and what a text needs beside it.
const RUN: &str = "\n[defaults]\nstart_limit = 2\nbackoff = { initial = '1ms', max = '1ms' }\n[foster]\n";

/// What is different in each run: numbers of processes, times, folders.
fn settled(text: &str, folder: &str, port: &str) -> String {
    let text = text.replace(folder, "/FOLDER").replace(port, "PORT");
    let mut text = text;
    for (pattern, instead) in [
        (r"\(pid \d+", "(pid N"),
        (r"@foster-\d+-\d+", "@foster-UID-NAMESPACE"),
        (r"after \d[\d.]*(ms|s)", "after TIME"),
        (r"restart in \d[\d.]*(ms|s)", "restart in TIME"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, instead).into_owned();
    }
    text
}

#[test]
fn each_mistake_of_a_newcomer_has_its_whole_message() {
    if !may_make_namespaces() {
        return;
    }
    let folder = repository().join("tests/fixtures/newcomer");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("fixtures").flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert_eq!(paths.len(), 25);
    for path in paths {
        let text = fs::read_to_string(&path).expect("a configuration");
        let how = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("what is done with it");
        let port = free_port().to_string();
        let config = text.replace("@PORT@", &port);
        let foster = Foster::new().file("worker.py", "#!/usr/bin/python3\n");
        let here = foster.folder().display().to_string();
        let said = match how {
            "run" => run(foster.config(&format!("{config}{RUN}")), &config),
            check => {
                let mut arguments: Vec<&str> = check.split(' ').collect();
                arguments.extend(["-c", "foster.toml"]);
                foster.config(&config).finish(&arguments).text()
            }
        };
        expect_file![path.with_extension("expected")].assert_eq(&settled(&said, &here, &port));
    }
}

/// The log of a container to its end.
fn run(foster: Foster, config: &str) -> String {
    // As `docker run --user`, where the mistake needs that.
    let foster = if config.contains("user = \"daemon\"") { foster.uid(12345) } else { foster };
    let mut foster = foster.start();
    if config.contains("ignore:TERM") {
        foster.wait_for_state("worker", "running");
        foster.signal(Signal::SIGTERM);
    }
    foster.wait_exit();
    foster.output().stderr()
}
