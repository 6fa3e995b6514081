//! `.socket`: the listening sockets that systemd would open, as `sockets` (systemd.socket(5)).

use super::super::diagnostics::Diagnostics;
use super::super::front_end::{ignored, list, set};
use super::super::table::Table;
use super::unit::Unit;

/// Adds the sockets of a unit to the table of its service.
pub(super) fn read(unit: &Unit, table: &mut Table, diagnostics: &mut Diagnostics) {
    let value = |key: &str| unit.get(key).map(|setting| setting.value.clone());
    let mut urls = Vec::new();
    for setting in unit.settings.iter().filter(|setting| setting.section == "Socket") {
        match setting.key.as_str() {
            "ListenStream" => {
                let mut options: Vec<String> = Vec::new();
                let address = setting.value.as_str();
                let is_path = address.starts_with(['/', '@']);
                let keys = [
                    ("backlog", "Backlog"),
                    ("name", "FileDescriptorName"),
                    ("mode", "SocketMode"),
                    ("user", "SocketUser"),
                    ("group", "SocketGroup"),
                ];
                for (option, key) in
                    keys.into_iter().filter(|(option, _)| is_path || ["backlog", "name"].contains(option))
                {
                    options.extend(value(key).map(|value| format!("{option}={value}")));
                }
                if address.starts_with('/') && value("SocketMode").is_none() {
                    options.push("mode=0666".to_owned());
                }
                let url = match address {
                    path if is_path => format!("unix://{path}"),
                    port if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("tcp://[::]:{port}"),
                    address => format!("tcp://{address}"),
                };
                urls.push(if options.is_empty() { url } else { format!("{url}?{}", options.join("&")) });
            }
            "Accept" if matches!(setting.value.as_str(), "no" | "false" | "0" | "off") => {}
            "Accept" => {
                let note = "expected a server that accepts connections itself";
                diagnostics.error(setting.span, "foster starts no process for each connection", note);
            }
            "SocketMode" | "SocketUser" | "SocketGroup" | "Backlog" | "FileDescriptorName" | "Service" => {}
            other => ignored(diagnostics, setting.key_span, other, "`sockets` has no such option"),
        }
    }
    if let Some(first) = unit.get("ListenStream") {
        set(table, "sockets", list(&urls, first.span), first.span);
    }
}
