//! The instances of a program: how many, and the name and definition of each.
//!
//! All instances share one definition, unless the configuration refers to `${FOSTER_INSTANCE}`: then each has its own, and
//! a [`Template`] makes more of them when the program is scaled up, whatever became of the file.

use std::fmt;
use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId};
use foster_core::plan::CorePlan;

use super::{Plan, Program};

/// An instance: its name and its definition.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceDef {
    /// `backend` if the program has one instance, as configured; else `backend.0`.
    pub label: String,
    /// What its processes are made from.
    pub program: Rc<Program>,
}

/// The number of instances that the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceCount {
    /// The setting.
    pub setting: InstanceSetting,
    /// The number that results on this machine.
    pub number: u16,
}

/// The setting `instances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceSetting {
    /// A number.
    Number(u16),
    /// The number of CPUs that foster may use, within these bounds.
    Auto {
        /// At least this.
        min: u16,
        /// At most this.
        max: u16,
    },
}

impl InstanceCount {
    /// The most instances of a program: each is a process.
    pub const MOST: u16 = 1000;

    /// The most instances of all programs together.
    pub const MOST_OF_ALL: usize = 10_000;

    /// This number.
    pub const fn fixed(number: u16) -> InstanceCount {
        InstanceCount { setting: InstanceSetting::Number(number), number }
    }

    /// Whether there is more than one instance on some machine.
    pub fn may_be_several(self) -> bool {
        match self.setting {
            InstanceSetting::Number(number) => number > 1,
            InstanceSetting::Auto { min: _, max } => max > 1,
        }
    }
}

/// Makes the definition of any instance of a program.
#[derive(Clone)]
pub struct Template(Rc<dyn Fn(u16) -> Result<Program, String>>);

impl Template {
    /// A template; `make` fails where a value is not valid for an instance, such as a port above 65535.
    pub fn new(make: impl Fn(u16) -> Result<Program, String> + 'static) -> Template {
        Template(Rc::new(make))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

impl Plan {
    /// An instance.
    pub fn instance(&self, id: InstanceId) -> Option<&Rc<InstanceDef>> {
        self.instances.get(&id)
    }

    /// The name of an instance; of a program without instances that of the program.
    pub fn label(&self, id: InstanceId) -> &str {
        match (self.instances.get(&id), self.program(id.program)) {
            (Some(instance), _) => &instance.label,
            (None, Some(program)) => &program.name,
            (None, None) => "?",
        }
    }

    /// Every definition once: of all programs, and of further instances where they differ. Without those that are removed.
    pub fn definitions(&self) -> impl Iterator<Item = (ProgramId, &Rc<Program>)> {
        let differ = self.instances.iter().filter(|(id, _)| {
            (1..self.count(id.program)).contains(&id.index) && self.templates.contains(id.program)
        });
        let others = differ.map(|(id, instance)| (id.program, &instance.program));
        self.programs.iter().chain(others).filter(|(id, _)| !self.core.is_leaving(*id))
    }

    /// How many instances a program has, without those that are removed.
    pub fn count(&self, id: ProgramId) -> u16 {
        self.spec(id).map_or(0, |spec| spec.instances)
    }

    /// The number of instances of all programs.
    pub fn count_all(&self) -> usize {
        self.core.programs().values().map(|spec| usize::from(spec.instances)).sum()
    }

    /// Gives a program this number of instances. Those that are there keep their definitions; removed ones stay until
    /// they are dropped.
    ///
    /// # Errors
    /// Why an instance cannot have a definition. Nothing has changed then.
    pub fn scale(&mut self, id: ProgramId, number: u16) -> Result<(), String> {
        let Some(program) = self.programs.get(id).map(Rc::clone) else { return Ok(()) };
        // One that is removed and not gone yet may have the definition of an earlier plan.
        let count = self.count(id);
        let known = |index| self.instances.get(&InstanceId { program: id, index }).filter(|_| index < count);
        let definition = |index: u16| match (known(index), self.templates.get(id)) {
            (Some(instance), _) => Ok(Rc::clone(&instance.program)),
            (None, Some(Template(make))) if index > 0 => make(index).map(Rc::new),
            (None, _) => Ok(Rc::clone(&program)),
        };
        let definitions = (0..number).map(definition).collect::<Result<Vec<_>, String>>()?;
        self.core = Rc::new(CorePlan::clone(&self.core).with_instances(id, number));
        self.define(id, definitions);
        Ok(())
    }

    /// Gives a program the definition that it has in an earlier plan, for the instances that it has now.
    pub fn take_back(&mut self, id: ProgramId, earlier: &Plan) {
        let Some((now, then)) = self.programs.get(id).zip(earlier.programs.get(id)) else { return };
        let (instances, then) = (now.instances, Rc::clone(then));
        let known = |index| earlier.instances.get(&InstanceId { program: id, index });
        let definition = |index: u16| match (known(index), earlier.templates.get(id)) {
            (Some(instance), _) => Rc::clone(&instance.program),
            (None, Some(Template(make))) => make(index).map_or_else(|_| Rc::clone(&then), Rc::new),
            (None, None) => Rc::clone(&then),
        };
        let definitions = (0..self.count(id)).map(definition).collect();
        match earlier.templates.get(id) {
            Some(template) => self.templates.insert(id, template.clone()),
            None => drop(self.templates.remove(id)),
        }
        self.programs.insert(id, Rc::new(Program { instances, ..Program::clone(&then) }));
        self.define(id, definitions);
    }

    /// Adds a program, whose instances differ if it has a template; `others` are then those after the first.
    pub fn add(&mut self, id: ProgramId, program: Program, others: Vec<Program>, template: Option<Template>) {
        let program = Rc::new(program);
        let number = usize::from(program.instances.number);
        let definitions = match template {
            Some(template) => {
                self.templates.insert(id, template);
                let all = std::iter::once(Rc::clone(&program)).chain(others.into_iter().map(Rc::new));
                all.take(number).collect()
            }
            None => vec![Rc::clone(&program); number],
        };
        self.programs.insert(id, program);
        self.define(id, definitions);
    }

    /// Takes the definitions of a program's instances, one for each.
    fn define(&mut self, id: ProgramId, definitions: Vec<Rc<Program>>) {
        let is_single = definitions.len() == 1
            && self.programs.get(id).is_some_and(|program| program.instances.number == 1);
        for (index, program) in (0..).zip(definitions) {
            let label = match is_single {
                true => program.name.clone(),
                false => format!("{}.{index}", program.name),
            };
            let instance = InstanceId { program: id, index };
            self.instances.insert(instance, Rc::new(InstanceDef { label, program }));
        }
    }
}
