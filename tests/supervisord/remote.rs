//! foster's supervisorctl beside supervisor's own, against the same server: the same lines and exit statuses.
//!
//! What foster prints after `error: ` is in its own words; there supervisorctl prints an exception of Python.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use regex_lite::Regex;

use super::{PATIENCE, foster_named};
use crate::support::{python_with, repository};
use crate::xmlrpc::Server;

/// Both clients.
pub(super) struct Clients {
    pub(super) real: PathBuf,
    pub(super) foster: PathBuf,
}

impl Clients {
    /// `None` without supervisor.
    pub(super) fn find() -> Option<Clients> {
        let python = python_with("supervisor")?;
        let real = Path::new(&python).with_file_name("supervisorctl");
        Some(Clients { real, foster: foster_named("supervisorctl") })
    }

    /// supervisord, with the configuration of the tests of XML-RPC.
    pub(super) fn supervisord(&self) -> Server {
        let config = repository().join("tests/xmlrpc/session.conf");
        Server::start(&self.real.with_file_name("supervisord"), &config)
    }
}

/// A client with an empty configuration, so that it has nothing but its arguments.
pub(super) fn command(client: &Path, folder: &Path, words: &[&str]) -> Command {
    let config = folder.join("client.conf");
    if !config.exists() {
        fs::write(&config, "[supervisorctl]\n").expect("a file");
    }
    // No client may hold up the test.
    let mut command = Command::new("timeout");
    command.args(["--foreground", "120"]).arg(client);
    if !words.contains(&"-c") {
        command.arg("-c").arg(config);
    }
    command.args(words).stdin(Stdio::null());
    command.env("PYTHONIOENCODING", "utf-8").env("PYTHONUNBUFFERED", "1").env_remove("FOSTER_SOCKET");
    command
}

/// What a client prints, and its exit status: without times, and without the words of an exception.
fn shown(output: &Output) -> String {
    let text = format!(
        "{}--\n{}[{}]",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().expect("an exit status")
    );
    let uptime = Regex::new(r"uptime \d+:\d\d:\d\d").expect("a pattern");
    let date = Regex::new(r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M").expect("a pattern");
    let error = Regex::new(r"(?m)error: .*$(\n: file: .*$)?").expect("a pattern");
    let text = uptime.replace_all(&text, "uptime T");
    let text = date.replace_all(&text, "DATE");
    let text = error.replace_all(&text, "error: …");
    // The members of a group come in the order of their ends.
    let mut lines: Vec<&str> = text.split('\n').collect();
    for verb in [": stopped", ": started", ": signalled"] {
        for group in lines.chunk_by_mut(|one, other| one.ends_with(verb) && other.ends_with(verb)) {
            group.sort_unstable();
        }
    }
    lines.join("\n")
}

/// What both clients print for these words; `before` is done before each by supervisorctl.
#[track_caller]
fn compare(clients: &Clients, folder: &Path, options: &[&str], before: &[&str], words: &str) {
    let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let ask = |client: &Path| {
        for step in before {
            let words: Vec<&str> = options.iter().copied().chain(step.split(' ')).collect();
            command(&clients.real, folder, &words).output().expect("supervisorctl");
        }
        let all: Vec<&str> = options.iter().copied().chain(words.iter().copied()).collect();
        shown(&command(client, folder, &all).output().expect("a client"))
    };
    let (real, foster) = (ask(&clients.real), ask(&clients.foster));
    assert_eq!(foster, real, "{options:?} {words:?}");
}

/// The URLs of a server's two sockets.
pub(super) fn urls(server: &Server) -> [String; 2] {
    [
        format!("unix://{}/rpc.sock", server.folder.path().display()),
        format!("http://127.0.0.1:{}", server.port),
    ]
}

/// Waits until the programs of the configuration are up.
pub(super) fn wait_until_up(clients: &Clients, server: &Server, options: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let words: Vec<&str> = options.iter().copied().chain(["status", "web", "worker:*"]).collect();
        let output = command(&clients.real, server.folder.path(), &words).output().expect("supervisorctl");
        if String::from_utf8_lossy(&output.stdout).matches("RUNNING").count() == 3 {
            return;
        }
        assert!(Instant::now() < deadline, "{}", server.output());
    }
}

