//! Durations as people read them, in messages, tables and reports.
//!
//! A measured duration is rounded down ([`rounded`]); one that a configuration sets is shown in full ([`exact`]), so that
//! two limits that differ also look different. Durations are read in the form that `exact` writes, by humantime.

use std::time::Duration;

/// A measured duration in one unit below a minute, in its two largest units above: `85ms`, `3.2s`, `42s`, `12m 5s`.
pub fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let tenths = duration.subsec_millis() / 100;
    if days > 0 {
        units((days, "d"), (hours % 24, "h"))
    } else if hours > 0 {
        units((hours, "h"), (minutes % 60, "m"))
    } else if minutes > 0 {
        units((minutes, "m"), (seconds % 60, "s"))
    } else if seconds > 0 && tenths > 0 {
        format!("{seconds}.{tenths}s")
    } else if seconds > 0 {
        format!("{seconds}s")
    } else {
        format!("{}ms", duration.subsec_millis())
    }
}

/// A configured duration in all its units: `1s 500ms`, `1m 30s`.
pub fn exact(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn units(great: (u64, &str), small: (u64, &str)) -> String {
    match small {
        (0, _) => format!("{}{}", great.0, great.1),
        (count, unit) => format!("{}{} {count}{unit}", great.0, great.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_duration_is_rounded_down_to_its_two_largest_units() {
        let cases = [
            (0, "0ms"),
            (85, "85ms"),
            (400, "400ms"),
            (3_299, "3.2s"),
            (42_000, "42s"),
            (59_999, "59.9s"),
            (60_000, "1m"),
            (725_000, "12m 5s"),
            (7_200_000, "2h"),
            (15_120_000, "4h 12m"),
            (273_600_000, "3d 4h"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(rounded(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(rounded(Duration::MAX), "213503982334601d 7h");
    }

    #[test]
    fn a_configured_duration_is_shown_in_full() {
        assert_eq!(exact(Duration::from_millis(1_500)), "1s 500ms");
        assert_eq!(exact(Duration::from_secs(90)), "1m 30s");
        assert_eq!(exact(Duration::ZERO), "0s");
    }
}
