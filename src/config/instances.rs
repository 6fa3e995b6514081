//! Reads the key `instances`: how many processes a program has (spec, section 3.7).
//!
//! The definitions of instances that differ are read in `programs.rs`.

use super::defaults::over_built_in;
use super::environment::CPUS;
use super::keys::INSTANCES;
use super::reader::Reader;
use super::table::{Item, Kind};
use crate::plan::{InstanceCount, InstanceSetting};

/// Reads `instances`: a number, `"auto"`, or a table with bounds.
pub(super) fn instances(reader: &mut Reader<'_>, item: Item<'_>) -> Option<InstanceCount> {
    const MOST: u16 = InstanceCount::MOST;
    if let Kind::Table(given) = &item.value.kind {
        reader.check_keys(given, &INSTANCES, "in `instances`");
        let full = over_built_in(given, &INSTANCES);
        let auto = reader.field(&full, "auto", |reader, item| {
            let auto = reader.boolean(item)?;
            if !auto {
                reader.refuse(item, "`false`", "`true`; a number is written as `instances = 2`");
            }
            auto.then_some(())
        });
        let min = reader.field(&full, "min", |reader, item| reader.integer(item, 0..=MOST));
        let max = reader.field(&full, "max", |reader, item| reader.integer(item, 1..=MOST));
        let (min, max) = (min?, max?);
        if min > max {
            let message = format!("`min` of `instances` is {min}, above `max`, {max}");
            reader.diagnostics.error(item.value.span, message, "expected a smaller `min`");
            return None;
        }
        return auto.map(|()| automatic(reader, min, max));
    }
    if let Kind::String(_) = item.value.kind
        && reader.text(item)? == "auto"
    {
        return Some(automatic(reader, 1, MOST));
    }
    let expected = format!("an integer from 0 to {MOST}, `\"auto\"`, or a table such as `{{ max = 4 }}`");
    reader.integer_or(item, 0..=MOST, &expected).map(InstanceCount::fixed)
}

fn automatic(reader: &Reader<'_>, min: u16, max: u16) -> InstanceCount {
    let cpus = reader.variable(CPUS).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    InstanceCount { setting: InstanceSetting::Auto { min, max }, number: u16::clamp(cpus, min, max) }
}
