//! `foster top` on a terminal: what it shows, its keys, and the terminal afterwards.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Foster, Running, Terminal, binary};

const CONFIG: &str = "[program.api]\ncommand = 'puppet print:hello-from-api pause'\n\
                      [program.worker]\ncommand = 'puppet print:hello-from-worker pause'\n";
/// What restores the screen, at the end.
const LEFT: &str = "\u{1b}[?1049l";

fn container() -> Running {
    let foster = Foster::new().config(CONFIG).start();
    foster.wait_for_state("api", "running");
    foster.wait_for_state("worker", "running");
    foster
}

/// A shell script on a terminal, with `foster` for the binary.
fn script(foster: &Running, text: &str) -> Terminal {
    let mut command = Command::new("sh");
    command.args(["-c", &text.replace("foster", &binary().display().to_string())]);
    command.env("FOSTER_SOCKET", foster.path("foster.sock")).current_dir(foster.path(""));
    Terminal::start(&command)
}

#[test]
fn its_keys_show_output_and_give_orders_and_the_terminal_is_as_before() {
    let foster = container();
    let mut top = script(&foster, "echo before=$(stty -g); foster top; echo status=$? after=$(stty -g)");
    top.wait_for("^hello-from-api");
    top.press("j");
    top.wait_for("^hello-from-worker");
    top.press("x");
    top.wait_for("stop worker\\? y or n");
    assert!(foster.row("worker").is_some_and(|row| row["state"] == "running"));
    top.press("y");
    top.wait_for("^worker: stopped");
    top.wait_for("1 running, 1 stopped");
    foster.wait_for_state("worker", "stopped");
    top.press("s");
    foster.wait_for_state("worker", "running");
    top.press("/API");
    top.wait_for("filter `API`: 1 of 2");
    top.press("\r");
    top.press("q");
    let screen = top.rest();
    let (shown, after) = screen.rsplit_once(LEFT).expect("a screen that was left");
    let mode = |text: &str, name: &str| {
        let found = text.split_once(&format!("{name}=")).map(|(_, rest)| rest.split_whitespace().next());
        found.flatten().map(str::to_owned)
    };
    assert!(after.contains("status=0"), "{after}");
    assert_eq!(mode(shown, "before"), mode(after, "after"));
    assert!(mode(after, "after").is_some_and(|mode| mode.len() > 10), "{after}");
}

#[test]
fn a_signal_or_the_end_of_the_supervisor_restores_the_terminal() {
    let start = "sh -c 'echo $$ >pid; exec foster top'; echo status=$? $(stty -a | grep -ow -- -*icanon)";
    let foster = container();
    let mut top = script(&foster, start);
    top.wait_for("^hello-from-api");
    let pid = foster.content("pid").trim().parse().expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a signal to the client");
    let screen = top.rest();
    let (_, after) = screen.rsplit_once(LEFT).expect("a screen that was left");
    assert!(after.contains("status=143 icanon"), "{after}");

    let mut top = script(&foster, start);
    top.wait_for("^hello-from-api");
    foster.signal(Signal::SIGTERM);
    let screen = top.rest();
    let (_, after) = screen.rsplit_once(LEFT).expect("a screen that was left");
    assert!(after.contains("foster: no supervisor answers") && after.contains("status=4 icanon"), "{after}");
}

#[test]
fn it_is_suspended_and_continued_and_fits_a_small_terminal() {
    let foster = container();
    let mut top = script(
        &foster,
        "stty rows 9 columns 40; set -m; foster top; echo suspended $(stty -a | grep -ow -- -*icanon); \
         fg >/dev/null; echo status=$?",
    );
    top.wait_for("^hello-from-api");
    top.press("\x1a");
    top.wait_for("suspended icanon");
    top.press("jq");
    let screen = top.rest();
    assert!(screen.contains("status=0"), "{screen}");
    let frames = screen.split("\u{1b}[H").skip(1).filter_map(|frame| frame.split("\u{1b}[?").next());
    let mut count = 0;
    for frame in frames {
        assert_eq!(frame.lines().count(), 9, "{frame:?}");
        count += 1;
    }
    assert!(count > 1, "{screen:?}");
}

#[test]
fn without_a_terminal_or_a_program_of_that_name_it_says_so() {
    let foster = container();
    let refused = foster.verb(&["top"]).expect(1);
    assert!(refused.stderr.contains("are not both a terminal"), "{}", refused.stderr);
    let refused = foster.verb(&["top", "wroker"]).expect(1);
    assert!(refused.stderr.contains("did you mean `worker`?"), "{}", refused.stderr);
    let screen = script(&foster, "TERM=dumb foster top; echo status=$?").rest();
    assert!(screen.contains("`TERM`") && screen.contains("status=1"), "{screen}");
}

#[test]
fn where_the_filter_leaves_no_instance_no_output_is_shown() {
    let late = "[program.api]\ncommand = 'puppet print:early wait-file:go print:too-late pause'\n";
    let foster = Foster::new().config(late).start();
    foster.wait_for_line("early");
    let mut top = script(&foster, "foster top");
    top.wait_for("^early");
    top.press("/none\r");
    top.wait_for("filter `none`: 0 of 1");
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_line("too-late");
    top.press("/x");
    top.wait_for("filter `nonex`: 0 of 1");
    top.press("\rq");
    let screen = top.rest();
    assert!(!screen.contains("too-late"), "{screen}");
}
