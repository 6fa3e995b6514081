//! The web helper under attack: its memory is bounded, PID 1 has no part in it, no request without the password is obeyed, and
//! an ordinary client gets its answer.
//!
//! The tests measure no time. The memory of the helper is its highest since its start (`VmHWM`, proc_pid_status(5)).

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::{Foster, Running, allocated_kib, descriptors, free_port, resident_kib, rows};

/// What clients may add to the memory of the helper and of PID 1, in KiB.
#[derive(Clone, Copy)]
struct Bound {
    helper: u64,
    own: u64,
}

/// Without the password: 64 clients, with 32 KiB each at most, and what the allocator adds; PID 1 hears nothing of them.
const STRANGERS: Bound = Bound { helper: 3 * 1024, own: 128 };
/// With the password: the bound of `src/web/limits.rs`, and the one answer that is written at a time; PID 1 has buffers for
/// the answers that it sends to the helper.
const CLIENTS: Bound = Bound { helper: 24 * 1024, own: 512 };
/// What may be left in the helper when all clients have gone: the allocator keeps some free pieces of each size.
const LEFT_KIB: u64 = 1024;
/// How long a client waits for an answer; no test passes by reaching it.
const PATIENCE: Duration = Duration::from_secs(60);

const PASSWORD: &str = "Authorization: Basic dXNlcjoxMjM=\r\n";
const WRONG: &str = "Authorization: Basic dXNlcjoxMjQ=\r\n";
const STATE: &str = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";

/// foster as PID 1 with a web helper.
struct Attacked {
    foster: Running,
    port: u16,
    helper: i32,
    helper_kib: u64,
    allocated_kib: u64,
    descriptors: usize,
    own_kib: u64,
    own_descriptors: usize,
    web: i32,
}

/// The highest resident memory of a process.
fn peak_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

impl Attacked {
    fn start() -> Attacked {
        let port = free_port();
        let foster = Foster::new();
        let (folder, socket) = (foster.folder().display().to_string(), foster.folder().join("foster.sock"));
        let servers = format!(
            "[supervisord]\nnodaemon=true\n[inet_http_server]\nport=127.0.0.1:{port}\nusername=user\npassword=123\n\
             [unix_http_server]\nfile={folder}/rpc.sock\nusername=user\npassword=123\n"
        );
        let programs = "[program:web]\ncommand=puppet pause\nstartsecs=0\n\
            [program:noisy]\ncommand=puppet lines:20000 touch:written trap:USR1:lines:20000 pause\nstartsecs=0\n\
            stdout_logfile=%(here)s/noisy.log\n\
            [program:wide]\ncommand=puppet line:60000 touch:wide pause\nstartsecs=0\nstdout_logfile=%(here)s/wide.log\n";
        let foster = foster.file("supervisord.conf", &format!("{servers}{programs}"));
        let foster = foster.env("FOSTER_SOCKET", &socket.display().to_string());
        let foster = foster.arguments(&["run", "-c", "supervisord.conf"]).start();
        foster.wait_for_file("written");
        foster.wait_for_file("wide");
        let web = foster.pid_of("web");
        let helper = helper(&foster);
        foster.wait_for("an answer", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let mut attacked = Attacked {
            foster,
            port,
            helper,
            helper_kib: 0,
            allocated_kib: 0,
            descriptors: 0,
            own_kib: 0,
            own_descriptors: 0,
            web,
        };
        // The first answers allocate what is used again.
        for _ in 0..3 {
            attacked.assert_answers();
            attacked.foster.verb(&["status"]).expect(0);
        }
        attacked.foster.wait_for("its descriptors", || descriptors(helper).len() <= 8);
        (attacked.helper_kib, attacked.descriptors) = (peak_kib(helper), descriptors(helper).len());
        attacked.allocated_kib = allocated_kib(helper);
        let own = attacked.foster.pid();
        (attacked.own_kib, attacked.own_descriptors) = (resident_kib(own), descriptors(own).len());
        attacked
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a limit");
        client.set_write_timeout(Some(PATIENCE)).expect("a limit");
        client
    }

    /// A client that sends these bytes, as far as they are accepted.
    fn sending(&self, bytes: &[u8]) -> TcpStream {
        let mut client = self.connect();
        let _ = client.write_all(bytes);
        client
    }

    /// Sends a request; the answer to it.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        read_answer(&mut self.sending(&request(head, body)))
    }

    #[track_caller]
    fn assert_answers(&self) {
        let answer = self.ask(PASSWORD, STATE.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("RUNNING"), "{answer}");
    }

