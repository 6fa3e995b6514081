//! The shell and the kernel of the simulation: what each action does to the processes that exist.
//!
//! It also checks what no supervisor may ask for: two live runs of one instance, a run number used twice, a start of
//! something that an update removed, an instance forgotten while it has processes.

use std::time::Duration;

use foster_core::action::{Action, Definition, Scope};
use foster_core::event::{Event, Leftovers, Notice, StartFailure};
use foster_core::ids::{Exit, KilledBy, ProgramId, Run, Signal};
use foster_core::probe::{ProbeResult, Which};
use foster_core::program::Desired;
use foster_core::supervisor::Turn;

use super::{End, Happening, Process, Stubbornness, World, print};

/// The most lines of a trace.
const MOST_LINES: usize = 400_000;

impl World {
    pub fn step(&mut self, event: Event) {
        self.step_all([event]);
    }

    pub(super) fn step_all(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut actions = Vec::new();
        self.supervisor.step(self.now, events, &mut actions);
        for action in actions {
            self.perform(action);
        }
        // No scenario comes near: what happens follows itself without end.
        let end = self.trace.len().saturating_sub(60);
        assert!(self.trace.len() < MOST_LINES, "this does not end:\n{}", self.trace[end..].join("\n"));
        // What is to go down and come up again has a run: without one it would never come up.
        let mut views = self.supervisor.snapshot().instances();
        let lost = views.find(|view| matches!(view.desired, Desired::Cycle(_)) && view.live.is_none());
        assert!(lost.is_none(), "{lost:?}\n{}", self.trace.join("\n"));
    }

    pub(super) fn happen(&mut self, what: Happening) {
        match what {
            Happening::Execs(run) => self.exec(run),
            Happening::Exit(run, exit) => self.exit(run, exit),
            Happening::ExitOf(instance, exit) => {
                let is_it = |(run, process): &(&Run, &Process)| {
                    run.instance == instance && **process != Process::Leftovers
                };
                if let Some(run) = self.live.iter().find(is_it).map(|(run, _)| *run) {
                    self.exit(run, exit);
                }
            }
            Happening::LeftoversEnd(run) => {
                if self.live.get(&run) == Some(&Process::Leftovers) {
                    self.live.remove(&run);
                    self.step(Event::TreeEmptied(run));
                }
            }
            Happening::Notifies(run, notice) => self.notify(run, notice),
            Happening::NotifiesOf(instance, notice) => {
                let is_it = |(run, process): &(&Run, &Process)| {
                    run.instance == instance && **process == Process::Main
                };
                if let Some(run) = self.live.iter().find(is_it).map(|(run, _)| *run) {
                    self.notify(run, notice);
                }
            }
            Happening::Beats(run) => self.beat(run),
            Happening::ProbeEnds(run, which, result) => self.step(Event::Probed(run, which, result)),
            Happening::PreStopEnds(run) => self.step(Event::PreStopEnded(run)),
            Happening::Event(event) => self.step(event),
            Happening::Update(text) => self.updated(&text),
            Happening::SweepDone => self.step(Event::SweepDone),
            Happening::Fault(after) => self.fault(after),
        }
    }

    fn notify(&mut self, run: Run, notice: Notice) {
        let starts = self.starts.len();
        // The step that parts a run from its instance may start the next one.
        if notice == Notice::Stopping {
            self.left.entry(run).or_insert(starts);
        }
        self.step(Event::Notified(run, notice));
        let view = self.supervisor.snapshot().instance(run.instance);
        if view.and_then(|view| view.live).is_some_and(|live| live.run == run)
            && self.left.get(&run) == Some(&starts)
        {
            self.left.remove(&run);
        }
    }

    fn exit(&mut self, run: Run, exit: Exit) {
        let leaves_others = match self.live.get(&run) {
            Some(Process::Main) => self.behaviour(run).leftovers.is_some(),
            Some(Process::Forked) => false,
            Some(Process::Leftovers) | None => return,
        };
        let left = if leaves_others {
            self.live.insert(run, Process::Leftovers);
            self.left.entry(run).or_insert(self.starts.len());
            Leftovers::Some
        } else {
            self.live.remove(&run);
            Leftovers::None
        };
        self.step(Event::Exited { run, exit, left });
    }

