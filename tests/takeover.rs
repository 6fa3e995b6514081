//! After a fault another foster takes the place of the one that had it, in the same process, and stops the programs.
//!
//! FOSTER_TEST_FAULT, which only debug builds have, causes a fault at a request for the status. `pid1.rs` has the reason
//! in the termination log, and faults that end foster at once.
#![cfg(debug_assertions)]

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{End, Foster, Running};

fn faulty(config: &str) -> Foster {
    let log = "[foster]\ntermination_log = 'termination-log'\n";
    Foster::new().config(&format!("{log}{config}")).file("termination-log", "").env("FOSTER_TEST_FAULT", "1")
}

/// Causes the fault, and waits for the end.
fn fail(foster: &mut Running) -> (String, String) {
    foster.signal(Signal::SIGUSR2);
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    (foster.output().stdout(), foster.output().stderr())
}

/// The stop of a program takes a while, so that another order would show.
const LAYERS: &str = "
[program.db]
command = 'puppet trap:TERM:append:order:db trap:TERM:print:db_ends trap:TERM:exit:0 touch:db print:db_up pause'
ready = { log = 'db_up' }
priority = 1
[program.app]
command = 'puppet trap:TERM:sleep:0.2 trap:TERM:append:order:app trap:TERM:print:app_ends trap:TERM:exit:0 touch:app print:app_up pause'
ready = { log = 'app_up' }
after = ['db']
pre_stop = 'puppet append:order:drain'
[program.web]
command = 'puppet trap:QUIT:sleep:0.2 trap:QUIT:append:order:web trap:QUIT:stderr:web_ends trap:QUIT:exit:0 touch:web print:web_up pause'
ready = { log = 'web_up' }
after = ['app']
stop_signal = 'QUIT'
";

#[test]
fn after_a_fault_programs_stop_in_their_order_and_their_last_output_is_in_the_log() {
    for is_first in [true, false] {
        let foster = if is_first { faulty(LAYERS) } else { faulty(LAYERS).not_pid_1() };
        let mut foster = foster.start();
        foster.wait_for_state("web", "running");
        let (stdout, stderr) = fail(&mut foster);
        assert_eq!(foster.content("order"), "web\ndrain\napp\ndb\n", "{}", foster.output().shown());
        for line in ["app    | app_ends", "db     | db_ends"] {
            assert!(stdout.contains(line), "{stdout}");
        }
        assert!(stderr.contains("web    | web_ends"), "{stderr}");
        assert!(
            stderr.trim_end().lines().last().is_some_and(|line| line.contains("exit status 1: ")),
            "{stderr}"
        );
    }
}

#[test]
fn a_fault_while_a_hundred_programs_run_stops_each_of_them_and_kills_none() {
    let program = |number: i32| {
        format!(
            "[program.p{number}]\ncommand = 'puppet trap:TERM:print:ends_{number}. trap:TERM:exit:0 print:up pause'\nready = {{ log = 'up' }}\n"
        )
    };
    let mut foster = faulty(&(0..100).map(program).collect::<String>()).start();
    for number in 0..100 {
        foster.wait_for_state(&format!("p{number}"), "running");
    }
    let (stdout, stderr) = fail(&mut foster);
    for number in 0..100 {
        assert!(stdout.contains(&format!("ends_{number}.")), "{number}\n{stdout}\n{stderr}");
    }
    assert!(stderr.contains("100 running processes") && !stderr.contains("kill"), "{stderr}");
}

#[test]
fn a_second_fault_kills_what_is_left() {
    let config =
        "[program.app]\ncommand = 'puppet trap:TERM:print:got_TERM touch:up pause'\nstop_timeout = '1m'\n";
    for is_first in [true, false] {
        let foster = faulty(&format!("{config}[defaults]\n"));
        let mut foster = if is_first { foster } else { foster.not_pid_1() }.start();
        foster.wait_for_file("up");
        foster.wait_for_state("app", "running");
        let app = foster.pid_of("app");
        foster.signal(Signal::SIGUSR2);
        foster.wait_for_line("got_TERM");
        let name = fs::read_to_string(format!("/proc/{}/comm", foster.pid())).expect("a name");
        assert_eq!(name, "foster\n", "the second foster is called as the first");
        let (_, stderr) = fail(&mut foster);
        assert!(stderr.contains("a second fault in foster itself, killing everything"), "{stderr}");
        let reason = foster.content("termination-log");
        assert_eq!(reason.matches("asked for by FOSTER_TEST_FAULT").count(), 2, "{reason}");
        let state = fs::read_to_string(format!("/proc/{app}/stat")).unwrap_or_default();
        assert!(!state.contains("puppet") || state.contains(" Z "), "{state}");
    }
}

