//! Tools that are built on supervisord: their own programs unmodified, or what they run.

use std::fs;
use std::path::Path;

use super::updates::SERVER;
use super::{both, foster_session};
use crate::support::{free_port, get, python_with};

/// A web server whose answer at `/ok` is 200 until the file is removed, and 404 then.
fn web_server(folder: &Path, python: &str, port: u16) -> String {
    fs::create_dir(folder.join("site")).expect("a folder");
    fs::write(folder.join("site/ok"), "ok").expect("a file");
    let site = folder.join("site").display().to_string();
    format!(
        "[program:web]\ncommand={python} -m http.server --bind 127.0.0.1 --directory {site} {port}\nstartsecs=0\n"
    )
}

#[test]
fn the_checks_of_supervisor_checks_run_unmodified_and_restart_what_fails() {
    let Some(python) = python_with("supervisor_checks") else { return };
    let tool = |name: &str| Path::new(&python).parent().expect("a folder").join(name).display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let (port, closed) = (free_port(), free_port());
    let web = web_server(folder.path(), &python, port);
    let checks = format!(
        "[eventlistener:http]\ncommand={} -n http -N web -u /ok -p {port} -t 3 -r 1\nevents=TICK_5\n\
         [eventlistener:tcp]\ncommand={} -n tcp -g deaf -p {closed} -t 3 -r 1\nevents=TICK_5\n",
        tool("supervisor_http_check"),
        tool("supervisor_tcp_check")
    );
    let deaf = "[program:deaf]\ncommand=sleep 1000\nstartsecs=0\n";
    let config = folder.path().join("supervisord.conf");
    fs::write(&config, format!("{SERVER}{checks}{web}{deaf}")).expect("a configuration");
    let session = foster_session(&config);
    session.settled();
    let pids = || ["pid web", "pid deaf"].map(|words| session.ask(words).0);
    let before = pids();
    // The one that no process listens for is restarted, the other one is not.
    session.wait_for(|| session.output().contains("`http` check succeeded for process web"));
    session.wait_for(|| pids()[1] != before[1]);
    assert!(get(port, "/ok").is_some() && pids()[0] == before[0], "{}", session.output());
    fs::remove_file(folder.path().join("site/ok")).expect("a file");
    session.wait_for(|| pids()[0] != before[0] && session.ask("status web").0.contains("RUNNING"));
}

/// What Ansible's module `community.general.supervisorctl` (10 to 12) runs for each `state`, in its order.
const ANSIBLE: [(&str, &[&[&str]]); 9] = [
    ("started", &[&["status"]]),
    ("stopped", &[&["status"], &["stop", "web"]]),
    ("started again", &[&["status"], &["start", "web"]]),
    ("restarted", &[&["update"], &["status"], &["restart", "web"]]),
    // The signal is a part of the verb's argument.
    ("signalled", &[&["status"], &["signal CONT", "web"]]),
    ("started, of a group", &[&["status"], &["start", "w:w_00"], &["start", "w:w_01"]]),
    ("absent", &[&["status"], &["stop", "web"], &["reread"], &["remove", "web"]]),
    ("present", &[&["status"], &["reread"], &["add", "web"]]),
    ("present again", &[&["status"], &["update"]]),
];

#[test]
fn what_ansibles_module_runs_prints_the_same_as_supervisord_does() {
    let outcome = both(
        |_, folder| {
            let config = folder.join("supervisord.conf");
            let programs = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n\
                [program:w]\ncommand=sleep 1000\nstartsecs=0\nnumprocs=2\nautostart=false\n\
                process_name=%(program_name)s_%(process_num)02d\n";
            fs::write(&config, format!("{SERVER}{programs}")).expect("a configuration");
            config
        },
        |session| {
            session.settled();
            let mut text = String::new();
            for (state, calls) in ANSIBLE {
                for words in calls {
                    let output = session.client(words).output().expect("supervisorctl");
                    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
                    // The module reads the first two words of a line of `status`.
                    let first = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
                    let shown = match words {
                        ["status"] => shown.lines().map(first).collect::<Vec<_>>().join("\n"),
                        _ => shown,
                    };
                    text.push_str(&format!("{state}: {words:?}: {:?}\n{shown}\n", output.status.code()));
                }
                session.settled();
            }
            text
        },
    );
    let Some((real, foster)) = outcome else { return };
    assert_eq!(foster, real);
    // What the module looks for.
    for line in
        ["web: stopped", "web: started", "web: signalled", "w:w_01: started", "web: removed process group"]
    {
        assert!(foster.contains(line), "{line}: {foster}");
    }
    assert!(foster.contains("web: added process group"), "{foster}");
}
