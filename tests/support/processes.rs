//! Processes from `/proc`: the members of a namespace, descendants, and their resources.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// The pid in the tests' namespace.
    pub(crate) pid: i32,
    /// The pid in its own namespace.
    pub(crate) inner_pid: i32,
    /// The parent's pid in the tests' namespace.
    pub(crate) parent: i32,
    /// A letter, `Z` for a zombie (proc(5)).
    pub(crate) state: char,
}

/// Lists the processes of the PID namespace of which this is the first process; `None` if it is not one.
pub(crate) fn in_namespace_of(pid: i32) -> Option<Vec<Process>> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let theirs = namespace(&pid.to_string())?;
    if Some(&theirs) == namespace("self").as_ref() {
        return None;
    }
    // The namespace of a zombie is not readable, but its parent is.
    let all = all();
    let inside = |process: &Process| namespace(&process.pid.to_string()).as_ref() == Some(&theirs);
    let members: Vec<i32> = all.iter().filter(|process| inside(process)).map(|process| process.pid).collect();
    Some(
        all.into_iter()
            .filter(|process| members.contains(&process.pid) || members.contains(&process.parent))
            .collect(),
    )
}

/// Lists this process and its descendants.
pub(crate) fn descendants(pid: i32) -> Vec<Process> {
    let all = all();
    let mut family = vec![pid];
    // A parent may be listed after its children: repeats until no process is added.
    loop {
        let more = |process: &&Process| family.contains(&process.parent) && !family.contains(&process.pid);
        match all.iter().find(more).map(|process| process.pid) {
            Some(pid) => family.push(pid),
            None => break,
        }
    }
    all.into_iter().filter(|process| family.contains(&process.pid)).collect()
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    field(&status, "VmRSS:").and_then(|text| text.split(' ').next()?.parse().ok()).expect("VmRSS")
}

/// Allocated resident memory in KiB, without the pages of the executable.
pub(crate) fn allocated_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    field(&status, "RssAnon:").and_then(|text| text.split(' ').next()?.parse().ok()).expect("RssAnon")
}

/// Open descriptors, sorted, each as `number target`.
pub(crate) fn descriptors(pid: i32) -> Vec<String> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).expect("a live process");
    let named = |path: &Path| {
        format!("{} {}", path.file_name()?.to_str()?, fs::read_link(path).ok()?.display()).into()
    };
    let mut descriptors: Vec<String> = folder.flatten().filter_map(|entry| named(&entry.path())).collect();
    descriptors.sort();
    descriptors
}

/// The letter of a process's state, `T` when it is stopped; `None` if it was reaped.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    process(pid).map(|process| process.state)
}

/// Its process group, its session, and the foreground group of its terminal (proc_pid_stat(5)).
pub(crate) fn group_of(pid: i32) -> (i32, i32, i32) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let number = |index: usize| fields[index].parse().expect("a number");
    (number(2), number(3), number(5))
}

/// The CPU time used (Documentation/scheduler/sched-stats.rst).
pub(crate) fn cpu_time(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("a live process");
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number"))
}

/// The number of bytes passed to write(2) and similar calls (proc_pid_io(5)).
pub(crate) fn written_by(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).expect("a live process");
    field(&text, "wchar:").and_then(|number| number.parse().ok()).expect("wchar")
}

/// The time since its creation, to a hundredth of a second.
pub(crate) fn age_of(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = stat.rsplit(") ").next()?.split(' ').nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let since_boot = Duration::from_secs_f64(uptime.split(' ').next()?.parse().ok()?);
    Some(since_boot.saturating_sub(Duration::from_millis(ticks * 10)))
}

fn all() -> Vec<Process> {
    let folder = fs::read_dir("/proc").expect("/proc");
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Processes that exit during the read are left out.
    pids.filter_map(process).collect()
}

fn process(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Process {
        pid,
        inner_pid: field(&status, "NSpid:")?.split('\t').next_back()?.parse().ok()?,
        parent: field(&status, "PPid:")?.parse().ok()?,
        state: field(&status, "State:")?.chars().next()?,
    })
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
