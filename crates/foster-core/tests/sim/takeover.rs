//! A fault in foster: another supervisor takes over what is there, as `src/init/takeover.rs` has it do.
//!
//! The new one knows the plan, and of each instance what the file in memory has: how far its live runs have come, or why it
//! has none. Probes and `pre_stop` commands end with the supervisor that had them run. Next: `kernel.rs`.

use std::cmp::Reverse;
use std::mem;

use foster_core::Supervisor;
use foster_core::action::StateName;
use foster_core::event::{Adopted, Adoption, Counts, Event, Recalled, Rest, ShutdownCause};
use foster_core::ids::{Exit, Run};
use foster_core::program::{Desired, DownReason};
use foster_core::spec::Autostart;
use foster_core::supervisor::InstanceView;

use super::{AfterFault, Happening, Process, World, print};

impl World {
    /// During a shutdown there is no such foster. It does not know programs that are being removed: these are left out here.
    pub(super) fn fault(&mut self, after: AfterFault) {
        let is_removed = |view: InstanceView| view.desired == Desired::Down(DownReason::Removed);
        let is_removing = self.supervisor.snapshot().instances().any(is_removed);
        if self.supervisor.is_shutting_down() || is_removing || !self.supervisor.plan().leaving().is_empty() {
            return;
        }
        let snapshot = self.supervisor.snapshot();
        let mut events = vec![Event::ClockSet(0)];
        for view in snapshot.instances() {
            events.extend(rest(&view).map(|rest| {
                let without = Exit::Code(if rest == Rest::Fatal { 1 } else { 0 });
                let exit = view.last.map_or(without, |past| past.exit);
                let recalled = Recalled { rest, last_run: view.last_run, exit, counts: counts(&view) };
                Event::Recalled(view.id, recalled)
            }));
        }
        let runs = self.live.iter();
        let mut runs: Vec<_> = runs.filter_map(|(run, process)| self.adopted(*run, *process)).collect();
        let is_ready = |one: &Adopted| one.exit.is_none() && one.reached == Adoption::Ready;
        runs.sort_by_key(|one| Reverse((one.exit.is_none(), is_ready(one), one.run.number)));
        events.extend(runs.into_iter().map(Event::Adopted));
        events.push(match after {
            AfterFault::Continues => Event::Booted,
            AfterFault::Stops => Event::ShutdownOrdered(ShutdownCause::Fault),
        });
        self.trace.push(format!("{:<7} a fault", print::time(self.now)));
        self.supervisor = Supervisor::new(self.supervisor.plan().clone());
        self.formers.clear();
        let is_lost = |what: &Happening| {
            matches!(what, Happening::ProbeEnds(..) | Happening::PreStopEnds(_) | Happening::SweepDone)
        };
        self.agenda = mem::take(&mut self.agenda).into_iter().filter(|due| !is_lost(&due.what)).collect();
        // The number of a run that has ended may be used again where nothing was known of its instance.
        self.started.retain(|run, _| self.live.contains_key(run));
        self.left.retain(|run, _| self.live.contains_key(run));
        // A run counts as one of the present definition, whichever it was started from.
        for (run, behaviour) in &mut self.started {
            behaviour.overlap = self.behaviours[run.instance.program.0 as usize].overlap;
        }
        self.step_all(events);
    }

    fn adopted(&self, run: Run, process: Process) -> Option<Adopted> {
        let view = self.supervisor.snapshot().run(run)?;
        let exit = match process {
            Process::Forked | Process::Main => None,
            Process::Leftovers => view.last.filter(|past| past.run == run).map(|past| past.exit),
        };
        let reached = match view.desired {
            Desired::Down(DownReason::Leftovers) if exit.is_some() => Adoption::Ready,
            Desired::Down(_) if view.state == StateName::Stopping => Adoption::Stopping,
            Desired::Up if exit.is_some() => Adoption::Ready,
            Desired::Trial | Desired::Rising if exit.is_some() => Adoption::Starting,
            Desired::Cycle(_) if view.state == StateName::Stopping => Adoption::Restarting,
            Desired::Up if view.state == StateName::Stopping => Adoption::Unhealthy,
            _ if view.state == StateName::Stopping => Adoption::NotReady,
            _ if view.ready => Adoption::Ready,
            _ => Adoption::Starting,
        };
        let live = view.live?;
        let (since, watchdog) = (live.since, live.watchdog);
        Some(Adopted { run, reached, since, watchdog, exit, counts: counts(&view) })
    }
}

fn counts(view: &InstanceView) -> Counts {
    Counts { restarts: view.restarts, failures: view.failures }
}

fn rest(view: &InstanceView) -> Option<Rest> {
    if view.live.is_some() {
        return None;
    }
    let is_new = view.last_run == 0 && view.autostart == Autostart::Yes;
    match (view.state, view.desired) {
        (StateName::Paused, _) | (StateName::Stopped, Desired::Down(DownReason::Requested(_))) => {
            Some(Rest::Stopped)
        }
        (StateName::Stopped, Desired::Down(_)) => None,
        (StateName::Waiting | StateName::Backoff | StateName::Stopped, _) => (!is_new).then_some(Rest::Due),
        (StateName::Exited | StateName::Succeeded, _) => Some(Rest::Exited),
        (StateName::Fatal | StateName::Failed, _) => Some(Rest::Fatal),
        (StateName::Idle, _) => Some(if view.ready { Rest::Exited } else { Rest::Idle }),
        (StateName::Starting | StateName::Running | StateName::Unhealthy | StateName::Stopping, _) => None,
    }
}
