//! `foster -- COMMAND`: one command under an init.

use nix::sys::signal::Signal;

use crate::support::{End, Foster, Running, descriptors, found, group_of, matches};

/// Starts foster with these arguments as PID 1.
fn start(arguments: &[&str]) -> Running {
    Foster::new().arguments(arguments).start()
}

/// The value of a line in /proc/PID/status.
fn status(pid: i32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.expect("a line").trim().to_owned()
}

#[track_caller]
fn ends(arguments: &[&str], code: i32) {
    for place in [Foster::new, || Foster::new().not_pid_1()] {
        let mut foster = place().arguments(arguments).start();
        assert_eq!(foster.wait_exit(), End::Code(code), "{arguments:?}\n{}", foster.output().shown());
    }
}

/// Checks that the command line is refused with this message and no command is run.
#[track_caller]
fn refused(arguments: &[&str], message: &str) {
    let finished = Foster::new().finish(arguments).expect(2);
    assert!(finished.stderr.contains(message), "{arguments:?}: {}", finished.stderr);
    assert!(finished.stdout.is_empty() && finished.stderr.lines().count() == 1, "{}", finished.text());
}

#[test]
fn the_exit_code_of_the_command_is_returned_and_a_signal_is_128_plus_its_number() {
    ends(&["--", "sh", "-c", "exit 42"], 42);
    ends(&["--", "true"], 0);
    ends(&["--", "puppet", "exit:255"], 255);
    ends(&["--", "sh", "-c", "kill -9 $$"], 137);
    ends(&["--", "puppet", "crash:SEGV"], 139);
}

#[test]
fn a_missing_command_is_127_and_one_that_cannot_be_executed_is_126() {
    ends(&["--", "no-such-command"], 127);
    ends(&["--", "./no/such/file"], 127);
    ends(&["--", ""], 127);
    ends(&["--", "/etc"], 126);
    ends(&["--", "/etc/passwd"], 126);
    let message = |name: &str| Foster::new().finish(&["--", name]).stderr;
    let missing = message("no-such-command");
    assert!(
        matches(&missing, r"^foster: cannot run `no-such-command`: not found in PATH \(/.*\)$"),
        "{missing}"
    );
    assert_eq!(message("/etc"), "foster: cannot run `/etc`: it is a directory\n");
    assert_eq!(
        message("/etc/passwd"),
        "foster: cannot run `/etc/passwd`: not executable: use chmod +x, or run it with its interpreter\n"
    );
}

#[test]
fn a_script_without_an_interpreter_is_run_by_the_shell() {
    let finished = Foster::new()
        .all_names()
        .file("script", "echo \"$0 $1\"; exit 7")
        .shell("chmod +x script; foster -- ./script one; echo $?; PATH=.:$PATH tini -- script two; echo $?");
    assert_eq!(finished.expect(0).stdout, "./script one\n7\n./script two\n7\n");
}

#[test]
fn an_invalid_command_line_is_refused_and_no_command_is_run() {
    refused(&["--"], "needs a COMMAND");
    refused(&["-p", "TREM", "--", "true"], "there is no signal `TREM`; did you mean `TERM`?");
    refused(&["-r", "1", "--", "true"], "invalid value `1` for `--rewrite`: expected two signals");
    refused(&["-r", "KILL:TERM", "--", "true"], "expected a signal other than KILL, STOP and CHLD");
    refused(
        &["-e", "256", "--", "true"],
        "invalid value `256` for `--remap-exit`: expected an exit code from 0 to 255",
    );
    refused(&["-x", "--", "true"], "unknown flag `-x`");
    refused(&["-g", "sleep", "1"], "`-g` is for `foster [FLAGS] -- COMMAND`: the `--` is missing");
}

#[test]
fn the_help_describes_the_bare_init() {
    let help = Foster::new().finish(&["--help"]).expect(0).stdout;
    assert!(help.contains("foster [FLAGS] -- COMMAND") && help.contains("--rewrite A:B"), "{help}");
    assert_eq!(Foster::new().finish(&["-g", "--help", "--", "true"]).expect(0).stdout, help);
}

#[test]
fn every_signal_reaches_the_command() {
    let foster = start(&["--", "puppet", "report-signals", "pause"]);
    foster.wait_for_line("reporting signals");
    for number in (1..=31).filter(|number| ![4, 7, 8, 9, 11, 15, 17, 19].contains(number)) {
        foster.signal_number(number);
        let name = foster_core::ids::Signal::new(number).expect("a number");
        foster.wait_for_line(&format!("^got {}$", name.to_string().trim_start_matches("SIG")));
    }
}

