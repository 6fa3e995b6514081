//! The formats that `foster migrate` reads: which one a file has, by its name and then by its content.
//!
//! To add one: a variant in `front_end.rs`, its name here, its words in `migrate.rs`, its front-end in `migrate` of `mod.rs`.

use std::path::Path;

use super::diagnostics::Diagnostics;
use super::document::contents;
use super::front_end::Format;
use super::span::{MAIN, Position};

impl Format {
    /// All but foster's own.
    pub const FOREIGN: [Format; 6] =
        [Format::Supervisord, Format::Pm2, Format::Compose, Format::Procfile, Format::S6, Format::Systemd];

    /// Its name for `--from`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Toml => "toml",
            Format::Supervisord => "supervisord",
            Format::Pm2 => "pm2",
            Format::Compose => "compose",
            Format::Procfile => "procfile",
            Format::S6 => "s6",
            Format::Systemd => "systemd",
        }
    }

    /// The format of a file or folder; `None`: it cannot be told.
    pub(super) fn detect(path: &Path) -> Option<Format> {
        if path.is_dir() {
            let names = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            let has_units = names.take(1000).any(|path| path.is_file() && is_unit(&path));
            return Some(if has_units { Format::Systemd } else { Format::S6 });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "Procfile" || name.starts_with("Procfile.") || extension(path) == "procfile" {
            return Some(Format::Procfile);
        }
        if is_unit(path) {
            return Some(Format::Systemd);
        }
        let by_name = Some(Format::of(path)).filter(|format| *format != Format::Toml);
        // PM2 has the same ends as Compose, and its files say `apps`.
        if by_name.is_some() && !matches!(extension(path), "yml" | "yaml" | "json" | "json5") {
            return by_name;
        }
        if extension(path) == "toml" {
            return None;
        }
        let text = contents(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.unwrap_or_default();
        let has_line = |start: &str| text.lines().any(|line| line.trim_start().starts_with(start));
        const SIGNS: [(&str, Format); 6] = [
            ("[supervisord]", Format::Supervisord),
            ("[program:", Format::Supervisord),
            ("[Service]", Format::Systemd),
            ("[Timer]", Format::Systemd),
            ("services:", Format::Compose),
            ("\"services\":", Format::Compose),
        ];
        SIGNS.iter().find(|(sign, _)| has_line(sign)).map(|(_, format)| *format).or(by_name)
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or("")
}

fn is_unit(path: &Path) -> bool {
    matches!(extension(path), "service" | "timer" | "socket")
}

/// Reports that a file has no known format.
pub(super) fn report_unknown(diagnostics: &mut Diagnostics) {
    let note = "`--from FORMAT` names it: supervisord, pm2, compose, procfile, s6, systemd";
    diagnostics.error(Position::File(MAIN), "cannot tell what format this is", note);
}
