//! The connections of the web helper: its own listener, on which the kernel says who connects.
//!
//! The name is abstract and chosen by the kernel. Every process of the network namespace may connect to it; only the one with
//! the helper's pid is answered, and only what its rights permit ([`Rights`]).

use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use foster_core::time::Instant;

use super::{ACCEPT_RETRY, ADMITTED_AT_ONCE, HELPER, Server, ServerEvent, is_passing};
use crate::control::rights::Rights;
use crate::sys::epoll::{Interest, Token};
use crate::sys::socket;

/// The listener of the web helper.
#[derive(Debug)]
pub(super) struct Helper {
    listener: UnixListener,
    path: PathBuf,
    /// The process of the helper, and what it may ask for; `None`: it does not run.
    process: Option<(i32, Rights)>,
    /// It accepts no connection before this time, since no descriptor was left.
    pub(super) paused: Option<Instant>,
}

impl Server {
    /// Where the web helper connects; opened with the first call.
    ///
    /// # Errors
    /// socket(2), bind(2), epoll_ctl(2): no descriptor or memory is left, or a sandbox forbids it.
    pub fn helper_path(&mut self) -> nix::Result<PathBuf> {
        if let Some(helper) = &self.helper {
            return Ok(helper.path.clone());
        }
        let (listener, path) = socket::listen_anywhere()?;
        self.epoll.add(&listener, Token { owner: self.owner, key: HELPER }, Interest::Read)?;
        self.helper = Some(Helper { listener, path: path.clone(), process: None, paused: None });
        Ok(path)
    }

    /// Sets the process that is the helper. The connections of an earlier one are closed: it may have had other rights.
    pub fn set_helper(&mut self, process: Option<(i32, Rights)>) {
        if let Some(helper) = &mut self.helper {
            helper.process = process;
        }
        let earlier = self.clients.iter().filter(|(_, client)| client.rights() != Rights::Operator);
        let earlier: Vec<u32> = earlier.map(|(key, _)| *key).collect();
        for key in earlier {
            self.forget(key);
        }
    }

    /// No connection is accepted from the helper any longer.
    pub fn retire_helper(&mut self) {
        if let Some(helper) = self.helper.take() {
            let _ = self.epoll.remove(&helper.listener);
        }
    }

    pub(super) fn admit_helper(&mut self, now: Instant) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for _ in 0..ADMITTED_AT_ONCE {
            let Some(helper) = &mut self.helper else { break };
            match helper.listener.accept() {
                Ok((stream, _)) => {
                    let peer = socket::peer(&stream).ok();
                    let known = helper.process.zip(peer).filter(|((pid, _), peer)| *pid == peer.pid);
                    if let (Some(((_, rights), peer)), Ok(())) = (known, stream.set_nonblocking(true)) {
                        self.add(stream, peer, rights, &mut events);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                Err(_) => {
                    // If it stayed in epoll, it would be reported in a busy loop.
                    let _ = self.epoll.remove(&helper.listener);
                    helper.paused = Some(now.plus(ACCEPT_RETRY));
                    break;
                }
            }
        }
        events
    }

    pub(super) fn resume_helper(&mut self, now: Instant) {
        if let Some(helper) =
            self.helper.as_mut().filter(|helper| helper.paused.is_some_and(|until| until <= now))
        {
            let token = Token { owner: self.owner, key: HELPER };
            let added = self.epoll.add(&helper.listener, token, Interest::Read);
            helper.paused = added.is_err().then(|| now.plus(ACCEPT_RETRY));
        }
    }
}
