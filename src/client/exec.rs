//! `foster exec`: this process becomes the command, in the environment of the program.
//!
//! The supervisor sends the program's definition; the client carries out every step. So the command keeps this terminal
//! with its signals and its size, and these descriptors, and its exit status is the client's.

use std::env;
use std::ffi::OsString;

use nix::errno::Errno;
use nix::unistd::{Uid, setgroups, setresgid, setresuid};

use super::{ClientIo, Failure};
use crate::control::client::Answer;
use crate::control::exec_context::ExecContext;
use crate::control::protocol::Reply;
use crate::errno;
use crate::exit::ExitStatus;
use crate::spawn::{self, Inherited, NotExecuted};
use crate::sys::process;
use crate::sys::socket::Peer;

/// Becomes the command; returns only if that fails.
pub(super) fn become_command(
    name: &str,
    command: &[OsString],
    mut answer: Answer,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let server = answer.server();
    let mut pieces = String::new();
    for reply in &mut answer {
        if let Reply::Context(piece) = reply? {
            pieces += &piece.text;
        }
    }
    let mut context = ExecContext::parse(&pieces).ok_or(Failure::OtherVersion("exec"))?;
    drop_rights_to(server, &mut context).map_err(Failure::Untrusted)?;
    let (status, why) = match env::set_current_dir(&context.base) {
        Ok(()) => {
            let inherited = Inherited { environment: &context.inherited, credentials: &context.credentials };
            match spawn::execute_in_place(&context.launch, command, inherited) {
                NotExecuted::NotFound(why) => (ExitStatus::NOT_FOUND, why),
                NotExecuted::NotExecutable(why) => (ExitStatus::NOT_EXECUTABLE, why),
                NotExecuted::Failed(why) => (ExitStatus::FAILED, why),
            }
        }
        Err(error) => {
            let why = format!(
                "entering foster's working directory `{}`: {}",
                context.base.display(),
                errno::words(&error)
            );
            (ExitStatus::FAILED, why)
        }
    };
    // If stderr cannot be written to, the exit status still reports the failure.
    let _ = writeln!(client.err, "foster: cannot run the command as `{name}`: {why}");
    Ok(status)
}

/// The supervisor decides which environment this process gets, which files it reads, and which user it becomes. If the
/// supervisor belongs neither to root nor to this user, none of that may use this user's rights: root first becomes
/// the supervisor's user (as reported by the kernel) and stays it; any other user refuses.
fn drop_rights_to(server: Option<Peer>, context: &mut ExecContext) -> Result<(), String> {
    let own = Uid::effective();
    let Some(Peer { uid, gid, pid }) = server else {
        return Err("cannot identify the process that answers".into());
    };
    if uid.is_root() || uid == own {
        return Ok(());
    }
    if !own.is_root() {
        return Err(format!("cannot trust the supervisor (uid {uid}, pid {pid}): this user is uid {own}"));
    }
    let failed = |errno: Errno| format!("cannot become the supervisor's user {uid}: {}", errno::text(errno));
    setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).map_err(failed)?;
    setresuid(uid, uid, uid).map_err(failed)?;
    context.credentials = process::credentials().map_err(failed)?;
    Ok(())
}
