//! (being built)
/// x
pub struct Supervisor;
