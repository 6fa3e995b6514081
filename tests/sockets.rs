//! Listening sockets: foster opens them, programs get them, and no connection is refused while a program is away.

mod files;
mod leftovers;
mod servers;
mod updates;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, descriptors, found, free_port, get, may_make_namespaces};

/// Writes the configuration again, with the same control socket.
fn rewrite(foster: &Running, text: &str) {
    let socket = foster.path("foster.sock");
    let text = format!("{text}\n[foster]\nsocket = '{}'\n", socket.display());
    std::fs::write(foster.path("foster.toml"), text).expect("foster.toml");
}

/// The listening sockets that foster holds, each as `socket:[INODE]`: not the connections of clients, which it closes
/// some time after they ended.
fn held(foster: &Running) -> Vec<String> {
    // The fields that tell a listening socket, and its inode: proc_net_tcp(5), proc_net_unix(5).
    let tables = [("tcp", 3, "0A", 9), ("tcp6", 3, "0A", 9), ("unix", 3, "00010000", 6)];
    let mut listening = Vec::new();
    for (table, field, value, inode) in tables {
        let lines = std::fs::read_to_string(format!("/proc/{}/net/{table}", foster.pid()));
        for line in lines.expect("a live process").lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(field) == Some(&value) {
                listening.push(format!("socket:[{}]", fields[inode]));
            }
        }
    }
    let open = descriptors(foster.pid());
    listening.retain(|socket| open.iter().any(|one| one.ends_with(&format!(" {socket}"))));
    listening.sort();
    listening
}

/// What a program has at this descriptor.
fn given(foster: &Running, program: &str, descriptor: i32) -> String {
    let link = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", foster.pid_of(program)));
    link.expect("a descriptor").display().to_string()
}

/// The inner pid of a program.
fn inner_pid(foster: &Running, program: &str) -> u64 {
    foster.row(program).and_then(|row| row["pid"].as_u64()).expect("a pid")
}

#[test]
fn a_program_gets_its_sockets_from_descriptor_3_on_as_from_systemd() {
    let (one, two) = (free_port(), free_port());
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let config = format!(
        "[program.web]\ncommand = 'puppet ids env fds touch:done pause'\n\
         pre_start = 'puppet print:before env fds'\n\
         environment = {{ LISTEN_FDS = '7', LISTEN_PID = '7', LISTEN_PORT = '80' }}\n\
         sockets = ['tcp://127.0.0.1:{one}', 'tcp://127.0.0.1:{two}?name=admin', 'unix://{here}/s', 'unix://@{here}']\n"
    );
    let foster = foster.config(&config).env("LISTEN_FDNAMES", "foster:own").one_stream().start();
    foster.wait_for_file("done");
    foster.wait_for_line("fd 6 socket:");
    let seen = foster.output().stdout();
    let (before, program) = seen.split_once("pid=").expect("two processes");
    assert!(before.contains("LISTEN_PID=7") && !before.contains("socket:"), "{before}");
    assert!(!before.contains("LISTEN_FDNAMES"), "{before}");
    for line in [
        &format!("LISTEN_PID={}", inner_pid(&foster, "web")),
        "LISTEN_FDS=4",
        "LISTEN_FDNAMES=web:admin:web:web",
        "LISTEN_PORT=80",
        "fd 3 socket:",
        "fd 4 socket:",
        "fd 5 socket:",
    ] {
        assert!(program.contains(line), "{line}\n{seen}");
    }
    assert!(!program.contains("fd 7 "), "{seen}");
    let seen = foster.verb(&["exec", "web", "--", "puppet", "env", "fds"]).expect(0).stdout;
    assert!(!seen.contains("LISTEN_FDNAMES") && !seen.contains("socket:"), "{seen}");
}

#[test]
fn a_connection_to_a_program_that_is_not_started_yet_waits_for_it() {
    let port = free_port();
    let foster = Foster::new()
        .config(&format!(
            "[program.web]\ncommand = 'puppet accept:3:late pause'\nautostart = false\nsockets = 'tcp://127.0.0.1:{port}'\n\
             [program.other]\ncommand = 'puppet pause'\n"
        ))
        .start();
    foster.wait_for_state("other", "running");
    let mut waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a place in the backlog");
    waiting.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
    foster.verb(&["start", "web"]).expect(0);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with(&format!("late {}\n", inner_pid(&foster, "web"))), "{answer}");
}

