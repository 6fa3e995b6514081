//! `status -w`: repeats the request until it is interrupted or the supervisor is gone.
//!
//! On a terminal the screen is redrawn; otherwise each table follows the one before. The supervisor does nothing between
//! two requests.

use std::path::PathBuf;

use nix::poll::{PollTimeout, poll};

use super::{ClientIo, Failure, ask, print};
use crate::cli::ClientCommand;
use crate::cli::verb::Verb;
use crate::exit::ExitStatus;

/// Moves the cursor home and clears the screen after it (console_codes(4)).
const REPAINT: &[u8] = b"\x1b[H\x1b[J";

/// Prints the answer repeatedly until the request fails.
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
        // With no descriptor, poll(2) is a plain sleep.
        let _ = poll(&mut [], PollTimeout::try_from(client.watch_interval).unwrap_or(PollTimeout::MAX));
    }
}
