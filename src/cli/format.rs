//! The format of answers for people: the table of `status`, events, sizes.
//!
//! Control characters in the text of programs (a note may quote a probe) are replaced. Text in, text out; nothing here
//! prints.

use std::time::Duration;

use foster_core::action::EventName;

use crate::duration::rounded;

/// A row of the table of `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: &'static str,
    /// The style of that state.
    pub style: Style,
    /// Whether it is ready; `None`: it is a job, which does not become that.
    pub ready: Option<bool>,
    /// Its main process.
    pub pid: Option<i32>,
    /// The time since its start.
    pub uptime: Option<Duration>,
    /// The number of restarts.
    pub restarts: u32,
    /// The part of a CPU that its processes use, in tenths of a percent.
    pub cpu: Option<u64>,
    /// Their memory, in bytes.
    pub memory: Option<u64>,
    /// A remark, such as the cause of a failure.
    pub note: Option<String>,
}

/// The severity of a state, which selects its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// In order: green.
    Good,
    /// Changing: yellow.
    Busy,
    /// Wrong: red.
    Bad,
    /// At rest: grey.
    Quiet,
}

/// Whether colours are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal with colours.
    Yes,
    /// Elsewhere.
    No,
}

/// The alignment of a column.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// The columns: title, alignment, and the order in which they are removed if the terminal is too narrow; 0: never.
const COLUMNS: [(&str, Side, u8); 9] = [
    ("NAME", Side::Left, 0),
    ("STATE", Side::Left, 0),
    ("READY", Side::Left, 3),
    ("PID", Side::Right, 4),
    ("UPTIME", Side::Right, 0),
    ("RESTARTS", Side::Right, 0),
    ("CPU", Side::Right, 1),
    ("MEMORY", Side::Right, 2),
    ("NOTE", Side::Left, 0),
];

const NAME: usize = 0;
/// The column that has a colour.
const STATE: usize = 1;
const NOTE: usize = 8;

/// The space between two columns.
const GAP: &str = "  ";

/// The width that a note should have at least before a column is removed.
const NOTE_WIDTH: usize = 32;

/// The most characters of a name if the table has to fit a terminal.
const NAME_WIDTH: usize = 24;

/// The table, with a line end after each row. With a `width`, no row is wider: long names and notes are cut, and the
/// least important columns are removed.
pub fn table(lines: &[Line], colour: Colour, width: Option<usize>) -> String {
    if lines.is_empty() {
        return "nothing to show\n".to_owned();
    }
    let heading = COLUMNS.map(|(title, _, _)| title.to_owned());
    let mut rows: Vec<[String; 9]> = lines.iter().map(cells).collect();
    rows.insert(0, heading);
    if let Some(width) = width {
        for row in &mut rows {
            let [name, ..] = row;
            *name = cut_in_the_middle(name, NAME_WIDTH.min(width));
        }
    }
    let mut widths = widths(&rows);
    if let Some(width) = width {
        fit(&mut widths, width);
    }
    let mut table = String::new();
    let styles = [None].into_iter().chain(lines.iter().map(|line| Some(line.style)));
    for (row, style) in rows.iter().zip(styles) {
        table += &render(row, &widths, style.filter(|_| colour == Colour::Yes));
    }
    table
}

fn widths(rows: &[[String; 9]]) -> [Option<usize>; 9] {
    let mut widths = [Some(0); 9];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(Some(cell.chars().count()));
        }
    }
    widths
}