/// Asks again and again until it is over. Returns how many requests were answered, failed, and were refused.
fn ask(port: u16, is_over: &AtomicBool) -> (u32, u32, u32) {
    let (mut answered, mut failed, mut refused) = (0, 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                refused += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let mut answer = String::new();
        let sent = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
        match sent.and_then(|()| stream.read_to_string(&mut answer)) {
            Ok(_) if answer.ends_with('\n') => answered += 1,
            // The process that had accepted it was killed.
            Ok(_) | Err(_) => failed += 1,
        }
    }
    (answered, failed, refused)
}

#[test]
fn no_connection_is_refused_while_the_only_instance_is_killed_twenty_times() {
    const CLIENTS: u32 = 4;
    const KILLS: u32 = 20;
    let port = free_port();
    let foster = Foster::new()
        .config(&format!(
            "[program.web]\ncommand = 'puppet accept:3 pause'\nsockets = 'tcp://127.0.0.1:{port}'\n\
             min_uptime = '1ms'\nstart_limit = 'unlimited'\nbackoff = {{ factor = 1 }}\n"
        ))
        .start();
    foster.wait_for("an answer", || get(port, "/").is_some());
    let is_over = AtomicBool::new(false);
    let results = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| ask(port, &is_over))).collect();
        for killed in 1..=KILLS {
            foster.wait_for("an answer", || get(port, "/").is_some());
            kill(Pid::from_raw(foster.pid_of("web")), Signal::SIGKILL).expect("a signal");
            foster.wait_for("a restart", || {
                foster.row("web").is_some_and(|row| row["restarts"].as_u64() >= Some(killed.into()))
            });
        }
        foster.wait_for("an answer", || get(port, "/").is_some());
        is_over.store(true, Ordering::Relaxed);
        // The last requests are answered: the program runs.
        clients.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    for (answered, failed, refused) in results {
        assert_eq!(refused, 0, "{answered} answered, {failed} failed");
        assert!(answered > 0 && failed <= KILLS, "{answered} answered, {failed} failed");
    }
}

#[test]
fn crashes_restarts_reloads_and_updates_of_other_keys_keep_the_socket() {
    let port = free_port();
    let config = |more: &str| {
        format!(
            "[program.web]\ncommand = 'puppet trap:HUP:print:again accept:3 pause'\nmin_uptime = '1ms'\n\
             reload_signal = 'HUP'\nsockets = 'tcp://127.0.0.1:{port}'\n{more}"
        )
    };
    let foster = Foster::new().config(&config("")).start();
    foster.wait_for_state("web", "running");
    let first = given(&foster, "web", 3);
    assert!(held(&foster).contains(&first), "{:?}", held(&foster));
    let pid = foster.pid_of("web");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    foster.wait_for("another process", || foster.pid_of("web") != pid);
    assert_eq!(given(&foster, "web", 3), first);
    foster.verb(&["restart", "web"]).expect(0);
    assert_eq!(given(&foster, "web", 3), first);
    foster.verb(&["reload", "web"]).expect(0);
    foster.wait_for_line("again");
    assert_eq!(given(&foster, "web", 3), first);
    rewrite(&foster, &config("environment = { A = '1' }\n"));
    foster.verb(&["update"]).expect(0);
    assert_eq!(given(&foster, "web", 3), first);
    foster.verb(&["stop", "web"]).expect(0);
    assert!(held(&foster).contains(&first), "{:?}", held(&foster));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn a_socket_blocks_again_when_no_process_is_left_that_made_it_non_blocking() {
    let port = free_port();
    let foster = Foster::new()
        .config(&format!(
            "[program.web]\ncommand = 'puppet nonblocking:3 touch:set wait-file:go accept:3 pause'\n\
             sockets = 'tcp://127.0.0.1:{port}'\nmin_uptime = '1ms'\n\
             [program.second]\ncommand = 'puppet touch:second pause'\nautostart = false\nsockets = 'tcp://127.0.0.1:{port}'\n"
        ))
        .start();
    let is_blocking = || {
        let flags = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", foster.pid_of("web")));
        let flags = flags.expect("a descriptor");
        let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
        u32::from_str_radix(flags, 8).expect("octal") & 0o4000 == 0
    };
    foster.wait_for_file("set");
    assert!(!is_blocking());
    // It is the flag of both, and the first one relies on it.
    foster.verb(&["start", "second"]).expect(0);
    assert!(!is_blocking());
    foster.verb(&["stop", "web", "second"]).expect(0);
    foster.verb(&["start", "second"]).expect(0);
    let flags = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", foster.pid_of("second")));
    assert!(
        flags
            .expect("a descriptor")
            .lines()
            .any(|line| line.starts_with("flags:") && !line.ends_with("4002"))
    );
}

#[test]
fn a_port_in_use_is_a_failed_start_with_the_reason_and_is_tried_again() {
    let port = free_port();
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
    let foster = Foster::new()
        .config(&format!(
            "[program.web]\ncommand = 'puppet accept:3 pause'\nsockets = 'tcp://127.0.0.1:{port}'\n\
             start_limit = 'unlimited'\nbackoff = {{ factor = 1 }}\n"
        ))
        .start();
    let reason =
        format!("listening at `tcp://127.0.0.1:{port}`: Address already in use: stop the other server");
    foster.wait_for_line(&format!("web: cannot open its socket: {reason}"));
    foster.wait_for_line(&format!("cannot start web: {reason}"));
    assert!(other.as_raw_fd() > 0);
    drop(other);
    foster.wait_for("an answer", || get(port, "/").is_some());
}

#[test]
fn root_opens_a_privileged_port_for_a_program_of_another_user() {
    if !may_make_namespaces() {
        return;
    }
    let foster = Foster::new();
    // An address of the loopback network that only this test uses, so that the port is free.
    let [.., a, b] = std::process::id().to_be_bytes();
    let address = format!("127.77.{a}.{b}:80");
    let config = format!(
        "[program.web]\ncommand = 'puppet cat:/proc/self/status accept:3:user pause'\nuser = '65534'\nsockets = 'tcp://{address}'\n"
    );
    let foster = foster.config(&config).read_only().start();
    let mut stream = None;
    foster.wait_for("a connection", || {
        stream = TcpStream::connect(&address).ok();
        stream.is_some()
    });
    let (mut stream, mut answer) = (stream.expect("a connection"), String::new());
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("user "), "{answer}");
    foster.wait_for_line(r"Uid:\s+65534\s+65534");
}

