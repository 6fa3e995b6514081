//! The prompt of supervisorctl on a terminal: the keys of an editor, completion, history, and the terminal afterwards.
//!
//! Where it makes sense, supervisor's own client gets the same keys; it has readline.

use std::fs;
use std::path::Path;
use std::process::Command;

use regex_lite::Regex;

use super::remote::{Clients, urls, wait_until_up};
use crate::support::Terminal;
use crate::xmlrpc::Server;

/// A session on a terminal.
struct Session(Terminal);

impl Session {
    /// Runs this client, with a shell around it that writes the mode of the terminal before and after.
    fn start(client: &Path, folder: &Path, options: &str) -> Session {
        fs::write(folder.join("client.conf"), "[supervisorctl]\nprompt=mine\n").expect("a file");
        let script = format!(
            "stty -g >before; {} -c client.conf {options}; echo status=$?; stty -g >after",
            client.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(folder).env_remove("FOSTER_SOCKET");
        Session(Terminal::start(&command))
    }

    /// Presses keys at the prompt.
    #[track_caller]
    fn press(&mut self, keys: &str) {
        self.0.wait_until("a prompt", |screen| last_line(screen).contains("mine> "));
        self.0.press(keys);
    }

    /// Presses keys at the prompt, and waits for so many lines with this text.
    #[track_caller]
    fn does(&mut self, keys: &str, line: &str, count: usize) {
        self.press(keys);
        self.0.wait_until(line, |screen| {
            results(screen).iter().filter(|found| found.contains(line)).count() == count
        });
    }

    /// The end: everything that was on the screen.
    #[track_caller]
    fn end(mut self, folder: &Path) -> String {
        let screen = self.0.rest();
        let mode = |name| fs::read_to_string(folder.join(name)).expect("a mode");
        assert_eq!(mode("after"), mode("before"), "{screen}");
        screen
    }
}

fn last_line(screen: &str) -> &str {
    screen.rsplit('\n').next().unwrap_or_default()
}

/// The lines that verbs have printed: those without a prompt.
fn results(screen: &str) -> Vec<String> {
    let uptime = Regex::new(r"uptime \d+:\d\d:\d\d").expect("a pattern");
    let sequence = Regex::new(r"\x1b\[[?0-9;]*[A-Za-z]").expect("a pattern");
    let lines =
        screen.split('\n').map(|line| sequence.replace_all(line.trim_end_matches('\r'), "").into_owned());
    let lines = lines.map(|line| line.rsplit('\r').next().unwrap_or_default().trim_end().to_owned());
    let lines = lines.filter(|line| !line.is_empty() && !line.contains("mine> "));
    lines.map(|line| uptime.replace_all(&line, "uptime T").into_owned()).collect()
}

/// The server of a test, and the options that name it.
fn supervisord(clients: &Clients) -> (Server, String) {
    let server = clients.supervisord();
    let [unix, _] = urls(&server);
    wait_until_up(clients, &server, &["-s", &unix, "-u", "user", "-p", "123"]);
    let options = format!("-s {unix} -u user -p 123");
    (server, options)
}

#[test]
fn keys_edit_complete_and_recall_lines_as_for_supervisorctl() {
    let Some(clients) = Clients::find() else { return };
    let (server, options) = supervisord(&clients);
    let folder = server.folder.path();
    let session = |client: &Path| {
        let mut session = Session::start(client, folder, &options);
        // ^A ^D ^E Backspace.
        session.does("xpid nothinx\x01\x04\x05\x7fg\r", "No such process nothing", 1);
        // The arrows, and ^K.
        session.does("pid nobd\x1b[D\x1b[Doo\x1b[C\x0b!\r", "No such process nooob!", 1);
        // ^U ^W ^Y.
        session.does("gone\x15pid one two\x17\x17two\r", "No such process two", 1);
        // Up twice and down.
        session.does("\x1b[A\x1b[A\x1b[B\x7f\x7fr\r", "No such process tr", 1);
        session.does("\x10\r", "No such process tr", 2);
        // A verb, a group, a member.
        session.does("verb\x15hel\tclea\t\r", "clear all", 1);
        session.does("stat\two\t*\t\r", "worker:worker_01", 2);
        session.does("avail\x15pid worker:worker_0\t7\r", "No such process worker:worker_07", 1);
        session.does("pid \u{e4}\u{65e5}\u{672c}\x7f\r", "No such process \u{e4}\u{65e5}", 1);
        session.press("quit\r");
        let screen = session.end(folder);
        let mut found = results(&screen);
        // What moves the cursor is another for each editor.
        found.retain(|line| !line.contains(['\u{7}', '\u{8}']));
        found
    };
    let (real, foster) = (session(&clients.real), session(&clients.foster));
    assert_eq!(foster, real);
    assert!(foster.contains(&"status=0".to_owned()), "{foster:?}");
}

#[test]
fn the_session_ends_as_that_of_supervisorctl_and_the_terminal_is_as_before() {
    let Some(clients) = Clients::find() else { return };
    let (server, options) = supervisord(&clients);
    let folder = server.folder.path();
    for (keys, status) in [("quit\r", 0), ("exit\r", 0), ("\x04", 0), ("half a line\x03", 0)] {
        // ^C at readline is a signal, which ends the shell around it as well.
        let all = [&clients.foster, &clients.real];
        for client in &all[..if keys.contains('\x03') { 1 } else { 2 }] {
            let mut session = Session::start(client, folder, &options);
            session.press(keys);
            let screen = session.end(folder);
            assert!(screen.contains(&format!("\nstatus={status}\r")), "{keys:?}: {screen:?}");
        }
    }
}

#[test]
fn a_signal_ends_the_session_and_the_terminal_is_as_before() {
    let Some(clients) = Clients::find() else { return };
    let (server, options) = supervisord(&clients);
    let folder = server.folder.path();
    let name = clients.foster.display().to_string();
    for (signal, status) in [(15, 143), (3, 131)] {
        let mut session = Session::start(&clients.foster, folder, &options);
        session.press("half a line");
        session.0.wait_until("the line", |screen| last_line(screen).contains("half a line"));
        kill(&name, signal);
        let screen = session.end(folder);
        assert!(screen.contains(&format!("status={status}\r")), "{screen:?}");
    }
}

/// Sends a signal to the process whose command this is.
fn kill(command: &str, signal: i32) {
    let is_it = |folder: &Path| {
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(command.as_bytes())
    };
    let found =
        fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path()).find(|path| is_it(path));
    let pid = found.and_then(|path| path.file_name()?.to_str()?.parse().ok()).expect("the client");
    let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("a signal");
}

