//! The last lines of programs, and the lines that a reader gets.
//!
//! The ring itself is tested in `ring.rs`.

use super::*;

#[test]
fn a_follower_gets_the_lines_after_the_last_one_it_has_seen() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, stderr) = bench.start(run(0, 1));
    write(&stdout, "one\n");
    bench.turn_until_idle();
    let seen = bench.output.last_line();
    write(&stderr, "two\n");
    bench.turn_until_idle();
    let (lines, more) = bench.output.lines_after(&[ProgramId(0)], seen, 1000);
    let texts: Vec<_> = lines.iter().map(|(_, line)| (line.origin.stream, line.text.as_slice())).collect();
    assert_eq!((texts, more), (vec![(Stream::Stderr, b"two".as_slice())], false));
    bench.output.configure(&plan(LogFormat::Text, &[program("web"), program("more")]));
    assert_eq!(
        bench.output.lines_after(&[ProgramId(0)], 0, 9999).0.len(),
        2,
        "a changed plan keeps the tail"
    );
}

#[test]
fn lines_of_several_programs_are_in_order_and_in_pieces() {
    let mut bench = Bench::new(LogFormat::Text, &[program("a"), program("b"), program("c")]);
    let (a, _a) = bench.start(run(0, 1));
    let (b, _b) = bench.start(run(1, 1));
    let (c, _c) = bench.start(run(2, 1));
    for (stream, text) in [(&a, "1\n"), (&b, "2\n"), (&c, "hidden\n"), (&a, "3\n"), (&b, "4\n")] {
        write(stream, text);
        bench.turn_until_idle();
    }
    let wanted = [ProgramId(0), ProgramId(1)];
    let mut seen = 0;
    let mut texts = Vec::new();
    loop {
        let (lines, more) = bench.output.lines_after(&wanted, seen, 1);
        assert_eq!(lines.len(), 1, "a piece is never empty, and no longer than it must be");
        seen = lines[0].1.number;
        texts.extend(lines[0].1.text.clone());
        if !more {
            break;
        }
    }
    assert_eq!(texts, b"1234");
    let before = |count| bench.output.before_the_last(&wanted, count);
    let after = |number| bench.output.lines_after(&wanted, number, usize::MAX).0.len();
    assert_eq!([0, 1, 3, 4, 99].map(before).map(after), [0, 1, 3, 4, 4]);
}

#[test]
fn the_last_output_of_a_run_is_its_own_even_if_it_is_empty() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let texts = |bench: &Bench, number: u32| -> Vec<Vec<u8>> {
        let lines = bench.output.output_of(run(0, number), 3000);
        lines.into_iter().map(|line| line.text).collect()
    };
    for number in 1..=2 {
        let (stdout, _stderr) = bench.start(run(0, number));
        write(&stdout, &format!("of run {number}\n"));
        bench.output.ended(run(0, number));
    }
    assert_eq!(texts(&bench, 1), [b"of run 1"]);
    assert_eq!(texts(&bench, 2), [b"of run 2"]);
    bench.output.attach(run(0, 3), &bench.programs[0]).unwrap();
    bench.output.abandon(run(0, 3));
    assert_eq!(texts(&bench, 3), [] as [Vec<u8>; 0]);
}

#[test]
fn an_unfinished_line_is_available_before_its_newline() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    write(&stdout, "whole\nPassword:");
    bench.turn_until_idle();
    let unfinished = bench.output.unfinished(&[ProgramId(0)]);
    assert_eq!(unfinished.len(), 1);
    assert_eq!(
        (unfinished[0].stream, unfinished[0].text.as_slice()),
        (Stream::Stdout, b"Password:".as_slice())
    );
    assert_eq!(bench.output.unfinished(&[ProgramId(1)]), []);
}
