//! foster called `pm2`: what its verbs print and do, in words that scripts rely on.
//!
//! `sessions.rs` compares the effects of verbs with those of PM2.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::sessions::{Session, both, links};
use super::{row, running};
use crate::support::{Running, found, free_port};

/// `pm2` beside this foster.
struct Pm2<'f> {
    foster: &'f Running,
    programs: tempfile::TempDir,
}

impl Pm2<'_> {
    fn new(foster: &Running) -> Pm2<'_> {
        Pm2 { foster, programs: links() }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(self.programs.path().join("pm2"));
        command.args(words.split_whitespace()).env("FOSTER_SOCKET", self.foster.path("foster.sock"));
        command
    }

    #[track_caller]
    fn prints(&self, words: &str, status: i32) -> String {
        let output = self.command(words).output().expect("pm2");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{words}: {text}");
        text
    }
}

/// A client that is killed when this is dropped.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const TALKER: &str = "console.log('out 1'); console.error('err 1'); let count = 1; \
                      process.on('SIGUSR2', () => console.log(`signal ${++count}`)); setInterval(() => {}, 1000); \
                      console.log('x'.repeat(10000) + ' end');";

#[test]
fn logs_are_shown_followed_and_left_raw() {
    let apps = "{ name: 'talker', cwd: __dirname, script: 'app.js' }, { name: 'other', cwd: __dirname, script: 'app.js' }";
    let Some(foster) = running(TALKER, apps) else { return };
    foster.wait_for_line(r"talker +\| .*x end");
    foster.wait_for_line(r"other +\| .*x end");
    foster.wait_for_line(r"talker +\| err 1");
    let pm2 = Pm2::new(&foster);
    let both = pm2.prints("logs --nostream --lines 50", 0);
    assert!(both.contains("0|talker | out 1\n") && both.contains("1|other | out 1\n"), "{both}");
    let named = pm2.prints("logs talker --nostream --lines=50", 0);
    assert!(named.contains("0|talker | out 1\n") && !named.contains("other"), "{named}");
    let err = pm2.prints("logs 0 --nostream --err", 0);
    assert_eq!(err, "0|talker | err 1\n");
    let raw = pm2.prints("logs talker --raw --nostream --out --lines 50", 0);
    let shape: Vec<(usize, &str)> = raw
        .lines()
        .map(|line| (line.len(), line.get(line.len().saturating_sub(5)..).unwrap_or("")))
        .collect();
    assert_eq!(shape, [(5, "out 1"), (10_004, "x end")]);
    assert!(pm2.prints("logs nothing --nostream", 1).contains("nothing not found"));

    let mut follower = pm2.command("logs talker --lines 0");
    let mut follower = Client(follower.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("pm2"));
    let mut lines = BufReader::new(follower.0.stdout.take().expect("a pipe"));
    // It may not have asked yet: a line comes for each signal.
    let mut line = String::new();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| lines.read_line(&mut line).map(|_| ()));
        foster.wait_for("a line that follows", || {
            pm2.prints("sendSignal SIGUSR2 talker", 0);
            read.is_finished()
        });
    });
    assert!(line.starts_with("0|talker | signal "), "{line}");
    assert!(pm2.prints("sendSignal SIGNOTHING talker", 1).contains("SIGNOTHING"));
}

