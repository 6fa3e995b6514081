//! The control group: its version, and its limits on memory, CPUs and processes.
//!
//! Limits of parent cgroups apply too, so the lowest visible limit counts.

use std::path::{Path, PathBuf};

use crate::cli::format::size;
use crate::errno;
use crate::oom::oom_kills;
use crate::sys::cgroup::{Version, directories, obstacle, own};

use super::Finding;
use super::Grade::{Note, Ok, Warn};
use super::environment::writable;
use super::rootfs::{RootFs, count};

pub(super) fn findings(rootfs: &RootFs) -> Vec<Finding> {
    let read = |name| rootfs.of_process(name).unwrap_or_default();
    let (membership, mounts) = (read("cgroup"), read("mountinfo"));
    let of =
        |name| Controller { rootfs, folders: directories(membership.as_bytes(), mounts.as_bytes(), name) };
    let (memory, cpu, pids) = (of("memory"), of("cpu"), of("pids"));
    let mut findings = vec![version(&memory, &cpu, &mounts), memory_limit(&memory)];
    findings.extend(oom_group(&memory));
    findings.extend(cpus(rootfs, &cpu));
    findings.push(processes(&pids));
    let own = own(membership.as_bytes(), mounts.as_bytes()).map(|(folder, _)| folder);
    let obstacle = no_groups(rootfs, own.as_deref());
    let limits = obstacle.clone().or_else(|| no_limits(rootfs, own.as_deref()?));
    findings.extend([groups(obstacle), memory_max(limits)]);
    findings
}

/// Why foster cannot make a group for each program. Nothing is tried, because the doctor changes nothing.
fn no_groups(rootfs: &RootFs, own: Option<&Path>) -> Option<String> {
    let Some(folder) = own else { return Some("no cgroup of version 2 is visible".to_owned()) };
    let read = |name: &str| Some(rootfs.text(folder.join(name))?.trim().to_owned());
    let why = obstacle(read).map(str::to_owned);
    let why = why.or_else(|| writable(rootfs, folder).err().map(errno::text));
    why.map(|why| format!("{}: {why}", folder.display()))
}

/// Why the kernel cannot limit the memory of such groups.
fn no_limits(rootfs: &RootFs, own: &Path) -> Option<String> {
    let controllers = rootfs.text(own.join("cgroup.controllers")).unwrap_or_default();
    let has_memory = controllers.split_ascii_whitespace().any(|name| name == "memory");
    (!has_memory).then(|| format!("{} does not have the memory controller", own.display()))
}

fn memory_max(obstacle: Option<String>) -> Finding {
    let subject = "memory_max";
    let Some(obstacle) = obstacle else {
        let meaning = "A program that grows faster than foster looks is killed whole at a quarter above its \
                       `memory_max`. If other processes are in foster's cgroup when it starts, it only looks.";
        return Finding::new(Ok, subject, "foster looks every 2 s, and the kernel has a limit", meaning);
    };
    let meaning = "A program that grows faster than foster looks can exceed its `memory_max`.";
    Finding::new(Note, subject, format!("foster looks every 2 s; {obstacle}"), meaning)
}

fn groups(obstacle: Option<String>) -> Finding {
    let subject = "process trees";
    let Some(obstacle) = obstacle else {
        let meaning = "Each program gets a cgroup in which the kernel counts all of its processes.";
        return Finding::new(Ok, subject, "by cgroups", meaning);
    };
    let meaning = "foster finds what belongs to a program by /proc. Only processes that fork and exit all the time \
                   may escape a stop. A writable cgroup of version 2 without limits prevents that.";
    Finding::new(Note, subject, format!("by /proc, {obstacle}"), meaning)
}

/// The folders with a controller's files, best first.
struct Controller<'t> {
    rootfs: &'t RootFs,
    folders: Vec<(Version, PathBuf)>,
}

impl Controller<'_> {
    /// The contents of a file in every folder, in their order; its name depends on the version.
    fn all<'a>(&'a self, one: &'a str, two: &'a str) -> impl Iterator<Item = (Version, String)> + 'a {
        self.folders.iter().filter_map(move |(version, folder)| {
            let name = match version {
                Version::One => one,
                Version::Two => two,
            };
            Some((*version, self.rootfs.text(folder.join(name))?))
        })
    }

    /// The lowest number; any other text (`max`, `-1`) means no limit.
    fn least(&self, one: &str, two: &str) -> Option<u64> {
        // In version 1 "no limit" is the greatest number of whole pages.
        self.all(one, two)
            .filter_map(|(_, text)| text.trim().parse().ok())
            .filter(|number| *number < 1 << 60)
            .min()
    }

    fn first(&self, one: &str, two: &str) -> Option<u64> {
        self.all(one, two).find_map(|(_, text)| text.trim().parse().ok())
    }
}

