//! Event listeners: the events that they get, under supervisord and under foster, and what a hostile one does to others.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;

use super::updates::SERVER;
use super::{both, foster_session};
use crate::support::{binary, free_port, get, python_with};

/// Writes each event that it gets into a file: its name, the lengths' agreement and its payload.
const RECORDER: &str = r#"
import sys
out = open(sys.argv[1], "a", buffering=1, encoding="utf-8")
data = sys.stdin
data.reconfigure(encoding="utf-8", newline="\n")
while True:
    sys.stdout.write("READY\n"); sys.stdout.flush()
    line = data.readline()
    if not line: break
    head = dict(word.split(":") for word in line.split())
    body = data.read(int(head["len"]))
    out.write(head["pool"] + " " + head["eventname"] + " " + body.replace("\n", "|") + "\n")
    sys.stdout.write("RESULT 2\nOK"); sys.stdout.flush()
"#;

/// A listener that records into `NAME.out`.
fn recorder(folder: &Path, python: &str, name: &str, keys: &str) -> String {
    let script = folder.join("recorder.py");
    fs::write(&script, RECORDER).expect("a script");
    let out = folder.join(format!("{name}.out"));
    let command = format!("{python} {} {}", script.display(), out.display());
    format!("[eventlistener:{name}]\ncommand={command}\nstartsecs=0\n{keys}\n")
}

fn recorded(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(format!("{name}.out"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The events of each process in order, without process IDs, and those of no process.
fn by_process(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let process = words.iter().find_map(|word| word.strip_prefix("processname:")).unwrap_or("");
        let plain: Vec<&str> =
            words.iter().map(|word| if word.starts_with("pid:") { "pid" } else { *word }).collect();
        all.entry(process.to_owned()).or_default().push(plain.join(" "));
    }
    all.entry(String::new()).or_default().sort();
    all
}

#[test]
fn a_listener_gets_the_events_that_supervisord_sends() {
    let Some(python) = python_with("supervisor") else { return };
    let events = "events=PROCESS_STATE,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE,PROCESS_LOG\nbuffer_size=100";
    let outcome = both(
        |_, folder| {
            let config = folder.join("supervisord.conf");
            let programs = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n\
                [program:once]\ncommand=sh -c \"echo one; echo two >&2; sleep 1; exit 3\"\nstartsecs=0\nautorestart=false\n\
                stdout_events_enabled=true\nstderr_events_enabled=true\n\
                [program:good]\ncommand=true\nstartsecs=0\n\
                [program:bad]\ncommand=false\nstartretries=1\n\
                [group:g]\nprograms=good,bad\n\
                [program:a]\ncommand=true\nstartsecs=0\nautostart=false\n\
                [program:b]\ncommand=true\nstartsecs=0\nautostart=false\n\
                [program:c]\ncommand=true\nstartsecs=0\nautostart=false\n\
                [group:h]\nprograms=a,c\n";
            let listener = recorder(folder, &python, "recorder", events);
            fs::write(&config, format!("{SERVER}{listener}{programs}")).expect("a configuration");
            config
        },
        |session| {
            session.settled();
            session.ask("stop web");
            session.ask("start web");
            let folder = session.config.parent().expect("a folder").to_owned();
            let is_up = |line: &String| line.contains("STATE_RUNNING processname:web");
            session.wait_for(|| {
                let lines = recorded(&folder, "recorder");
                lines.iter().filter(|line| is_up(line)).count() == 2
                    && lines.iter().any(|line| line.contains("FATAL"))
            });
            by_process(&recorded(&folder, "recorder"))
        },
    );
    let Some((real, foster)) = outcome else { return };
    // Of two streams neither comes first.
    let sorted = |mut all: BTreeMap<String, Vec<String>>| {
        all.get_mut("once").expect("events").sort();
        all
    };
    let (foster, real) = (sorted(foster), sorted(real));
    assert_eq!(foster, real);
    assert!(foster["once"].len() == 5 && foster["bad"].len() == 5, "{foster:?}");
}

#[test]
fn listeners_that_hang_die_or_write_garbage_cost_only_their_own_events() {
    let Some(python) = python_with("supervisor") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("supervisord.conf");
    let listener = |name: &str, script: &str| {
        let path = folder.path().join(format!("{name}.sh"));
        fs::write(&path, script).expect("a script");
        format!(
            "[eventlistener:{name}]\ncommand=sh {}\nevents=EVENT\nbuffer_size=2\nstartsecs=0\n",
            path.display()
        )
    };
    let hostile = [
        listener("silent", "exec sleep 1000"),
        listener("hangs", "echo READY; exec sleep 1000"),
        listener("dies", "echo READY; read line"),
        listener("garbage", "echo hello; exec sleep 1000"),
        listener("flood", "while :; do echo yes; done"),
        listener("endless", "while :; do printf %01000d 0; done"),
    ];
    let good = recorder(
        folder.path(),
        &python,
        "good",
        "events=PROCESS_STATE\nnumprocs=2\nbuffer_size=1000\nprocess_name=%(program_name)s_%(process_num)02d",
    );
    let web = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n";
    fs::write(&config, format!("{SERVER}{good}{web}{}", hostile.concat())).expect("a configuration");
    let session = foster_session(&config);
    let states =
        |text: &str| recorded(folder.path(), "good").iter().filter(|line| line.contains(text)).count();
    session.wait_for(|| states("STATE_RUNNING processname:web") == 1);
    for count in 1..=3 {
        session.ask("restart web");
        session.wait_for(|| states("STATE_STOPPED processname:web") == count);
    }
    // Each event comes once to a pool of two, with the name of the pool.
    session.wait_for(|| states("STATE_RUNNING processname:web") == 4);
    assert!(recorded(folder.path(), "good").iter().all(|line| line.starts_with("good ")));
    session.wait_for(|| {
        session.output().contains("garbage: gets no event before its next start: `hello` is not an answer")
    });
    session.wait_for(|| session.output().contains("events dropped: its buffer was full"));
    let (shown, _) = session.ask("status");
    assert!(shown.contains("web ") && !shown.contains("event-listeners"), "{shown}");
}

/// A server that takes mails, and sends each to the receiver.
fn mail_server() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, mails) = mpsc::channel();
    std::thread::Builder::new()
        .spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = sender.send(mail(client));
            }
        })
        .expect("a thread");
    (address, mails)
}

