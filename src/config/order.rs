//! The output of `foster check`: the start order, and the warnings.
//!
//! For people, not for machines. The core computes the order ([`foster_core::graph`]); this file adds names and
//! sentences.

use foster_core::ids::ProgramId;
use foster_core::spec::{Autostart, ProgramSpec, Readiness};

use crate::duration::exact;
use crate::plan::{Plan, Probe};

/// The start order as text: one block for each wave, then the warnings.
pub fn start_order(plan: &Plan) -> String {
    let waves = plan.core.graph().waves();
    let count = plan.programs.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!("{}: {count} program{plural}, started in this order\n", plan.source.display());
    let widest = plan.programs.values().map(|program| program.name.chars().count()).max().unwrap_or(0);
    for (number, wave) in (1..).zip(waves) {
        let priority = wave.first().and_then(|id| plan.spec(*id)).map_or(0, |spec| spec.priority);
        text.push_str(&format!("\nstep {number} (priority {priority})\n"));
        for id in wave {
            let name = name(plan, *id);
            text.push_str(&format!("   {name:widest$}  {}\n", sentence(plan, *id)));
        }
    }
    if !plan.warnings.is_empty() {
        text.push('\n');
    }
    plan.warnings.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
    text
}

fn name(plan: &Plan, id: ProgramId) -> &str {
    plan.program(id).map_or("", |program| program.name.as_str())
}

/// "not autostarted; after `db`; ready when …".
fn sentence(plan: &Plan, id: ProgramId) -> String {
    let Some(spec) = plan.spec(id) else { return String::new() };
    let list = |ids: &[ProgramId]| ids.iter().map(|id| name(plan, *id)).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if spec.instances != 1 {
        parts.push(format!("{} instances", spec.instances));
    }
    if spec.autostart == Autostart::No {
        parts.push("not autostarted".to_owned());
    }
    if !spec.after.is_empty() {
        parts.push(format!("after {}", list(&spec.after)));
    }
    if !spec.requires.is_empty() {
        parts.push(format!("requires {}", list(&spec.requires)));
    }
    let sockets = plan.program(id).map(|program| program.sockets.as_slice()).unwrap_or_default();
    if !sockets.is_empty() {
        let addresses: Vec<String> = sockets.iter().map(|socket| socket.address.to_string()).collect();
        parts.push(format!("listens at {}", addresses.join(", ")));
    }
    parts.push(readiness(plan.program(id).and_then(|program| program.ready.as_ref()), spec));
    parts.join("; ")
}

fn readiness(probe: Option<&Probe>, spec: &ProgramSpec) -> String {
    let how = match probe {
        None => return format!("ready when up for {}", exact(spec.restart.min_uptime)),
        Some(Probe::Http(http)) => format!("http://{}{} answers", http.host, http.target),
        Some(Probe::Tcp(address)) => format!("{address} accepts a connection"),
        Some(Probe::Unix(path)) => format!("{} accepts a connection", path.display()),
        Some(Probe::Exec(command)) => format!("`{}` succeeds", shell_words::join(command)),
        Some(Probe::File(path)) => format!("{} exists", path.display()),
        Some(Probe::Notify) => "it reports READY=1".into(),
        Some(Probe::Fd(number)) => format!("it writes a newline to descriptor {number}"),
        Some(Probe::Log(pattern)) => format!("a line matches `{}`", pattern.as_str()),
    };
    match spec.readiness {
        Readiness::Probe { timeout, interval: _ } | Readiness::Notify { timeout } => {
            format!("ready when {how}, within {}", exact(timeout))
        }
        Readiness::Uptime => format!("ready when {how}"),
    }
}
