//! Jobs: when they run, what happens when a run is under way, orders, and the shutdown.

use std::fs;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::support::{End, Following, Foster, Running, matches};

/// The events about the job `tick`, oldest first.
fn events(foster: &Running) -> Vec<String> {
    foster.wait_for("foster", || foster.row("tick").is_some());
    let lines = foster.verb(&["events", "--json", "tick"]).expect(0).stdout;
    let name = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("an object");
        event["event"].as_str().unwrap_or_default().to_owned()
    };
    lines.lines().map(name).collect()
}

fn count(events: &[String], name: &str) -> usize {
    events.iter().filter(|event| *event == name).count()
}

fn tick(command: &str, keys: &str) -> Foster {
    Foster::new().config(&format!("[job.tick]\ncommand = \"puppet {command}\"\n{keys}\n"))
}

#[test]
fn a_job_of_every_second_runs_again_and_again_and_a_due_time_during_a_run_is_left_out() {
    let mut foster = tick("append:runs:run wait-file:go", "schedule = 'every 1s'").start();
    foster.wait_for("a due time that is left out", || count(&events(&foster), "job_skipped") > 0);
    let seen = events(&foster);
    assert_eq!(seen.first().map(String::as_str), Some("job_started"), "{seen:?}");
    assert_eq!((count(&seen, "job_started"), count(&seen, "job_finished")), (1, 0), "{seen:?}");
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("three runs", || count(&events(&foster), "job_finished") > 2);
    let runs: Vec<String> = events(&foster).into_iter().filter(|event| event != "job_skipped").collect();
    for pair in runs.chunks(2) {
        assert!(
            matches!(pair, [start] if start == "job_started") || pair == ["job_started", "job_finished"],
            "{runs:?}"
        );
    }
    let note = foster.row("tick").map_or(String::new(), |row| row["note"].to_string());
    assert!(note.contains("next run in"), "{note}");
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn with_wait_one_run_follows_the_present_one_and_with_kill_the_present_one_is_stopped() {
    // Due every second; after the first run, the next one follows before a due time is left out.
    let foster = tick("append:runs:run wait-file:go", "schedule = 'every 1s'\noverlap = 'wait'").start();
    foster.wait_for("a second due time that waits", || count(&events(&foster), "job_skipped") > 0);
    assert_eq!(foster.content("runs"), "run\n");
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("the run that has waited", || count(&events(&foster), "job_finished") > 1);
    drop(foster);
    let foster = tick("append:runs:run pause", "schedule = 'every 1s'\noverlap = 'kill'").start();
    foster.wait_for("a second run", || foster.content("runs").lines().count() > 1);
    let seen = events(&foster);
    let first = ["job_started", "stopping", "job_finished", "job_started"];
    assert_eq!(seen.iter().take(4).collect::<Vec<_>>(), first.iter().collect::<Vec<_>>(), "{seen:?}");
}

/// The times of these events about the job `tick` in milliseconds.
fn times(foster: &Running, name: &str) -> Vec<u128> {
    let lines = foster.verb(&["events", "--json", "--event", name, "tick"]).expect(0).stdout;
    let time = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("an object");
        let time = humantime::parse_rfc3339(event["ts"].as_str().expect("a time")).expect("RFC 3339");
        time.duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
    };
    lines.lines().map(time).collect()
}

