//! The image as `foster init` sees it: files below a root, the working directory, PATH.
//!
//! Files are read whole up to a limit; what cannot be read counts as missing. A test gives another root.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bounded_read::{self, Accept};

/// The most bytes of one file that are looked at.
const LARGEST: usize = 1 << 20;
/// The most files that one search looks at.
const MOST_FILES: usize = 4000;

/// The files and variables of an image.
#[derive(Debug)]
pub struct Image {
    root: PathBuf,
    directory: PathBuf,
    path: Vec<PathBuf>,
    /// Variables that a configuration may refer to.
    variables: Vec<OsString>,
}

/// Folders that hold no application of the user's.
const SKIPPED: [&str; 12] = [
    "node_modules",
    "venv",
    "env",
    "site-packages",
    "__pycache__",
    "tests",
    "test",
    "migrations",
    "dist",
    "build",
    "docs",
    "vendor",
];

impl Image {
    /// The image below `root`; `directory` is the working directory within it.
    pub fn new(root: &Path, directory: &Path, path: &str, variables: Vec<OsString>) -> Image {
        let path = path.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
        Image { root: root.to_path_buf(), directory: directory.to_path_buf(), path, variables }
    }

    /// The working directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether this variable is set.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|known| known == name)
    }

    /// The text of a file, given by its path in the image.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        let bytes = bounded_read::read(&self.real(path), LARGEST, Accept::Regular).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether a path exists in the image.
    pub(super) fn exists(&self, path: &Path) -> bool {
        self.real(path).exists()
    }

    /// A user for an application, from /etc/passwd: the first that an image's author has added, else `www-data`.
    pub(super) fn user(&self) -> Option<String> {
        let text = self.text(Path::new("/etc/passwd"))?;
        let users: Vec<(&str, u32)> = text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                Some((fields.next()?, fields.nth(1)?.parse().ok()?))
            })
            .collect();
        // The range of useradd(8); `nobody` is above it.
        let added = users.iter().find(|(_, uid)| (1000..60_000).contains(uid));
        let found = added.or_else(|| users.iter().find(|(name, _)| *name == "www-data"));
        found.map(|(name, _)| (*name).to_owned())
    }

    /// Whether a path is a symbolic link to a device such as `/dev/stdout`.
    pub(super) fn leads_to_device(&self, path: &Path) -> bool {
        fs::read_link(self.real(path)).is_ok_and(|target| target.starts_with("/dev"))
    }

    /// The path of a command in PATH.
    pub(super) fn command(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(name)).find(|path| self.real(path).is_file())
    }

    /// The first command of PATH that starts with this, such as `php-fpm8.2`.
    pub(super) fn command_with_prefix(&self, prefix: &str) -> Option<String> {
        self.path.iter().find_map(|folder| {
            let names = self.names(folder);
            names.into_iter().find(|name| name.starts_with(prefix))
        })
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.real(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        foster_core::sorted::sort(&mut names);
        names
    }

    /// The files with this extension below a folder, at most three folders deep, the nearest first.
    pub(super) fn files(&self, folder: &Path, extension: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut level = vec![folder.to_path_buf()];
        let mut seen = 0;
        for _ in 0..4 {
            let mut next = Vec::new();
            for folder in level {
                for name in self.names(&folder) {
                    seen += 1;
                    if seen > MOST_FILES {
                        return found;
                    }
                    let path = folder.join(&name);
                    // A link may lead anywhere, also in a cycle.
                    let Ok(kind) = fs::symlink_metadata(self.real(&path)) else { continue };
                    if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                        next.push(path);
                    } else if kind.is_file() && path.extension().is_some_and(|kind| kind == extension) {
                        found.push(path);
                    }
                }
            }
            level = next;
        }
        found
    }

    /// The folders in which an application is looked for: the working directory, then the usual ones.
    pub(super) fn application_folders(&self) -> Vec<PathBuf> {
        let usual = ["/app", "/usr/src/app", "/srv/app", "/srv", "/code", "/opt/app", "/workspace"];
        let mut folders = vec![self.directory.clone()];
        folders.extend(usual.map(PathBuf::from));
        // The root of the file system is not the folder of an application: a search there would find all of the image.
        folders.retain(|folder| folder != Path::new("/"));
        folders
    }

    fn real(&self, path: &Path) -> PathBuf {
        let path = self.directory.join(path);
        self.root.join(path.strip_prefix("/").unwrap_or(&path))
    }
}
