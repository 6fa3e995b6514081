//! Sessions that outlive their main process: found, signalled, and seen to end.
//!
//! Every program has a session of its own (setsid(2)), so all that it started and that did not leave on purpose can be
//! found by that number, also after the main process is gone: while anybody is in a session its number belongs to
//! it. Each of them is pinned by a pidfd, which epoll watches: their end is seen when it happens.

use std::rc::Rc;

use foster_core::ids::{Run, Signal};
use foster_core::sorted::{SortedMap, SortedSet};
use nix::unistd::Pid;

use super::children::Children;
use super::rest::Standing;
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::procfs::{self, Member};
use crate::sys::{pidfd, process};

/// The members of sessions whose main process is gone.
#[derive(Debug)]
pub(super) struct Sessions {
    epoll: Rc<Epoll>,
    owner: Owner,
    next_key: u32,
    members: SortedMap<u32, (Run, Member)>,
    /// Each such session, by its number, with how many of its members are watched.
    open: SortedMap<Run, Pid>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner) -> Sessions {
        Sessions { epoll, owner, next_key: 0, members: SortedMap::new(), open: SortedMap::new() }
    }

    /// Which of these runs, whose main processes were just reaped, left others behind. One look at foster's own
    /// children answers for all of them: whoever outlives a parent is foster's now.
    pub(super) fn left_behind(&mut self, ended: &[(Run, Pid)], children: &Children) -> SortedSet<Run> {
        let mut left = SortedSet::new();
        let adopted = procfs::children().unwrap_or_default().into_iter().any(|pid| !children.contains(pid));
        if !adopted {
            return left;
        }
        for (run, session) in ended {
            if self.watch(*run, *session) {
                left.insert(*run);
            }
        }
        left
    }

    /// Signals everybody in the session of a run, whether its main process lives or not. Whoever was forked
    /// meanwhile is found by looking again; a fork bomb is given up on after a few rounds, and met again by the sweep.
    pub(super) fn signal(&mut self, session: Pid, signal: Signal) {
        let mut known = SortedSet::new();
        for _ in 0..8 {
            let members = procfs::session_members(session).unwrap_or_default();
            let new: Vec<Member> = members.into_iter().filter(|member| known.insert(member.pid)).collect();
            if new.is_empty() {
                return;
            }
            for member in new {
                // It may have ended since: ESRCH is no error, and nothing else can be done about another.
                let _ = pidfd::send(&member.pidfd, signal);
            }
        }
    }

    /// Kills everything in these sessions: the whole namespace in one call where it is foster's own, else found by one
    /// look at /proc for all of them.
    pub(super) fn kill(&self, sessions: &[Pid], standing: Standing) {
        if standing == Standing::Init && process::kill_all(Signal::KILL).is_ok() {
            return;
        }
        for member in procfs::members_of(sessions).unwrap_or_default() {
            // It may have ended since.
            let _ = pidfd::send(&member.pidfd, Signal::KILL);
        }
    }

    /// The number of the session of a run whose main process is gone.
    pub(super) fn session(&self, run: Run) -> Option<Pid> {
        self.open.get(&run).copied()
    }

    /// Looks again who is in the session of a run: whoever has left it by setsid(2) since lives on, and is waited for
    /// no longer. Whether nobody is left.
    pub(super) fn is_empty_now(&mut self, run: Run) -> bool {
        let Some(session) = self.open.remove(&run) else { return false };
        let epoll = &self.epoll;
        self.members.retain(|_, (other, member)| {
            if *other == run {
                // It was watched until now; closing it would do the same.
                let _ = epoll.remove(&member.pidfd);
            }
            *other != run
        });
        !self.watch(run, session)
    }

    /// A watched process has ended. Returns the run whose session is empty with that.
    pub(super) fn ended(&mut self, key: u32) -> Option<Run> {
        let (run, member) = self.members.remove(&key)?;
        // It was watched until now; closing it would do the same.
        let _ = self.epoll.remove(&member.pidfd);
        if self.members.values().any(|(other, _)| *other == run) {
            return None;
        }
        let session = self.open.remove(&run)?;
        (!self.watch(run, session)).then_some(run)
    }

    /// Watches whoever is in this session; whether anybody is.
    fn watch(&mut self, run: Run, session: Pid) -> bool {
        let members = procfs::session_members(session).unwrap_or_default();
        let mut any = false;
        for member in members {
            let key = self.next_key;
            self.next_key = self.next_key.wrapping_add(1);
            let token = Token { owner: self.owner, key };
            if self.epoll.add(&member.pidfd, token, Interest::Read).is_ok() {
                self.members.insert(key, (run, member));
                any = true;
            }
        }
        if any {
            self.open.insert(run, session);
        }
        any
    }
}
