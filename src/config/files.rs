//! The files of another tool, read within bounds: each with its number for places.
//!
//! A file may be anything: a FIFO, a device, one of a gigabyte. Next: `compose.rs`, `procfile.rs`, which read.

use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostics;
use super::document::{add_text, contents, unreadable};
use super::span::{Position, Span};
use crate::yaml;

/// The bytes of all files of one tool together.
const LARGEST: usize = 8 << 20;
/// The files of one tool: an image has some tens.
const MOST_FILES: usize = 2000;

/// The files that a front-end reads.
pub(super) struct Files<'a> {
    pub(super) diagnostics: &'a mut Diagnostics,
    size: usize,
    count: usize,
}

impl Files<'_> {
    pub(super) fn new(diagnostics: &mut Diagnostics) -> Files<'_> {
        Files { diagnostics, size: 0, count: 0 }
    }

    /// Adds a file that must be there; returns its number.
    pub(super) fn read(&mut self, path: &Path) -> Option<usize> {
        match contents(path) {
            Ok(bytes) => self.add(path, bytes),
            Err(reason) => {
                unreadable(self.diagnostics, path, None, &reason);
                None
            }
        }
    }

    /// Adds a file if it is there.
    pub(super) fn read_if_present(&mut self, path: &Path) -> Option<usize> {
        // A link that leads nowhere is an error.
        path.symlink_metadata().is_ok().then(|| self.read(path)).flatten()
    }

    fn add(&mut self, path: &Path, bytes: Vec<u8>) -> Option<usize> {
        self.size = self.size.saturating_add(bytes.len());
        self.count += 1;
        if self.size > LARGEST || self.count > MOST_FILES {
            let message = match self.size > LARGEST {
                true => format!("the files together are larger than {} MiB", LARGEST >> 20),
                false => format!("there are more than {MOST_FILES} files"),
            };
            self.diagnostics.error(
                Position::Nowhere,
                message,
                format!("the last one is `{}`", path.display()),
            );
            return None;
        }
        add_text(self.diagnostics, path, bytes)
    }

    /// The text of a file, which is often needed beside the diagnostics.
    pub(super) fn text(&self, number: usize) -> String {
        self.diagnostics.text(number).to_owned()
    }

    /// The paths in a folder, sorted; a folder that cannot be listed is an error.
    pub(super) fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().take(MOST_FILES + 1).map(|entry| entry.path()).collect(),
            Err(error) => {
                unreadable(self.diagnostics, folder, None, &crate::errno::words(&error));
                Vec::new()
            }
        };
        foster_core::sorted::sort(&mut paths);
        paths
    }

    /// The values of a YAML or JSON file.
    pub(super) fn yaml(&mut self, number: usize) -> Option<yaml::Node> {
        match yaml::parse(self.diagnostics.text(number)) {
            Ok(node) => Some(node),
            Err(fault) => {
                self.diagnostics.syntax_error(at(number, &fault.place), fault.message, fault.note);
                None
            }
        }
    }
}

/// The span of a place.
pub(super) fn at(file: usize, place: &std::ops::Range<usize>) -> Span {
    Span { file, start: place.start, end: place.end }
}
