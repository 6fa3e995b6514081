use nix::fcntl::{FcntlArg, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{FlowArg, tcflow};

use super::super::stream::capture;
use super::*;

fn with(method: WriteMethod, fd: OwnedFd, kind: Kind) -> Target {
    Target { descriptor: Descriptor::Own(fd), kind, method: Cell::new(method) }
}

fn shared(fd: OwnedFd) -> Target {
    Target::shared(Descriptor::Own(fd))
}

#[test]
fn writing_to_an_inherited_pipe_never_waits_and_leaves_its_flags_alone() {
    let (_read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let flags = fcntl(&write, FcntlArg::F_GETFL).unwrap();
    let copy = || write.try_clone().unwrap();
    let no_wait = with(WriteMethod::NoWait, copy(), Kind::Pipe);
    let interrupted = with(WriteMethod::Interrupted, copy(), Kind::Pipe);
    for target in [shared(copy()), no_wait, interrupted] {
        while target.write(&[b'x'; 100_000]).is_ok() {}
        assert_eq!(target.write(b"x"), Err(Errno::EAGAIN));
    }
    assert_eq!(fcntl(&write, FcntlArg::F_GETFL).unwrap(), flags);
}

#[test]
fn a_sleeping_write_is_interrupted() {
    let (_read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let filling = with(WriteMethod::Interrupted, write.try_clone().unwrap(), Kind::Pipe);
    while filling.write(&[b'x'; 4096]).is_ok() {}
    // As if another writer had filled the pipe between poll(2) and write(2).
    let timer = WriteTimer::start().unwrap();
    assert_eq!(nix::unistd::write(&write, b"x"), Err(Errno::EINTR));
    drop(timer);
    let signals = SigSet::thread_get_mask().unwrap();
    assert!(!signals.contains(INTERRUPT), "the mask is restored");
}

#[test]
fn a_stopped_terminal_takes_nothing_and_blocks_no_writer() {
    let ends = openpty(None, None).unwrap();
    let copy = || ends.slave.try_clone().unwrap();
    let targets = [
        shared(copy()),
        with(WriteMethod::NoWait, copy(), Kind::Terminal),
        with(WriteMethod::Interrupted, copy(), Kind::Terminal),
    ];
    for target in targets {
        assert!(target.is_terminal());
        assert_eq!(target.write(b"x"), Ok(1));
        tcflow(&ends.slave, FlowArg::TCOOFF).unwrap();
        assert_eq!(target.write(b"x"), Err(Errno::EAGAIN));
        tcflow(&ends.slave, FlowArg::TCOON).unwrap();
    }
}

#[test]
fn writing_to_an_inherited_socket_never_waits() {
    let (_one, two) = std::os::unix::net::UnixStream::pair().unwrap();
    let target = shared(two.into());
    while target.write(&[b'x'; 100_000]).is_ok() {}
    assert_eq!(target.write(b"x"), Err(Errno::EAGAIN));
    assert_eq!(target.reader(), Reader::Present);
}

#[test]
fn a_closed_reader_is_an_error_without_a_signal() {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let target = shared(write);
    drop(read);
    assert_eq!(target.write(b"x"), Err(Errno::EPIPE));
    assert!(target.is_final(Errno::EPIPE) && !target.is_final(Errno::ENOSPC));
}

#[test]
fn a_fifo_survives_each_of_its_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let reader = || open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
    let first = reader();
    let target = shared(open(&path, OFlag::O_WRONLY, Mode::empty()).unwrap());
    drop(first);
    assert_eq!(target.write(b"kept"), Ok(4));
    let mut buffer = [0; 9];
    assert_eq!(nix::unistd::read(reader(), &mut buffer), Ok(4));
    assert!(!target.is_final(Errno::EPIPE));
}

#[test]
fn files_and_devices_without_a_reader_are_distinguished_from_pipes() {
    let null = std::fs::File::create("/dev/null").unwrap();
    assert_eq!(shared(null.into()).reader(), Reader::None);
    let file = tempfile::tempfile().unwrap();
    assert_eq!(shared(file.into()).reader(), Reader::None);
    let (_read, write) = capture().unwrap();
    assert_eq!(shared(write).reader(), Reader::Present);
}
