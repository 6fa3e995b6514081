//! `reread`, `update`, `add`, `remove` and `avail`: what the configuration says beside what runs, by groups.
//!
//! supervisord keeps the configuration that it has read last. foster does not: each of these verbs reads the file.

use std::collections::BTreeMap;

use foster_core::sorted::sort_by_key;

use super::processes::{Process, parts};
use super::{Session, status};
use crate::control::protocol::{Change, ChangeKind, Reply, Request, Update, UpdateMode, Verdict};

/// A group, as the configuration has it beside foster.
#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    is_active: bool,
    is_configured: bool,
    has_changes: bool,
    /// Whether a process of it ends.
    stops: bool,
    /// foster's programs in it.
    programs: Vec<String>,
}

/// What an update does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    None,
    Removed,
    Changed,
    Added,
}

impl Group {
    fn difference(&self) -> Difference {
        match (self.is_active, self.is_configured) {
            (true, true) if self.has_changes => Difference::Changed,
            (true, true) | (false, false) => Difference::None,
            (true, false) => Difference::Removed,
            (false, true) => Difference::Added,
        }
    }

    fn add(&mut self, program: &str) {
        if !self.programs.iter().any(|known| known == program) {
            self.programs.push(program.to_owned());
        }
    }
}

fn groups(changes: &[Change], processes: &[Process]) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for process in processes {
        let group = groups.entry(parts(&process.name).0.to_owned()).or_default();
        group.is_active = true;
        group.add(process.program());
    }
    for change in changes {
        let name = change.namespec.as_deref().unwrap_or(&change.name);
        let group = groups.entry(parts(name).0.to_owned()).or_default();
        group.is_configured |= change.change != ChangeKind::Removed;
        group.has_changes |= change.change != ChangeKind::Unchanged;
        group.stops |= change.restarts || change.change == ChangeKind::Removed;
        group.add(&change.name);
    }
    groups
}

impl Session<'_, '_> {
    /// What an update would do, and the processes.
    fn preview(&mut self) -> Result<(Vec<Change>, Vec<Process>), u8> {
        let update = Update { mode: UpdateMode::DryRun, ..Update::everything() };
        let replies = self.ask(&Request::Update(update))?;
        let changes = replies
            .into_iter()
            .filter_map(|reply| if let Reply::Change(row) = reply { Some(row) } else { None });
        let mut changes: Vec<Change> = changes.collect();
        // As for processes: what has no name of supervisord's is foster's own.
        if changes.iter().any(|change| change.namespec.is_some()) {
            changes.retain(|change| change.namespec.is_some() || change.instance.is_none());
        }
        Ok((changes, self.processes()?))
    }

    fn groups(&mut self) -> Result<BTreeMap<String, Group>, u8> {
        self.preview().map(|(changes, processes)| groups(&changes, &processes))
    }

    /// Says what has changed, and changes nothing.
    pub(super) fn reread(&mut self) -> u8 {
        let groups = match self.groups() {
            Ok(groups) => groups,
            Err(code) => return code,
        };
        let mut has_changes = false;
        for (name, group) in &groups {
            let word = match group.difference() {
                Difference::None => continue,
                Difference::Removed => "disappeared",
                Difference::Changed => "changed",
                Difference::Added => "available",
            };
            self.say(format!("{name}: {word}"));
            has_changes = true;
        }
        if !has_changes {
            self.say("No config updates to processes");
        }
        status::DONE
    }

    /// Applies what has changed in these groups; without a name, everything.
    pub(super) fn update(&mut self, names: &[String]) -> u8 {
        let groups = match self.groups() {
            Ok(groups) => groups,
            Err(code) => return code,
        };
        let names = if names.iter().any(|name| name == "all") { &[] } else { names };
        let mut code = status::DONE;
        for name in names {
            if groups.get(name).is_none_or(|group| !group.is_active && !group.is_configured) {
                self.say(format!("ERROR: no such group: {name}"));
                code = status::FAILED;
            }
        }
        let meant = groups.iter().filter(|(name, group)| {
            group.difference() != Difference::None && (names.is_empty() || names.contains(name))
        });
        let mut meant: Vec<(&String, &Group)> = meant.collect();
        sort_by_key(&mut meant, |(_, group)| group.difference() as u8);
        let programs = match names {
            // The table `[foster]` as well.
            [] => Vec::new(),
            _ if meant.is_empty() => return code,
            _ => meant.iter().flat_map(|(_, group)| group.programs.iter().cloned()).collect(),
        };
        let failed = match self.apply(programs, UpdateMode::Apply) {
            Ok(failed) => failed,
            Err(code) => return code,
        };
        for (name, group) in meant {
            let done = match group.difference() {
                Difference::Removed => "removed",
                Difference::Added => "added",
                Difference::Changed | Difference::None => "updated",
            };
            if group.stops {
                self.say(format!("{name}: stopped"));
            }
            self.say(format!("{name}: {done} process group"));
        }
        for line in failed {
            self.say(line);
            code = status::FAILED;
        }
        code
    }