    /// Control works, no program was touched, and PID 1 has not grown.
    #[track_caller]
    fn assert_not_felt(&self, bound: Bound) {
        self.foster.verb(&["status"]).expect(0);
        assert_eq!(self.foster.pid_of("web"), self.web);
        let own = resident_kib(self.foster.pid());
        let most = self.own_kib + bound.own;
        assert!(own <= most, "PID 1: {} KiB before, {own} KiB after", self.own_kib);
    }

    /// The same helper has used at most this much memory, and everything is as before.
    #[track_caller]
    fn assert_bounded(&self, bound: Bound) {
        self.assert_answers();
        self.assert_not_felt(bound);
        assert_eq!(helper(&self.foster), self.helper, "{}", self.foster.output().shown());
        let peak = peak_kib(self.helper);
        assert!(peak <= self.helper_kib + bound.helper, "{} KiB before, {peak} KiB at most", self.helper_kib);
        self.foster
            .wait_for("the helper's descriptors", || descriptors(self.helper).len() <= self.descriptors);
        self.foster
            .wait_for("the helper's memory", || allocated_kib(self.helper) <= self.allocated_kib + LEFT_KIB);
        self.foster
            .wait_for("PID 1's descriptors", || descriptors(self.foster.pid()).len() <= self.own_descriptors);
    }
}