#[test]
fn every_verb_prints_what_supervisorctl_prints_with_the_same_supervisord() {
    let Some(clients) = Clients::find() else { return };
    let server = clients.supervisord();
    let folder = server.folder.path();
    for url in &urls(&server) {
        let options = ["-s", url, "-u", "user", "-p", "123"];
        wait_until_up(&clients, &server, &options);
        let steps = [
            (vec![], "status"),
            (vec![], "status web worker:* nothing nothing:* worker:worker_09"),
            (vec![], "status all off"),
            (vec![], "status web"),
            (vec![], "avail"),
            (vec![], "pid"),
            (vec![], "pid all"),
            (vec![], "pid web off nothing"),
            (vec![], "version"),
            (vec!["stop off"], "start off"),
            (vec![], "start web off nothing nothing:* worker:*"),
            (vec![], "start gone"),
            (vec![], "start early"),
            (vec!["start off"], "stop off"),
            (vec!["stop off"], "stop off nothing nothing:* worker:worker_09"),
            (vec!["start worker:*"], "stop worker:*"),
            (vec!["start worker:*"], "restart worker:* nothing"),
            (vec!["stop off"], "restart off"),
            (vec![], "signal CONT web nothing worker:* nothing:* gone"),
            (vec![], "signal nothing web worker:*"),
            (vec![], "tail web"),
            (vec![], "tail -5 web stderr"),
            (vec![], "tail -4 web STDOUT"),
            (vec![], "tail nothing"),
            (vec![], "tail gone"),
            (vec![], "tail -f nothing"),
            (vec![], "maintail -20x"),
            (vec![], "fg off web"),
            (vec![], "fg nothing"),
            (vec![], "fg gone"),
            (vec![], "clear web nothing worker:*"),
            (vec![], "clear all"),
            (vec![], "reread"),
            (vec![], "update"),
            (vec![], "update web nothing"),
            (vec![], "add web nothing"),
            (vec!["add off", "stop off"], "remove off web nothing"),
            (vec!["add off"], "add off"),
            (vec!["remove off"], "add off"),
            // What never comes up has its results in another order each time.
            (vec!["remove gone early once"], "status"),
            (vec!["stop all"], "start all"),
            (vec!["start all"], "signal CONT all"),
            (vec!["start all"], "stop all"),
            (vec!["add gone early once", "stop all"], "start web off worker:*"),
            (vec![], "nothing at all"),
            (vec![], "shutdown now"),
            (vec![], "open ftp://nowhere"),
        ];
        // What a verb prints does not depend on the socket: over TCP the verbs that only ask are enough.
        for (before, words) in &steps {
            if url.starts_with("unix:") || before.is_empty() {
                compare(&clients, folder, &options, before, words);
            }
        }
        let open = format!("open {url}");
        compare(&clients, folder, &options, &[], &open);
        // supervisorctl's own maintail reads the same file, into which both have logged meanwhile.
        let words: Vec<&str> = options.iter().copied().chain(["maintail", "-200"]).collect();
        let output = command(&clients.foster, folder, &words).output().expect("supervisorctl");
        let log = fs::read_to_string(folder.join("supervisord.log")).expect("the log");
        assert!(log.contains(String::from_utf8_lossy(&output.stdout).trim()) && output.stdout.len() == 201);
    }
    let [unix, _] = &urls(&server);
    let options = ["-s", unix, "-u", "user", "-p", "123"];
    for client in [&clients.real, &clients.foster] {
        let words: Vec<&str> = options.iter().copied().chain(["reload"]).collect();
        let output = command(client, folder, &words).output().expect("a client");
        assert_eq!(shown(&output), "Restarted supervisord\n--\n[0]");
        // The pid is the same: it is back once its log says so again.
        let deadline = Instant::now() + PATIENCE;
        let starts = || {
            let log = fs::read_to_string(folder.join("supervisord.log")).unwrap_or_default();
            log.matches("supervisord started with pid").count()
        };
        let awaited = if client == &clients.real { 2 } else { 3 };
        while starts() < awaited {
            assert!(Instant::now() < deadline, "{}", server.output());
            std::thread::yield_now();
        }
        wait_until_up(&clients, &server, &options);
    }
}