#[test]
fn fault_signals_from_outside_and_real_time_signals_end_the_command_and_not_foster() {
    for number in [2, 6, 11, 15, 34, 36, 64] {
        let mut foster = start(&["--", "sh", "-c", "echo up; exec sleep 1000"]);
        foster.wait_for_line("up");
        foster.signal_number(number);
        assert_eq!(foster.wait_exit(), End::Code(128 + number), "{}", foster.output().shown());
    }
}

#[test]
fn a_signal_can_be_rewritten_or_dropped() {
    let mut foster = start(&[
        "-r",
        "TERM:QUIT",
        "--rewrite",
        "SIGHUP:0",
        "-r",
        "RTMIN+1:USR1",
        "--",
        "puppet",
        "trap:QUIT:exit:5",
        "trap:USR1:print:one",
        "print:up",
        "pause",
    ]);
    foster.wait_for_line("up");
    foster.signal(Signal::SIGHUP);
    foster.signal_number(35);
    foster.wait_for_line("^one$");
    foster.signal(Signal::SIGTERM);
    assert_eq!(foster.wait_exit(), End::Code(5), "{}", foster.output().shown());
}

#[test]
fn an_exit_code_can_be_remapped_to_0() {
    ends(&["-e", "3", "--remap-exit=143", "--", "puppet", "exit:3"], 0);
    ends(&["-e", "3", "-e", "143", "--", "puppet", "crash:TERM"], 0);
    ends(&["-e", "3", "--", "puppet", "exit:4"], 4);
}

#[test]
fn the_process_group_is_signalled_only_with_the_flag() {
    let script = "trap : USR1; puppet 'trap:USR1:touch:child' touch:up pause & wait; wait; exit 9";
    let mut alone = start(&["--", "sh", "-c", script]);
    alone.wait_for_file("up");
    alone.signal(Signal::SIGUSR1);
    alone.signal(Signal::SIGTERM);
    assert_eq!(alone.wait_exit(), End::Code(143));
    assert!(!alone.path("child").exists());

    let group = start(&["-g", "--", "sh", "-c", script]);
    group.wait_for_file("up");
    group.signal(Signal::SIGUSR1);
    group.wait_for_file("child");
}

#[test]
fn an_orphan_is_reaped_and_reported_only_with_the_flag() {
    let orphan = ["--", "puppet", "orphans:1", "touch:done", "pause"];
    for (flags, reported) in [(&["-w"][..], true), (&[][..], false)] {
        for place in [Foster::new, || Foster::new().not_pid_1()] {
            let mut foster = place().arguments(&[flags, &orphan].concat()).start();
            foster.wait_for_file("done");
            foster.wait_for("the orphan to be reaped", || {
                foster.processes().iter().all(|process| process.state != 'Z') && foster.processes().len() == 2
            });
            foster.signal(Signal::SIGTERM);
            foster.wait_exit();
            let stderr = foster.output().stderr();
            assert_eq!(
                matches(&stderr, r"^foster: Reaped zombie process with pid=\d+$"),
                reported,
                "{stderr}"
            );
        }
    }
}

#[test]
fn five_hundred_orphans_and_a_storm_of_signals_leak_nothing() {
    let foster = Foster::new()
        .arguments(&[
            "--",
            "puppet",
            "ignore:USR1",
            "ignore:HUP",
            "orphans:100",
            "touch:warm",
            "wait-file:go",
            "orphans:500",
            "touch:done",
            "pause",
        ])
        .start();
    foster.wait_for_file("warm");
    foster.wait_for("the first orphans to be reaped", || foster.processes().len() == 2);
    // Each code path runs once before the measurement.
    foster.signal(Signal::SIGUSR1);
    foster.signal(Signal::SIGHUP);
    foster.wait_for("the signals to be handled", || status(foster.pid(), "ShdPnd") == "0000000000000000");
    // Its own allocations, without the resident pages of its file.
    let allocated = || status(foster.pid(), "RssAnon");
    let before = (allocated(), descriptors(foster.pid()));
    std::fs::write(foster.path("go"), "").expect("a file");
    for _ in 0..2000 {
        foster.signal(Signal::SIGUSR1);
        foster.signal(Signal::SIGHUP);
    }
    foster.wait_for_file("done");
    foster.wait_for("every orphan to be reaped", || foster.processes().len() == 2);
    assert_eq!((allocated(), descriptors(foster.pid())), before);
}

#[test]
fn idle_means_no_system_call() {
    let Some(strace) = found("strace") else { return };
    let foster = Foster::new().arguments(&["--", "puppet", "touch:up", "pause"]).alone().start();
    foster.wait_for_file("up");
    let trace = foster.path("trace");
    let mut command = std::process::Command::new("timeout");
    command
        .args(["--signal=INT", "3"])
        .arg(strace)
        .args(["-f", "-p", &foster.pid().to_string(), "-o"])
        .arg(&trace);
    let ended = command.output().expect("strace");
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    let made: Vec<&str> =
        calls.lines().filter(|line| line.contains('(') && !line.contains("detached")).collect();
    assert!(
        made.len() <= 1 && made.iter().all(|line| line.contains("rt_sigtimedwait")),
        "{calls}\n{ended:?}"
    );
}

