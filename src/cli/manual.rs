//! The manual page `docs/foster.1`, generated from the tables of verbs and flags.
//!
//! A test compares the file with this; `UPDATE_EXPECT=1 cargo test` rewrites it.

use super::commands;
use super::flags::{Flag, HELP, VERSION};
use super::help::render;
use super::verb::{Group, Verb};
use crate::roff::Page;

/// The whole page, for man(1).
pub fn manual() -> String {
    let mut page = Page::new("foster", 1, "the first process of a container: init and process manager");
    page.heading("Synopsis");
    page.paragraph("`foster` [VERB] [FLAGS] [NAME...]");
    page.heading("Description");
    page.paragraph(
        "foster starts the programs of its configuration in order, each when its dependencies are ready, restarts \
         them when they fail, reaps orphans, and stops everything in reverse order. Without a verb it is \
         `foster run`. The other verbs talk to the running supervisor over its socket.",
    );
    page.paragraph(
        "A NAME is a program, task or job (`backend`), one of its instances (`backend.0`), a glob (`'web*'`), \
         or `all`.",
    );
    for group in Group::ALL {
        page.heading(group.title());
        commands::all().filter(|verb| verb.group == group).for_each(|verb| add(&mut page, verb));
    }
    page.heading("Flags of all verbs");
    [&HELP, &VERSION].into_iter().for_each(|flag| add_flag(&mut page, flag));
    page.heading("Environment");
    page.entry("FOSTER_CONFIG", "The configuration, unless `-c` names one.");
    page.entry("FOSTER_SOCKET", "The supervisor's socket, unless `--socket` names one.");
    page.entry("FOSTER_LOG", "The level of foster's own log; overrides `log_level`.");
    page.entry("NO_COLOR", "If it is not empty, foster prints no colours.");
    page.heading("Files");
    page.paragraph("`/etc/foster/foster.toml`, `/etc/foster.toml`, `./foster.toml`");
    page.heading("See also");
    page.paragraph("`foster.toml`(5)");
    page.text()
}

fn add(page: &mut Page, verb: &Verb) {
    page.subheading(format!("`foster {}` {}", verb.name, verb.arguments).trim_end());
    page.paragraph(&format!("{}.", verb.summary));
    if !verb.about.is_empty() {
        page.paragraph(verb.about);
    }
    verb.flags.iter().for_each(|flag| add_flag(page, flag));
    if !verb.examples.is_empty() {
        page.paragraph("Examples:");
    }
    for (line, purpose) in verb.examples {
        page.entry(format!("foster {line}").trim_end(), &format!("{purpose}."));
    }
    page.paragraph("Exit status:");
    for (status, meaning) in verb.statuses {
        page.entry(&status.0.to_string(), &format!("{meaning}."));
    }
}

fn add_flag(page: &mut Page, flag: &Flag) {
    page.entry(render(flag).trim_start(), &format!("{}.", flag.summary));
}

#[cfg(test)]
mod tests {
    use super::*;

    use expect_test::expect_file;

    #[test]
    fn the_manual_page_is_up_to_date() {
        expect_file!["../../docs/foster.1"].assert_eq(&manual());
    }
}
