//! File patterns of `include`: `*` and `?` inside one part of a path.
//!
//! As in a shell, a leading dot is matched only by a dot (a mounted ConfigMap keeps its real files in
//! `..data`), and names come in order. Brackets and braces mean themselves.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Whether the text is a pattern and not the path of a file.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The files that the pattern means, in the order of their names; folders are not among them.
///
/// # Errors
/// The folder that could not be listed, and why. One that is not there matches nothing.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = component.as_os_str();
        let pattern = match (component, part.to_str()) {
            (Component::Normal(_), Some(text)) if is_pattern(text) => text,
            (_, _) => {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
        };
        let mut next = Vec::new();
        for folder in found {
            let names = entries(&folder).map_err(|error| (folder.clone(), error))?;
            next.extend(
                names.into_iter().filter(|name| matches(pattern, name)).map(|name| folder.join(name)),
            );
        }
        found = once_each(next);
    }
    found.retain(|path| path.is_file());
    Ok(found)
}

/// Each file once, whatever the links that lead to it: two links to one folder would double what is below at each level.
fn once_each(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths.retain(|path| fs::metadata(path).map_or(true, |file| seen.insert((file.dev(), file.ino()))));
    paths
}

fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in listing {
        // A name that is not UTF-8 could not be shown in a report; no configuration has one.
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Whether a name is meant by a pattern. Looks back to the last `*` only, so that no pattern is slow.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut retry = None;
    loop {
        let here = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = here;
                retry = Some((pattern.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (_, _) => {
                let Some((behind_star, mut swallowed)) = retry else { return false };
                if swallowed.next().is_none() {
                    return false;
                }
                (pattern, name) = (behind_star.clone(), swallowed.clone());
                retry = Some((behind_star, swallowed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell() {
        for (pattern, name) in
            [("*.toml", "a.toml"), ("*", "x"), ("a?c", "abc"), ("*b*d", "abcbd"), (".*", ".x"), ("a*", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.toml", "a.tom"), ("*", ".x"), ("a?c", "ac"), ("*b*d", "abc"), ("a", "ab"), ("", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(10_000).replace("aaaa", "aaab")[..150]));
    }

    #[test]
    fn links_in_a_circle_are_followed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.toml"), "").expect("a file");
        for link in ["one", "two"] {
            std::os::unix::fs::symlink(".", folder.path().join(link)).expect("a link");
        }
        let pattern = folder.path().join("*/".repeat(30)).join("*.toml");
        assert_eq!(matching(&pattern).expect("a listing").len(), 1);
    }

    #[test]
    fn files_come_in_order_and_folders_and_hidden_files_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.toml", "a.toml", ".hidden.toml", "c.txt"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        fs::create_dir(folder.path().join("d.toml")).expect("a folder");
        let found = matching(&folder.path().join("*.toml")).expect("a listing");
        assert_eq!(found, [folder.path().join("a.toml"), folder.path().join("b.toml")]);
        assert_eq!(matching(&folder.path().join("no*/*.toml")).expect("a listing"), Vec::<PathBuf>::new());
        assert_eq!(matching(&folder.path().join("a.toml/*")).expect("a listing"), Vec::<PathBuf>::new());
    }
}