    fn perform(&mut self, action: Action) {
        if let Some(line) = print::line(self, &action) {
            self.trace.push(format!("{:<7} {line}", print::time(self.now)));
        }
        match action {
            Action::Spawn(run, definition) => self.spawn(run, definition),
            Action::Keep(program, definition) => self.keep(program, definition),
            Action::Signal { run, signal, scope, purpose: _ } => self.signal(run, signal, scope),
            Action::RunPreStop(run) => {
                if let Some(takes) = self.behaviour(run).pre_stop {
                    self.push(self.now.plus(takes), Happening::PreStopEnds(run));
                }
            }
            Action::Probe(run, which) => self.probe(run, which),
            Action::KillAll => {
                for run in self.live.keys().copied().collect::<Vec<_>>() {
                    self.signal(run, Signal::KILL, Scope::All);
                }
            }
            Action::Sweep(signal) => match self.orphans {
                Some(Stubbornness::Ignores) if signal != Signal::KILL => {}
                Some(_) | None => {
                    self.orphans = None;
                    self.push(self.now, Happening::SweepDone);
                }
            },
            Action::Forget(instance) => {
                if self.supervisor.plan().program(instance.program).is_none() {
                    self.ids.retain(|_, id| *id != instance.program);
                }
                let left = self.live.keys().find(|run| run.instance == instance);
                assert!(left.is_none(), "{left:?} is forgotten while it has processes");
            }
            Action::Exit(closing) => self.ended = Some((self.now, closing.ending)),
            Action::CancelPreStop(_)
            | Action::CancelProbe(..)
            | Action::ReportIgnored(_)
            | Action::ReportSkipped { .. }
            | Action::ReopenLogs
            | Action::WriteStatus
            | Action::Update
            | Action::Report(_)
            | Action::ReportShutdown(_)
            | Action::ReportCutShort(_)
            | Action::ReportReady => {}
        }
    }

    fn keep(&mut self, program: ProgramId, definition: Definition) {
        let former = self.formers.remove(&program).expect("two definitions");
        if definition == Definition::Former {
            self.behaviours[program.0 as usize] = former;
        }
    }

    fn spawn(&mut self, run: Run, definition: Definition) {
        assert!(!self.started.contains_key(&run), "{run:?} is started twice");
        let plan = self.supervisor.plan();
        let is_planned =
            plan.program(run.instance.program).is_some_and(|spec| run.instance.index < spec.instances);
        assert!(is_planned && !plan.is_leaving(run.instance.program), "{run:?} was removed and starts");
        let behaviour = match definition {
            Definition::Current => self.behaviours[run.instance.program.0 as usize].clone(),
            Definition::Former => self.formers.get(&run.instance.program).expect("a former one").clone(),
        };
        self.started.insert(run, behaviour.clone());
        self.starts.push((self.now, run));
        if behaviour.cannot_start {
            let failure = StartFailure {
                stage: "exec",
                persistence: behaviour.persistence,
                message: "running `x`: not found".into(),
            };
            return self.push(self.now, Happening::Event(Event::SpawnFailed(run, failure)));
        }
        self.check_beside(run);
        self.live.insert(run, Process::Forked);
        if let Some(takes) = behaviour.spawns {
            self.push(self.now.plus(takes), Happening::Execs(run));
        }
    }

    /// Two live runs of an instance at most, and two only where they may stand beside each other: while one is replaced, or
    /// right after one that has left processes.
    fn check_beside(&self, run: Run) {
        let mut others = self.live.keys().filter(|other| other.instance == run.instance);
        let name = print::name(self, run.instance);
        if let Some(other) = others.next() {
            let snapshot = self.supervisor.snapshot();
            let overlaps = snapshot.instance(run.instance).is_some_and(|view| view.turn == Turn::Now);
            let is_of_it = |(_, one): &&(_, Run)| one.instance == run.instance;
            let since = self.left.get(other).map(|starts| self.starts[*starts..].iter().filter(is_of_it));
            let follows = since.is_some_and(|starts| starts.count() == 1);
            let may = self.started[other].overlap && self.started[&run].overlap && (overlaps || follows);
            let trace = || self.trace.join("\n");
            assert!(
                may || self.is_out_of_reach(*other),
                "two live runs of {name}: {other:?}, {run:?}\n{}",
                trace()
            );
        }
        assert!(others.next().is_none(), "three live runs of {name}\n{}", self.trace.join("\n"));
    }

