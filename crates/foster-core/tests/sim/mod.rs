//! A kernel that is not there: processes with a behaviour, in virtual time.
//!
//! A [`World`] holds a supervisor and plays shell and kernel for it: it performs every action, keeps the
//! processes that would exist, and sends back the events they would cause. Each thing that happens is a
//! line of the trace. An update is a new text ([`World::update`]): what is other than before decides what it says.
//! Scenario tests compare the whole trace; property tests look at the lines that matter.
//! `plan.rs` beside this file reads the plans.

mod plan;
mod print;

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use foster_core::Supervisor;
use foster_core::action::{Action, Scope};
use foster_core::ending::Ending;
use foster_core::event::{Event, Leftovers, Order, ShutdownCause, SpecChange, StartFailure, Update};
use foster_core::ids::{Exit, InstanceId, KilledBy, OrderId, ProgramId, Run, Signal};
use foster_core::probe::{ProbeResult, Which};
use foster_core::program_map::ProgramMap;
use foster_core::time::Instant;

pub use plan::{Behaviour, End, parse};

/// A supervisor in a world of its own.
pub struct World {
    pub supervisor: Supervisor,
    /// What every program that ever was is called, by its id.
    pub names: Vec<String>,
    /// How the processes behave that are made from now on.
    pub behaviours: Vec<Behaviour>,
    /// How those behave that were made.
    made: BTreeMap<Run, Behaviour>,
    /// The programs that are there.
    ids: BTreeMap<String, ProgramId>,
    pub now: Instant,
    /// Lines of what happened.
    pub trace: Vec<String>,
    /// Processes that exist, by run.
    pub live: BTreeMap<Run, Process>,
    /// The end, once it has come.
    pub ended: Option<(Instant, Ending)>,
    /// Things that will happen, soonest first.
    agenda: BinaryHeap<Due>,
    counter: u64,
    /// Orphans that are left for the final sweep, and whether they leave at TERM.
    pub orphans: Option<Stubbornness>,
    /// How often the supervisor was ticked; a spin shows as a number without bound.
    pub ticks: u32,
}

/// A process that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// With its main process.
    Main,
    /// Only others of its session.
    Others,
}

/// Whether something leaves when it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stubbornness {
    Obeys,
    Ignores,
}

/// Something that will happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A process executes its program.
    Execs(Run),
    /// A main process ends, unless it has by then.
    Exit(Run, Exit),
    /// Whatever main process the instance has then ends.
    ExitOf(InstanceId, Exit),
    /// The others of a session are gone.
    OthersGone(Run),
    /// The program becomes ready, by telling.
    Tells(Run),
    /// An answer to a question.
    Answer(Run, Which, ProbeResult),
    PreStopEnds(Run),
    /// From outside.
    Event(Event),
    /// This is the plan from now on.
    Update(String),
    SweepDone,
}

