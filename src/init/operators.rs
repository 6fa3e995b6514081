//! The operators: the control socket, the requests that are open, what they are shown, and the service manager above.

use super::history::History;
use super::last_failures::LastFailures;
use super::requests::Requests;
use super::update::Updates;
use crate::control::server::Server;
use crate::notify::ServiceManager;

/// Everything that is for operators.
#[derive(Debug)]
pub(super) struct Operators {
    /// The control socket; `None`: there is none.
    pub(super) server: Option<Server>,
    pub(super) requests: Requests,
    pub(super) history: History,
    pub(super) failures: LastFailures,
    pub(super) updates: Updates,
    /// The service manager that started foster.
    pub(super) service_manager: ServiceManager,
    /// Nothing more will be reported.
    pub(super) is_over: bool,
}
