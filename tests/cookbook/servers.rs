//! Recipes of jobs, and of servers with several processes, data or a display.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::recipe::{Recipe, in_network_of, inside};
use super::web::assert_stops;
use crate::daemons::{Login, tool};
use crate::support::{End, Running, found};

#[test]
fn the_logins_of_sshd_live_on_and_use_the_verbs() {
    if found("ssh").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()]);
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a key");
    let Some(foster) = Recipe::named("sshd").with("authorized_keys", &public).start() else { return };
    foster.wait_for_state("sshd", "running");
    let ssh = |foster: &Running| {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &foster.pid().to_string(), "ssh"]);
        command
    };
    let mut login = Login::open(ssh(&foster), 22, &key);
    assert!(login.echoes("one"), "{}", foster.output().shown());
    foster.verb(&["restart", "sshd"]).expect(0);
    assert!(login.echoes("two"), "a restart ended it\n{}", foster.output().shown());
    foster.verb(&["reload", "sshd"]).expect(0);
    assert!(login.echoes("three"), "a reload ended it\n{}", foster.output().shown());
    // At SIGHUP sshd closes its socket and executes itself again: the third time after its start and its restart.
    let listening =
        |foster: &Running| foster.output().stderr().matches("listening on 0.0.0.0 port 22").count();
    foster.wait_for("sshd to listen again", || listening(&foster) == 3);
    let mut command = ssh(&foster);
    command.args([
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-i",
    ]);
    command.arg(&key).args(["root@127.0.0.1", "foster", "status"]);
    let finished = crate::support::run(command).expect(0);
    assert!(finished.stdout.contains("sshd"), "{}", finished.text());
}

#[test]
fn postgres_starts_before_the_application_and_stops_after_it() {
    let Some(mut foster) = Recipe::named("postgres beside the application").start() else { return };
    foster.wait_for_line("the application is up");
    let events = |foster: &Running| {
        let query = [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "psql",
            "--host=/run/postgresql",
        ];
        let query =
            [&query[..], &["--tuples-only", "--no-align", "--command=SELECT what FROM events"]].concat();
        inside(foster, &query).expect(0).stdout.lines().collect::<Vec<_>>().join(" ")
    };
    foster.wait_for("the row of the start", || events(&foster) == "started");
    foster.verb(&["restart", "app"]).expect(0);
    foster.wait_for("the second start", || events(&foster) == "started stopped started");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    let log = foster.output().stderr();
    let (app, db) = (log.rfind("app: stopped"), log.find("db: stopping"));
    assert!(app.is_some() && app < db, "{log}");
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(!log.contains("did not stop within"), "{log}");
}

/// What a VNC server says first.
fn greeting(foster: &Running) -> Option<String> {
    in_network_of(foster, || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 5900)).ok()?;
        let mut version = [0; 12];
        stream.read_exact(&mut version).ok()?;
        Some(String::from_utf8_lossy(&version).into_owned())
    })
}

#[test]
fn what_requires_the_display_starts_again_with_it() {
    let Some(foster) = Recipe::named("A desktop: Xvfb and VNC").mounted("secrets/vnc", "sesame\n").start()
    else {
        return;
    };
    for program in ["display", "vnc", "clock"] {
        foster.wait_for_state(program, "running");
    }
    assert!(greeting(&foster).is_some_and(|text| text.starts_with("RFB 003.")));
    let before = foster.pid_of("clock");
    kill(Pid::from_raw(foster.pid_of("display")), Signal::SIGKILL).expect("a signal");
    foster.wait_for("another clock", || foster.pid_of("clock") != before);
    foster.wait_for("the greeting", || greeting(&foster).is_some_and(|text| text.starts_with("RFB 003.")));
    for program in ["display", "vnc", "clock"] {
        foster.wait_for_state(program, "running");
    }
    assert_stops(foster);
}

#[test]
fn a_job_runs_at_the_start_and_by_an_order_and_passes_on_its_status() {
    let Some(foster) = Recipe::named("Jobs instead of cron").start() else { return };
    foster.wait_for_line(r"fetch +\| fetched");
    foster.wait_for_state("fetch", "idle");
    foster.verb(&["run-job", "backup"]).expect(0);
    foster.wait_for_line(r"backup +\| copied to /data/backup");
    foster.verb(&["stop", "fetch"]).expect(0);
    inside(&foster, &["rm", "/data/fetched"]).expect(0);
    foster.verb(&["run-job", "backup"]).expect(3);
    let checked = inside(&foster, &["foster", "check"]).expect(0).stdout;
    // Central European time, or its summer time.
    assert!(checked.contains("02:30 +01:00") || checked.contains("02:30 +02:00"), "{checked}");
    assert_stops(foster);
}
