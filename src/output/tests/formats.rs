//! The format of lines, on a terminal and elsewhere.
//!
//! `format.rs` tests prefixes, `visible.rs` control characters.

use nix::pty::openpty;

use super::*;

#[test]
fn a_long_name_shifts_only_its_own_line() {
    let long = "a-name-of-twenty-six-chars";
    let mut bench = Bench::new(LogFormat::Text, &[program("web"), program(long)]);
    let (web, _one) = bench.start(run(0, 1));
    let (other, _two) = bench.start(run(1, 1));
    write(&web, "short\n");
    bench.turn_until_idle();
    write(&other, "long\n");
    bench.turn_until_idle();
    let name = "web";
    assert_eq!(bench.read().0, format!("{name:20} | short\n{long} | long\n"));
}

#[test]
fn on_a_terminal_levels_are_coloured_and_control_characters_are_shown() {
    let ends = openpty(None, None).unwrap();
    set_nonblocking(&ends.master);
    let copy = ends.slave.try_clone().unwrap();
    let (epoll, mut output) = output_to(Some(ends.slave), Some(copy), LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
        panic!("not captured")
    };
    output.say(Level::Warn, "careful");
    write(&stdout, "10%\r20%\x1b[2J \x1b[31mred\r\n");
    let mut seen = Vec::new();
    turn_until(&epoll, &mut output, |output| {
        seen.extend(drain(&ends.master));
        !output.pending() && seen.ends_with(b"red\x1b[0m\r\n")
    });
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.contains("\x1b[1mfoster |\x1b[0m \x1b[33mwarning\x1b[0m: careful"), "{seen:?}");
    assert!(seen.contains("web    |\x1b[0m 10%^M20%^[[2J \x1b[31mred\x1b[0m\r\n"), "{seen:?}");
}

#[test]
fn in_a_pipe_control_characters_are_unchanged() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    write(&stdout, "10%\r20%\x1b[2J\n");
    bench.turn_until_idle();
    assert_eq!(bench.read().0, "web    | 10%\r20%\x1b[2J\n");
}

#[test]
fn a_pattern_is_matched_against_the_beginning_of_a_line_without_its_colours() {
    let ready = |pattern: &str| Program {
        ready: Some(Probe::Log(LinePattern::new(pattern).unwrap())),
        ..program("web")
    };
    let mut bench = Bench::new(LogFormat::Text, &[ready("^ready on 80$"), ready("far")]);
    let (web, _one) = bench.start(run(0, 1));
    let (far, _two) = bench.start(run(1, 1));
    write(&far, &format!("{}far\n", "x".repeat(LinePattern::LONGEST_LINE)));
    write(&web, "\x1b[32mready\x1b[0m on \x1b[1m80\x1b[0m\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(0, 1)]);
    write(&far, "near and far\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(1, 1)]);
}

#[test]
fn a_pattern_that_takes_too_long_to_match_is_refused() {
    for pattern in ["(.{0,1000}){1,20}!", "(a{1,1000}){1,100}", "("] {
        assert!(LinePattern::new(pattern).is_err(), "{pattern}");
    }
    for pattern in ["(?i)listening on .*:[0-9]{1,5}", r"^\S+ \[(notice|info)\] .{0,80}ready\b"] {
        assert!(LinePattern::new(pattern).is_ok(), "{pattern}");
    }
}
