//! The client's end of the control socket.
//!
//! It may block, since it is not the supervisor. It checks which process listens (`SO_PEERCRED`) before it sends
//! anything: if others can write to the directory, another process could pretend to be foster. This file prints nothing.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Uid;

use super::protocol::{LONGEST_LINE, Refusal, Reply, Request};
use crate::errno;
use crate::sys::socket::{self, Peer};

/// The timeout of the next line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// At most this long: for requests that are answered at once.
    For(Duration),
    /// No timeout: for requests that are answered when they are done.
    Endless,
}

/// How long the client waits for a place in the supervisor's backlog, which accepts thousands of clients per second.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);

/// An answer, as it arrives.
#[derive(Debug)]
pub struct Answer {
    path: PathBuf,
    server: Option<Peer>,
    from: BufReader<UnixStream>,
    finished: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The path does not exist.
    NoSocket(PathBuf),
    /// No process listens: a supervisor that has exited left the file behind.
    NotListening(PathBuf),
    /// The file at the path is not a socket.
    NotASocket(PathBuf),
    /// The mode of the file or of a directory forbids it.
    Denied(PathBuf),
    /// The path cannot be connected to for another reason.
    Unreachable(PathBuf, Errno),
    /// The process that listens is neither root's, nor this user's, nor PID 1, nor the owner of the socket's file.
    Untrusted(PathBuf, Peer),
    /// There was no answer in time.
    Silent(PathBuf),
    /// The connection ended in the middle of the answer.
    Lost(PathBuf),
    /// The reply cannot be read: the other end is another program or another version.
    Garbled(PathBuf),
    /// The request does not fit a line.
    TooLong,
    /// The supervisor refuses.
    Refused(Refusal),
}

/// Asks the supervisor at `path`.
///
/// # Errors
/// The request cannot be sent. Errors after that come from the [`Answer`].
pub fn ask(path: &Path, request: &Request, patience: Patience) -> Result<Answer, ClientError> {
    let line = request.encode().ok_or(ClientError::TooLong)?;
    let mut stream = socket::connect_within(path, LONGEST_QUEUE).map_err(|error| unconnected(path, error))?;
    let timeout = match patience {
        Patience::For(time) => Some(time),
        Patience::Endless => None,
    };
    let unreachable = |error: io::Error| {
        let errno = errno::of(&error);
        ClientError::Unreachable(path.to_owned(), errno)
    };
    let server = socket::peer(&stream).map_err(|errno| ClientError::Unreachable(path.to_owned(), errno))?;
    if !is_trusted(path, server) {
        return Err(ClientError::Untrusted(path.to_owned(), server));
    }
    stream.set_read_timeout(timeout).map_err(unreachable)?;
    stream.set_write_timeout(timeout).map_err(unreachable)?;
    // The result is ignored: a supervisor that refuses has sent the reason before it closed, and that is read next.
    let _ = stream.write_all(&line);
    Ok(Answer { path: path.to_owned(), server: Some(server), from: BufReader::new(stream), finished: false })
}

impl Answer {
    /// The answer on a connection to the supervisor at `path` on which the request was sent.
    pub fn on(stream: UnixStream, path: &Path) -> Answer {
        Answer { path: path.to_owned(), server: None, from: BufReader::new(stream), finished: false }
    }
}

impl AsFd for Answer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.get_ref().as_fd()
    }
}

impl Iterator for Answer {
    type Item = Result<Reply, ClientError>;

