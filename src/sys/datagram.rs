//! A socket for datagrams whose senders the kernel names: unix(7), SO_PASSCRED.
//!
//! Any process of the network namespace may send to it, so neither its name nor a text says who sent one: only the pid
//! that the kernel attaches. The kernel also bounds it: when a few datagrams wait (`net.unix.max_dgram_qlen`), senders
//! wait.
//!
//! A datagram may carry descriptors, and the last copy of a descriptor may be the one in it. To close that can block for
//! as long as the sender likes (a socket with SO_LINGER, a file of a FUSE file system), also where a receiver has no room
//! for it. So a datagram is looked at before it is taken ([`Receiver::peek`]); one with descriptors is taken in a child
//! ([`Receiver::take_with_descriptors`]), whose end closes them.
#![allow(unsafe_code, reason = "nix hides the sender of a datagram whose descriptors were left out")]

use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::socket as sys;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sockopt};
use nix::unistd::Pid;

/// The receiving socket, bound to a name that the kernel has chosen.
#[derive(Debug)]
pub struct Receiver(OwnedFd);

/// A datagram that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes of it are in the buffer.
    pub length: usize,
    /// Whether it is longer than the buffer.
    pub is_cut: bool,
    /// Its sender, who may have ended since. `None`: it is in no PID namespace that this process sees.
    pub sender: Option<Pid>,
    /// Whether it carries descriptors.
    pub has_descriptors: bool,
}

/// The most descriptors in one datagram (`SCM_MAX_FD`).
const MOST_DESCRIPTORS: usize = 253;

/// Room for control messages, aligned for their headers.
#[repr(align(8))]
struct Control<const SIZE: usize>([u8; SIZE]);

impl Receiver {
    /// A socket that an earlier foster of this process has opened.
    pub fn adopted(socket: OwnedFd) -> Receiver {
        Receiver(socket)
    }

    /// A new socket, non-blocking, CLOEXEC, and its abstract name without the leading NUL.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM; EPERM or EACCES where a sandbox forbids it.
    pub fn open() -> nix::Result<(Receiver, Vec<u8>)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = sys::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before it has a name: each datagram says who sent it.
        sys::setsockopt(&socket, sockopt::PassCred, &true)?;
        sys::bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let address: UnixAddr = sys::getsockname(socket.as_raw_fd())?;
        let name = address.as_abstract().ok_or(Errno::EADDRNOTAVAIL)?.to_owned();
        Ok((Receiver(socket), name))
    }

    /// Looks at the oldest datagram, which stays where it is.
    ///
    /// # Errors
    /// EAGAIN where there is none; ENOMEM.
    pub fn peek(&self, buffer: &mut [u8]) -> nix::Result<Datagram> {
        // Room for the credentials and nothing else: descriptors are left out, and that is reported.
        let mut control = Control([0; space_of::<libc::ucred>()]);
        let (length, header) = self.receive(buffer, &mut control.0, libc::MSG_PEEK)?;
        Ok(Datagram {
            length,
            is_cut: header.msg_flags & libc::MSG_TRUNC != 0,
            sender: sender(&header).filter(|pid| pid.as_raw() > 0),
            has_descriptors: header.msg_flags & libc::MSG_CTRUNC != 0,
        })
    }

    /// Takes the oldest datagram, which was looked at and carries no descriptor.
    ///
    /// # Errors
    /// EAGAIN where there is none.
    pub fn take(&self) -> nix::Result<()> {
        sys::recv(self.0.as_raw_fd(), &mut [], MsgFlags::MSG_DONTWAIT).map(drop)
    }

    /// Takes the oldest datagram with its descriptors, which stay open until this process ends: for a child alone.
    ///
    /// # Errors
    /// EAGAIN where there is none.
    pub fn take_with_descriptors(&self) -> nix::Result<()> {
        let mut control =
            Control([0; space_of::<libc::ucred>() + space_of::<[libc::c_int; MOST_DESCRIPTORS]>()]);
        self.receive(&mut [], &mut control.0, libc::MSG_CMSG_CLOEXEC).map(drop)
    }

    fn receive(
        &self,
        buffer: &mut [u8],
        control: &mut [u8],
        flags: libc::c_int,
    ) -> nix::Result<(usize, libc::msghdr)> {
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: a msghdr is numbers and pointers, for which zero is a value.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control.len() as _;
        let flags = flags | libc::MSG_DONTWAIT;
        // SAFETY: `header` points to one part and to room for control messages, each valid for writes of its length.
        let received = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, flags) };
        let length = usize::try_from(Errno::result(received)?).unwrap_or_default();
        header.msg_iov = ptr::null_mut();
        Ok((length, header))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The room that a control message with this content takes: cmsg(3).