/// The pid of the helper in the tests' namespace.
fn helper(foster: &Running) -> i32 {
    let mut found = None;
    foster.wait_for("the helper", || {
        let rows = rows(&foster.verb(&["status", "--json", "foster-web"]).stdout);
        let pid = rows.first().and_then(|row| row.get("pid")?.as_i64());
        let processes = foster.processes().into_iter();
        found = processes.map(|one| (one.pid, one.inner_pid)).find(|(_, inner)| pid == Some((*inner).into()));
        found.is_some()
    });
    found.expect("just found").0
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A call of a method with these parameters in XML.
fn call(method: &str, params: &str) -> String {
    format!("<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>")
}

fn param(text: &str) -> String {
    format!("<param><value><string>{text}</string></value></param>")
}

/// One answer with its body, as far as it comes.
fn read_answer(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => bytes.extend(byte),
            Ok(_) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<u64>().ok());
    let _ = client.take(length.unwrap_or(0)).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn slow_clients_lock_out_no_other_and_cost_little() {
    let attacked = Attacked::start();
    let long = format!("POST /RPC2 HTTP/1.1\r\nX: {}", "x".repeat(15_000));
    let head = |number: usize| long.as_bytes().get(..if number.is_multiple_of(2) { 24 } else { long.len() });
    let mut slow: Vec<TcpStream> =
        (0..300).map(|number| attacked.sending(head(number).expect("a part"))).collect();
    for round in 0..30 {
        for client in &mut slow {
            // A client that was closed for another one notices it here.
            let _ = client.write_all(if round % 3 == 2 { b"\r\nY: " } else { b"x" });
        }
        attacked.assert_answers();
        attacked.assert_not_felt(STRANGERS);
    }
    drop(slow);
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn a_flood_of_connections_locks_out_no_client() {
    let attacked = Attacked::start();
    for _ in 0..4 {
        let silent: Vec<TcpStream> = (0..500).map(|_| attacked.connect()).collect();
        attacked.assert_answers();
        attacked.assert_not_felt(STRANGERS);
        drop(silent);
    }
    for _ in 0..2_000 {
        drop(attacked.connect());
    }
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn a_body_of_a_gigabyte_is_refused_with_its_reason_before_it_is_read() {
    const GIGABYTE: usize = 1 << 30;
    let attacked = Attacked::start();
    let piece = vec![b'x'; 1 << 20];
    for (password, kind, status_of_it) in [
        (PASSWORD, "Content-Length: 1073741824\r\n", 413),
        (PASSWORD, "Transfer-Encoding: chunked\r\n", 501),
        (PASSWORD, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 501),
        (WRONG, "Content-Length: 200000\r\n", 401),
        ("", "Content-Length: 1073741824\r\n", 413),
    ] {
        let mut client = attacked.sending(format!("POST /RPC2 HTTP/1.1\r\n{password}{kind}\r\n").as_bytes());
        // The reason is there although the body is still to come.
        assert_eq!(status(&read_answer(&mut client)), status_of_it, "{kind}");
        let mut sent = 0;
        while sent < GIGABYTE && client.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        assert!(sent < 64 << 20, "{sent} bytes were accepted");
    }
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn large_bodies_of_many_clients_are_bounded_together() {
    let attacked = Attacked::start();
    let body = vec![b' '; 256 * 1024];
    let whole = request(PASSWORD, &body);
    for _ in 0..3 {
        let held: Vec<TcpStream> = (0..200)
            .map(|_| {
                let client = attacked.connect();
                client.set_nonblocking(true).expect("a connection that does not block");
                let mut rest = &whole[..whole.len() - 1];
                while let Ok(count @ 1..) = (&client).write(rest) {
                    rest = &rest[count..];
                }
                client
            })
            .collect();
        attacked.assert_answers();
        attacked.assert_not_felt(CLIENTS);
        drop(held);
    }
    attacked.assert_bounded(CLIENTS);
}

#[test]
fn heads_that_are_too_long_or_none_are_refused() {
    let attacked = Attacked::start();
    let many = "a: b\r\n".repeat(10_000);
    let long = format!("a: {}\r\n", "b".repeat(8 << 20));
    for (head, expected) in [
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{long}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(8 << 20)), 431),
        ("\0".repeat(1 << 20), 400),
        ("GET / HTTP/1.1\r\na\0: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n".to_owned(), 400),
        ("POST /RPC2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
        ("POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = attacked.connect();
        let mut sender = client.try_clone().expect("a copy");
        // More than the kernel keeps: it is sent while the answer is read.
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = sender.write_all(head.as_bytes());
                let _ = sender.shutdown(Shutdown::Write);
            });
            read_answer(&mut client)
        });
        let shown: String = head.chars().take(40).collect();
        assert_eq!(status(&answer), expected, "{shown:?}: {answer}");
    }
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn documents_made_to_grow_are_refused_or_cost_what_they_are_long() {
    let attacked = Attacked::start();
    let nested = |depth: usize| {
        let (open, close) = ("<value><array><data>", "</data></array></value>");
        call("supervisor.getState", &format!("<param>{}{}</param>", open.repeat(depth), close.repeat(depth)))
    };
    let entities: String =
        (0..30).map(|n| format!("<!ENTITY e{} '&e{n};&e{n};'>", n + 1)).collect::<Vec<_>>().concat();
    let bomb = format!(
        "<!DOCTYPE b [<!ENTITY e0 'x'>{entities}]><methodCall><methodName>&e30;</methodName></methodCall>"
    );
    let file = "<!DOCTYPE b [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><methodCall><methodName>&f;</methodName></methodCall>";
    let values =
        format!("<param><value><array><data>{}</data></array></value></param>", "<value/>".repeat(20_000));
    for document in [
        bomb,
        file.to_owned(),
        nested(5_000),
        call("supervisor.getState", &values),
        "<".repeat(200_000),
        "<a>".repeat(60_000),
        format!("<methodCall>{}", "<!-- -->".repeat(25_000)),
        format!("<methodCall><methodName>{}", "&lt;".repeat(50_000)),
        format!("<methodCall a='{}'>", "<".repeat(200_000)),
    ] {
        let answer = attacked.ask(PASSWORD, document.as_bytes());
        assert_eq!(status(&answer), 400, "{answer}");
    }
    // A long text is a text.
    let long = call("supervisor.getProcessInfo", &param(&"x".repeat(250_000)));
    let answer = attacked.ask(PASSWORD, long.as_bytes());
    assert!(answer.contains("BAD_NAME"), "{}", answer.get(..300).unwrap_or_default());
    // Each call of several has a large result.
    let one = "<value><struct><member><name>methodName</name><value>supervisor.readProcessStdoutLog</value></member>\
        <member><name>params</name><value><array><data><value>wide</value><value><int>0</int></value><value><int>0</int></value>\
        </data></array></value></member></struct></value>";
    let several = format!("<param><value><array><data>{}</data></array></value></param>", one.repeat(600));
    let answer = attacked.ask(PASSWORD, call("system.multicall", &several).as_bytes());
    assert!(
        status(&answer) == 200 && answer.contains("the results together are too long"),
        "{}",
        answer.len()
    );
    assert!(answer.len() < 8 << 20, "{} bytes", answer.len());
    attacked.assert_bounded(CLIENTS);
}

#[test]
fn ten_thousand_wrong_passwords_control_nothing() {
    let attacked = Attacked::start();
    let orders = [
        call("supervisor.shutdown", ""),
        call("supervisor.restart", ""),
        call("supervisor.stopProcess", &param("web")),
        call("supervisor.stopAllProcesses", ""),
        call("supervisor.signalProcess", &[param("web"), param("KILL")].concat()),
        call("supervisor.sendProcessStdin", &[param("web"), param("x")].concat()),
        call("supervisor.removeProcessGroup", &param("web")),
        call("system.multicall", ""),
    ];
    let path = attacked.foster.path("rpc.sock");
    for attempt in 0..10_000_usize {
        let guess = [
            WRONG,
            "",
            "Authorization: Basic dXNlcjo=\r\n",
            "Authorization: Basic =\r\n",
            "Authorization: Bearer 123\r\n",
        ];
        let text = request(guess[attempt % guess.len()], orders[attempt % orders.len()].as_bytes());
        let mut client = UnixStream::connect(&path).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a limit");
        client.write_all(&text).expect("a request");
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("Basic realm"), "{answer}");
    }
    // Every path asks for it.
    for path in
        ["/", "/mainlogtail", "/logtail/web", "/RPC2", "/metrics", "/index.html?processname=web&action=stop"]
    {
        let text = format!("GET {path} HTTP/1.1\r\n{WRONG}\r\n");
        assert_eq!(status(&read_answer(&mut attacked.sending(text.as_bytes()))), 401, "{path}");
    }
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn half_closed_clients_get_their_answer_and_others_are_closed() {
    let attacked = Attacked::start();
    let mut whole = attacked.sending(&request(PASSWORD, STATE.as_bytes()));
    whole.shutdown(Shutdown::Write).expect("a shutdown");
    assert!(read_answer(&mut whole).contains("RUNNING"));
    assert_eq!(whole.read(&mut [0]).expect("the end"), 0);
    for part in ["", "POST /RP", "POST /RPC2 HTTP/1.1\r\nContent-Length: 10\r\n\r\n<"] {
        for _ in 0..100 {
            let mut client = attacked.sending(part.as_bytes());
            client.shutdown(Shutdown::Write).expect("a shutdown");
            let mut rest = Vec::new();
            let end = client.read_to_end(&mut rest);
            assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 401 "), "{part}");
        }
    }
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn requests_that_are_sent_ahead_are_answered_in_order() {
    let attacked = Attacked::start();
    let name = |number: usize| call("supervisor.getProcessInfo", &param(&format!("absent{number}")));
    let text: Vec<u8> = (0..200).flat_map(|number| request(PASSWORD, name(number).as_bytes())).collect();
    let mut client = attacked.connect();
    let mut sender = client.try_clone().expect("a copy");
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_all(&text).expect("requests"));
        for number in 0..200 {
            let answer = read_answer(&mut client);
            assert!(answer.contains(&format!("BAD_NAME: absent{number}<")), "{answer}");
        }
    });
    drop(client);
    attacked.assert_bounded(STRANGERS);
}

