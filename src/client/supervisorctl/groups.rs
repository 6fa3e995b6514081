//! `reread`, `update`, `add`, `remove` and `avail`: what the configuration says beside what runs, by groups.
//!
//! supervisord keeps the configuration that it has read last. foster does not: each of these verbs reads the file.

use std::path::PathBuf;

use foster_core::sorted::{SortedMap, sort_by_key};

use super::server::{Failure, Server, run};
use super::{Session, faults, names, status};
use crate::client::collect;
use crate::control::protocol::{Outcome, Reply, Request, Update, UpdateMode, Verdict};
use crate::xmlrpc::groups::{Difference, all_groups};
use crate::xmlrpc::value::Value;

/// What has changed, by names of groups.
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let texts = value.map_or(&[][..], Value::elements).iter();
    texts.filter_map(|text| if let Value::Text(text) = text { Some(text.clone()) } else { None }).collect()
}

impl Session<'_, '_> {
    fn changes(&mut self) -> Result<Changes, Failure> {
        let result = self.server.list("reloadConfig", &[])?;
        let lists = result.first().map_or(&[][..], Value::elements);
        Ok(Changes {
            added: texts(lists.first()),
            changed: texts(lists.get(1)),
            removed: texts(lists.get(2)),
        })
    }

    /// Says what has changed, and changes nothing.
    pub(super) fn reread(&mut self) -> Result<(), Failure> {
        let Changes { added, changed, removed } = match self.changes() {
            Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => {
                return self.refused("ERROR: supervisor shutting down");
            }
            Err(Failure::Fault(faults::CANT_REREAD, text)) => return self.refused(&format!("ERROR: {text}")),
            changes => changes?,
        };
        // Of a group that is in several lists, the last one counts.
        let mut words: SortedMap<String, &str> = SortedMap::new();
        for (names, word) in [(added, "available"), (changed, "changed"), (removed, "disappeared")] {
            for name in names {
                words.insert(name, word);
            }
        }
        for (name, word) in words.iter() {
            self.say(format!("{name}: {word}"));
        }
        if words.iter().next().is_none() {
            self.say("No config updates to processes");
        }
        Ok(())
    }

    fn refused(&mut self, line: &str) -> Result<(), Failure> {
        self.say(line);
        self.code = status::FAILED;
        Ok(())
    }

