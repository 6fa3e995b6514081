//! Where descriptors stand ready for a child that shares foster's table until it has one of its own.
//!
//! A table of its own from the start would be a copy of foster's, and exec would have to close all of it again:
//! with a thousand programs that is three thousand entries for each start. So the child is born with foster's own
//! table (CLONE_FILES), and leaves it with one call that copies only what has a number below `above`
//! (close_range(2) with CLOSE_RANGE_UNSHARE). What it is given has to stand below that, in three slots that are
//! taken early, while numbers are low.
#![allow(unsafe_code, reason = "close_range(2) has no wrapper in nix")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::dup3;

use crate::sys::vfork::Descriptors;

/// Three slots, for what becomes 0, 1 and 2.
#[derive(Debug)]
pub struct Stage {
    slots: [OwnedFd; 3],
    /// What stands in an empty slot.
    nothing: OwnedFd,
}

impl Stage {
    /// Takes the slots. `None`: this kernel (before 5.9) or sandbox does not let a child leave a shared table.
    ///
    /// # Errors
    /// fcntl(2): EMFILE.
    pub fn new(nothing: BorrowedFd<'_>) -> nix::Result<Option<Stage>> {
        if !can_unshare() {
            return Ok(None);
        }
        let copy = || -> nix::Result<OwnedFd> { nothing.try_clone_to_owned().map_err(|_| Errno::EMFILE) };
        Ok(Some(Stage { slots: [copy()?, copy()?, copy()?], nothing: copy()? }))
    }

    /// Puts these into the slots, as 0, 1 and 2: dup3(2).
    ///
    /// # Errors
    /// EBUSY, EINTR: see dup(2); nothing that lasts.
    pub fn set(&mut self, sources: [BorrowedFd<'_>; 3]) -> nix::Result<()> {
        self.slots.iter_mut().zip(sources).try_for_each(|(slot, source)| dup3(source, slot, OFlag::O_CLOEXEC))
    }

    /// Empties the slots: a pipe that stood there is no longer held open by foster.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            // It cannot fail: both are open.
            let _ = dup3(&self.nothing, slot, OFlag::O_CLOEXEC);
        }
    }

    /// What stands in the slots.
    pub fn slots(&self) -> [BorrowedFd<'_>; 3] {
        self.slots.each_ref().map(AsFd::as_fd)
    }

    /// How a child comes by its table.
    pub fn descriptors(&self) -> Descriptors {
        let above = self.slots.iter().map(|slot| slot.as_raw_fd() + 1).max();
        Descriptors::Shared { above: above.unwrap_or_default() }
    }
}

/// Whether a child may leave a shared table. Asked with a range that ends before it begins, which is refused before
/// anything is done, and with EINVAL only where the call and its flag are known.
fn can_unshare() -> bool {
    // SAFETY: close_range takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, 0, libc::CLOSE_RANGE_UNSHARE) };
    Errno::result(result) == Err(Errno::EINVAL)
}
