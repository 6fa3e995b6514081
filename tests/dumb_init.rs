//! foster under the name dumb-init: flags, variables, behaviour.

use nix::sys::signal::Signal;

use crate::support::{End, Finished, Foster, Running, group_of, matches, state_of};

fn start(arguments: &[&str]) -> Running {
    Foster::new().named("dumb-init").not_pid_1().arguments(arguments).start()
}

fn shell(script: &str) -> Finished {
    Foster::new().all_names().shell(script)
}

#[test]
fn exit_codes_are_those_of_the_command_or_128_plus_a_signal_or_2() {
    shell("dumb-init sh -c 'exit 77'").expect(77);
    shell("dumb-init sh -c 'kill -9 $$'").expect(137);
    shell("dumb-init -c sh -c 'kill -TERM $$'").expect(143);
    let missing = shell("dumb-init /doesnotexist").expect(2);
    assert_eq!(missing.stderr, "[dumb-init] /doesnotexist: No such file or directory\n");
    assert_eq!(shell("dumb-init /etc").expect(2).stderr, "[dumb-init] /etc: Permission denied\n");
}

#[test]
fn wrong_usage_is_1_with_a_message_on_stderr() {
    for line in ["", "--yolo true", "-r", "-r herp true", "-r 1:32 true", "-r TERM:INT true", "-x true"] {
        let finished = shell(&format!("dumb-init {line}")).expect(1);
        assert!(
            finished.stdout.is_empty() && finished.stderr.starts_with("[dumb-init] "),
            "{}",
            finished.text()
        );
    }
    for line in ["-h", "--help", "-V", "--version"] {
        let finished = shell(&format!("dumb-init {line}")).expect(0);
        assert!(finished.stdout.is_empty() && finished.stderr.contains("dumb-init"), "{}", finished.text());
    }
}

#[test]
fn the_command_leads_a_session_unless_with_c() {
    let foster = start(&["puppet", "touch:up", "pause"]);
    foster.wait_for_file("up");
    let command = foster.command();
    let (group, session, _) = group_of(command);
    assert_eq!((group, session), (command, command));

    for (flags, variable) in [(&["-c"][..], "1"), (&[][..], "0")] {
        let foster = Foster::new()
            .named("dumb-init")
            .not_pid_1()
            .env("DUMB_INIT_SETSID", variable)
            .arguments(&[flags, &["puppet", "touch:up", "pause"]].concat())
            .start();
        foster.wait_for_file("up");
        assert_eq!(group_of(foster.command()), group_of(foster.pid()));
    }
}

#[test]
fn it_leaves_the_working_directory_before_the_command_starts() {
    let script = "dumb-init sh -c 'readlink /proc/$PPID/cwd; pwd'";
    let stdout = shell(&format!("cd /tmp; PATH=$OLDPWD/bin:$PATH; {script}")).expect(0).stdout;
    assert_eq!(stdout, "/\n/tmp\n");
}

#[test]
fn every_signal_reaches_the_whole_group_and_with_c_the_command_alone() {
    let script = "trap 'touch main' USR1; puppet trap:USR1:touch:child touch:up pause & wait; wait; wait";
    let group = start(&["sh", "-c", script]);
    group.wait_for_file("up");
    group.signal(Signal::SIGUSR1);
    group.wait_for_file("child");
    group.wait_for_file("main");

    let alone = start(&["-c", "sh", "-c", script]);
    alone.wait_for_file("up");
    alone.signal(Signal::SIGUSR1);
    alone.wait_for_file("main");
    assert!(!alone.path("child").exists());
}

#[test]
fn when_the_command_exits_its_group_gets_term_unless_with_c() {
    let script = |traps| format!("puppet {traps} touch:up pause & until [ -e up ]; do :; done; exit 3");
    let mut foster = start(&["sh", "-c", &script("trap:TERM:touch:terminated trap:TERM:exit:0")]);
    // Also waits for the end of the output, which the remaining process holds open.
    assert_eq!(foster.wait_exit(), End::Code(3));
    assert!(foster.path("terminated").exists());

    let alone = "dumb-init -c sh -c 'puppet trap:USR1:exit:0 trap:TERM:touch:terminated touch:up pause & echo $! >pid; \
                 until [ -e up ]; do :; done'; kill -USR1 $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do :; done; \
                 ls terminated 2>&1";
    assert!(!shell(alone).text().contains("terminated\n"), "TERM to a group that is not the command's");
}

#[test]
fn signals_are_rewritten_or_dropped_and_the_last_rule_counts() {
    let mut foster = start(&[
        "-r",
        "15:1",
        "-r",
        "15:3",
        "--rewrite",
        "1:0",
        "puppet",
        "trap:QUIT:exit:5",
        "touch:up",
        "pause",
    ]);
    foster.wait_for_file("up");
    foster.signal(Signal::SIGHUP);
    foster.signal(Signal::SIGTERM);
    assert_eq!(foster.wait_exit(), End::Code(5), "{}", foster.output().shown());
    let mut foster = start(&["-c", "puppet", "touch:up", "pause"]);
    foster.wait_for_file("up");
    foster.signal_number(40);
    assert_eq!(foster.wait_exit(), End::Code(168));
}

#[test]
fn a_job_signal_stops_both_and_cont_continues_both() {
    for stop in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        let foster = start(&["puppet", "report-signals", "pause"]);
        foster.wait_for_line("reporting signals");
        foster.signal(stop);
        let command = foster.command();
        foster.wait_for("both to be stopped", || {
            state_of(foster.pid()) == Some('T') && state_of(command) == Some('T')
        });
        foster.signal(Signal::SIGCONT);
        foster.wait_for_line("^got CONT$");
        assert_ne!(state_of(foster.pid()), Some('T'));
    }
}

#[test]
fn with_c_or_a_rewrite_the_command_gets_the_job_signal_and_dumb_init_stops() {
    for flags in [&["-c"][..], &["-r", "20:20"][..]] {
        let foster = start(&[flags, &["puppet", "report-signals", "pause"]].concat());
        foster.wait_for_line("reporting signals");
        foster.signal(Signal::SIGTSTP);
        foster.wait_for_line("^got TSTP$");
        foster.wait_for("dumb-init to be stopped", || state_of(foster.pid()) == Some('T'));
        foster.signal(Signal::SIGCONT);
        foster.wait_for_line("^got CONT$");
    }
}

#[test]
fn debug_output_is_enabled_by_a_flag_or_a_variable() {
    assert_eq!(shell("DUMB_INIT_DEBUG= dumb-init true").expect(0).text(), "");
    for line in ["dumb-init -v true", "dumb-init --verbose true", "DUMB_INIT_DEBUG=1 dumb-init true"] {
        let stderr = shell(line).expect(0).stderr;
        assert!(matches(&stderr, r"^\[dumb-init\] the command exited with status 0$"), "{stderr}");
    }
}
