//! The five fields of cron: minutes, hours, days of the month, months, days of the week (crontab(5)).
//!
//! A field is a list of values, ranges and `*`, each with a step where it is not a single value; months and weekdays have
//! names. Where both days are given, a day that one of them has is due; a field that starts with `*` gives none.

use super::MINUTE;
use super::calendar::{date, weekday};
use core::ops::RangeInclusive;

/// Five fields, as sets of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    days_rule: DaysRule,
    pace: Pace,
}

/// Which days are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DaysRule {
    /// Those that both fields have: one of them starts with `*`.
    Both,
    /// Those that one of the fields has.
    Either,
}

/// Whether the schedule is one of local times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// It is.
    LocalTimes,
    /// It is a frequency: it has every hour.
    Frequency,
}

/// One of the five fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    Day,
    /// 1 to 12, or `jan` to `dec`.
    Month,
    /// 0 to 7, or `sun` to `sat`; 0 and 7 are Sunday.
    Weekday,
}

/// Why a line is not a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronError {
    /// It has another number of fields than five.
    Fields(usize),
    /// It starts with `@`, and is not a known word.
    Word,
    /// A value of this field is not a number in its range, and not a name.
    Value(Field),
    /// The second value of a range of this field is less than the first.
    Range(Field),
    /// A step of this field is not a number above 0, or follows a single value.
    Step(Field),
    /// No month that it has is so long.
    NoSuchDay,
}

/// Words for whole lines.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The longest time from one 29 February to the next one is eight years.
const MOST_DAYS: i64 = 8 * 366 + 1;
const DAY: i64 = 24 * 60 * MINUTE;
const SUNDAY_TOO: u32 = 7;
const EVERY_HOUR: u64 = (1 << 24) - 1;

impl Field {
    const ALL: [Field; 5] = [Field::Minute, Field::Hour, Field::Day, Field::Month, Field::Weekday];

    /// Its values.
    pub fn range(self) -> RangeInclusive<u32> {
        match self {
            Field::Minute => 0..=59,
            Field::Hour => 0..=23,
            Field::Day => 1..=31,
            Field::Month => 1..=12,
            Field::Weekday => 0..=7,
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Field::Month => &MONTHS,
            Field::Weekday => &WEEKDAYS,
            Field::Minute | Field::Hour | Field::Day => &[],
        }
    }

