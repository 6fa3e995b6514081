//! Stopping programs and the whole container.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster};

#[test]
fn the_stop_signal_is_the_configured_one() {
    let config = "[program.web]\ncommand = 'puppet trap:QUIT:print:quitting trap:QUIT:exit:0 touch:up pause'\nstop_signal = 'QUIT'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(foster.output().has_line("quitting"), "{}", foster.output().shown());
}

#[test]
fn a_list_of_stop_signals_is_sent_in_order_and_then_kill() {
    let config = "[program.app]\ncommand = 'puppet trap:QUIT:print:quit trap:INT:print:int ignore:TERM touch:up pause'\nstop_signal = ['QUIT', 'INT']\nstop_timeout = '500ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before >= Duration::from_secs(1), "{:?}", at - before);
    let seen = foster.output().stdout();
    let (quit, int) = (seen.find("quit"), seen.find("int"));
    assert!(quit.is_some() && quit < int, "{seen}");
    foster.wait_for_line("app: did not stop within 500ms of SIGQUIT, SIGINT, and foster killed it");
}

#[test]
fn kill_is_sent_to_the_whole_session_of_the_program() {
    let config = "[program.app]\ncommand = \"puppet ignore:TERM 'child:ignore:TERM touch:child pause' 'child:pgrp ignore:TERM touch:group pause' touch:up pause\"\nstop_timeout = '50ms'\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    for file in ["up", "child", "group"] {
        foster.wait_for_file(file);
    }
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for("foster and the other program", || foster.processes().len() == 2);
}

#[test]
fn stop_group_signals_the_process_group() {
    let config = "[program.app]\ncommand = \"puppet 'child:trap:TERM:print:child_signalled trap:TERM:exit:0 touch:child pause' trap:TERM:print:main_signalled trap:TERM:exit:0 touch:up pause\"\nstop_group = true\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_file("child");
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for_line("main_signalled");
    foster.wait_for_line("child_signalled");
}

#[test]
fn pre_stop_runs_before_the_stop_signal() {
    let config = "[program.web]\ncommand = 'puppet trap:TERM:append:order:term trap:TERM:exit:0 touch:up pause'\npre_stop = 'puppet append:order:drain'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("web", "running");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("order"), "drain\nterm\n");
}

#[test]
fn a_pre_stop_that_hangs_costs_no_more_than_the_stop_timeout() {
    let config = "[program.web]\ncommand = 'puppet touch:up pause'\npre_stop = 'puppet pause'\nstop_timeout = '200ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("web", "running");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before < Duration::from_secs(2), "{:?}", at - before);
}

#[test]
fn shutdown_timeout_bounds_the_whole_shutdown() {
    let stubborn = |name: &str, priority: u32| {
        format!(
            "[program.{name}]\ncommand = 'puppet ignore:TERM touch:{name} pause'\nstop_timeout = '1h'\npriority = {priority}\nready = {{ file = '{name}' }}\n"
        )
    };
    let config = [stubborn("a", 1), stubborn("b", 2), stubborn("c", 3)].concat()
        + "[foster]\nshutdown_timeout = '300ms'\n";
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_state("c", "running");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    let took = at - before;
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn other_processes_of_the_namespace_get_term_and_then_kill() {
    let config = "[program.app]\ncommand = \"puppet 'child:setsid trap:TERM:append:signalled:x touch:daemon pause' wait-file:daemon touch:up pause\"\n[foster]\nshutdown_timeout = '2s'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("signalled"), "x\n");
}

#[test]
fn a_stop_while_starting_or_in_backoff_takes_effect_at_once() {
    let config = "[program.starting]\ncommand = 'puppet touch:up pause'\nready = { file = 'never' }\n[program.failing]\ncommand = 'puppet exit:1'\nbackoff = { initial = '1h', max = '1h' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("failing", "backoff");
    let before = Instant::now();
    foster.verb(&["stop", "all"]).expect(0);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    foster.wait_for_state("starting", "stopped");
    foster.wait_for_state("failing", "stopped");
}

#[test]
fn nothing_is_restarted_during_a_shutdown() {
    let config = "[program.slow]\ncommand = 'puppet trap:TERM:wait-file:fast-ended trap:TERM:exit:0 touch:slow pause'\n[program.fast]\ncommand = 'puppet append:starts:x trap:TERM:touch:fast-ended trap:TERM:exit:1 touch:fast pause'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("slow");
    foster.wait_for_file("fast");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("starts"), "x\n");
}

/// A process that is stopped (state T) gets no signal but KILL and CONT until it continues.
#[test]
fn a_program_that_is_stopped_by_a_signal_ends_by_its_stop_signal() {
    for settings in ["", "stop_group = true\n"] {
        for at_shutdown in [false, true] {
            let config = format!(
                "[program.app]\ncommand = 'puppet trap:TERM:print:saved trap:TERM:exit:0 touch:up pause'\nstop_timeout = '1h'\n{settings}[program.other]\ncommand = 'puppet pause'\n[foster]\nshutdown_timeout = '2h'\n"
            );
            let mut foster = Foster::new().config(&config).start();
            foster.wait_for_file("up");
            let pid = foster.pid_of("app");
            kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("a signal");
            foster.wait_for("the state T", || {
                fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| text.contains("State:\tT"))
            });
            if at_shutdown {
                assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
            } else {
                foster.verb(&["stop", "app"]).expect(0);
            }
            foster.wait_for_line(r"app +\| saved");
            foster.wait_for_line("app: stopped");
        }
    }
}

#[test]
fn a_program_that_waits_when_the_shutdown_begins_will_not_be_started() {
    let config = "[program.database]\ncommand = 'puppet pause'\nready = { file = 'never' }\n[program.web]\ncommand = 'puppet pause'\nafter = ['database']\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "waiting");
    assert_eq!(foster.terminate(), End::Code(0));
    foster.wait_for_line("web: will not be started: shutting down");
}

#[test]
fn an_order_to_shut_down_that_is_given_again_kills_nothing() {
    let config = "[program.web]\ncommand = 'puppet trap:TERM:print:asked trap:USR1:exit:0 touch:up pause'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.verb(&["shutdown"]).expect(0);
    foster.wait_for_line("asked");
    foster.verb(&["shutdown"]).expect(0);
    foster.verb(&["signal", "USR1", "web"]).expect(0);
    assert_eq!(foster.wait_exit(), End::Code(0));
    assert!(foster.output().has_line("web: stopped after"), "{}", foster.output().shown());
}

#[test]
fn a_program_that_a_second_signal_killed_is_not_said_to_need_another_shutdown_timeout() {
    let config = "[program.web]\ncommand = 'puppet ignore:TERM touch:up pause'\n[foster]\nshutdown_timeout = '1h'\n[defaults]\nstop_timeout = '1h'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    foster.wait_for_state("web", "stopping");
    foster.signal(Signal::SIGTERM);
    assert_eq!(foster.wait_exit(), End::Code(0));
    let log = foster.output().stderr();
    assert!(log.contains("got SIGTERM during the shutdown: killing what is left"), "{log}");
    assert!(log.contains("because the shutdown was cut short"), "{log}");
    assert!(!log.contains("raise"), "{log}");
}
