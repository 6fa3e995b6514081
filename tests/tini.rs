//! foster under the name tini: flags, variables, behaviour.

use nix::sys::signal::Signal;

use crate::support::{End, Finished, Foster, Running, group_of, matches};

const WARNING: &str = "zombie reaping won't work";
const REAPED: &str = r"Reaped zombie process with pid=\d+$";

fn start(arguments: &[&str]) -> Running {
    Foster::new().named("tini").arguments(arguments).start()
}

fn shell(script: &str) -> Finished {
    Foster::new().all_names().shell(script)
}

#[test]
fn the_version_has_the_words_that_docker_looks_for() {
    let finished = shell("tini --version; cp bin/tini docker-init; ./docker-init --version").expect(0);
    assert_eq!(finished.stdout.matches("tini version").count(), 2, "{}", finished.stdout);
    assert!(shell("tini --version true").expect(1).stderr.contains("unknown option"));
}

#[test]
fn every_exit_code_is_returned_or_remapped() {
    let script = "for code in 0 1 2 77 126 127 128 143 255; do \
                    tini -- sh -c \"exit $code\" 2>/dev/null; printf '%s ' $?; \
                    tini -e $code -- sh -c \"exit $code\" 2>/dev/null; printf '%s ' $?; done";
    let finished = shell(script).expect(0);
    assert_eq!(finished.stdout, "0 0 1 0 2 0 77 0 126 0 127 0 128 0 143 0 255 0 ");
    let all: String = (0..=255).filter(|code| *code != 9).map(|code| format!("-e {code} ")).collect();
    assert_eq!(shell(&format!("POSIXLY_CORRECT=1 tini {all} sh -c 'exit 9' 2>/dev/null")).code, 9);
}

#[test]
fn a_command_that_cannot_be_run_is_126_or_127_and_wrong_usage_is_1() {
    assert_eq!(shell("tini nope").expect(127).stderr.lines().count(), 2, "a warning and the reason");
    shell("tini /etc").expect(126);
    shell("tini -- -- true").expect(127);
    shell("tini").expect(1);
    shell("tini -e 256 true").expect(1);
    shell("tini -p TERM true").expect(1);
    shell("tini -x true").expect(1);
}

#[test]
fn without_the_flag_it_is_not_a_subreaper_and_warns() {
    assert!(shell("tini true").expect(0).stderr.contains(WARNING));
    for quiet in ["TINI_VERBOSITY=0 tini true", "TINI_SUBREAPER= tini true", "tini -s true"] {
        assert!(!shell(quiet).expect(0).stderr.contains(WARNING), "{quiet}");
    }
}

#[test]
fn it_adopts_orphans_only_with_the_flag() {
    for (flags, adopts) in [(&["-s"][..], true), (&[][..], false)] {
        let orphan = ["--", "puppet", "child:setsid child:wait-file:end exit:0", "touch:done", "pause"];
        let foster = Foster::new().named("tini").not_pid_1().arguments(&[flags, &orphan].concat()).start();
        foster.wait_for_file("done");
        let command = foster.command();
        foster.wait_for("the orphan to have a parent", || {
            let family = foster.processes();
            match adopts {
                true => family.iter().any(|process| process.parent == foster.pid() && process.pid != command),
                false => family.len() == 2,
            }
        });
        std::fs::write(foster.path("end"), "").expect("a file");
        foster.wait_for("the orphan's end", || foster.processes().len() == 2);
    }
}

#[test]
fn as_pid_1_it_does_not_warn_and_reports_zombies_only_with_the_flag() {
    for (flags, reported) in [(&["-w"][..], true), (&[][..], false)] {
        let mut foster = start(&[flags, &["--", "puppet", "orphans:5", "touch:done", "pause"]].concat());
        foster.wait_for_file("done");
        foster.wait_for("the orphans to be reaped", || foster.processes().len() == 2);
        foster.signal(Signal::SIGTERM);
        assert_eq!(foster.wait_exit(), End::Code(143));
        let stderr = foster.output().stderr();
        assert_eq!(matches(&stderr, REAPED), reported, "{stderr}");
        assert!(!stderr.contains(WARNING), "{stderr}");
    }
}

#[test]
fn the_command_inherits_signal_dispositions_and_mask() {
    // Compares with a command without tini, because the tests may have inherited other dispositions.
    for prefix in ["", "env --ignore-signal=INT,TTOU,PIPE,CHLD --block-signal=TTIN,ILL,TERM"] {
        let mask = |command: &str| {
            let stdout =
                shell(&format!("exec {prefix} {command} grep '^Sig[BI]' /proc/self/status")).expect(0).stdout;
            assert_eq!(stdout.lines().count(), 2, "{stdout}");
            stdout
        };
        assert_eq!(mask("tini -s --"), mask("env"));
    }
}

#[test]
fn a_group_is_signalled_by_flag_or_variable() {
    let script = "trap : USR1; puppet 'trap:USR1:touch:child' touch:up pause & wait; wait; exit 9";
    let by_flag = start(&["-g", "--", "sh", "-c", script]);
    let by_variable = Foster::new()
        .named("tini")
        .env("TINI_KILL_PROCESS_GROUP", "")
        .arguments(&["--", "sh", "-c", script])
        .start();
    for foster in [by_flag, by_variable] {
        foster.wait_for_file("up");
        foster.signal(Signal::SIGUSR1);
        foster.wait_for_file("child");
    }
}

#[test]
fn it_keeps_its_working_directory_and_the_command_leads_a_group() {
    let foster = start(&["--", "puppet", "touch:up", "pause"]);
    foster.wait_for_file("up");
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", foster.pid())).expect("a live process");
    assert_eq!(cwd, foster.path("").canonicalize().expect("a folder"));
    let command = foster.command();
    let (group, session, _) = group_of(command);
    assert_eq!(group, command);
    assert_eq!(session, group_of(foster.pid()).1);
}

#[test]
fn fault_signals_end_it_and_ttin_is_not_passed_on() {
    let mut foster = Foster::new()
        .named("tini")
        .not_pid_1()
        .arguments(&["-s", "--", "puppet", "report-signals", "pause"])
        .start();
    foster.wait_for_line("reporting signals");
    foster.signal(Signal::SIGTTIN);
    foster.signal(Signal::SIGTTOU);
    foster.signal(Signal::SIGTSTP);
    foster.wait_for_line("^got TSTP$");
    assert!(!foster.output().has_line("^got TT"), "{}", foster.output().shown());
    let command = foster.command();
    foster.signal(Signal::SIGABRT);
    let killed = nix::sys::signal::kill(nix::unistd::Pid::from_raw(command), Signal::SIGKILL);
    assert_eq!(killed, Ok(()), "the command has survived it");
    assert_eq!(foster.wait_exit(), End::Killed(Signal::SIGABRT));
}

#[test]
fn verbosity_is_a_repeated_flag_or_a_variable() {
    assert!(shell("TINI_VERBOSITY=3 tini true").expect(0).stderr.contains("Received SIGCHLD"));
    assert!(shell("tini -vv true").expect(0).stderr.contains("Received SIGCHLD"));
    let steps = shell("tini -v true").expect(0).stderr;
    assert!(steps.contains("started `true`") && !steps.contains("SIGCHLD"), "{steps}");
}

#[test]
fn it_preserves_pipes_and_a_broken_pipe_ends_its_writer() {
    assert_eq!(shell("echo 'exit 3' | tini -s sh").code, 3);
    let finished = shell("tini -s -- sh -c 'yes | head -n 1'").expect(0);
    assert_eq!(finished.text(), "y\n");
}