#[test]
fn a_shutdown_of_supervisord_prints_what_supervisorctl_prints() {
    let Some(clients) = Clients::find() else { return };
    let mut printed = Vec::new();
    for client in [&clients.real, &clients.foster] {
        let server = clients.supervisord();
        let [unix, _] = &urls(&server);
        let options = ["-s", unix, "-u", "user", "-p", "123"];
        wait_until_up(&clients, &server, &options);
        let words: Vec<&str> = options.iter().copied().chain(["shutdown"]).collect();
        let first = command(client, server.folder.path(), &words).output().expect("a client");
        // The socket's file is gone once it has ended.
        let deadline = Instant::now() + PATIENCE;
        while server.folder.path().join("rpc.sock").exists() {
            assert!(Instant::now() < deadline, "{}", server.output());
            std::thread::yield_now();
        }
        let again = command(client, server.folder.path(), &words).output().expect("a client");
        let folder = server.folder.path().display().to_string();
        printed.push((shown(&first) + &shown(&again)).replace(&folder, "FOLDER"));
    }
    assert_eq!(printed[1], printed[0]);
    assert!(printed[0].contains("(already shut down?)"), "{}", printed[0]);
}

#[test]
fn the_server_and_the_password_are_those_of_the_configuration() {
    let Some(clients) = Clients::find() else { return };
    let server = clients.supervisord();
    let folder = server.folder.path();
    let [unix, http] = urls(&server);
    wait_until_up(&clients, &server, &["-s", &unix, "-u", "user", "-p", "123"]);
    // As an address of another host: otherwise a foster of this machine is asked first.
    let http = http.replace("127.0.0.1", "0.0.0.0");
    let config = folder.join("remote.conf");
    let text = format!("[supervisorctl]\nserverurl={http}\nusername=user\npassword=%(ENV_PASSWORD)s\n");
    fs::write(&config, text).expect("a file");
    let ask = |client: &Path, extra: &[&str]| {
        let mut command = command(client, folder, &["-c", &config.display().to_string()]);
        shown(&command.args(extra).args(["status", "web"]).env("PASSWORD", "123").output().expect("a client"))
    };
    let (real, foster) = (ask(&clients.real, &[]), ask(&clients.foster, &[]));
    assert_eq!(foster, real);
    assert!(foster.contains("RUNNING"), "{foster}");
    let (real, foster) = (ask(&clients.real, &["-p", "wrong"]), ask(&clients.foster, &["-p", "wrong"]));
    assert_eq!(foster, real);
    assert!(foster.contains("Server requires authentication"), "{foster}");
}

/// A server that answers every connection in the same way, until it is dropped.
struct Fake {
    port: u16,
}

impl Fake {
    fn new(answer: impl Fn(TcpStream) + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || listener.incoming().flatten().for_each(&answer));
        Fake { port }
    }

    /// One that sends this once it has got a request.
    fn sending(answer: &'static [u8]) -> Fake {
        Fake::new(move |mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).and_then(|_| stream.write_all(answer));
        })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[test]
