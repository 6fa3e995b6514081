//! Bare inits on a terminal: ^C, ^Z and job control, with and without a shell as the parent.

use nix::sys::signal::Signal;

use crate::support::{End, Foster, Running, found, group_of, state_of};

/// Starts foster by this name as PID 1 and session leader of a terminal.
fn alone(name: &str, arguments: &[&str]) -> Running {
    Foster::new().named(name).on_terminal().arguments(arguments).start()
}

/// Starts an interactive shell on a terminal, with all names of foster in PATH. `None`: bash is not installed.
fn shell() -> Option<Running> {
    found("bash")?;
    let shell = Foster::new()
        .all_names()
        .on_terminal()
        .not_pid_1()
        .env("PS1", "> ")
        .program("bash", &["--norc", "--noprofile", "--noediting", "-i"])
        .start();
    shell.wait_for_line("^> ");
    Some(shell)
}

/// Waits for the only child of this process.
#[track_caller]
fn child_of(running: &Running, parent: i32) -> i32 {
    let mut found = None;
    running.wait_for("its child", || {
        found =
            running.processes().into_iter().find(|process| process.parent == parent).map(|child| child.pid);
        found.is_some()
    });
    found.expect("just found")
}

fn is_stopped(pid: i32) -> bool {
    state_of(pid) == Some('T')
}

#[test]
fn without_a_shell_the_command_has_the_terminal_and_foster_none() {
    for (name, arguments) in [("foster", &["--"][..]), ("foster", &["-g", "--"]), ("dumb-init", &[])] {
        let foster =
            alone(name, &[arguments, &["puppet", "trap:HUP:print:hung-up", "print:up", "pause"]].concat());
        foster.wait_for_line("up");
        let command = foster.command();
        assert_eq!(group_of(command), (command, command, command), "group, session and foreground: {name}");
        assert_ne!(group_of(foster.pid()).1, command);
        assert!(!foster.output().has_line("hung-up"), "the command got the HUP of the hand-over");
    }
}

#[test]
fn tini_keeps_the_session_and_the_command_is_in_the_foreground() {
    let foster = alone("tini", &["--", "puppet", "print:up", "pause"]);
    foster.wait_for_line("up");
    let command = foster.command();
    let (group, session, foreground) = group_of(command);
    assert_eq!((group, foreground), (command, command));
    assert_eq!(session, foster.pid());
}

#[test]
fn control_c_ends_the_command_and_its_status_is_passed_on() {
    for (name, arguments) in [("foster", &["--"][..]), ("tini", &["--"]), ("dumb-init", &[])] {
        let mut foster = alone(name, &[arguments, &["puppet", "print:up", "pause"]].concat());
        foster.wait_for_line("up");
        foster.type_keys("\x03");
        assert_eq!(foster.wait_exit(), End::Code(130), "{name}");
    }
}

#[test]
fn control_z_stops_nothing_without_a_shell_to_continue_it() {
    let mut foster =
        alone("foster", &["--", "puppet", "print:up", "wait-file:go", "print:gone-on", "exit:4"]);
    foster.wait_for_line("up");
    foster.type_keys("\x1a");
    foster.wait_for_line(r"\^Z");
    std::fs::write(foster.path("go"), "").expect("a file");
    assert_eq!(foster.wait_exit(), End::Code(4), "{}", foster.output().shown());
}

#[test]
fn a_hang_up_after_the_hand_over_is_sent_to_the_command() {
    for (name, arguments) in [("foster", &["--"][..]), ("tini", &["--"]), ("dumb-init", &[])] {
        let command = ["puppet", "trap:HUP:touch:hung-up", "trap:HUP:exit:0", "print:up", "pause"];
        let mut foster = alone(name, &[arguments, &command].concat());
        foster.wait_for_line("up");
        foster.signal(Signal::SIGHUP);
        assert_eq!(foster.wait_exit(), End::Code(0), "{name}");
        assert!(foster.path("hung-up").exists(), "{name}");
    }
}

