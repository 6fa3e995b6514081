//! XML-RPC of the web helper, beside supervisord itself: its own client calls every method of both, and the types, values
//! and faults are the same. What differs on purpose is in `docs/from-supervisord.md`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{binary, python_with, repository};

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor with HTTP servers.
pub(crate) struct Server {
    supervisor: Child,
    config: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

/// A port that no process listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

impl Server {
    /// Runs `supervisord -n -c CONFIG`.
    pub(crate) fn start(supervisord: &Path, config: &Path) -> Server {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let output = fs::File::create(folder.path().join("output")).expect("a file");
        let supervisor = Command::new(supervisord)
            .args(["-n", "-c"])
            .arg(config)
            .env("DIR", folder.path())
            .env("PORT", port.to_string())
            .env("FOSTER_SOCKET", folder.path().join("foster.sock"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a copy"))
            .stderr(output)
            .spawn()
            .expect("supervisord");
        let server = Server { supervisor, config: config.to_owned(), folder, port };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{}", server.output());
            std::thread::yield_now();
        }
        server
    }

    /// foster called `supervisord`.
    pub(crate) fn foster(config: &Path) -> Server {
        let names = tempfile::tempdir().expect("a folder");
        let link = names.path().join("supervisord");
        symlink(binary(), &link).expect("a link");
        Server::start(&link, config)
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    fn unix_url(&self) -> String {
        format!("unix://{}/rpc.sock", self.folder.path().display())
    }

    /// Runs a command with the variables of the configuration.
    fn run(&self, command: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(command);
        command.args(arguments).env("DIR", self.folder.path()).env("PORT", self.port.to_string());
        command.stdin(Stdio::null()).output().expect("a command")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.supervisor.id().try_into().expect("a pid")), Signal::SIGTERM);
        let _ = self.supervisor.wait();
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn config() -> PathBuf {
    repository().join("tests/xmlrpc/session.conf")
}

#[test]
fn every_method_answers_as_that_of_supervisord_also_to_fifty_clients_at_once() {
    let Some(python) = python_with("supervisor") else { return };
    let python = Path::new(&python);
    let script = repository().join("tests/xmlrpc/session.py").display().to_string();
    let session = |server: Server| {
        let output = server.run(python, &[&script, &server.unix_url()]);
        assert!(output.status.success(), "{}{}", text(&output), server.output());
        text(&output)
    };
    let (real, foster) = std::thread::scope(|scope| {
        let real = scope.spawn(|| session(Server::start(&python.with_file_name("supervisord"), &config())));
        let foster = session(Server::foster(&config()));
        (real.join().expect("supervisord's session"), foster)
    });
    let pairs = foster.lines().zip(real.lines()).filter(|(foster, real)| foster != real);
    let differences: Vec<String> =
        pairs.map(|(foster, real)| format!("foster: {foster}\nsupervisord: {real}")).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(foster.lines().count(), real.lines().count());
}

#[test]
fn the_unmodified_supervisorctl_controls_foster() {
    let Some(python) = python_with("supervisor") else { return };
    let supervisorctl = Path::new(&python).with_file_name("supervisorctl");
    let server = Server::foster(&config());
    let config = server.config.display().to_string();
    let ask = |words: &str| {
        let words = words.split(' ');
        let output =
            server.run(&supervisorctl, &["-c", &config].into_iter().chain(words).collect::<Vec<_>>());
        (text(&output), output.status.code().expect("an exit status"))
    };
    let deadline = Instant::now() + PATIENCE;
    while !ask("status worker:*").0.lines().all(|line| line.contains("RUNNING")) {
        assert!(Instant::now() < deadline, "{}", server.output());
    }
    for (words, printed, status) in [
        ("start off", "off: started\n", 0),
        ("start off", "off: ERROR (already started)\n", 0),
        ("stop off", "off: stopped\n", 0),
        ("start gone", "gone: ERROR (no such file)\n", 1),
        ("start early", "early: ERROR (spawn error)\n", 7),
        ("signal CONT web", "web: signalled\n", 0),
        ("restart worker:worker_00", "worker:worker_00: stopped\nworker:worker_00: started\n", 0),
        ("status absent", "absent: ERROR (no such process)\n", 4),
        ("tail web", "0123456789\n\n", 0),
        ("tail web stderr", "<&\"> é\n\n", 0),
        ("pid absent", "No such process absent\n", 1),
        ("version", concat!(env!("CARGO_PKG_VERSION"), "\n"), 0),
    ] {
        assert_eq!(ask(words), (printed.to_owned(), status), "{words}");
    }
    assert_eq!(ask("status off web").1, 3);
    assert_eq!(ask("shutdown"), ("Shut down\n".to_owned(), 0));
}

/// A client of XML-RPC that asks one question.
fn question(server: &Server, python: &Path, call: &str) -> String {
    let program = format!(
        "import xmlrpc.client, sys\nfrom supervisor.xmlrpc import SupervisorTransport\n\
         proxy = xmlrpc.client.ServerProxy('http://127.0.0.1', transport=SupervisorTransport('user', '123', sys.argv[1]))\n\
         print(proxy.{call})\n"
    );
    text(&server.run(python, &["-c", &program, &format!("http://127.0.0.1:{}", server.port)]))
}

/// The pid of the helper, once foster has one.
fn helper(server: &Server) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let socket = server.folder.path().join("foster.sock").display().to_string();
        let status = server.run(&binary(), &["status", "foster-web", "--json", "--socket", &socket]);
        let row: Option<serde_json::Value> = serde_json::from_slice(&status.stdout).ok();
        let rows = row.as_ref().and_then(|row| row.as_array().and_then(|rows| rows.first()).or(Some(row)));
        if let Some(pid) = rows.and_then(|row| row.get("pid")).and_then(serde_json::Value::as_i64) {
            return i32::try_from(pid).expect("a pid");
        }
        assert!(Instant::now() < deadline, "{}", text(&status));
        std::thread::yield_now();
    }
}

#[test]
fn the_helper_is_unprivileged_and_is_started_again_unnoticed() {
    let Some(python) = python_with("supervisor") else { return };
    let server = Server::foster(&config());
    // A helper that answers has given up its privileges.
    let all = question(&server, Path::new(&python), "supervisor.getAllProcessInfo()");
    let before = helper(&server);
    let state = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let field = |pid: i32, name: &str| {
        let status = state(pid);
        let line = status.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.expect("a field").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    if nix::unistd::Uid::effective().is_root() {
        assert_eq!(field(before, "Uid:"), ["65534"; 4]);
        assert_eq!(field(before, "Gid:"), ["65534"; 4]);
        assert_eq!(field(before, "CapEff:"), ["0000000000000000"]);
    }
    assert_eq!(field(before, "NoNewPrivs:"), ["1"]);
    assert_eq!(field(before, "Threads:"), ["1"]);
    let (socket, hidden) = (server.folder.path().join("foster.sock").display().to_string(), "foster-web");
    let listed = text(&server.run(&binary(), &["status", "--socket", &socket]));
    assert!(!all.contains(hidden) && !listed.contains(hidden) && listed.contains("worker"), "{all}{listed}");
    let web = question(&server, Path::new(&python), "supervisor.getProcessInfo('web')['pid']");
    for _ in 0..3 {
        let pid = helper(&server);
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
        while helper(&server) == pid {
            std::thread::yield_now();
        }
        // A connection waits in the backlog meanwhile.
        assert_eq!(question(&server, Path::new(&python), "supervisor.getProcessInfo('web')['pid']"), web);
    }
    assert!(server.output().contains("SIGKILL; started again in"), "{}", server.output());
}

#[test]
fn a_helper_of_another_process_is_not_answered() {
    let server = Server::foster(&config());
    let pid = helper(&server);
    let deadline = Instant::now() + PATIENCE;
    while let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) {
        let text = String::from_utf8_lossy(&environment).into_owned();
        let name = text.split("\"supervisor\":\"@").nth(1).and_then(|rest| rest.split('"').next());
        // Before its exec it has foster's environment.
        let Some(name) = name else {
            assert!(Instant::now() < deadline, "{text}");
            std::thread::yield_now();
            continue;
        };
        let address = nix::sys::socket::UnixAddr::new_abstract(name.as_bytes()).expect("an address");
        let (family, kind) = (nix::sys::socket::AddressFamily::Unix, nix::sys::socket::SockType::Stream);
        let socket = nix::sys::socket::socket(family, kind, nix::sys::socket::SockFlag::empty(), None)
            .expect("a socket");
        nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).expect("a connection");
        let _ = nix::unistd::write(&socket, b"{\"verb\":\"shutdown\"}\n");
        assert!(matches!(
            nix::unistd::read(&socket, &mut [0; 100]),
            Ok(0) | Err(nix::errno::Errno::ECONNRESET)
        ));
        break;
    }
    assert_eq!(helper(&server), pid);
}
