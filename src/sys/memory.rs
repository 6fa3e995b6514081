//! Memory that foster does not need while it waits: given back to the system.
//!
//! Bring-up leaves holes in the heap: the text of the configuration and what was read from it. See `init/memory.rs` for
//! when they are given back.
#![allow(unsafe_code, reason = "malloc_trim(3) is the C library's own")]

/// Gives back the free parts of the heap: malloc_trim(3). Without effect where the C library has no such thing.
pub fn release_unused() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) has no preconditions.
    let _ = unsafe { libc::malloc_trim(0) };
}
