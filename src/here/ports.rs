//! The ports that programs will listen at, as far as their probes name them: whether something has them already.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::config::{Remark, Severity};
use crate::plan::{Plan, Probe};

/// Tries each port for a moment. Where the control socket exists, foster runs here and its programs have them.
pub(super) fn examine(plan: &Plan, remarks: &mut Vec<Remark>) {
    if plan.settings.socket.as_ref().is_some_and(|socket| socket.exists()) {
        return;
    }
    for (id, program) in plan.programs.iter() {
        let address = match &program.ready {
            Some(Probe::Http(http)) => http.address,
            Some(Probe::Tcp(address)) => *address,
            Some(Probe::Unix(_) | Probe::Exec(_) | Probe::File(_) | Probe::Log(_)) | None => continue,
        };
        // Only the address of this machine can be bound; the rest belongs to other machines.
        let Err(error) = TcpListener::bind(address) else { continue };
        if error.kind() == ErrorKind::AddrInUse {
            remarks.push(Remark {
                program: Some(id),
                key: "ready",
                severity: Severity::Error,
                message: format!("`{address}` is in use, and it is where `{}` has to answer", program.name),
                note: "stop the other server, or use another port".to_owned(),
            });
        }
    }
}
