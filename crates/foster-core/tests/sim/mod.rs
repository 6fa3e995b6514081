//! A simulated kernel: processes with a behaviour, in virtual time.
//!
//! A [`World`] holds a supervisor and plays shell and kernel for it: it performs every action, keeps the
//! processes that would exist, and sends back the events they would cause. Each event and action is a line of the
//! trace. An update is a new text ([`World::update`]); its differences from the text before decide what changed.
//! Scenario tests compare the whole trace; property tests look at the lines that matter.
//! `plan.rs` reads the plans, `kernel.rs` performs the actions, `print.rs` writes the trace.

mod kernel;
mod plan;
mod print;
mod takeover;

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use foster_core::Supervisor;
use foster_core::ending::Ending;
use foster_core::event::{Event, Notice, Order, ShutdownCause, SpecChange, Update};
use foster_core::ids::{Exit, InstanceId, KilledBy, OrderId, ProgramId, Run, Signal};
use foster_core::probe::{ProbeResult, Which};
use foster_core::program_map::ProgramMap;
use foster_core::time::Instant;

pub use plan::{Behaviour, End, parse};

/// A supervisor and its simulated surroundings.
pub struct World {
    pub supervisor: Supervisor,
    /// The name of every program that ever existed, by its id.
    pub names: Vec<String>,
    /// How processes behave that are started from now on.
    pub behaviours: Vec<Behaviour>,
    /// How processes behave that are made from a former definition, during a rolling restart to another one.
    formers: BTreeMap<ProgramId, Behaviour>,
    /// How processes behave that were started.
    started: BTreeMap<Run, Behaviour>,
    /// The programs of the current plan.
    ids: BTreeMap<String, ProgramId>,
    pub now: Instant,
    /// What happened, a line each.
    pub trace: Vec<String>,
    /// When each run was started, in order.
    pub starts: Vec<(Instant, Run)>,
    /// Processes that exist, by run.
    pub live: BTreeMap<Run, Process>,
    /// How many runs had been started when the main process of a run ended that has left others, or when a run was parted
    /// from its instance because it had announced its end.
    left: BTreeMap<Run, usize>,
    /// When foster exited, and why.
    pub ended: Option<(Instant, Ending)>,
    /// What will happen, soonest first.
    agenda: BinaryHeap<Due>,
    counter: u64,
    /// Orphans that are left for the final sweep, and whether they end at TERM.
    pub orphans: Option<Stubbornness>,
}

/// A process that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// The child has not executed its program yet.
    Forked,
    /// The main process runs.
    Main,
    /// The main process has ended, other processes of the program are left.
    Leftovers,
}

/// Whether processes end at TERM.
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
    /// A main process ends, unless it has ended before.
    Exit(Run, Exit),
    /// The main process that the instance has at that time ends.
    ExitOf(InstanceId, Exit),
    /// The last process of a run ends.
    LeftoversEnd(Run),
    /// The program of this run reports something.
    Notifies(Run, Notice),
    /// The same for the run that this instance has then, where its program was executed.
    NotifiesOf(InstanceId, Notice),
    /// The program reports that it works, and does it again.
    Beats(Run),
    /// A probe gets its answer.
    ProbeEnds(Run, Which, ProbeResult),
    PreStopEnds(Run),
    /// Anything else.
    Event(Event),
    /// The configuration is read again: this is the plan from now on.
    Update(String),
    SweepDone,
    /// foster has a fault, and another one takes its place.
    Fault(AfterFault),
}

