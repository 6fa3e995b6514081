//! `memory_max`: a program whose processes use more memory than that is restarted.

use crate::support::{End, Foster, check, may_make_namespaces};

#[test]
fn a_program_that_grows_over_its_limit_is_stopped_gracefully_and_restarted_with_the_figures() {
    let config = "[program.app]\ncommand = \"puppet trap:TERM:print:goodbye trap:TERM:exit:0 append:starts:x 'child:grow:40 touch:grown pause' pause\"\nmemory_max = '30M'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_line(r"warning: app: uses [3-9][0-9]M of memory, memory_max is 30M: puppet \(pid \d+\) 4[0-9]M, puppet \(pid \d+\) .*; stopping it \(pid \d+\)");
    foster.wait_for("the restart", || foster.row("app").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for("the reason of the restart", || {
        let note = foster.row("app").and_then(|row| row["note"].as_str().map(str::to_owned));
        note.is_some_and(|note| {
            note.starts_with("last run was stopped: uses ") && note.contains("memory_max is 30M")
        })
    });
    assert!(foster.output().stdout().contains("goodbye"), "{}", foster.output().shown());
    foster.verb(&["stop", "app"]).expect(0);
    let events = foster.verb(&["events", "--json", "--event", "over_memory"]).expect(0);
    assert!(events.stdout.contains("memory_max is 30M"), "{}", events.text());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn what_left_its_session_counts_too_and_status_shows_it() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = \"puppet 'child:setsid grow:60 touch:grown pause' pause\"\nmemory_max = 'unlimited'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("grown");
    let used =
        |foster: &crate::support::Running| foster.row("app").and_then(|row| row["memory_bytes"].as_u64());
    assert!(used(&foster).is_some_and(|bytes| bytes > 60 << 20), "{:?}", foster.row("app"));
    // An update sets the limit: the process is replaced, and the next one is over it.
    let limited = foster.content("foster.toml").replace("'unlimited'", "'30M'");
    std::fs::write(foster.path("foster.toml"), limited).expect("a file");
    foster.verb(&["update"]).expect(0);
    foster.wait_for_line("app: uses .* of memory, memory_max is 30M");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_limit_that_no_process_could_keep_is_refused() {
    for (value, expected) in [
        ("'1K'", "expected at least `\"1M\"`"),
        ("'x'", "`\"unlimited\"`"),
        ("-1", "`\"1G\"`"),
        ("true", "`\"1G\"`"),
    ] {
        let printed =
            check(&format!("[program.app]\ncommand = 'x'\nmemory_max = {value}\n")).expect(2).stderr;
        assert!(printed.contains("memory_max") && printed.contains(expected), "{value}\n{printed}");
    }
}
