//! Days of the Gregorian calendar, counted from 1970-01-01.

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Days in 400 years, after which the calendar repeats itself.
const ERA: i64 = 146_097;
/// The day 0000-03-01: a year that starts in March ends with its leap day.
const MARCH_0: i64 = 719_468;

/// The date of a day.
pub fn date(day: i64) -> Date {
    let since = day + MARCH_0;
    let (era, of_era) = (since.div_euclid(ERA), since.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    // Both are small by their construction.
    Date { year, month: u32::try_from(month).unwrap_or(1), day: u32::try_from(day).unwrap_or(1) }
}

/// The day of a date.
pub fn day(date: Date) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = i64::from((date.month + 9) % 12);
    let of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - MARCH_0
}

/// The day of the week, 0 for Sunday.
pub(super) fn weekday(day: i64) -> u32 {
    // 1970-01-01 was a Thursday.
    u32::try_from((day + 4).rem_euclid(7)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_have_their_dates() {
        for (day, year, month, of_month, weekday_of) in [
            (0, 1970, 1, 1, 4),
            (-1, 1969, 12, 31, 3),
            (11_016, 2000, 2, 29, 2),
            (11_017, 2000, 3, 1, 3),
            (20_454, 2026, 1, 1, 4),
            (47_541, 2100, 3, 1, 1),
        ] {
            assert_eq!(date(day), Date { year, month, day: of_month }, "{day}");
            assert_eq!(weekday(day), weekday_of, "{day}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_has_its_date_and_back() {
        for number in -ERA..ERA {
            assert_eq!(day(date(number)), number);
        }
    }
}
