//! Control groups (cgroups(7), version 2): where foster may make them, the kernel knows what belongs to a program.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, free_port, group_of_process, may_make_namespaces, own_group};

/// The group of a process below the mount.
fn group_of(pid: i32) -> String {
    group_of_process(&pid.to_string()).expect("a process")
}

/// Every process but foster itself.
fn programs(foster: &Running) -> Vec<i32> {
    foster.processes().iter().map(|process| process.pid).filter(|pid| *pid != foster.pid()).collect()
}

/// Where the groups of this foster are, by that of one of its programs.
fn folder_of(program: &str) -> PathBuf {
    let own = own_group().expect("just found");
    let below = group_of_process("self").expect("/proc");
    own.join(program.strip_prefix(below.as_str()).unwrap_or(program).trim_start_matches('/'))
}

#[test]
fn each_program_runs_in_a_group_of_its_own_with_all_that_it_starts() {
    if own_group().is_none() {
        return;
    }
    let config = "[program.web]\ncommand = \"puppet 'child:setsid touch:web pause' pause\"\nmin_uptime = '1ms'\nhealth = { exec = ['puppet', 'touch:probed'], interval = '50ms' }\n[program.db]\ncommand = \"puppet 'child:touch:db pause' pause\"\nuser = 'nobody'\ndirectory = '/tmp'\n";
    let config = config.replace("touch:db", "print:db_is_up");
    let mut foster = Foster::new().config(&config).not_pid_1().start();
    for file in ["web", "probed"] {
        foster.wait_for_file(file);
    }
    foster.wait_for("the other one", || foster.output().stdout().contains("db_is_up"));
    let own = group_of(foster.pid());
    let (web, db) = (group_of(foster.pid_of("web")), group_of(foster.pid_of("db")));
    assert!(web.ends_with("/web") && db.ends_with("/db"), "{web} {db}");
    assert_eq!(web.trim_end_matches("/web"), db.trim_end_matches("/db"));
    assert_eq!(own, group_of_process("self").expect("/proc"), "foster stays where it is");
    for pid in programs(&foster) {
        // A command of the probe may have ended.
        let group = group_of_process(&pid.to_string()).unwrap_or_else(|| web.clone());
        assert!(group == web || group == db, "{group}");
    }
    let folder = folder_of(&web);
    assert!(folder.is_dir(), "{}", folder.display());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    assert!(!folder.exists(), "not as the first process of a container: nothing else would remove it");
}

