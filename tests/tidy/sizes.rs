//! Limits that keep files and structs readable: the length of a file, and the number of fields of a struct.
//!
//! Plain data may have more fields: plans, keys of the configuration and messages of the control socket. Every other
//! struct of the shell has at most eight. Tests are left out.

use std::path::Path;

use regex_lite::Regex;

use super::{assert_none, code, rust_files, text, without_tests};

const LONGEST_FILE: usize = 450;
const MOST_FIELDS: usize = 8;

/// Files of which the structs are plain data.
const PLAIN_DATA: [&str; 6] = [
    "src/plan.rs",
    "src/config/",
    "src/control/protocol",
    "src/cli/",
    // The behaviour of the bare init as data.
    "src/bare/mod.rs",
    "crates/foster-core/src/spec.rs",
];

/// Files that are still too long. The list only gets shorter.
const STILL_TOO_LONG: &[&str] = &[];

/// Structs that still have too many fields. The list only gets shorter.
const STILL_TOO_WIDE: &[&str] = &[];

#[test]
fn no_file_has_more_than_450_lines() {
    let mut found = Vec::new();
    for path in ["src", "crates"].iter().flat_map(|below| rust_files(below)) {
        let is_tests = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
        let lines = without_tests(&text(&path)).lines().count();
        if !is_tests && lines > LONGEST_FILE {
            found.push(path.display().to_string());
        }
    }
    compare(&found, STILL_TOO_LONG, "has more than 450 lines");
}

#[test]
fn no_struct_of_the_shell_has_more_than_eight_fields() {
    let mut found = Vec::new();
    for path in rust_files("src").into_iter().filter(|path| !is_plain_data(path)) {
        if path.ends_with("tests.rs") || path.iter().any(|part| part == "tests") {
            continue;
        }
        for (name, fields) in structs(&code(without_tests(&text(&path)))) {
            if fields > MOST_FIELDS {
                found.push(format!("{}: {name}", path.display()));
            }
        }
    }
    compare(&found, STILL_TOO_WIDE, "has more than eight fields");
    let pair =
        "struct A {\n    b: u8,\n    pub(crate) c: Vec<(u8, u8)>,\n}\n#[derive(Debug)]\npub struct D(u8);\n";
    assert_eq!(structs(pair), [("A".to_owned(), 2)]);
}

fn is_plain_data(path: &Path) -> bool {
    PLAIN_DATA.iter().any(|folder| path.to_string_lossy().starts_with(folder))
}

/// Every struct with named fields and their number; structs with serde attributes are plain data.
fn structs(code: &str) -> Vec<(String, usize)> {
    let opening =
        Regex::new(r"(?m)^((?:[ \t]*#\[[^\n]*\]\n)*)[ \t]*(?:pub(?:\([^)]*\))? )?struct (\w+)[^;({]*\{")
            .expect("a regular expression");
    let field = Regex::new(r"(?m)^\s+(?:pub(?:\([^)]*\))? )?\w+: ").expect("a regular expression");
    let mut found = Vec::new();
    for opened in opening.captures_iter(code) {
        let end = opened.get(0).expect("the whole").end();
        let body = code[end..].split("\n}").next().unwrap_or("");
        if !opened[1].contains("erialize") {
            found.push((opened[2].to_owned(), field.find_iter(body).count()));
        }
    }
    found
}

fn compare(found: &[String], known: &[&str], fault: &str) {
    let new = found.iter().filter(|found| !known.contains(&found.as_str()));
    let mended = known.iter().filter(|known| !found.iter().any(|found| found == *known));
    let wrong: Vec<String> = new
        .map(|found| format!("{found} {fault}"))
        .chain(mended.map(|known| {
            format!("{known} is within the limit: remove it from the list in tests/tidy/sizes.rs")
        }))
        .collect();
    assert_none(&wrong);
}
