//! What the keys do, and the frames that come of it.

use expect_test::{Expect, expect};

use super::*;
use crate::cli::format::Colour;
use crate::client::keys::Key::{Char, Down, End, Enter, Escape, Home, PageUp, Up};
use crate::client::top::view;
use crate::control::protocol::{Kind, LogLine, State, Stream};

fn row(label: &str, state: State) -> StatusRow {
    let runs = state == State::Running;
    StatusRow {
        name: label.split('.').next().unwrap_or_default().to_owned(),
        kind: Kind::Program,
        instance: Some(0),
        instances: 1,
        label: label.to_owned(),
        state,
        pid: runs.then_some(17),
        uptime_ms: runs.then_some(61_000),
        restarts: 2,
        ready: runs,
        health: None,
        exit: None,
        last_start: None,
        duration_ms: None,
        next_due: None,
        memory_bytes: runs.then_some(5 << 20),
        cpu_ms: runs.then_some(610),
        wanted: true,
        note: (!runs).then(|| "next start in 3.2s".to_owned()),
        status: None,
        dropped_lines: 0,
        namespec: None,
    }
}

fn line(text: &str) -> Reply {
    piece(text, false, false)
}

fn piece(text: &str, more: bool, unfinished: bool) -> Reply {
    let (ts, name) = ("2026-01-01T00:00:00Z".to_owned(), "api".to_owned());
    Reply::Line(LogLine { ts, name, stream: Stream::Stdout, text: text.to_owned(), more, unfinished })
}

/// A model of three programs, with these lines of the first.
fn model(lines: usize) -> Model {
    let mut model = Model::new();
    let states = [("api", State::Running), ("nginx", State::Running), ("worker", State::Backoff)];
    model.set_rows(states.map(|(label, state)| row(label, state)).to_vec());
    assert_eq!(followed(&mut model), Some("api".to_owned()));
    (1..=lines).for_each(|number| model.add_output(&line(&format!("line {number}"))));
    model
}

/// Whose output is followed from now on; that was another's before.
fn followed(model: &mut Model) -> Option<String> {
    assert!(model.select_output());
    model.output.of.clone()
}

fn frame(model: &mut Model, columns: usize, height: usize) -> String {
    let lines = view::frame(model, columns, height, Colour::No);
    assert_eq!(lines.len(), height);
    lines.join("\n").replace("\x1b[7m", "[").replace("\x1b[0m", "]")
}

fn press(model: &mut Model, keys: &[Key]) -> Vec<Step> {
    keys.iter().map(|key| model.press(*key)).filter(|step| *step != Step::Nothing).collect()
}

#[track_caller]
fn shows(model: &mut Model, size: (usize, usize), expected: Expect) {
    expected.assert_eq(&(frame(model, size.0, size.1) + "\n"));
}

