//! Scenarios: a plan, what happens, and the whole trace of what foster does about it.
//!
//! `sim/plan.rs` explains the text of plans, `World::script` that of scripts. A trace is compared
//! whole: what must not happen is as much a part of it as what must. UPDATE_EXPECT=1 writes the traces.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod announced;
mod health;
mod jobs;
mod leftovers;
mod orders;
mod refused;
mod removing;
mod reporting;
mod restarting;
mod rolling;
mod rolls_interrupted;
mod scaling;
#[allow(dead_code, reason = "each of the two test programs uses its part of the fake kernel")]
#[path = "../sim/mod.rs"]
mod sim;
mod spawning;
mod starting;
mod stopping;
mod takeovers;
mod tasks;
mod updating;

use std::time::Duration;

use expect_test::Expect;
use sim::World;

/// Plays a script against a plan and compares the trace. Boot is at 0.
fn check(plan: &str, script: &str, expected: Expect) {
    check_updates(plan, &[], script, expected);
}

/// The same, with updates of the plan.
fn check_updates(plan: &str, updates: &[(&str, &str)], script: &str, expected: Expect) {
    let mut world = World::new(plan);
    world.script("0s boot");
    for (at, plan) in updates {
        world.update(at, plan);
    }
    for line in script.lines().filter(|line| !line.trim().is_empty()) {
        world.script(line);
    }
    world.run(Duration::from_secs(3600));
    expected.assert_eq(&(world.trace.join("\n") + "\n"));
}
