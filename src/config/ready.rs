//! Reads the keys `ready` and `health`: a probe and its timing (spec, section 3.5).
//!
//! Both have the same form; `probe.rs` reads the target.

use std::time::Duration;

use foster_core::spec::{HealthAction, HealthPlan, LateStart, Readiness};

use crate::duration::exact;
use crate::plan::Probe;

use super::defaults::over_built_in;
use super::keys::{HEALTH, READY};
use super::probe::{HEALTH_KINDS, READY_KINDS, probe};
use super::reader::Reader;
use super::table::{Item, Table};

/// Reads `ready`: the probe for the shell, and the timing for the core.
pub(super) fn ready(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(Probe, Readiness)> {
    let table = reader.table(item, EXAMPLE)?;
    reader.check_keys(table, &READY, "in `ready`");
    let full = over_built_in(table, &READY);
    let (interval, timeout, late) = reader.for_all_instances(|reader| {
        let interval = reader.field(&full, "interval", interval);
        let timeout = reader.field(&full, "timeout", Reader::duration_above_zero);
        (interval, timeout, reader.field(&full, "on_timeout", |reader, item| reader.choice(item, &LATE)))
    });
    let probe = probe(reader, item, table, &READY_KINDS);
    let (probe, interval, timeout, late) = (probe?, interval?, timeout?, late?);
    let readiness = match probe {
        Probe::Log(_) | Probe::Notify | Probe::Fd(_) | Probe::Ipc => Readiness::Notify { timeout, late },
        Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::Exec(_) | Probe::File(_) => {
            Readiness::Probe { interval, timeout, late }
        }
    };
    Some((probe, readiness))
}

/// Reads `health`: how it is asked for, and what the core has to know.
pub(super) fn health(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(Probe, HealthPlan)> {
    let table = reader.table(item, EXAMPLE)?;
    reader.check_keys(table, &HEALTH, "in `health`");
    let full = over_built_in(table, &HEALTH);
    let plan = reader.for_all_instances(|reader| health_plan(reader, &full));
    let probe = probe(reader, item, table, &HEALTH_KINDS)?;
    Some((probe, plan?))
}

fn health_plan(reader: &mut Reader<'_>, full: &Table) -> Option<HealthPlan> {
    let interval = reader.field(full, "interval", interval);
    let timeout = reader.field(full, "timeout", Reader::duration_above_zero);
    let failures = reader.field(full, "failures", |reader, item| {
        reader.integer_or(item, 1..=u32::MAX, "an integer, at least 1")
    });
    let start_period = reader.field(full, "start_period", Reader::duration);
    let action = reader.field(full, "action", |reader, item| reader.choice(item, &ACTIONS));
    Some(HealthPlan {
        interval: interval?,
        timeout: timeout?,
        failures: failures?,
        start_period: start_period?,
        action: action?,
    })
}

const EXAMPLE: &str = "a table such as `{ tcp = \"127.0.0.1:6379\" }`";

const LATE: [(&str, LateStart); 2] = [("fail", LateStart::Fails), ("ready", LateStart::IsReady)];

const ACTIONS: [(&str, HealthAction); 3] = [
    ("restart", HealthAction::Restart),
    ("shutdown", HealthAction::Shutdown),
    ("none", HealthAction::Report),
];

/// A shorter interval would keep foster busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// A duration after which foster acts again and again.
pub(super) fn interval(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Duration> {
    let interval = reader.duration(item)?;
    if interval < SHORTEST_INTERVAL {
        let shown = exact(interval);
        reader.refuse_text(item, &shown, "at least `\"10ms\"`");
        return None;
    }
    Some(interval)
}