#[test]
fn a_job_of_every_second_has_a_run_in_each_second_and_never_two_at_once() {
    // `FOSTER_TEST_SECONDS=60` looks for a minute.
    let seconds = std::env::var("FOSTER_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let foster = tick("append:began:x sleep:0.2 append:ended:x", "schedule = 'every 1s'").start();
    foster.wait_for("foster", || foster.row("tick").is_some());
    let since = Instant::now();
    let written = |name: &str| fs::read_to_string(foster.path(name)).unwrap_or_default().lines().count();
    while since.elapsed() < Duration::from_secs(seconds) {
        // Of two runs at once both would have begun and not ended.
        let (ended, began) = (written("ended"), written("began"));
        assert!(began <= ended + 1 || written("ended") + 1 >= began, "{began} runs began, {ended} ended");
        foster.wait_for("another run", || written("began") > began);
    }
    foster.wait_for("the end of the last run", || {
        times(&foster, "job_finished").len() == times(&foster, "job_started").len()
    });
    let started = times(&foster, "job_started");
    // A due time that a loaded machine has missed came together with the next one.
    let due = started.len() + times(&foster, "job_skipped").len();
    let (Some(first), Some(last)) = (started.first(), started.last()) else { panic!("no run") };
    let passed = usize::try_from((last - first + 500) / 1000).expect("seconds") + 1;
    assert!(due.abs_diff(passed) <= 1, "{due} due times in {passed} s\n{}", foster.output().shown());
}

#[test]
fn foster_stays_for_a_job_and_ends_when_an_update_has_removed_the_last_one() {
    let once = "[program.once]\ncommand = 'puppet append:once:x'\nrestart = 'never'\n";
    let job = "[job.tick]\ncommand = 'puppet append:runs:x'\nschedule = 'every 1s'\n";
    let mut foster = Foster::new().config(&format!("{once}{job}")).start();
    foster.wait_for_state("once", "exited");
    foster.wait_for("two runs", || count(&events(&foster), "job_finished") > 1);
    let without = foster.content("foster.toml").replace(job, "");
    fs::write(foster.path("foster.toml"), without).expect("a file");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("tick: removed"), "{printed}");
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    let stderr = foster.output().stderr();
    assert!(stderr.contains("every program has exited"), "{stderr}");
    assert_eq!(foster.content("once"), "x\n");
}

#[test]
fn an_update_changes_the_schedule_of_a_job_and_interrupts_no_run() {
    let web = "[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let job = "[job.tick]\ncommand = 'puppet append:runs:old wait-file:go'\nschedule = '@yearly'\nrun_at_start = true\n";
    let mut foster = Foster::new().config(&format!("{web}{job}")).start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("tick", "running");
    let pid = foster.pid_of("tick");
    let changed = foster
        .content("foster.toml")
        .replace("append:runs:old wait-file:go", "append:runs:new")
        .replace("@yearly", "every 1s");
    fs::write(foster.path("foster.toml"), changed).expect("a file");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert_eq!(
        printed,
        "tick: applies at its next run: command and schedule changed\nfoster: 1 program unchanged\n"
    );
    foster.wait_for("a due time of the new schedule", || count(&events(&foster), "job_skipped") > 0);
    assert_eq!((foster.pid_of("tick"), foster.content("runs").as_str()), (pid, "old\n"));
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("a run of the new command", || foster.content("runs").lines().any(|line| line == "new"));
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_program_that_becomes_a_job_is_stopped_and_runs_when_it_is_due() {
    let web = "[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let program = "[program.tick]\ncommand = 'puppet append:runs:program pause'\nmin_uptime = '1ms'\n";
    let job = "[job.tick]\ncommand = 'puppet append:runs:job'\nschedule = '@yearly'\n";
    let mut foster = Foster::new().config(&format!("{web}{program}")).start();
    foster.wait_for_state("tick", "running");
    foster.wait_for_file("runs");
    let text = foster.content("foster.toml");
    fs::write(foster.path("foster.toml"), text.replace(program, job)).expect("a file");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.starts_with("tick: applies at its next run: "), "{printed}");
    foster.wait_for_state("tick", "idle");
    assert_eq!(foster.content("runs"), "program\n", "it is not due before the new year");
    foster.verb(&["run-job", "tick"]).expect(0);
    fs::write(foster.path("foster.toml"), text).expect("a file");
    foster.verb(&["update"]).expect(0);
    foster.wait_for("the program", || foster.content("runs") == "program\njob\nprogram\n");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn run_job_waits_for_the_end_and_passes_on_the_exit_status() {
    let config = "[job.seven]\ncommand = 'puppet wait-file:go exit:7'\nschedule = '@yearly'\n\
                  [job.good]\ncommand = 'puppet exit:0'\nschedule = '@yearly'\n\
                  [job.killed]\ncommand = ['sh', '-c', 'kill -9 $$$$']\nschedule = '@yearly'\n\
                  [job.missing]\ncommand = 'no-such-command'\nschedule = '@yearly'\n\
                  [program.web]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).file("go", "").start();
    foster.wait_for_state("web", "running");
    let said = foster.verb(&["run-job", "seven"]).expect(7).stdout;
    assert!(said.starts_with("seven: failed: exited with status 7 after "), "{said}");
    let said = foster.verb(&["run-job", "--json", "seven"]).expect(7).stdout;
    let answer: serde_json::Value = serde_json::from_str(&said).expect("an object");
    assert_eq!(answer["done"], false);
    assert_eq!(answer["outcomes"][0]["exit_status"], 7);
    let said = foster.verb(&["run-job", "good"]).expect(0).stdout;
    assert!(said.starts_with("good: finished: exited with status 0 after "), "{said}");
    foster.verb(&["run-job", "killed"]).expect(137);
    foster.verb(&["run-job", "missing"]).expect(1);
    let other = foster.verb(&["run-job", "web"]).expect(1).stderr;
    assert!(other.contains("`web` is a program, not a job: `foster start web` runs it"), "{other}");
    foster.verb(&["run-job", "all"]).expect(1);
    foster.verb(&["run-job", "nothing"]).expect(1);
    foster.verb(&["run-job"]).expect(2);
    // During a run it waits for the end of that one.
    fs::remove_file(foster.path("go")).expect("removed");
    foster.verb(&["run-job", "--no-wait", "seven"]).expect(0);
    foster.wait_for_state("seven", "running");
    foster.verb(&["run-job", "--no-wait", "seven"]).expect(0);
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("seven", "idle");
}

#[test]
fn run_job_prints_the_output_of_the_run_until_its_end() {
    let config = "[job.report]\ncommand = 'puppet print:first stderr:second wait-file:go lines:200 print:last exit:7'\nschedule = '@yearly'\n\
                  [program.web]\ncommand = 'puppet print:other pause'\n";
    let foster = Foster::new().config(config).file("go", "").start();
    foster.wait_for_state("web", "running");
    let printed = foster.verb(&["run-job", "-f", "report"]).expect(7).stdout;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 204, "{printed}");
    assert!(lines.contains(&"first") && lines.contains(&"second"), "{printed}");
    assert!(lines.contains(&"last"), "{printed}");
    assert!(lines[203].starts_with("report: failed: exited with status 7 after "), "{printed}");
    // Of this run alone, and with the result as the last object.
    let printed = foster.verb(&["run-job", "--follow", "--json", "report"]).expect(7).stdout;
    let objects: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(objects.iter().filter(|object| object["text"] == "first").count(), 1);
    assert_eq!(objects.last().expect("a result")["outcomes"][0]["exit_status"], 7);
    foster.verb(&["run-job", "-f", "--no-wait", "report"]).expect(2);
    // A run that a shutdown ends.
    fs::remove_file(foster.path("go")).expect("removed");
    let client = Following::start(&foster, &["run-job", "-f", "report"]);
    foster.wait_for_state("report", "running");
    client.wait_until_asked(&foster);
    foster.verb(&["stop", "report"]).expect(0);
    let printed = client.finish().expect(1).stdout;
    assert!(printed.contains("report: failed"), "{printed}");
}