/// A foster that is shut down has no time for another stop.
#[test]
fn a_fault_during_a_shutdown_kills_what_is_left() {
    let config =
        "[program.app]\ncommand = 'puppet trap:TERM:print:got_TERM touch:up pause'\nstop_timeout = '1m'\n";
    let mut foster = faulty(config).start();
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    foster.wait_for_line("got_TERM");
    let (_, stderr) = fail(&mut foster);
    assert!(stderr.contains("a fault in foster itself, killing everything"), "{stderr}");
}

#[test]
fn a_fault_with_a_configuration_that_has_mistakes_by_now_stops_each_tier_by_its_signal() {
    let mut foster = faulty(LAYERS).start();
    foster.wait_for_state("web", "running");
    fs::write(foster.path("foster.toml"), "[program.web]\n").expect("a file");
    let (_, stderr) = fail(&mut foster);
    assert!(stderr.contains("`command`"), "{stderr}");
    // Dependencies are unknown: `app` and `web` are of one tier.
    let order = foster.content("order");
    assert!(order.ends_with("db\n") && order.contains("web") && order.contains("app"), "{order}");
}

#[test]
fn a_program_that_the_configuration_has_no_longer_is_ended_last() {
    let config =
        "[program.kept]\ncommand = 'puppet trap:TERM:append:order:kept trap:TERM:exit:0 touch:kept pause'\n";
    let removed = config.replace("kept", "removed");
    let mut foster = faulty(&format!("{config}{removed}")).start();
    foster.wait_for_file("kept");
    foster.wait_for_file("removed");
    let text = foster.content("foster.toml").replace(&removed, "");
    fs::write(foster.path("foster.toml"), text).expect("a file");
    fail(&mut foster);
    assert_eq!(foster.content("order"), "kept\nremoved\n", "{}", foster.output().shown());
}

#[test]
fn after_a_fault_instances_that_were_added_a_log_file_and_an_open_stdin_are_known() {
    let config = "[program.app]\ncommand = 'puppet trap:TERM:print:ends trap:TERM:append:ended:x trap:TERM:exit:0 print:up pause'\nready = { log = 'up' }\nstdout = { file = 'app.log' }\n
        [program.reads]\ncommand = ['sh', '-c', 'trap \"echo stopped; exit\" TERM; echo up; read line; echo end_of_input']\nstdin = 'open'\nready = { log = 'up' }\npriority = 1\n";
    let mut foster = faulty(config).start();
    foster.wait_for_state("reads", "running");
    foster.verb(&["scale", "app", "3"]).expect(0);
    let (stdout, stderr) = fail(&mut foster);
    assert_eq!(foster.content("app.log").matches("ends").count(), 3);
    for name in ["app.0", "app.1", "app.2"] {
        assert!(stderr.contains(&format!("{name}: stopping")), "{stderr}");
    }
    assert!(stdout.contains("stopped") && !stdout.contains("end_of_input"), "{stdout}");
}

#[test]
fn a_fault_in_the_middle_of_starts_loses_no_process() {
    let config = "[program.slow]\ncommand = 'puppet trap:TERM:print:slow_ends trap:TERM:exit:0 touch:slow pause'\nready = { file = 'never' }\n
        [program.prepared]\ncommand = 'puppet pause'\npre_start = 'puppet trap:TERM:print:pre_ends trap:TERM:exit:0 touch:pre pause'\n";
    let mut foster = faulty(config).start();
    foster.wait_for_file("slow");
    foster.wait_for_file("pre");
    let (stdout, stderr) = fail(&mut foster);
    assert!(stdout.contains("slow_ends") && stdout.contains("pre_ends"), "{stdout}\n{stderr}");
    assert!(stderr.contains("prepared: stop") && !stderr.contains("killed at the end"), "{stderr}");
}

/// A child that looks for a file is a copy of foster, with its control socket.
#[test]
fn a_fault_while_children_look_for_files_is_not_taken_for_another_foster() {
    let program = |index: u32| {
        format!(
            "[program.p{index}]\ncommand = 'puppet trap:TERM:print:ends_{index} trap:TERM:exit:0 touch:up{index} pause'\n\
             ready = {{ file = 'never', interval = '10ms' }}\n"
        )
    };
    let mut foster = faulty(&(0..20).map(program).collect::<String>()).start();
    (0..20).for_each(|index| foster.wait_for_file(&format!("up{index}")));
    let (stdout, stderr) = fail(&mut foster);
    for index in 0..20 {
        assert!(stdout.contains(&format!("ends_{index}\n")), "{index}\n{stdout}\n{stderr}");
    }
}

#[test]
fn after_a_fault_the_control_socket_is_the_second_fosters_and_is_removed() {
    let mut foster = faulty("[program.app]\ncommand = 'puppet pause'\n").not_pid_1().start();
    foster.wait_for_state("app", "running");
    let socket = foster.path("foster.sock");
    fail(&mut foster);
    assert!(!socket.exists());
}
