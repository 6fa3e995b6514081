//! Durations and sizes as people read them.
//!
//! Pure. `page/script.js` continues a duration in the same words.

/// `5s`, `3m 12s`, `2h 5m`, `4d 3h`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// `512 B`, `1.5 MB`, `2.0 GB`, in binary units.
pub(super) fn size(bytes: u64) -> String {
    let mut tenths = bytes.saturating_mul(10);
    for unit in ["B", "kB", "MB", "GB"] {
        if tenths < 10_240 {
            return match unit {
                "B" => format!("{bytes} B"),
                unit if tenths >= 1000 => format!("{} {unit}", tenths / 10),
                unit => format!("{}.{} {unit}", tenths / 10, tenths % 10),
            };
        }
        tenths /= 1024;
    }
    format!("{}.{} TB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_its_two_largest_units() {
        for (ms, text) in [
            (999, "0s"),
            (59_999, "59s"),
            (60_000, "1m 0s"),
            (3_725_000, "1h 2m"),
            (90_000_000, "1d 1h"),
            (u64::MAX, "213503982334d 14h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn a_size_has_two_or_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 kB"),
            (1_572_864, "1.5 MB"),
            (150 << 20, "150 MB"),
            (1023 << 20, "1023 MB"),
            (2 << 30, "2.0 GB"),
            (5 << 40, "5.0 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        let _ = size(u64::MAX);
    }
}
