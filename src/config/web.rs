//! Reads the servers of a supervisord configuration, as its front-end gives them (`config/supervisord/server.rs`).
//!
//! Nothing is opened here.

use std::path::Path;

use super::diagnostics::Diagnostics;
use super::merged::Document;
use super::program::Draft;
use super::reader::Reader;
use super::sockets::socket_of;
use super::span::Span;
use super::table::Table;
use crate::plan::{ListenAddress, Password, Web, WebServer};

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
    for (table, span) in &document.servers {
        servers.add(reader, table, *span);
    }
    servers.plan.identifier = document.servers.iter().find_map(|(table, _)| {
        reader.field(table, "identifier", Reader::text).filter(|identifier| !identifier.is_empty())
    });
    servers
}

impl Servers {
    fn add(&mut self, reader: &mut Reader<'_>, table: &Table, span: Span) {
        let Some(item) = table.get("listen") else { return };
        let expected = "an address such as `\"127.0.0.1:9001\"` or `\"unix:///run/web.sock\"`";
        let Some(mut text) = reader.text_or(item, expected) else { return };
        if !text.contains("://") {
            text.insert_str(0, "tcp://");
        }
        let Some(mut socket) = socket_of(reader, item, text) else { return };
        socket.name = "web".to_owned();
        let username = reader.field(table, "username", Reader::text).filter(|name| !name.is_empty());
        let password = reader.field(table, "password", Reader::text).map(Password);
        if username.is_some() != password.is_some() {
            let message = "`username` and `password` of a server go together";
            reader.diagnostics.error(span, message, "expected both of them, or neither");
        }
        self.spans.push(span);
        self.plan.servers.push(WebServer { socket, username, password });
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
        if is_control || programs.chain(others).any(|other| other.address == *address) {
            let message = format!("`{address}` is used twice");
            diagnostics.error(*span, message, "expected another address");
        }
    }
}
