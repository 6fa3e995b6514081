//! `.timer`: `OnCalendar` as five fields of cron where that can say it, the other timers as `every` (systemd.time(7)).
//!
//! Seconds, years, and a day of the week together with one of the month are what cron cannot say: an error at the line.

use super::super::diagnostics::Diagnostics;
use super::super::front_end::{ignored, set, text};
use super::super::phrase::quoted;
use super::super::table::{Kind, Table};
use super::service::duration;
use super::unit::Unit;

/// Adds the schedule of a timer to the table of its job.
pub(super) fn read(timer: &Unit, table: &mut Table, diagnostics: &mut Diagnostics) {
    for setting in timer.settings.iter().filter(|setting| setting.section == "Timer") {
        let has_schedule = table.get("schedule").is_some();
        match setting.key.as_str() {
            "OnCalendar" if has_schedule => {
                let why = "a job has one schedule: make a second job of the same command";
                ignored(diagnostics, setting.span, &setting.value, why);
            }
            "OnCalendar" => match cron(&setting.value) {
                Some((schedule, zone)) => {
                    set(table, "schedule", text(&schedule), setting.span);
                    if !zone.is_empty() {
                        set(table, "timezone", text(&zone), setting.span);
                    }
                }
                None => {
                    let message = format!(
                        "{} cannot be written as a schedule of five cron fields",
                        quoted(&setting.value)
                    );
                    diagnostics.error(
                        setting.span,
                        message,
                        "expected minutes, hours, days, months and days of the week, as `Mon..Fri 09:00`",
                    );
                }
            },
            "OnUnitActiveSec" | "OnUnitInactiveSec" if !has_schedule => {
                let every = duration(&setting.value).unwrap_or_default();
                set(table, "schedule", text(&format!("every {every}")), setting.span);
            }
            "OnBootSec" | "OnStartupSec" | "OnActiveSec" => {
                let is_repeated =
                    timer.get("OnUnitActiveSec").is_some() || timer.get("OnUnitInactiveSec").is_some();
                set(table, "run_at_start", Kind::Boolean(true), setting.span);
                if !is_repeated && !has_schedule && timer.get("OnCalendar").is_none() {
                    diagnostics.error(
                        setting.span,
                        "a timer that is due once",
                        "expected `OnCalendar` or `OnUnitActiveSec` as well; a task runs once",
                    );
                }
            }
            "RandomizedDelaySec" => {
                if let Some(jitter) = duration(&setting.value).filter(|jitter| jitter != "0s") {
                    set(table, "jitter", text(&jitter), setting.span);
                }
            }
            "AccuracySec" | "Unit" | "RemainAfterElapse" => {}
            "Persistent" => ignored(
                diagnostics,
                setting.key_span,
                "Persistent",
                "what was due while the container was down is not run",
            ),
            other => ignored(diagnostics, setting.key_span, other, "a job has no such key"),
        }
    }
}

