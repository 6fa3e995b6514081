//! Checks that the ports of programs' sockets and probes are free. A Unix socket is not tried: that would write a file.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use foster_core::ids::ProgramId;
use nix::errno::Errno;

use crate::config::{Remark, Severity};
use crate::plan::{ListenAddress, Plan, Probe};
use crate::sockets::{FileOwner, Sockets};

/// Binds each port and releases it at once. If the control socket exists, foster is running and its programs use them.
pub(super) fn examine(plan: &Plan, remarks: &mut Vec<Remark>) {
    if plan.settings.socket.as_ref().is_some_and(|socket| socket.exists()) {
        return;
    }
    examine_sockets(plan, remarks);
    for (id, program) in plan.definitions() {
        let ready = program.ready.as_ref().and_then(address);
        let health = program.health.as_ref().and_then(address).filter(|address| Some(*address) != ready);
        let named = [("ready", ready), ("health", health)];
        for (key, address) in named.into_iter().filter_map(|(key, address)| Some((key, address?))) {
            examine_address((id, &program.name), key, address, remarks);
        }
    }
}

/// Opens each TCP socket and closes it at once.
fn examine_sockets(plan: &Plan, remarks: &mut Vec<Remark>) {
    let of_programs = plan.definitions().flat_map(|(id, program)| {
        let owner = format!("a socket of `{}`", program.name);
        program.sockets.iter().map(move |socket| (Some(id), owner.clone(), socket))
    });
    let servers = plan.web.servers.iter();
    let of_web = servers.map(|server| (None, "the socket of the web server".to_owned(), &server.socket));
    let all = of_programs.chain(of_web);
    for (program, what, socket) in
        all.filter(|(_, _, socket)| matches!(socket.address, ListenAddress::Tcp(_)))
    {
        let opened = Sockets::default().open(&socket.address, &socket.options, FileOwner::default());
        let Err(error) = opened else { continue };
        remarks.push(Remark {
            program,
            key: "sockets",
            // Addresses and permissions are often others where an image is built.
            severity: match error.errno() {
                Some(Errno::EADDRINUSE) => Severity::Error,
                Some(_) | None => Severity::Warning,
            },
            message: format!("cannot open {what}: {error}"),
            note: error.remedy().to_owned(),
        });
    }
}

/// The address that a probe asks.
fn address(probe: &Probe) -> Option<SocketAddr> {
    match probe {
        Probe::Http(http) => Some(http.address),
        Probe::Tcp(address) => Some(*address),
        Probe::Unix(_)
        | Probe::Exec(_)
        | Probe::File(_)
        | Probe::Log(_)
        | Probe::Notify
        | Probe::Fd(_)
        | Probe::Ipc => None,
    }
}

fn examine_address(
    (program, name): (ProgramId, &str),
    key: &'static str,
    address: SocketAddr,
    remarks: &mut Vec<Remark>,
) {
    // Addresses of other hosts cannot be bound.
    let Err(error) = TcpListener::bind(address) else { return };
    if error.kind() == ErrorKind::AddrInUse {
        remarks.push(Remark {
            program: Some(program),
            key,
            severity: Severity::Error,
            message: format!("`{address}`, at which `{name}` must listen, is in use"),
            note: "stop the other server, or use another port".to_owned(),
        });
    }
}