#[test]
fn a_chain_of_processes_that_fork_and_exit_is_stopped_for_certain() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    for steps in ["chain:links", "setsid chain:links"] {
        let config = format!(
            "[program.app]\ncommand = \"puppet 'child:{steps}' wait-file:links touch:up pause\"\nstop_timeout = '200ms'\n"
        );
        let mut foster = Foster::new().config(&config).start();
        foster.wait_for_file("up");
        foster.verb(&["stop", "app"]).expect(0);
        let (links, since) = (foster.content("links").len(), Instant::now());
        foster.wait_for("a moment to go by", || since.elapsed() > Duration::from_millis(100));
        assert_eq!(foster.content("links").len(), links, "{steps}\n{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_program_starts_again_after_its_group_was_killed() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = \"puppet 'child:setsid ignore:TERM append:daemons:x pause' ignore:TERM append:mains:x pause\"\nstop_timeout = '50ms'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    for round in 1..=4 {
        foster.wait_for("both processes", || {
            let written = |name: &str| foster.content(name).lines().count();
            foster.path("daemons").exists() && written("daemons") == round && written("mains") == round
        });
        foster.wait_for_state("app", "running");
        assert!(group_of(foster.pid_of("app")).ends_with("/app"), "in round {round}");
        foster.verb(&["restart", "app"]).expect(0);
    }
    assert_eq!(foster.row("app").expect("a row")["restarts"], 0, "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn what_two_programs_leave_at_the_same_moment_is_stopped_with_the_right_one() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    // Neither their sessions nor their parents tell whose they are: both parents have ended when foster looks.
    let program = |name: &str| {
        format!(
            "[program.{name}]\ncommand = \"puppet 'child:setsid touch:{name} pause' wait-file:{name} touch:up-{name} pause\"\nrestart = 'never'\non_failure = 'ignore'\n"
        )
    };
    let config = format!("{}{}[foster]\nwhen_all_ended = 'stay'\n", program("one"), program("two"));
    let mut foster = Foster::new().config(&config).start();
    for name in ["up-one", "up-two"] {
        foster.wait_for_file(name);
    }
    let mains = [foster.pid_of("one"), foster.pid_of("two")];
    foster.signal(Signal::SIGSTOP);
    for main in mains {
        kill(Pid::from_raw(main), Signal::SIGKILL).expect("a kill");
    }
    foster.signal(Signal::SIGCONT);
    for name in ["one", "two"] {
        foster.wait_for_state(name, "fatal");
    }
    assert_eq!(programs(&foster), Vec::<i32>::new(), "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_program_of_another_user_is_killed_by_its_group_without_cap_kill() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    let config = "[program.web]\ncommand = 'puppet pause'\nuser = 'nobody'\nstop_timeout = '300ms'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).without("CAP_KILL").start();
    foster.wait_for_state("web", "running");
    foster.verb(&["stop", "web"]).expect(0);
    assert_eq!(programs(&foster), Vec::<i32>::new(), "{}", foster.output().shown());
    foster.verb(&["start", "web"]).expect(0);
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn what_a_main_process_left_is_found_where_orphans_go_to_another_init() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = \"puppet 'child:setsid trap:TERM:sleep:0.3 trap:TERM:exit:0 append:daemons:x pause' append:mains:x pause\"\nmin_uptime = '1ms'\n";
    let inner = ["--", "foster", "run", "-c", "foster.toml"];
    // The inner one is not PID 1.
    let mut foster =
        Foster::new().all_names().refusing("subreaper", "EINVAL").config(config).arguments(&inner).start();
    let written = |foster: &Running, name: &str| {
        foster.path(name).exists().then(|| foster.content(name).lines().count())
    };
    foster.wait_for("both processes", || {
        written(&foster, "daemons") == Some(1) && written(&foster, "mains") == Some(1)
    });
    let daemon = |foster: &Running| {
        let is_daemon = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.contains("trap:TERM:sleep"))
        };
        programs(foster).into_iter().find(|pid| is_daemon(pid) && *pid != foster.pid_of("app"))
    };
    let first = daemon(&foster).expect("a daemon");
    kill(Pid::from_raw(foster.pid_of("app")), Signal::SIGKILL).expect("a kill");
    foster.wait_for("the restart", || {
        written(&foster, "daemons") == Some(2) && written(&foster, "mains") == Some(2)
    });
    // It was waited for, and its end was seen without a SIGCHLD.
    assert!(!programs(&foster).contains(&first), "{}", foster.output().shown());
    foster.wait_for_line("app: its main process ended .*child processes still run");
    foster.verb(&["stop", "app"]).expect(0);
    assert_eq!(daemon(&foster), None, "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn the_old_run_of_a_rolling_restart_is_killed_and_the_new_one_beside_it_is_not() {
    if own_group().is_none() || !may_make_namespaces() {
        return;
    }
    let port = free_port();
    let config = format!(
        "[program.app]\ncommand = \"puppet 'child:setsid append:daemons:x pause' ignore:TERM append:mains:x pause\"\nsockets = ['tcp://127.0.0.1:{port}']\nstop_timeout = '50ms'\nmin_uptime = '1ms'\n"
    );
    let mut foster = Foster::new().config(&config).start();
    let is_written = |foster: &Running, name: &str, count: usize| {
        foster.path(name).exists() && foster.content(name).lines().count() == count
    };
    for round in 1..=3 {
        foster.wait_for("both processes", || {
            is_written(&foster, "daemons", round) && is_written(&foster, "mains", round)
        });
        foster.wait_for_state("app", "running");
        foster.verb(&["reload", "app"]).expect(0);
    }
    foster.wait_for("both processes of the last run", || {
        is_written(&foster, "daemons", 4) && is_written(&foster, "mains", 4)
    });
    let events = foster.verb(&["events", "--json", "--event", "exited"]).expect(0).stdout;
    assert_eq!(events, "", "{}", foster.output().shown());
    assert_eq!(programs(&foster).len(), 2, "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}