fn mail(mut client: TcpStream) -> String {
    let mut lines = BufReader::new(client.try_clone().expect("a copy")).lines();
    let (mut text, mut is_data) = (String::new(), false);
    let mut answer = "220 here";
    loop {
        if !answer.is_empty() {
            writeln!(client, "{answer}\r").expect("an answer");
        }
        let Some(Ok(line)) = lines.next() else { return text };
        answer = match line.split(' ').next() {
            Some(".") if is_data => {
                is_data = false;
                "250 taken"
            }
            _ if is_data => {
                text.push_str(&format!("{line}\n"));
                ""
            }
            Some("data" | "DATA") => {
                is_data = true;
                "354 go on"
            }
            Some("quit" | "QUIT") => "221 bye",
            _ => "250 ok",
        };
    }
}

#[test]
fn superlances_listeners_run_unmodified_and_send_their_mails() {
    let Some(python) = python_with("superlance") else { return };
    let tool = |name: &str| Path::new(&python).parent().expect("a folder").join(name).display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let (server, mails) = mail_server();
    let sent = folder.path().join("sent");
    let batch = format!("-t a@b.c -f d@e.f -H {server} -i 0.05 -e TICK_5");
    let listeners = format!(
        "[eventlistener:crashmail]\ncommand={} -p once -m a@b.c -s \"tee {}\"\nevents=PROCESS_STATE_EXITED\n\
         [eventlistener:crashbatch]\ncommand={} {batch} -s crashes\nevents=PROCESS_STATE,TICK_5\n\
         [eventlistener:fatalbatch]\ncommand={} {batch} -s fatals\nevents=PROCESS_STATE,TICK_5\n",
        tool("crashmail"),
        sent.display(),
        tool("crashmailbatch"),
        tool("fatalmailbatch")
    );
    let programs = "[program:once]\ncommand=sh -c \"sleep 2; exit 3\"\nstartsecs=0\nautorestart=false\n\
        [program:bad]\ncommand=false\nstartretries=1\n";
    let config = folder.path().join("supervisord.conf");
    fs::write(&config, format!("{SERVER}{listeners}{programs}")).expect("a configuration");
    let session = foster_session(&config);
    session.wait_for(|| {
        fs::read_to_string(&sent)
            .is_ok_and(|text| text.contains("Process once in group once exited unexpectedly"))
    });
    let mut texts = vec![mails.recv().expect("a mail"), mails.recv().expect("a mail")];
    texts.sort_by_key(|text| text.contains("fatals"));
    assert!(texts[0].contains("crashes") && texts[0].contains("once"), "{texts:?}\n{}", session.output());
    assert!(texts[1].contains("fatals") && texts[1].contains("bad"), "{texts:?}\n{}", session.output());
}

