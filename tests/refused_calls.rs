//! Sandboxes and kernels that refuse newer system calls: foster uses older ones.
//!
//! Old seccomp profiles return EPERM, old kernels and gVisor ENOSYS, qemu-user EINVAL. None of them may change the
//! behaviour of the bare init or of `run`.

use nix::sys::signal::Signal;

use crate::support::{End, Foster, found, may_make_namespaces};

const CALLS: [&str; 4] = ["pidfd_open", "pidfd_send_signal", "close_range", "subreaper"];
const ERRORS: [&str; 3] = ["EPERM", "ENOSYS", "EINVAL"];

#[test]
fn the_bare_init_passes_signals_on_and_keeps_no_descriptor_whatever_is_refused() {
    if !may_make_namespaces() {
        return;
    }
    for call in CALLS {
        for errno in ERRORS {
            for group in [&[][..], &["-g"]] {
                let arguments = [group, &["--", "puppet", "trap:TERM:exit:5", "touch:up", "pause"]].concat();
                let mut foster = Foster::new().refusing(call, errno).arguments(&arguments).start();
                foster.wait_for_file("up");
                let descriptors =
                    || std::fs::read_dir(format!("/proc/{}/fd", foster.pid())).expect("alive").count();
                foster.wait_for("nothing but its streams", || descriptors() == 3);
                foster.signal(Signal::SIGTERM);
                assert_eq!(foster.wait_exit(), End::Code(5), "{call} {errno}: {}", foster.output().shown());
            }
        }
    }
}

#[test]
fn run_starts_signals_restarts_and_stops_whatever_is_refused() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet fds trap:HUP:print:reloaded print:up pause'\nreload_signal = 'HUP'\nmin_uptime = '1ms'\n";
    for call in CALLS {
        for errno in ERRORS {
            let mut foster = Foster::new().config(config).refusing(call, errno).start();
            foster.wait_for_line(r"app +\| up");
            foster.wait_for_state("app", "running");
            foster.verb(&["reload", "app"]).expect(0);
            foster.wait_for_line(r"app +\| reloaded");
            let before = foster.pid_of("app");
            foster.verb(&["restart", "app"]).expect(0);
            assert_ne!(foster.pid_of("app"), before, "{call} {errno}");
            assert_eq!(foster.terminate(), End::Code(0), "{call} {errno}: {}", foster.output().shown());
            let stdout = foster.output().stdout();
            assert!(!stdout.contains("app    | fd 3 "), "{call} {errno}: a fourth descriptor: {stdout}");
        }
    }
}

#[test]
fn an_init_that_cannot_become_a_subreaper_warns_and_runs() {
    if !may_make_namespaces() {
        return;
    }
    // The inner foster is not PID 1.
    let inner = ["--", "foster", "--", "puppet", "exit:7"];
    let mut foster = Foster::new().refusing("subreaper", "EINVAL").arguments(&inner).start();
    assert_eq!(foster.wait_exit(), End::Code(7), "{}", foster.output().shown());
    let warning = "foster: cannot become a subreaper: Invalid argument; another init reaps orphans\n";
    assert_eq!(foster.output().stderr(), warning);
}

#[test]
fn under_qemu_user_a_command_and_a_plan_run_as_they_do_without() {
    let Some(_) = found("qemu-x86_64") else { return };
    let foster = Foster::new().all_names();
    let script = "qemu-x86_64 bin/foster -- sh -c 'exit 42'; echo bare $?; \
                  qemu-x86_64 bin/foster -- sh -c 'kill -TERM $PPID; exec sleep 1000'; echo signal $?; \
                  qemu-x86_64 bin/foster run -c foster.toml; echo run $?";
    let config = "[foster]\nsocket = ''\n[program.db]\ncommand = 'puppet touch:db print:db pause'\nready = { file = 'db' }\n\
                  [program.web]\ncommand = ['sh', '-c', 'exit 3']\nafter = ['db']\nrestart = 'never'\non_exit = 'shutdown'\n";
    let finished = foster.file("foster.toml", config).shell(script).expect(0);
    for line in ["bare 42", "signal 143", "run 3"] {
        assert!(
            finished.stdout.lines().any(|seen| seen == line),
            "{line}: {}{}",
            finished.stdout,
            finished.stderr
        );
    }
}
