//! The keys that differ between two definitions of a program, and between two tables `[foster]`.
//!
//! A change of a policy key applies to a running process; a change of a process key replaces the process. The contents of
//! env files and secrets are read at each start and are not compared. Pure.
//! Next: `plan_merge.rs`.

use foster_core::event::SpecChange;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::spec::{Kind, ProgramSpec, RestartPolicy, StopPlan};

use crate::plan::{Launch, Plan, Program, Settings};

/// The keys that differ, in the order of the reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChangedKeys(Vec<(&'static str, Option<SpecChange>)>);

impl ChangedKeys {
    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The extent of the change; `None`: no key differs.
    pub(super) fn change(&self) -> Option<SpecChange> {
        self.0.iter().filter_map(|(_, difference)| *difference).max()
    }

    /// Whether no key differs.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, name: &'static str, same: bool, difference: Option<SpecChange>) {
        if !same && self.names().all(|known| known != name) {
            self.0.push((name, difference));
        }
    }

    /// Compares a policy key.
    fn policy(&mut self, name: &'static str, same: bool) {
        self.note(name, same, Some(SpecChange::Policy));
    }

    /// Compares a process key.
    fn process(&mut self, name: &'static str, same: bool) {
        self.note(name, same, Some(SpecChange::Process));
    }
}

/// The keys of a program whose values differ, in any of its instances.
pub(super) fn of_instances(old: &Plan, new: &Plan, id: ProgramId) -> ChangedKeys {
    let mut keys = ChangedKeys::default();
    let (Some(before), Some(after)) = (old.spec(id), new.spec(id)) else { return keys };
    if let (Some(old), Some(new)) = (old.program(id), new.program(id)) {
        keys = of_program((old, before), (new, after));
    }
    let differ = old.templates.contains(id) || new.templates.contains(id);
    let further = if differ { 1..old.count(id).min(new.count(id)) } else { 1..1 };
    for instance in further.map(|index| InstanceId { program: id, index }) {
        if let (Some(old), Some(new)) = (old.instance(instance), new.instance(instance)) {
            for (name, change) in of_program((&old.program, before), (&new.program, after)).0 {
                keys.note(name, false, change);
            }
        }
    }
    keys
}

/// The keys of one definition whose values differ.
pub(super) fn of_program(old: (&Program, &ProgramSpec), new: (&Program, &ProgramSpec)) -> ChangedKeys {
    let mut keys = ChangedKeys::default();
    let Program {
        name: _,
        // A program has it in its environment, too.
        namespec: _,
        instances: _,
        launch,
        sockets,
        stdout,
        stderr,
        captures,
        log_prefix,
        ready,
        health,
        pre_start,
        pre_stop,
        // Its parts are compared.
        schedule: _,
    } = old.0;
    launch_keys(&mut keys, launch, &new.0.launch);
    spec_keys(&mut keys, old.1, new.1);
    keys.process("sockets", *sockets == new.0.sockets);
    keys.policy("pre_start", *pre_start == new.0.pre_start);
    keys.policy("pre_stop", *pre_stop == new.0.pre_stop);
    keys.process("ready", *ready == new.0.ready);
    keys.process("health", *health == new.0.health);
    // A part of both: what is taken out of them.
    keys.process("stdout", *stdout == new.0.stdout && *captures == new.0.captures);
    keys.process("stderr", *stderr == new.0.stderr);
    keys.policy("log_prefix", *log_prefix == new.0.log_prefix);
    keys
}

/// The keys of `[foster]` whose values differ: those that a running foster applies, and those that it cannot apply.
pub(super) fn of_settings(old: &Settings, new: &Settings) -> (ChangedKeys, ChangedKeys) {
    let Settings {
        socket,
        log_format,
        log_level,
        log_timestamps,
        log_max_size,
        log_keep,
        termination_log,
        on_fault,
    } = old;
    let (mut applied, mut fixed) = (ChangedKeys::default(), ChangedKeys::default());
    applied.note("log_format", *log_format == new.log_format, None);
    applied.note("log_level", *log_level == new.log_level, None);
    applied.note("log_timestamps", *log_timestamps == new.log_timestamps, None);
    applied.note("log_max_size", *log_max_size == new.log_max_size, None);
    applied.note("log_keep", *log_keep == new.log_keep, None);
    applied.note("on_fault", *on_fault == new.on_fault, None);
    fixed.note("socket", *socket == new.socket, None);
    fixed.note("termination_log", *termination_log == new.termination_log, None);
    (applied, fixed)
}

