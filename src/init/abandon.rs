//! A foster that cannot take over, because the configuration can no longer be read: it ends the runs that it finds.
//!
//! Without definitions there are no dependencies, timeouts or `pre_stop`: each tier gets its stop signals and some
//! seconds, the highest first, then everything is killed. Next: `takeover.rs`, for the ordinary case.

use std::rc::Rc;
use std::time::Duration;

use foster_core::ids::Signal;
use foster_core::sorted::{SortedMap, SortedSet};
use nix::unistd::Pid;

use super::ledger::RunEntry;
use super::wait::Waiter;
use crate::exit::ExitStatus;
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::handover::Inheritance;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::SignalSet;
use crate::sys::{fatal, process};

/// The time for all tiers (`shutdown_timeout` by default), and for one of them (`stop_timeout` by default).
const ALL: Duration = Duration::from_secs(9);
const TIER: Duration = Duration::from_secs(5);

/// Ends what a foster with a fault has left. Blocks: nothing else is left to do.
pub fn abandon(inherited: &Inheritance) -> ExitStatus {
    let mut tiers: SortedMap<i32, Vec<(Pid, Signal)>> = SortedMap::new();
    let runs = inherited.entries.iter().filter_map(RunEntry::of);
    for run in runs.filter(|run| run.main.exit.is_none() && process::is_child(Pid::from_raw(run.main.pid))) {
        let tier = run.stop.priority.saturating_neg();
        let one = (Pid::from_raw(run.main.pid), run.stop.signal);
        match tiers.get_mut(&tier) {
            Some(list) => list.push(one),
            None => drop(tiers.insert(tier, vec![one])),
        }
    }
    // No memory or descriptor: they are killed at once.
    let _ = stop(&tiers);
    fatal::kill_everything();
    ExitStatus::FAILED
}

fn stop(tiers: &SortedMap<i32, Vec<(Pid, Signal)>>) -> nix::Result<()> {
    let (epoll, signals) = (Rc::new(Epoll::new()?), SignalFd::new(SignalSet::of(&[Signal::CHLD]))?);
    epoll.add(&signals, Token { owner: Owner(0), key: 0 }, Interest::Read)?;
    let mut waiter = Waiter::new(epoll, Duration::ZERO);
    let end = waiter.now().plus(ALL);
    for tier in tiers.values() {
        let until = end.min(waiter.now().plus(TIER));
        let mut left: SortedSet<i32> = tier.iter().map(|(pid, _)| pid.as_raw()).collect();
        for (pid, signal) in tier {
            // EPERM without CAP_KILL.
            let _ = process::signal_number(*pid, *signal);
            let _ = process::signal_number(*pid, Signal::CONT);
        }
        loop {
            while let Some(reaped) = process::reap() {
                left.remove(&reaped.pid.as_raw());
            }
            if left.is_empty() || waiter.now() >= until {
                break;
            }
            waiter.wait(Some(until))?;
            signals.take();
        }
        for pid in left.iter() {
            let _ = process::signal_number(Pid::from_raw(*pid), Signal::KILL);
        }
    }
    Ok(())
}
