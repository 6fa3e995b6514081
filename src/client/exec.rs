//! `foster exec`: this process becomes the command, made as a process of the program would be.
//!
//! The supervisor says how; every step is taken here. So the terminal, its signals and its size, the descriptors
//! and the exit status are the command's own, and foster takes no part in it.

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

/// Becomes the command; returns only where it cannot.
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
    take_no_more_rights_than(server, &mut context).map_err(Failure::Untrusted)?;
    let (status, why) = match env::set_current_dir(&context.base) {
        Ok(()) => {
            let origin = Inherited { environment: &context.inherited, credentials: &context.credentials };
            match spawn::execute_in_place(&context.launch, command, origin) {
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
    // Where stderr cannot be written to, the status tells.
    let _ = writeln!(client.err, "foster: cannot run it as `{name}` would: {why}");
    Ok(status)
}

/// The supervisor says which environment this process takes over, which files it reads, and as whom it goes on. Where
/// it is not root's, and not this user's, nothing of that may happen with this user's rights: root becomes the
/// supervisor's user first, as the kernel knows it, for good. Any other user refuses.
fn take_no_more_rights_than(server: Option<Peer>, context: &mut ExecContext) -> Result<(), String> {
    let own = Uid::effective();
    let Some(Peer { uid, gid, pid }) = server else { return Err("cannot tell who the supervisor is".into()) };
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
