//! How the puppet reports about itself: by datagrams, and by a newline on a descriptor; and what no program does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// The socket that `NOTIFY_SOCKET` names, or the file that a test has written its value to.
fn notify_socket() -> UnixDatagram {
    let name = std::env::var("NOTIFY_SOCKET")
        .or_else(|_| fs::read_to_string("notify-socket"))
        .expect("NOTIFY_SOCKET");
    let name = name.strip_prefix('@').expect("an abstract socket");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.connect_addr(&SocketAddr::from_abstract_name(name).expect("a name")).expect("a receiver");
    socket
}

/// `PATH`: its `NOTIFY_SOCKET`, for processes that were not given it.
pub(crate) fn save_socket(path: &str) {
    let name = std::env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
    let new = format!("{path}.new");
    fs::write(&new, name).and_then(|()| fs::rename(&new, path)).expect("save-socket:PATH");
}

/// What no program sends: too long, with NUL bytes, not UTF-8, empty, without an assignment.
pub(crate) fn junk() {
    let socket = notify_socket();
    let long = [b"READY=1\n".as_slice(), &vec![b'x'; 60_000]].concat();
    let nul = [b"READY=1\n".as_slice(), &[0; 100]].concat();
    for junk in [long.as_slice(), &nul, b"\xff\xfe=\xff", b"", b"READY", b"=", &b"A=1\n".repeat(1000)] {
        socket.send(junk).expect("a datagram");
    }
}

/// `TEXT`: one datagram, in which a `~` stands for a line end.
pub(crate) fn notify(text: &str) {
    notify_socket().send(text.replace('~', "\n").as_bytes()).expect("a datagram");
}

/// `SECONDS:PATH`: reports that often that it works, until there is a file at PATH.
pub(crate) fn beat(text: &str) {
    let (seconds, path) = text.split_once(':').expect("beat:SECONDS:PATH");
    let pause = Duration::from_secs_f64(seconds.parse().expect("beat:SECONDS:PATH"));
    while !Path::new(path).exists() {
        notify("WATCHDOG=1");
        thread::sleep(pause);
    }
}

/// As many datagrams as the receiver takes, forever.
pub(crate) fn flood() -> ! {
    let socket = notify_socket();
    loop {
        // The queue may be full at the moment.
        drop(socket.send(b"READY=1\nSTATUS=flood"));
    }
}

/// `TEXT`: one datagram with a connection whose end, with unsent data, takes an hour (SO_LINGER of socket(7)).
pub(crate) fn notify_with_descriptor(text: &str) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let mut stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    stream.set_nonblocking(true).expect("a socket");
    while stream.write(&[b'x'; 65536]).is_ok() {}
    let linger = libc::linger { l_onoff: 1, l_linger: 3600 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).expect("a socket");
    let socket = notify_socket();
    let descriptors = [stream.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    let text = text.replace('~', "\n");
    let parts = [io::IoSlice::new(text.as_bytes())];
    sendmsg::<()>(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), None).expect("a datagram");
    let number = stream.into_raw_fd();
    // The datagram has the last one, unless it was taken before: then this close takes the hour, and nothing waits for it.
    // SAFETY: the number is that of a socket which nothing owns any longer.
    thread::spawn(move || unsafe { libc::close(number) });
    std::mem::forget(listener);
}

/// `N:TEXT`: writes to a descriptor it was given, and closes it. An empty text: only the latter. `~` is a line end.
pub(crate) fn write_descriptor(text: &str) {
    let (number, text) = text.split_once(':').expect("write-fd:N:TEXT");
    // SAFETY: the test gave the program this descriptor, and nothing else here owns it.
    let mut file = unsafe { File::from_raw_fd(number.parse().expect("write-fd:N:TEXT")) };
    file.write_all(text.replace('~', "\n").as_bytes()).expect("a descriptor");
}