    /// The next item of the answer; after its end, or an error, nothing.
    fn next(&mut self) -> Option<Result<Reply, ClientError>> {
        if self.finished {
            return None;
        }
        let item = match self.read() {
            Ok(Reply::End {}) => None,
            Ok(Reply::Error(refusal)) => Some(Err(ClientError::Refused(refusal))),
            Ok(
                reply @ (Reply::Row(_)
                | Reply::Outcome(_)
                | Reply::Problem(_)
                | Reply::Line(_)
                | Reply::Width(_)
                | Reply::Event(_)
                | Reply::Missed(_)
                | Reply::Note(_)
                | Reply::Context(_)
                | Reply::Change(_)),
            ) => Some(Ok(reply)),
            Err(error) => Some(Err(error)),
        };
        self.finished = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Answer {
    /// Whether bytes of it were read and not returned yet: foster sends whole lines, so the next reply is there.
    pub fn has_buffered(&self) -> bool {
        !self.from.buffer().is_empty()
    }

    /// Whether it has ended, or failed.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The process that answers, as the kernel knows it.
    pub fn server(&self) -> Option<Peer> {
        self.server
    }

    fn read(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let limit = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        let read = self.from.by_ref().take(limit).read_until(b'\n', &mut line);
        match read {
            Err(error) if is_timeout(&error) => Err(ClientError::Silent(self.path.clone())),
            Err(_) => Err(ClientError::Lost(self.path.clone())),
            Ok(0) => Err(ClientError::Lost(self.path.clone())),
            Ok(_) => Reply::parse(&line).map_err(|_| ClientError::Garbled(self.path.clone())),
        }
    }
}

/// A read that times out fails with either kind (`SO_RCVTIMEO`, socket(7)).
fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.kind() == io::ErrorKind::TimedOut
}

/// Whether the process that listens may be the supervisor. Root and this user's processes can do anyway whatever an answer
/// makes this process do; PID 1 is the container's foster, whatever its user; and the owner of the socket's file created
/// it.
fn is_trusted(path: &Path, server: Peer) -> bool {
    let owner = || std::fs::metadata(path).is_ok_and(|metadata| metadata.uid() == server.uid.as_raw());
    server.uid.is_root() || server.uid == Uid::effective() || server.pid == 1 || owner()
}

fn unconnected(path: &Path, error: Errno) -> ClientError {
    let path = path.to_owned();
    let is = |errors: &[Errno]| errors.contains(&error);
    if is(&[Errno::ENOENT, Errno::ENOTDIR]) {
        ClientError::NoSocket(path)
    } else if is(&[Errno::ECONNREFUSED]) {
        // connect(2) fails in the same way for a file of another kind.
        let is_other = std::fs::metadata(&path).is_ok_and(|metadata| !metadata.file_type().is_socket());
        if is_other { ClientError::NotASocket(path) } else { ClientError::NotListening(path) }
    } else if is(&[Errno::EACCES, Errno::EPERM]) {
        ClientError::Denied(path)
    } else if is(&[Errno::EAGAIN]) {
        ClientError::Silent(path)
    } else {
        ClientError::Unreachable(path, error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoSocket(path) => write!(
                f,
                "no supervisor answers: there is no socket at `{}` (is `foster run` up? `--socket PATH` names \
                 another)",
                path.display()
            ),
            ClientError::NotListening(path) => write!(
                f,
                "no supervisor answers: the one that created `{}` has exited (start it with `foster run`)",
                path.display()
            ),
            ClientError::NotASocket(path) => write!(
                f,
                "no supervisor answers: `{}` is not a socket (`--socket PATH` names another)",
                path.display()
            ),
            ClientError::Untrusted(path, Peer { uid, pid, gid: _ }) => write!(
                f,
                "cannot trust the process that listens at `{}`: uid {uid}, pid {pid}, does not own the socket",
                path.display()
            ),
            ClientError::Denied(path) => write!(
                f,
                "cannot connect to `{}`: permission denied (run as root or as the user foster runs as)",
                path.display()
            ),
            ClientError::Unreachable(path, error) => {
                write!(f, "cannot connect to `{}`: {}", path.display(), errno::text(*error))
            }
            ClientError::Silent(path) => {
                write!(f, "the supervisor at `{}` does not answer", path.display())
            }
            ClientError::Lost(path) => {
                write!(f, "the supervisor at `{}` exited before it answered", path.display())
            }
            ClientError::Garbled(path) => write!(
                f,
                "unexpected reply from `{}`: not a foster supervisor, or not version {}",
                path.display(),
                env!("CARGO_PKG_VERSION")
            ),
            ClientError::TooLong => {
                write!(f, "the request is longer than {LONGEST_LINE} bytes: give fewer names")
            }
            ClientError::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::protocol::{Names, Reason};

    fn status() -> Request {
        Request::Status(Names { names: Vec::new() })
    }

    /// An answer with these bytes, from a supervisor that has exited.
    fn answer(bytes: &[u8]) -> Answer {
        let (mut server, client) = UnixStream::pair().unwrap();
        server.write_all(bytes).unwrap();
        Answer { path: "/s".into(), server: None, from: BufReader::new(client), finished: false }
    }

    #[test]
    fn only_root_this_user_pid_1_and_the_owner_of_the_file_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let own = Uid::effective();
        let trusted = |uid: Uid, pid| {
            let server = Peer { uid, gid: nix::unistd::Gid::from_raw(4242), pid };
            is_trusted(folder.path(), server)
        };
        assert!(trusted(Uid::from_raw(0), 7) && trusted(own, 7) && trusted(Uid::from_raw(4242), 1));
        // The folder, like a socket that another user has replaced, belongs to this user.
        assert!(!trusted(Uid::from_raw(4242), 7));
        assert!(!is_trusted(
            Path::new("/nowhere"),
            Peer { uid: Uid::from_raw(4242), gid: own.as_raw().into(), pid: 7 }
        ));
        if own.is_root() {
            std::os::unix::fs::chown(folder.path(), Some(4242), None).unwrap();
            assert!(trusted(Uid::from_raw(4242), 7));
        }
    }

    #[test]
    fn an_answer_ends_at_its_end_reply() {
        let mut answer = answer(b"{\"reply\":\"end\"}\n{\"reply\":\"end\"}\n");
        assert!(answer.next().is_none());
        assert!(answer.next().is_none());
        assert_eq!(answer.from.buffer(), b"{\"reply\":\"end\"}\n");
    }

    #[test]
    fn a_refusal_is_an_error_with_its_reason() {
        let refusal = Refusal::new(Reason::NotPermitted, "no");
        let mut answer = answer(&Reply::Error(refusal.clone()).encode());
        let Some(Err(ClientError::Refused(received))) = answer.next() else { panic!("not refused") };
        assert_eq!(received, refusal);
        assert!(answer.next().is_none());
    }

    #[test]
    fn an_answer_that_breaks_off_or_cannot_be_read_is_an_error() {
        assert!(matches!(answer(b"").next(), Some(Err(ClientError::Lost(_)))));
        for garbage in [b"{\"reply\":\"en".as_slice(), b"HTTP/1.1 400\r\n", b"{}\n", b"\n", &[0xff; 70_000]] {
            assert!(matches!(answer(garbage).next(), Some(Err(ClientError::Garbled(_)))));
        }
    }

    #[test]
    fn without_a_listener_the_message_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let message = |path: &Path| ask(path, &status(), Patience::Endless).unwrap_err().to_string();
        assert!(message(&path).contains("there is no socket at"), "{}", message(&path));
        drop(socket::listen(&path).unwrap());
        assert!(message(&path).contains("has exited"), "{}", message(&path));
        assert!(message(&path).contains(&path.display().to_string()));
        let file = directory.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(message(&file).contains("is not a socket"), "{}", message(&file));
        assert!(message(&file.join("x")).contains("there is no socket at"));
        assert!(message(&directory.path().join("x".repeat(200))).contains("File name too long"));
    }

    #[test]
    fn a_supervisor_that_does_not_answer_is_given_up_after_the_timeout() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listener = socket::listen(&path).unwrap();
        let patience = Patience::For(Duration::from_millis(1));
        let mut answer = ask(&path, &status(), patience).unwrap();
        assert!(matches!(answer.next(), Some(Err(ClientError::Silent(_)))));
    }

    #[test]
    fn a_request_longer_than_a_line_is_not_sent() {
        let request = Request::Status(Names { names: vec!["x".repeat(LONGEST_LINE)] });
        let error = ask(Path::new("/nowhere"), &request, Patience::Endless).unwrap_err();
        assert!(matches!(error, ClientError::TooLong));
    }
}
