//! A configuration that changes while it runs: what supervisorctl says and does, under supervisord and under foster.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::{Session, both, foster_session, mixed, plain, shown};

/// The head of a configuration.
pub const SERVER: &str = "[supervisord]
nodaemon=true
logfile=%(ENV_DIR)s/supervisord.log
pidfile=%(ENV_DIR)s/supervisord.pid
[unix_http_server]
file=%(ENV_DIR)s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(ENV_DIR)s/s.sock
";

/// Programs that sleep, one on each line: the name, then the number of seconds and further keys.
fn sleepers(text: &str) -> String {
    let program = |line: &str| match line.split_once(' ') {
        Some((group, members)) if group.starts_with('[') => format!("{group}\nprograms={members}\n"),
        Some((name, seconds)) => {
            format!("[program:{name}]\ncommand=sleep {}\nstartsecs=0\n", seconds.replace("; ", "\n"))
        }
        None => panic!("{line}"),
    };
    format!("{SERVER}{}", text.lines().map(|line| program(line.trim())).collect::<String>())
}

impl Session {
    /// The lines of each step, with its exit status and the states that change; a step `=TEXT` writes a configuration.
    fn edited(&mut self, steps: &[&str]) -> String {
        let mut text = String::new();
        let mut states = self.settled();
        for step in steps {
            if let Some(programs) = step.strip_prefix('=') {
                fs::write(&self.config, sleepers(programs)).expect("a configuration");
                continue;
            }
            let (lines, status) = self.ask(step);
            let now = self.settled();
            text.push_str(&format!("$ supervisorctl {step}\n{}[{status}]\n", plain(&lines)));
            if now != states {
                text.push_str(&format!("{}\n", shown(&now)));
            }
            states = now;
        }
        text
    }
}

/// The same session under both, each with its configuration.
fn same_edits(first: &str, steps: &[&str]) {
    let config = |_: &str, folder: &std::path::Path| {
        let path = folder.join("supervisord.conf");
        fs::write(&path, sleepers(first)).expect("a configuration");
        path
    };
    let session = |session: &mut Session| session.edited(steps);
    let Some((real, foster)) = both(config, session) else { return };
    assert!(foster == real, "foster:\n{foster}\nsupervisord:\n{real}");
    let mixed = mixed(config, session).expect("supervisord, as before");
    assert!(mixed == real, "foster's client:\n{mixed}\nsupervisord:\n{real}");
}

#[test]
fn reread_says_what_has_changed_and_add_remove_and_update_apply_it() {
    same_edits(
        "web 1000\n old 1000\n [group:g] a,b\n a 1000\n b 1000",
        &[
            "reread",
            "avail",
            "=web 1001\n new 1000\n extra 1000; autostart=false\n [group:g] a,b\n a 1000\n b 1000",
            "reread",
            "avail",
            "status",
            "update missing",
            "update new missing",
            "add extra",
            "add extra",
            "add missing",
            "remove web",
            "stop web",
            "remove web",
            "remove web",
            "reread",
            "avail",
            "update g",
            "update web",
            "update",
            "update",
            "reread",
            "=web 1001\n new 1001\n extra 1000; autostart=false\n [group:g] a\n a 1000",
            "reread",
            "update all",
            "=web 1001\n new 1001\n extra 1000; autostart=false\n [group:g] a\n a 1002\n b 1000",
            "reread",
            "update new web b",
            "update g",
            "reread",
        ],
    );
}

#[test]
fn verbs_that_are_used_wrongly_say_the_same() {
    same_edits(
        "web 1000\n lazy 1000; autostart=false",
        &[
            "clear web",
            "clear all",
            "clear missing",
            "clear",
            "fg",
            "fg missing",
            "fg web lazy",
            "fg lazy",
            "maintail -x",
            "maintail x",
            "maintail -5 6",
            "tail",
            "tail -x web",
            "tail web nothing",
            "tail web stdout more",
            "tail -5 web stdout more",
            "open nowhere",
            "reread x",
            "avail x",
            "reload x",
            "shutdown x",
            "version x",
            "add",
            "remove",
            "signal",
            "signal HUP",
            "help",
            "help nothing",
        ],
    );
}

