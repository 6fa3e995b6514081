//! `foster exec`: this process becomes the command, as a process of the program would be made.
//!
//! The supervisor says how; every step is taken here. So the terminal, its signals and its size, the descriptors
//! and the exit status are the command's own, and foster has nothing to do with it any more.

use std::env;
use std::ffi::OsString;

use super::{Failure, Surroundings};
use crate::control::client::ClientError;
use crate::control::protocol::{Part, Reply};
use crate::control::recipe;
use crate::exit::ExitStatus;
use crate::spawn::{self, Inherited, NotExecuted};

/// Becomes the command; returns only where it cannot.
pub(super) fn become_command(
    name: &str,
    command: &[OsString],
    answer: impl Iterator<Item = Result<Reply, ClientError>>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut parts: Vec<Part> = Vec::new();
    for reply in answer {
        if let Reply::Part(part) = reply? {
            parts.push(part);
        }
    }
    let recipe = recipe::assemble(parts).map_err(|senseless| Failure::OtherVersion(senseless.0))?;
    let (status, why) = match env::set_current_dir(&recipe.base) {
        Ok(()) => {
            let origin = Inherited { environment: &recipe.inherited, credentials: &recipe.credentials };
            match spawn::execute_here(&recipe.launch, command, origin) {
                NotExecuted::NotFound(why) => (ExitStatus::NOT_FOUND, why),
                NotExecuted::NotExecutable(why) => (ExitStatus::NOT_EXECUTABLE, why),
                NotExecuted::Failed(why) => (ExitStatus::FAILED, why),
            }
        }
        Err(error) => {
            let why = format!("entering foster's working directory {:?}: {error}", recipe.base);
            (ExitStatus::FAILED, why)
        }
    };
    // Where stderr does not take it, the status tells.
    let _ = writeln!(around.err, "foster: cannot run it as `{name}` would: {why}");
    Ok(status)
}