#[test]
fn a_shell_as_the_command_has_job_control() {
    if found("bash").is_none() {
        return;
    }
    for (name, arguments) in [("foster", &["--"][..]), ("tini", &["--"]), ("dumb-init", &[])] {
        let bash = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
        let mut foster = alone(name, &[arguments, &bash].concat());
        foster.wait_for_line("[#$] ");
        foster.type_keys("echo flags=$-\n");
        foster.wait_for_line("^flags=[a-zA-Z]*m");
        assert!(!foster.output().has_line("no job control"), "{name}: {}", foster.output().shown());
        foster.type_keys("puppet print:one touch:one pause\n");
        foster.wait_for_file("one");
        let job = child_of(&foster, foster.command());
        foster.type_keys("\x1a");
        foster.wait_for_line("Stopped");
        foster.type_keys("fg\n");
        foster.wait_for("the job to continue", || !is_stopped(job));
        foster.type_keys("\x03");
        foster.type_keys("echo status=$?; exit 3\n");
        foster.wait_for_line("status=130");
        assert_eq!(foster.wait_exit(), End::Code(3), "{name}");
    }
}

#[test]
fn under_a_shell_a_job_stops_continues_and_ends_as_without_foster() {
    for flags in ["", "-g "] {
        let Some(shell) = shell() else { return };
        shell.type_keys(&format!("foster {flags}-- puppet trap:CONT:append:log:cont touch:up pause\n"));
        shell.wait_for_file("up");
        let foster = child_of(&shell, shell.pid());
        let command = child_of(&shell, foster);
        let (group, _, foreground) = group_of(command);
        assert_eq!(group, foreground, "the command's group is in the foreground");
        for round in 1..=2 {
            shell.type_keys("\x1a");
            shell.wait_for("both to be stopped", || is_stopped(foster) && is_stopped(command));
            shell.wait_for("the shell's message", || {
                shell.output().stdout().matches("Stopped").count() == round
            });
            shell.type_keys("fg\n");
            shell.wait_for("both to continue", || !is_stopped(foster) && !is_stopped(command));
            shell.wait_for("the command to have the terminal", || group_of(command).2 == group);
        }
        shell.type_keys("\x03");
        shell.wait_for("the end", || state_of(foster).is_none());
        shell.type_keys("echo status=$?\n");
        shell.wait_for_line("status=130");
    }
}

#[test]
fn under_a_shell_control_c_arrives_once() {
    let Some(shell) = shell() else { return };
    shell.type_keys("foster -- puppet trap:INT:append:log:int trap:TERM:exit:0 touch:up pause\n");
    shell.wait_for_file("up");
    let foster = child_of(&shell, shell.pid());
    shell.type_keys("\x03");
    shell.wait_for_file("log");
    // A signal that foster had forwarded would have arrived before this one.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(foster), Signal::SIGTERM).expect("a signal to foster");
    shell.wait_for("the end", || state_of(foster).is_none());
    assert_eq!(shell.content("log"), "int\n");
}

#[test]
fn a_background_job_gets_the_terminal_in_the_foreground() {
    for flags in ["", "-g "] {
        let Some(shell) = shell() else { return };
        shell.type_keys(&format!("foster {flags}-- sh -c 'echo asking; read line; echo heard $line' &\n"));
        let foster = child_of(&shell, shell.pid());
        let command = child_of(&shell, foster);
        shell.wait_for("the reader to be stopped, and its job with it", || {
            is_stopped(command) && is_stopped(foster)
        });
        shell.type_keys("fg\n");
        shell.wait_for("the reader to continue", || !is_stopped(command));
        shell.wait_for("the command to have the terminal", || group_of(command).0 == group_of(command).2);
        shell.type_keys("words\n");
        shell.wait_for_line("^heard words");
    }
}

#[test]
fn a_script_gets_the_terminal_back_when_its_init_has_exited() {
    for flags in ["", "-g "] {
        let Some(shell) = shell() else { return };
        let script = format!("sh -c 'foster {flags}-- true; echo asking; read line; echo heard $line'\n");
        shell.type_keys(&script);
        shell.wait_for_line("^asking");
        shell.type_keys("words\n");
        shell.wait_for_line("^heard words");
    }
}

#[test]
fn a_new_terminal_size_is_reported_to_the_command() {
    let foster = alone("foster", &["--", "puppet", "trap:WINCH:touch:resized", "print:up", "pause"]);
    foster.wait_for_line("up");
    foster.signal(Signal::SIGWINCH);
    foster.wait_for_file("resized");
}
