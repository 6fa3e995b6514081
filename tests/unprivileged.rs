//! Minimal images: a user without a name, a read-only file system, no shell, no capability.

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
fn a_disabled_socket_is_not_a_warning() {
    let config = format!("{CONFIG}[foster]\nsocket = ''\n");
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_line("hello");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(!foster.output().stderr().contains("socket"), "{}", foster.output().shown());
}

#[test]
fn a_user_with_a_dash_is_fosters_own_where_foster_may_not_change_users() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet reopen-stderr:hello cat:/proc/self/status pause'\nuser = '-nobody'\ncapabilities = ['kill']\n";
    let mut bound = Foster::new().config(config).uid(12345).read_only().start();
    bound.wait_for_line(r"app +\| hello");
    bound.wait_for_line(r"Uid:\s+12345\s+12345");
    bound.wait_for_line(r"CapEff:\s+0+$");
    bound.wait_for_line("app: runs as foster's own user, because foster may not change users");
    assert_eq!(bound.terminate(), End::Code(0), "{}", bound.output().shown());

    let own = config.replace("-nobody", "-12345");
    let mut own = Foster::new().config(&own).uid(12345).read_only().start();
    own.wait_for_line(r"CapEff:\s+0+$");
    assert_eq!(own.terminate(), End::Code(0), "{}", own.output().shown());
    assert!(!own.output().stderr().contains("own user"), "{}", own.output().shown());

    let mut free = Foster::new().config(config).without("CAP_CHOWN").start();
    free.wait_for_line(r"Uid:\s+65534\s+65534");
    free.wait_for_line(r"CapEff:\s+0+20$");
    assert_eq!(free.terminate(), End::Code(0), "{}", free.output().shown());
    assert!(!free.output().stderr().contains("own user"), "{}", free.output().shown());
}

#[test]
fn a_program_with_a_user_reopens_its_output_where_foster_may_not_change_its_owner() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.web]\ncommand = 'puppet reopen-stdout:out reopen-stderr:err'\nuser = '12345:12345'\nrestart = 'never'\n";
    let mut foster = Foster::new().config(config).without("CAP_CHOWN").start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    assert!(foster.output().stdout().contains("| out\n"), "{}", foster.output().shown());
    assert!(foster.output().stderr().contains("| err\n"), "{}", foster.output().shown());
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

#[test]
fn a_user_with_a_dash_is_fosters_own_where_the_user_namespace_does_not_have_it() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[foster]\nsocket = ''\n[program.app]\ncommand = 'cat /proc/self/uid_map'\nuser = '-nobody'\nrestart = 'never'\n\
                  [program.root]\ncommand = 'echo as root'\nuser = 'root'\nrestart = 'never'\n";
    let finished = Foster::new()
        .all_names()
        .file("foster.toml", config)
        .shell("unshare --user --map-root-user --pid --fork --mount-proc foster run -c foster.toml");
    let finished = finished.expect(0);
    assert!(finished.stdout.contains("root   | as root"), "{}", finished.stdout);
    assert!(finished.stdout.lines().any(|line| line.starts_with("app    | ")), "{}", finished.stdout);
    let warning = "app: runs as foster's own user, because foster may not change users";
    assert!(finished.stderr.contains(warning), "{}", finished.stderr);
}