#[test]
fn stop_pauses_a_job_start_resumes_it_and_a_paused_one_can_be_run() {
    let foster = tick("append:runs:run exit:3", "schedule = 'every 1s'").start();
    foster.wait_for("a run", || count(&events(&foster), "job_finished") > 0);
    foster.verb(&["stop", "tick"]).expect(0);
    assert_eq!(foster.row("tick").map(|row| row["state"].clone()), Some("paused".into()));
    let runs = foster.content("runs").lines().count();
    foster.verb(&["run-job", "tick"]).expect(3);
    assert_eq!(foster.content("runs").lines().count(), runs + 1, "a paused job does not run when it is due");
    assert_eq!(foster.row("tick").map(|row| row["state"].clone()), Some("paused".into()));
    foster.verb(&["start", "tick"]).expect(0);
    foster.wait_for("the next run", || foster.content("runs").lines().count() > runs + 1);
    let seen = events(&foster);
    assert_eq!((count(&seen, "job_paused"), count(&seen, "job_resumed")), (1, 1), "{seen:?}");
    assert!(foster.output().has_line(r"tick: paused: .*foster stop"), "{}", foster.output().shown());
    assert!(foster.output().has_line(r"tick: resumed: .*foster start"), "{}", foster.output().shown());
}

#[test]
fn clients_that_wait_for_all_do_not_wait_for_jobs_and_status_shows_their_last_run() {
    let config = "[job.good]\ncommand = 'puppet exit:0'\nschedule = '@yearly'\n\
                  [job.bad]\ncommand = 'puppet exit:3'\nschedule = '@yearly'\ntimezone = 'UTC'\n\
                  [program.web]\ncommand = 'puppet touch:web pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    let ready = foster.verb(&["wait", "all"]).expect(0).stdout;
    assert!(ready.contains("good: idle: next run in ") && ready.contains("web: ready"), "{ready}");
    foster.verb(&["health"]).expect(0);
    foster.verb(&["run-job", "bad"]).expect(3);
    foster.verb(&["wait", "bad"]).expect(0);
    // It is not restarted, and runs again when it is due.
    foster.wait_for_line(r"bad: exited with status 3 after \S+ \(pid \d+\); failed$");
    let row = foster.row("bad").expect("a row");
    let note = row["note"].as_str().expect("a note");
    assert!(matches(note, r"^last run \S+ ago exited with status 3 after \S+; next run in "), "{note}");
    assert_eq!(row["exit"]["code"], 3);
    // The numbers and the times of the note, and those of the event.
    let time = |value: &serde_json::Value| {
        humantime::parse_rfc3339(value.as_str().expect("a time")).expect("RFC 3339 in UTC")
    };
    let (start, due) = (time(&row["last_start"]), time(&row["next_due"]));
    let duration = row["duration_ms"].as_u64().expect("a duration");
    let now = std::time::SystemTime::now();
    assert!(start + Duration::from_millis(duration) <= now && now < due, "{row}");
    // The first of January.
    assert!(row["next_due"].as_str().is_some_and(|due| due.contains("-01-01T00:00:00.000")), "{row}");
    let finished = foster.verb(&["events", "--json", "--event", "job_finished", "bad"]).expect(0).stdout;
    let event: serde_json::Value = serde_json::from_str(&finished).expect("one event");
    assert_eq!((&event["duration_ms"], &event["next_due"]), (&row["duration_ms"], &row["next_due"]));
    let table = foster.verb(&["status", "bad"]).expect(0).stdout;
    let fields: Vec<&str> = table.lines().nth(1).expect("a row").split_whitespace().take(3).collect();
    assert_eq!(fields, ["bad", "idle", "-"]);
    assert_eq!(foster.verb(&["stop", "bad"]).expect(0).stdout, "bad: paused: `foster start` resumes it\n");
    assert_eq!(foster.verb(&["stop", "bad"]).expect(0).stdout, "bad: already paused\n");
    assert_eq!(foster.row("bad").expect("a row")["next_due"], serde_json::Value::Null);
    foster.verb(&["wait", "all"]).expect(0);
}

