//! The decisions of foster, and nothing else.
//!
//! [`Supervisor`] is a deterministic state machine: [`Supervisor::step`] takes an instant and an
//! [`event::Event`] and answers with [`action::Action`]s. It cannot fail, wait, log or look at a clock: this
//! crate has no dependencies and no standard library, so the compiler refuses files, processes and time.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`time`], [`ids`], [`program_map`], [`sorted`] | instants without a clock; programs, runs, signals, exits; sorted lists |
//! | [`spec`], [`plan`] | one program; all of them together, valid by construction |
//! | [`event`], [`action`] | what can happen; what can be asked for |
//! | [`program`] | one instance: its states and the one transition function, and the model |
//! | [`probe`] | when a probe asks and what its answers mean |
//! | [`restart`] | what follows an end: restart, wait, give up |
//! | [`schedule`] | when a job is due |
//! | [`graph`] | which program waits for which |
//! | [`ending`], [`shutdown`] | why things end, with what exit status; the end of the container |
//! | [`supervisor`] | all instances together: the only entry |
//!
//! Read [`program`] first.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod action;
pub mod ending;
pub mod event;
pub mod graph;
pub mod ids;
mod names;
pub mod plan;
pub mod probe;
pub mod program;
pub mod program_map;
pub mod restart;
pub mod schedule;
pub mod shutdown;
pub mod sorted;
pub mod spec;
pub mod supervisor;
pub mod time;

pub use supervisor::Supervisor;