fn launch_keys(keys: &mut ChangedKeys, old: &Launch, new: &Launch) {
    let Launch {
        command,
        directory,
        environment,
        env_files,
        secrets,
        inherit_environment,
        user,
        stdin,
        umask,
        capabilities,
        no_new_privileges,
        limits,
        nice,
        oom_score_adj,
    } = old;
    keys.process("command", *command == new.command);
    keys.process("directory", *directory == new.directory);
    keys.process("environment", same_in_any_order(environment, &new.environment));
    keys.process("env_file", *env_files == new.env_files);
    keys.process("secrets", same_in_any_order(secrets, &new.secrets));
    keys.process("inherit_environment", *inherit_environment == new.inherit_environment);
    keys.process("user", *user == new.user);
    keys.process("stdin", *stdin == new.stdin);
    keys.process("umask", *umask == new.umask);
    keys.process("capabilities", *capabilities == new.capabilities);
    keys.process("no_new_privileges", *no_new_privileges == new.no_new_privileges);
    keys.process("limits", same_in_any_order(limits, &new.limits));
    keys.process("nice", *nice == new.nice);
    keys.process("oom_score_adj", *oom_score_adj == new.oom_score_adj);
}

fn spec_keys(keys: &mut ChangedKeys, old: &ProgramSpec, new: &ProgramSpec) {
    let ProgramSpec {
        instances,
        autostart,
        priority,
        after,
        requires,
        restart,
        on_exit,
        on_failure,
        readiness,
        health,
        watchdog,
        memory_max,
        stop,
        job,
        reload_signal,
        // It follows from other keys.
        overlap: _,
    } = old;
    if old.kind() != new.kind() {
        // What it is says more than all keys that differ for that reason.
        return keys.note(new.kind().name(), false, Some(SpecChange::Process));
    }
    keys.policy("autostart", *autostart == new.autostart);
    keys.policy("priority", *priority == new.priority);
    keys.policy("after", same_in_any_order(after, &new.after));
    keys.policy("requires", same_in_any_order(requires, &new.requires));
    restart_keys(keys, old.kind(), restart, &new.restart);
    keys.policy("on_exit", *on_exit == new.on_exit);
    keys.policy("on_failure", *on_failure == new.on_failure);
    stop_keys(keys, stop, &new.stop);
    if let (Some(job), Some(new)) = (job, &new.job) {
        keys.policy("schedule", job.timing.schedule == new.timing.schedule);
        keys.policy("timezone", job.timing.zone == new.timing.zone);
        keys.policy("overlap", job.overlap == new.overlap);
        keys.policy("jitter", job.timing.jitter == new.timing.jitter);
        keys.policy("run_at_start", job.at_start == new.at_start);
    }
    keys.policy("reload_signal", *reload_signal == new.reload_signal);
    match old.kind() {
        Kind::Program => keys.process("ready", *readiness == new.readiness),
        Kind::Task | Kind::Job => keys.policy("timeout", *readiness == new.readiness),
    }
    keys.process("health", *health == new.health);
    keys.process("watchdog", *watchdog == new.watchdog);
    match (memory_max, new.memory_max) {
        // The next look is at the new one.
        (Some(_), Some(_)) => keys.policy("memory_max", *memory_max == new.memory_max),
        (None, _) | (_, None) => keys.process("memory_max", *memory_max == new.memory_max),
    }
    keys.policy("instances", *instances == new.instances);
}

fn restart_keys(keys: &mut ChangedKeys, kind: Kind, old: &RestartPolicy, new: &RestartPolicy) {
    let RestartPolicy { restart, success_exit_codes, early_exit, min_uptime, backoff, start_limit } = old;
    keys.policy("restart", *restart == new.restart);
    keys.policy("success_exit_codes", same_in_any_order(success_exit_codes, &new.success_exit_codes));
    keys.policy("early_exit", *early_exit == new.early_exit);
    keys.policy("min_uptime", *min_uptime == new.min_uptime);
    keys.policy("backoff", *backoff == new.backoff);
    let limit = match kind {
        Kind::Program => "start_limit",
        Kind::Task | Kind::Job => "retries",
    };
    keys.policy(limit, *start_limit == new.start_limit);
}

fn stop_keys(keys: &mut ChangedKeys, old: &StopPlan, new: &StopPlan) {
    let StopPlan { signals, timeout, scope, pre_stop, kill_mode } = old;
    keys.policy("stop_signal", *signals == new.signals);
    keys.policy("stop_timeout", *timeout == new.timeout);
    keys.policy("stop_group", *scope == new.scope);
    keys.policy("pre_stop", *pre_stop == new.pre_stop);
    keys.policy("kill_mode", *kill_mode == new.kill_mode);
}

/// Compares lists whose order has no meaning.
fn same_in_any_order<T: PartialEq>(old: &[T], new: &[T]) -> bool {
    old.len() == new.len() && old.iter().all(|one| new.contains(one))
}

#[cfg(test)]
mod tests;
