//! The log of `run --detach --log`: rotation, `SIGUSR1`, an update, a FIFO.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use super::{Machine, target, wait_for};
use crate::support::puppet;

/// A configuration with these keys in `[foster]`, and a program that does these steps.
fn machine(keys: &str, steps: &str) -> Machine {
    let machine = Machine::new("");
    let socket = machine.path("socket");
    let config = format!(
        "[foster]\nsocket = '{}'\n{keys}[program.web]\ncommand = '{} {steps} pause'\nmin_uptime = '1ms'\n",
        socket.display(),
        puppet().display()
    );
    fs::write(machine.path("foster.toml"), config).expect("a configuration");
    machine
}

fn read(machine: &Machine, name: &str) -> String {
    fs::read_to_string(machine.path(name)).unwrap_or_default()
}

#[test]
fn it_rotates_without_losing_or_splitting_a_line() {
    let machine = machine("log_max_size = '64K'\nlog_keep = 100\n", "lines:200000 touch:done");
    machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    let pid = machine.pid();
    wait_for("end of the lines", || machine.path("done").exists());
    // The open file, its descriptors included, is the newest one.
    wait_for("last line", || read(&machine, "log").contains("web    | line 200000\n"));
    assert_eq!(target(pid, 1), machine.path("log").canonicalize().expect("a log"));
    assert_eq!(target(pid, 2), target(pid, 1));
    machine.shut_down(pid);
    let mut whole = String::new();
    let numbered = |number: u32| if number == 0 { "log".to_owned() } else { format!("log.{number}") };
    for name in (0..=100).rev().map(numbered).filter(|name| machine.path(name).exists()) {
        let part = read(&machine, &name);
        assert!(part.len() <= 65536 && part.ends_with('\n'), "{name}: {} bytes", part.len());
        whole.push_str(&part);
    }
    assert!(machine.path("log.40").exists(), "{:?}", machine.names());
    let seen: Vec<&str> = whole.lines().filter(|line| line.starts_with("web ")).collect();
    let expected: Vec<String> = (1..=200_000).map(|n| format!("web    | line {n}")).collect();
    assert!(seen == expected, "{} lines of {}", seen.len(), expected.len());
    assert!(whole.lines().all(|line| line.starts_with("web ") || line.starts_with("foster ")));
}

#[test]
fn it_keeps_the_configured_number_of_files_and_an_update_changes_that() {
    let steps = "lines:50000 touch:first wait-file:more lines:50000 touch:second";
    let machine = machine("log_max_size = '64K'\nlog_keep = 2\n", steps);
    machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    wait_for("end of the lines", || machine.path("first").exists());
    wait_for("last line", || read(&machine, "log").contains("| line 50000\n"));
    assert!(machine.path("log.2").exists() && !machine.path("log.3").exists(), "{:?}", machine.names());
    let config = read(&machine, "foster.toml").replace("'64K'\nlog_keep = 2", "'16K'\nlog_keep = 5");
    fs::write(machine.path("foster.toml"), config).expect("a configuration");
    let updated = machine.foster(&["update"]).expect(0);
    assert!(updated.text().contains("log_max_size and log_keep applied"), "{}", updated.text());
    fs::write(machine.path("more"), "").expect("a file");
    wait_for("end of the lines", || machine.path("second").exists());
    wait_for("last line", || read(&machine, "log").contains("| line 50000\n"));
    assert!(machine.path("log.5").exists() && !machine.path("log.6").exists(), "{:?}", machine.names());
    assert!(fs::metadata(machine.path("log.1")).expect("a file").len() <= 16384);
    machine.shut_down(machine.pid());
}

#[test]
fn usr1_opens_it_again_after_another_tool_has_moved_it() {
    let machine = machine("", "print:one wait-file:go print:two");
    machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    let pid = machine.pid();
    wait_for("first line", || read(&machine, "log").contains("| one\n"));
    fs::rename(machine.path("log"), machine.path("moved")).expect("a rename");
    kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("a signal");
    wait_for("new file", || machine.path("log").exists());
    fs::write(machine.path("go"), "").expect("a file");
    wait_for("second line", || read(&machine, "log").contains("| two\n"));
    assert!(!read(&machine, "moved").contains("| two"));
    assert_eq!(target(pid, 2), machine.path("log").canonicalize().expect("a log"));
    machine.shut_down(pid);
    assert!(read(&machine, "log").contains("exit status 0"), "{}", read(&machine, "log"));
}

#[test]
fn a_program_with_the_same_file_shares_it_and_one_that_inherits_it_writes_to_the_newest() {
    let machine = machine("log_max_size = '4K'\n", "lines:1000 touch:done");
    let more = format!(
        "stdout = {{ file = '{}', max_size = '1G' }}\n[program.direct]\ncommand = 'echo direct'\nstdout = 'inherit'\nrestart = 'never'\nautostart = false\n",
        machine.path("log").display()
    );
    fs::write(machine.path("foster.toml"), read(&machine, "foster.toml") + &more).expect("a configuration");
    machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    wait_for("end of the lines", || machine.path("done").exists());
    wait_for("last line", || read(&machine, "log").contains("\nline 1000\n"));
    machine.foster(&["start", "direct"]).expect(0);
    wait_for("line of the other", || read(&machine, "log").contains("\ndirect\n"));
    assert!(machine.path("log.2").exists(), "{:?}", machine.names());
    assert!(fs::metadata(machine.path("log.1")).expect("a file").size() <= 4096);
    machine.shut_down(machine.pid());
}

#[test]
fn a_fifo_is_written_as_it_is() {
    let machine = machine("", "print:one");
    mkfifo(&machine.path("fifo"), Mode::S_IRWXU).expect("a FIFO");
    machine.detach(&["--pid-file", "pid", "--log", "fifo"]).expect(0);
    let lines = BufReader::new(File::open(machine.path("fifo")).expect("a FIFO")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "web    | one"));
    machine.shut_down(machine.pid());
}
