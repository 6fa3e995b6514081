//! The stack on which a child of vfork runs until it executes its program.
//!
//! Such a child shares foster's memory, so it needs a stack of its own. It is mapped once and used again for
//! every spawn: foster waits while the child uses it. Below it lies a page that cannot be touched, so that an
//! overflow is a SIGSEGV of the child and not a change of foster's memory. Next: [`crate::sys::vfork`].
#![allow(unsafe_code, reason = "mmap(2), mprotect(2) and munmap(2) are told where memory is")]

use std::ffi::c_void;
use std::ptr;

use nix::errno::Errno;

/// Memory for one child at a time.
#[derive(Debug)]
pub struct ChildStack {
    base: *mut c_void,
}

/// Far more than [`crate::sys::vfork::InChild`] needs, and a multiple of every page size Linux has; only
/// what is touched is ever backed by memory.
const SIZE: usize = 128 * 1024;
/// Not to be touched. A multiple of every page size Linux has.
const GUARD: usize = 64 * 1024;

impl ChildStack {
    /// Maps one.
    ///
    /// # Errors
    /// mmap(2), mprotect(2): ENOMEM.
    pub fn new() -> nix::Result<ChildStack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: mmap without MAP_FIXED and without a descriptor touches no memory that exists.
        let base = unsafe { libc::mmap(ptr::null_mut(), GUARD + SIZE, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = ChildStack { base };
        let usable = base.wrapping_byte_add(GUARD);
        // SAFETY: the range lies in the mapping just made, begins at a page, and nothing refers to it.
        let result = unsafe { libc::mprotect(usable, SIZE, libc::PROT_READ | libc::PROT_WRITE) };
        Errno::result(result).map(|_| stack)
    }

    /// Where it begins: stacks grow downwards. Aligned for every architecture.
    pub(super) fn top(&mut self) -> *mut c_void {
        self.base.wrapping_byte_add(GUARD + SIZE)
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `new` made; `&mut self` in `vfork` means no child is on it.
        unsafe { libc::munmap(self.base, GUARD + SIZE) };
    }
}
