//! `status` and `pid`: what the server says about its processes.

use super::server::Failure;
use super::{Session, faults, names, status};
use crate::xmlrpc::value::Value;

/// The states of a process that is down: STOPPED, EXITED, FATAL, UNKNOWN.
const DOWN: [i64; 4] = [0, 100, 200, 1000];
/// That of one that runs.
pub(super) const RUNNING: i64 = 20;

impl Session<'_, '_> {
    pub(super) fn status(&mut self, words: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            // That it cannot be asked means that its state is unknown.
            self.code = status::UNKNOWN;
            return Ok(());
        }
        let all = self.server.list("getAllProcessInfo", &[])?;
        let mut shown: Vec<&Value> = Vec::new();
        if words.is_empty() || words.contains(&"all") {
            shown.extend(&all);
        } else {
            for word in words {
                let (group, process) = names::split(word);
                let before = shown.len();
                shown.extend(all.iter().filter(|info| {
                    info.text_of("group") == group && process.is_none_or(|name| info.text_of("name") == name)
                }));
                if shown.len() == before {
                    self.say(match process {
                        None => format!("{group}: ERROR (no such group)"),
                        Some(_) => format!("{word}: ERROR (no such process)"),
                    });
                    self.code = status::UNKNOWN;
                }
            }
        }
        let name = |info: &Value| names::join(info.text_of("group"), info.text_of("name"));
        let width = shown.iter().map(|info| name(info).chars().count()).max().unwrap_or(0).max(30) + 3;
        for info in &shown {
            let (state, description) = (info.text_of("statename"), info.text_of("description"));
            self.say(format!("{:width$}{state:10}{description}", name(info)));
        }
        if shown.iter().any(|info| DOWN.contains(&info.int_of("state"))) {
            self.code = status::NOT_UP;
        }
        Ok(())
    }

    pub(super) fn pid(&mut self, words: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        if words.is_empty() {
            if let Value::Int(pid) = self.server.call("getPID", &[])? {
                self.say(pid.to_string());
            }
            return Ok(());
        }
        if words.contains(&"all") {
            for info in &self.server.list("getAllProcessInfo", &[])? {
                self.say(info.int_of("pid").to_string());
            }
            return Ok(());
        }
        for &name in words {
            match self.server.call("getProcessInfo", &[Value::text(name)]) {
                Ok(info) => {
                    let pid = info.int_of("pid");
                    self.say(pid.to_string());
                    if pid == 0 {
                        self.code = status::NOT_RUNNING;
                    }
                }
                Err(Failure::Fault(faults::BAD_NAME, _)) => {
                    self.say(format!("No such process {name}"));
                    self.code = status::FAILED;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}
