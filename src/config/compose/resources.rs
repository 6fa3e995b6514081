//! What a service may use: instances, memory, limits, capabilities.
//!
//! `deploy` has the same as older keys beside it. The rest of a service is in `service.rs`; what only a container can have
//! is named as such.

use super::super::front_end::{ignored, list, set, text};
use super::super::span::Span;
use super::super::table::{Kind, Table};
use super::service::{CONTAINER, Reading};
use crate::yaml::Node;

impl Reading<'_, '_, '_> {
    pub(super) fn instances(&mut self, node: &Node) {
        if let Some(count) = self.number("replicas", node).filter(|kind| !matches!(kind, Kind::Integer(1))) {
            self.set("instances", count, node);
        }
    }

    pub(super) fn deploy(&mut self, node: &Node) {
        for (key, value) in node.entries() {
            let span = super::at(self.context.number, &key.place);
            match key.text.as_str() {
                "replicas" => self.instances(value),
                "resources" => {
                    let limits = value.get("limits");
                    if let Some(memory) = limits.and_then(|limits| limits.get("memory")) {
                        self.memory(memory);
                    }
                    let others = limits.map_or(&[][..], Node::entries).iter().chain(value.entries());
                    let others: Vec<_> = others
                        .filter(|(key, _)| !["memory", "limits"].contains(&key.text.as_str()))
                        .collect();
                    for (key, _) in others {
                        let span = super::at(self.context.number, &key.place);
                        ignored(self.context.files.diagnostics, span, &key.text, CONTAINER);
                    }
                }
                "restart_policy" => {
                    ignored(self.context.files.diagnostics, span, "restart_policy", "`restart` says it")
                }
                other => ignored(self.context.files.diagnostics, span, other, "it is for a cluster"),
            }
        }
    }

    pub(super) fn memory(&mut self, node: &Node) {
        let Some(written) = self.text("memory", node) else { return };
        let upper = written.to_ascii_uppercase();
        let size = if written.contains("${") { &written } else { upper.trim_end_matches('B') };
        self.set("memory_max", text(size), node);
    }

    pub(super) fn ulimits(&mut self, node: &Node) {
        let mut limits = Table::default();
        for (key, value) in node.entries() {
            let span = self.span(value);
            let kind = match (value.get("soft"), value.get("hard")) {
                (Some(soft), Some(hard)) => {
                    let both = [self.limit(soft), self.limit(hard)].into_iter().flatten();
                    let both: Vec<_> = both.map(|kind| super::Value { kind, span }).collect();
                    Some(Kind::Array(both))
                }
                (soft, hard) => self.limit(soft.or(hard).unwrap_or(value)),
            };
            if let Some(kind) = kind {
                set(&mut limits, &key.text, kind, span);
            }
        }
        self.set("limits", Kind::Table(limits), node);
    }

    fn limit(&mut self, node: &Node) -> Option<Kind> {
        let number = self.number("ulimits", node)?;
        Some(if matches!(number, Kind::Integer(-1)) { text("unlimited") } else { number })
    }

    /// Without all capabilities, those that are added are what is left; else the container has more than one can list.
    pub(super) fn capabilities(&mut self, node: &Node) {
        let texts =
            |reading: &mut Self, key| node.get(key).map_or(Vec::new(), |node| reading.texts(key, node));
        let (added, dropped) = (texts(self, "cap_add"), texts(self, "cap_drop"));
        let all = dropped.iter().any(|name| name.eq_ignore_ascii_case("all"));
        if let (true, Some(node)) = (all, node.get("cap_drop")) {
            let names: Vec<String> = added
                .iter()
                .map(|name| name.to_ascii_lowercase().trim_start_matches("cap_").to_owned())
                .collect();
            let kind = list(&names, self.span(node));
            self.set("capabilities", kind, node);
        }
    }

    pub(super) fn security_opt(&mut self, span: Span, node: &Node) {
        for option in self.texts("security_opt", node) {
            match option.as_str() {
                "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                    self.set("no_new_privileges", Kind::Boolean(true), node);
                }
                other => ignored(self.context.files.diagnostics, span, other, CONTAINER),
            }
        }
    }
}
