//! The promises of `docs/stability.md`: its lists are those of the binary, and configurations of earlier versions work.

use std::collections::BTreeSet;
use std::fs;

use regex_lite::Regex;

use crate::support::{Foster, repository};

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words in backticks of these lines' first cells.
fn first_cells(page: &str, head: &str) -> BTreeSet<String> {
    let table = page.split(head).nth(1).unwrap_or_else(|| panic!("no table `{head}`"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_fields_of_a_row_of_status_are_those_of_the_page() {
    let foster = Foster::new().config("[program.web]\ncommand = 'puppet pause'\n").start();
    foster.wait_for_state("web", "running");
    let row = foster.row("web").expect("a row");
    let printed: BTreeSet<String> = row.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(first_cells(&text("docs/stability.md"), "| field | |"), printed);
}

#[test]
fn the_exit_statuses_and_variables_of_the_page_are_those_of_the_source() {
    let page = text("docs/stability.md");
    let row = Regex::new(r"(?m)^\| ([\d, ]+) \|").expect("a regular expression");
    let documented: BTreeSet<u8> = row
        .captures_iter(&page)
        .flat_map(|found| found[1].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .map(|number| number.trim().parse().expect("a number"))
        .collect();
    let status = Regex::new(r"= ExitStatus\((\d+)\);").expect("a regular expression");
    let source: BTreeSet<u8> =
        status.captures_iter(&text("src/exit.rs")).map(|found| found[1].parse().expect("a number")).collect();
    assert_eq!(documented, source);

    let name = Regex::new(r"\bFOSTER_[A-Z]+\b").expect("a regular expression");
    let names = |text: &str| -> BTreeSet<String> {
        name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
    };
    let manual = text("docs/foster.1");
    let read: BTreeSet<String> = names(&manual);
    assert!(read.contains("FOSTER_SOCKET"), "{read:?}");
    assert!(read.is_subset(&names(&page)), "{read:?}");
}

#[test]
fn configurations_of_earlier_versions_pass_the_check() {
    let folder = repository().join("tests/fixtures/stable");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the fixtures").flatten() {
        let path = entry.path().display().to_string();
        let foster = Foster::new().env("PORT", "80").config(&fs::read_to_string(&path).expect("a file"));
        foster.finish(&["check", "-c", "foster.toml"]).expect(0);
        seen += 1;
    }
    assert!(seen > 0, "no configuration of an earlier version");
}
