//! Configurations in a temporary folder, and the remarks about them.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::{Environment, load_and_examine};

use super::examine;

/// The output of `check --here`, without the folder's name.
fn report(folder: &Path, text: &str) -> String {
    let path = folder.join("foster.toml");
    let text = text.replace("DIR", &folder.display().to_string());
    fs::write(&path, format!("[foster]\nsocket = ''\n[program.app]\n{text}\n")).expect("a file");
    let outcome = match load_and_examine(&path, &Environment::default(), examine) {
        Ok(plan) => plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(report) => report.to_string(),
    };
    outcome.replace(&folder.display().to_string(), "DIR")
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_working_configuration_has_no_remarks() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("run.sh"), "#!/bin/sh\n", 0o755);
    write(&folder.path().join(".env"), "", 0o600);
    for text in [
        "command = ['sh', '-c', 'exit']",
        "command = ['DIR/run.sh']\ndirectory = 'DIR'",
        "command = ['./run.sh']\ndirectory = 'DIR'\nenv_file = ['DIR/.env', '-/missing']",
        "command = 'sh'\nstdout = { file = 'DIR/app.log' }\nready = { exec = ['true'] }",
        "command = ['run.sh']\nenvironment = { PATH = 'DIR' }",
    ] {
        assert_eq!(report(folder.path(), text), "", "{text}");
    }
}

#[test]
fn each_mistake_is_reported_at_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("worker.py"), "#!/usr/bin/python3\n", 0o644);
    write(&folder.path().join("broken"), "#!/no/such/interpreter -x\n", 0o755);
    write(&folder.path().join("windows.sh"), "#!/bin/sh\r\n", 0o755);
    for (text, place, message) in [
        ("command = ['gunicornn']", ":4:11: error: ", "`gunicornn` is not in PATH"),
        ("command = ['./worker.py']\ndirectory = 'DIR'", ":4:11: error: ", "worker.py` is not executable"),
        ("command = ['DIR/none']", ":4:11: error: ", "`DIR/none` does not exist"),
        ("command = ['DIR/broken']", ":4:11: error: ", "the interpreter `/no/such/interpreter` of"),
        ("command = ['DIR/windows.sh']", ":4:11: error: ", "the interpreter `/bin/sh` of"),
        ("command = 'sh'\nuser = 'appp'", ":5:8: error: ", "appp"),
        ("command = 'sh'\ndirectory = 'DIR/none'", ":5:13: error: ", "cannot enter `DIR/none`: No such file"),
        ("command = 'sh'\ndirectory = 'DIR/broken'", ":5:13: error: ", "`DIR/broken` is not a directory"),
        ("command = 'sh'\nenv_file = '/app/none.env'", ":5:12: error: ", "cannot read `/app/none.env`"),
        ("command = 'sh'\nstdout = { file = 'DIR/none/app.log' }", ":5:10: error: ", "the folder `DIR/none`"),
        (
            "command = 'sh'\npre_start = 'no-such-command'",
            ":5:13: error: ",
            "`no-such-command` is not in PATH",
        ),
        (
            "command = 'sh'\nready = { exec = ['no-such-probe'] }",
            ":5:9: error: ",
            "`no-such-probe` is not in",
        ),
        ("command = 'sh'\nsecrets = { KEY = '/none' }", ":5:11: ", "cannot read the secret `KEY` at `/none`"),
    ] {
        let report = report(folder.path(), text);
        assert!(report.contains(&format!("DIR/foster.toml{place}")), "{text}\n{report}");
        assert!(report.contains(message), "{text}\n{report}");
        assert!(!report.contains(": 2 errors"), "{text}\n{report}");
    }
}

#[test]
fn an_interpreter_below_a_folder_that_the_user_cannot_enter_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    write(&closed.join("python3"), "", 0o755);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("its mode");
    write(&folder.path().join("app"), &format!("#!{}/python3\n", closed.display()), 0o755);
    let found = report(folder.path(), "command = ['DIR/app']\nuser = '65534'");
    let message = "the interpreter `DIR/closed/python3` of `DIR/app` is in a folder that the program's user cannot enter";
    assert!(found.contains(message), "{found}");
    // Also where the path has another folder, as in a virtual environment.
    std::os::unix::fs::symlink(closed.join("python3"), folder.path().join("python3")).expect("a link");
    let found = report(folder.path(), "command = ['DIR/python3']\nuser = '65534'");
    assert!(found.contains("cannot enter `DIR/closed`: install it elsewhere"), "{found}");
}

#[test]
fn a_port_in_use_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let text = format!("command = 'sh'\nready = {{ tcp = '{address}' }}");
    assert!(
        report(folder.path(), &text).contains(&format!("`{address}`, at which `app` must listen, is in use"))
    );
    drop(listener);
    assert_eq!(report(folder.path(), &text), "");
}

#[test]
fn nginx_without_daemon_off_is_found_in_nginx_conf() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("nginx"), "#!/bin/sh\n", 0o755);
    write(&folder.path().join("on.conf"), "events {}\n# daemon off;\n", 0o644);
    write(&folder.path().join("off.conf"), "daemon  off;\nevents {}\n", 0o644);
    let with = |name: &str| report(folder.path(), &format!("command = ['DIR/nginx', '-c', 'DIR/{name}']"));
    assert!(with("on.conf").contains("goes into the background: `DIR/on.conf` has no `daemon off;`"));
    assert_eq!(with("off.conf"), "");
}