    /// Returns a line for each process that does not come up.
    fn apply(&mut self, names: Vec<String>, mode: UpdateMode) -> Result<Vec<String>, u8> {
        let replies = self.ask(&Request::Update(Update { names, mode, wait: true }))?;
        let outcomes = replies
            .into_iter()
            .filter_map(|reply| if let Reply::Outcome(outcome) = reply { Some(outcome) } else { None });
        let failed = outcomes.filter(|outcome| outcome.verdict == Verdict::Failed);
        Ok(failed.map(|outcome| format!("{}: ERROR ({})", outcome.name, outcome.message)).collect())
    }

    pub(super) fn add(&mut self, names: &[String]) -> u8 {
        let mut code = status::DONE;
        for name in names {
            let groups = match self.groups() {
                Ok(groups) => groups,
                Err(code) => return code,
            };
            let Some(group) = groups.get(name) else {
                self.say(format!("ERROR: no such process/group: {name}"));
                code = status::FAILED;
                continue;
            };
            if group.is_active {
                self.say("ERROR: process group already active");
                continue;
            }
            match self.apply(group.programs.clone(), UpdateMode::Apply) {
                Ok(failed) => {
                    self.say(format!("{name}: added process group"));
                    for line in failed {
                        self.say(line);
                        code = status::FAILED;
                    }
                }
                Err(failed) => code = failed,
            }
        }
        code
    }

    pub(super) fn remove(&mut self, names: &[String]) -> u8 {
        let mut code = status::DONE;
        for name in names {
            let all = match self.processes() {
                Ok(all) => all,
                Err(code) => return code,
            };
            let members: Vec<&Process> =
                all.iter().filter(|process| parts(&process.name).0 == name.as_str()).collect();
            if members.is_empty() {
                self.say(format!("ERROR: no such process/group: {name}"));
                code = status::FAILED;
                continue;
            }
            if members.iter().any(|process| !process.state.is_down()) {
                self.say(format!("ERROR: process/group still running: {name}"));
                code = status::FAILED;
                continue;
            }
            let mut group = Group::default();
            members.iter().for_each(|process| group.add(process.program()));
            match self.apply(group.programs, UpdateMode::Remove) {
                Ok(_) => self.say(format!("{name}: removed process group")),
                Err(failed) => code = failed,
            }
        }
        code
    }

    /// Every process of the configuration.
    pub(super) fn avail(&mut self) -> u8 {
        let (mut changes, _) = match self.preview() {
            Ok(preview) => preview,
            Err(code) => return code,
        };
        changes.retain(|change| change.change != ChangeKind::Removed && change.instance.is_some());
        let name = |change: &Change| change.namespec.as_deref().unwrap_or(&change.name).to_owned();
        sort_by_key(&mut changes, |change| parts(&name(change)).1.to_owned());
        for change in &changes {
            let used = if change.change == ChangeKind::Added { "avail" } else { "in use" };
            let start = if change.autostart { "auto" } else { "manual" };
            let priority = change.priority;
            self.say(format!("{:32} {used:9} {start:9} {priority}:{priority}", name(change)));
        }
        status::DONE
    }
}

#[cfg(test)]
mod tests {
    use super::super::processes::processes;
    use super::*;

    use serde_json::json;

    /// A process that foster has: `program group:process`.
    fn row(text: &str) -> Reply {
        let (program, namespec) = text.split_once(' ').unwrap();
        let row = json!({
            "reply": "row", "name": program, "kind": "program", "instance": 0, "instances": 1,
            "label": program, "state": "running", "restarts": 0, "ready": true, "wanted": true,
            "namespec": namespec,
        });
        Reply::parse(row.to_string().as_bytes()).unwrap()
    }

    /// `program group:process change restarts`.
    fn change(text: &str) -> Change {
        let words: Vec<&str> = text.split(' ').collect();
        let change = json!({
            "reply": "change", "name": words[0], "instance": 0, "namespec": words[1], "change": words[2],
            "restarts": words.len() > 3, "keys": [], "autostart": true, "priority": 999,
        });
        let Reply::Change(change) = Reply::parse(change.to_string().as_bytes()).unwrap() else { panic!() };
        change
    }

    fn differences(rows: &[&str], changes: &[&str]) -> String {
        let changes: Vec<Change> = changes.iter().map(|text| change(text)).collect();
        let groups = groups(&changes, &processes(rows.iter().map(|text| row(text)).collect()));
        let shown = groups.iter().map(|(name, group)| {
            let programs = group.programs.join("+");
            let stops = if group.stops { ", stops" } else { "" };
            format!("{name}: {:?} ({programs}){stops}\n", group.difference())
        });
        shown.collect()
    }

    #[test]
    fn a_group_differs_where_one_of_its_programs_does() {
        let rows = ["a g:a", "b g:b", "old old", "same same"];
        let changes = [
            "a g:a unchanged",
            "b g:b changed restarts",
            "old old removed",
            "same same unchanged",
            "n n added",
        ];
        assert_eq!(
            differences(&rows, &changes),
            "g: Changed (a+b), stops\nn: Added (n)\nold: Removed (old), stops\nsame: None (same)\n"
        );
    }

    #[test]
    fn a_program_that_moves_into_a_group_is_removed_and_added() {
        assert_eq!(differences(&["web web"], &["web g:web changed"]), "g: Added (web)\nweb: Removed (web)\n");
    }
}