#[test]
fn memmon_and_httpok_run_unmodified_and_restart_programs_by_xml_rpc() {
    let Some(python) = python_with("superlance") else { return };
    let tool = |name: &str| Path::new(&python).parent().expect("a folder").join(name).display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    fs::create_dir(path("site")).expect("a folder");
    fs::write(path("site/ok"), "ok").expect("a file");
    let listeners = format!(
        "[eventlistener:memmon]\ncommand={} -p fat=64MB -m a@b.c -s \"tee {}\"\nevents=TICK_5\n\
         [eventlistener:httpok]\ncommand={} -p web -t 3 -m a@b.c -s \"tee {}\" http://127.0.0.1:{port}/ok\nevents=TICK_5\n",
        tool("memmon"),
        path("memory"),
        tool("httpok"),
        path("status")
    );
    let programs = format!(
        "[program:fat]\ncommand={python} -c \"x = b'x' * (100 << 20); import time; time.sleep(1000)\"\nstartsecs=0\n\
         [program:web]\ncommand={python} -m http.server --bind 127.0.0.1 --directory {} {port}\nstartsecs=0\n",
        path("site")
    );
    let config = folder.path().join("supervisord.conf");
    fs::write(&config, format!("{SERVER}{listeners}{programs}")).expect("a configuration");
    let session = foster_session(&config);
    let text = |name: &str| fs::read_to_string(path(name)).unwrap_or_default();
    session.wait_for(|| text("memory").contains("restarted the process named fat:fat"));
    // The server has answered: it is not restarted before its answer becomes another.
    session.wait_for(|| get(port, "/ok").is_some_and(|(status, _)| status == 200));
    let web = session.ask("pid web");
    fs::remove_file(path("site/ok")).expect("a file");
    session.wait_for(|| text("status").contains("404"));
    session.wait_for(|| session.ask("pid web").0 != web.0 && session.ask("status web").0.contains("RUNNING"));
}

/// Writes communications, also torn and unended ones, and then sends an event by XML-RPC.
const COMMUNICATES: &str = r#"
import os, sys, time
from supervisor import childutils
def write(fd, *pieces):
    for piece in pieces:
        os.write(fd, piece)
        time.sleep(0.02)
