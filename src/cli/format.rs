//! How answers look to people: the table of `status`, durations, sizes.
//!
//! What programs have said themselves (a note may quote a probe) is made harmless before it comes to a
//! terminal. Text in, text out; nothing here prints.

use std::time::Duration;

use foster_core::action::EventName;

/// A row of the table of `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// The word for its state.
    pub state: &'static str,
    /// How good a state that is.
    pub mood: Mood,
    /// Whether it is ready.
    pub ready: bool,
    /// Its main process.
    pub pid: Option<i32>,
    /// How long that has been up.
    pub uptime: Option<Duration>,
    /// How often it was started again.
    pub restarts: u32,
    /// What it holds, in bytes.
    pub memory: Option<u64>,
    /// What else there is to say.
    pub note: Option<String>,
}

/// How good a state is: what colour it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should be: green.
    Good,
    /// On its way: yellow.
    Busy,
    /// Wrong: red.
    Bad,
    /// At rest: grey.
    Quiet,
}

/// Whether there may be colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The reader is a terminal, and wants them.
    Yes,
    /// There may be none.
    No,
}

/// Which way a column is flush.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

const COLUMNS: [(&str, Side); 8] = [
    ("NAME", Side::Left),
    ("STATE", Side::Left),
    ("READY", Side::Left),
    ("PID", Side::Right),
    ("UPTIME", Side::Right),
    ("RESTARTS", Side::Right),
    ("MEMORY", Side::Right),
    ("NOTE", Side::Left),
];

/// Which column has a colour.
const STATE: usize = 1;

/// The table, with a line end after each row.
pub fn table(lines: &[Line], colour: Colour) -> String {
    if lines.is_empty() {
        return "nothing to show\n".to_owned();
    }
    let rows: Vec<[String; 8]> = lines.iter().map(cells).collect();
    let width = |column: usize, title: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([title.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> =
        COLUMNS.iter().enumerate().map(|(column, (title, _))| width(column, title)).collect();
    let heading = COLUMNS.map(|(title, _)| title.to_owned());
    let mut table = written(&heading, &widths, None);
    for (row, line) in rows.iter().zip(lines) {
        let paint = match colour {
            Colour::Yes => Some(line.mood),
            Colour::No => None,
        };
        table += &written(row, &widths, paint);
    }
    table
}

/// An event on a line: when, whom it is about, what it is called, the sentence. A time is shown to the
/// millisecond, and a name as wide as the widest.
pub fn event(
    ts: &str,
    name: (&str, usize),
    event: &str,
    level: &str,
    message: &str,
    colour: Colour,
) -> String {
    let longest = EventName::ALL.iter().map(|event| event.name().len()).max().unwrap_or(0);
    let time = ts.get(.."2026-01-01T00:00:00.000".len()).map_or(ts.to_owned(), |short| format!("{short}Z"));
    let mood = match level {
        "error" => Some(Mood::Bad),
        "warning" => Some(Mood::Busy),
        _ => None,
    };
    let event = format!("{:longest$}", harmless(event));
    let event = match (mood, colour) {
        (Some(mood), Colour::Yes) => format!("\x1b[{}m{event}\x1b[0m", code(mood)),
        (None, _) | (_, Colour::No) => event,
    };
    let (name, width) = name;
    format!("{}  {:width$}  {event}  {}", harmless(&time), harmless(name), harmless(message))
}

/// A duration in its two greatest units: `85ms`, `3.2s`, `42s`, `12m 5s`, `4h 12m`, `3d 4h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else if seconds >= 10 {
        format!("{seconds}s")
    } else if seconds > 0 || duration.subsec_millis() >= 100 {
        format!("{seconds}.{}s", duration.subsec_millis() / 100)
    } else {
        format!("{}ms", duration.subsec_millis())
    }
}

/// A size in its greatest unit: `512B`, `3.4K`, `128M`, `1.2G`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut scaled = bytes;
    let mut unit = "B";
    let mut tenths = 0;
    for next in UNITS {
        if scaled < 1024 {
            break;
        }
        tenths = scaled % 1024 * 10 / 1024;
        scaled /= 1024;
        unit = next;
    }
    if scaled < 10 { format!("{scaled}.{tenths}{unit}") } else { format!("{scaled}{unit}") }
}

