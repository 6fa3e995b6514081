//! `start`, `stop`, `restart` and `signal`: an order to each process that is named, and a line for each.
//!
//! Which process a name means is looked up again for each name, because the order before may have changed its state.

use foster_core::ids::Signal;

use super::processes::{self, Chosen, Process};
use super::{Session, status};
use crate::control::protocol::{Order, Outcome, Reply, Request, SignalOrder, Verdict};

impl Session<'_, '_> {
    pub(super) fn nothing_named(&mut self, verb: &str) -> u8 {
        let what = if verb == "signal" { "a signal name and a process name" } else { "a process name" };
        self.misused(verb, &format!("{verb} requires {what}"));
        if verb == "start" { status::INVALID } else { status::FAILED }
    }

    /// Orders each process that is named, and prints a line for it.
    pub(super) fn each(
        &mut self,
        names: &[String],
        verb: &str,
        order: fn(&mut Self, &[Process], bool) -> u8,
    ) -> u8 {
        if names.is_empty() {
            return self.nothing_named(verb);
        }
        let names = if names.iter().any(|name| name == "all") { &["all".to_owned()] } else { names };
        let mut code = status::DONE;
        for name in names {
            // Each time: the order before may have changed it.
            let all = match self.processes() {
                Ok(all) => all,
                Err(code) => return code,
            };
            let next = match processes::choose(&all, name) {
                Chosen::All(chosen) | Chosen::Group(chosen) => {
                    order(self, &chosen.into_iter().cloned().collect::<Vec<_>>(), true)
                }
                Chosen::One(process) => order(self, std::slice::from_ref(process), false),
                Chosen::NoGroup(group) => {
                    self.say(format!("{group}: ERROR (no such group)"));
                    if verb == "start" { status::INVALID } else { status::FAILED }
                }
                Chosen::NoProcess => {
                    self.say(format!("{name}: ERROR (no such process)"));
                    status::FAILED
                }
            };
            if next != status::DONE {
                code = next;
            }
        }
        code
    }

    /// Sends one order to all of these, and prints the outcome of each.
    fn order(&mut self, processes: &[Process], request: fn(Order) -> Request, done: &str) -> u8 {
        if processes.is_empty() {
            return status::DONE;
        }
        let names = processes.iter().map(|process| process.label.clone()).collect();
        let replies = match self.ask(&request(Order { names, wait: true })) {
            Ok(replies) => replies,
            Err(code) => return code,
        };
        let mut code = status::DONE;
        // In the order of the names, and not of their ends.
        for process in processes {
            let outcomes = replies
                .iter()
                .filter_map(|reply| if let Reply::Outcome(outcome) = reply { Some(outcome) } else { None });
            let of_process = outcomes.into_iter().find(|outcome| outcome.name == process.label);
            match of_process {
                Some(Outcome { verdict: Verdict::Failed, message, .. }) => {
                    let (fault, failed) = processes::fault(message);
                    self.say(format!("{}: ERROR ({fault})", process.name));
                    code = failed;
                }
                Some(_) => self.say(format!("{}: {done}", process.name)),
                None => {}
            }
        }
        code
    }

    /// Of several only those that are down are started; a single one says that it is up.
    pub(super) fn start(&mut self, processes: &[Process], are_many: bool) -> u8 {
        let (up, down): (Vec<_>, Vec<_>) =
            processes.iter().cloned().partition(|process| process.state.is_up());
        if !are_many {
            up.iter().for_each(|process| self.say(format!("{}: ERROR (already started)", process.name)));
        }
        self.order(&down, Request::Start, "started")
    }

    pub(super) fn stop(&mut self, processes: &[Process], are_many: bool) -> u8 {
        let (up, down): (Vec<_>, Vec<_>) =
            processes.iter().cloned().partition(|process| process.state.is_up());
        if !are_many {
            down.iter().for_each(|process| self.say(format!("{}: ERROR (not running)", process.name)));
        }
        self.order(&up, Request::Stop, "stopped")
    }

    pub(super) fn signal(&mut self, words: &[String]) -> u8 {
        let [signal, names @ ..] = words else { return self.nothing_named("signal") };
        if names.is_empty() {
            return self.nothing_named("signal");
        }
        let Some(signal) = Signal::parse(&signal.to_ascii_uppercase()) else {
            names.iter().for_each(|name| self.say(format!("{name}: ERROR (bad signal name)")));
            return status::FAILED;
        };
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let mut code = status::DONE;
        for name in names {
            let (chosen, are_many) = match processes::choose(&all, name) {
                Chosen::All(chosen) | Chosen::Group(chosen) => (chosen, true),
                Chosen::One(process) => (vec![process], false),
                Chosen::NoGroup(_) | Chosen::NoProcess => {
                    self.say(format!("{name}: ERROR (no such process)"));
                    code = status::FAILED;
                    continue;
                }
            };
            for process in chosen {
                if !process.state.is_signallable() {
                    if !are_many {
                        self.say(format!("{}: ERROR (not running)", process.name));
                        code = status::NOT_RUNNING;
                    }
                    continue;
                }
                let request = Request::Signal(SignalOrder { names: vec![process.label.clone()], signal });
                match self.ask(&request) {
                    Ok(_) => self.say(format!("{}: signalled", process.name)),
                    Err(failed) => code = failed,
                }
            }
        }
        code
    }
}
