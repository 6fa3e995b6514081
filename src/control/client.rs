//! The client's end of the control socket.
//!
//! It may wait, since it is not the supervisor. It asks who listens (`SO_PEERCRED`) before it sends anything: at a
//! path that others may write, another process could pretend to be foster. Nothing is printed here.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Uid;

use super::protocol::{LONGEST_LINE, Refusal, Reply, Request};
use crate::errno;
use crate::sys::socket::{self, Peer};

/// How long the next line of an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// At most this long: for what is answered from state.
    For(Duration),
    /// For ever: for what is answered when it is done.
    Endless,
}

/// How long the client waits for a place in the supervisor's backlog. It admits thousands in a second.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);

/// An answer, as it comes.
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
    /// Nothing is at the path.
    NoSocket(PathBuf),
    /// No process listens: a supervisor that is gone has left the file.
    NotListening(PathBuf),
    /// The file's mode, or a directory's, says no.
    Denied(PathBuf),
    /// The path cannot be connected to for another reason.
    Unreachable(PathBuf, Errno),
    /// The process that listens is neither root's, nor this user's, nor PID 1, nor the owner of the socket's file.
    Untrusted(PathBuf, Peer),
    /// There was no answer for longer than the client's patience.
    Silent(PathBuf),
    /// The connection ended in the middle of the answer.
    Lost(PathBuf),
    /// The reply cannot be read: at the other end is another program, or another version.
    Garbled(PathBuf),
    /// The request does not fit a line.
    TooLong,
    /// The supervisor refuses.
    Refused(Refusal),
}

/// Asks the supervisor at `path`.
///
/// # Errors
/// Whatever keeps the question from being put. What keeps it from being answered comes from
/// the [`Answer`].
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
    // A pair of sockets, as in a test, has this very process at both ends.
    let server = socket::peer(&stream).map_err(|errno| ClientError::Unreachable(path.to_owned(), errno))?;
    if !is_believed(path, server) {
        return Err(ClientError::Untrusted(path.to_owned(), server));
    }
    stream.set_read_timeout(timeout).map_err(unreachable)?;
    stream.set_write_timeout(timeout).map_err(unreachable)?;
    // A supervisor that refuses has said why before it closed: that is read first, and counts.
    let _ = stream.write_all(&line);
    Ok(Answer { path: path.to_owned(), server: Some(server), from: BufReader::new(stream), finished: false })
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
                | Reply::Context(_)),
            ) => Some(Ok(reply)),
            Err(error) => Some(Err(error)),
        };
        self.finished = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Answer {
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

/// A read that took too long fails with either kind (`SO_RCVTIMEO`, socket(7)).
fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.kind() == io::ErrorKind::TimedOut
}

/// Whether the process that listens may be the supervisor. Root and the user's own processes could do anything that
/// the answer makes this process do; PID 1 is the container's foster, as whichever user it runs; and the owner of
/// the socket's file has made it.
fn is_believed(path: &Path, server: Peer) -> bool {
    let owner = || std::fs::metadata(path).is_ok_and(|metadata| metadata.uid() == server.uid.as_raw());
    server.uid.is_root() || server.uid == Uid::effective() || server.pid == 1 || owner()
}

fn unconnected(path: &Path, error: Errno) -> ClientError {
    let path = path.to_owned();
    let is = |errors: &[Errno]| errors.contains(&error);
    if is(&[Errno::ENOENT, Errno::ENOTDIR]) {
        ClientError::NoSocket(path)
    } else if is(&[Errno::ECONNREFUSED]) {
        ClientError::NotListening(path)
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
                "no supervisor answers: the one that made `{}` is gone (start it with `foster run`)",
                path.display()
            ),
            ClientError::Untrusted(path, Peer { uid, pid, gid: _ }) => write!(
                f,
                "cannot trust what listens at `{}`: uid {uid}, pid {pid}, is not the owner of the socket",
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
                write!(f, "the supervisor at `{}` ended before it answered", path.display())
            }
            ClientError::Garbled(path) => write!(
                f,
                "unexpected reply from `{}`: not a foster supervisor, or of another version than {}",
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

    /// An answer made of these bytes, from a supervisor that is gone when they are read.
    fn answer(bytes: &[u8]) -> Answer {
        let (mut server, client) = UnixStream::pair().unwrap();
        server.write_all(bytes).unwrap();
        Answer { path: "/s".into(), server: None, from: BufReader::new(client), finished: false }
    }

    #[test]
    fn an_answer_ends_where_it_says_so() {
        let mut answer = answer(b"{\"reply\":\"end\"}\n{\"reply\":\"end\"}\n");
        assert!(answer.next().is_none());
        assert!(answer.next().is_none());
        assert_eq!(answer.from.buffer(), b"{\"reply\":\"end\"}\n");
    }

    #[test]
    fn a_refusal_is_an_error_with_its_reason() {
        let refusal = Refusal::new(Reason::NotPermitted, "no");
        let mut answer = answer(&Reply::Error(refusal.clone()).encode());
        let Some(Err(ClientError::Refused(told))) = answer.next() else { panic!("not refused") };
        assert_eq!(told, refusal);
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
    fn where_no_process_listens_the_path_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let told = |path: &Path| ask(path, &status(), Patience::Endless).unwrap_err().to_string();
        assert!(told(&path).contains("there is no socket at"), "{}", told(&path));
        drop(socket::listen(&path).unwrap());
        assert!(told(&path).contains("is gone"), "{}", told(&path));
        assert!(told(&path).contains(&path.display().to_string()));
        let file = directory.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(told(&file).contains("is gone"));
        assert!(told(&file.join("x")).contains("there is no socket at"));
        assert!(told(&directory.path().join("x".repeat(200))).contains("File name too long"));
    }

    #[test]
    fn a_supervisor_that_does_not_answer_costs_no_more_than_the_patience() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listener = socket::listen(&path).unwrap();
        let patience = Patience::For(Duration::from_millis(1));
        let mut answer = ask(&path, &status(), patience).unwrap();
        assert!(matches!(answer.next(), Some(Err(ClientError::Silent(_)))));
    }

    #[test]
    fn a_request_that_does_not_fit_a_line_is_not_sent() {
        let request = Request::Status(Names { names: vec!["x".repeat(LONGEST_LINE)] });
        let error = ask(Path::new("/nowhere"), &request, Patience::Endless).unwrap_err();
        assert!(matches!(error, ClientError::TooLong));
    }
}
