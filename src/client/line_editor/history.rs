//! The lines before: kept in memory, and in a file, one a line, as readline keeps them.
//!
//! A file that cannot be read or written costs its history alone.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bounded_read::{self, Accept};

/// The most lines.
const LINES: usize = 1000;
/// The largest file in bytes.
const LARGEST: usize = 1 << 20;

/// The lines before, and the one that is looked at.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    /// How many lines back; 0: the new line, which is put aside in `new`.
    back: usize,
    new: String,
}

impl History {
    pub(super) fn load(path: &Path) -> History {
        let bytes = bounded_read::read(path, LARGEST, Accept::Regular).unwrap_or_default();
        let mut history = History::default();
        String::from_utf8_lossy(&bytes).lines().for_each(|line| history.add(line));
        history
    }

    pub(super) fn save(&self, path: &Path) {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }

    /// Adds a line, unless it is empty or the last one again.
    pub(super) fn add(&mut self, line: &str) {
        (self.back, self.new) = (0, String::new());
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push_back(line.to_owned());
        if self.lines.len() > LINES {
            self.lines.pop_front();
        }
    }

    /// The line before the one that is shown, whose text is `shown`.
    pub(super) fn earlier(&mut self, shown: &str) -> Option<String> {
        let line = self.at(self.back + 1)?;
        if self.back == 0 {
            shown.clone_into(&mut self.new);
        }
        self.back += 1;
        Some(line)
    }

    /// The line after it.
    pub(super) fn later(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 { Some(std::mem::take(&mut self.new)) } else { self.at(self.back) }
    }

    fn at(&self, back: usize) -> Option<String> {
        self.lines.len().checked_sub(back).and_then(|at| self.lines.get(at)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again_and_the_new_one_comes_back() {
        let mut history = History::default();
        ["one", "two", "two", " "].iter().for_each(|line| history.add(line));
        assert_eq!(history.earlier("ne").as_deref(), Some("two"));
        assert_eq!(history.earlier("two").as_deref(), Some("one"));
        assert_eq!(history.earlier("one"), None);
        assert_eq!(history.later().as_deref(), Some("two"));
        assert_eq!(history.later().as_deref(), Some("ne"));
        assert_eq!(history.later(), None);
    }

    #[test]
    fn a_file_keeps_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut history = History::load(&path);
        (0..LINES + 5).for_each(|number| history.add(&format!("line {number}")));
        history.save(&path);
        let mut again = History::load(&path);
        assert_eq!((again.lines.len(), again.earlier("")), (LINES, Some(format!("line {}", LINES + 4))));
        history.save(Path::new("/nowhere/history"));
    }
}