/// The schedule and its time zone.
fn cron(calendar: &str) -> Option<(String, String)> {
    const WORDS: [(&str, &str); 9] = [
        ("minutely", "* * * * *"),
        ("hourly", "@hourly"),
        ("daily", "@daily"),
        ("weekly", "0 0 * * 1"),
        ("monthly", "@monthly"),
        ("quarterly", "0 0 1 1,4,7,10 *"),
        ("semiannually", "0 0 1 1,7 *"),
        ("yearly", "@yearly"),
        ("annually", "@yearly"),
    ];
    let mut words: Vec<&str> = calendar.split_whitespace().collect();
    let zone = words.last().filter(|word| {
        word.contains('/') && word.starts_with(|first: char| first.is_ascii_alphabetic()) || **word == "UTC"
    });
    let zone = zone.map_or(String::new(), |zone| (*zone).to_owned());
    if !zone.is_empty() {
        words.pop();
    }
    if let [word] = words.as_slice()
        && let Some((_, schedule)) = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))
    {
        return Some(((*schedule).to_owned(), zone));
    }
    if words.is_empty() {
        return None;
    }
    let (mut days, mut date, mut time) = ("*".to_owned(), ("*".to_owned(), "*".to_owned()), None);
    for word in words {
        if word.contains(':') {
            let mut parts = word.split(':');
            let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
            if !second.trim_start_matches('0').is_empty() || parts.next().is_some() {
                return None;
            }
            time = Some((field(hour, 0, 23)?, field(minute, 0, 59)?));
        } else if word.contains('-') {
            let parts: Vec<&str> = word.split('-').collect();
            let (month, day) = match parts.as_slice() {
                ["*", month, day] | [month, day] => (month, day),
                _ => return None,
            };
            date = (field(month, 1, 12)?, field(day, 1, 31)?);
        } else if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let short = |day: &str| {
                let day = day.get(..3).map(str::to_ascii_lowercase)?;
                ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].contains(&day.as_str()).then_some(day)
            };
            let ranges: Option<Vec<String>> = word
                .split(',')
                .filter(|day| !day.is_empty())
                .map(|days| match days.split_once("..") {
                    Some((from, to)) => Some(format!("{}-{}", short(from)?, short(to)?)),
                    None => short(days),
                })
                .collect();
            days = ranges?.join(",");
        } else {
            return None;
        }
    }
    let (hour, minute) = time.unwrap_or(("0".to_owned(), "0".to_owned()));
    // cron takes a day of either, systemd one of both.
    let is_either = days != "*" && date.1 != "*";
    (!is_either).then(|| (format!("{minute} {hour} {} {} {days}", date.1, date.0), zone))
}

/// One field: `*`, `8..18`, `0/15`, and lists of them.
fn field(written: &str, least: u32, most: u32) -> Option<String> {
    let number = |text: &str| text.parse::<u32>().ok();
    let part = |part: &str| -> Option<String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let range = match (range.split_once(".."), step) {
            _ if range == "*" => "*".to_owned(),
            (Some((from, to)), _) => format!("{}-{}", number(from)?, number(to)?),
            (None, None) => number(range)?.to_string(),
            (None, Some(_)) if number(range)? == least => "*".to_owned(),
            (None, Some(_)) => format!("{}-{most}", number(range)?),
        };
        Some(match step {
            Some(step) => format!("{range}/{}", number(step)?),
            None => range,
        })
    };
    let parts: Option<Vec<String>> = written.split(',').map(part).collect();
    parts.map(|parts| parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of each are those of `systemd-analyze calendar`.
    #[test]
    fn a_calendar_is_cron_where_cron_can_say_it() {
        for (calendar, expected) in [
            ("daily", "@daily"),
            ("weekly", "0 0 * * 1"),
            ("*-*-* 03:30:00", "30 3 * * *"),
            ("*:0/15", "*/15 * * * *"),
            ("Mon..Fri 09:00", "0 9 * * mon-fri"),
            ("Sat,Sun *-*-* 8..18:05", "5 8-18 * * sat,sun"),
            ("*-*-01 04:00:00", "0 4 1 * *"),
            ("*-01,07-01", "0 0 1 1,7 *"),
            ("*-*-* *:00:00", "0 * * * *"),
            ("*-*-2/2 6,18:10", "10 6,18 2-31/2 * *"),
        ] {
            assert_eq!(cron(calendar), Some((expected.to_owned(), String::new())), "{calendar}");
        }
        assert_eq!(cron("daily UTC"), Some(("@daily".to_owned(), "UTC".to_owned())));
        assert_eq!(cron("09:00 Europe/Berlin"), Some(("0 9 * * *".to_owned(), "Europe/Berlin".to_owned())));
        for calendar in ["2026-01-01", "*:*:0/10", "Mon *-*-1..7 03:00", "soon", "*-*-* 1:2:3:4", ""] {
            assert_eq!(cron(calendar), None, "{calendar}");
        }
    }
}
