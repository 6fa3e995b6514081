//! foster's resources over time: no system call while idle, and no growth by work.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{
    End, Foster, Running, allocated_kib, cpu_time, descriptors, found, free_port, get, resident_kib,
};

/// The tolerated difference between two measurements of one process: the allocator's rounding, a page of the stack.
const NOISE_KIB: u64 = 128;

struct Footprint {
    kib: u64,
    descriptors: Vec<String>,
}

fn footprint(foster: &Running) -> Footprint {
    Footprint { kib: resident_kib(foster.pid()), descriptors: descriptors(foster.pid()) }
}

#[track_caller]
fn assert_same(before: &Footprint, after: &Footprint) {
    assert!(after.kib <= before.kib + NOISE_KIB, "{} KiB before, {} KiB after", before.kib, after.kib);
    assert_eq!(
        before.descriptors.len(),
        after.descriptors.len(),
        "{:?}\n{:?}",
        before.descriptors,
        after.descriptors
    );
}

/// Programs that exit at once, each restarted ten times a second, the maximum.
pub fn flickering(programs: usize, level: &str) -> String {
    let program = |number| {
        format!(
            "[program.flicker{number}]\ncommand = 'puppet exit:0'\nstart_limit = 'unlimited'\nbackoff = {{ factor = 1 }}\n"
        )
    };
    (0..programs).map(program).collect::<String>() + &format!("[foster]\nlog_level = '{level}'\n")
}

pub fn restarts_of_all(foster: &Running) -> u64 {
    foster.rows().iter().filter_map(|row| row.get("restarts")?.as_u64()).sum()
}

#[test]
fn twenty_thousand_orphans_leak_no_memory_and_no_descriptor() {
    let foster = Foster::new()
        .config("[program.maker]\ncommand = 'puppet orphans:2000 touch:warm wait-file:go orphans:20000 touch:done pause'\n")
        .alone()
        .start();
    foster.wait_for_file("warm");
    foster.wait_for("the first orphans to be reaped", || foster.processes().len() == 2);
    let before = footprint(&foster);
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("done");
    foster.wait_for("every orphan to be reaped", || foster.processes().len() == 2);
    assert_same(&before, &footprint(&foster));
}

#[test]
fn ten_thousand_restarts_leak_no_memory_and_no_descriptor() {
    let foster = Foster::new().config(&flickering(100, "error")).alone().start();
    foster.wait_for("2000 restarts", || restarts_of_all(&foster) >= 2000);
    footprint_between_starts(&foster); // the first use of a verb allocates memory
    foster.wait_for("4000 restarts", || restarts_of_all(&foster) >= 4000);
    let before = footprint_between_starts(&foster);
    for thousand in 5..=14 {
        foster.wait_for(&format!("{thousand}000 restarts"), || restarts_of_all(&foster) >= thousand * 1000);
    }
    assert_same(&before, &footprint_between_starts(&foster));
}

/// Measures while the programs are stopped, so that no starting process counts.
fn footprint_between_starts(foster: &Running) -> Footprint {
    foster.verb(&["stop", "all"]).expect(0);
    // The listener and its copy; foster closes the client's connection when epoll reports its end.
    let sockets = || descriptors(foster.pid()).iter().filter(|one| one.contains("socket:")).count();
    foster.wait_for("the client's connection to be closed", || sockets() == 2);
    let seen = footprint(foster);
    foster.verb(&["start", "--no-wait", "all"]).expect(0);
    seen
}

#[test]
fn memory_of_the_startup_is_returned_when_everything_is_ready() {
    // Reading a thousand programs allocates more memory than foster keeps.
    let idle = |number| {
        format!("[program.idle{number}]\ncommand = 'x'\nautostart = false\nenvironment = {{ A = 'b' }}\n")
    };
    let idle: String = (0..1000).map(idle).collect();
    let app = "[program.app]\ncommand = 'puppet wait-file:go print:up pause'\nready = { log = 'up' }\n";
    let foster = Foster::new().config(&format!("{app}{idle}")).start();
    foster.wait_for_line("app: starting");
    let at_work = allocated_kib(foster.pid());
    // Without a verb, because an answer would use some of the pages again.
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_line("app: ready");
    foster.wait_for("256 KiB less", || allocated_kib(foster.pid()) + 256 <= at_work);
    foster.verb(&["restart", "app"]).expect(0);
}

#[test]
fn idle_means_no_system_call() {
    no_system_call(
        "[program.one]\ncommand = 'puppet pause'\n[program.two]\ncommand = 'puppet pause'\nready = { file = 'foster.toml' }\n",
    );
}

#[test]
fn idle_with_sockets_and_instances_means_no_system_call() {
    let port = free_port();
    no_system_call(&format!(
        "[program.one]\ncommand = 'puppet accept:3 pause'\ninstances = 3\nsockets = ['tcp://127.0.0.1:{port}', 'unix://@foster-idle-{port}']\n\
         [program.two]\ncommand = 'puppet notify:READY=1 pause'\ninstances = 2\nready = {{ notify = true }}\n"
    ));
}

#[test]
fn idle_between_two_runs_of_jobs_means_no_system_call() {
    no_system_call(
        "[program.one]\ncommand = 'puppet pause'\n[job.daily]\ncommand = 'puppet pause'\nschedule = '@daily'\njitter = '1h'\n\
         [job.often]\ncommand = 'puppet pause'\nschedule = 'every 6h'\n",
    );
}

