//! `memory_max`: a program whose processes use more memory than that is restarted.

use std::fs;

use crate::support::{
    End, Foster, MemoryGroup, Running, check, free_port, group_of_process, matches, may_make_namespaces,
};

/// The time of the first line of the log, in milliseconds, whose field has this value.
fn logged(foster: &Running, field: &str, value: &str) -> Option<u64> {
    let stdout = foster.output().stdout();
    let text = stdout + &foster.output().stderr();
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let line = lines.find(|line| line[field] == value)?;
    let time = humantime::parse_rfc3339(line["ts"].as_str()?).expect("a time");
    let since = time.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Some(u64::try_from(since.as_millis()).expect("milliseconds"))
}

#[test]
fn a_program_that_grows_by_10_mib_a_second_is_restarted_within_2_5_s_of_its_limit() {
    let config = "[program.app]\ncommand = 'puppet grow:90 creep:10:100'\nmemory_max = '100M'\nmin_uptime = '1ms'\n\
                  [foster]\nlog_format = 'json'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for("the restart", || foster.row("app").is_some_and(|row| row["restarts"] == 1));
    let (passed, stopping) = (logged(&foster, "msg", "passed"), logged(&foster, "event", "over_memory"));
    let took = stopping.zip(passed).map(|(stopping, passed)| stopping.saturating_sub(passed));
    assert!(took.is_some_and(|took| took <= 2500), "{took:?}\n{}", foster.output().shown());
    let stderr = foster.output().stderr();
    assert!(stderr.contains("memory_max is 100M: puppet (pid "), "{stderr}");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_program_that_the_kernel_kills_at_the_limit_of_the_container_is_named() {
    let Some(group) = may_make_namespaces().then(|| MemoryGroup::limited(80)).flatten() else {
        return eprintln!("skipped: no control group with a limit on memory can be made here");
    };
    let config = "[program.app]\ncommand = 'puppet grow:200 pause'\nrestart = 'never'\n[foster]\ntermination_log = 'log'\n";
    let mut foster =
        Foster::new().config(config).file("log", "").program("sh", &["-c", &group.enter()]).start();
    assert_eq!(foster.wait_exit(), End::Code(137), "{}", foster.output().shown());
    let log = foster.content("log");
    let reason = "exit status 137: app was killed by the kernel: out of memory (SIGKILL) after ";
    assert!(log.starts_with(reason), "{log}\n{}", foster.output().shown());
    assert!(log.contains("; raise the memory limit of the container, or let the program use less"), "{log}");
    assert!(foster.output().stderr().contains("app: was killed by the kernel: out of memory (SIGKILL)"));
}

#[test]
fn the_kernel_kills_a_program_that_grows_at_once_and_all_of_it() {
    let Some(group) = may_make_namespaces().then(MemoryGroup::without_limit).flatten() else {
        return eprintln!(
            "skipped: no control group of version 2 with the memory controller can be made here"
        );
    };
    let config = "[program.app]\ncommand = \"puppet 'child:setsid touch:daemon pause' wait-file:go grow:200 pause\"\n\
                  memory_max = '40M'\nmin_uptime = '1ms'\nrestart = 'never'\non_failure = 'ignore'\n\
                  [program.other]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).program("sh", &["-c", &group.enter()]).start();
    foster.wait_for_file("daemon");
    foster.wait_for_state("other", "running");
    let app = group_of_process(&foster.pid_of("app").to_string()).expect("a process");
    let folder = group.folder.join("foster/app");
    assert!(app.ends_with("/foster/app"), "{app}\n{}", foster.output().shown());
    let own = group_of_process(&foster.pid().to_string()).expect("a process");
    assert!(own.ends_with("/foster/.supervisor"), "{own}");
    let limit = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert_eq!((limit("memory.max").as_str(), limit("memory.oom.group").as_str()), ("52428800\n", "1\n"));
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("app", "fatal");
    let line = "app: reached 50M of memory, and the kernel killed all of its processes; memory_max is 40M";
    assert!(foster.output().has_line(line), "{}", foster.output().shown());
    assert!(
        foster.output().has_line("app: was killed by the kernel: out of memory"),
        "{}",
        foster.output().shown()
    );
    assert_eq!(limit("cgroup.procs"), "", "the daemon was killed, too");
    let row = foster.row("app").expect("a row");
    assert_eq!(row["exit"], serde_json::json!({ "signal": "KILL", "oom": true }));
    // A limit that an update changes holds for the running processes at once.
    let raised =
        foster.content("foster.toml").replace("[program.other]\n", "[program.other]\nmemory_max = '80M'\n");
    fs::write(foster.path("foster.toml"), &raised).expect("a file");
    foster.verb(&["update"]).expect(0);
    foster.wait_for_state("other", "running");
    let other = group.folder.join("foster/other/memory.max");
    assert_eq!(fs::read_to_string(&other).expect("a limit"), "104857600\n");
    fs::write(foster.path("foster.toml"), raised.replace("'80M'", "'160M'")).expect("a file");
    foster.verb(&["update"]).expect(0);
    assert_eq!(fs::read_to_string(&other).expect("a limit"), "209715200\n");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_foster_that_is_not_the_first_process_leaves_its_group_as_it_was() {
    let Some(group) = may_make_namespaces().then(MemoryGroup::without_limit).flatten() else {
        return eprintln!(
            "skipped: no control group of version 2 with the memory controller can be made here"
        );
    };
    let config = "[program.app]\ncommand = 'puppet pause'\nmemory_max = '40M'\nmin_uptime = '1ms'\n";
    let command = format!("({}) & wait", group.enter());
    let mut foster = Foster::new().config(config).program("sh", &["-c", &command]).start();
    foster.wait_for_state("app", "running");
    assert!(group.folder.join("foster/.supervisor").is_dir(), "{}", foster.output().shown());
    foster.verb(&["shutdown"]).expect(0);
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    assert!(!group.folder.join("foster").exists());
    let passed_on = fs::read_to_string(group.folder.join("cgroup.subtree_control")).expect("a file");
    assert_eq!(passed_on.trim(), "");
}

#[test]
fn a_program_that_grows_over_its_limit_is_stopped_gracefully_and_restarted_with_the_figures() {
    let config = "[program.app]\ncommand = \"puppet trap:TERM:print:goodbye trap:TERM:exit:0 append:starts:x 'child:grow:40 touch:grown pause' pause\"\nmemory_max = '40M'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_line(r"warning: app: uses 4[0-9]M of memory, memory_max is 40M: puppet \(pid \d+\) 4[0-9]M, puppet \(pid \d+\) .*; stopping it \(pid \d+\)");
    foster.wait_for("the restart", || foster.row("app").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for("the reason of the restart", || {
        let note = foster.row("app").and_then(|row| row["note"].as_str().map(str::to_owned));
        note.is_some_and(|note| {
            note.starts_with("last run was stopped: uses ") && note.contains("memory_max is 40M")
        })
    });
    assert!(foster.output().stdout().contains("goodbye"), "{}", foster.output().shown());
    foster.verb(&["stop", "app"]).expect(0);
    let events = foster.verb(&["events", "--json", "--event", "over_memory"]).expect(0);
    assert!(events.stdout.contains("memory_max is 40M"), "{}", events.text());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_program_with_sockets_is_replaced_before_it_stops() {
    let port = free_port();
    let config = format!(
        "[program.app]\ncommand = 'puppet append:starts:x wait-file:go grow:41 touch:grown pause'\nmemory_max = '40M'\n\
         min_uptime = '1ms'\nsockets = ['tcp://127.0.0.1:{port}']\nbackoff = {{ reset = '500ms' }}\n"
    );
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    foster.wait_for("a run that counts as a good one", || {
        foster.row("app").is_some_and(|row| row["uptime_ms"].as_u64() > Some(500))
    });
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("grown");
    fs::remove_file(foster.path("go")).expect("a file");
    foster.wait_for_line(r"app: uses 4\dM of memory, memory_max is 40M: .*; replacing it");
    foster.wait_for("the other run", || foster.row("app").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for_line(r"app \(replaced\): stopping, because it is over its memory_max");
    let events = foster.verb(&["events", "--json", "app"]).expect(0).stdout;
    let place = |name: &str| events.find(&format!("\"event\":\"{name}\""));
    let (over, replaced, stopping) = (place("over_memory"), place("replaced"), place("stopping"));
    assert!(over.is_some() && over < replaced && replaced < stopping, "{events}");
    assert_eq!(place("exited"), None, "{events}");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn what_left_its_session_counts_too_and_status_shows_it() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = \"puppet 'child:setsid grow:60 touch:grown pause' pause\"\nmemory_max = 'unlimited'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("grown");
    let used = |foster: &Running| foster.row("app").and_then(|row| row["memory_bytes"].as_u64());
    assert!(used(&foster).is_some_and(|bytes| bytes > 60 << 20), "{:?}", foster.row("app"));
    // An update sets the limit: the process is replaced, and the next one is over it.
    let limited = foster.content("foster.toml").replace("'unlimited'", "'55M'");
    fs::write(foster.path("foster.toml"), limited).expect("a file");
    foster.verb(&["update"]).expect(0);
    foster.wait_for_line("app: uses .* of memory, memory_max is 55M");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn status_shows_the_cpu_time_and_the_memory_of_all_processes_of_a_program() {
    let config = "[program.app]\ncommand = \"puppet 'child:grow:20 spin:300 touch:spun pause' pause\"\nmin_uptime = '1ms'\n\
                  [program.idle]\ncommand = 'puppet pause'\nautostart = false\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("spun");
    let row = foster.row("app").expect("a row");
    let number = |field: &str| row[field].as_u64().expect("a number");
    assert!(number("cpu_ms") >= 290 && number("memory_bytes") > 20 << 20, "{row}");
    let down = foster.row("idle").expect("a row");
    assert!(down["cpu_ms"].is_null() && down["memory_bytes"].is_null(), "{down}");
    let table = foster.verb(&["status", "app"]).expect(0).stdout;
    let columns = "NAME  STATE    READY  PID  UPTIME  RESTARTS";
    assert!(table.starts_with(columns) && table.contains("  CPU  MEMORY"), "{table}");
    assert!(matches(&table, r"^app +running +yes +\d+ +\S+ +0 +[\d.]+% +2\dM"), "{table}");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_limit_that_no_process_could_keep_is_refused() {
    for (value, expected) in [
        ("'1K'", "expected at least `\"1M\"`"),
        ("'x'", "`\"unlimited\"`"),
        ("-1", "`\"1G\"`"),
        ("true", "`\"1G\"`"),
    ] {
        let printed =
            check(&format!("[program.app]\ncommand = 'x'\nmemory_max = {value}\n")).expect(2).stderr;
        assert!(printed.contains("memory_max") && printed.contains(expected), "{value}\n{printed}");
    }
}
