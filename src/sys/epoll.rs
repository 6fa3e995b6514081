//! Readiness of descriptors: epoll(7).
//!
//! Each report has the [`Token`] of its registration. The upper half, the [`Owner`], names the part of foster that handles
//! it; the lower half is that part's own key. All registrations are level-triggered: a report that is not handled at once
//! is repeated.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::epoll as sys;

/// The part of foster that handles a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u32);

/// The identity of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The part that handles its reports.
    pub owner: Owner,
    /// The key that this part has chosen.
    pub key: u32,
}

/// The events of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Data to read, or the end.
    Read,
    /// Room to write, or the end.
    Write,
    /// Both of them.
    Both,
    /// A change of a file of the kernel that says so by EPOLLPRI, and is always readable (cgroups(7)).
    Change,
    /// Only errors and hang-ups, which epoll(7) always reports.
    None,
}

/// A report of epoll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The registration.
    pub token: Token,
    /// There is data to read, the end, or an error.
    pub readable: bool,
    /// There is room to write, or an error.
    pub writable: bool,
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(sys::Epoll);

/// The most reports of one call. The others follow with the next one.
const BATCH: usize = 256;

impl Epoll {
    /// A new instance without registrations.
    ///
    /// # Errors
    /// epoll_create1(2): EMFILE, ENFILE, ENOMEM.
    pub fn new() -> nix::Result<Epoll> {
        sys::Epoll::new(sys::EpollCreateFlags::EPOLL_CLOEXEC).map(Epoll)
    }

    /// Registers a descriptor.
    ///
    /// # Errors
    /// epoll_ctl(2): EPERM for regular files, EEXIST, ENOMEM, ENOSPC.
    pub fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.add(fd, event(token, interest))
    }

    /// Changes the events of a registration.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOENT if it is not registered.
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.modify(fd, &mut event(token, interest))
    }

    /// Removes a registration. Closing the last copy of the descriptor does the same.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOENT if it is not registered.
    pub fn remove(&self, fd: impl AsFd) -> nix::Result<()> {
        self.0.delete(fd)
    }

    /// Waits for reports, at most for `timeout` (rounded up to a millisecond); `None` is without a limit. A signal ends
    /// the wait without a report.
    ///
    /// # Errors
    /// epoll_wait(2): none for a valid instance.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> nix::Result<()> {
        let mut events = [sys::EpollEvent::empty(); BATCH];
        ready.clear();
        let count = match self.0.wait(&mut events, rounded_up(timeout)) {
            Ok(count) => count,
            Err(nix::Error::EINTR) => 0,
            Err(error) => return Err(error),
        };
        ready.extend(events.iter().take(count).map(report));
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        let inner: &OwnedFd = &self.0.0;
        inner.as_fd()
    }
}

fn event(token: Token, interest: Interest) -> sys::EpollEvent {
    use nix::sys::epoll::EpollFlags as Flags;
    let flags = match interest {
        Interest::Read => Flags::EPOLLIN | Flags::EPOLLRDHUP,
        Interest::Write => Flags::EPOLLOUT,
        Interest::Both => Flags::EPOLLIN | Flags::EPOLLRDHUP | Flags::EPOLLOUT,
        Interest::Change => Flags::EPOLLPRI,
        Interest::None => Flags::empty(),
    };
    sys::EpollEvent::new(flags, u64::from(token.owner.0) << 32 | u64::from(token.key))
}

fn report(event: &sys::EpollEvent) -> Ready {
    use nix::sys::epoll::EpollFlags as Flags;
    let ended = Flags::EPOLLHUP | Flags::EPOLLERR;
    let flags = event.events();
    let data = event.data();
    #[expect(clippy::cast_possible_truncation, reason = "the two halves that `event` put together")]
    let (owner, key) = (Owner((data >> 32) as u32), data as u32);
    Ready {
        token: Token { owner, key },
        readable: flags.intersects(Flags::EPOLLIN | Flags::EPOLLRDHUP | Flags::EPOLLPRI | ended),
        writable: flags.intersects(Flags::EPOLLOUT | ended),
    }
}

/// Rounded up, because a wait that ends before the deadline would be repeated at once.
fn rounded_up(timeout: Option<Duration>) -> sys::EpollTimeout {
    let Some(timeout) = timeout else { return sys::EpollTimeout::NONE };
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds)
        .ok()
        .and_then(|ms| sys::EpollTimeout::try_from(ms).ok())
        .unwrap_or(sys::EpollTimeout::MAX)
}