#[test]
fn a_shutdown_ends_a_run_and_starts_none() {
    let mut foster = tick("append:runs:run pause", "schedule = 'every 1s'\noverlap = 'wait'").start();
    foster.wait_for("a due time that is left out", || count(&events(&foster), "job_skipped") > 0);
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("runs"), "run\n");
    assert!(foster.output().has_line(r"tick: stopped by SIGTERM"), "{}", foster.output().shown());
}

#[test]
fn a_failed_run_ends_the_container_only_where_on_failure_says_so() {
    let mut foster =
        tick("append:runs:run exit:9", "schedule = '@yearly'\nrun_at_start = true\non_failure = 'shutdown'")
            .start();
    assert_eq!(foster.wait_exit(), End::Code(9));
    assert_eq!(foster.content("runs"), "run\n");
}

#[test]
fn a_mistake_in_a_schedule_is_an_error_with_its_place() {
    for (schedule, hint) in [
        ("61 * * * *", "minutes from 0 to 59"),
        ("* * * *", "this has 4 fields"),
        ("@reboot", "`run_at_start` is for `@reboot`"),
        ("every 10ms", "at least `\"every 1s\"`"),
        ("0 0 30 2 *", "a day that one of the months has"),
    ] {
        let text = format!("[job.a]\ncommand = 'x'\nschedule = '{schedule}'\n");
        let printed = Foster::new().config(&text).finish(&["check"]).expect(2).stderr;
        assert!(
            printed.contains("foster.toml:3:12: error: ") && printed.contains(hint),
            "{schedule}\n{printed}"
        );
    }
}

#[test]
fn check_prints_when_each_job_is_due() {
    let text = "[job.a]\ncommand = 'x'\nschedule = 'every 6h'\n[job.b]\ncommand = 'x'\nschedule = '30 2 * * *'\ntimezone = 'UTC'\n";
    let printed = Foster::new().config(text).finish(&["check"]).expect(0).stdout;
    assert!(printed.contains("   a  every 6h; due 6h, 12h, 18h after the start\n"), "{printed}");
    let line = printed.lines().find(|line| line.starts_with("   b  30 2 * * * (UTC); due ")).expect("a line");
    assert_eq!(line.matches(" 02:30 +00:00").count(), 3, "{printed}");
}