fn version(memory: &Controller<'_>, cpu: &Controller<'_>, mounts: &str) -> Finding {
    let subject = "cgroup";
    let has = |kind: &str| mounts.lines().any(|line| line.contains(&format!(" - {kind} ")));
    let seen = memory.folders.first().or(cpu.folders.first());
    let (true, Some((_, folder))) = (has("cgroup") || has("cgroup2"), seen) else {
        let meaning = "No limit is visible, and foster cannot distinguish a kill by the out-of-memory killer from \
                       any other SIGKILL.";
        return Finding::new(Note, subject, "not visible", meaning);
    };
    let version = match (has("cgroup"), has("cgroup2")) {
        (true, true) => "versions 1 and 2",
        (true, false) => "version 1",
        (false, _) => "version 2",
    };
    let meaning = "foster reads from it whether a program was killed by the out-of-memory killer.";
    Finding::new(Ok, subject, format!("{version}, {}", folder.display()), meaning)
}

fn memory_limit(memory: &Controller<'_>) -> Finding {
    let limit = memory.least("memory.limit_in_bytes", "memory.max");
    let used = memory.first("memory.usage_in_bytes", "memory.current");
    let kills =
        memory.all("memory.oom_control", "memory.events").find_map(|(_, text)| oom_kills(text.as_bytes()));
    let mut value = limit.map_or_else(|| "no visible limit".to_owned(), size);
    if let Some(used) = used {
        value += &format!(", {} in use", size(used));
    }
    let meaning = match limit {
        Some(_) => "Above it the kernel kills a process; foster reports that and restarts the program.",
        None => "A program that leaks can use all memory of the machine. `docker run --memory` sets a limit.",
    };
    match kills {
        Some(kills @ 1..) => Finding::new(Warn, "memory", format!("{value}, {kills} killed so far"), meaning),
        Some(0) | None => Finding::new(Ok, "memory", value, meaning),
    }
}

fn oom_group(memory: &Controller<'_>) -> Option<Finding> {
    let subject = "memory.oom.group";
    if let (Version::One, _) = memory.folders.first()? {
        let meaning = "Version 1 kills one process at a time: foster survives and restarts the program.";
        return Some(Finding::new(Ok, subject, "missing", meaning));
    }
    // The kernel kills all processes of the topmost cgroup that sets it (cgroup v2, "Memory Interface Files").
    if memory.all("", "memory.oom.group").any(|(_, text)| text.trim() == "1") {
        let meaning = "If one program exceeds the limit, the kernel kills all processes, foster too: nothing is \
                       restarted, and the reason is lost. Kubernetes sets it since 1.28; `singleProcessOOMKill: true` in the kubelet's \
                       configuration turns it off.";
        return Some(Finding::new(Warn, subject, "1", meaning));
    }
    let meaning = "The kernel kills one process at a time: foster survives and restarts the program.";
    Some(Finding::new(Ok, subject, "0", meaning))
}

fn cpus(rootfs: &RootFs, cpu: &Controller<'_>) -> Option<Finding> {
    let allowed = count(&rootfs.status("Cpus_allowed_list")?)?;
    let online =
        rootfs.text("sys/devices/system/cpu/online").and_then(|list| count(&list)).unwrap_or(allowed);
    let allowed = allowed.min(online);
    let hundredths = quota(cpu).filter(|hundredths| *hundredths < allowed.saturating_mul(100));
    let Some(hundredths) = hundredths else {
        let value = match allowed < online {
            true => format!("{allowed} of {online}, by affinity"),
            false => format!("all {online}"),
        };
        return Some(Finding::new(Ok, "CPUs", value, "Programs that count CPUs see this number."));
    };
    let value = format!("{}.{:02} of {allowed}, by quota", hundredths / 100, hundredths % 100);
    let meaning = format!(
        "Programs that count CPUs (`nproc`, Node, gunicorn's usual formula) see {allowed}, start too many workers, and \
         are throttled: set their number of workers."
    );
    Some(Finding::new(Note, "CPUs", value, meaning))
}

/// The lowest quota, in hundredths of a CPU.
fn quota(cpu: &Controller<'_>) -> Option<u64> {
    let hundredths = |quota: &str, period: &str| {
        let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
        quota.checked_mul(100)?.checked_div(period)
    };
    let quotas = cpu.folders.iter().filter_map(|(version, folder)| {
        let text = |name: &str| cpu.rootfs.text(folder.join(name));
        match version {
            Version::One => hundredths(&text("cpu.cfs_quota_us")?, &text("cpu.cfs_period_us")?),
            Version::Two => {
                let both = text("cpu.max")?;
                both.trim().split_once(' ').and_then(|(quota, period)| hundredths(quota, period))
            }
        }
    });
    quotas.min()
}

fn processes(pids: &Controller<'_>) -> Finding {
    let subject = "processes";
    let used = pids.first("pids.current", "pids.current");
    let in_use = used.map_or_else(String::new, |used| format!(", {used} in use"));
    let Some(limit) = pids.least("pids.max", "pids.max") else {
        let meaning =
            "A program that forks endlessly can use up the machine. `docker run --pids-limit` sets a limit.";
        return Finding::new(Ok, subject, format!("no visible limit{in_use}"), meaning);
    };
    let value = format!("{limit}{in_use}");
    match used.is_some_and(|used| used.saturating_mul(10) >= limit.saturating_mul(9)) {
        true => Finding::new(
            Warn,
            subject,
            value,
            "The limit is nearly reached: then every start fails with EAGAIN.",
        ),
        false => {
            Finding::new(Ok, subject, value, "Threads count too. At the limit every start fails with EAGAIN.")
        }
    }
}
