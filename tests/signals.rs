//! Signals to foster: the defaults and the table `[signals]`.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{End, Foster, Running, found};

fn reporting(signals: &str) -> Running {
    let config = format!("[program.backend]\ncommand = 'puppet report-signals touch:ready pause'\n{signals}");
    let foster = Foster::new().config(&config).start();
    foster.wait_for_file("ready");
    foster.wait_for_state("backend", "running");
    foster
}

#[test]
fn term_int_quit_and_rtmin_plus_3_are_an_ordered_shutdown_with_status_0() {
    // RTMIN is 34 for programs (signal(7)).
    for number in [15, 2, 3, 37] {
        let mut foster = reporting("");
        foster.signal_number(number);
        assert_eq!(foster.wait_exit(), End::Code(0), "{number}\n{}", foster.output().shown());
    }
}

#[test]
fn a_second_term_kills_all_remaining_processes_at_once() {
    let mut foster = Foster::new()
        .config("[program.stubborn]\ncommand = 'puppet ignore:TERM touch:ready pause'\nstop_timeout = '1h'\n[foster]\nshutdown_timeout = '1h'\n")
        .start();
    foster.wait_for_file("ready");
    foster.signal(Signal::SIGTERM);
    foster.wait_for_state("stubborn", "stopping");
    foster.signal(Signal::SIGTERM);
    assert_eq!(foster.wait_exit(), End::Code(0));
}

#[test]
fn a_signal_is_forwarded_as_itself_or_as_another() {
    let foster = reporting("[signals]\nWINCH = 'forward:backend'\nALRM = 'forward:backend:HUP'\n");
    foster.signal(Signal::SIGWINCH);
    foster.wait_for_line(r"got WINCH$");
    foster.signal(Signal::SIGALRM);
    foster.wait_for_line(r"got HUP$");
    assert!(!foster.output().has_line("got ALRM"));
}

#[test]
fn a_signal_can_be_configured_as_a_shutdown() {
    let mut foster = reporting("[signals]\nPWR = 'shutdown'\n");
    foster.signal(Signal::SIGPWR);
    assert_eq!(foster.wait_exit(), End::Code(0));
}

#[test]
fn an_unconfigured_signal_is_ignored() {
    let foster = reporting("[signals]\nWINCH = 'forward:backend'\n");
    for signal in
        [Signal::SIGALRM, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGPIPE, Signal::SIGPWR]
    {
        foster.signal(signal);
    }
    foster.verb(&["status"]).expect(0);
    // A wrongly forwarded signal would have arrived before the last one.
    foster.signal(Signal::SIGWINCH);
    foster.wait_for_line(r"got WINCH$");
    assert_eq!(foster.output().stdout().matches("got ").count(), 1, "{}", foster.output().shown());
}

#[test]
fn the_winch_of_an_image_is_answered_with_what_to_write() {
    let mut foster = reporting("");
    foster.signal(Signal::SIGWINCH);
    foster.wait_for_line(
        r#"got SIGWINCH, which means nothing here; `\[signals\] WINCH = "shutdown"` stops the container"#,
    );
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(!foster.output().has_line("got WINCH"), "{}", foster.output().shown());
}

#[test]
fn usr2_writes_the_status_of_every_program_to_the_log() {
    let foster = reporting("[program.other]\ncommand = 'puppet pause'\nautostart = false\n");
    foster.signal(Signal::SIGUSR2);
    foster.wait_for_line(r"backend.*running");
    foster.wait_for_line(r"other.*stopped");
}

#[test]
fn usr1_reopens_the_log_files() {
    let config = "[program.app]\ncommand = 'puppet print:one wait-file:moved print:two pause'\nstdout = { file = 'app.log' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("the first line", || foster.content("app.log") == "one\n");
    std::fs::rename(foster.path("app.log"), foster.path("app.log.old")).expect("a rename");
    foster.signal(Signal::SIGUSR1);
    foster.wait_for_file("app.log");
    std::fs::write(foster.path("moved"), "").expect("a file");
    foster.wait_for("the second line in the new file", || foster.content("app.log") == "two\n");
    assert_eq!(foster.content("app.log.old"), "one\n");
}

#[test]
fn signals_are_blocked_before_the_configuration_is_read() {
    let Some(strace) = found("strace") else { return };
    // The kernel drops a signal to PID 1 that is neither caught nor blocked.
    let config = "[foster]\nsocket = ''\n[program.app]\ncommand = 'puppet exit:0'\nrestart = 'never'\n";
    let foster = Foster::new().file("foster.toml", config).all_names();
    let strace = strace.display();
    let script =
        format!("{strace} -o trace -e trace=rt_sigprocmask,openat,open foster run -c foster.toml; cat trace");
    let trace = foster.shell(&script).stdout;
    let first = |text: &str| trace.lines().position(|line| line.contains(text));
    let blocked = first("rt_sigprocmask(SIG_SETMASK, ~[").unwrap_or_else(|| panic!("{trace}"));
    let read = first("foster.toml").unwrap_or_else(|| panic!("{trace}"));
    assert!(blocked < read, "{trace}");
}

#[test]
fn a_signal_during_the_startup_is_obeyed() {
    let mut foster = Foster::new()
        .config("[program.slow]\ncommand = 'puppet touch:up pause'\nready = { file = 'never' }\n[program.next]\ncommand = 'puppet pause'\nafter = ['slow']\n")
        .start();
    foster.wait_for_file("up");
    let before = std::time::Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before < Duration::from_secs(2), "{:?}", at - before);
}

#[test]
fn a_signal_that_an_update_gives_a_meaning_is_obeyed_however_often_that_changes() {
    let foster = reporting("");
    let config = foster.content("foster.toml");
    for (entry, then) in
        [("ALRM = 'forward:backend'", Signal::SIGALRM), ("PWR = 'forward:backend:HUP'", Signal::SIGPWR)]
    {
        foster.signal(then);
        foster.wait_for_line(&format!("got {then}, which means nothing here"));
        for signals in [format!("[signals]\n{entry}\n"), String::new(), format!("[signals]\n{entry}\n")] {
            std::fs::write(foster.path("foster.toml"), format!("{config}{signals}")).expect("a file");
            foster.verb(&["update"]).expect(0);
        }
        foster.signal(then);
    }
    foster.wait_for_line("got ALRM$");
    foster.wait_for_line("got HUP$");
}