const fn space_of<T>() -> usize {
    // SAFETY: CMSG_SPACE computes with a number.
    #[expect(clippy::cast_possible_truncation, reason = "a thousand bytes at most")]
    unsafe {
        libc::CMSG_SPACE(size_of::<T>() as libc::c_uint) as usize
    }
}

/// The pid that the kernel has attached to a message.
fn sender(header: &libc::msghdr) -> Option<Pid> {
    // SAFETY: recvmsg(2) has filled `header`, whose control room the caller still holds.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: it is null, or points to the first control message in that room.
    let message = unsafe { first.as_ref() }?;
    if (message.cmsg_level, message.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
        return None;
    }
    // SAFETY: the data of a message follows its header.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: a message of this type carries a `ucred`, which the data need not be aligned for.
    let credentials: libc::ucred = unsafe { ptr::read_unaligned(data.cast()) };
    Some(Pid::from_raw(credentials.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::io::{self, IoSlice, Read};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use nix::sys::socket::ControlMessage;
    use nix::sys::wait::waitpid;

    use crate::sys::fork::fork;

    fn connected() -> (Receiver, UnixDatagram) {
        let (receiver, name) = Receiver::open().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        (receiver, sender)
    }

    #[test]
    fn a_datagram_is_looked_at_with_its_sender_and_taken() {
        let (receiver, sender) = connected();
        let mut buffer = [0; 8];
        assert_eq!(receiver.peek(&mut buffer), Err(Errno::EAGAIN));
        sender.send(b"READY=1").unwrap();
        sender.send(b"much too long").unwrap();
        for _ in 0..2 {
            let seen = receiver.peek(&mut buffer).unwrap();
            let own = Pid::this();
            assert_eq!(
                seen,
                Datagram { length: 7, is_cut: false, sender: Some(own), has_descriptors: false }
            );
            assert_eq!(&buffer[..7], b"READY=1");
        }
        receiver.take().unwrap();
        let seen = receiver.peek(&mut buffer).unwrap();
        assert!(seen.is_cut && seen.length == 8, "{seen:?}");
        receiver.take().unwrap();
        assert_eq!(receiver.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn the_sender_is_known_also_when_it_has_been_reaped() {
        let (receiver, sender) = connected();
        let child = fork(None, |_| u8::from(sender.send(b"x").is_err())).unwrap();
        waitpid(child.pid(), None).unwrap();
        assert_eq!(receiver.peek(&mut [0; 8]).unwrap().sender, Some(child.pid()));
    }

    #[test]
    fn descriptors_are_seen_and_never_opened_and_a_child_that_takes_them_closes_them() {
        let (receiver, sender) = connected();
        let (mut reader, writer) = io::pipe().unwrap();
        let (one, two) = (writer.as_raw_fd(), File::open("/dev/null").unwrap());
        let descriptors = [one, two.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&descriptors)];
        let text = [IoSlice::new(b"BARRIER=1")];
        sys::sendmsg::<()>(sender.as_raw_fd(), &text, &control, MsgFlags::empty(), None).unwrap();
        drop(writer);
        let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
        for _ in 0..2 {
            let seen = receiver.peek(&mut [0; 16]).unwrap();
            assert!(seen.has_descriptors && seen.length == 9 && seen.sender == Some(Pid::this()), "{seen:?}");
        }
        assert!(std::fs::read_dir("/proc/self/fd").unwrap().count().abs_diff(before) < 20);
        let child = fork(None, |_| u8::from(receiver.take_with_descriptors().is_err())).unwrap();
        // The end of the pipe that was in the datagram is closed.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        waitpid(child.pid(), None).unwrap();
        assert_eq!(receiver.peek(&mut [0; 8]), Err(Errno::EAGAIN));
    }
}
