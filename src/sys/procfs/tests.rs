//! Reading /proc, and signals only to the process that was read.

use super::*;
use crate::sys::isolated::alone;
use crate::sys::process::children_by_number;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn line(name: &str, state: char, threads: u32) -> String {
    format!("42 ({name}) {state} 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 12345 99 9\n")
}

fn id(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

#[test]
fn a_name_may_contain_anything() {
    let number = Pid::from_raw;
    let expected = Some(Process {
        pid: number(42),
        life: Life::Alive,
        group: number(42),
        session: number(40),
        started: 12345,
        parent: Pid::from_raw(7),
        threads: 1,
    });
    for name in ["sleep", "a b", "a) S 1 1 1 (b", ")", "(", "", "\n) Z 1 1 1"] {
        assert_eq!(parse(line(name, 'S', 1).as_bytes()), expected, "{name}");
    }
    let mut bytes = b"42 (\xff\xfe".to_vec();
    bytes.extend_from_slice(line("", 'S', 1).split_at(4).1.as_bytes());
    assert_eq!(parse(&bytes), expected);
}

#[test]
fn a_zombie_is_distinguished_from_a_process_whose_first_thread_has_exited() {
    assert_eq!(parse(line("x", 'Z', 1).as_bytes()).unwrap().life, Life::Zombie);
    assert_eq!(parse(line("x", 'Z', 0).as_bytes()).unwrap().life, Life::Zombie);
    assert_eq!(parse(line("x", 'Z', 3).as_bytes()).unwrap().life, Life::Alive);
}

#[test]
fn a_truncated_or_invalid_stat_is_rejected() {
    let whole = line("x", 'S', 1);
    let last = whole.find(" 0 12345").unwrap();
    for end in 0..last {
        assert_eq!(parse(whole.split_at(end).0.as_bytes()), None, "{end}");
    }
    assert_eq!(parse(b"1 (x) S a b c"), None);
    assert_eq!(parse(b"1 (x) \xff 1 1 1"), None);
}

#[test]
fn own_children_are_found_by_the_list_by_their_parent_and_by_pid() {
    let name = "sys::procfs::tests::own_children_are_found_by_the_list_by_their_parent_and_by_pid";
    if alone(name).is_some() {
        return;
    }
    let mut own = OwnChildren::open();
    assert_eq!(own.read().unwrap(), []);
    let mut children = [(); 3].map(|()| Command::new("sleep").arg("1000").spawn().unwrap());
    let expected: Vec<Pid> = children.iter().map(id).collect();
    assert_eq!(own.read().unwrap(), expected);
    let sorted = |mut pids: Vec<Pid>| {
        pids.sort();
        pids
    };
    assert_eq!(sorted(children_by_parent().unwrap()), sorted(expected.clone()));
    assert_eq!(sorted(children_by_number()), sorted(expected.clone()));
    for child in &expected {
        let seen = process(*child).unwrap().unwrap();
        let unseen = Process::unseen(*child);
        assert_eq!((seen.group, seen.session), (unseen.group, unseen.session));
        assert_eq!((seen.life, unseen.life), (Life::Alive, Life::Alive));
        assert!(seen.started.abs_diff(now()) < 3000, "{} {}", seen.started, now());
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(own.read().unwrap(), []);
}

#[test]
fn descendants_are_found_in_any_session() {
    let script = "setsid sh -c 'sleep 1000 & echo; wait' & wait";
    let mut main = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(main.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let found = descendants(id(&main)).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|process| process.session != id(&main)));
    // A process that had this pid earlier is not signalled.
    let other = Process { started: 1, ..*found.last().unwrap() };
    signal(&other, Signal::KILL).unwrap();
    assert_eq!(descendants(id(&main)).unwrap().len(), 2);
    for process in &found {
        signal(process, Signal::KILL).unwrap();
    }
    main.wait().unwrap();
    assert_eq!(descendants(id(&main)).unwrap(), []);
}

#[test]
fn an_empty_directory_is_an_unmounted_proc() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(numbers(empty.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(numbers(&empty.path().join("missing")).is_err());
}
