//! What a service waits for, and how often it is restarted.
//!
//! Only units that are there can be waited for. systemd counts starts within a time, foster failures in a row: a limit that
//! the wait between restarts keeps out of reach is none.

use super::super::front_end::{DEFAULT, ignored, list, set, text};
use super::super::table::{Kind, Table};
use super::service::{Reading, duration};

/// systemd's limit: five starts in ten seconds.
const BURST: i64 = 5;
const INTERVAL: u64 = 10;

impl Reading<'_> {
    /// Those of the units that are there; targets are moments of a machine's start.
    pub(super) fn dependencies(&mut self, is_job: bool) {
        let (mut after, mut requires): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let mut span = DEFAULT;
        for setting in self.unit.settings.clone().iter().filter(|setting| setting.section == "Unit") {
            let is_requirement = matches!(setting.key.as_str(), "Requires" | "Requisite" | "BindsTo");
            if !is_requirement && setting.key != "After" {
                if matches!(setting.key.as_str(), "Before" | "PartOf") {
                    self.ignore(setting, "`after` and `requires` of the other unit say it");
                }
                continue;
            }
            for name in setting.value.split_whitespace() {
                // The socket of a service is its own.
                let is_silent = [".target", ".socket", ".mount", ".slice", ".device"]
                    .iter()
                    .any(|kind| name.ends_with(kind));
                match self.names.iter().find(|(known, _)| known == name).map(|(_, own)| own.clone()) {
                    Some(_) if is_job => self.ignore(setting, "a job runs when it is due"),
                    Some(own) => {
                        span = setting.span;
                        let list = if is_requirement { &mut requires } else { &mut after };
                        list.push(own);
                    }
                    None if is_silent => {}
                    None => ignored(self.diagnostics, setting.span, name, "it is not among these units"),
                }
            }
        }
        after.retain(|name| !requires.contains(name));
        let waits = !after.is_empty() || !requires.is_empty();
        if waits && !self.is_program {
            set(&mut self.table, "priority", Kind::Integer(999), span);
        }
        for (key, names) in [("after", after), ("requires", requires)] {
            if !names.is_empty() {
                set(&mut self.table, key, list(&names, span), span);
            }
        }
    }

    /// `Restart`, the wait before it, and how often.
    pub(super) fn restarts(&mut self) {
        let policy = self.unit.get("Restart").cloned();
        match policy.as_ref().map_or("no", |setting| setting.value.as_str()) {
            "always" => {}
            "no" => set(
                &mut self.table,
                "restart",
                text("never"),
                policy.as_ref().map_or(DEFAULT, |setting| setting.span),
            ),
            other => {
                if let Some(setting) = &policy {
                    if other != "on-failure" {
                        self.ignore(setting, "the nearest is `on-failure`");
                    }
                    self.set("restart", text("on-failure"), setting);
                }
            }
        }
        let wait = self.unit.get("RestartSec").cloned();
        let delay = wait.as_ref().and_then(|setting| duration(&setting.value));
        if let (Some(setting), Some(delay)) = (&wait, &delay) {
            let mut backoff = Table::default();
            set(&mut backoff, "initial", text(delay), setting.span);
            set(&mut backoff, "factor", Kind::Integer(1), DEFAULT);
            self.set("backoff", Kind::Table(backoff), setting);
        }
        let burst = self.unit.get("StartLimitBurst").cloned();
        let interval =
            self.unit.get("StartLimitIntervalSec").or(self.unit.get("StartLimitInterval")).cloned();
        let seconds = |text: &str| humantime::parse_duration(text).map_or(0, |time| time.as_secs());
        let interval = interval
            .map_or(INTERVAL, |setting| duration(&setting.value).map_or(u64::MAX, |time| seconds(&time)));
        let count: i64 = burst.as_ref().and_then(|setting| setting.value.parse().ok()).unwrap_or(BURST);
        // So far apart, the starts never reach the limit.
        let apart = delay.map_or(0, |delay| seconds(&delay)).saturating_mul(count.unsigned_abs());
        let kind = if interval == 0 || count == 0 || apart > interval {
            text("unlimited")
        } else {
            Kind::Integer(count)
        };
        let restarts = policy.is_some_and(|setting| setting.value != "no");
        if restarts {
            set(&mut self.table, "start_limit", kind, burst.map_or(DEFAULT, |setting| setting.span));
        }
    }
}
