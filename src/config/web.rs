//! Reads `[web]`, and the servers of a supervisord configuration, as its front-end gives them
//! (`config/supervisord/server.rs`).
//!
//! Nothing is opened here, and the password is not read: that is done at the start of the helper (`init/web.rs`).

use std::net::IpAddr;
use std::path::Path;

use super::defaults::over_built_in;
use super::diagnostics::Diagnostics;
use super::keys::WEB;
use super::merged::Document;
use super::program::Draft;
use super::reader::Reader;
use super::sockets::socket_of;
use super::span::Span;
use super::table::{Item, Table};
use crate::plan::{ListenAddress, ListenSocket, Password, Reach, Web, WebServer};

/// The servers, and where each is in the files.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// The plan of them.
    pub(super) plan: Web,
    spans: Vec<Span>,
}

/// Reads every server.
pub(super) fn read(reader: &mut Reader<'_>, document: &Document) -> Servers {
    let mut servers = Servers::default();
    if let (table, Some(span)) = &document.web {
        servers.add_own(reader, table, *span);
    }
    for (table, span) in &document.servers {
        servers.add_supervisords(reader, table, *span);
    }
    servers.plan.identifier = document.servers.iter().find_map(|(table, _)| {
        reader.field(table, "identifier", Reader::text).filter(|identifier| !identifier.is_empty())
    });
    servers
}

const EXPECTED: &str = "an address such as `\"127.0.0.1:9001\"` or `\"unix:///run/web.sock\"`";

impl Servers {
    /// Adds the server of `[web]`.
    fn add_own(&mut self, reader: &mut Reader<'_>, table: &Table, span: Span) {
        reader.check_keys(table, &WEB, "in `[web]`");
        let all = &over_built_in(table, &WEB);
        let control = reader.field(all, "control", Reader::boolean).unwrap_or_default();
        let metrics = reader.field(all, "metrics", Reader::boolean).unwrap_or_default();
        let username = reader.field(all, "username", username);
        let password = reader.field(all, "password_file", Reader::path).map(Password::File);
        for (one, other) in [("username", "password_file"), ("password_file", "username")] {
            if let (Some(item), None) = (table.get(one), table.get(other)) {
                let message = format!("`[web]` has `{one}` without `{other}`");
                reader.diagnostics.error(item.key.span, message, "expected both of them, or neither");
            }
        }
        let Some(listen) = table.get("listen") else {
            let note = "expected `listen = \"127.0.0.1:9001\"`, or another address";
            reader.diagnostics.error(span, "`[web]` has no `listen`", note);
            return;
        };
        let Some(socket) = socket(reader, listen) else { return };
        let server = WebServer { socket, username, password, control, metrics, rpc: false };
        let has_password = table.get("username").is_some() || table.get("password_file").is_some();
        if !has_password {
            check_reach(reader, &server, listen, table.get("control"));
        }
        self.spans.push(listen.value.span);
        self.plan.servers.push(server);
    }

    /// Adds a server of a supervisord configuration, which may do everything.
    fn add_supervisords(&mut self, reader: &mut Reader<'_>, table: &Table, span: Span) {
        let Some(socket) = reader.field(table, "listen", socket) else { return };
        let username = reader.field(table, "username", Reader::text).filter(|name| !name.is_empty());
        let password = reader.field(table, "password", Reader::text).map(Password::Text);
        if username.is_some() != password.is_some() {
            let message = "`username` and `password` of a server go together";
            reader.diagnostics.error(span, message, "expected both of them, or neither");
        }
        self.spans.push(span);
        let (control, metrics, rpc) = (true, true, true);
        self.plan.servers.push(WebServer { socket, username, password, control, metrics, rpc });
    }
}

/// The part of `user:password` before the colon (RFC 7617).
fn username(reader: &mut Reader<'_>, item: Item<'_>) -> Option<String> {
    let name = reader.text(item)?;
    if name.is_empty() || name.contains(|char: char| char == ':' || char.is_control()) {
        reader.refuse_text(item, &name, "a name without `:`");
        return None;
    }
    Some(name)
}

fn socket(reader: &mut Reader<'_>, item: Item<'_>) -> Option<ListenSocket> {
    let mut text = reader.text_or(item, EXPECTED)?;
    if !text.contains("://") {
        text.insert_str(0, "tcp://");
    }
    // A file is the owner's alone, unless its mode is set.
    if text.starts_with("unix:///") && !text.contains("mode=") {
        text.push_str(if text.contains('?') { "&mode=0700" } else { "?mode=0700" });
    }
    let mut socket = socket_of(reader, item, text)?;
    socket.name = "web".to_owned();
    Some(socket)
}

/// Reports what clients of a server without a password could do.
fn check_reach(reader: &mut Reader<'_>, server: &WebServer, listen: Item<'_>, control: Option<Item<'_>>) {
    let address = &server.socket.address;
    match (server.reach(), server.control) {
        (Reach::Network, true) => {
            let at = control.unwrap_or(listen).value.span;
            let message = format!("`control` at `{address}` needs a password: other hosts can reach it");
            let note = "expected `username` and `password_file`, or a `listen` such as `127.0.0.1:9001`";
            reader.diagnostics.error(at, message, note);
        }
        (Reach::Host, true) => {
            let message = format!(
                "`[web]` has no password: every process that reaches `{address}` can stop and start the programs"
            );
            reader.diagnostics.warn(control.unwrap_or(listen).value.span, message);
        }
        (Reach::Network, false) => {
            let message = format!(
                "`[web]` has no password: every client that reaches `{address}` can read the programs' output"
            );
            reader.diagnostics.warn(listen.value.span, message);
        }
        (Reach::Host, false) | (Reach::Owner, _) => {}
    }
}

/// Reports a server at an address that is in use already.
pub(super) fn check_sockets(
    diagnostics: &mut Diagnostics,
    servers: &Servers,
    drafts: &[Draft],
    control: Option<&Path>,
) {
    for (at, (server, span)) in servers.plan.servers.iter().zip(&servers.spans).enumerate() {
        let address = &server.socket.address;
        let is_control = matches!(address, ListenAddress::Unix(path) if control == Some(path));
        let programs = drafts.iter().flat_map(|draft| &draft.program.sockets);
        let others = servers.plan.servers.iter().take(at).map(|server| &server.socket);
        if is_control || programs.chain(others).any(|other| collide(&other.address, address)) {
            let message = format!("`{address}` is used twice");
            diagnostics.error(*span, message, "expected another address");
        }
    }
}

/// Whether no two sockets can listen at these addresses.
fn collide(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            // An IPv6 socket for every address accepts IPv4, too, unless it says otherwise.
            let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && all.is_ipv4() == one.is_ipv4();
            let ips = (one.ip(), other.ip());
            one.port() == other.port() && (ips.0 == ips.1 || covers(ips.0, ips.1) || covers(ips.1, ips.0))
        }
        (one, other) => one == other,
    }
}
