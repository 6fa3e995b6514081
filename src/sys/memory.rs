//! Memory that foster does not need while it waits: given back to the system.
//!
//! Bring-up touches most of the binary (the parser of the configuration, its checks) and leaves holes in the
//! heap. None of it is needed to wait for an exit. What is dropped here comes back by itself, page by page
//! and from the page cache, when it is needed again. See `init/mod.rs` for when.

#![allow(unsafe_code, reason = "madvise(2) and getauxval(3) are told and tell where memory is")]

use nix::sys::mman::{MmapAdvise, madvise};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Gives back the free parts of the heap, and the pages of the binary that can be read again from its file.
///
/// Only advice: where the system does not take it, nothing is lost (madvise(2), malloc_trim(3)).
pub fn release_unused() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) has no preconditions.
    let _ = unsafe { libc::malloc_trim(0) };
    for segment in constant_segments() {
        if let Some(start) = NonNull::new(segment.start as *mut c_void) {
            // SAFETY: the range is a segment of this program that is mapped from its file and never written,
            // so that a page dropped from it is read again with the same content (madvise(2), MADV_DONTNEED).
            let _ = unsafe { madvise(start, segment.length, MmapAdvise::MADV_DONTNEED) };
        }
    }
}

/// Whole pages that hold a segment of the program.
struct Segment {
    start: usize,
    length: usize,
}

/// The loaded segments of the running program that are not writable: code and constants (elf(5), PT_LOAD).
fn constant_segments() -> Vec<Segment> {
    let (address, count, page) =
        (auxiliary(libc::AT_PHDR), auxiliary(libc::AT_PHNUM), auxiliary(libc::AT_PAGESZ));
    if address == 0 || page == 0 {
        return Vec::new();
    }
    // SAFETY: the kernel maps `count` program headers at this address, for as long as the program runs.
    let headers = unsafe { std::slice::from_raw_parts(address as *const libc::Elf64_Phdr, count) };
    // Where the program was loaded: the difference between where its headers are and where it says they are.
    let Some(said) = headers.iter().find(|header| header.p_type == libc::PT_PHDR) else { return Vec::new() };
    let base = address.wrapping_sub(usize_of(said.p_vaddr));
    let constant =
        |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0;
    let segment = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(usize_of(header.p_vaddr));
        let end = start.wrapping_add(usize_of(header.p_memsz));
        let first = start & !(page - 1);
        Segment { start: first, length: (end - first).next_multiple_of(page) }
    };
    headers.iter().filter(constant).map(segment).collect()
}

/// What the kernel told the program at its start: getauxval(3); 0 where it told nothing.
fn auxiliary(kind: libc::c_ulong) -> usize {
    // SAFETY: getauxval(3) has no preconditions.
    let value = unsafe { libc::getauxval(kind) };
    usize::try_from(value).unwrap_or_default()
}

/// An address in a header; none is beyond what the machine can address.
fn usize_of(address: u64) -> usize {
    usize::try_from(address).unwrap_or_default()
}