#[test]
fn the_command_has_default_signals_and_the_descriptors_that_foster_inherited() {
    let script = "exec 7</etc/passwd; exec env --ignore-signal=INT,CHLD,HUP,PIPE --block-signal=TERM,USR1,CHLD \
                  foster -- sh -c 'cat /proc/self/status; puppet fds cwd; exit 4'";
    let finished = Foster::new().all_names().file("input", "").shell(script).expect(4);
    for empty in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            matches(&finished.stdout, &format!("{empty}:\\s+0000000000000000$")),
            "{empty}\n{}",
            finished.stdout
        );
    }
    assert!(matches(&finished.stdout, r"^fd 7 /etc/passwd$"), "{}", finished.stdout);
    assert!(!matches(&finished.stdout, r"^fd [345689] "), "{}", finished.stdout);
}

#[test]
fn foster_releases_the_working_directory_and_its_descriptors() {
    let foster = Foster::new().arguments(&["--", "puppet", "cwd", "ids", "touch:up", "pause"]).start();
    foster.wait_for_file("up");
    let folder = foster.path("").canonicalize().expect("a folder");
    foster.wait_for_line(&format!("^{}$", folder.display()));
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", foster.pid())).expect("a live process");
    assert_eq!(cwd.to_str(), Some("/"));
    let (command, _, _) = group_of(foster.command());
    assert_eq!(command, foster.command(), "the command leads its group");
    foster.wait_for("nothing but its streams", || descriptors(foster.pid()).len() == 3);
}

#[test]
fn closed_streams_do_not_stop_the_command() {
    let script = "foster -- sh -c 'echo a >&2; exit 5' <&- >&- 2>&-; a=$?; \
                  foster -v -- true 2>&-; b=$?; foster -- nope <&- >&- 2>&-; echo $a $b $?";
    assert_eq!(Foster::new().all_names().shell(script).expect(0).stdout, "5 0 127\n");
}

#[test]
fn a_stopped_reader_never_blocks_foster() {
    // Every message goes to stderr, which nothing reads.
    let script = "mkfifo full; sleep 1000 <full & foster -v -- puppet ignore:USR1 orphans:4000 exit:6 2>full; \
                  code=$?; kill $!; echo $code";
    assert_eq!(Foster::new().all_names().shell(script).expect(0).stdout, "6\n");
    // The reader has exited; the init's disposition of SIGPIPE does not reach the command.
    let script = "{ foster -v -- puppet orphans:10 exit:6; echo $? >code; } 2>&1 | true; cat code";
    assert_eq!(Foster::new().all_names().shell(script).expect(0).stdout, "6\n");
}

#[test]
fn verbose_reports_each_step_and_otherwise_nothing_is_printed() {
    let foster = Foster::new().finish(&[
        "-v",
        "-r",
        "USR1:0",
        "--",
        "sh",
        "-c",
        "kill -USR1 $PPID; kill -HUP $PPID; exec sleep 1000",
    ]);
    assert_eq!(foster.code, 129);
    for line in [
        r"^foster: started `sh` as process \d+$",
        r"^foster: received SIGUSR1, and dropped it$",
        r"^foster: received SIGHUP, and passed it on$",
        r"^foster: the command was killed by SIGHUP$",
    ] {
        assert!(matches(&foster.stderr, line), "{line}\n{}", foster.stderr);
    }
    assert_eq!(Foster::new().finish(&["--", "echo", "-v"]).expect(0).text(), "-v\n");
}

#[test]
fn the_death_of_the_parent_sends_the_signal() {
    let script = "(foster -p USR1 -- puppet trap:USR1:touch:orphaned trap:USR1:exit:0 touch:up pause & echo $! >pid; \
                  while ! [ -e up ]; do :; done); while ! [ -e orphaned ]; do :; done; echo done";
    assert_eq!(Foster::new().all_names().shell(script).expect(0).stdout, "done\n");
}

#[test]
fn it_runs_in_an_empty_image_and_as_any_user() {
    let status = |foster: Foster| {
        let mut foster = foster.arguments(&["--", "puppet", "cat:/proc/self/status", "exit:8"]).start();
        assert_eq!(foster.wait_exit(), End::Code(8), "{}", foster.output().shown());
        foster.output().stdout()
    };
    if crate::support::may_make_namespaces() {
        assert!(matches(&status(Foster::new().uid(12345).read_only()), r"Uid:\s+12345"));
        assert!(matches(&status(Foster::new().scratch_root()), r"PPid:\s+1$"));
    }
}
