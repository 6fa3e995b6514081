//! A foster that takes the place of one that had a fault, in the same process: the runs that it finds go on as its own.
//!
//! The programs' definitions are those of the configuration as it is now. A run whose program is not in it any more is an
//! orphan, and is ended last. Where the configuration cannot be read, what is known of the runs has to do: `abandon.rs`.
//! Next: `ledger.rs`, which the former foster has written.

use std::os::fd::AsFd;

use foster_core::event::{Adoption, Event, ShutdownCause};
use foster_core::ids::{InstanceId, Run, Signal};
use foster_core::spec::KillMode;
use log::{info, warn};
use nix::unistd::Pid;

use super::children::Role;
use super::ledger::{self, Kept, RunEntry};
use super::start::helper_output;
use super::{Init, InitEnv};
use crate::errno;
use crate::plan::Plan;
use crate::spawn::ChildProcess;
use crate::sys::handover::{Entry, Inheritance};
use crate::sys::{process, timer};

/// Gives each program of the plan as many instances as have runs: `foster scale` may have added some.
pub(super) fn fit(plan: &mut Plan, env: &InitEnv) {
    let Some(inherited) = &env.inherited else { return };
    let programs = ledger::programs(plan);
    for entry in inherited.entries.iter().filter_map(RunEntry::of) {
        if let Some(id) = programs.get(&entry.program).copied()
            && entry.index >= plan.count(id)
            && let Err(why) = plan.scale(id, entry.index.saturating_add(1))
        {
            warn!("an instance that still runs is not known any more: {why}");
        }
    }
}

impl Init {
    /// Takes the runs over, and ends them in order.
    pub(super) fn take_over(&mut self, inherited: &Inheritance) {
        self.core.clear();
        self.core.push(Event::ClockSet(timer::unix_ms()));
        let programs = ledger::programs(&self.plan);
        let mut taken = 0_usize;
        for mut entry in inherited.entries.iter().copied() {
            let Some(found) = RunEntry::of(&entry) else { continue };
            let program = programs.get(&found.program).copied();
            let instance = program.map(|program| InstanceId { program, index: found.index });
            if let Some(instance) = instance
                && self.adopt(Run { instance, number: found.number }, found, &mut entry).is_some()
            {
                taken += 1;
            }
            // Those that nothing reads are closed.
            (0..3).for_each(|which| drop(Inheritance::take(&mut entry, which)));
        }
        info!("taken over from a foster that had a fault: {taken} runs");
        self.core.push(Event::ShutdownOrdered(ShutdownCause::Fault));
        self.handle_events();
        // The former foster may have taken the signal of an exit without acting on it.
        self.reap();
    }

    /// `None`: the process is no child any more, or the instance is not in the plan.
    fn adopt(&mut self, run: Run, found: RunEntry, entry: &mut Entry) -> Option<()> {
        let pid = Pid::from_raw(found.pid);
        let program = self.plan.instance(run.instance).map(|instance| instance.program.clone())?;
        let kill_mode =
            self.plan.spec(run.instance.program).map_or(KillMode::Tree, |spec| spec.stop.kill_mode);
        if !process::is_child(pid) {
            return None;
        }
        let (role, output) = match found.reached {
            Adoption::Preparing => (Role::PreStart(run), helper_output(run)),
            Adoption::Starting | Adoption::Ready => (Role::Main(run), run),
        };
        let mut kept = |kept: Kept| Inheritance::take(entry, kept as usize);
        let pipes = [kept(Kept::Stdout), kept(Kept::Stderr)];
        let child = ChildProcess::adopted(pid, kept(Kept::Stdin));
        self.processes.children.define(run, program.clone());
        self.processes.children.insert_process(role, child);
        if let Err(error) = self.output.adopt(output, &program, pipes) {
            warn!("{}: its output is not read: {}", self.plan.label(run.instance), errno::words(&error));
        }
        self.output.started(output, pid.as_raw().unsigned_abs());
        self.processes.trees.adopt(run, pid, kill_mode);
        self.note_run(run);
        self.core.push(Event::Adopted(run, found.reached));
        Some(())
    }

    /// Writes what is known of a live run.
    pub(super) fn note_run(&mut self, run: Run) {
        let role = self.processes.role(run);
        let Some(program) = self.processes.children.definition(run) else { return };
        let Some(spec) = self.plan.spec(run.instance.program) else { return };
        let InstanceId { index, .. } = run.instance;
        let is_ready = self.core.supervisor.snapshot().run(run).is_some_and(|view| view.ready);
        let reached = match role == Role::PreStart(run) {
            true => Adoption::Preparing,
            false if is_ready => Adoption::Ready,
            false => Adoption::Starting,
        };
        let entry = RunEntry {
            program: ledger::hash(&program.name),
            index,
            number: run.number,
            reached,
            pid: self.processes.children.pid(role).map_or(0, |pid| pid.as_raw()),
            priority: spec.priority,
            stop_signal: spec.stop.signals.first().copied().unwrap_or(Signal::TERM),
        };
        let mut entry = entry.entry();
        let output = if reached == Adoption::Preparing { helper_output(run) } else { run };
        let pipes = [Kept::Stdout, Kept::Stderr].into_iter().zip(self.output.pipes(output));
        let pipes = pipes.filter_map(|(kept, pipe)| Some((kept, pipe?.as_fd())));
        let stdin = self.processes.children.stdin(role).map(|stdin| (Kept::Stdin, stdin));
        for (kept, descriptor) in pipes.chain(stdin) {
            ledger::set_descriptor(&mut entry, kept as usize, descriptor);
        }
        self.processes.children.ledger.note(run, &entry);
    }
}
