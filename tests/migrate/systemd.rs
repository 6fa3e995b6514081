//! Units of systemd, and what is refused of them.

use super::{migrates, refused};
use crate::support::End;

#[test]
fn a_service_of_a_distribution_runs() {
    for name in ["systemd_gunicorn", "systemd_worker", "systemd_drop_ins", "systemd_nginx"] {
        migrates(name);
    }
}

#[test]
fn variables_of_a_file_are_the_commands() {
    let running = migrates("systemd_env_file");
    running.wait_for_line("127.0.0.1:8080");
}

#[test]
fn timers_are_jobs() {
    for name in ["systemd_backup_timer", "systemd_cleanup_timer"] {
        let running = migrates(name);
        let job = if name.contains("backup") { "backup" } else { "tidy" };
        running.verb(&["run-job", job, "--follow"]).expect(0);
    }
}

#[test]
fn a_socket_is_open_before_its_service() {
    let running = migrates("systemd_socket");
    assert!(running.path("echo.sock").exists());
}

#[test]
fn units_of_a_folder_start_in_their_order() {
    migrates("systemd_folder");
}

#[test]
fn a_service_that_crashes_is_given_up_after_its_starts() {
    let mut running = migrates("systemd_crash");
    assert_eq!(running.wait_exit(), End::Code(0));
    assert_eq!(
        running.output().stderr().matches("crash: starting").count(),
        3,
        "{}",
        running.output().stderr()
    );
}

#[test]
fn hostile_units_have_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    let keys: String = (0..10_000).map(|number| format!("Key{number}=1\n")).collect();
    write("many.service", &format!("[Service]\n{keys}"));
    write("line.service", "[Service]\nExecStart=/bin/true\nnothing\n");
    write("quote.service", "[Service]\nExecStart=/bin/echo 'x\n");
    write("alone.timer", "[Timer]\nOnCalendar=daily\n");
    write("never.timer", "[Timer]\nOnCalendar=2026-01-01 00:00:30\n");
    write("never.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    write("inetd.socket", "[Socket]\nListenStream=9\nAccept=yes\n");
    write("inetd.service", "[Service]\nExecStart=/bin/true\n");
    write("circle/a.service", "[Unit]\nAfter=b.service\n[Service]\nExecStart=/bin/true\n");
    write("circle/b.service", "[Unit]\nRequires=a.service\n[Service]\nExecStart=/bin/true\n");
    write("binary.service", "\u{1}\u{2}");
    nix::unistd::mkfifo(&folder.path().join("pipe.service"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    for (file, message) in [
        ("many.service", "this service has no `ExecStart`"),
        ("line.service", "line.service:3:1: error: not a line of a unit"),
        ("quote.service", "quote.service:2:11: error: this is not a command line"),
        ("alone.timer", "there is no `alone.service` beside it"),
        ("never.timer", "never.timer:2:12: error: `2026-01-01 00:00:30` cannot be written as a schedule"),
        ("inetd.socket", "inetd.socket:3:8: error: foster starts no process for each connection"),
        ("circle", "circle/"),
        ("binary.service", "not a text file"),
        ("pipe.service", "it is a FIFO"),
    ] {
        let text = refused(folder.path(), &[file]);
        assert!(text.contains(message), "{file}: {text}");
    }
}
