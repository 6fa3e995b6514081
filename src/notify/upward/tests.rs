//! foster's notifications, with a real datagram socket.

use std::path::PathBuf;

use super::*;

/// A receiver and the sender.
struct Pair {
    directory: tempfile::TempDir,
    receiver: UnixDatagram,
    service_manager: ServiceManager,
}

fn pair() -> Pair {
    let directory = tempfile::tempdir().unwrap();
    let receiver = UnixDatagram::bind(path(&directory)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let service_manager = ServiceManager::from_environment(Some(path(&directory).as_os_str())).unwrap();
    Pair { directory, receiver, service_manager }
}

fn path(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("notify.sock")
}

fn received(receiver: &UnixDatagram) -> String {
    let mut buffer = [0; 2 * MESSAGE_LIMIT];
    let count = receiver.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

fn warning(value: &str) -> String {
    ServiceManager::from_environment(Some(OsStr::new(value))).unwrap_err().to_string()
}

#[test]
fn each_message_is_one_datagram() {
    let Pair { directory: _directory, receiver, mut service_manager } = pair();
    assert_eq!(service_manager.ready(), None);
    assert_eq!(service_manager.status("2 of 3 ready"), None);
    assert_eq!(service_manager.stopping(), None);
    assert_eq!(service_manager.exit_status(143), None);
    for expected in ["READY=1", "STATUS=2 of 3 ready", "STOPPING=1", "EXIT_STATUS=143"] {
        assert_eq!(received(&receiver), expected);
    }
}

#[test]
fn an_abstract_name_is_an_address() {
    let name = format!("foster-notify-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let receiver = UnixDatagram::bind_addr(&address).unwrap();
    let value = format!("@{name}");
    let mut service_manager = ServiceManager::from_environment(Some(OsStr::new(&value))).unwrap();
    assert_eq!(service_manager.ready(), None);
    assert_eq!(received(&receiver), "READY=1");
}

#[test]
fn a_status_cannot_contain_another_message() {
    let Pair { directory: _directory, receiver, mut service_manager } = pair();
    assert_eq!(service_manager.status("fine\nREADY=1\r\n\0."), None);
    assert_eq!(received(&receiver), "STATUS=fine READY=1   .");
}

#[test]
fn a_long_status_is_cut_between_characters() {
    let Pair { directory: _directory, receiver, mut service_manager } = pair();
    assert_eq!(service_manager.status(&"é".repeat(MESSAGE_LIMIT)), None);
    let message = received(&receiver);
    assert_eq!(message.len(), MESSAGE_LIMIT - 1);
    assert!(message.ends_with('é'));
}

#[test]
fn without_a_value_no_message_is_sent() {
    for value in [None, Some(OsStr::new(""))] {
        let mut manager = ServiceManager::from_environment(value).unwrap();
        assert!(manager.receiver.is_none());
        assert_eq!(manager.ready(), None);
    }
}

#[test]
fn an_invalid_address_is_a_warning() {
    for value in ["notify.sock", "@", "/", "vsock:2:1234"] {
        let form = "it is neither an absolute path nor `@` and a name";
        assert_eq!(warning(value), format!("cannot notify `{value}` (NOTIFY_SOCKET): {form}"));
    }
    assert!(warning(&format!("/{}", "x".repeat(200))).contains("cannot notify `/xxx"));
    assert!(warning(&format!("@{}", "x".repeat(200))).contains("cannot notify `@xxx"));
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    assert!(ServiceManager::from_environment(Some(bytes)).unwrap_err().to_string().contains('\u{fffd}'));
}

#[test]
fn a_status_is_sent_when_it_has_changed() {
    let Pair { directory: _directory, receiver, mut service_manager } = pair();
    for text in ["one", "one", "two"] {
        assert_eq!(service_manager.status(text), None);
    }
    assert_eq!([received(&receiver), received(&receiver)], ["STATUS=one", "STATUS=two"]);
}

#[test]
fn a_missing_receiver_is_reported_once_and_found_again() {
    let Pair { directory, receiver, mut service_manager } = pair();
    std::fs::remove_file(path(&directory)).unwrap();
    drop(receiver);
    let gone = "cannot notify $NOTIFY_SOCKET: No such file or directory";
    assert_eq!(service_manager.ready().as_deref(), Some(gone));
    assert_eq!(service_manager.stopping(), None);
    let receiver = UnixDatagram::bind(path(&directory)).unwrap();
    assert_eq!(service_manager.exit_status(0), None);
    assert_eq!(received(&receiver), "EXIT_STATUS=0");
}

#[test]
fn a_receiver_that_does_not_read_never_blocks_foster() {
    let Pair { directory: _directory, receiver: _receiver, mut service_manager } = pair();
    let long = "x".repeat(MESSAGE_LIMIT);
    let complaint = (0..100_000).find_map(|number| service_manager.status(&format!("{number}{long}")));
    // EAGAIN: its queue is full (unix(7)).
    assert_eq!(complaint.as_deref(), Some("cannot notify $NOTIFY_SOCKET: Resource temporarily unavailable"));
}
