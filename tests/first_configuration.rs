//! `foster init`: the newcomer's first minute, with a real application.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;

use crate::support::{End, Foster, binary, found, free_port};

fn init(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("init").args(arguments).current_dir(folder).output().expect("foster")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_node_application_is_found_checked_and_run() {
    if found("node").is_none() {
        return;
    }
    let port = free_port();
    let server = format!(
        "require('http').createServer((_, reply) => reply.end('hello')).listen({port}, '127.0.0.1', () => console.log('up'))\n"
    );
    let foster = Foster::new();
    let application = foster.folder().join("application");
    fs::create_dir(&application).expect("a folder");
    fs::write(application.join("package.json"), r#"{"scripts":{"start":"node server.js"}}"#).expect("a file");
    fs::write(application.join("server.js"), server).expect("a file");

    let written = init(&application, &["../written.toml"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    assert!(text(&written.stdout).contains("node: `"), "{}", text(&written.stdout));
    let config = fs::read_to_string(foster.folder().join("written.toml")).expect("a configuration");
    assert!(config.contains(&format!("ready = {{ tcp = \"127.0.0.1:{port}\" }}")), "{config}");

    let checked = Command::new(binary())
        .args(["check", "--here", "../written.toml"])
        .current_dir(&application)
        .output()
        .expect("foster");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));

    let mut foster = foster.config(&config).start();
    foster.wait_for_state("node", "running");
    foster.signal(Signal::SIGTERM);
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn an_existing_file_stays_and_a_dash_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("Procfile"), "web: sleep 1000\n").expect("a file");
    let printed = init(folder.path(), &["-"]);
    assert_eq!(printed.status.code(), Some(0));
    assert!(text(&printed.stdout).contains("[program.web]\ncommand = [\"sleep\", \"1000\"]"));
    assert!(!folder.path().join("foster.toml").exists());

    assert_eq!(init(folder.path(), &[]).status.code(), Some(0));
    let first = fs::read(folder.path().join("foster.toml")).expect("a configuration");
    fs::write(folder.path().join("Procfile"), "other: sleep 1\n").expect("a file");
    let refused = init(folder.path(), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        text(&refused.stderr),
        "foster: `foster.toml` exists and is not overwritten: name another file, or print it with `foster init -`\n"
    );
    assert_eq!(fs::read(folder.path().join("foster.toml")).expect("a configuration"), first);
}

#[test]
fn a_folder_that_cannot_be_written_and_arguments_too_many_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("Procfile"), "web: sleep 1000\n").expect("a file");
    let refused = init(folder.path(), &["missing/foster.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        text(&refused.stderr),
        "foster: cannot write `missing/foster.toml`: No such file or directory\n"
    );
    assert_eq!(init(folder.path(), &["a", "b"]).status.code(), Some(2));
}