BEGIN, END = b"<!--XSUPERVISOR:BEGIN-->", b"<!--XSUPERVISOR:END-->"
write(1, b"plain\n" + BEGIN + b"one" + END + b"\n")
write(1, b"<!--XSUPER", b"VISOR:BEGIN-->tw", b"o\nlines<!--XSUPERVISOR:E", b"ND-->rest\n")
write(1, BEGIN + b"x" * 5000, b"y" * 50 + END, b"\n")
write(1, BEGIN + b"\1" * 14000 + END, b"\n")
write(2, BEGIN + b"errors" + END + b"\n")
write(1, BEGIN + "no newline \u00e9".encode() + END)
rpc = childutils.getRPCInterface(os.environ)
print(rpc.supervisor.sendRemoteCommEvent("kind", "data \u00e9\n2"), flush=True)
variables = {name: value for name, value in os.environ.items() if name.startswith("SUPERVISOR_")}
rpc.supervisor.sendRemoteCommEvent("environment", repr(sorted(variables.items())))
write(1, BEGIN + b"last" + END)
time.sleep(1000)
"#;

#[test]
fn communications_of_programs_and_of_clients_are_those_that_supervisord_sends() {
    let Some(python) = python_with("supervisor") else { return };
    let outcome = both(
        |_, folder| {
            let config = folder.join("supervisord.conf");
            let (script, log) = (folder.join("communicates.py"), folder.join("log"));
            fs::write(&script, COMMUNICATES).expect("a script");
            let events = "events=PROCESS_COMMUNICATION,REMOTE_COMMUNICATION\nbuffer_size=100";
            let listener = recorder(folder, &python, "recorder", events);
            let program = format!(
                "[program:talks]\ncommand=sh -c \"sleep 3; exec {python} {}\"\nstartsecs=0\nstdout_logfile={}\nstderr_logfile=NONE\n\
                 stdout_capture_maxbytes=16KB\nstderr_capture_maxbytes=100\nenvironment=PYTHONIOENCODING=utf-8\n\
                 [group:g]\nprograms=talks\n",
                script.display(),
                log.display()
            );
            fs::write(&config, format!("{SERVER}{listener}{program}")).expect("a configuration");
            config
        },
        |session| {
            let folder = session.config.parent().expect("a folder").to_owned();
            session.wait_for(|| recorded(&folder, "recorder").iter().any(|line| line.ends_with("|last")));
            let log = fs::read_to_string(folder.join("log")).expect("a log");
            let own = session.folder.path().display().to_string();
            let plain = |line: &String| {
                let words = line.split(' ');
                let words = words.map(|word| {
                    if word.starts_with("pid:") { word.split('|').next_back().unwrap_or("") } else { word }
                });
                words.collect::<Vec<_>>().join(" ").replace(&own, "FOLDER")
            };
            let mut lines: Vec<String> = recorded(&folder, "recorder").iter().map(plain).collect();
            // Of two streams neither comes first.
            lines.sort();
            (lines, log)
        },
    );
    let Some(((real, real_log), (foster, foster_log))) = outcome else { return };
    assert_eq!(foster, real);
    assert_eq!(foster.len(), 9, "{foster:?}");
    assert!(
        foster.iter().any(|line| line.contains("SUPERVISOR_GROUP_NAME") && line.contains("unix://FOLDER"))
    );
    assert_eq!(foster_log, real_log);
}

#[test]
fn a_wrong_section_names_the_line_and_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("supervisord.conf");
    let text = "[supervisord]\n[eventlistener:a]\ncommand=x\nevents=TICK_50,PROCESS_STATE\nresult_handler=mine:handler\n\
        [eventlistener:b]\ncommand=x\n[eventlistener:c]\ncommand=x\nevents=TICK\nredirect_stderr=true\nbuffer_size=0\n";
    fs::write(&config, text).expect("a configuration");
    let check = std::process::Command::new(binary()).args(["check", "-c"]).arg(&config).output();
    let shown = String::from_utf8_lossy(&check.expect("foster check").stderr).into_owned();
    for part in [
        ":4:8: error: there is no event `TICK_50`",
        "did you mean `TICK_5`?",
        ":5:16: error: `result_handler` cannot be `mine:handler`",
        "an event listener without `events`",
        "an event listener cannot have `redirect_stderr`",
        "`buffer_size` cannot be `0`",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}