#[test]
fn clients_that_do_not_read_cost_a_bound_and_lock_out_no_other() {
    let attacked = Attacked::start();
    let log = call("supervisor.readProcessStdoutLog", &[param("noisy"), int(0), int(0)].concat());
    let ahead = request(PASSWORD, log.as_bytes()).repeat(300);
    let follow = |path: &str| format!("GET {path} HTTP/1.1\r\n{PASSWORD}\r\n").into_bytes();
    let deaf = |bytes: &[u8]| {
        let client = attacked.connect();
        client.set_nonblocking(true).expect("a connection that does not block");
        let _ = (&client).write(bytes);
        client
    };
    let mut clients: Vec<TcpStream> = (0..40).map(|_| deaf(&ahead)).collect();
    clients.extend((0..10).map(|_| deaf(&follow("/logtail/noisy"))));
    clients.extend((0..10).map(|_| deaf(&follow("/mainlogtail"))));
    for _ in 0..5 {
        attacked.foster.verb(&["signal", "USR1", "noisy"]).expect(0);
        attacked.assert_answers();
        attacked.assert_not_felt(CLIENTS);
    }
    // More clients than the limit, of which none is idle: one that knows the password waits for a place.
    clients.extend((0..60).map(|_| deaf(&ahead)));
    attacked.foster.wait_for("an answer", || attacked.ask(PASSWORD, STATE.as_bytes()).contains("RUNNING"));
    drop(clients);
    attacked.assert_bounded(CLIENTS);
}

fn int(number: i32) -> String {
    format!("<param><value><int>{number}</int></value></param>")
}

#[test]
fn a_path_leads_to_no_file() {
    let attacked = Attacked::start();
    for path in [
        "/../../../etc/passwd",
        "/logtail/../../../etc/passwd",
        "/logtail/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/logtail/web/../../etc/passwd",
        "/logtail/web/stdout/../../../etc/passwd",
        "/logtail/web%00/etc/passwd",
        "/logtail/",
        "/logtail//etc/passwd",
        "//etc/passwd",
        "/static/../supervisord.conf",
        "/supervisord.conf",
        "http://x/../etc/passwd",
        "file:///etc/passwd",
        "/%",
        "/%2",
        "*",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"] {
            let text = format!("{method} {path} HTTP/1.0\r\n{PASSWORD}\r\n");
            let answer = read_answer(&mut attacked.sending(text.as_bytes()));
            assert!([400, 404, 405, 501].contains(&status(&answer)), "{method} {path}: {answer}");
            assert!(
                !answer.contains("root:") && !answer.contains("supervisord]"),
                "{method} {path}: {answer}"
            );
        }
    }
    attacked.assert_bounded(STRANGERS);
}
