//! Sends the definition of a program's process for `foster exec`: the client becomes such a process itself, so that it
//! keeps its terminal, signals and exit status.
//!
//! Only root and foster's own user get it, like every answer; secrets are sent as paths.

use foster_core::ids::InstanceId;

use super::super::{Init, start};
use crate::control::exec_context::ExecContext;
use crate::control::protocol::{Exec, Reason, Refusal};
use crate::errno;
use crate::plan::Launch;
use crate::sys::{process, procfs};

impl Init {
    /// The definition of a program's process; of several instances, that of the first.
    pub(super) fn exec_context(&self, asked: &Exec) -> Result<ExecContext, Refusal> {
        let named = self.named_or_all(std::slice::from_ref(&asked.name))?;
        let several = named.iter().any(|id| named.first().is_some_and(|first| first.program != id.program));
        let id = match named.first() {
            Some(id) if !several => *id,
            Some(_) | None => {
                let message = format!("`{}` means several programs: name one of them", asked.name);
                return Err(Refusal::new(Reason::BadRequest, message));
            }
        };
        self.exec_context_of(id)
    }

    fn exec_context_of(&self, id: InstanceId) -> Result<ExecContext, Refusal> {
        let failed = |what: &str, why: String| Refusal::new(Reason::Failed, format!("cannot {what}: {why}"));
        let instance = self.plan.instance(id).map(|instance| instance.program.as_ref());
        let Some(program) = instance.or(self.plan.program(id.program)) else {
            return Err(Refusal::new(Reason::NoSuchName, "it is not in the configuration"));
        };
        let environment =
            program.launch.environment.iter().cloned().chain(start::variables(program, id)).collect();
        let limits = self.processes.spawner.limits(&program.launch);
        // Without a value the client would keep its own umask.
        let umask = program.launch.umask.or_else(procfs::own_umask);
        Ok(ExecContext {
            base: std::env::current_dir()
                .map_err(|error| failed("find foster's working directory", error.to_string()))?,
            credentials: process::credentials()
                .map_err(|errno| failed("find foster's user and groups", errno::text(errno)))?,
            inherited: std::env::vars_os().collect(),
            launch: Launch { environment, umask, limits, ..program.launch.clone() },
        })
    }
}
