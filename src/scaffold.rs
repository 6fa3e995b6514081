//! `foster init`: a first configuration for the programs that an image contains.
//!
//! It looks at files and executes none of them. A file that lists programs already (supervisord, PM2, Procfile) wins over
//! what the image's software suggests. It never overwrites a file. Next: `scaffold/image.rs`, what it looks at, and
//! `scaffold/entry.rs`, what it writes.

mod entry;
mod image;
mod node;
mod pm2;
mod procfile;
mod python;
mod servers;
mod supervisord;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::errno;
use entry::Entry;
pub use image::Image;

/// A first configuration.
#[derive(Debug)]
pub struct Proposal {
    /// The text of the file.
    pub text: String,
    /// The programs, each with the reason for it.
    pub programs: Vec<(String, String)>,
}

/// Reports that the image contains no known program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingFound;

/// Looks at the image and writes a configuration for it.
///
/// # Errors
/// The image contains nothing that it knows.
pub fn propose(image: &Image) -> Result<Proposal, NothingFound> {
    let listed = supervisord::read(image).or_else(|| pm2::read(image)).or_else(|| procfile::read(image));
    let entries = listed.unwrap_or_else(|| suggested(image));
    if entries.is_empty() {
        return Err(NothingFound);
    }
    let programs = entries.iter().map(|entry| (entry.name.clone(), entry.reason.clone())).collect();
    Ok(Proposal { text: entry::render(&entries), programs })
}

/// The programs that the installed software suggests: applications first, then the servers in front of them.
fn suggested(image: &Image) -> Vec<Entry> {
    let proxied = servers::proxied_ports(image);
    let has_front = servers::has_nginx(image);
    let mut entries = Vec::new();
    entries.extend(python::find(image, &proxied, has_front));
    entries.extend(node::find(image, &proxied));
    entries.extend(servers::find(image, &entries));
    entries
}

/// Writes the configuration to a file that does not exist yet.
///
/// # Errors
/// The sentence for people: the file exists, or cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let shown = path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return format!(
                "`{shown}` exists and is not overwritten: name another file, or print it with `foster init -`"
            );
        }
        format!("cannot write `{shown}`: {}", errno::words(&error))
    })?;
    file.write_all(text.as_bytes())
        .map_err(|error| format!("cannot write `{shown}`: {}", errno::words(&error)))
}

#[cfg(test)]
mod tests;
