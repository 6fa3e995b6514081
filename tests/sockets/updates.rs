//! Sockets that an update adds, changes and removes.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;

use super::{given, held, rewrite};
use crate::support::{Foster, allocated_kib, descriptors, free_port, get};

fn web(sockets: &str) -> String {
    format!("[program.web]\ncommand = 'puppet accept:3 pause'\nmin_uptime = '1ms'\nsockets = [{sockets}]\n")
}

fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn an_update_opens_new_sockets_first_and_closes_those_that_nothing_has() {
    let (one, two) = (free_port(), free_port());
    let address = |port: u16| format!("'tcp://127.0.0.1:{port}'");
    let foster = Foster::new().config(&web(&address(one))).start();
    foster.wait_for("an answer", || get(one, "/").is_some());
    let kept = given(&foster, "web", 3);
    rewrite(&foster, &web(&format!("{}, {}", address(one), address(two))));
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("sockets changed"), "{printed}");
    assert_eq!(given(&foster, "web", 3), kept);
    assert!(accepts(two));
    rewrite(&foster, &web(&address(two)));
    foster.verb(&["update"]).expect(0);
    assert!(!accepts(one) && get(two, "/").is_some());
    assert!(!held(&foster).contains(&kept), "{:?}", held(&foster));
    // Of a program that is removed as well.
    rewrite(&foster, "[program.other]\ncommand = 'puppet pause'\n");
    foster.verb(&["update"]).expect(0);
    assert!(!accepts(two));
}

#[test]
fn a_socket_that_cannot_be_opened_fails_the_update_and_changes_nothing() {
    let (one, two, taken) = (free_port(), free_port(), free_port());
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).expect("a port");
    let foster = Foster::new().config(&web(&format!("'tcp://127.0.0.1:{one}'"))).start();
    foster.wait_for("an answer", || get(one, "/").is_some());
    let (pid, sockets) = (foster.pid_of("web"), held(&foster));
    let new =
        format!("'tcp://127.0.0.1:{one}?backlog=7', 'tcp://127.0.0.1:{two}', 'tcp://127.0.0.1:{taken}'");
    rewrite(&foster, &web(&new));
    let refused = foster.verb(&["update"]).expect(1).stderr;
    for part in [
        "foster.toml:4:11: error: cannot open a socket of `web`: ",
        &format!("listening at `tcp://127.0.0.1:{taken}`: Address already in use"),
        "nothing was changed",
    ] {
        assert!(refused.contains(part), "{part}\n{refused}");
    }
    assert_eq!(foster.pid_of("web"), pid);
    foster.wait_for("the sockets from before", || held(&foster) == sockets);
    assert!(accepts(one) && !accepts(two));
    // A port that foster has itself, at another address.
    rewrite(&foster, &web(&format!("'tcp://0.0.0.0:{one}'")));
    let refused = foster.verb(&["update"]).expect(1).stderr;
    let remedy = format!("foster has `tcp://127.0.0.1:{one}` open at this port: remove it by one update");
    assert!(refused.contains(&remedy), "{refused}");
}

#[test]
fn options_that_can_change_are_changed_at_the_open_socket_and_others_are_refused() {
    let port = free_port();
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let config =
        |tcp: &str, unix: &str| web(&format!("'tcp://127.0.0.1:{port}{tcp}', 'unix://{here}/s{unix}'"));
    let foster = foster.config(&config("", "")).start();
    foster.wait_for("an answer", || get(port, "/").is_some());
    let (first, second) = (given(&foster, "web", 3), given(&foster, "web", 4));
    rewrite(&foster, &config("?backlog=9", "?mode=0640"));
    foster.verb(&["update"]).expect(0);
    assert_eq!((given(&foster, "web", 3), given(&foster, "web", 4)), (first.clone(), second));
    assert_eq!(foster.path("s").metadata().expect("a socket").mode() & 0o777, 0o640);
    // All or nothing: the mode is as before.
    rewrite(&foster, &config("?reuseport=true", "?mode=0600"));
    let refused = foster.verb(&["update"]).expect(1).stderr;
    assert!(refused.contains("changing `reuseport` of `tcp://127.0.0.1:"), "{refused}");
    assert!(refused.contains("remove the socket by one update and add it by the next"), "{refused}");
    assert_eq!(foster.path("s").metadata().expect("a socket").mode() & 0o777, 0o640);
    assert_eq!(given(&foster, "web", 3), first);
}

#[test]
fn two_programs_share_a_socket_which_is_closed_with_the_last_of_them() {
    let port = free_port();
    let program = |name: &str| {
        format!("[program.{name}]\ncommand = 'puppet accept:3 pause'\nsockets = 'tcp://127.0.0.1:{port}'\n")
    };
    let foster = Foster::new().config(&(program("one") + &program("two"))).start();
    foster.wait_for("an answer", || get(port, "/").is_some());
    assert_eq!(given(&foster, "one", 3), given(&foster, "two", 3));
    rewrite(&foster, &program("two"));
    foster.verb(&["update"]).expect(0);
    assert!(get(port, "/").is_some());
    rewrite(&foster, "[program.three]\ncommand = 'puppet pause'\n");
    foster.verb(&["update"]).expect(0);
    assert!(!accepts(port));
}

#[test]
fn three_hundred_updates_of_sockets_leave_memory_and_descriptors_as_they_were() {
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let other = "[program.other]\ncommand = 'puppet pause'\n";
    let web = "[program.web]\ncommand = 'puppet pause'\nautostart = false\n";
    let port = free_port();
    let with =
        format!("{other}{web}sockets = ['tcp://127.0.0.1:{port}', 'unix://{here}/s', 'unix://@{here}']\n");
    let without = format!("{other}{web}");
    let foster = foster.config(&without).alone().start();
    foster.wait_for_state("other", "running");
    let round = || {
        for text in [&with, &without] {
            rewrite(&foster, text);
            foster.verb(&["update"]).expect(0);
        }
    };
    (0..20).for_each(|_| round());
    let (kib, before) = (allocated_kib(foster.pid()), descriptors(foster.pid()));
    (0..150).for_each(|_| round());
    // The last client's connection may still have been open before.
    foster.wait_for("no more descriptors than before", || descriptors(foster.pid()).len() <= before.len());
    let after = allocated_kib(foster.pid());
    assert!(after <= kib + 128, "{kib} KiB before, {after} KiB after");
}