#[test]
fn the_help_of_each_verb_is_that_of_supervisorctl() {
    let verbs = "add avail clear exit fg help maintail open pid quit reload remove reread restart shutdown signal \
                 start status stop tail update version";
    let steps: Vec<String> = verbs.split_whitespace().map(|verb| format!("help {verb}")).collect();
    same_edits("web 1000", &steps.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_log_that_is_cleared_is_empty_and_continues() {
    let Some((real, foster)) = both(
        |_, folder| {
            let path = folder.join("supervisord.conf");
            let program = "[program:web]\ncommand=sh -c 'trap \"echo two\" USR1; echo one; while :; do read line; done'\n\
                 startsecs=0\nstdout_logfile=%(ENV_DIR)s/web.log\n";
            fs::write(&path, format!("{SERVER}{program}")).expect("a configuration");
            path
        },
        |session| {
            let log = session.folder.path().join("web.log");
            session.settled();
            let written =
                |text: &str| session.wait_for(|| fs::read_to_string(&log).is_ok_and(|log| log == text));
            written("one\n");
            let cleared = session.ask("clear web");
            written("");
            let signalled = session.ask("signal USR1 web");
            written("two\n");
            format!("{cleared:?} {signalled:?} {:?}", session.ask("tail web"))
        },
    ) else {
        return;
    };
    assert_eq!(foster, real);
}

/// supervisorctl's own `fg` may wait forever at the end of its input, so that it is no peer here.
#[test]
fn fg_passes_lines_on_and_ends_with_its_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("supervisord.conf");
    let program =
        "[program:web]\ncommand=sh -c 'echo one; read line; echo got $line; read line'\nstartsecs=0\n";
    fs::write(&path, format!("{SERVER}{program}")).expect("a configuration");
    let session = foster_session(&path);
    session.settled();
    let mut client =
        session.client(&["fg", "web"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("fg");
    client.stdin.take().expect("a pipe").write_all(b"go on\n").expect("a line");
    let printed = client.wait_with_output().expect("fg");
    let shown = String::from_utf8_lossy(&printed.stdout);
    assert_eq!(printed.status.code(), Some(0), "{shown}");
    assert!(shown.starts_with("==> Press Ctrl-C to exit <==\n"), "{shown}");
    session.wait_for(|| session.ask("tail web").0.contains("got go on"));
}

#[test]
fn the_lines_of_foster_itself_are_the_main_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("supervisord.conf");
    fs::write(&config, sleepers("web 1000")).expect("a configuration");
    let session = foster_session(&config);
    session.settled();
    let (all, status) = session.ask("maintail");
    assert!(all.contains(" INFO web: ") && status == 0, "{status}: {all}");
    let (last, _) = session.ask("maintail -10");
    assert!(last.len() == 11 && all.ends_with(&last), "{last}");
    let mut client = session.client(&["maintail", "-f"]).stdout(Stdio::piped()).spawn().expect("maintail");
    session.ask("stop web");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(client.stdout.take().expect("a pipe")));
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("web: stopped"))));
    // Ctrl-C is its end, not a failure.
    let kill = Command::new("kill").args(["-INT", &client.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    assert_eq!(client.wait().expect("its end").code(), Some(0));
}

#[test]
fn another_socket_is_opened_and_a_foreign_one_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("supervisord.conf");
    fs::write(&config, sleepers("web 1000")).expect("a configuration");
    let (one, other) = (foster_session(&config), foster_session(&config));
    one.settled();
    other.settled();
    other.ask("stop web");
    let url = format!("open unix://{}", other.folder.path().join("foster.sock").display());
    let (shown, status) = one.ask(&url);
    assert!(shown.starts_with("web ") && shown.contains("STOPPED") && status == 0, "{status}: {shown}");
}