#[test]
fn a_frame_has_the_table_the_output_and_the_keys() {
    shows(
        &mut model(20),
        (80, 14),
        expect![[r#"
            foster  2 running, 1 backoff  memory 10M
            NAME    STATE    READY  PID  UPTIME  RESTARTS   CPU  MEMORY  NOTE
            [api     running  yes     17   1m 1s         2  1.0%    5.0M                     ]
            nginx   running  yes     17   1m 1s         2  1.0%    5.0M
            worker  backoff  no       -       -         2     -       -  next start in 3.2s
            ── api ─────────────────────────────────────────────────────────────────────────
            line 14
            line 15
            line 16
            line 17
            line 18
            line 19
            line 20
            ↑↓ select  s start  x stop  r restart  l reload  / filter  PgUp PgDn  q quit
        "#]],
    );
}

#[test]
fn the_selection_moves_and_its_output_follows() {
    let mut model = model(3);
    press(&mut model, &[Down, Down, Down, Up]);
    assert_eq!(followed(&mut model), Some("nginx".to_owned()));
    assert!(!model.select_output());
    shows(
        &mut model,
        (60, 12),
        expect![[r#"
        foster  2 running, 1 backoff  memory 10M
        NAME    STATE    PID  UPTIME  RESTARTS  NOTE
        api     running   17   1m 1s         2
        [nginx   running   17   1m 1s         2                      ]
        worker  backoff    -       -         2  next start in 3.2s
        ── nginx ───────────────────────────────────────────────────





        ↑↓ select  s start  x stop  r restart  l reload  / filter  P
    "#]],
    );
    // The row above the selected one is removed: the selection stays.
    model.set_rows(vec![row("nginx", State::Running), row("worker", State::Fatal)]);
    assert_eq!((model.selected(), model.select_output()), (Some(0), false));
    model.set_rows(vec![row("worker", State::Fatal)]);
    assert_eq!(followed(&mut model), Some("worker".to_owned()));
    model.set_rows(Vec::new());
    assert_eq!((followed(&mut model), model.selected()), (None, None));
    shows(
        &mut model,
        (60, 8),
        expect![[r#"
            foster  nothing  memory 0B

            nothing to show
            ────────────────────────────────────────────────────────────



            ↑↓ select  s start  x stop  r restart  l reload  / filter  P
        "#]],
    );
}

#[test]
fn an_order_is_sent_after_a_y_and_a_start_at_once() {
    let order = |kind: OrderKind| Step::Order(kind.request("api".to_owned()));
    let mut model = model(0);
    assert_eq!(press(&mut model, &[Char('s')]), [order(OrderKind::Start)]);
    assert_eq!(press(&mut model, &[Char('x'), Char('n'), Char('r'), Escape, Char('l'), Char('x')]), []);
    for (key, kind) in [('x', OrderKind::Stop), ('r', OrderKind::Restart), ('l', OrderKind::Reload)] {
        assert_eq!(press(&mut model, &[Char(key)]), []);
        assert!(frame(&mut model, 80, 10).ends_with(&format!("{} api? y or n", kind.verb())));
        // The rows change while the question is shown: the order is for the instance in it.
        model.set_rows(vec![row("nginx", State::Running)]);
        assert_eq!(press(&mut model, &[Char('y')]), [order(kind)]);
        model.set_rows(vec![row("api", State::Running)]);
    }
    model.report("api: stopped\x1b[2J");
    assert!(frame(&mut model, 80, 10).ends_with("api: stopped\u{fffd}[2J"));
    assert_eq!(
        press(&mut model, &[Char('q'), Key::Control('c'), Key::Control('z')]),
        [Step::Quit, Step::Quit, Step::Suspend]
    );
}

#[test]
fn a_filter_shows_the_names_that_contain_it() {
    let mut model = model(0);
    press(&mut model, &[Char('/'), Char('N'), Char('q')]);
    shows(
        &mut model,
        (60, 8),
        expect![[r#"
            foster  2 running, 1 backoff  memory 10M  filter `Nq`: 0 of 

            nothing to show
            ────────────────────────────────────────────────────────────



            /Nq▏  Enter keeps it, Esc clears it
        "#]],
    );
    press(&mut model, &[Key::Backspace, Enter]);
    assert_eq!(followed(&mut model), Some("nginx".to_owned()));
    assert!(frame(&mut model, 80, 8).contains("filter `N`: 1 of 3"));
    press(&mut model, &[Escape]);
    assert!(!frame(&mut model, 80, 8).contains("filter `"));
}

#[test]
fn output_that_is_scrolled_stays_where_it_is_and_at_its_end_it_follows() {
    let mut model = model(100);
    frame(&mut model, 80, 14);
    press(&mut model, &[PageUp]);
    let before = frame(&mut model, 80, 14);
    assert!(before.contains("lines below"), "{before}");
    model.add_output(&line("line 101"));
    let lines = |text: &str| {
        text.lines().filter(|line| line.starts_with("line")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&before), lines(&frame(&mut model, 80, 14)));
    press(&mut model, &[Home]);
    assert!(frame(&mut model, 80, 14).contains("\nline 1\n"));
    press(&mut model, &[End]);
    assert!(frame(&mut model, 80, 14).contains("\nline 101\n"));
    for _ in 0..3 * KEPT_LINES {
        model.add_output(&line("x"));
    }
    assert_eq!(model.output.lines.len(), KEPT_LINES);
}

#[test]
fn hostile_output_controls_no_terminal_and_costs_a_bounded_memory() {
    let mut model = model(0);
    model.add_output(&line("\x1b[31mred\x1b[0m\ttab\x1b[2J\x1b]0;title\x07\r"));
    model.add_output(&line(&"y".repeat(100_000)));
    shows(
        &mut model,
        (60, 11),
        expect![[r#"
        foster  2 running, 1 backoff  memory 10M
        NAME    STATE    PID  UPTIME  RESTARTS  NOTE
        [api     running   17   1m 1s         2                      ]
        nginx   running   17   1m 1s         2
        worker  backoff    -       -         2  next start in 3.2s
        ── api ─────────────────────────────────────────────────────
        red    tab^[[2J^[]0;title^G
        yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy


        ↑↓ select  s start  x stop  r restart  l reload  / filter  P
    "#]],
    );
    assert!(model.output.lines.iter().all(|line| line.len() <= KEPT_CHARACTERS));
}

#[test]
fn a_line_that_is_not_ended_is_replaced_by_the_whole_line() {
    let mut model = model(0);
    for reply in [piece("Passw", false, true), piece("Pass", true, false), piece("word:", false, false)] {
        model.add_output(&reply);
    }
    assert_eq!(model.output.lines, ["Password:"]);
}

#[test]
fn every_size_of_a_terminal_has_its_frame() {
    let mut model = model(30);
    for columns in [1, 2, 10, 79, 500] {
        for height in 1..40 {
            frame(&mut model, columns, height);
        }
    }
}
