//! `foster check --here`: checks what a configuration needs on this system, as in `RUN foster check --here`.
//!
//! Commands, users, folders, files and ports, with the permissions of each program's user. It starts nothing, writes
//! nothing, and releases a port at once. A secret that is mounted later or a permission that the container runtime
//! grants may be missing here: these are warnings. Next: `here/access.rs`.

mod access;
mod command;
mod files;
mod ports;

use foster_core::ids::ProgramId;

use crate::config::{Remark, Severity};
use crate::plan::{Plan, Probe, Program, Unprivileged};
use crate::spawn::Spawner;
use crate::sys::process::{self, Credentials};

use access::UserAccess;

/// The remarks about all programs.
pub fn examine(plan: &Plan) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (id, program) in plan.definitions() {
        let mut found = ProgramRemarks { program: id, remarks: &mut remarks };
        examine_program(&mut found, program);
    }
    ports::examine(plan, &mut remarks);
    remarks
}

/// Collects the remarks about one program.
struct ProgramRemarks<'r> {
    program: ProgramId,
    remarks: &'r mut Vec<Remark>,
}

impl ProgramRemarks<'_> {
    fn error(&mut self, key: &'static str, message: impl Into<String>, note: impl Into<String>) {
        self.add(Severity::Error, key, message.into(), note.into());
    }

    fn warn(&mut self, key: &'static str, message: impl Into<String>, note: impl Into<String>) {
        self.add(Severity::Warning, key, message.into(), note.into());
    }

    fn add(&mut self, severity: Severity, key: &'static str, message: String, note: String) {
        self.remarks.push(Remark { program: Some(self.program), key, severity, message, note });
    }
}

fn examine_program(found: &mut ProgramRemarks<'_>, program: &Program) {
    let Some(user) = user(found, program) else { return };
    let directory = files::directory(found, program, &user);
    let mut commands = vec![("command", &program.launch.command)];
    commands.extend(program.pre_start.as_ref().map(|command| ("pre_start", command)));
    commands.extend(program.pre_stop.as_ref().map(|command| ("pre_stop", command)));
    for (key, probe) in [("ready", &program.ready), ("health", &program.health)] {
        if let Some(Probe::Exec(command)) = probe {
            commands.push((key, command));
        }
    }
    for (key, words) in commands {
        command::examine(found, (key, words), program, &directory, &user);
    }
    files::variables(found, program);
    files::logs(found, program);
}

/// The program's user; an unknown one is reported.
fn user(found: &mut ProgramRemarks<'_>, program: &Program) -> Option<UserAccess> {
    let foster = process::credentials().ok()?;
    let run_as = match Spawner::resolve(&program.launch) {
        Ok(run_as) => run_as,
        Err(failure) => {
            let name = &program.name;
            let message = format!("cannot start `{name}`: {}", failure.message);
            found.error("user", message, "expected a user and a group that exist here");
            return None;
        }
    };
    let credentials = run_as.credentials().unwrap_or_else(|| foster.clone());
    check_rights(found, program, &credentials, &foster);
    Some(UserAccess::new(credentials))
}

/// Checks that foster can become another user and stop its processes. A warning, because images are often built with
/// other permissions than they run with.
fn check_rights(found: &mut ProgramRemarks<'_>, program: &Program, user: &Credentials, foster: &Credentials) {
    let name = &program.name;
    if user.user == foster.user {
        return;
    }
    let may_run_as_foster =
        program.launch.user.as_ref().is_some_and(|user| user.unprivileged == Unprivileged::AsFoster);
    if !process::may_change_users() && !may_run_as_foster {
        found.warn(
            "user",
            format!("foster has no permission here to run `{name}` as its user"),
            "run foster as root with CAP_SETUID and CAP_SETGID, or allow foster's own user with a leading `-`",
        );
    }
    if process::permitted_capabilities() & caps::Capability::CAP_KILL.bitmask() == 0 {
        found.warn(
            "user",
            format!("foster has no permission here to stop `{name}`, which runs as another user"),
            "add CAP_KILL",
        );
    }
}

#[cfg(test)]
mod tests;
