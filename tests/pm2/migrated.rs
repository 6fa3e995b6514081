//! Each ecosystem file of `sessions.rs` run by foster as it is, and from the TOML that `foster migrate` prints for it: the same
//! reports of its processes, states, restarts, ports and exit statuses. `sessions.rs` compares the first with PM2.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::fixture;
use super::sessions::{Script, Session, links};
use crate::support::{binary, found, get, repository};

/// Starts foster with what `foster migrate` prints for this file.
fn start_migrated(programs: &Path, name: &str, options: &[String]) -> Session {
    let (folder, port) = Session::place();
    let mut migrate = Command::new(binary());
    migrate.args(["migrate", name]);
    for pair in options.chunks(2) {
        let [option, value] = pair else { panic!("{options:?}") };
        let variable = if option == "--env" { "FOSTER_PM2_ENV" } else { "FOSTER_PM2_ONLY" };
        migrate.env(variable, value);
    }
    Session::surround(&mut migrate, folder.path(), port);
    let printed = migrate.output().expect("foster");
    assert!(printed.status.success(), "{name}: {printed:?}");
    let toml = String::from_utf8(printed.stdout).expect("UTF-8");
    // The place of the file in an image.
    let listen = repository().join("deploy/node/foster-listen.cjs");
    let toml = toml.replace("/usr/local/lib/foster-listen.cjs", listen.to_str().expect("UTF-8"));
    // Where the session's client looks.
    let socket = folder.path().join("foster.sock");
    let toml = toml.replacen("[foster]\n", &format!("[foster]\nsocket = \"{}\"\n", socket.display()), 1);
    let path = folder.path().join("foster.toml");
    fs::write(&path, toml).expect("a file");
    let mut check = Command::new(binary());
    check.args(["check", "-c"]).arg(&path);
    Session::surround(&mut check, folder.path(), port);
    let checked = check.output().expect("foster");
    assert!(checked.status.success(), "{name}: {checked:?}");
    let mut command = Command::new(binary());
    command.args(["run", "-c"]).arg(&path);
    Session::launch(command, programs, folder, port)
}

/// What a run shows: the reports of its processes, its states, what answers at its port, and its end.
fn shown(mut session: Session, script: &Script) -> Vec<String> {
    let mut seen = Vec::new();
    if script.ends.is_none() {
        session.reach(&script.states);
        session.wait_for_reports(&script.states);
        seen.push(session.states());
        if script.answers.is_some() {
            seen.push(format!("{:?}", get(session.port, "/")));
        }
        let status = session.stop();
        seen.push(format!("exit status {status:?}"));
    } else {
        let status = session.end();
        seen.push(format!("exit status {status:?}"));
    }
    seen.extend(session.report());
    seen
}

#[test]
fn a_run_from_the_migrated_file_is_the_same() {
    if found("node").is_none() || found("python3").is_none() {
        return;
    }
    let programs = links();
    let mut count = 0;
    for entry in fs::read_dir(fixture("run")).expect("a listing") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if name == "users.config.js" && !nix::unistd::geteuid().is_root() {
            continue;
        }
        let script = Script::of(&fixture("run").join(&name));
        let (direct, migrated) = std::thread::scope(|scope| {
            let direct = scope.spawn(|| {
                let session = Session::start(programs.path(), &["start", &name], &script.options);
                shown(session, &script)
            });
            let migrated = shown(start_migrated(programs.path(), &name, &script.options), &script);
            (direct.join().expect("a run"), migrated)
        });
        assert!(!direct.is_empty());
        assert_eq!(migrated, direct, "{name}");
        count += 1;
    }
    assert!(count >= 16, "{count}");
}
