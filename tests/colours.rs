//! Colours are only used on a terminal.

use std::process::Command;

use crate::support::{End, Foster, Running, Terminal, binary};

const ESCAPE: char = '\u{1b}';
const CONFIG: &str = "[program.app]\ncommand = 'puppet print:hello pause'\n";

/// Returns everything that a container with one program writes to its terminal.
fn seen(foster: Foster) -> String {
    let mut foster = foster.config(CONFIG).on_terminal().start();
    foster.wait_for_line("hello");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    foster.output().stdout()
}

/// Runs `foster status` on a terminal.
fn status(foster: &Running, no_color: &str) -> String {
    let mut command = Command::new(binary());
    command.args(["status", "--socket"]).arg(foster.path("foster.sock"));
    command.current_dir(foster.path("")).env("NO_COLOR", no_color);
    Terminal::start(&command).rest()
}

#[test]
fn a_name_is_coloured_on_a_terminal_and_the_line_is_not() {
    let seen = seen(Foster::new());
    let line = seen.lines().find(|line| line.contains("hello")).expect("the line");
    let (name, rest) = line.split_once("hello").expect("its text");
    assert!(name.starts_with(ESCAPE) && name.contains("app") && name.ends_with("\u{1b}[0m "), "{line:?}");
    assert!(!rest.contains(ESCAPE), "{line:?}");
}

#[test]
fn control_characters_are_shown_on_a_terminal_and_kept_in_a_pipe() {
    let config = "[program.app]\ncommand = ['puppet', \"print:10%\\r20%\\u001b[2J\", 'pause']\n";
    for (foster, expected) in
        [(Foster::new().on_terminal(), "10%^M20%^[[2J"), (Foster::new(), "app    | 10%\r20%\u{1b}[2J")]
    {
        let mut foster = foster.config(config).start();
        foster.wait_for_line("20%");
        assert_eq!(foster.terminate(), End::Code(0));
        let seen = foster.output().stdout();
        assert!(seen.contains(expected), "{seen:?}");
    }
}

#[test]
fn no_color_is_honoured_on_a_terminal_too() {
    let seen = seen(Foster::new().env("NO_COLOR", "1"));
    assert!(seen.contains("app    | hello") && !seen.contains(ESCAPE), "{seen:?}");
}

#[test]
fn a_table_is_coloured_on_a_terminal_only_and_no_color_is_honoured() {
    let foster = Foster::new().config(CONFIG).start();
    foster.wait_for_state("app", "running");
    assert!(status(&foster, "").contains("\u{1b}[32mrunning\u{1b}[0m"));
    assert!(!status(&foster, "1").contains(ESCAPE));
    let piped = foster.verb(&["status"]).expect(0);
    assert!(piped.stdout.contains("running") && !piped.stdout.contains(ESCAPE), "{}", piped.stdout);
}
