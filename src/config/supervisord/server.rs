//! `[unix_http_server]` and `[inet_http_server]`: the servers of XML-RPC, as tables that `config/web.rs` reads.

use super::super::front_end::{ignored, set, text};
use super::super::phrase::quoted;
use super::super::table::Table;
use super::Section;
use super::typed::Typed;

/// The URL of a server for its clients, and its table. `None`: it has no address.
pub(super) fn read(typed: &mut Typed<'_>, section: &Section) -> Option<(String, Table)> {
    let is_unix = section.kind == "unix_http_server";
    let key = if is_unix { "file" } else { "port" };
    let Some(setting) = section.get(key) else {
        let message = format!("`[{}]` has no `{key}`", section.kind);
        typed.diagnostics.error(
            section.span,
            message,
            format!("expected `{key}`, as supervisord itself does"),
        );
        return None;
    };
    let place = typed.plain(setting)?;
    let (url, mut listen) = if is_unix {
        let path = std::path::absolute(&place).map_or(place, |path| path.display().to_string());
        (format!("unix://{path}"), format!("unix://{path}"))
    } else {
        let (host, port) = place.rsplit_once(':').unwrap_or(("", &place));
        let is_any = matches!(host, "" | "*");
        let (named, bound) = if is_any { ("localhost", "0.0.0.0") } else { (host, host) };
        (format!("http://{named}:{port}"), format!("tcp://{bound}:{port}"))
    };
    let mut options: Vec<String> = Vec::new();
    let mut table = Table::default();
    if is_unix {
        let mode = section.get("chmod").and_then(|setting| typed.plain(setting));
        options.push(format!("mode={}", mode.as_deref().unwrap_or("0700")));
    }
    for setting in &section.settings {
        match setting.key.as_str() {
            "username" | "password" => {
                if let Some(value) = typed.expanded(setting) {
                    set(&mut table, &setting.key, text(&value), setting.span);
                }
            }
            "chown" if is_unix => {
                let owner = typed.plain(setting).unwrap_or_default();
                let (user, group) = owner.split_once(':').unwrap_or((&owner, ""));
                options.extend((!user.is_empty()).then(|| format!("user={user}")));
                options.extend((!group.is_empty()).then(|| format!("group={group}")));
            }
            "chmod" if is_unix => {}
            name if name == key => {}
            other => {
                let heading = quoted(other);
                ignored(
                    typed.diagnostics,
                    setting.key_span,
                    &heading,
                    "a server of supervisord's has no such key",
                );
            }
        }
    }
    if !options.is_empty() {
        listen = format!("{listen}?{}", options.join("&"));
    }
    set(&mut table, "listen", text(&listen.replace('$', "$$")), setting.span);
    if !is_unix && table.get("password").is_none() {
        let message =
            "`[inet_http_server]` has no password: every process that reaches its port controls the programs";
        typed.diagnostics.warn(section.span, message);
    }
    Some((url, table))
}
