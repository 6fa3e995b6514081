//! Zones of the system, and the due times of random schedules in them, compared with an independent implementation.

use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use foster_core::schedule::Cron;
use proptest::prelude::*;

use super::*;

/// Without Lord Howe Island, whose clock changes by half an hour: cronsim moves by whole ones.
pub(crate) const ZONES: [&str; 20] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Nuuk",
    "Australia/Sydney",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",
    "Asia/Tokyo",
    "Antarctica/Troll",
    "America/Havana",
];

fn of_system(name: &str) -> Option<Zone> {
    parse_file(&std::fs::read(Path::new("/usr/share/zoneinfo").join(name)).ok()?)
}

/// A number of a sequence that looks random and is the same in each run.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

/// No range has a single value: cronsim takes `5-5/2` for `5/2`, to the end of the field.
fn field(seed: &mut u64, first: u64, last: u64, star: u64) -> String {
    let span = last - first + 1;
    let value = first + random(seed, span - 1);
    let later = value + 1 + random(seed, last - value);
    match random(seed, 10) {
        pick if pick < star => "*".to_owned(),
        0..=5 => value.to_string(),
        6 => format!("*/{}", 1 + random(seed, span)),
        7 => format!("{value}-{later}/{}", 1 + random(seed, 3)),
        8 => format!("{value}-{later}"),
        _ => format!("{value},{later}"),
    }
}

/// Schedules that name local times near the changes of offsets more often than others.
fn line(seed: &mut u64) -> String {
    let hour = match random(seed, 4) {
        0 => random(seed, 4).to_string(),
        1 => "*".to_owned(),
        _ => field(seed, 0, 23, 0),
    };
    let minute = field(seed, 0, 59, if hour == "*" { 3 } else { 0 });
    // cronsim follows real time for these, too, and loses the runs of an hour that the clock skips.
    let (hour, minute) = match hour.as_str() {
        "*" => (hour, minute),
        "*/1" | "0-23" => ("*".to_owned(), minute),
        _ => (hour.replace("*/", "0-23/"), minute.replace("*/", "0-59/")),
    };
    let (day, month) = (field(seed, 1, 28, 7), field(seed, 1, 12, 8));
    format!("{minute} {hour} {day} {month} {}", field(seed, 0, 6, 7))
}

/// The Python with the independent implementation. `None`: it is not here, or the system has no zones.
pub(crate) fn python_with_cronsim() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
    let has_parts =
        Command::new(&python).args(["-c", "import cronsim"]).output().is_ok_and(|end| end.status.success());
    if !has_parts || of_system("Europe/Berlin").is_none() {
        assert!(std::env::var_os("CI").is_none(), "no Python with cronsim, or no zones");
        eprintln!("skipped: needs cronsim in target/python, and /usr/share/zoneinfo");
        return None;
    }
    Some(python)
}

/// The independent implementation: it answers line by line.
pub(crate) struct Reference {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    pub(crate) fn start(python: &Path) -> Reference {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/zone/due_times.py");
        let mut command = Command::new(python);
        let mut child =
            command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Reference { child, input, output: BufReader::new(output) }
    }

    /// Asks for the due times between these, in seconds since 1970.
    pub(crate) fn ask(&mut self, zone: &str, (start, end): (i64, i64), line: &str) {
        writeln!(self.input, "{zone} {start} <{end} {line}").expect("a request");
    }

    /// The next answer, in the order of the requests.
    pub(crate) fn answer(&mut self) -> Vec<i64> {
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("an answer");
        answer.split_whitespace().map(|at| at.parse().expect("a number")).collect()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Its input ends with this, and it as well; it has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn due_times_agree_with_an_independent_implementation() {
    let Some(python) = python_with_cronsim() else { return };
    const COUNT: usize = 25;
    let mut seed = 11;
    let (mut asked, mut input) = (Vec::new(), String::new());
    for name in ZONES {
        let Some(zone) = of_system(name) else { continue };
        let recent = zone
            .changes
            .iter()
            .map(|change| change.at)
            .filter(|at| (1_600_000_000..1_900_000_000).contains(at));
        let starts: Vec<i64> = recent.chain([1_700_000_000]).collect();
        for _ in 0..200 {
            let line = line(&mut seed);
            let start = starts[usize::try_from(random(&mut seed, starts.len() as u64)).unwrap()];
            let start = start - i64::try_from(random(&mut seed, 100_000)).unwrap();
            input += &format!("{name} {start} {COUNT} {line}\n");
            asked.push((name, zone.clone(), start, line));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/zone/due_times.py");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    let output = Command::new(python).arg(script).stdin(file).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.lines().count(), asked.len(), "{output}");
    let mut differences = Vec::new();
    for ((name, zone, start, line), theirs) in asked.iter().zip(output.lines()) {
        let theirs: Vec<i64> = theirs.split(' ').map(|at| at.parse().unwrap()).collect();
        let cron = Cron::parse(line).unwrap();
        let mut at = *start;
        let next = std::iter::from_fn(|| {
            at = cron.next(at, zone)?;
            Some(at)
        });
        let ours: Vec<i64> = next.take(COUNT).collect();
        if ours != theirs {
            let first = ours.iter().zip(&theirs).position(|(one, other)| one != other);
            let first = first.unwrap_or(0);
            differences.push(format!(
                "{name} after {start} `{line}`: {first}: {:?} {:?}",
                &ours[first..],
                &theirs[first..]
            ));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), asked.len(), differences.join("\n"));
}

#[test]
fn posix_strings_are_zones_and_mistakes_are_none() {
    let zone = parse_posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let year: Vec<Transition> = zone
        .changes
        .iter()
        .copied()
        .filter(|change| (1_767_225_600..1_798_761_600).contains(&change.at))
        .collect();
    assert_eq!(
        year,
        [Transition { at: 1_774_746_000, offset: 7200 }, Transition { at: 1_792_890_000, offset: 3600 }]
    );
    assert_eq!(parse_posix("UTC0"), Some(Zone::UTC));
    assert_eq!(parse_posix("<+0545>-5:45").map(|zone| zone.first), Some(20_700));
    for wrong in [
        "",
        "C",
        "CET",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-200",
        "CET-1x",
    ] {
        assert_eq!(parse_posix(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_result(mut bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..3usize) {
        let magic = [&b""[..], b"TZif2", b"TZif\0"][start];
        bytes.splice(..0, magic.iter().copied());
        let _ = parse_file(&bytes);
    }

    #[test]
    fn any_text_has_a_result(text in "[A-Z<>]{0,4}[-+]?[0-9:]{0,4}[A-Z]{0,4}(,[JM0-9./]{0,9}){0,3}") {
        let _ = parse_posix(&text);
    }
}
