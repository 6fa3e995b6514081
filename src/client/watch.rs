//! `status -w`: the same request again and again, until it is interrupted or the supervisor is gone.
//!
//! On a terminal the screen is repainted, else each table follows the one before. The supervisor is asked as by
//! `status`, and does nothing between two requests.

use std::path::PathBuf;

use nix::poll::{PollTimeout, poll};

use super::{ClientIo, Failure, ask, print};
use crate::cli::ClientCommand;
use crate::cli::verb::Verb;
use crate::exit::ExitStatus;

/// Moves the cursor home and clears what follows (console_codes(4)).
const REPAINT: &[u8] = b"\x1b[H\x1b[J";

/// Shows the answer until it cannot be had any longer.
pub(super) fn run(
    verb: &Verb,
    command: &ClientCommand,
    sockets: &[PathBuf],
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    loop {
        let answer = ask(sockets, &command.request)?;
        if client.width.is_some() {
            client.out.write_all(REPAINT).map_err(Failure::Print)?;
        }
        print::print(verb, command, answer, client)?;
        // A wait for nothing but the end of its time.
        let _ = poll(&mut [], PollTimeout::try_from(client.watch_interval).unwrap_or(PollTimeout::MAX));
    }
}