/// What the next foster does (`on_fault`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFault {
    /// It keeps the programs running.
    Continues,
    /// It stops them.
    Stops,
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
    /// A world with this plan, as `plan.rs` reads it.
    pub fn new(text: &str) -> World {
        let (plan, names, behaviours) = parse(text);
        World {
            supervisor: Supervisor::new(plan),
            ids: names.iter().cloned().zip((0..).map(ProgramId)).collect(),
            names,
            behaviours,
            formers: BTreeMap::new(),
            started: BTreeMap::new(),
            now: Instant::START,
            trace: Vec::new(),
            starts: Vec::new(),
            live: BTreeMap::new(),
            left: BTreeMap::new(),
            ended: None,
            agenda: BinaryHeap::new(),
            counter: 0,
            orphans: None,
        }
    }

    /// One line of a script, a time and what happens then: `2s signal TERM`, `2s stop backend`, `2s kill backend SEGV`,
    /// `2s exit backend 3`, `2s notify backend extend=5s` ([`plan::notice`] lists what can be reported).
    pub fn script(&mut self, line: &str) {
        let (at, what) = line.trim().split_once(' ').expect("a time and what happens");
        let at = Instant::after_start(plan::duration(at));
        let words: Vec<&str> = what.split_whitespace().collect();
        let happening = match words.as_slice() {
            ["boot"] => Happening::Event(Event::Booted),
            ["fault"] => Happening::Fault(AfterFault::Continues),
            ["fault", "stop"] => Happening::Fault(AfterFault::Stops),
            ["shutdown"] => Happening::Event(Event::ShutdownOrdered(ShutdownCause::Operator(OrderId(0)))),
            ["signal", name] => Happening::Event(Event::Signalled(Signal::parse(name).expect("a signal"))),
            ["clock", unix] => {
                let seconds: i64 = unix.parse().expect("seconds since 1970");
                Happening::Event(Event::ClockSet(seconds * 1000))
            }
            ["exit", name, code] => {
                let exit = Exit::Code(code.parse().expect("a code"));
                return self.push_exit(at, name, exit);
            }
            ["kill", name, signal] => {
                let signal = Signal::parse(signal).expect("a signal");
                return self.push_exit(at, name, Exit::Killed { signal, by: KilledBy::Unknown });
            }
            ["notify", name, notice] => {
                let instance = self.targets(&[name]).into_iter().next().expect("an instance");
                return self.push(at, Happening::NotifiesOf(instance, plan::notice(notice)));
            }
            [verb, names @ ..] => {
                let order = match *verb {
                    "start" => Order::Start,
                    "stop" => Order::Stop,
                    "restart" => Order::Restart,
                    "reload" => Order::Reload,
                    "run" => Order::Run,
                    other => panic!("unknown verb {other}"),
                };
                let targets = self.targets(names);
                Happening::Event(Event::Ordered { order, targets, id: OrderId(0) })
            }
            [] => panic!("an empty line"),
        };
        self.push(at, happening);
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Duration> {
        let due = self.agenda.peek().map(|due| due.at);
        due.into_iter().chain(self.supervisor.deadline()).min().map(Instant::elapsed)
    }

    /// Lets time pass until nothing is left to happen, foster has exited, or `until` is reached.
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
                let due = self.agenda.pop().expect("it was peeked at");
                self.happen(due.what);
            } else {
                let lines = self.trace.len();
                self.step(Event::Ticked);
                // The remaining starts follow in the next step.
                let moved = self.supervisor.deadline().is_none_or(|deadline| deadline > self.now)
                    || self.trace.len() > lines;
                assert!(moved || self.ended.is_some(), "a step at the deadline did not move it: a busy loop");
            }
        }
    }

    /// The plan from then on. Programs are matched by name.
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
                self.formers.entry(id).or_insert_with(|| self.behaviours[id.0 as usize].clone());
            }
            self.behaviours[id.0 as usize] = behaviour;
        }
        let plan = plan.renumbered(&numbers);
        for (id, spec) in plan.programs().iter() {
            let old = self.supervisor.plan().program(id);
            if old.is_some_and(|old| old.kind() != spec.kind()) {
                changed.insert(id, SpecChange::Process);
            }
            if old.is_some_and(|old| old != spec) && !changed.contains(id) {
                changed.insert(id, SpecChange::Policy);
            }
        }
        self.trace.push(format!("{:<7} updated", print::time(self.now)));
        self.step(Event::Updated(Box::new(Update { plan: plan.into(), changed })));
        let snapshot = self.supervisor.snapshot();
        self.formers.retain(|id, _| snapshot.has_former(*id));
    }

    fn push_exit(&mut self, at: Instant, name: &str, exit: Exit) {
        let instance = self.targets(&[name]).into_iter().next().expect("an instance");
        self.push(at, Happening::ExitOf(instance, exit));
    }

    pub fn push(&mut self, at: Instant, what: Happening) {
        self.counter += 1;
        self.agenda.push(Due { at, order: self.counter, what });
    }

    /// How the process of a run behaves; for a run that never was, how its program does.
    fn behaviour(&self, run: Run) -> Behaviour {
        self.started.get(&run).unwrap_or(&self.behaviours[run.instance.program.0 as usize]).clone()
    }

    fn targets(&self, names: &[&str]) -> Vec<InstanceId> {
        let all = self.supervisor.snapshot().instances().map(|view| view.id);
        all.filter(|id| {
            let name = self.names[id.program.0 as usize].as_str();
            let label = format!("{name}.{}", id.index);
            names.iter().any(|given| ["all", name, label.as_str()].contains(given))
        })
        .collect()
    }
}
