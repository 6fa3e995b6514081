//! The files that a glob in `include` matches.
//!
//! As in a shell, a part of a path matches within its folder, only a dot matches a leading dot (a mounted ConfigMap
//! keeps its real files in `..data`), and files are sorted by name. Next: `crate::glob`, the patterns.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::glob;

/// The files that match the pattern, sorted by name; folders do not match.
///
/// # Errors
/// The folder that could not be listed, and why. In a missing folder nothing matches.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = component.as_os_str();
        let pattern = match (component, part.to_str()) {
            (Component::Normal(_), Some(text)) if glob::is_pattern(text) => text,
            (_, _) => {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
        };
        let mut next = Vec::new();
        for folder in found {
            let names = entries(&folder).map_err(|error| (folder.clone(), error))?;
            next.extend(
                names.into_iter().filter(|name| is_match(pattern, name)).map(|name| folder.join(name)),
            );
        }
        found = once_each(next);
    }
    found.retain(|path| path.is_file());
    Ok(found)
}

/// Removes paths of the same file: two links to one folder would double the files at each level.
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
        // A name that is not UTF-8 cannot be printed in a report and is skipped.
        names.extend(entry?.file_name().into_string());
    }
    foster_core::sorted::sort(&mut names);
    Ok(names)
}

/// Whether a file's name matches: as in a shell, only a dot matches a leading dot.
fn is_match(pattern: &str, name: &str) -> bool {
    (!name.starts_with('.') || pattern.starts_with('.')) && glob::matches(pattern, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_a_cycle_are_followed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.toml"), "").expect("a file");
        for link in ["one", "two"] {
            std::os::unix::fs::symlink(".", folder.path().join(link)).expect("a link");
        }
        let pattern = folder.path().join("*/".repeat(30)).join("*.toml");
        assert_eq!(matching(&pattern).expect("a listing").len(), 1);
    }

    #[test]
    fn files_are_sorted_and_folders_and_hidden_files_do_not_match() {
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