#[test]
fn an_idle_web_helper_makes_no_system_call_and_costs_pid_1_no_memory() {
    let port = free_port();
    let server = format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=user\npassword=123\n");
    let start = |server: &str| {
        let foster = Foster::new().alone();
        let socket = foster.folder().join("foster.sock").display().to_string();
        let config = format!(
            "[supervisord]\nnodaemon=true\n{server}[program:web]\ncommand=puppet pause\nstartsecs=0\n"
        );
        let foster = foster.file("supervisord.conf", &config).env("FOSTER_SOCKET", &socket);
        let foster = foster.arguments(&["run", "-c", "supervisord.conf"]).start();
        foster.wait_for_state("web", "running");
        foster.verb(&["status"]).expect(0);
        foster
    };
    let without = resident_kib(start("").pid());
    let foster = start(&server);
    foster.wait_for("an answer", || get(port, "/").is_some_and(|(status, _)| status == 401));
    let own = resident_kib(foster.pid());
    assert!(own <= without + NOISE_KIB, "{own} KiB with the helper, {without} KiB without");
    let is_helper = |pid: i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "foster-web")
    };
    let processes: Vec<i32> = foster.processes().iter().map(|process| process.pid).collect();
    let helper = processes.into_iter().find(|pid| is_helper(*pid)).expect("the helper");
    // Its client has gone, so it keeps no buffer; the rest are pages of the executable.
    let kib = allocated_kib(helper);
    assert!(kib <= 512, "{kib} KiB");
    no_system_call_of(&foster, &[foster.pid(), helper]);
}

fn no_system_call(config: &str) {
    let foster = Foster::new().config(config).alone().start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    no_system_call_of(&foster, &[foster.pid()]);
}

fn no_system_call_of(foster: &Running, pids: &[i32]) {
    let Some(strace) = found("strace") else { return };
    let trace = foster.path("trace");
    // timeout(1) stops strace, which detaches from foster and writes its trace.
    let mut command = Command::new("timeout");
    command.args(["--signal=INT", "4"]).arg(strace).arg("-f");
    command.args(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()])).arg("-o").arg(&trace);
    let ended = command.output().expect("strace");
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    // The trace may have the call in which strace attached, and its end.
    let made: Vec<&str> = calls
        .lines()
        .filter(|line| line.contains('(') && !line.contains("detached") && !line.contains("resumed"))
        .collect();
    assert!(
        made.len() <= pids.len() && made.iter().all(|line| line.contains("epoll_")),
        "{calls}\n{ended:?}"
    );
}

#[test]
fn a_shutdown_waits_for_nothing_but_its_programs() {
    let Some(strace) = found("strace") else { return };
    let program = |name: &str, priority: u32, command: &str| {
        format!("[program.{name}]\ncommand = 'puppet {command}'\npriority = {priority}\nmin_uptime = '1ms'\n")
    };
    let config = [
        program("a", 1, "pause"),
        program("b", 2, "pause"),
        program("slow", 2, "trap:TERM:sleep:0.2 trap:TERM:exit:0 pause"),
        program("d", 3, "pause"),
        program("e", 4, "pause"),
    ]
    .concat();
    let mut foster = Foster::new().config(&config).alone().start();
    foster.wait_for_state("e", "running");
    let trace = foster.path("trace");
    let mut tracer = Command::new(strace)
        .args(["-p", &foster.pid().to_string(), "-o"])
        .arg(&trace)
        .stderr(Stdio::null())
        .spawn()
        .expect("strace");
    foster.wait_for("strace to be attached", || tracer_of(foster.pid()).is_some_and(|pid| pid != 0));
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    tracer.wait().expect("strace");
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    // Each wait ends by an event, so no time was waited for; and after the last program has ended there is none.
    let waits =
        |call: &&str| ["epoll_", "poll(", "sleep(", "timedwait("].iter().any(|name| call.contains(name));
    let waits =
        |calls: &str| calls.lines().filter(|call| !call.starts_with("epoll_ctl")).filter(waits).count();
    let timed_out = |call: &str| call.ends_with(") = 0") && !call.ends_with(", 0) = 0");
    assert!(!calls.lines().filter(|call| call.starts_with("epoll_wait")).any(timed_out), "{calls}");
    let (before, after) = calls.rsplit_once("[{WIF").expect("an end of a program");
    assert!(waits(before) >= 4 && waits(after) == 0, "{calls}");
}

/// The process that traces this one (proc_pid_status(5)).
fn tracer_of(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()
}

#[test]
fn memory_for_output_is_bounded_for_any_output() {
    let foster = Foster::new()
        .config("[program.endless]\ncommand = 'puppet line:400000000 touch:done pause'\nstdout = { file = '/dev/null' }\n")
        .alone()
        .start();
    foster.wait_for_file("done");
    let kib = resident_kib(foster.pid());
    assert!(kib < 16 * 1024, "{kib} KiB");
}

/// The CPU time of an update that removes this many stopped programs.
fn cost_of_removing(count: usize) -> Duration {
    let many: String = (0..count)
        .map(|n| format!("[program.p{n}]\ncommand = 'puppet pause'\nautostart = false\n"))
        .collect();
    let keeper = "[program.keeper]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(&format!("{keeper}{many}")).start();
    foster.wait_for_state("keeper", "running");
    let config = foster.content("foster.toml");
    std::fs::write(foster.path("foster.toml"), config.replace(&many, "")).expect("a configuration");
    let before = cpu_time(foster.pid());
    foster.verb(&["update"]).expect(0);
    cpu_time(foster.pid()) - before
}

#[test]
fn the_cost_of_removing_programs_grows_with_their_number_and_not_with_its_square() {
    let (some, many) = (cost_of_removing(500), cost_of_removing(2000));
    assert!(many < some * 8, "{some:?} for 500 programs, {many:?} for 2000");
}
