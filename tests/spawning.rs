//! The start of a program's process: user, environment, limits, and the message of a failed start.

use std::os::unix::fs::symlink;

use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{Caller, End, Foster, Injector, Running, matches, may_make_namespaces};

/// Runs a program to its end.
fn run(keys: &str) -> Running {
    let config = format!("[program.app]\nrestart = 'never'\n{keys}\n");
    let mut foster = Foster::new().config(&config).env("COLOUR", "green").start();
    foster.wait_exit();
    foster
}

/// Checks that the start fails with these texts in foster's message, and that foster exits with 1.
#[track_caller]
fn refused(keys: &str, words: &[&str]) {
    let config = format!("[program.app]\nstart_limit = 1\n{keys}\n");
    let mut foster = Foster::new().config(&config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    let printed = foster.output().stderr();
    let line =
        printed.lines().find(|line| line.contains("cannot start app")).unwrap_or_else(|| panic!("{printed}"));
    for word in words {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
}

#[test]
fn a_start_that_fails_names_the_step_the_path_and_the_reason() {
    refused("command = 'no-such-command'", &["`no-such-command` is not in PATH (/"]);
    refused("command = '/etc'", &["`/etc` is a directory"]);
    refused("command = '/etc/passwd'", &["`/etc/passwd` is not executable: use `chmod +x`"]);
    refused(
        "command = 'puppet'\ndirectory = '/no/such/place'",
        &["/no/such/place", "No such file or directory"],
    );
    refused("command = 'puppet'\nuser = 'no-such-user'", &["user `no-such-user` is not in /etc/passwd"]);
    refused("command = 'puppet'\nenv_file = 'missing.env'", &["missing.env", "No such file or directory"]);
    refused(
        "command = 'puppet'\nsecrets = { TOKEN = '/no/secret' }",
        &["/no/secret", "No such file or directory"],
    );
}

#[test]
fn a_fifo_as_secret_or_env_file_is_a_failed_start_and_an_optional_one_too() {
    for keys in ["env_file = 'pipe'", "env_file = '-pipe'", "secrets = { TOKEN = 'pipe' }"] {
        let config = format!("[program.app]\ncommand = 'puppet'\n{keys}\nstart_limit = 1\n");
        let foster = Foster::new().config(&config);
        mkfifo(&foster.folder().join("pipe"), Mode::S_IRWXU).expect("a FIFO");
        let mut foster = foster.start();
        assert_eq!(foster.wait_exit(), End::Code(1), "{keys}\n{}", foster.output().shown());
        foster.wait_for_line(r"cannot start app.*pipe.*it is a FIFO, not a regular file");
    }
}

#[test]
fn a_symbolic_link_as_secret_or_env_file_is_followed() {
    let config = "[program.app]\ncommand = 'puppet env'\nrestart = 'never'\nenv_file = 'a.env'\nsecrets = { TOKEN = 'token' }\n";
    let foster =
        Foster::new().config(config).file("elsewhere.env", "FROM=elsewhere\n").file("secret", "hunter2");
    symlink("elsewhere.env", foster.folder().join("a.env")).expect("a link");
    symlink("secret", foster.folder().join("token")).expect("a link");
    let mut foster = foster.start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    let seen = foster.output().stdout();
    assert!(seen.contains("FROM=elsewhere\n") && seen.contains("TOKEN=hunter2\n"), "{seen}");
}

/// How often foster opens a file during its life with this program.
fn files_opened(keys: &str) -> u64 {
    let counting = Injector::counting();
    let config = format!(
        "[program.app]\ncommand = 'puppet'\nrestart = 'always'\nmin_uptime = '1ms'\nstart_limit = 40\nbackoff = {{ initial = '1ms', max = '1ms' }}\n{keys}\n"
    );
    let mut foster = Foster::new().config(&config).injected(&counting).start();
    foster.wait_exit();
    let calls = counting.finish();
    let opened = |number| calls.get(&(Caller::Foster, number)).copied().unwrap_or(0);
    opened(libc::SYS_openat)
}

#[test]
fn users_and_groups_are_read_once_for_each_start() {
    if !may_make_namespaces() {
        return;
    }
    let (without, with) = (files_opened(""), files_opened("user = 'nobody'"));
    // /etc/passwd, /etc/group, and /proc/self/setgroups, which says whether groups may be set.
    assert!(with <= without + 3 * 40, "{without} without a user, {with} with one");
}

#[test]
fn a_limit_that_is_not_permitted_is_a_failed_start() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet'\nuser = '12345:12345'\nlimits = { nofile = [100, 4000000000] }\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    foster.wait_for_line(r"cannot start app.*nofile.*Operation not permitted");
}

#[test]
fn arguments_are_split_by_quoting_rules_and_no_shell_is_run() {
    let foster = run(r#"command = "puppet 'print:two words' print:a\\ b print:$HOME print:*""#);
    let seen = foster.output().stdout();
    assert!(seen.contains("app    | two words\n"), "{seen}");
    assert!(seen.contains("app    | a b\n"), "{seen}");
    assert!(seen.contains("app    | $HOME\n"), "{seen}");
    assert!(seen.contains("app    | *\n"), "{seen}");
}

#[test]
fn the_environment_is_inherited_then_from_files_then_secrets_then_from_its_table() {
    let config = "[program.app]\ncommand = 'puppet env'\nrestart = 'never'\nenv_file = ['a.env', '-missing.env', 'b.env']\nenvironment = { WON = 'written', EXPANDED = '${COLOUR}-${FOSTER_PROGRAM}-${FOSTER_INSTANCE}', KEPT = '$host$$' }\nsecrets = { TOKEN = 'token' }\n";
    let mut foster = Foster::new()
        .config(config)
        .env("COLOUR", "green")
        .file("a.env", "# comment\nexport WON=a\nONE=\"a b\"\nTWO=a\n")
        .file("b.env", "TWO='b $COLOUR'\n")
        .file("token", "hunter2\n")
        .start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    let seen = foster.output().stdout();
    for line in [
        "WON=written",
        "EXPANDED=green-app-0",
        "KEPT=$host$",
        "ONE=a b",
        "TWO=b $COLOUR",
        "TOKEN=hunter2",
        "COLOUR=green",
    ] {
        assert!(seen.lines().any(|seen| seen == format!("app    | {line}")), "{line}\n{seen}");
    }
}

#[test]
fn inherit_environment_false_passes_only_the_basic_variables() {
    let foster = run("command = 'puppet env'\ninherit_environment = false\nenvironment = { MINE = '1' }");
    let seen = foster.output().stdout();
    assert!(seen.contains("MINE=1") && seen.contains("PATH="), "{seen}");
    assert!(!seen.contains("COLOUR"), "{seen}");
}

#[test]
fn a_secret_appears_in_no_output() {
    let config = "[program.app]\ncommand = 'puppet touch:up pause'\nsecrets = { TOKEN = 'token' }\nenvironment = { OTHER = 'visible' }\n[foster]\nlog_level = 'trace'\n";
    let mut foster = Foster::new().config(config).file("token", "hunter2\n").start();
    foster.wait_for_file("up");
    foster.wait_for_state("app", "running");
    let pid = foster.pid_of("app");
    let command_line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("a live process");
    let asked = [&["status"][..], &["status", "--json"], &["logs"], &["check", "-c", "foster.toml"]];
    let printed: String = asked.iter().map(|verb| foster.verb(verb).text()).collect();
    assert_eq!(foster.terminate(), End::Code(0));
    let everything = [command_line, printed, foster.output().stdout(), foster.output().stderr()].concat();
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn a_program_runs_as_its_user_with_or_without_a_name() {
    if !may_make_namespaces() {
        return;
    }
    let named = run("command = ['sh', '-c', 'cat /proc/self/status; env']\nuser = 'nobody'");
    let seen = named.output().stdout();
    assert!(matches(&seen, r"Uid:\s+65534\s+65534\s+65534\s+65534"), "{seen}");
    assert!(matches(&seen, r"USER=nobody$") && matches(&seen, r"LOGNAME=nobody$"), "{seen}");
    drop(named);
    let unknown = run("command = 'cat /proc/self/status'\nuser = '12345:54321'");
    let seen = unknown.output().stdout();
    assert!(matches(&seen, r"Uid:\s+12345\s+12345\s+12345\s+12345"), "{seen}");
    assert!(matches(&seen, r"Gid:\s+54321\s+54321\s+54321\s+54321"), "{seen}");
    assert!(matches(&seen, r"Groups:\s*(54321)?\s*$"), "{seen}");
}

#[test]
fn a_program_keeps_only_the_configured_capabilities() {
    if !may_make_namespaces() {
        return;
    }
    let one = run(
        "command = 'cat /proc/self/status'\nuser = '12345:12345'\ncapabilities = ['net_bind_service']\nno_new_privileges = true",
    );
    let seen = one.output().stdout();
    // CAP_NET_BIND_SERVICE is bit 10 (capabilities(7)).
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(matches(&seen, &format!("{set}:\\s+0000000000000400$")), "{set}\n{seen}");
    }
    assert!(matches(&seen, r"NoNewPrivs:\s+1$"), "{seen}");
    drop(one);
    let none = run("command = 'cat /proc/self/status'\ncapabilities = []");
    let seen = none.output().stdout();
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(matches(&seen, &format!("{set}:\\s+0000000000000000$")), "{set}\n{seen}");
    }
}

#[test]
fn limits_nice_value_umask_and_directory_are_as_configured() {
    let foster = run(
        "command = 'puppet cat:/proc/self/limits cat:/proc/self/status cat:/proc/self/oom_score_adj cat:/proc/self/stat cwd'\nlimits = { nofile = 4096, core = 0, nproc = [100, 200] }\nnice = 5\noom_score_adj = 300\numask = '027'\ndirectory = '/tmp'",
    );
    let seen = foster.output().stdout();
    assert!(matches(&seen, r"Max open files\s+4096\s+4096"), "{seen}");
    assert!(matches(&seen, r"Max core file size\s+0\s+0"), "{seen}");
    assert!(matches(&seen, r"Max processes\s+100\s+200"), "{seen}");
    assert!(matches(&seen, r"Umask:\s+0027$"), "{seen}");
    assert!(matches(&seen, r"\| 300$"), "{seen}");
    assert!(matches(&seen, r"\| /tmp$"), "{seen}");
    // nice is the 19th field (proc_pid_stat(5)), the 17th after the command's name.
    let stat = seen.lines().find_map(|line| line.split_once("(puppet) ")).expect("a stat").1;
    assert_eq!(stat.split(' ').nth(16), Some("5"), "{stat}");
}

#[test]
fn standard_input_is_empty_or_stays_open_as_configured() {
    let ends = run("command = ['sh', '-c', 'cat; echo at its end']");
    assert!(ends.output().stdout().contains("| at its end"), "{}", ends.output().shown());
    drop(ends);
    let config =
        "[program.app]\ncommand = ['sh', '-c', 'echo up; exec cat']\nstdin = 'open'\nmin_uptime = '50ms'\n";
    let mut open = Foster::new().config(config).start();
    // It is ready after `min_uptime`: at the end of its input `cat` would have exited at once.
    open.wait_for_state("app", "running");
    assert_eq!(open.terminate(), End::Code(0), "{}", open.output().shown());
}

#[test]
fn a_descriptor_limit_that_is_too_low_for_foster_is_reported() {
    let config = "[program.app]\ncommand = 'puppet pause'\nrestart = 'never'\n";
    for limit in [12, 16, 24] {
        let mut foster = Foster::new().config(config).not_pid_1().limited("nofile", limit).start();
        foster.wait_for_line(&format!(
            r"the limit on open files \(`nofile`\) is {limit}: foster needs about 32"
        ));
        foster.terminate();
    }
}
