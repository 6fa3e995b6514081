//! Checks listening sockets across programs: an address that several name has one set of options, and no two sockets
//! want the same port. A probe that foster's own socket answers is a warning.
//!
//! Next: `sockets.rs`, which reads them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::plan::{ListenAddress, ListenSocket, Probe, Program};

use super::diagnostics::Diagnostics;
use super::program::Draft;

/// Reports every contradiction between the sockets of all programs, and with the control socket.
pub(super) fn check_sockets(diagnostics: &mut Diagnostics, drafts: &[Draft], control: Option<&Path>) {
    let mut known: BTreeMap<&ListenAddress, (&str, &ListenSocket)> = BTreeMap::new();
    // Those that take a port on every address.
    let mut wildcards: BTreeMap<u16, Vec<(&SocketAddr, &ListenSocket)>> = BTreeMap::new();
    for (draft, socket) in all(drafts) {
        let name = draft.key.name.as_str();
        if let ListenAddress::Tcp(address) = &socket.address
            && address.ip().is_unspecified()
        {
            wildcards.entry(address.port()).or_default().push((address, socket));
        }
        let (first, before) = *known.entry(&socket.address).or_insert((name, socket));
        if before.options != socket.options {
            let (address, name) = (&socket.address, &draft.key.name);
            let message = format!("programs `{first}` and `{name}` give `{address}` different options");
            report(diagnostics, draft, socket, &message, "expected the same options: they share the socket");
        }
        if let (ListenAddress::Unix(path), Some(control)) = (&socket.address, control)
            && path == control
        {
            let message = format!("`{}` is foster's own control socket", socket.address);
            report(
                diagnostics,
                draft,
                socket,
                &message,
                "expected another path, here or for `socket` of `[foster]`",
            );
        }
    }
    for draft in drafts {
        warn_about_probes(diagnostics, draft);
        check_ready_descriptor(diagnostics, draft);
    }
    for (draft, socket) in all(drafts) {
        let ListenAddress::Tcp(address) = &socket.address else { continue };
        let others = wildcards.get(&address.port()).map(Vec::as_slice).unwrap_or_default();
        let other = others.iter().find(|(other, wildcard)| {
            let same_family = other.is_ipv4() == address.is_ipv4();
            // An IPv6 socket accepts IPv4 too, unless it says otherwise.
            let both = other.is_ipv6() && !wildcard.options.v6only;
            other.ip() != address.ip()
                && (same_family || both)
                && !(wildcard.options.reuseport && socket.options.reuseport)
        });
        if let Some((_, other)) = other {
            let (message, note) = collision(socket, other);
            report(diagnostics, draft, socket, &message, note);
        }
    }
}

/// The message about an address that is part of another, and its remedy.
fn collision(socket: &ListenSocket, wildcard: &ListenSocket) -> (String, &'static str) {
    let message = format!("`{}` listens at the port of `{}` as well", wildcard.address, socket.address);
    match (&socket.address, &wildcard.address) {
        (ListenAddress::Tcp(socket), ListenAddress::Tcp(wildcard))
            if socket.is_ipv4() && wildcard.is_ipv6() =>
        {
            (message, "`v6only=true` limits it to IPv6")
        }
        (_, _) => (message, "expected one of them, or another port"),
    }
}

/// The descriptor of `ready` is none of the sockets'.
fn check_ready_descriptor(diagnostics: &mut Diagnostics, draft: &Draft) {
    let Program { name, sockets, ready, .. } = &draft.program;
    let (Some(Probe::Fd(number)), Some(span)) = (ready, draft.spans.get("ready")) else { return };
    let after = ListenSocket::first_descriptor_after(sockets);
    if (ListenSocket::FIRST_DESCRIPTOR..after).contains(number) {
        let message = format!("`fd` of `ready` is {number}, which is a socket of `{name}`");
        diagnostics.error(span, message, format!("expected a descriptor from {after} to 1023"));
    }
}

/// The kernel accepts a connection to a socket that listens, whether or not the program takes it.
fn warn_about_probes(diagnostics: &mut Diagnostics, draft: &Draft) {
    let program = &draft.program;
    for (key, probe) in [("ready", &program.ready), ("health", &program.health)] {
        let Some((probe, span)) = probe.as_ref().zip(draft.spans.get(key)) else { continue };
        let Some(socket) = program.sockets.iter().find(|socket| socket.is_asked_by(probe)) else { continue };
        let (name, address) = (&program.name, &socket.address);
        if !matches!(probe, Probe::Http(_)) {
            let message = format!(
                "`{key}` of `{name}` always passes: foster's socket `{address}` accepts connections before `{name}` does; use `http`, or another probe"
            );
            diagnostics.warn(span, message);
        } else if key == "ready" && program.instances.may_be_several() {
            let message = format!(
                "`ready` of `{name}` asks at foster's socket `{address}`, where any instance answers for another; use `log`, `notify`, `fd` or `file`"
            );
            diagnostics.warn(span, message);
        }
    }
}

fn all(drafts: &[Draft]) -> impl Iterator<Item = (&Draft, &ListenSocket)> {
    drafts.iter().flat_map(|draft| {
        let definitions = std::iter::once(&draft.program).chain(&draft.others);
        definitions.flat_map(|program| &program.sockets).map(move |socket| (draft, socket))
    })
}

fn report(diagnostics: &mut Diagnostics, draft: &Draft, socket: &ListenSocket, message: &str, note: &str) {
    let Some(span) = draft.spans.get("sockets") else { return };
    let span = diagnostics.narrow(span, &socket.address.to_string());
    diagnostics.error(span, message, note);
}