#[test]
fn apps_are_described_scaled_and_deleted() {
    let script = "console.log(`number ${process.env.NODE_APP_INSTANCE}`); setInterval(() => {}, 1000);";
    let apps = "{ name: 'pool', cwd: __dirname, script: 'app.js', instances: 2, exec_mode: 'fork' }, \
                { name: 'other', cwd: __dirname, script: 'app.js' }";
    let Some(foster) = running(script, apps) else { return };
    foster.wait_for_state("pool", "running");
    foster.wait_for_line(r"pool.1 +\| number 1");
    let pm2 = Pm2::new(&foster);
    let described = pm2.prints("describe pool", 0);
    assert!(described.contains("Describing process with id 0 - name pool"), "{described}");
    assert!(described.contains(&format!("pid        {}", row(&foster, "pool.0")["pid"])), "{described}");
    pm2.prints("scale pool +1", 0);
    foster.wait_for_line(r"pool.2 +\| number 2");
    pm2.prints("scale pool 1", 0);
    foster.wait_for("one process is left", || {
        foster.rows().iter().filter(|row| row["name"] == "pool").count() == 1
    });
    assert!(pm2.prints("scale pool many", 1).contains("many"));
    let deleted = pm2.prints("delete pool", 0);
    assert!(deleted.contains("is removed from the configuration; here it is stopped"), "{deleted}");
    assert_eq!(foster.row("pool").expect("a row")["state"], "stopped");
    assert_eq!(row(&foster, "other")["state"], "running");
    let ids = pm2.prints("id other", 0);
    assert!(ids.starts_with("[ ") && ids.trim_end().ends_with(" ]"), "{ids}");
}

#[test]
fn a_reload_under_load_fails_no_request() {
    let Some(wrk) = found("wrk") else { return };
    let port = free_port();
    let script = "require('http').createServer((request, answer) => answer.end('x'))\
                  .listen(process.env.PORT, () => console.log('listening'));";
    let app =
        format!("{{ name: 'web', cwd: __dirname, script: 'app.js', instances: 2, env: {{ PORT: {port} }} }}");
    let Some(foster) = running(script, &app) else { return };
    foster.wait_for_line(r"web.0 +\| listening");
    foster.wait_for_line(r"web.1 +\| listening");
    let mut load = Command::new(wrk);
    load.args(["-t2", "-c20", "-d1h", "--timeout", "60s", "-H", "Connection: close"]);
    load.arg(format!("http://127.0.0.1:{port}/")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut load = Client(load.spawn().expect("wrk"));
    let pm2 = Pm2::new(&foster);
    let pids = |foster: &Running| -> Vec<Value> {
        ["web.0", "web.1"].map(|name| row(foster, name)["pid"].clone()).to_vec()
    };
    for _ in 0..3 {
        let before = pids(&foster);
        pm2.prints("reload web", 0);
        let after = pids(&foster);
        assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    }
    assert_eq!(load.0.try_wait().expect("wrk"), None);
    let pid = nix::unistd::Pid::from_raw(load.0.id().try_into().expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("wrk");
    let mut report = String::new();
    std::io::Read::read_to_string(&mut load.0.stdout.take().expect("a pipe"), &mut report).expect("text");
    assert!(report.contains("requests in ") && !report.contains(" 0 requests in "), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
}

/// The kind of a field that scripts read.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[test]
fn the_fields_of_jlist_that_scripts_read_are_those_of_pm2() {
    const FIELDS: [&str; 17] = [
        "/pid",
        "/name",
        "/pm_id",
        "/monit",
        "/monit/memory",
        "/monit/cpu",
        "/pm2_env",
        "/pm2_env/name",
        "/pm2_env/namespace",
        "/pm2_env/pm_id",
        "/pm2_env/status",
        "/pm2_env/exec_mode",
        "/pm2_env/instances",
        "/pm2_env/restart_time",
        "/pm2_env/unstable_restarts",
        "/pm2_env/pm_uptime",
        "/pm2_env/exit_code",
    ];
    both("jlist", |programs, _| {
        let mut session = Session::start(programs, &["flaky.config.js"], &[]);
        session.reach("delayed online 2, growing online 2, at-once online 1");
        let all = session.processes();
        let fields = |one: &Value| {
            let kinds = FIELDS.map(|field| format!("{field} {}", one.pointer(field).map_or("missing", kind)));
            format!("{} {}", one["name"], kinds.join(", "))
        };
        let seen = all.iter().map(fields).collect();
        session.stop();
        seen
    });
}
