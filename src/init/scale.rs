//! `foster scale NAME N`: another number of instances of a program.
//!
//! It is an update in which nothing else has changed: the core adds and removes instances as after a configuration was read
//! again, and the client waits for the same results. The file is not read, so an edit of it is not applied. Definitions of
//! new instances come from the plan (`plan/instances.rs`). Next: `update.rs`.

use std::ops::Range;
use std::rc::Rc;

use foster_core::action::EventName;
use foster_core::event::{Event, Order, Update};
use foster_core::ids::{InstanceId, OrderId, ProgramId};
use foster_core::program_map::ProgramMap;
use foster_core::spec::Kind;
use log::Level;

use super::history::Subject;
use super::outcomes::Waiting;
use super::{Init, report};
use crate::control::protocol::{Reason, Refusal, Scale};
use crate::control::server::ConnectionId;
use crate::plan::{InstanceCount, Plan, Stdin};

impl Init {
    /// A client wants another number of instances.
    pub(super) fn scale_for(
        &mut self,
        client: ConnectionId,
        asked: &Scale,
        order: OrderId,
    ) -> Result<Option<Waiting>, Refusal> {
        if self.core.supervisor.is_shutting_down() {
            return Err(Refusal::new(Reason::ShuttingDown, "foster is shutting down"));
        }
        self.forget_removed();
        let id = self.scalable(&asked.name)?;
        let (count, number) = (self.plan.count(id), asked.instances);
        if number == count {
            self.remark(client, &asked.name, format!("has {} already", instances(number)));
            return Ok(None);
        }
        let plan = self.scaled(id, number)?;
        let before = self.instances_before();
        self.report_scale(&plan, id, count, order);
        self.output.configure(&plan);
        let update = Update { plan: Rc::clone(&plan.core), changed: ProgramMap::new() };
        self.plan = Rc::new(plan);
        self.core.push(Event::Updated(Box::new(update)));
        self.start_added(id, count..number, order);
        self.handle_events();
        self.rematch_streams();
        self.waiter.trimmer.done_with_work(self.core.now);
        let expected = self.expected_of_scale(id, &before);
        Ok(self.answer_or_wait(client, expected, asked.wait))
    }

    /// The program that is meant: one, by its name.
    fn scalable(&self, name: &str) -> Result<ProgramId, Refusal> {
        let is_meant = |id: ProgramId, known: &str| known == name && !self.plan.core.is_leaving(id);
        let mut named = self.plan.programs.iter().filter(|(id, program)| is_meant(*id, &program.name));
        if let Some((id, _)) = named.next() {
            return match self.plan.kind(id) {
                Kind::Program => Ok(id),
                kind @ (Kind::Task | Kind::Job) => {
                    let message = format!("cannot scale `{name}`: a {} has one instance", kind.name());
                    Err(Refusal::new(Reason::BadRequest, message))
                }
            };
        }
        let name = name.to_owned();
        self.named_or_all(std::slice::from_ref(&name))?;
        let message = format!("cannot scale `{name}`: expected the name of one program");
        Err(Refusal::new(Reason::BadRequest, message))
    }

    /// The plan with this number of instances.
    fn scaled(&self, id: ProgramId, number: u16) -> Result<Plan, Refusal> {
        let mut plan = Plan::clone(&self.plan);
        let name = self.plan.program(id).map_or("?", |program| program.name.as_str());
        let failed = |why: String| {
            Refusal::new(Reason::Failed, format!("cannot scale `{name}` to {}: {why}", instances(number)))
        };
        let is_reader = plan.program(id).is_some_and(|program| program.launch.stdin == Stdin::Inherit);
        if is_reader && number > 1 {
            return Err(failed("it inherits foster's standard input, which one process reads".into()));
        }
        if number > InstanceCount::MOST {
            return Err(failed(format!("a program has at most {}", InstanceCount::MOST)));
        }
        plan.scale(id, number).map_err(failed)?;
        if number > self.plan.count(id) && plan.count_all() > InstanceCount::MOST_OF_ALL {
            return Err(failed(format!("all programs together have at most {}", InstanceCount::MOST_OF_ALL)));
        }
        Ok(plan)
    }

    /// The new instances are wanted, whatever `autostart` says. One that is still stopping begins again, because its
    /// process may be from an earlier definition.
    fn start_added(&mut self, program: ProgramId, added: Range<u16>, id: OrderId) {
        let all = added.map(|index| InstanceId { program, index });
        let (stopping, new): (Vec<_>, Vec<_>) = all.partition(|id| self.view(*id).is_some());
        self.core.push(Event::Ordered { order: Order::Start, targets: new, id });
        self.core.push(Event::Ordered { order: Order::Restart, targets: stopping, id });
    }

    fn report_scale(&mut self, plan: &Plan, id: ProgramId, count: u16, order: OrderId) {
        let Some(name) = plan.program(id).map(|program| program.name.clone()) else { return };
        let number = plan.count(id);
        let by = self.operators.requests.ordered_by(order).map_or(String::new(), |by| format!(": {by}"));
        let message = format!("{name}: scaled from {count} to {}{by}", instances(number));
        let line = report::Line::new(Level::Info, EventName::Changed, message)
            .with("program", name.clone())
            .with("keys", "instances".to_owned())
            .with("instances", u64::from(number));
        let about =
            Subject { program: name.as_str().into(), instances: 0..count.max(number).max(1), state: None };
        self.publish(&line, Some(about));
    }
}

fn instances(number: u16) -> String {
    if number == 1 { "1 instance".into() } else { format!("{number} instances") }
}
