//! Reads when a job runs: `schedule`, `timezone`, `overlap`, `jitter`, `run_at_start`.
//!
//! The core computes the due times; the files of time zones are read here. Next: `zone.rs`, and the core's `schedule.rs`.

use std::path::Path;
use std::time::Duration;

use foster_core::schedule::{Cron, CronError, Field, Schedule, Timing, Zone};
use foster_core::spec::{Autostart, JobOverlap, JobPlan};

use super::reader::Reader;
use super::table::{Item, Table};
use crate::bounded_read::{self, Accept};
use crate::zone::{parse_file, parse_posix};

/// Where systems have the files of time zones.
const ZONES: [&str; 2] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo"];
/// The largest file of a zone has 4 KiB.
const LARGEST_ZONE: usize = 64 * 1024;
/// A shorter interval would keep foster busy.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

const OVERLAPS: [(&str, JobOverlap); 3] =
    [("skip", JobOverlap::Skip), ("wait", JobOverlap::Wait), ("kill", JobOverlap::Kill)];

/// When a job runs, and its schedule in words.
pub(super) fn job(reader: &mut Reader<'_>, table: &Table, name: &str) -> Option<(JobPlan, String)> {
    let schedule = reader.field(table, "schedule", schedule);
    let (zone, zone_name) = match table.get("timezone") {
        Some(item) => timezone(reader, item),
        None => zone_of_system(reader, &schedule),
    }?;
    let (schedule, text) = schedule?;
    let words = match schedule {
        Schedule::Every(_) => text,
        Schedule::Cron(_) => format!("{text} ({zone_name})"),
    };
    let at_start = reader.field(table, "run_at_start", Reader::boolean).unwrap_or_default();
    let timing = Timing {
        schedule,
        zone,
        jitter: reader.field(table, "jitter", Reader::duration).unwrap_or_default(),
        seed: hash(name),
    };
    let plan = JobPlan {
        timing: timing.into(),
        overlap: reader
            .field(table, "overlap", |reader, item| reader.choice(item, &OVERLAPS))
            .unwrap_or(JobOverlap::Skip),
        at_start: if at_start { Autostart::Yes } else { Autostart::No },
    };
    Some((plan, words))
}

fn schedule(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(Schedule, String)> {
    const EXPECTED: &str = "`\"every 6h\"`, `\"@daily\"` or five fields of cron such as `\"*/5 * * * *\"`";
    let text = reader.text_or(item, EXPECTED)?;
    if let Some(interval) = text.trim().strip_prefix("every ") {
        match humantime::parse_duration(interval.trim()) {
            Ok(interval) if interval >= SHORTEST_INTERVAL => {
                return Some((Schedule::Every(interval), text));
            }
            Ok(_) => reader.refuse_text(item, &text, "at least `\"every 1s\"`"),
            Err(_) => reader.refuse_text(item, &text, "a duration after `every`, as `\"every 6h\"`"),
        }
        return None;
    }
    match Cron::parse(&text) {
        Ok(cron) => Some((Schedule::Cron(cron), text)),
        Err(error) => {
            reader.refuse_text(item, &text, &expected(error, EXPECTED));
            None
        }
    }
}

/// What a cron line needs instead.
fn expected(error: CronError, whole: &str) -> String {
    let name = |field| match field {
        Field::Minute => ("minutes", "0 to 59"),
        Field::Hour => ("hours", "0 to 23"),
        Field::Day => ("days of the month", "1 to 31"),
        Field::Month => ("months", "1 to 12 or `jan` to `dec`"),
        Field::Weekday => ("days of the week", "0 to 7 or `sun` to `sat`"),
    };
    match error {
        CronError::Fields(count) => format!("{whole}; this has {count} fields"),
        CronError::Word => {
            "`@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`; `run_at_start` is for `@reboot`".into()
        }
        CronError::Value(field) => format!("{} from {}", name(field).0, name(field).1),
        CronError::Range(field) => format!("a range of {} that does not go backwards", name(field).0),
        CronError::Step(field) => {
            format!("a step above 0 after `*` or a range of {}, as `*/5`", name(field).0)
        }
        CronError::NoSuchDay => "a day that one of the months has".into(),
    }
}

/// A zone and its name.
fn timezone(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(Zone, String)> {
    let name = reader.text_or(item, "a time zone such as `\"Europe/Berlin\"`")?;
    let zone = zone(&name);
    match zone {
        Some(zone) => Some((zone, name)),
        None if has_zones() => {
            reader.refuse_text(item, &name, "a time zone of the system, such as `\"Europe/Berlin\"`");
            None
        }
        None => {
            let message =
                format!("time zone `{name}` is not known without the package tzdata: the schedule is in UTC");
            reader.diagnostics.warn(item.value.span, message);
            Some((Zone::UTC, "UTC".into()))
        }
    }
}

/// The zone that `TZ` names, which only a cron schedule needs.
fn zone_of_system(reader: &mut Reader<'_>, schedule: &Option<(Schedule, String)>) -> Option<(Zone, String)> {
    let name = reader.variable("TZ").and_then(|name| name.to_str()).unwrap_or("").to_owned();
    let name = name.strip_prefix(':').unwrap_or(&name);
    let known = if name.is_empty() { Some(Zone::UTC) } else { zone(name) };
    if let (None, Some((Schedule::Cron(_), _))) = (&known, schedule) {
        let message =
            format!("`TZ` is `{name}`, which is not a time zone of the system: schedules are in UTC");
        reader.diagnostics.warn(super::span::Position::File(super::span::MAIN), message);
    }
    Some(match known {
        Some(zone) if !name.is_empty() => (zone, name.to_owned()),
        Some(_) | None => (Zone::UTC, "UTC".into()),
    })
}

fn has_zones() -> bool {
    ZONES.iter().any(|folder| Path::new(folder).join("Etc/UTC").exists())
}

/// A zone of the system by its name, or a POSIX string.
fn zone(name: &str) -> Option<Zone> {
    if name == "UTC" {
        return Some(Zone::UTC);
    }
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.');
    let files =
        ZONES.iter().filter(|_| name.split('/').all(is_name)).map(|folder| Path::new(folder).join(name));
    let read = |path: std::path::PathBuf| bounded_read::read(&path, LARGEST_ZONE, Accept::Regular).ok();
    files.filter_map(read).find_map(|bytes| parse_file(&bytes)).or_else(|| parse_posix(name))
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
