//! Readiness of descriptors: epoll(7).
//!
//! A [`Token`] comes back with each report. Its upper half, the [`Owner`], says which leaf it belongs to;
//! the lower half is that leaf's own key. Level-triggered throughout: nothing is lost by handling it later.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::epoll as sys;

/// Which leaf a report is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u32);

/// What comes back with a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Which leaf it is for.
    pub owner: Owner,
    /// The leaf's own key.
    pub key: u32,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write, or the end.
    Write,
    /// Either.
    Both,
    /// Neither: only errors and hang-ups are reported, which epoll(7) never holds back.
    None,
}

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Which registration.
    pub token: Token,
    /// There is something to read, or the end, or an error.
    pub readable: bool,
    /// There is room to write, or an error.
    pub writable: bool,
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(sys::Epoll);

/// How many reports are taken at once. More wait in the kernel.
const BATCH: usize = 256;

impl Epoll {
    /// A new, empty one.
    ///
    /// # Errors
    /// epoll_create1(2): EMFILE, ENFILE, ENOMEM.
    pub fn new() -> nix::Result<Epoll> {
        sys::Epoll::new(sys::EpollCreateFlags::EPOLL_CLOEXEC).map(Epoll)
    }

    /// Begins to watch a descriptor.
    ///
    /// # Errors
    /// epoll_ctl(2): EPERM for regular files, EEXIST, ENOMEM, ENOSPC.
    pub fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.add(fd, event(token, interest))
    }

    /// Watches it for something else.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOENT where it is not watched.
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.modify(fd, &mut event(token, interest))
    }

    /// Stops watching it. Closing its last copy does the same.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOENT where it is not watched.
    pub fn remove(&self, fd: impl AsFd) -> nix::Result<()> {
        self.0.delete(fd)
    }

    /// Waits for a report, for at most `timeout` (rounded up to a millisecond); `None`: for ever.
    /// A signal ends the wait with no report.
    ///
    /// # Errors
    /// epoll_wait(2): none that a valid instance can give.
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
        readable: flags.intersects(Flags::EPOLLIN | Flags::EPOLLRDHUP | ended),
        writable: flags.intersects(Flags::EPOLLOUT | ended),
    }
}

/// Rounded up: a wait that ends early would find the deadline still ahead and spin.
fn rounded_up(timeout: Option<Duration>) -> sys::EpollTimeout {
    let Some(timeout) = timeout else { return sys::EpollTimeout::NONE };
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds)
        .ok()
        .and_then(|ms| sys::EpollTimeout::try_from(ms).ok())
        .unwrap_or(sys::EpollTimeout::MAX)
}
