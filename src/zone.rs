//! Time zones as the system has them: TZif files and their footers (RFC 9636), and POSIX strings (tzset(3)).
//!
//! A zone becomes plain transitions, which the core computes with. Rules that hold forever are written out until
//! [`LAST_YEAR`]. The bytes are an argument, and any bytes have a result.

use foster_core::schedule::{Date, Transition, Zone, date, day};

/// The rules of a zone are written out until the end of this year.
const LAST_YEAR: i64 = 2100;
const DAY: i64 = 86_400;
/// Offsets and times of rules beyond a week are mistakes.
const MOST_HOURS: i64 = 167;

/// The zone in a TZif file; `None`: it is not one.
pub fn parse_file(bytes: &[u8]) -> Option<Zone> {
    let mut first = Reader { bytes };
    let header = Header::read(&mut first)?;
    if header.version == 0 {
        return transitions(&mut first, &header, 4);
    }
    // The old block has times of 32 bits: the new one, behind it, has all of them.
    first.take(header.length(4)?)?;
    let header = Header::read(&mut first)?;
    let mut rest = Reader { bytes: first.bytes };
    let zone = transitions(&mut rest, &header, 8)?;
    first.take(header.length(8)?)?;
    let footer = first.bytes.strip_prefix(b"\n")?;
    let footer = footer.split(|byte| *byte == b'\n').next()?;
    match core::str::from_utf8(footer).ok()? {
        "" => Some(zone),
        rule => Some(Rule::parse(rule)?.after(zone)),
    }
}

/// The zone of a POSIX string such as `CET-1CEST,M3.5.0,M10.5.0/3`; `None`: it is not one.
pub fn parse_posix(text: &str) -> Option<Zone> {
    let rule = Rule::parse(text)?;
    let first = rule.standard;
    Some(rule.after(Zone { first, changes: Vec::new() }))
}

struct Header {
    version: u8,
    ut_indicators: usize,
    standard_indicators: usize,
    leap_seconds: usize,
    times: usize,
    types: usize,
    characters: usize,
}

impl Header {
    fn read(from: &mut Reader<'_>) -> Option<Header> {
        let magic = from.take(4)?;
        let version = *from.take(16)?.first()?;
        let mut count = || from.number(4).and_then(|count| usize::try_from(count).ok());
        let header = Header {
            version,
            ut_indicators: count()?,
            standard_indicators: count()?,
            leap_seconds: count()?,
            times: count()?,
            types: count()?,
            characters: count()?,
        };
        (magic == b"TZif").then_some(header)
    }

    /// The length of the data behind it, with times of this size.
    fn length(&self, size: usize) -> Option<usize> {
        let parts = [
            (self.times, size + 1),
            (self.types, 6),
            (self.characters, 1),
            (self.leap_seconds, size + 4),
            (self.standard_indicators, 1),
            (self.ut_indicators, 1),
        ];
        parts.iter().try_fold(0_usize, |sum, (count, each)| sum.checked_add(count.checked_mul(*each)?))
    }
}

fn transitions(from: &mut Reader<'_>, header: &Header, size: usize) -> Option<Zone> {
    let mut times = Reader { bytes: from.take(header.times.checked_mul(size)?)? };
    let indices = from.take(header.times)?;
    let types = from.take(header.types.checked_mul(6)?)?;
    let offset = |index: usize| {
        let mut one = Reader { bytes: types.get(index * 6..)? };
        i32::try_from(one.number(4)?).ok()
    };
    let mut zone = Zone { first: offset(0)?, changes: Vec::new() };
    for index in indices {
        let at = times.number(size)?;
        add(&mut zone, Transition { at, offset: offset(usize::from(*index))? });
    }
    Some(zone)
}

/// Appends a change, if it is one.
fn add(zone: &mut Zone, change: Transition) {
    let before = zone.changes.last().map_or(zone.first, |last| last.offset);
    let is_later = zone.changes.last().is_none_or(|last| last.at < change.at);
    if change.offset != before && is_later {
        zone.changes.push(change);
    }
}

/// Signed big-endian numbers, as far as there are bytes.
struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, size: usize) -> Option<i64> {
        let bytes = self.take(size)?;
        let sign = if bytes.first()? & 0x80 != 0 { -1 } else { 0 };
        Some(bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)))
    }
}

/// A POSIX string: the offsets, and when they change each year.
struct Rule {
    standard: i32,
    /// The other offset, when it starts and when it ends.
    daylight: Option<(i32, Change, Change)>,
}

/// A time of each year, in local time.
#[derive(Clone, Copy)]
struct Change {
    day: ChangeDay,
    seconds: i64,
}

