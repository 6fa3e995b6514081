//! The table of methods, and those that only say what is known.
//!
//! The table has what `system.*` says of each: its result, its parameters. `mod.rs` checks their number before a call.

use super::processes::{all, one};
use super::script::{Script, Stop};
use super::value::Value;
use super::{Context, Params, SIGNATURE_UNSUPPORTED, bare_fault, groups, logs, orders};

/// A method.
pub(super) struct Method {
    pub(super) name: &'static str,
    /// The type of its result.
    result: &'static str,
    /// The types of its parameters.
    pub(super) params: &'static [&'static str],
    /// How many of them must be given.
    pub(super) required: usize,
    pub(super) run: Run,
}

type Run = fn(Context<'_>, &mut Script, &Params<'_>) -> Result<Value, Stop>;

const NONE: &[&str] = &[];
const NAME: &[&str] = &["string"];
const NAME_AND_WAIT: &[&str] = &["string", "boolean"];
const RANGE: &[&str] = &["int", "int"];
const NAME_AND_RANGE: &[&str] = &["string", "int", "int"];
const TWO_TEXTS: &[&str] = &["string", "string"];

const fn method(
    name: &'static str,
    result: &'static str,
    params: &'static [&'static str],
    required: usize,
    run: Run,
) -> Method {
    Method { name, result, params, required, run }
}

/// Every method, in the order of `system.listMethods`.
pub(super) const METHODS: &[Method] = &[
    method("supervisor.addProcessGroup", "boolean", NAME, 1, groups::add),
    method("supervisor.clearAllProcessLogs", "array", NONE, 0, logs::clear_all),
    method("supervisor.clearLog", "boolean", NONE, 0, logs::clear_main),
    method("supervisor.clearProcessLog", "boolean", NAME, 1, logs::clear),
    method("supervisor.clearProcessLogs", "boolean", NAME, 1, logs::clear),
    method("supervisor.getAPIVersion", "string", NONE, 0, |_, _, _| Ok(Value::text("3.0"))),
    method("supervisor.getAllConfigInfo", "array", NONE, 0, groups::all_config_info),
    method("supervisor.getAllProcessInfo", "array", NONE, 0, |context, script, _| {
        Ok(Value::Array(all(script)?.iter().map(|process| process.info(context.now)).collect()))
    }),
    method("supervisor.getIdentification", "string", NONE, 0, |context, _, _| {
        Ok(Value::text(context.identifier))
    }),
    method("supervisor.getPID", "int", NONE, 0, |context, _, _| Ok(Value::int(context.supervisor.into()))),
    method("supervisor.getProcessInfo", "struct", NAME, 1, |context, script, params| {
        Ok(one(all(script)?, params.text(0)?)?.info(context.now))
    }),
    method("supervisor.getState", "struct", NONE, 0, |_, _, _| {
        // A supervisor that shuts down answers with a fault.
        Ok(Value::of(vec![("statecode", Value::Int(1)), ("statename", Value::text("RUNNING"))]))
    }),
    method("supervisor.getSupervisorVersion", "string", NONE, 0, |_, _, _| {
        Ok(Value::text(env!("CARGO_PKG_VERSION")))
    }),
    method("supervisor.getVersion", "string", NONE, 0, |_, _, _| Ok(Value::text("3.0"))),
    method("supervisor.readLog", "string", RANGE, 2, logs::read_main),
    method("supervisor.readMainLog", "string", RANGE, 2, logs::read_main),
    method("supervisor.readProcessLog", "string", NAME_AND_RANGE, 3, logs::read_stdout),
    method("supervisor.readProcessStderrLog", "string", NAME_AND_RANGE, 3, logs::read_stderr),
    method("supervisor.readProcessStdoutLog", "string", NAME_AND_RANGE, 3, logs::read_stdout),
    method("supervisor.reloadConfig", "array", NONE, 0, groups::reload_config),
    method("supervisor.removeProcessGroup", "boolean", NAME, 1, groups::remove),
    method("supervisor.restart", "boolean", NONE, 0, orders::restart),
    method("supervisor.sendProcessStdin", "boolean", TWO_TEXTS, 2, logs::send_stdin),
    method("supervisor.sendRemoteCommEvent", "boolean", TWO_TEXTS, 2, orders::send_event),
    method("supervisor.shutdown", "boolean", NONE, 0, orders::shutdown),
    method("supervisor.signalAllProcesses", "array", NAME, 1, orders::signal_all),
    method("supervisor.signalProcess", "boolean", TWO_TEXTS, 2, orders::signal),
    method("supervisor.signalProcessGroup", "array", TWO_TEXTS, 2, orders::signal_group),
    method("supervisor.startAllProcesses", "array", &["boolean"], 0, orders::start_all),
    method("supervisor.startProcess", "boolean", NAME_AND_WAIT, 1, orders::start),
    method("supervisor.startProcessGroup", "array", NAME_AND_WAIT, 1, orders::start_group),
    method("supervisor.stopAllProcesses", "array", &["boolean"], 0, orders::stop_all),
    method("supervisor.stopProcess", "boolean", NAME_AND_WAIT, 1, orders::stop),
    method("supervisor.stopProcessGroup", "array", NAME_AND_WAIT, 1, orders::stop_group),
    method("supervisor.tailProcessLog", "array", NAME_AND_RANGE, 3, logs::tail_stdout),
    method("supervisor.tailProcessStderrLog", "array", NAME_AND_RANGE, 3, logs::tail_stderr),
    method("supervisor.tailProcessStdoutLog", "array", NAME_AND_RANGE, 3, logs::tail_stdout),
    method("system.listMethods", "array", NONE, 0, |_, _, _| {
        Ok(Value::Array(METHODS.iter().map(|method| Value::text(method.name)).collect()))
    }),
    method("system.methodHelp", "string", NAME, 1, |_, _, params| {
        let method = named(params)?;
        Ok(Value::Text(format!("{}({}) returns {}", method.name, method.params.join(", "), method.result)))
    }),
    method("system.methodSignature", "array", NAME, 1, |_, _, params| {
        let method = named(params)?;
        let types = std::iter::once(&method.result).chain(method.params);
        Ok(Value::Array(types.map(|kind| Value::text(*kind)).collect()))
    }),
    // Called by `multicall` of mod.rs.
    method("system.multicall", "array", &["array"], 1, |_, _, _| {
        Err(bare_fault(super::INCORRECT_PARAMETERS))
    }),
];

fn named(params: &Params<'_>) -> Result<&'static Method, Stop> {
    let name = params.text(0)?;
    METHODS.iter().find(|method| method.name == name).ok_or_else(|| bare_fault(SIGNATURE_UNSUPPORTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_sorted_and_require_no_more_than_they_take() {
        assert!(METHODS.is_sorted_by(|one, other| one.name < other.name));
        assert!(METHODS.iter().all(|method| method.required <= method.params.len()));
    }
}