#[test]
fn a_privileged_port_without_the_capability_is_named_with_the_remedy() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.web]\ncommand = 'puppet pause'\nsockets = 'tcp://127.0.0.1:80'\n";
    let mut foster = Foster::new().config(config).uid(12345).start();
    foster.wait_for_line(
        "cannot start web: listening at `tcp://127.0.0.1:80`: Permission denied: a port below .* needs CAP_NET_BIND_SERVICE",
    );
    // It cannot succeed later: three attempts.
    assert_eq!(foster.wait_exit(), End::Code(1));
}

#[test]
fn a_python_program_takes_its_sockets_from_their_descriptors() {
    let Some(_) = found("python3") else { return };
    let port = free_port();
    let script = "import os, socket\n\
        assert os.environ['LISTEN_PID'] == str(os.getpid()) and os.environ['LISTEN_FDS'] == '1'\n\
        server = socket.fromfd(3, socket.AF_INET, socket.SOCK_STREAM)\n\
        while True:\n    client, _ = server.accept()\n    client.recv(4096)\n\
        \x20   client.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nfromfd\\n')\n    client.close()\n";
    let foster = Foster::new()
        .config(&format!(
            "[program.web]\ncommand = ['python3', 'server.py']\nsockets = 'tcp://127.0.0.1:{port}'\n"
        ))
        .file("server.py", script)
        .start();
    foster.wait_for("an answer", || {
        get(port, "/").is_some_and(|(status, body)| status == 200 && body == "fromfd\n")
    });
}

#[test]
fn check_here_names_a_port_that_is_in_use() {
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = other.local_addr().expect("its address").port();
    let config = format!("[program.web]\ncommand = 'puppet pause'\nsockets = ['tcp://127.0.0.1:{port}']\n");
    let said =
        Foster::new().config(&config).finish(&["check", "--here", "-c", "foster.toml"]).expect(2).stderr;
    let expected = format!(
        "cannot open a socket of `web`: listening at `tcp://127.0.0.1:{port}`: Address already in use"
    );
    assert!(said.contains(&expected) && said.contains("stop the other server"), "{said}");
}