/// Removes columns and cuts the notes until the table fits.
fn fit(widths: &mut [Option<usize>; 9], width: usize) {
    let [.., note] = *widths;
    let note = note.unwrap_or(0);
    let others = |widths: &[Option<usize>; 9]| -> usize {
        widths.iter().take(NOTE).flatten().map(|width| width + GAP.len()).sum()
    };
    for rank in 1..=4 {
        if others(widths) + note.min(NOTE_WIDTH) <= width {
            break;
        }
        for (column, (_, _, goes)) in widths.iter_mut().zip(COLUMNS) {
            if goes == rank {
                *column = None;
            }
        }
    }
    let left = width.saturating_sub(others(widths));
    let over = others(widths).saturating_sub(width + GAP.len());
    let [name, .., note] = widths;
    *note = (*note).map(|note| note.min(left)).filter(|note| *note > 0);
    *name = (*name).map(|name| name.saturating_sub(over).max(1));
}

/// The text in at most `width` characters. It is cut in the middle, because both ends of a name distinguish it.
fn cut_in_the_middle(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width || width == 0 {
        return text.to_owned();
    }
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// The text in at most `width` characters, with a mark at its end if it was cut.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A line for an event: time, program, event, message. Times have milliseconds, and names are padded to the widest.
pub fn event(
    ts: &str,
    name: (&str, usize),
    event: &str,
    level: &str,
    message: &str,
    colour: Colour,
) -> String {
    let longest = EventName::ALL.iter().map(|event| event.name().len()).max().unwrap_or(0);
    let time = time(ts);
    let style = match level {
        "error" => Some(Style::Bad),
        "warning" => Some(Style::Busy),
        _ => None,
    };
    let event = format!("{:longest$}", harmless(event));
    let event = match (style, colour) {
        (Some(style), Colour::Yes) => format!("\x1b[{}m{event}\x1b[0m", code(style)),
        (None, _) | (_, Colour::No) => event,
    };
    let (name, width) = name;
    format!("{}  {:width$}  {event}  {}", harmless(&time), harmless(name), harmless(message))
}

/// A time (RFC 3339, UTC) to the millisecond.
pub fn time(ts: &str) -> String {
    ts.get(.."2026-01-01T00:00:00.000".len()).map_or(ts.to_owned(), |short| format!("{short}Z"))
}

/// A size in its largest unit: `512B`, `3.4K`, `128M`, `1.2G`.
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

/// Tenths of a percent: `0.3%`, `97%`, `412%`.
fn percent(tenths: u64) -> String {
    if tenths < 100 { format!("{}.{}%", tenths / 10, tenths % 10) } else { format!("{}%", tenths / 10) }
}

/// Makes untrusted text safe for a terminal: control characters become U+FFFD.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn cells(line: &Line) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        harmless(&line.name),
        line.state.to_owned(),
        line.ready.map_or("-", |ready| if ready { "yes" } else { "no" }).to_owned(),
        or_dash(line.pid.map(|pid| pid.to_string())),
        or_dash(line.uptime.map(rounded)),
        line.restarts.to_string(),
        or_dash(line.cpu.map(percent)),
        or_dash(line.memory.map(size)),
        line.note.as_deref().map(harmless).unwrap_or_default(),
    ]
}