fn servers_that_cannot_be_used_have_the_exit_statuses_of_supervisorctl() {
    let Some(clients) = Clients::find() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let xml = |body: &str| -> &'static [u8] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Box::leak((head + body).into_bytes().into_boxed_slice())
    };
    let fakes = [
        Fake::sending(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        Fake::sending(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        Fake::sending(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        Fake::sending(b"SSH-2.0-OpenSSH_9.2\r\n"),
        Fake::sending(b""),
        Fake::sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<?xml"),
        Fake::sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        Fake::sending(xml("<html><body>hello</body></html>")),
        Fake::sending(xml("<?xml version='1.0'?><methodResponse><params><param>")),
        Fake::sending(xml("no xml")),
        Fake::sending(xml(
            "<methodResponse><params><param><value><string>2.0</string></value></param></params></methodResponse>",
        )),
        Fake::sending(xml(
            "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member>\
             <member><name>faultString</name><value>UNKNOWN_METHOD</value></member></struct></value></fault></methodResponse>",
        )),
    ];
    let absent = folder.path().join("absent.sock");
    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("a file");
    let mut urls: Vec<String> = fakes.iter().map(Fake::url).collect();
    urls.push(format!("http://{closed}"));
    urls.push(format!("unix://{}", absent.display()));
    urls.push(format!("unix://{}", plain.display()));
    urls.push("http://a-name-that-is-not-known.invalid:9001".to_owned());
    for url in &urls {
        for words in ["status", "start web", "pid", "avail", "reread", "tail web", "shutdown", "version"] {
            compare(&clients, folder.path(), &["-s", url], &[], words);
        }
    }
    // In foster's words.
    for (url, part) in [
        (&urls[0], "error: the server answers 404 Not Found"),
        (&urls[3], "the answer of the server is not HTTP"),
        (&urls[5], "has closed the connection in the middle of its answer"),
        (&urls[7], "the answer is not XML-RPC"),
        (
            &urls[15],
            "cannot find the address of `a-name-that-is-not-known.invalid`: only IP addresses, `localhost`",
        ),
    ] {
        let output =
            command(&clients.foster, folder.path(), &["-s", url, "avail"]).output().expect("a client");
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{output:?}");
    }
}

#[test]
fn an_endless_answer_costs_a_bounded_memory() {
    let client = foster_named("supervisorctl");
    let folder = tempfile::tempdir().expect("a folder");
    let endless = |head: &'static [u8], part: &'static [u8]| {
        Fake::new(move |mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).and_then(|_| stream.write_all(head));
            let parts = part.repeat(4096);
            while stream.write_all(&parts).is_ok() {}
        })
    };
    for (fake, part) in [
        (endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), "is not HTTP"),
        (endless(b"HTTP/1.1 200 OK\r\nx: ", b"0123456789"), "is not HTTP"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"0123456789"), "is longer than 16 MiB"),
        (
            endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n"),
            "is longer than 16 MiB",
        ),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"), "a chunk without a size"),
    ] {
        // The address space of the client is limited: it is killed if it takes more.
        let script = "ulimit -v 120000 && exec \"$@\"";
        let mut limited = Command::new("sh");
        limited.args(["-c", script, "sh"]).arg(&client).args(["-s", &fake.url(), "avail"]);
        let output = limited.current_dir(folder.path()).output().expect("a client");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(1) && text.contains(part), "{part}: {output:?}");
    }
}

/// The output of a client, as it arrives.
struct Arriving {
    parts: Receiver<Vec<u8>>,
    text: Vec<u8>,
}

