//! Real servers from Debian: each stops with all its processes, is restarted after `kill -9`, and leaves nothing behind.
//!
//! They fork, create sessions, drop privileges and keep pid files, unlike the puppet. Each uses a folder and a port of
//! the test. Next: `tree.rs`, the same promises with small processes.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use crate::support::{End, Foster, Running, found, free_port, get, may_make_namespaces, run};

/// Whether a process accepts connections at this port.
fn is_served(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[track_caller]
fn wait_until_ready(foster: &Running, program: &str) {
    foster.wait_for_state(program, "running");
}

/// Checks that after a stop, a `kill -9` and a restart no process of the run before is left, and the next start
/// succeeds.
#[track_caller]
fn assert_managed(mut foster: Running, program: &str, port: u16) {
    wait_until_ready(&foster, program);
    let processes = |foster: &Running| -> Vec<i32> {
        foster.processes().iter().map(|process| process.pid).filter(|pid| *pid != foster.pid()).collect()
    };
    let shown = |foster: &Running| foster.output().shown();

    let before = processes(&foster);
    kill(Pid::from_raw(foster.pid_of(program)), Signal::SIGKILL).expect("a kill");
    foster.wait_for("the restart", || foster.row(program).is_some_and(|row| row["restarts"] == 1));
    wait_until_ready(&foster, program);
    assert!(processes(&foster).iter().all(|pid| !before.contains(pid)), "after kill -9\n{}", shown(&foster));
    assert_eq!(foster.row(program).expect("a row")["restarts"], 1, "{}", shown(&foster));
    assert!(is_served(port), "after kill -9\n{}", shown(&foster));

    let before = processes(&foster);
    foster.verb(&["restart", program]).expect(0);
    assert!(processes(&foster).iter().all(|pid| !before.contains(pid)), "after restart\n{}", shown(&foster));
    assert!(is_served(port), "after restart\n{}", shown(&foster));

    foster.verb(&["stop", program]).expect(0);
    assert_eq!(processes(&foster), Vec::<i32>::new(), "after stop\n{}", shown(&foster));
    assert!(!is_served(port), "after stop\n{}", shown(&foster));

    foster.verb(&["start", program]).expect(0);
    assert!(is_served(port), "after start\n{}", shown(&foster));
    assert_eq!(foster.terminate(), End::Code(0), "{}", shown(&foster));
    assert!(!foster.output().has_line("did not stop within"), "{}", shown(&foster));
}

/// Runs a tool that a test needs; a failure has its output.
#[track_caller]
pub(crate) fn tool(command: &str, arguments: &[&str]) {
    let mut tool = Command::new(command);
    tool.args(arguments);
    run(tool).expect(0);
}

#[test]
fn postfix_leaves_nothing_behind() {
    if !may_make_namespaces() || found("postfix").is_none() {
        return;
    }
    let (foster, port) = (Foster::new(), free_port());
    let folder = foster.folder().display().to_string();
    let at = |name: &str| format!("{folder}/{name}");
    for name in ["queue", "data"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    let user = User::from_name("postfix").expect("/etc/passwd").expect("the user of postfix");
    chown(at("data").as_str(), Some(user.uid.as_raw()), None).expect("root");
    tool("cp", &["-r", "/etc/postfix", &at("conf")]);
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\nmail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmydestination =\nalias_maps =\n"
    );
    let services = format!(
        "{port} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n"
    );
    let config = format!(
        "[program.mail]\ncommand = ['{}', '-c', '{folder}/conf', 'start-fg']\nready = {{ tcp = '127.0.0.1:{port}' }}\n",
        found("postfix").expect("just found").display()
    );
    let foster = foster.file("conf/main.cf", &main).file("conf/master.cf", &services).config(&config).start();
    assert_managed(foster, "mail", port);
}

/// Debian's folder of the PostgreSQL servers, which is not in PATH.
fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let programs =
        versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").is_file());
    crate::support::present_or_skipped(programs, "PostgreSQL")
}

