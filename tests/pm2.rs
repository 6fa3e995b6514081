//! PM2's ecosystem files: read, run and refused, with Node.
//!
//! `tests/fixtures/pm2/hostile` has files that cannot be read; `sessions.rs` runs others beside PM2. What differs from PM2 on purpose is in `docs/from-pm2.md`.

mod client;
mod migrated;
mod sessions;
mod updates;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Foster, Running, binary, found, free_port, get, matches, repository};

/// The most memory that reading a hostile file may take, with Node itself.
const MOST_KIB: u64 = 400 << 10;

fn fixture(name: &str) -> std::path::PathBuf {
    repository().join("tests/fixtures/pm2").join(name)
}

fn foster(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).arg(file).env_remove("FOSTER_SOCKET");
    command.output().expect("foster")
}

/// The peak of the memory of foster and its children, and what it said.
fn measured(arguments: &[&str], file: &Path) -> Option<(u64, String)> {
    found("node")?;
    let python = found("python3")?;
    let code = "import resource, subprocess, sys\n\
                done = subprocess.run(sys.argv[1:], capture_output=True, text=True, errors='replace')\n\
                print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode)\n\
                print(done.stdout, done.stderr)";
    let output = Command::new(python).args(["-c", code]).arg(binary()).args(arguments).arg(file).output();
    let text = String::from_utf8_lossy(&output.expect("python3").stdout).into_owned();
    let (first, said) = text.split_once('\n').expect("a line");
    let (peak, status) = first.split_once(' ').expect("two numbers");
    assert_eq!(status, "2", "{text}");
    Some((peak.parse().expect("a number"), said.to_owned()))
}

#[test]
fn a_hostile_file_is_an_error_and_nothing_is_started() {
    for (name, expected) in [
        ("endless.config.js", "this file did not end within 4 s"),
        ("waiting.config.mjs", "this file did not end within 4 s"),
        ("gigabyte.config.js", "this file printed more than 4 MiB"),
        ("exits.config.js", r"this file ended before its exports were read \(exit status: 0\)"),
        ("nothing.config.js", "this file has no apps"),
        ("function.config.js", "this file exports a function, and not its apps"),
        ("promise.config.cjs", "this file exports a promise, and not its apps"),
        // Its heap is full, or its time is over.
        ("bomb.config.js", "this file (ended before its exports were read|did not end within 4 s)"),
        ("deep.json", "values are nested too deeply"),
    ] {
        let marker = fixture("hostile").join(name).with_extension("started");
        for arguments in [["check", "-c"], ["run", "-c"]] {
            let Some((peak, said)) = measured(&arguments, &fixture("hostile").join(name)) else { return };
            assert!(matches(&said, expected), "{name}: {said}");
            assert!(peak < MOST_KIB, "{name}: {peak} KiB");
        }
        assert!(!marker.exists(), "{name}");
    }
}

#[test]
fn a_mistake_in_javascript_has_its_line() {
    if found("node").is_none() {
        return;
    }
    for (name, line, message) in [
        ("throws.config.js", "throws.config.js:3:", "this file cannot be run: Error: no DATABASE_URL"),
        ("syntax.config.js", "syntax.config.js:4:", "this file cannot be run: SyntaxError"),
    ] {
        let output = foster(&["check", "-c"], &fixture("hostile").join(name));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(line) && said.contains(message), "{name}: {said}");
    }
}

#[test]
fn without_node_a_file_of_javascript_names_the_remedy() {
    let output = Command::new(binary())
        .args(["check", "-c"])
        .arg(fixture("hostile/throws.config.js"))
        .env("PATH", "/nowhere")
        .output();
    let said = String::from_utf8_lossy(&output.expect("foster").stderr).into_owned();
    assert!(
        said.contains("there is no `node` in PATH") && said.contains("write the configuration as JSON"),
        "{said}"
    );
}

