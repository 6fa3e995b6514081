//! The interfaces to operators: the control socket, open requests, the history, and the service manager.

use super::history::History;
use super::last_failures::LastFailures;
use super::requests::Requests;
use super::update::Updates;
use super::web::WebHelper;
use crate::control::server::Server;
use crate::notify::upward::ServiceManager;

/// The interfaces to operators.
#[derive(Debug)]
pub(super) struct Operators {
    /// The control socket, if there is one.
    pub(super) server: Option<Server>,
    pub(super) requests: Requests,
    pub(super) history: History,
    pub(super) failures: LastFailures,
    pub(super) updates: Updates,
    /// The service manager that started foster.
    pub(super) service_manager: ServiceManager,
    pub(super) web: WebHelper,
    /// Whether no event will follow.
    pub(super) is_over: bool,
}