#[test]
fn postgres_leaves_nothing_behind() {
    if !may_make_namespaces() {
        return;
    }
    let Some(bin) = postgres() else { return };
    let (foster, port) = (Foster::new(), free_port());
    let folder = foster.folder().join("pg");
    fs::create_dir(&folder).expect("a folder");
    let user = User::from_name("postgres").expect("/etc/passwd").expect("the user of postgres");
    chown(&folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root");
    let data = folder.join("data").display().to_string();
    let initdb = bin.join("initdb").display().to_string();
    tool(
        "runuser",
        &["-u", "postgres", "--", &initdb, "-D", &data, "-A", "trust", "--no-sync", "-U", "postgres"],
    );
    let config = format!(
        "[program.db]\ncommand = ['{}', '-D', '{data}', '-p', '{port}', '-k', '{}', '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off']\nuser = 'postgres'\nstop_signal = 'INT'\nready = {{ log = 'ready to accept connections' }}\n",
        bin.join("postgres").display(),
        folder.display()
    );
    assert_managed(foster.config(&config).start(), "db", port);
}

/// A login session of sshd that echoes lines.
pub(crate) struct Login {
    client: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Login {
    /// Opens one with this ssh(1), or a command that becomes it.
    pub(crate) fn open(mut command: Command, port: u16, key: &Path) -> Login {
        let options =
            ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"];
        command.args(options.iter().flat_map(|option| ["-o", option])).arg("-i").arg(key);
        command.args(["-F", "none", "-p", &port.to_string(), "root@127.0.0.1", "cat"]);
        let mut client =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh");
        let answers = BufReader::new(client.stdout.take().expect("a pipe"));
        Login { client, answers }
    }

    /// Whether the session is alive: it echoes this line.
    pub(crate) fn echoes(&mut self, line: &str) -> bool {
        let typed = self.client.stdin.as_mut().is_some_and(|stdin| writeln!(stdin, "{line}").is_ok());
        let mut answer = String::new();
        typed && self.answers.read_line(&mut answer).is_ok() && answer.trim() == line
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // It may have exited.
        _ = self.client.kill();
        _ = self.client.wait();
    }
}

/// Describes an sshd with a key for root; returns also its port and the key.
fn sshd(keys: &str) -> Option<(Foster, u16, PathBuf)> {
    let (server, _) = (found("sshd")?, found("ssh")?);
    let (foster, port) = (Foster::new(), free_port());
    let folder = foster.folder().display().to_string();
    for name in ["host", "user"] {
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &format!("{folder}/{name}")]);
    }
    // Debian's sshd needs this folder, which its service creates at boot.
    fs::create_dir_all("/run/sshd").expect("root");
    fs::set_permissions("/run/sshd", Permissions::from_mode(0o755)).expect("root");
    let options = [
        "PermitRootLogin=yes".to_owned(),
        "StrictModes=no".to_owned(),
        "UsePAM=no".to_owned(),
        "PidFile=none".to_owned(),
        format!("AuthorizedKeysFile={folder}/user.pub"),
        format!("HostKey={folder}/host"),
        "ListenAddress=127.0.0.1".to_owned(),
    ];
    let options: String = options.iter().map(|option| format!(", '-o', '{option}'")).collect();
    let config = format!(
        "[program.ssh]\ncommand = ['{}', '-D', '-e', '-f', '/dev/null', '-p', '{port}'{options}]\nready = {{ tcp = '127.0.0.1:{port}' }}\n{keys}\n",
        server.display()
    );
    let key = foster.folder().join("user");
    Some((foster.config(&config), port, key))
}

#[test]
fn sshd_leaves_nothing_behind() {
    if !may_make_namespaces() {
        return;
    }
    let Some((foster, port, _)) = sshd("") else { return };
    assert_managed(foster.start(), "ssh", port);
}

#[test]
fn the_logins_of_sshd_survive_with_kill_mode_process() {
    if !may_make_namespaces() {
        return;
    }
    let Some((foster, port, key)) = sshd("kill_mode = 'process'") else { return };
    let mut foster = foster.start();
    wait_until_ready(&foster, "ssh");
    let mut login = Login::open(Command::new("ssh"), port, &key);
    assert!(login.echoes("one"), "{}", foster.output().shown());
    foster.verb(&["restart", "ssh"]).expect(0);
    assert!(login.echoes("two"), "a restart ended it\n{}", foster.output().shown());
    kill(Pid::from_raw(foster.pid_of("ssh")), Signal::SIGKILL).expect("a kill");
    foster.wait_for("the restart", || foster.row("ssh").is_some_and(|row| row["restarts"] == 1));
    wait_until_ready(&foster, "ssh");
    assert!(login.echoes("three"), "a kill -9 of the server ended it\n{}", foster.output().shown());
    foster.verb(&["stop", "ssh"]).expect(0);
    // A connection that sshd had just forked for holds the socket for a moment.
    foster.wait_for("the port to be free", || !is_served(port));
    assert!(login.echoes("four"), "a stop ended it\n{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn nginx_in_the_background_is_fatal_with_the_remedy() {
    if !may_make_namespaces() {
        return;
    }
    let Some(nginx) = found("nginx") else { return };
    let (foster, port) = (Foster::new(), free_port());
    let folder = foster.folder().display().to_string();
    let conf = format!(
        "pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; server {{ listen 127.0.0.1:{port}; }} }}\n"
    );
    let config = format!(
        "[program.web]\ncommand = ['{}', '-c', '{folder}/nginx.conf', '-e', '{folder}/error.log']\nready = {{ tcp = '127.0.0.1:{port}' }}\nbackoff = {{ initial = '10ms', max = '10ms' }}\non_failure = 'ignore'\nstop_timeout = '200ms'\n[foster]\nwhen_all_ended = 'stay'\n",
        nginx.display()
    );
    let foster = foster.file("nginx.conf", &conf).config(&config).start();
    foster.wait_for_state("web", "fatal");
    let log = foster.output().stderr();
    assert!(log.contains("web: went into the background"), "{log}");
    assert!(log.contains("daemon off;"), "{log}");
    assert_eq!(log.matches("went into the background").count(), 1, "{log}");
    assert_eq!(get(port, "/"), None, "a daemon of a failed start still serves\n{log}");
}
