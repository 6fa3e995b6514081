//! `memory_max`: what the processes of a run hold, compared with the limit.
//!
//! Resident sets, as `status` shows them and `ps` does: pages that several processes share count for each.
//! Proportional sets would not, but to read them (smaps_rollup) waits for the lock of the process's memory, which a
//! process on a file system that hangs may hold forever. foster looks only where a limit is set, and the answer is
//! there at once. What follows is the core's decision. Next: `groups/memory.rs`, where the kernel has a limit, too.

use foster_core::event::Event;
use foster_core::ids::Run;
use foster_core::probe::{ProbeResult, Which};
use foster_core::sorted::{SortedSet, sort_by_key};
use nix::unistd::Pid;

use super::Init;
use super::groups::most;
use crate::cli::format::size;
use crate::sys::procfs;
use crate::sys::usage::{Usage, UsageReader};

/// How many processes a message names.
const NAMED: usize = 3;

impl Init {
    /// Has the kernel hold programs to their limits, if one has a limit and the kernel allows it.
    pub(super) fn hold_memory(&mut self) {
        let has_limit = self.plan.core.programs().values().any(|spec| spec.memory_max.is_some());
        if has_limit && let Err(why) = self.processes.trees.groups.hold_memory() {
            log::debug!("memory_max is looked at every 2 s, and not held by the kernel: {why}");
        }
    }

    /// Applies the limits of the present definitions to the groups of live runs.
    pub(super) fn limit_groups(&mut self) {
        for run in self.processes.children.runs().collect::<Vec<_>>() {
            let limit = self.memory_max(run);
            self.processes.trees.groups.limit(run, limit);
        }
    }

    /// The limit of a run.
    pub(super) fn memory_max(&self, run: Run) -> Option<u64> {
        self.core.supervisor.snapshot().run(run).and_then(|view| view.memory_max)
    }

    /// Whether the kernel has killed processes of this run because they had reached its limit; that is logged. `None`:
    /// only the counter of all programs can tell.
    pub(super) fn was_out_of_memory(&mut self, run: Run) -> Option<bool> {
        let was_killed = self.processes.trees.groups.was_out_of_memory(run)?;
        if was_killed && let Some(limit) = self.memory_max(run) {
            let (name, most, limit) = (self.plan.label(run.instance), size(most(limit)), size(limit));
            log::warn!(
                "{name}: reached {most} of memory, and the kernel killed all of its processes; memory_max is {limit}"
            );
        }
        Some(was_killed)
    }

    /// Looks at the memory of a run.
    pub(super) fn check_memory(&mut self, run: Run) {
        // Daemons of it that have come to foster since. Nothing has ended: only what is certain is taken for its own.
        let _ = self.processes.trees.look(&self.processes.children, &SortedSet::new());
        let mut reader = UsageReader::new();
        let trees = self.processes.roots(run).filter_map(|root| reader.of_processes(root));
        let memory = |(pid, usage): (Pid, Usage)| (pid, usage.memory_bytes);
        let mut processes: Vec<(Pid, u64)> = trees.flatten().map(memory).collect();
        sort_by_key(&mut processes, |(_, bytes)| std::cmp::Reverse(*bytes));
        let result = self.memory_max(run).map_or(ProbeResult::Passed, |limit| compare(&processes, limit));
        self.core.push(Event::Probed(run, Which::Memory, result));
    }
}

/// `processes`: the largest first.
fn compare(processes: &[(Pid, u64)], limit: u64) -> ProbeResult {
    let total = processes.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    if total <= limit {
        return ProbeResult::Passed;
    }
    let named = |(pid, bytes): &(Pid, u64)| {
        let name = procfs::name(*pid).unwrap_or_else(|| "?".into());
        format!("{name} (pid {pid}) {}", size(*bytes))
    };
    let mut largest: Vec<String> = processes.iter().take(NAMED).map(named).collect();
    if processes.len() > NAMED {
        largest.push(format!("{} more", processes.len() - NAMED));
    }
    let (total, limit, largest) = (size(total), size(limit), largest.join(", "));
    ProbeResult::Failed(format!("uses {total} of memory, memory_max is {limit}: {largest}"))
}
