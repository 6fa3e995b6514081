//! Notifications: sd_notify(3) in both directions.
//!
//! [`upward`] tells the service manager that started foster about foster; [`inbound`] receives what programs report about
//! themselves, and [`message`] reads it. Neither knows which process belongs to which program: that is `init/reports.rs`.

pub mod inbound;
pub mod message;
pub mod upward;