/// Text from elsewhere on one line of a terminal: control characters become U+FFFD.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn cells(line: &Line) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        harmless(&line.name),
        line.state.to_owned(),
        if line.ready { "yes" } else { "no" }.to_owned(),
        or_dash(line.pid.map(|pid| pid.to_string())),
        or_dash(line.uptime.map(duration)),
        line.restarts.to_string(),
        or_dash(line.memory.map(size)),
        line.note.as_deref().map(harmless).unwrap_or_default(),
    ]
}

fn written(row: &[String; 8], widths: &[usize], paint: Option<Mood>) -> String {
    let mut text = String::new();
    for (column, ((cell, &width), (_, side))) in row.iter().zip(widths).zip(COLUMNS).enumerate() {
        if column > 0 {
            text += "  ";
        }
        let padded = match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        };
        match paint {
            Some(mood) if column == STATE => text += &painted(&padded, mood, Colour::Yes),
            Some(_) | None => text += &padded,
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A word in the colour of its mood, where there may be one.
pub fn painted(text: &str, mood: Mood, colour: Colour) -> String {
    match colour {
        Colour::Yes => format!("\x1b[{}m{text}\x1b[0m", code(mood)),
        Colour::No => text.to_owned(),
    }
}

/// "Select graphic rendition" (console_codes(4)).
const fn code(mood: Mood) -> u8 {
    match mood {
        Mood::Good => 32,
        Mood::Busy => 33,
        Mood::Bad => 31,
        Mood::Quiet => 90,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use expect_test::expect;

    fn line(name: &str, state: &'static str, mood: Mood) -> Line {
        Line {
            name: name.into(),
            state,
            mood,
            ready: false,
            pid: None,
            uptime: None,
            restarts: 0,
            memory: None,
            note: None,
        }
    }

    fn some_lines() -> Vec<Line> {
        vec![
            Line {
                ready: true,
                pid: Some(17),
                uptime: Some(Duration::from_secs(3 * 86_400 + 4 * 3_600)),
                restarts: 2,
                memory: Some(130 << 20),
                ..line("backend.0", "running", Mood::Good)
            },
            Line {
                restarts: 11,
                note: Some("exited with status 3; next start in 3.2s".into()),
                ..line("worker", "backoff", Mood::Busy)
            },
            Line { note: Some("waits for backend\x1b[2J\n".into()), ..line("nginx", "waiting", Mood::Busy) },
            line("é", "fatal", Mood::Bad),
        ]
    }

    #[test]
    fn the_table_is_good_to_read() {
        expect![[r#"
            NAME       STATE    READY  PID  UPTIME  RESTARTS  MEMORY  NOTE
            backend.0  running  yes     17   3d 4h         2    130M
            worker     backoff  no       -       -        11       -  exited with status 3; next start in 3.2s
            nginx      waiting  no       -       -         0       -  waits for backend�[2J�
            é          fatal    no       -       -         0       -
        "#]]
        .assert_eq(&table(&some_lines(), Colour::No));
    }

    #[test]
    fn colours_move_no_column() {
        let plain = table(&some_lines(), Colour::No);
        let mut painted = table(&some_lines(), Colour::Yes);
        assert_ne!(plain, painted);
        for code in ["\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"] {
            painted = painted.replace(code, "");
        }
        assert_eq!(plain, painted);
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(table(&[], Colour::No), "nothing to show\n");
    }

    #[test]
    fn durations_have_their_two_greatest_units() {
        let cases = [
            (0, "0ms"),
            (85, "85ms"),
            (400, "0.4s"),
            (3_299, "3.2s"),
            (42_000, "42s"),
            (59_999, "59s"),
            (725_000, "12m 5s"),
            (15_120_000, "4h 12m"),
            (273_600_000, "3d 4h"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(duration(Duration::MAX), "213503982334601d 7h");
    }

    #[test]
    fn sizes_have_their_greatest_unit() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (3_500, "3.4K"),
            (10 << 10, "10K"),
            (130 << 20, "130M"),
            ((1 << 30) + (205 << 20), "1.2G"),
            (u64::MAX, "16383P"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
