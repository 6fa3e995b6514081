//! The steps that use memory and CPU time.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{number, say};

/// So many MiB more, written to and never given back.
pub(crate) fn grow(mebibytes: usize) {
    std::mem::forget(std::hint::black_box(vec![1u8; mebibytes << 20]));
}

/// Uses so much CPU time.
pub(crate) fn spin(time: Duration) {
    let used = || {
        let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
        Duration::from(nix::time::clock_gettime(clock).expect("a clock"))
    };
    let end = used() + time;
    while used() < end {}
}

/// `RATE:MARK`: so many MiB more each second, without end; prints `passed` when it has more than MARK MiB.
pub(crate) fn creep(text: &str) {
    let (rate, mark) = text.split_once(':').expect("creep:RATE:MARK");
    let (rate, mark) = (number(rate), number(mark));
    let pause = Duration::from_secs(1) / u32::try_from(rate).expect("a rate");
    let mut has_passed = false;
    loop {
        grow(1);
        let statm = fs::read_to_string("/proc/self/statm").expect("/proc");
        let pages = statm.split(' ').nth(1).expect("a resident set");
        if !has_passed && number(pages) * 4 / 1024 > mark {
            has_passed = true;
            say("passed\n");
        }
        thread::sleep(pause);
    }
}
