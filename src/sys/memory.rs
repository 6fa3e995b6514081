//! Returns unused memory to the system.
//!
//! The startup leaves free blocks in the heap, from the text of the configuration and its parsed form. `init/memory.rs`
//! decides when they are returned.
#![allow(unsafe_code, reason = "malloc_trim(3) is a function of the C library")]

/// Returns the free parts of the heap: malloc_trim(3). Does nothing if the C library has no such function.
pub fn release_unused() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) has no preconditions.
    let _ = unsafe { libc::malloc_trim(0) };
}