struct Due {
    at: Instant,
    order: u64,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl World {
    /// A world with this plan, in the words of `plan.rs`.
    pub fn new(text: &str) -> World {
        let (plan, names, behaviours) = parse(text);
        World {
            supervisor: Supervisor::new(plan),
            ids: names.iter().cloned().zip((0..).map(ProgramId)).collect(),
            names,
            behaviours,
            made: BTreeMap::new(),
            now: Instant::START,
            trace: Vec::new(),
            live: BTreeMap::new(),
            ended: None,
            agenda: BinaryHeap::new(),
            counter: 0,
            orphans: None,
            ticks: 0,
        }
    }

    /// Something from outside, in words: `term`, `stop backend`, `kill backend 9`, `exit backend 3`.
    pub fn script(&mut self, line: &str) {
        let (at, what) = line.trim().split_once(' ').expect("a time and what happens");
        let at = Instant::after_start(plan::duration(at));
        let words: Vec<&str> = what.split_whitespace().collect();
        let happening = match words.as_slice() {
            ["boot"] => Happening::Event(Event::Booted),
            ["shutdown"] => Happening::Event(Event::ShutdownOrdered(ShutdownCause::Operator(OrderId(0)))),
            ["signal", name] => Happening::Event(Event::Signalled(Signal::parse(name).expect("a signal"))),
            ["exit", name, code] => {
                let exit = Exit::Code(code.parse().expect("a code"));
                return self.push_exit(at, name, exit);
            }
            ["kill", name, signal] => {
                let signal = Signal::parse(signal).expect("a signal");
                return self.push_exit(at, name, Exit::Killed { signal, by: KilledBy::Unknown });
            }
            [verb, names @ ..] => {
                let order = match *verb {
                    "start" => Order::Start,
                    "stop" => Order::Stop,
                    "restart" => Order::Restart,
                    "reload" => Order::Reload,
                    other => panic!("unknown verb {other}"),
                };
                let targets = self.targets(names);
                Happening::Event(Event::Ordered { order, targets, id: OrderId(0) })
            }
            [] => panic!("nothing happens"),
        };
        self.push(at, happening);
    }

    /// Lets time pass until nothing is left to happen, the end has come, or `until` is reached.
    pub fn run(&mut self, until: Duration) {
        let until = Instant::after_start(until);
        while self.ended.is_none() {
            let due = self.agenda.peek().map(|due| due.at);
            let deadline = self.supervisor.deadline();
            let Some(next) = due.into_iter().chain(deadline).min() else { break };
            if next > until {
                break;
            }
            assert!(next >= self.now || deadline.is_some(), "time runs backwards");
            self.now = self.now.max(next);
            if due.is_some_and(|due| due <= self.now) {
                let due = self.agenda.pop().expect("just seen");
                self.happen(due.what);
            } else {
                self.ticks += 1;
                let lines = self.trace.len();
                self.step(Event::Ticked);
                // A storm of starts goes on in the next step.
                let moved = self.supervisor.deadline().is_none_or(|deadline| deadline > self.now)
                    || self.trace.len() > lines;
                assert!(moved || self.ended.is_some(), "stepping at the deadline did not move it: a spin");
            }
        }
    }

    /// The plan from then on; programs of the same name are the same ones.
    pub fn update(&mut self, at: &str, text: &str) {
        self.push(Instant::after_start(plan::duration(at)), Happening::Update(text.into()));
    }

    fn updated(&mut self, text: &str) {
        let (plan, names, behaviours) = parse(text);
        let mut changed = ProgramMap::new();
        let mut numbers = ProgramMap::new();
        for (own, (name, behaviour)) in (0..).map(ProgramId).zip(names.into_iter().zip(behaviours)) {
            let next = ProgramId(u32::try_from(self.names.len()).expect("few programs"));
            let id = *self.ids.entry(name.clone()).or_insert(next);
            numbers.insert(own, id);
            if id == next {
                self.names.push(name);
                self.behaviours.push(behaviour);
                continue;
            }
            if self.behaviours[id.0 as usize] != behaviour {
                changed.insert(id, SpecChange::Process);
            }
            self.behaviours[id.0 as usize] = behaviour;
        }
        let plan = plan.renumbered(&numbers);
        for (id, spec) in plan.programs().iter() {
            let old = self.supervisor.plan().program(id);
            if old.is_some_and(|old| old != spec) && !changed.contains(id) {
                changed.insert(id, SpecChange::Policy);
            }
        }
        self.trace.push(format!("{:<7} updated", print::time(self.now)));
        self.step(Event::Updated(Box::new(Update { plan: plan.into(), changed })));
    }

    pub fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.supervisor.step(self.now, [event], &mut actions);
        for action in actions {
            self.perform(action);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Execs(run) => self.exec(run),
            Happening::Exit(run, exit) => self.exit(run, exit),
            Happening::ExitOf(instance, exit) => {
                let run = self.live.keys().find(|run| run.instance == instance).copied();
                if let Some(run) = run {
                    self.exit(run, exit);
                }
            }
            Happening::OthersGone(run) => {
                if self.live.get(&run) == Some(&Process::Others) {
                    self.live.remove(&run);
                    self.step(Event::TreeEmptied(run));
                }
            }
            Happening::Tells(run) => self.step(Event::SaidReady(run)),
            Happening::Answer(run, which, result) => self.step(Event::Probed(run, which, result)),
            Happening::PreStopEnds(run) => self.step(Event::PreStopEnded(run)),
            Happening::Event(event) => self.step(event),
            Happening::Update(text) => self.updated(&text),
            Happening::SweepDone => self.step(Event::SweepDone),
        }
    }