    /// Every process of the configuration.
    pub(super) fn avail(&mut self) -> Result<(), Failure> {
        let infos = match self.server.list("getAllConfigInfo", &[]) {
            Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => {
                return self.refused("ERROR: supervisor shutting down");
            }
            infos => infos?,
        };
        for info in &infos {
            let name = names::join(info.text_of("group"), info.text_of("name"));
            let used = if info.int_of("inuse") == 0 { "avail" } else { "in use" };
            let start = if info.int_of("autostart") == 0 { "manual" } else { "auto" };
            let (group, process) = (info.int_of("group_prio"), info.int_of("process_prio"));
            self.say(format!("{name:32} {used:9} {start:9} {group}:{process}"));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, names: &[&str]) -> Result<(), Failure> {
        for &name in names {
            match self.server.call("addProcessGroup", &[Value::text(name)]) {
                Ok(_) => self.say(format!("{name}: added process group")),
                Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => self.refused("ERROR: shutting down")?,
                Err(Failure::Fault(faults::ALREADY_ADDED, _)) => {
                    self.say("ERROR: process group already active");
                }
                Err(Failure::Fault(faults::BAD_NAME, _)) => {
                    self.refused(&format!("ERROR: no such process/group: {name}"))?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, names: &[&str]) -> Result<(), Failure> {
        for &name in names {
            match self.server.call("removeProcessGroup", &[Value::text(name)]) {
                Ok(_) => self.say(format!("{name}: removed process group")),
                Err(Failure::Fault(faults::STILL_RUNNING, _)) => {
                    self.refused(&format!("ERROR: process/group still running: {name}"))?;
                }
                Err(Failure::Fault(faults::BAD_NAME, _)) => {
                    self.refused(&format!("ERROR: no such process/group: {name}"))?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Applies what has changed in these groups; without a name, everything.
    pub(super) fn update(&mut self, names: &[&str]) -> Result<(), Failure> {
        let names = if names.contains(&"all") { &[] } else { names };
        if let Server::Foster(sockets) = &self.server {
            let sockets = sockets.clone();
            return self.update_at_once(&sockets, names);
        }
        let Changes { added, changed, removed } = match self.changes() {
            Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => {
                return self.refused("ERROR: already shutting down");
            }
            changes => changes?,
        };
        if !names.is_empty() {
            let all = self.server.list("getAllProcessInfo", &[])?;
            let is_known = |name: &str| {
                added.iter().any(|group| group == name)
                    || all.iter().any(|info| info.text_of("group") == name)
            };
            let unknown: Vec<&str> = names.iter().copied().filter(|name| !is_known(name)).collect();
            for name in unknown {
                self.refused(&format!("ERROR: no such group: {name}"))?;
            }
        }
        let is_meant = |name: &String| names.is_empty() || names.contains(&name.as_str());
        for group in removed.iter().filter(|name| is_meant(name)) {
            let name = [Value::text(&**group)];
            let stopped = self.server.list("stopProcessGroup", &name)?;
            self.say(format!("{group}: stopped"));
            if stopped.iter().any(|result| result.int_of("status") == faults::FAILED) {
                self.refused(&format!("{group}: has problems; not removing"))?;
                continue;
            }
            self.server.call("removeProcessGroup", &name)?;
            self.say(format!("{group}: removed process group"));
        }
        for group in changed.iter().filter(|name| is_meant(name)) {
            let name = [Value::text(&**group)];
            self.server.list("stopProcessGroup", &name)?;
            self.say(format!("{group}: stopped"));
            self.server.call("removeProcessGroup", &name)?;
            self.server.call("addProcessGroup", &name)?;
            self.say(format!("{group}: updated process group"));
        }
        for group in added.iter().filter(|name| is_meant(name)) {
            self.server.call("addProcessGroup", &[Value::text(&**group)])?;
            self.say(format!("{group}: added process group"));
        }
        Ok(())
    }

    /// On foster's own socket an update is one step: all of it or nothing, and what has not changed runs on.
    fn update_at_once(&mut self, sockets: &[PathBuf], names: &[&str]) -> Result<(), Failure> {
        let groups = match run(sockets, all_groups) {
            // Each mistake is printed below.
            Err(Failure::Fault(faults::CANT_REREAD, _)) => SortedMap::new(),
            groups => groups?,
        };
        for name in names {
            if groups.get(&(*name).to_owned()).is_none_or(|group| !group.exists()) {
                self.refused(&format!("ERROR: no such group: {name}"))?;
            }
        }
        let meant = groups.iter().filter(|(name, group)| {
            group.difference() != Difference::None && (names.is_empty() || names.contains(&name.as_str()))
        });
        let mut meant: Vec<_> = meant.collect();
        sort_by_key(&mut meant, |(_, group)| group.difference() as u8);
        let programs = match names {
            // The table `[foster]` as well.
            [] => Vec::new(),
            _ if meant.is_empty() => return Ok(()),
            _ => meant.iter().flat_map(|(_, group)| group.programs.iter().cloned()).collect(),
        };
        let request = Request::Update(Update { names: programs, mode: UpdateMode::Apply, wait: true });
        let replies = match collect(sockets, &request, |line| self.say(line)) {
            Ok(replies) => replies,
            Err(failure) => return self.refused(&failure.render()),
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
        for reply in &replies {
            if let Reply::Outcome(Outcome { verdict: Verdict::Failed, name, message, .. }) = reply {
                self.refused(&format!("{name}: ERROR ({message})"))?;
            }
        }
        Ok(())
    }
}