fn render(row: &[String; 9], widths: &[Option<usize>; 9], paint: Option<Style>) -> String {
    let mut text = String::new();
    for (column, ((cell, width), (_, side, _))) in row.iter().zip(widths).zip(COLUMNS).enumerate() {
        let Some(width) = *width else { continue };
        if !text.is_empty() {
            text += GAP;
        }
        let cell = if column == NAME { cut_in_the_middle(cell, width) } else { cut(cell, width) };
        let padded = match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        };
        match paint {
            Some(style) if column == STATE => text += &painted(&padded, style, Colour::Yes),
            Some(_) | None => text += &padded,
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A word in the colour of its style.
pub fn painted(text: &str, style: Style, colour: Colour) -> String {
    match colour {
        Colour::Yes => format!("\x1b[{}m{text}\x1b[0m", code(style)),
        Colour::No => text.to_owned(),
    }
}

/// "Select graphic rendition" (console_codes(4)).
const fn code(style: Style) -> u8 {
    match style {
        Style::Good => 32,
        Style::Busy => 33,
        Style::Bad => 31,
        Style::Quiet => 90,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use expect_test::expect;

    fn line(name: &str, state: &'static str, style: Style) -> Line {
        Line {
            name: name.into(),
            state,
            style,
            ready: Some(false),
            pid: None,
            uptime: None,
            restarts: 0,
            cpu: None,
            memory: None,
            note: None,
        }
    }

    fn some_lines() -> Vec<Line> {
        vec![
            Line {
                ready: Some(true),
                pid: Some(17),
                uptime: Some(Duration::from_secs(3 * 86_400 + 4 * 3_600)),
                restarts: 2,
                cpu: Some(123),
                memory: Some(130 << 20),
                ..line("backend.0", "running", Style::Good)
            },
            Line {
                restarts: 11,
                note: Some("exited with status 3; next start in 3.2s".into()),
                ..line("worker", "backoff", Style::Busy)
            },
            Line { note: Some("waits for backend\x1b[2J\n".into()), ..line("nginx", "waiting", Style::Busy) },
            line("é", "fatal", Style::Bad),
        ]
    }

    #[test]
    fn the_table_has_a_row_for_each_instance_and_aligned_columns() {
        expect![[r#"
            NAME       STATE    READY  PID  UPTIME  RESTARTS  CPU  MEMORY  NOTE
            backend.0  running  yes     17   3d 4h         2  12%    130M
            worker     backoff  no       -       -        11    -       -  exited with status 3; next start in 3.2s
            nginx      waiting  no       -       -         0    -       -  waits for backend�[2J�
            é          fatal    no       -       -         0    -       -
        "#]]
        .assert_eq(&table(&some_lines(), Colour::No, None));
    }

    #[test]
    fn colours_do_not_change_the_alignment() {
        let plain = table(&some_lines(), Colour::No, None);
        let mut painted = table(&some_lines(), Colour::Yes, None);
        assert_ne!(plain, painted);
        for code in ["\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"] {
            painted = painted.replace(code, "");
        }
        assert_eq!(plain, painted);
    }

    #[test]
    fn no_row_is_wider_than_the_terminal_for_any_name_and_note() {
        let mut lines = some_lines();
        let long = "a-very-long-name-of-a-program-of-a-team.12";
        lines.push(Line {
            note: Some("cannot start: ".repeat(20)),
            pid: Some(4_194_304),
            uptime: Some(Duration::from_secs(9_000 * 86_400)),
            restarts: u32::MAX,
            cpu: Some(64_000),
            memory: Some(u64::MAX),
            ..line(long, "unhealthy", Style::Bad)
        });
        for width in [40, 60, 80, 100, 200] {
            let table = table(&lines, Colour::No, Some(width));
            for row in table.lines() {
                assert!(row.chars().count() <= width, "{width}: {row}");
            }
        }
        expect![[r#"
            NAME                      STATE      UPTIME    RESTARTS  NOTE
            backend.0                 running     3d 4h           2
            worker                    backoff         -          11  exited with status 3;…
            nginx                     waiting         -           0  waits for backend�[2J�
            é                         fatal           -           0
            a-very-long…of-a-team.12  unhealthy   9000d  4294967295  cannot start: cannot s…
        "#]]
        .assert_eq(&table(&lines, Colour::No, Some(80)));
        // In a pipe nothing is cut.
        assert!(table(&lines, Colour::No, None).contains(long));
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(table(&[], Colour::No, None), "nothing to show\n");
    }

    #[test]
    fn parts_of_a_cpu_have_a_decimal_where_they_are_small() {
        let cases = [(0, "0.0%"), (3, "0.3%"), (99, "9.9%"), (100, "10%"), (999, "99%"), (4123, "412%")];
        for (tenths, expected) in cases {
            assert_eq!(percent(tenths), expected);
        }
    }

    #[test]
    fn sizes_have_their_largest_unit() {
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