    /// The program is executed, unless its process has ended.
    fn exec(&mut self, run: Run) {
        if self.live.get(&run) != Some(&Process::Forked) {
            return;
        }
        self.live.insert(run, Process::Main);
        let behaviour = self.behaviour(run);
        self.step(Event::Spawned(run));
        if let Some(End { after, exit }) = behaviour.end {
            let succeeds = behaviour.succeeds.is_some_and(|first| run.number >= first);
            let exit = if succeeds { Exit::Code(0) } else { exit };
            self.push(self.now.plus(after), Happening::Exit(run, exit));
        }
        if let Some(after) = behaviour.says_ready {
            self.push(self.now.plus(after), Happening::Notifies(run, Notice::Ready));
        }
        if let Some(beats) = behaviour.beats {
            self.push(self.now.plus(beats), Happening::Beats(run));
        }
    }

    fn beat(&mut self, run: Run) {
        let behaviour = self.behaviour(run);
        let age = self.supervisor.snapshot().instance(run.instance).and_then(|view| view.live);
        let age = age.map_or(Duration::ZERO, |live| self.now.since(live.since));
        let is_silent = behaviour.silent.is_some_and(|from| age >= from);
        if self.live.get(&run) == Some(&Process::Main) && !is_silent {
            self.step(Event::Notified(run, Notice::Alive));
            self.push(self.now.plus(behaviour.beats.expect("it beats")), Happening::Beats(run));
        }
    }

    fn probe(&mut self, run: Run, which: Which) {
        let behaviour = self.behaviour(run);
        let up = self.supervisor.snapshot().run(run).and_then(|view| view.live);
        let up = up.map_or(Duration::ZERO, |live| self.now.since(live.since));
        let good = match (which, behaviour.ready, behaviour.unhealthy) {
            (Which::Ready, None, _) => return,
            (Which::Ready, Some(after), _) => up >= after,
            (Which::Memory, _, _) => behaviour.outgrows.is_none_or(|age| up < age),
            (Which::Health, _, None) => true,
            (Which::Health, _, Some((from, None))) => up < from,
            (Which::Health, _, Some((from, Some(until)))) => up < from || up >= until,
        };
        let result = match good {
            true => ProbeResult::Passed,
            false if which == Which::Memory => ProbeResult::Failed("120M".into()),
            false => ProbeResult::Failed("Connection refused".into()),
        };
        self.push(self.now.plus(Duration::from_millis(1)), Happening::ProbeEnds(run, which, result));
    }

    /// The command that a run was started with.
    pub fn version(&self, run: Run) -> &str {
        &self.started[&run].version
    }

    /// Whether no signal ends the processes of this run.
    pub fn is_out_of_reach(&self, run: Run) -> bool {
        let behaviour = self.behaviour(run);
        behaviour.unkillable || behaviour.refuses.contains(&Signal::KILL)
    }

    fn signal(&mut self, run: Run, signal: Signal, scope: Scope) {
        let Some(process) = self.live.get(&run).copied() else { return };
        let behaviour = self.behaviour(run);
        if behaviour.refuses.contains(&signal) {
            return self.push(self.now, Happening::Event(Event::SignalRefused(run, signal)));
        }
        let killed = Exit::Killed { signal, by: KilledBy::Unknown };
        match (process, signal) {
            (_, Signal::KILL) if behaviour.unkillable => {}
            (Process::Forked | Process::Main, Signal::KILL) => {
                self.push(self.now, Happening::Exit(run, killed));
            }
            (Process::Leftovers, Signal::KILL) => self.push(self.now, Happening::LeftoversEnd(run)),
            // A child before its `exec` has default dispositions.
            (Process::Forked, signal) if signal.is_ignored_by_default() => {}
            (Process::Forked | Process::Main, signal) => {
                if behaviour.stop_signals.contains(&signal)
                    && let Some(End { after, exit }) = behaviour.stops
                {
                    self.push(self.now.plus(after), Happening::Exit(run, exit));
                }
            }
            (Process::Leftovers, _) if scope == Scope::All => {
                if let Some(Some(after)) = behaviour.leftovers {
                    self.push(self.now.plus(after), Happening::LeftoversEnd(run));
                }
            }
            (Process::Leftovers, _) => {}
        }
    }
}
