//! Rules that no compiler checks: layers, import cycles, sizes, words, dependencies.
//!
//! `ARCHITECTURE.md` gives the reasons. A new module needs a layer in [`LAYERS`], a new dependency a reason in
//! [`DEPENDENCIES`], so that a review sees both.

mod cycles;
mod sizes;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use toml::de::{DeTable, DeValue};

use crate::support::repository;

/// The layer of each module. A module may use modules of lower layers, not those of its own layer.
const LAYERS: [(&str, u8); 40] = [
    ("base64", 0),
    ("cut", 0),
    ("duration", 0),
    ("errno", 0),
    ("exit", 0),
    ("glob", 0),
    ("ini", 0),
    ("plan", 0),
    ("suggest", 0),
    ("roff", 0),
    ("yaml", 0),
    ("bounded_read", 1),
    ("json5", 1),
    ("sys", 1),
    ("zone", 1),
    ("cli", 3),
    ("xmlrpc", 3),
    ("config", 2),
    ("control", 2),
    ("notify", 2),
    ("oom", 2),
    ("output", 2),
    ("probes", 2),
    ("sockets", 2),
    ("spawn", 2),
    ("termination_log", 2),
    ("bare", 4),
    ("doctor", 4),
    ("here", 4),
    ("init", 4),
    ("scaffold", 4),
    ("client", 4),
    ("ecosystem", 4),
    ("web", 4),
    ("detach", 5),
    ("listeners", 5),
    ("personality", 5),
    ("lib", 6),
    ("main", 7),
    ("unbuffered", 0),
];

/// Files that do not use the system.
const PURE: [&str; 12] = [
    "src/plan.rs",
    "src/cut.rs",
    "src/duration.rs",
    "src/exit.rs",
    "src/glob.rs",
    "src/config/",
    "src/cli/",
    "src/control/protocol.rs",
    "src/init/plan_diff.rs",
    "src/init/plan_merge.rs",
    "src/init/plan_scope.rs",
    "src/spawn/passwd.rs",
];

const LINES_OF_CODE: usize = 400;
const LINES_WITH_TESTS: usize = 600;

/// Every dependency of the binary, its version, and its purpose.
const DEPENDENCIES: [(&str, &str, &str); 18] = [
    ("caps", "0.5", "capability sets by name: the owner's choice"),
    ("env_logger", "0.11", "foster's own log: the owner's choice; no colour, no regex"),
    ("foster-core", "", "the part that decides: in this repository"),
    ("foster-lines", "", "the lines of output, compiled for speed: in this repository"),
    ("httparse", "1.10", "the head of an HTTP reply, from hostile servers: small, fuzzed, no_std"),
    ("humantime", "2.4", "durations as people write them: the owner's choice"),
    ("lexopt", "0.3", "command lines without a framework: one file, no dependency"),
    ("libc", "0.2", "what nix does not wrap"),
    ("log", "0.4", "the macros of foster's own log: the owner's choice"),
    ("memchr", "2.8", "the end of a line, many times a second"),
    ("nix", "0.31", "system calls with types: the owner's choice"),
    ("regex-lite", "0.1", "`ready = { log = … }` at a tenth of the size of regex"),
    ("rlimit", "0.11", "resource limits by name: the owner's choice"),
    ("serde", "1", "wire types of the control socket: the owner's choice"),
    ("serde_json", "1", "the control socket and JSON output"),
    ("sha1_smol", "1", "supervisord's `{SHA}` passwords: one file, no dependency"),
    ("shell-words", "1.1", "a command in one string, split as a shell would"),
    ("toml", "1.2", "the configuration with a place for every error: the owner's choice"),
];

/// Every Rust file of the repository below this folder.
fn rust_files(below: &str) -> Vec<PathBuf> {
    files(below).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}

/// Every file below this folder, as paths from the repository's root, without build products.
fn files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository").flatten() {
            let name = entry.file_name();
            let made = ["target", ".git", "corpus", "artifacts", "node_modules", "dist", "__pycache__"];
            let hidden_by_build = made.iter().any(|made| name == *made);
            match entry.file_type().expect("a kind") {
                kind if kind.is_dir() && !hidden_by_build => folders.push(entry.path()),
                kind if kind.is_file() && !hidden_by_build => {
                    found.push(entry.path().strip_prefix(repository()).expect("inside").to_path_buf());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The part before the tests at the end of the file.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn layer_of(module: &str) -> u8 {
    let known = LAYERS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("`{module}` has no layer: give it one in tests/tidy.rs")).1
}

/// The module that a file of `src/` belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").expect("a file of src");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules named after `crate::`, also in groups.
fn modules_used(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"\bcrate::(\w+)").expect("a regular expression");
    let group = Regex::new(r"\bcrate::\{([^;]*)\}").expect("a regular expression");
    let mut used: BTreeSet<String> = single.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for found in group.captures_iter(code) {
        let names = found[1].split(',').map(|name| name.trim().split("::").next().unwrap_or("").to_owned());
        used.extend(names.filter(|name| LAYERS.iter().any(|(module, _)| module == name)));
    }
    used
}

