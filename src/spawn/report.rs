//! Reports the outcome of a start from the child to foster through a pipe that `exec` closes.
//!
//! End of file without data: the program was executed, or the child was killed before, which its exit status shows.
//! Otherwise one frame with the failure: stage, persistence and message. It fits in PIPE_BUF, so that writing it is
//! atomic and never blocks (pipe(7)), and one read returns all of it. Next: `mod.rs`, which creates the pipe.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use foster_core::event::{Persistence, StartFailure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::cut;
use crate::spawn::failure::STAGES;

/// foster's non-blocking end of the pipe.
#[derive(Debug)]
pub struct StartReport(OwnedFd);

/// The child's end of the pipe, which `exec` closes.
#[derive(Debug)]
pub(super) struct ReportWriter(pub(super) OwnedFd);

/// The size limit of a frame: PIPE_BUF on Linux.
const LARGEST_FRAME: usize = 4096;
/// The bytes for stage and persistence.
const HEADER: usize = 2;

/// Creates the pipe.
///
/// # Errors
/// pipe(2): EMFILE, ENFILE.
pub(super) fn pipe() -> nix::Result<(StartReport, ReportWriter)> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    Ok((StartReport(reader), ReportWriter(writer)))
}

impl StartReport {
    /// The outcome of the start; `None`: not known yet. Never blocks.
    pub fn read(&self) -> Option<Result<(), StartFailure>> {
        let mut frame = [0; LARGEST_FRAME];
        loop {
            match unistd::read(&self.0, &mut frame) {
                Ok(0) => return Some(Ok(())),
                Ok(length) => return Some(Err(decode(frame.get(..length).unwrap_or_default()))),
                Err(Errno::EINTR) => {}
                // EAGAIN: the child holds its end and has written nothing.
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for StartReport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl ReportWriter {
    /// Reports why the program was not executed.
    pub(super) fn write(&self, failure: &StartFailure) {
        // It fails only without a reader, when foster has exited: the pipe is empty and the write is atomic.
        let _ = unistd::write(&self.0, &encode(failure));
    }
}

fn encode(failure: &StartFailure) -> Vec<u8> {
    let stage = STAGES.iter().position(|stage| *stage == failure.stage).unwrap_or_default();
    let persistence = match failure.persistence {
        Persistence::Transient => 0,
        Persistence::Permanent => 1,
    };
    let mut frame = vec![u8::try_from(stage).unwrap_or_default(), persistence];
    frame.extend_from_slice(cut::start(&failure.message, LARGEST_FRAME - HEADER).as_bytes());
    frame
}

fn decode(frame: &[u8]) -> StartFailure {
    let (header, message) = frame.split_at(frame.len().min(HEADER));
    let stage = header.first().and_then(|stage| STAGES.get(usize::from(*stage)));
    let persistence = match header.get(1) {
        Some(1) => Persistence::Permanent,
        Some(_) | None => Persistence::Transient,
    };
    StartFailure {
        stage: stage.copied().unwrap_or("process"),
        persistence,
        message: String::from_utf8_lossy(message).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_decoded_as_encoded() {
        for stage in STAGES {
            for persistence in [Persistence::Transient, Persistence::Permanent] {
                let (report, writer) = pipe().unwrap();
                assert_eq!(report.read(), None);
                let failure = StartFailure { stage, persistence, message: "no reason".to_owned() };
                writer.write(&failure);
                assert_eq!(report.read(), Some(Err(failure)));
            }
        }
    }

    #[test]
    fn end_of_file_without_data_means_that_the_program_runs() {
        let (report, writer) = pipe().unwrap();
        drop(writer);
        assert_eq!(report.read(), Some(Ok(())));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let (report, writer) = pipe().unwrap();
        let failure =
            StartFailure { stage: "exec", persistence: Persistence::Permanent, message: "ä".repeat(5000) };
        writer.write(&failure);
        let Some(Err(seen)) = report.read() else { panic!("nothing was written") };
        assert_eq!(seen.message, "ä".repeat((LARGEST_FRAME - HEADER) / 2));
    }
}
