//! Checks that the ports in programs' probes are free.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use foster_core::ids::ProgramId;

use crate::config::{Remark, Severity};
use crate::plan::{Plan, Probe};

/// Binds each port and releases it at once. If the control socket exists, foster is running and its programs use them.
pub(super) fn examine(plan: &Plan, remarks: &mut Vec<Remark>) {
    if plan.settings.socket.as_ref().is_some_and(|socket| socket.exists()) {
        return;
    }
    for (id, program) in plan.definitions() {
        let ready = program.ready.as_ref().and_then(address);
        let health = program.health.as_ref().and_then(address).filter(|address| Some(*address) != ready);
        let named = [("ready", ready), ("health", health)];
        for (key, address) in named.into_iter().filter_map(|(key, address)| Some((key, address?))) {
            examine_address((id, &program.name), key, address, remarks);
        }
    }
}

/// The address that a probe asks.
fn address(probe: &Probe) -> Option<SocketAddr> {
    match probe {
        Probe::Http(http) => Some(http.address),
        Probe::Tcp(address) => Some(*address),
        Probe::Unix(_) | Probe::Exec(_) | Probe::File(_) | Probe::Log(_) | Probe::Notify | Probe::Fd(_) => {
            None
        }
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