    fn exit(&mut self, run: Run, exit: Exit) {
        if self.live.get(&run) != Some(&Process::Main) {
            return;
        }
        let others = self.behaviour(run).others;
        let left = if others.is_some() {
            self.live.insert(run, Process::Others);
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
            Action::Spawn(run) => self.spawn(run),
            Action::Signal { run, signal, scope, purpose: _ } => self.signal(run, signal, scope),
            Action::RunPreStop(run) => {
                if let Some(takes) = self.behaviour(run).pre_stop {
                    self.push(self.now.plus(takes), Happening::PreStopEnds(run));
                }
            }
            Action::Probe(run, which) => self.answer(run, which),
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
                if self.supervisor.snapshot().of(instance.program).count() == 0 {
                    self.ids.retain(|_, id| *id != instance.program);
                }
                let left = self.live.keys().find(|run| run.instance == instance);
                assert!(left.is_none(), "{left:?} is forgotten and lives");
            }
            Action::Exit(closing) => self.ended = Some((self.now, closing.ending)),
            Action::CancelPreStop(_)
            | Action::CancelProbe(..)
            | Action::ReportIgnored(_)
            | Action::ReopenLogs
            | Action::WriteStatus
            | Action::Update
            | Action::Report(_)
            | Action::ReportShutdown(_)
            | Action::ReportReady => {}
        }
    }

    fn spawn(&mut self, run: Run) {
        assert!(!self.made.contains_key(&run), "{run:?} is made twice");
        let plan = self.supervisor.plan();
        let is_there =
            plan.program(run.instance.program).is_some_and(|spec| run.instance.index < spec.instances);
        assert!(is_there && !plan.is_leaving(run.instance.program), "{run:?} was removed and starts");
        let behaviour = self.behaviours[run.instance.program.0 as usize].clone();
        self.made.insert(run, behaviour.clone());
        if behaviour.cannot_start {
            let failure = StartFailure {
                stage: "exec",
                persistence: behaviour.persistence,
                message: "running `x`: not found".into(),
            };
            return self.push(self.now, Happening::Event(Event::SpawnFailed(run, failure)));
        }
        let twice = self.live.keys().any(|other| other.instance == run.instance);
        assert!(!twice, "two live runs of {}", print::name(self, run.instance));
        self.live.insert(run, Process::Main);
        if let Some(takes) = behaviour.spawns {
            self.push(self.now.plus(takes), Happening::Execs(run));
        }
    }

    /// The program is executed, unless its process has ended.
    fn exec(&mut self, run: Run) {
        if self.live.get(&run) != Some(&Process::Main) {
            return;
        }
        let behaviour = self.behaviour(run);
        self.step(Event::Spawned(run));
        if let Some(End { after, exit }) = behaviour.end {
            self.push(self.now.plus(after), Happening::Exit(run, exit));
        }
        if let Some(after) = behaviour.tells {
            self.push(self.now.plus(after), Happening::Tells(run));
        }
    }

    fn answer(&mut self, run: Run, which: Which) {
        let behaviour = self.behaviour(run);
        let up = self.supervisor.snapshot().instance(run.instance).and_then(|view| view.live);
        let up = up.map_or(Duration::ZERO, |live| self.now.since(live.since));
        let good = match (which, behaviour.answers, behaviour.sick) {
            (Which::Ready, None, _) => return,
            (Which::Ready, Some(after), _) => up >= after,
            (Which::Health, _, None) => true,
            (Which::Health, _, Some((from, None))) => up < from,
            (Which::Health, _, Some((from, Some(until)))) => up < from || up >= until,
        };
        let result = match good {
            true => ProbeResult::Passed,
            false => ProbeResult::Failed("Connection refused".into()),
        };
        self.push(self.now.plus(Duration::from_millis(1)), Happening::Answer(run, which, result));
    }

    fn signal(&mut self, run: Run, signal: Signal, scope: Scope) {
        let behaviour = self.behaviour(run);
        let killed = Exit::Killed { signal, by: KilledBy::Unknown };
        match (self.live.get(&run), signal) {
            (Some(Process::Main), Signal::KILL) => self.push(self.now, Happening::Exit(run, killed)),
            (Some(Process::Main), signal) => {
                if behaviour.stop_signals.contains(&signal)
                    && let Some(End { after, exit }) = behaviour.stops
                {
                    self.push(self.now.plus(after), Happening::Exit(run, exit));
                }
            }
            (Some(Process::Others), Signal::KILL) => self.push(self.now, Happening::OthersGone(run)),
            (Some(Process::Others), _) if scope == Scope::All => {
                if let Some(Some(after)) = behaviour.others {
                    self.push(self.now.plus(after), Happening::OthersGone(run));
                }
            }
            (Some(Process::Others), _) | (None, _) => {}
        }
    }

    fn push_exit(&mut self, at: Instant, name: &str, exit: Exit) {
        let instance = self.targets(&[name]).into_iter().next().expect("an instance");
        self.push(at, Happening::ExitOf(instance, exit));
    }

    pub fn push(&mut self, at: Instant, what: Happening) {
        self.counter += 1;
        self.agenda.push(Due { at, order: self.counter, what });
    }

    /// A signal to one that was never made is a signal to nobody.
    fn behaviour(&self, run: Run) -> Behaviour {
        self.made.get(&run).unwrap_or(&self.behaviours[run.instance.program.0 as usize]).clone()
    }

    fn targets(&self, names: &[&str]) -> Vec<InstanceId> {
        let all = self.supervisor.snapshot().instances().map(|view| view.id);
        all.filter(|id| names.contains(&"all") || names.contains(&self.names[id.program.0 as usize].as_str()))
            .collect()
    }
}
