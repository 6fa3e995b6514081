//! How the release binary is linked: without the tables for unwinding, `release.ld`, and with the functions that a container
//! needs beside each other, `order.ld` (`bench/order` writes it): a page fault maps 64 KiB, and scattered functions made a
//! bare init 2.5 times and a supervisor 1.5 times as large in memory.
//!
//! The tables are in Rust's standard library, the C library and each function of foster, and are read by nothing: a panic does
//! not unwind (`panic = "abort"`), and its hook, which does not return, needs no backtrace. A debug build and the test
//! harness, which unwinds, keep theirs: a flag in `.cargo/config.toml` would reach these as well. Only for the target whose
//! linker this was tried with.

use std::env;

fn main() {
    let scripts = ["release.ld", "order.ld"];
    scripts.iter().for_each(|script| println!("cargo::rerun-if-changed={script}"));
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        for script in scripts {
            let script = env::current_dir().unwrap_or_default().join(script);
            println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
        }
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
