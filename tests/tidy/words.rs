//! The words of the project: plain technical English, and the field's terms (CONTRIBUTING.md, "Words").
//!
//! The patterns are typical of a private dialect that a reader would have to learn first. Every source, comment, message
//! and document except this file is searched for them, and for addresses that do not exist.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::{assert_none, files};
use crate::support::repository;

/// A pattern, and what to write instead.
const DIALECT: &[(&str, &str)] = &[
    (r"\banew\b", "again"),
    (r"\bby now\b", "now, or nothing"),
    // Not the user of that name.
    (r#"(?:^|[^"'=:`\w-])[Nn]obody\b"#, "no process, no client, nothing"),
    (r"\b[Ss]omebody\b", "a user, another process"),
    (r"\b[Ww]hoever\b", "a client that, a process that"),
    (r"\b[Bb]esides\b", "also, or beside"),
    (r"\b[Hh]ow-manieth\b", "the number of"),
    (r"\bany more\b", "no longer"),
    (r"\b(?:a|an|no|One) (?:\w+ )?\w+ of (?:its|their) own\b", "its, separate, new"),
    (r"\bcalled so\b", "named"),
    (r"\b(?:is|are|was|were) told\b", "is notified, is printed, is logged"),
    (r"\bwords? of (?:its|the|their) (?:death|end)\b", "the line about its exit"),
    (r"\b[Ll]ast words\b", "last output"),
    (
        r"\b(?:[Ww]hat|[Ii]t|that|file|path|address|which) (?:\w+ )?is no (?:supervisor|foster|socket|program|configuration|command|signal|number|name)\b",
        "is not a",
    ),
    (r"\b(?:foster|supervisor|client|program|process|terminal|kernel|engine) who\b", "that"),
    (r"\bfor good\b", "finally, or what follows"),
    (r"\bin vain\b", "without success"),
    (r"\bfor ever\b", "forever"),
    (r"\bholds? (?:it|nothing|foster) up\b", "delays, blocks"),
    (r"\b[Tt]he word for it\b", "its name"),
    (r"\bcould not be made\b", "could not be created, could not be started"),
    (r"\bgoes on\b", "continues, keeps running"),
    (r"\b(?:what|What) (?:is|was) (?:gone|fatal|wanted|said|asked|waited)\b", "the noun that is meant"),
];

/// Folders that still have some of it. The list only gets shorter.
const STILL_IN_DIALECT: &[&str] = &[];

/// Addresses that do not exist, or that another project may get.
const FALSE_ADDRESSES: [&str; 5] = [
    concat!("github.com/", "foster"),
    concat!("ghcr.io/", "foster"),
    concat!("docker.io/", "foster"),
    concat!("crates.io/crates/", "foster"),
    concat!("foster", ".dev"),
];

const KINDS: [&str; 19] = [
    "rs", "md", "toml", "py", "ts", "tsx", "mjs", "css", "html", "yaml", "yml", "c", "h", "conf", "bash",
    "fish", "zsh", "1", "5",
];

/// The texts that people read: sources, documents and scripts, but not lists of packages and not fixtures.
fn texts() -> Vec<(PathBuf, String)> {
    let is_ours = |path: &Path| {
        let kind = path.extension().map(|kind| kind.to_string_lossy().into_owned());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_known = kind.is_some_and(|kind| KINDS.contains(&kind.as_str()))
            || ["Dockerfile", "run", "dev"].contains(&name.as_str());
        let is_this_file = path.ends_with("tests/tidy/words.rs");
        is_known && !is_this_file && !path.starts_with("tests/fixtures")
    };
    let ours =
        files(".").into_iter().map(|path| path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path));
    ours.filter(|path| is_ours(path) && !path.iter().any(|part| part == "venv"))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(repository().join(&path)).ok()?)))
        .collect()
}

#[test]
fn no_text_has_a_word_of_the_private_dialect() {
    let patterns: Vec<(Regex, &str)> = DIALECT
        .iter()
        .map(|(pattern, instead)| (Regex::new(pattern).expect("a regular expression"), *instead))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        if STILL_IN_DIALECT.iter().any(|folder| path.to_string_lossy().starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for (pattern, instead) in &patterns {
                if let Some(found) = pattern.find(line) {
                    let place = format!("{}:{}", path.display(), number + 1);
                    wrong.push(format!("{place}: `{}`: write {instead}", found.as_str()));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_text_has_an_address_that_does_not_exist() {
    let mut wrong = Vec::new();
    let manifests = ["Cargo.toml", "crates/foster-core/Cargo.toml", "crates/foster-lines/Cargo.toml"]
        .map(|name| (PathBuf::from(name), fs::read_to_string(repository().join(name)).expect("a manifest")));
    for (path, text) in texts().into_iter().chain(manifests) {
        for address in FALSE_ADDRESSES.iter().filter(|address| text.contains(*address)) {
            wrong.push(format!("{} names {address}", path.display()));
        }
    }
    assert_none(&wrong);
}