#[derive(Clone, Copy)]
enum ChangeDay {
    /// `Jn`: 1 to 365, 29 February is not counted.
    Julian(i64),
    /// `n`: 0 to 365.
    OfYear(i64),
    /// `Mm.w.d`: a weekday of a week of a month; week 5 is the last one.
    OfMonth { month: u32, week: i64, weekday: i64 },
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let mut rest = Text { rest: text };
        rest.name()?;
        let standard = -rest.time()?;
        let standard_offset = i32::try_from(standard).ok()?;
        if rest.rest.is_empty() {
            return Some(Rule { standard: standard_offset, daylight: None });
        }
        rest.name()?;
        let daylight = match rest.rest.starts_with(',') {
            true => standard + 3600,
            false => -rest.time()?,
        };
        let (start, end) = (rest.change()?, rest.change()?);
        let daylight = (i32::try_from(daylight).ok()?, start, end);
        rest.rest.is_empty().then_some(Rule { standard: standard_offset, daylight: Some(daylight) })
    }

    /// The zone, with what this rule adds to its changes.
    fn after(&self, mut zone: Zone) -> Zone {
        let last = zone.changes.last().copied();
        let Some((daylight, start, end)) = self.daylight else {
            if let Some(last) = last {
                add(&mut zone, Transition { at: last.at + 1, offset: self.standard });
            }
            return zone;
        };
        let first_year = last.map_or(1970, |last| date(last.at.div_euclid(DAY)).year);
        for year in first_year..=LAST_YEAR {
            let begins = Transition { at: start.in_year(year) - i64::from(self.standard), offset: daylight };
            let ends = Transition { at: end.in_year(year) - i64::from(daylight), offset: self.standard };
            let (one, other) = if begins.at <= ends.at { (begins, ends) } else { (ends, begins) };
            add(&mut zone, one);
            add(&mut zone, other);
        }
        zone
    }
}

impl Change {
    /// When it is in this year, in local time.
    fn in_year(self, year: i64) -> i64 {
        let first = day(Date { year, month: 1, day: 1 });
        let is_leap = day(Date { year, month: 3, day: 1 }) - first == 60;
        let on = match self.day {
            ChangeDay::Julian(number) => first + number - 1 + i64::from(is_leap && number > 59),
            ChangeDay::OfYear(number) => first + number,
            ChangeDay::OfMonth { month, week, weekday } => {
                let start = day(Date { year, month, day: 1 });
                let next = match month {
                    12 => day(Date { year: year + 1, month: 1, day: 1 }),
                    month => day(Date { year, month: month + 1, day: 1 }),
                };
                // 1970-01-01 was a Thursday.
                let to_first = (weekday - (start + 4)).rem_euclid(7);
                let on = start + to_first + (week - 1) * 7;
                if on < next { on } else { on - 7 }
            }
        };
        on * DAY + self.seconds
    }
}

/// The rest of a POSIX string.
struct Text<'t> {
    rest: &'t str,
}

impl Text<'_> {
    /// Skips the name of a zone: three letters at least, or anything in `<>`.
    fn name(&mut self) -> Option<()> {
        if let Some(quoted) = self.rest.strip_prefix('<') {
            self.rest = quoted.split_once('>')?.1;
            return Some(());
        }
        let end = self.rest.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        (end >= 3).then(|| self.rest = self.rest.get(end..).unwrap_or(""))
    }

    fn skip(&mut self, char: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(char)?;
        Some(())
    }

    fn number(&mut self, most: i64) -> Option<i64> {
        let end = self.rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        digits.parse().ok().filter(|number| *number <= most)
    }

    /// `[+-]h[:m[:s]]` in seconds.
    fn time(&mut self) -> Option<i64> {
        let sign = match (self.skip('-'), self.skip('+')) {
            (Some(()), _) => -1,
            (None, _) => 1,
        };
        let mut seconds = self.number(MOST_HOURS)? * 3600;
        for unit in [60, 1] {
            if self.skip(':').is_some() {
                seconds += self.number(59)? * unit;
            }
        }
        Some(sign * seconds)
    }

    fn change(&mut self) -> Option<Change> {
        self.skip(',')?;
        let day = if self.skip('J').is_some() {
            ChangeDay::Julian(self.number(365).filter(|number| *number > 0)?)
        } else if self.skip('M').is_some() {
            let month = u32::try_from(self.number(12)?).ok().filter(|month| *month > 0)?;
            self.skip('.')?;
            let week = self.number(5).filter(|week| *week > 0)?;
            self.skip('.')?;
            ChangeDay::OfMonth { month, week, weekday: self.number(6)? }
        } else {
            ChangeDay::OfYear(self.number(365)?)
        };
        let seconds = match self.skip('/') {
            Some(()) => self.time()?,
            None => 2 * 3600,
        };
        Some(Change { day, seconds })
    }
}

#[cfg(test)]
pub(crate) mod tests;