    fn value(self, text: &str) -> Result<u32, CronError> {
        let named = self.names().iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + self.range().start());
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = named.or_else(|| text.parse().ok().filter(|_| is_number));
        value.filter(|value| self.range().contains(value)).ok_or(CronError::Value(self))
    }

    /// The values of the whole field, as bits.
    fn set(self, text: &str) -> Result<u64, CronError> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.part(part)?;
        }
        // Sunday has two numbers.
        if self == Field::Weekday && bits & 1 << SUNDAY_TOO != 0 {
            bits |= 1;
        }
        Ok(bits)
    }

    fn part(self, text: &str) -> Result<u64, CronError> {
        let (values, step) = match text.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (text, None),
        };
        let (first, last, is_single) = match values.split_once('-') {
            // `*` for weekdays is 0 to 6: a step must not count Sunday twice.
            None if values == "*" => (*self.range().start(), self.last(), false),
            None => (self.value(values)?, self.value(values)?, true),
            Some((first, last)) => (self.value(first)?, self.value(last)?, false),
        };
        if first > last {
            return Err(CronError::Range(self));
        }
        let step = match step {
            None => 1,
            Some(_) if is_single => return Err(CronError::Step(self)),
            Some(step) => {
                let is_number = step.bytes().all(|byte| byte.is_ascii_digit());
                let step = step.parse::<usize>().ok().filter(|step| *step > 0 && is_number);
                step.ok_or(CronError::Step(self))?
            }
        };
        Ok((first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn last(self) -> u32 {
        match self {
            Field::Weekday => 6,
            Field::Minute | Field::Hour | Field::Day | Field::Month => *self.range().end(),
        }
    }
}

impl Cron {
    /// Reads a line of five fields, or a word such as `@daily`.
    ///
    /// # Errors
    /// What is wrong with it, and with which of its fields.
    pub fn parse(line: &str) -> Result<Cron, CronError> {
        let line = match line.trim() {
            word if word.starts_with('@') => {
                let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
                known.map(|(_, line)| *line).ok_or(CronError::Word)?
            }
            line => line,
        };
        let count = line.split_whitespace().count();
        let mut sets = [(0, false); 5];
        if count != sets.len() {
            return Err(CronError::Fields(count));
        }
        for ((field, text), set) in Field::ALL.into_iter().zip(line.split_whitespace()).zip(&mut sets) {
            *set = (field.set(text)?, text.starts_with('*'));
        }
        let [(minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday)] = sets;
        let cron = Cron {
            minutes,
            hours,
            days,
            months,
            weekdays,
            days_rule: if any_day || any_weekday { DaysRule::Both } else { DaysRule::Either },
            pace: if hours == EVERY_HOUR { Pace::Frequency } else { Pace::LocalTimes },
        };
        if cron.has_days() { Ok(cron) } else { Err(CronError::NoSuchDay) }
    }

    /// Whether it is a frequency, which follows real time.
    pub(super) fn is_frequency(&self) -> bool {
        self.pace == Pace::Frequency
    }

    /// Whether there is a day that it has, such as not 30 February.
    fn has_days(&self) -> bool {
        let longest = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut months = (1..=12).filter(|month| has(self.months, *month));
        self.days_rule == DaysRule::Either
            || months.any(|month| (1..=longest(month)).any(|day| has(self.days, day)))
    }

    fn has_day(&self, day: i64) -> bool {
        let date = date(day);
        let (in_month, in_week) = (has(self.days, date.day), has(self.weekdays, weekday(day)));
        has(self.months, date.month)
            && match self.days_rule {
                DaysRule::Both => in_month && in_week,
                DaysRule::Either => in_month || in_week,
            }
    }

    /// The first local time, at or after this one, that it has. Local times count seconds like those in UTC.
    pub(super) fn next_local(&self, local: i64) -> Option<i64> {
        let first = local.div_euclid(DAY);
        let minute = local.rem_euclid(DAY) / MINUTE;
        if let Some(due) =
            Some(minute).filter(|_| self.has_day(first)).and_then(|minute| self.minute_of_day(minute))
        {
            return Some(first * DAY + due * MINUTE);
        }
        // A rare day of the month that has to be a certain weekday as well.
        let most = if self.days_rule == DaysRule::Both { MOST_DAYS * 5 } else { MOST_DAYS };
        let day = (first + 1..first + most).find(|day| self.has_day(*day))?;
        Some(day * DAY + self.minute_of_day(0)? * MINUTE)
    }

    /// The first minute of a day, at or after this one, that it has.
    fn minute_of_day(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (u32::try_from(from / 60).ok()?, u32::try_from(from % 60).ok()?);
        let next = |set: u64, from: u32| {
            let rest = set.checked_shr(from).unwrap_or(0);
            (rest != 0).then(|| from + rest.trailing_zeros())
        };
        let same_hour = if has(self.hours, hour) { next(self.minutes, minute) } else { None };
        let (hour, minute) = match same_hour {
            Some(minute) => (hour, minute),
            None => (next(self.hours, hour + 1)?, next(self.minutes, 0)?),
        };
        Some(i64::from(hour) * 60 + i64::from(minute))
    }
}

fn has(set: u64, value: u32) -> bool {
    set & 1 << value != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn lists_ranges_steps_and_names_are_sets_of_values() {
        let set = |field: Field, text: &str| field.set(text);
        assert_eq!(set(Field::Minute, "*/15"), Ok(1 | 1 << 15 | 1 << 30 | 1 << 45));
        assert_eq!(set(Field::Hour, "8-18/5,23"), Ok(1 << 8 | 1 << 13 | 1 << 18 | 1 << 23));
        assert_eq!(set(Field::Month, "JAN,jun-aug"), Ok(1 << 1 | 0b111 << 6));
        assert_eq!(set(Field::Weekday, "fri-7"), Ok(1 | 0b111 << 5));
        assert_eq!(set(Field::Weekday, "*/3"), Ok(1 | 1 << 3 | 1 << 6));
    }

    #[test]
    fn hostile_lines_are_refused_with_the_field() {
        for (line, error) in [
            ("", CronError::Fields(0)),
            ("* * * *", CronError::Fields(4)),
            ("* * * * * *", CronError::Fields(6)),
            ("@reboot", CronError::Word),
            ("@", CronError::Word),
            ("60 * * * *", CronError::Value(Field::Minute)),
            ("* 24 * * *", CronError::Value(Field::Hour)),
            ("* * 0 * *", CronError::Value(Field::Day)),
            ("* * * janu *", CronError::Value(Field::Month)),
            ("* * * * 8", CronError::Value(Field::Weekday)),
            ("* * * * é", CronError::Value(Field::Weekday)),
            ("+5 * * * *", CronError::Value(Field::Minute)),
            ("-5 * * * *", CronError::Value(Field::Minute)),
            ("5- * * * *", CronError::Value(Field::Minute)),
            ("1,,2 * * * *", CronError::Value(Field::Minute)),
            ("99999999999999999999 * * * *", CronError::Value(Field::Minute)),
            ("9-5 * * * *", CronError::Range(Field::Minute)),
            ("*/0 * * * *", CronError::Step(Field::Minute)),
            ("*/ * * * *", CronError::Step(Field::Minute)),
            ("*/+2 * * * *", CronError::Step(Field::Minute)),
            ("5/10 * * * *", CronError::Step(Field::Minute)),
            ("*/2/2 * * * *", CronError::Step(Field::Minute)),
            ("0 0 30 feb *", CronError::NoSuchDay),
            ("0 0 31 4,6,9,11 *", CronError::NoSuchDay),
        ] {
            assert_eq!(Cron::parse(line), Err(error), "{line}");
        }
        assert!(Cron::parse("0 0 30 2 mon").is_ok(), "each Monday in February");
        for (word, line) in WORDS {
            assert_eq!(Cron::parse(word), Cron::parse(&format!(" {line} ")), "{word}");
        }
    }

    #[test]
    fn both_days_are_due_where_both_are_given() {
        let days = |line: &str| {
            let cron = Cron::parse(line).unwrap();
            // March 2026 starts on a Sunday.
            (20_513..20_544)
                .filter(|day| cron.has_day(*day))
                .map(|day| date(day).day)
                .collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(days("0 0 13 * fri"), [6, 13, 20, 27]);
        assert_eq!(days("0 0 1,15 * sun"), [1, 8, 15, 22, 29]);
        assert_eq!(days("0 0 */10 * sun"), [1]);
        assert_eq!(days("0 0 10 * *"), [10]);
    }
}