#[test]
fn commonjs_and_modules_are_read_and_what_they_print_is_no_part_of_it() {
    if found("node").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        (
            "a.config.js",
            "console.log('{}'); module.exports = { apps: [{ script: 'x.js', args: process.cwd() }] };",
        ),
        ("a.config.cjs", "console.error('\\x1e'); exports.apps = [{ script: 'x.js' }];"),
        (
            "a.config.mjs",
            "import os from 'node:os'; export default { apps: [{ script: 'x.js', env: { N: os.EOL } }] };",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        let output = foster(&["check", "-c"], &path);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("1 program"), "{name}: {output:?}");
    }
}

/// An app in a new folder, under foster as PID 1.
fn running(script: &str, apps: &str) -> Option<Running> {
    found("node")?;
    let foster = Foster::new()
        .file("app.js", script)
        .file("ecosystem.config.js", &format!("module.exports = {{ apps: [{apps}] }};"));
    let config = foster.folder().join("ecosystem.config.js").display().to_string();
    let path = std::env::var("PATH").expect("PATH");
    let socket = foster.folder().join("foster.sock").display().to_string();
    Some(foster.env("PATH", &path).env("FOSTER_SOCKET", &socket).arguments(&["run", "-c", &config]).start())
}

fn row(foster: &Running, name: &str) -> Value {
    foster.rows().into_iter().find(|row| row["label"] == name).unwrap_or(Value::Null)
}

#[test]
fn a_message_of_node_makes_a_program_ready() {
    let script = "process.send({ hello: 1 }); process.send('already'); setTimeout(() => { process.send('ready'); \
                  process.send('x'.repeat(100000)); setTimeout(() => console.log('still here'), 200); }, 300); setInterval(() => {}, 1000);";
    let app = "{ name: 'app', cwd: __dirname, script: 'app.js', wait_ready: true, listen_timeout: 20000 }";
    let Some(foster) = running(script, app) else { return };
    foster.wait_for_line("still here");
    assert_eq!(row(&foster, "app")["ready"], true);
    assert_eq!(row(&foster, "app")["restarts"], 0);
}

#[test]
fn processes_in_cluster_mode_share_a_port_that_stays_open() {
    let port = free_port();
    let script = "require('http').createServer((request, answer) => answer.end(String(process.pid)))\
                  .listen(process.env.PORT, () => console.log('listening'));";
    let app =
        format!("{{ name: 'web', cwd: __dirname, script: 'app.js', instances: 2, env: {{ PORT: {port} }} }}");
    let Some(foster) = running(script, &app) else { return };
    foster.wait_for_line(r"web.0 +\| listening");
    foster.wait_for_line(r"web.1 +\| listening");
    let servers: Vec<_> = foster.rows().iter().map(|row| row["pid"].clone()).collect();
    let outside = foster.processes();
    let servers: Vec<i32> =
        outside.iter().filter(|one| servers.contains(&one.inner_pid.into())).map(|one| one.pid).collect();
    assert_eq!(servers.len(), 2, "{outside:?}");
    for server in servers {
        kill(Pid::from_raw(server), Signal::SIGKILL).expect("a kill");
    }
    // Both are down or on their way: the connection waits in the backlog.
    let (status, body) = get(port, "/").expect("an answer");
    assert!(status == 200 && body.trim().parse::<i32>().is_ok(), "{body}");
}

#[test]
fn the_configurations_of_the_document_pass_the_check() {
    if found("node").is_none() {
        return;
    }
    let page = fs::read_to_string(repository().join("docs/from-pm2.md")).expect("the document");
    let mut count = 0;
    for (kind, name) in [("js", "ecosystem.config.js"), ("toml", "foster.toml")] {
        for block in page.split(&format!("```{kind}\n")).skip(1) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            fs::write(&path, block.split("```").next().expect("an end")).expect("a file");
            let check = foster(&["check", "-c"], &path);
            let shown = String::from_utf8_lossy(&check.stdout);
            assert!(check.status.success() && !shown.contains("warning"), "{shown}{check:?}");
            count += 1;
        }
    }
    assert_eq!(count, 2);
}
