//! Where there is nothing: no name for the user, no path to write to, no shell, no capability.

use crate::support::{End, Foster, may_make_namespaces};

const CONFIG: &str = "[program.app]\ncommand = 'puppet print:hello cat:/proc/self/status pause'\n";

#[test]
fn an_unknown_user_on_a_read_only_file_system_gets_one_warning_and_a_supervisor() {
    if !may_make_namespaces() {
        return;
    }
    let mut foster = Foster::new().config(CONFIG).uid(12345).read_only().start();
    foster.wait_for_line(r"hello");
    foster.wait_for_line(r"Uid:\s+12345");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    let stderr = foster.output().stderr();
    let warnings: Vec<&str> = stderr.lines().filter(|line| line.contains("foster.sock")).collect();
    assert_eq!(warnings.len(), 1, "{stderr}");
}

#[test]
fn a_socket_that_is_not_wanted_is_no_warning() {
    let config = format!("{CONFIG}[foster]\nsocket = ''\n");
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_line("hello");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(!foster.output().stderr().contains("socket"), "{}", foster.output().shown());
}

#[test]
fn an_image_with_no_shell_and_no_libc_is_enough() {
    if !may_make_namespaces() {
        return;
    }
    let mut foster = Foster::new().config(CONFIG).scratch_root().start();
    foster.wait_for_line("hello");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn an_unprivileged_foster_answers_its_socket_and_restarts() {
    if !may_make_namespaces() {
        return;
    }
    let foster =
        Foster::new().config("[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n").uid(12345);
    std::os::unix::fs::chown(foster.folder(), Some(12345), Some(12345)).expect("chown");
    let foster = foster.start();
    foster.wait_for_state("app", "running");
    let before = foster.pid_of("app");
    foster.verb(&["restart", "app"]).expect(0);
    assert_ne!(foster.pid_of("app"), before);
}