#[test]
fn imports_follow_the_layers() {
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let module = module_of(&path);
        for used in modules_used(&code(&text(&path))) {
            // Names that the crate's root re-exports are not modules.
            if used != module
                && used.chars().all(|c| c.is_lowercase() || c == '_')
                && layer_of(&used) >= layer_of(&module)
            {
                wrong.push(format!("{} uses {used}, which is not below it", path.display()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn pure_files_do_not_use_the_system() {
    let system = Regex::new(r"\bcrate::sys\b|\bnix::|\blibc::|std::(process|net::Tcp|os::fd)")
        .expect("a regular expression");
    let is_pure = |path: &Path| PURE.iter().any(|pure| path.to_string_lossy().starts_with(pure));
    let wrong: Vec<String> = rust_files("src")
        .iter()
        .filter(|path| is_pure(path))
        .filter_map(|path| {
            let code = code(without_tests(&text(path)));
            system.find(&code).map(|found| format!("{} names {}", path.display(), found.as_str()))
        })
        .collect();
    assert_none(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for path in ["src", "crates", "tests", "examples"].iter().flat_map(|below| rust_files(below)) {
        let text = text(&path);
        let all = text.lines().count();
        let code = code(without_tests(&text)).lines().filter(|line| !line.trim().is_empty()).count();
        let is_tests = path.starts_with("tests")
            || path.ends_with("tests.rs")
            || path.iter().any(|part| part == "tests");
        if all > LINES_WITH_TESTS || (code > LINES_OF_CODE && !is_tests) {
            wrong.push(format!("{} has {code} lines of code, {all} with its tests", path.display()));
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_file_starts_with_its_purpose() {
    let mut wrong = Vec::new();
    let all = ["src", "crates", "tests", "examples"].iter().flat_map(|below| rust_files(below));
    // A module's own file describes its tests.
    for path in all.filter(|path| !path.ends_with("tests.rs")) {
        let text = text(&path);
        let opening = text.lines().take_while(|line| line.starts_with("//!")).count();
        // The contract of the core and the essay on its states are prose.
        let prose = ["lib.rs", "program.rs"]
            .iter()
            .any(|name| path == Path::new("crates/foster-core/src").join(name));
        let most = if prose { 80 } else { 15 };
        let least = if text.lines().count() > 100 && !path.starts_with("tests") { 3 } else { 1 };
        if !(least..=most).contains(&opening) {
            wrong.push(format!("{} starts with {opening} lines of `//!`", path.display()));
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_module_has_a_meaningless_name() {
    let empty = ["utils", "util", "helpers", "helper", "common", "misc", "manager", "handler"];
    let stem =
        |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let says_nothing = |path: &&PathBuf| empty.contains(&stem(path).as_str());
    let in_folder = |path: &&PathBuf| path.iter().any(|part| empty.iter().any(|word| part == *word));
    let files: Vec<PathBuf> = ["src", "crates", "tests"].iter().flat_map(|below| rust_files(below)).collect();
    let wrong: Vec<String> = files
        .iter()
        .filter(|path| says_nothing(path) || in_folder(path))
        .map(|path| path.display().to_string())
        .collect();
    assert_none(&wrong);
}

#[test]
fn no_todo_is_left() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("(being ", "built)")];
    let mut wrong = Vec::new();
    for path in ["src", "crates", "tests", "examples"].iter().flat_map(|below| rust_files(below)) {
        let text = text(&path);
        wrong.extend(
            marks
                .iter()
                .filter(|mark| text.contains(*mark))
                .map(|mark| format!("{}: {mark}", path.display())),
        );
    }
    assert_none(&wrong);
}

#[test]
fn unsafe_code_is_only_in_src_sys() {
    let word = Regex::new(r"\bunsafe\b").expect("a regular expression");
    let mut wrong = Vec::new();
    for path in
        rust_files("src").into_iter().chain(rust_files("crates")).filter(|path| !path.starts_with("src/sys"))
    {
        if word.is_match(&code(&text(&path))) {
            wrong.push(path.display().to_string());
        }
    }
    assert_none(&wrong);
    for part in ["foster-core", "foster-lines"] {
        let root = Path::new("crates").join(part).join("src/lib.rs");
        assert!(text(&root).contains("#![forbid(unsafe_code)]"), "{}", root.display());
    }
}

#[test]
fn only_the_event_loop_and_the_bare_init_block() {
    let blocking = Regex::new(r"thread::sleep|thread::spawn|epoll_wait|\.wait_timeout\(|to_socket_addrs")
        .expect("a regular expression");
    let places = [Path::new("src/sys/epoll.rs"), Path::new("src/init/wait.rs")];
    // The client is a separate process, so it may block.
    let is_allowed = |path: &Path| places.contains(&path) || path == Path::new("src/control/client.rs");
    let wrong: Vec<String> = rust_files("src")
        .iter()
        .filter(|path| !is_allowed(path))
        .filter_map(|path| {
            let code = code(without_tests(&text(path)));
            blocking.find(&code).map(|found| format!("{}: {}", path.display(), found.as_str()))
        })
        .collect();
    assert_none(&wrong);
}

/// Mechanisms that are in one place, with what would show a second one.
const ONE_PLACE: [(&str, &str, &[&str]); 4] = [
    (
        "foster's own lines are not formatted by env_logger, which only filters the leaves' lines",
        r"env_logger::",
        &["src/output/log.rs"],
    ),
    (
        "a request of a verb is one type from the command line to the core's order",
        r"enum (Request|Question)\b",
        &["src/control/protocol.rs"],
    ),
    ("the text of a configuration becomes tables in one place", r"DeTable::", &["src/config/table.rs"]),
    (
        "built-in defaults are parsed once for all programs",
        r"section\.defaults\(\)",
        &["src/config/defaults.rs"],
    ),
];

#[test]
fn what_needs_one_place_has_one() {
    for (rule, pattern, places) in ONE_PLACE {
        let pattern = Regex::new(pattern).expect("a regular expression");
        let is_match = |path: &&PathBuf| pattern.is_match(&code(without_tests(&text(path))));
        let sources = rust_files("src");
        let mut found: Vec<String> =
            sources.iter().filter(is_match).map(|path| path.display().to_string()).collect();
        found.sort_unstable();
        assert_eq!(found, places, "{rule}");
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = text(Path::new("Cargo.toml"));
    let table = DeTable::parse(&manifest).expect("Cargo.toml");
    let dependencies =
        table.get_ref().get("dependencies").and_then(|value| value.get_ref().as_table()).expect("a table");
    // A version is a string or in a table; a crate of this repository has none.
    let version = |value: &DeValue<'_>| match value.as_table() {
        Some(table) => {
            table.get("version").and_then(|value| value.get_ref().as_str()).unwrap_or("").to_owned()
        }
        None => value.as_str().expect("a version").to_owned(),
    };
    let asked: BTreeSet<(String, String)> = dependencies
        .iter()
        .map(|(name, value)| (name.get_ref().to_string(), version(value.get_ref())))
        .collect();
    let agreed: BTreeSet<(String, String)> =
        DEPENDENCIES.iter().map(|&(name, version, _)| (name.to_owned(), version.to_owned())).collect();
    assert_eq!(asked, agreed, "Cargo.toml, and the list in tests/tidy.rs");
    assert!(DEPENDENCIES.iter().all(|(_, _, reason)| reason.len() > 10));
    let core = text(Path::new("crates/foster-core/Cargo.toml"));
    let core = DeTable::parse(&core).expect("Cargo.toml of the core");
    let core = core.get_ref().get("dependencies").and_then(|value| value.get_ref().as_table());
    assert!(core.is_none_or(|table| table.is_empty()), "the core depends on nothing");
}

#[test]
fn the_changelog_has_an_entry() {
    let changelog = text(Path::new("CHANGELOG.md"));
    let unreleased = changelog.split("## [Unreleased]").nth(1).expect("a section for what is not released");
    let unreleased = unreleased.split("\n## ").next().unwrap_or(unreleased);
    let version = text(Path::new("Cargo.toml"));
    let version = version
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .expect("a version");
    assert!(
        unreleased.lines().any(|line| line.starts_with("- "))
            || changelog.contains(&format!("## [{version}]")),
        "neither an unreleased change nor {version}"
    );
}

#[test]
fn no_path_of_a_developers_machine_appears() {
    // The parent folder of the repository, unless every machine has such a folder.
    let around = repository().parent().map(|folder| format!("{}/", folder.display()));
    let around = around.filter(|folder| !["//", "/tmp/", "/src/", "/usr/src/"].contains(&folder.as_str()));
    let private: Vec<String> = around.into_iter().chain([concat!("/Us", "ers/").to_owned()]).collect();
    let mut wrong = Vec::new();
    for path in files(".") {
        let Ok(text) = fs::read_to_string(repository().join(&path)) else { continue };
        wrong.extend(
            private
                .iter()
                .filter(|place| text.contains(place.as_str()))
                .map(|place| format!("{}: {place}", path.display())),
        );
    }
    assert_none(&wrong);
}