#[test]
fn the_history_is_in_its_file_and_comes_back() {
    let Some(clients) = Clients::find() else { return };
    let (server, options) = supervisord(&clients);
    let folder = server.folder.path();
    let options = format!("{options} -r history");
    let mut session = Session::start(&clients.foster, folder, &options);
    session.does("pid one\r", "No such process one", 1);
    // It is there before the end: a verb may be ended by ^C.
    assert_eq!(fs::read_to_string(folder.join("history")).expect("the history"), "pid one\n");
    session.does("pid two\r", "No such process two", 1);
    session.does("pid two\r", "No such process two", 2);
    session.press("quit\r");
    session.end(folder);
    assert_eq!(fs::read_to_string(folder.join("history")).expect("the history"), "pid one\npid two\nquit\n");
    let mut session = Session::start(&clients.foster, folder, &options);
    session.does("\x1b[A\x1b[A\x1b[A\r", "No such process one", 1);
    session.press("\x04");
    session.end(folder);
    let kept = fs::read_to_string(folder.join("history")).expect("the history");
    assert_eq!(kept, "pid one\npid two\nquit\npid one\n");
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let Some(clients) = Clients::find() else { return };
    let (server, _) = supervisord(&clients);
    let folder = server.folder.path();
    let [unix, _] = urls(&server);
    for client in [&clients.real, &clients.foster] {
        let mut session = Session::start(client, folder, &format!("-s {unix}"));
        session.0.wait_until("a question", |screen| last_line(screen).contains("Username:"));
        session.0.press("user\r");
        session.0.wait_until("a question", |screen| last_line(screen).contains("Password:"));
        session.0.press("123\r");
        session.does("pid nothing\r", "No such process nothing", 1);
        session.press("quit\r");
        let screen = session.end(folder);
        assert!(
            results(&screen).iter().any(|line| line.starts_with("web ") && line.contains("RUNNING")),
            "{screen}"
        );
        assert!(!screen.contains("123"), "{screen:?}");
    }
}

#[test]
fn a_long_line_scrolls_within_its_row_also_after_a_change_of_the_size() {
    let Some(clients) = Clients::find() else { return };
    let (server, options) = supervisord(&clients);
    let folder = server.folder.path();
    let mut session = Session::start(&clients.foster, folder, &options);
    let name = "0123456789".repeat(6);
    session.press(&format!("pid {name}"));
    // The last row that was drawn, without what moves the cursor.
    let row = |screen: &str| {
        let row = last_line(screen).rsplit("\rmine> ").next().unwrap_or_default().to_owned();
        row.split("\x1b[K").next().unwrap_or_default().to_owned()
    };
    session.0.wait_until("the line", |screen| row(screen) == format!("pid {name}"));
    let pid = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path()).find(|path| {
        fs::read(path.join("cmdline"))
            .is_ok_and(|line| line.starts_with(clients.foster.display().to_string().as_bytes()))
    });
    let terminal = pid.expect("the client").join("fd/0");
    let resized = Command::new("stty").arg("-F").arg(&terminal).args(["cols", "26"]).status().expect("stty");
    assert!(resized.success());
    session.0.wait_until("a shorter row", |screen| row(screen) == name[name.len() - 19..]);
    session.0.press("\x01");
    session.0.wait_until("its start", |screen| row(screen) == format!("pid {}", &name[..15]));
    session.0.press("\r");
    session.0.wait_until("the result", |screen| screen.contains(&format!("No such process {name}")));
    session.press("\x04");
    session.end(folder);
}