impl Arriving {
    fn of(child: &mut Child) -> Arriving {
        let mut output = child.stdout.take().expect("a pipe");
        let (sender, parts) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count) = output.read(&mut part) {
                if count == 0 || sender.send(part[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Arriving { parts, text: Vec::new() }
    }

    #[track_caller]
    fn wait_for(&mut self, awaited: &str) {
        while !String::from_utf8_lossy(&self.text).contains(awaited) {
            let part = self.parts.recv_timeout(PATIENCE);
            self.text.extend(part.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.text))));
        }
    }

    /// All of it, once it has ended.
    fn rest(mut self) -> String {
        while let Ok(part) = self.parts.recv_timeout(PATIENCE) {
            self.text.extend(part);
        }
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

#[test]
fn a_log_is_followed_until_control_c_as_by_supervisorctl() {
    let Some(clients) = Clients::find() else { return };
    let server = clients.supervisord();
    for url in &urls(&server) {
        let options = ["-s", url, "-u", "user", "-p", "123"];
        wait_until_up(&clients, &server, &options);
        let follow = |client: &Path, words: &[&str], awaited: &str| {
            let words: Vec<&str> = options.iter().copied().chain(words.iter().copied()).collect();
            let mut child = command(client, server.folder.path(), &words)
                .stdout(Stdio::piped())
                .spawn()
                .expect("a client");
            let mut output = Arriving::of(&mut child);
            output.wait_for(awaited);
            // `timeout` passes it on.
            let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid"));
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
            (output.rest(), child.wait().expect("its end").code())
        };
        let words = ["tail", "-f", "web"];
        let (real, foster) =
            (follow(&clients.real, &words, "456789\n"), follow(&clients.foster, &words, "456789\n"));
        // Whether supervisorctl prints the last line end depends on where Ctrl-C finds it.
        assert_eq!((foster.0.trim_end(), foster.1), (real.0.trim_end(), real.1));
        assert!(foster.0.ends_with("\n\n") && foster.1 == Some(0), "{}", foster.0);
        let (text, code) = follow(&clients.foster, &["maintail", "-f"], "spawned: ");
        assert!(text.starts_with("==> Press Ctrl-C to exit <==\n") && code == Some(0), "{text}");
    }
}

#[test]
fn fg_shows_both_streams_of_a_process_and_passes_lines_on() {
    let Some(clients) = Clients::find() else { return };
    let server = clients.supervisord();
    let [unix, _] = &urls(&server);
    let options = ["-s", unix, "-u", "user", "-p", "123"];
    wait_until_up(&clients, &server, &options);
    let words: Vec<&str> = options.iter().copied().chain(["fg", "web"]).collect();
    let mut child = command(&clients.foster, server.folder.path(), &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a client");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = Arriving::of(&mut child);
    output.wait_for("0123456789\n");
    output.wait_for("<&\"> é\n");
    input.write_all(b"go on\n").expect("a line");
    output.wait_for("got go on\n");
    drop(input);
    output.wait_for("Exiting foreground\n");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn lines_of_a_pipe_are_verbs_as_for_supervisorctl() {
    let Some(clients) = Clients::find() else { return };
    let server = clients.supervisord();
    let [unix, _] = &urls(&server);
    let options = ["-s", unix, "-u", "user", "-p", "123"];
    wait_until_up(&clients, &server, &options);
    let session = |client: &Path, lines: &str| {
        let mut child = command(client, server.folder.path(), &options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a client");
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("lines");
        let output = child.wait_with_output().expect("its end");
        // supervisorctl prints its prompt also where no person types, and a line end at the end of its input.
        let text = shown(&output).replace("supervisor> ", "");
        text.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect::<String>()
    };
    for lines in [
        "status web\n\n  pid nothing \nhelp pid\n?pid\n!ls\nstatus-x\nnothing\nquit\nstatus\n",
        "shutdown\nn\nreload\nno\nstatus web",
        "shutdown\n",
        "stop nothing\nEOF\nstatus\n",
    ] {
        assert_eq!(session(&clients.foster, lines), session(&clients.real, lines), "{lines:?}");
    }
    assert!(
        session(&clients.foster, "shutdown\nn\n")
            .contains("Really shut the remote supervisord process down y/N?")
    );
}

#[test]
fn the_web_helper_and_fosters_own_socket_answer_the_same_verbs() {
    let config = repository().join("tests/xmlrpc/session.conf");
    let server = Server::foster(&config);
    let client = foster_named("supervisorctl");
    let folder = server.folder.path();
    let [unix, http] = urls(&server);
    let own = format!("unix://{}/foster.sock", folder.display());
    let ask = |options: &[&str], words: &str| {
        let words: Vec<&str> = options.iter().copied().chain(words.split(' ')).collect();
        let text = shown(&command(&client, folder, &words).output().expect("a client"));
        Regex::new(r"pid \d+").expect("a pattern").replace_all(&text, "pid N").into_owned()
    };
    let own = ["-s", &own];
    let deadline = Instant::now() + PATIENCE;
    while ask(&own, "status").matches("RUNNING").count() != 3 {
        assert!(Instant::now() < deadline, "{}", server.output());
    }
    for words in [
        "status",
        "status nothing",
        "avail",
        "pid",
        "pid web",
        "version",
        "reread",
        "tail web",
        "tail web stderr",
        "tail gone",
        "start off",
        "stop off",
        "signal CONT all",
        "restart worker:*",
        "start gone",
        "update",
        "add web",
        "clear web",
        "nothing",
    ] {
        let expected = ask(&own, words);
        assert!(!expected.contains("error: "), "{words}: {expected}");
        for url in [&unix, &http] {
            // It was done above.
            match words {
                "start off" => drop(ask(&own, "stop off")),
                "stop off" => drop(ask(&own, "start off")),
                "start gone" => drop(ask(&own, "stop gone")),
                _ => {}
            }
            assert_eq!(ask(&["-s", url, "-u", "user", "-p", "123"], words), expected, "{url} {words}");
        }
    }
    assert!(
        ask(&["-s", &http, "-u", "user", "-p", "no"], "status")
            .contains("Server requires authentication\nerror: …\n--\n[1]")
    );
    assert_eq!(ask(&own, "shutdown"), "Shut down\n--\n[0]");
}
