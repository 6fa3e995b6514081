//! Files of Unix sockets: whose they are, and which one foster takes.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::support::{End, Foster, Running, may_make_namespaces};

/// A program that answers at a Unix socket in this folder.
fn web(options: &str, keys: &str) -> Foster {
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let config = format!(
        "[program.web]\ncommand = 'puppet accept:3:web touch:up pause'\nsockets = 'unix://{here}/s{options}'\n\
         start_limit = 'unlimited'\nbackoff = {{ factor = 1 }}\n{keys}\n"
    );
    foster.config(&config)
}

fn ask(path: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn wait_for_answer(foster: &Running, path: &Path) {
    foster.wait_for("an answer", || ask(path).is_some_and(|answer| answer.contains("web ")));
}

#[test]
fn a_unix_socket_has_its_mode_and_owner_and_goes_with_foster() {
    let mut open = web("", "umask = '077'").start();
    wait_for_answer(&open, &open.path("s"));
    assert_eq!(open.path("s").metadata().expect("a socket").mode() & 0o777, 0o666);
    assert_eq!(open.terminate(), End::Code(0));
    assert!(!open.path("s").exists());
    if !may_make_namespaces() {
        return;
    }
    let closed = web("?mode=0640&user=65534&group=12", "").start();
    wait_for_answer(&closed, &closed.path("s"));
    let file = closed.path("s").metadata().expect("a socket");
    assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o640, 65534, 12));
}

#[test]
fn a_user_that_does_not_exist_or_may_not_be_given_is_a_failed_start_with_the_reason() {
    let unknown = web("?user=nosuchuser", "").start();
    unknown.wait_for_line("cannot start web: user `nosuchuser` is not in /etc/passwd");
    if !may_make_namespaces() {
        return;
    }
    let refused = web("?user=65534", "");
    std::fs::set_permissions(refused.folder(), std::fs::Permissions::from_mode(0o777)).expect("its mode");
    let refused = refused.uid(12345).start();
    refused.wait_for_line(
        "cannot start web: giving `unix://.*/s` to its user and group: Operation not permitted",
    );
    // What could not be completed is not left behind.
    assert!(!refused.path("s").exists());
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_is_not() {
    let stale = web("", "");
    drop(UnixListener::bind(stale.folder().join("s")).expect("a socket"));
    assert!(stale.folder().join("s").exists());
    let stale = stale.start();
    wait_for_answer(&stale, &stale.path("s"));

    let live = web("", "");
    let other = UnixListener::bind(live.folder().join("s")).expect("a socket");
    let mut live = live.start();
    live.wait_for_line("cannot start web: listening at `unix://.*/s`: another process listens there");
    let inode = live.path("s").metadata().expect("a socket").ino();
    assert_eq!(live.terminate(), End::Code(0));
    assert_eq!(live.path("s").metadata().expect("still there").ino(), inode);
    drop(other);
}

#[test]
fn a_file_that_is_not_a_socket_is_never_replaced() {
    let mut foster = web("", "").file("s", "precious").start();
    foster.wait_for_line(
        "listening at `unix://.*/s`: the file there is not a socket: foster does not replace it",
    );
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("s"), "precious");

    let link = web("", "").file("target", "precious");
    std::os::unix::fs::symlink("target", link.folder().join("s")).expect("a link");
    let link = link.start();
    link.wait_for_line("the file there is not a socket");
    assert_eq!(link.content("target"), "precious");
}

#[test]
fn a_socket_file_that_was_removed_is_made_again_at_the_next_start() {
    let mut foster = web("", "").start();
    wait_for_answer(&foster, &foster.path("s"));
    std::fs::remove_file(foster.path("s")).expect("a file");
    foster.verb(&["restart", "web"]).expect(0);
    wait_for_answer(&foster, &foster.path("s"));
    assert!(foster.path("s").metadata().expect("a file").file_type().is_socket());
    // A file of another process is not removed at the end.
    std::fs::remove_file(foster.path("s")).expect("a file");
    let _other = UnixListener::bind(foster.path("s")).expect("a socket");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(foster.path("s").exists());
}
