//! Tasks: what waits for them, retries, their failure as the end of the container, orders and updates.

use std::fs;

use crate::support::{End, Foster, Running};

/// A task that continues when the file `go` is there, and a server after it.
fn gated(end: &str, keys: &str) -> Foster {
    let config = format!(
        "[task.migrate]\ncommand = 'puppet print:first print:applying wait-file:go stderr:done {end}'\n{keys}\n\
         [program.web]\ncommand = 'puppet append:order:web pause'\nmin_uptime = '1ms'\n\
         [foster]\ntermination_log = 'log'\n"
    );
    Foster::new().config(&config).file("log", "")
}

fn go(foster: &Running) {
    fs::write(foster.path("go"), "").expect("a file");
}

fn field(foster: &Running, name: &str, field: &str) -> String {
    foster.row(name).map_or(String::new(), |row| row[field].to_string())
}

fn rewrite(foster: &Running, text: &str) {
    let socket = foster.path("foster.sock");
    let text = format!("{text}\n[foster]\nsocket = '{}'\n", socket.display());
    fs::write(foster.path("foster.toml"), text).expect("foster.toml");
}

#[test]
fn a_task_that_fails_ends_the_container_with_its_status_reason_and_last_lines() {
    let mut foster = gated("exit:7", "").start();
    foster.wait_for_state("migrate", "running");
    foster.wait_for_state("web", "waiting");
    assert_eq!(field(&foster, "migrate", "kind"), "\"task\"");
    assert_eq!(field(&foster, "migrate", "ready"), "false");
    let health = foster.verb(&["health"]).expect(1).stdout;
    assert!(health.contains("migrate: running") && health.contains("web: waiting for migrate"), "{health}");
    go(&foster);
    assert_eq!(foster.wait_exit(), End::Code(7));
    assert!(!foster.path("order").exists(), "the server was started");
    let log = foster.content("log");
    let start = "exit status 7: migrate exited with status 7 after ";
    assert!(log.starts_with(start), "{log}");
    assert!(log.lines().next().is_some_and(|line| line.ends_with("; it is not restarted")), "{log}");
    assert!(log.contains("first\n") && log.contains("applying\n") && log.ends_with("done\n"), "{log}");
    assert!(foster.output().stderr().contains(start), "{}", foster.output().shown());
}

#[test]
fn a_server_starts_when_the_task_has_succeeded_on_its_second_retry_and_not_before() {
    let config = "[task.migrate]\ncommand = 'puppet append:order:migrate fail-first:count:2:5 append:order:migrated'\n\
                  retries = 2\nbackoff = { initial = '1ms' }\n\
                  [program.web]\ncommand = 'puppet append:order:web pause'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    let order = ["migrate", "migrate", "migrate", "migrated", "web"];
    assert_eq!(foster.content("order").lines().collect::<Vec<_>>(), order);
    let row = foster.row("migrate").expect("a row");
    assert_eq!((&row["state"], &row["ready"]), (&"succeeded".into(), &true.into()));
    assert_eq!((&row["exit"]["code"], &row["restarts"]), (&0.into(), &2.into()));
    let note = row["note"].as_str().unwrap_or_default().to_owned();
    assert!(note.starts_with("took "), "{note}");
    assert!(row["duration_ms"].is_u64() && row["last_start"].is_string(), "{row}");
    let events = foster.verb(&["events", "--json", "--event", "exited", "migrate"]).expect(0).stdout;
    assert_eq!(events.matches("\"duration_ms\":").count(), 3, "{events}");
    foster.verb(&["health"]).expect(0);
    foster.verb(&["status"]).expect(0);
    assert!(
        foster
            .output()
            .has_line(r"migrate: exited with status \d+ after .*; restart in .* \(failure 2 of 3\)")
    );
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn a_task_whose_retries_are_used_up_ends_the_container() {
    let config = "[task.migrate]\ncommand = 'puppet append:order:migrate exit:9'\nretries = 1\n\
                  [program.web]\ncommand = 'puppet append:order:web pause'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(9));
    assert_eq!(foster.content("order"), "migrate\nmigrate\n");
    let stderr = foster.output().stderr();
    assert!(stderr.contains("gave up after 2 failures in a row"), "{stderr}");
}

#[test]
fn a_task_that_takes_too_long_is_stopped_and_the_reason_names_the_remedy() {
    let mut foster = gated("", "timeout = '300ms'").start();
    assert_eq!(foster.wait_exit(), End::Code(1));
    assert!(!foster.path("order").exists(), "the server was started");
    let log = foster.content("log");
    let reason =
        "exit status 1: migrate was not finished within 300ms; it is not restarted; raise its `timeout`";
    assert!(log.starts_with(reason), "{log}");
    assert!(foster.output().has_line("migrate: not finished within 300ms; stopping it"));
}

#[test]
fn a_task_over_its_memory_is_stopped_and_has_failed() {
    let config = "[task.migrate]\ncommand = 'puppet grow:60 pause'\nmemory_max = '55M'\n\
                  [program.web]\ncommand = 'puppet append:order:web pause'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1));
    assert!(!foster.path("order").exists(), "the server was started");
    let stderr = foster.output().stderr();
    assert!(stderr.contains("of memory, memory_max is 55M"), "{stderr}");
}

#[test]
fn a_task_that_cannot_start_ends_the_container_with_the_reason() {
    let config = "[task.migrate]\ncommand = 'migrat'\n[program.web]\ncommand = 'puppet pause'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1));
    let stderr = foster.output().stderr();
    assert!(stderr.contains("migrate could not be started: `migrat` is not in PATH"), "{stderr}");
}

#[test]
fn an_ignored_failure_blocks_only_what_is_after_it_and_is_not_healthy() {
    let config = "[task.warm]\ncommand = 'puppet exit:3'\non_failure = 'ignore'\n\
                  [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n\
                  [program.cache]\ncommand = 'puppet pause'\nafter = ['warm']\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("warm", "failed");
    foster.wait_for_state("cache", "waiting");
    let health = foster.verb(&["health"]).expect(1).stdout;
    assert!(health.contains("warm: failed: exited with status 3 after "), "{health}");
    assert!(health.contains("cache: waiting for warm (failed: "), "{health}");
    foster.verb(&["status"]).expect(3);
    let waited = foster.verb(&["wait", "warm"]).expect(1).stdout;
    assert!(waited.contains("warm: failed: exited with status 3"), "{waited}");
}

#[test]
fn start_runs_an_ended_task_again_and_waits_for_its_end() {
    let config = "[task.seed]\ncommand = 'puppet append:order:seed fail-first:count:1:5'\non_failure = 'ignore'\n\
                  [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("seed", "failed");
    let started = foster.verb(&["start", "seed"]).expect(0).stdout;
    assert!(started.starts_with("seed: succeeded: took "), "{started}");
    foster.verb(&["wait", "seed"]).expect(0);
    let started = foster.verb(&["restart", "seed"]).expect(0).stdout;
    assert!(started.starts_with("seed: succeeded: took "), "{started}");
    assert_eq!(foster.content("order"), "seed\nseed\nseed\n");
    foster.verb(&["health"]).expect(0);
    let stopped = foster.verb(&["stop", "seed"]).expect(0).stdout;
    assert_eq!(stopped, "seed: already stopped\n");
    foster.wait_for_state("seed", "succeeded");
}

#[test]
fn a_running_task_is_stopped_by_an_order_and_by_the_shutdown() {
    let config = "[task.migrate]\ncommand = 'puppet pause'\n\
                  [program.web]\ncommand = 'puppet append:order:web pause'\nafter = ['migrate']\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_state("migrate", "running");
    assert_eq!(foster.verb(&["stop", "migrate"]).expect(0).stdout, "migrate: stopped\n");
    foster.wait_for_state("migrate", "stopped");
    foster.verb(&["start", "--no-wait", "migrate"]).expect(0);
    foster.wait_for_state("migrate", "running");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(!foster.path("order").exists(), "the server was started");
}

#[test]
fn an_update_runs_a_new_task_and_no_ended_one_again() {
    let config = "[task.migrate]\ncommand = 'puppet append:order:one'\n\
                  [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    rewrite(
        &foster,
        "[task.migrate]\ncommand = 'puppet append:order:two'\n[task.extra]\ncommand = 'puppet append:order:extra'\n\
         [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n",
    );
    let updated = foster.verb(&["update"]).expect(0).stdout;
    assert!(
        updated.contains("migrate: has exited; applies at its next start: command changed\n"),
        "{updated}"
    );
    assert!(updated.contains("extra: ended with success\n"), "{updated}");
    foster.wait_for_state("extra", "succeeded");
    assert_eq!(foster.content("order"), "one\nextra\n");
    foster.verb(&["start", "migrate"]).expect(0);
    assert_eq!(foster.content("order"), "one\nextra\ntwo\n");
}

#[test]
fn an_update_does_not_interrupt_a_running_task() {
    let mut foster = gated("append:order:migrated", "").start();
    foster.wait_for_state("migrate", "running");
    let pid = foster.pid_of("migrate");
    rewrite(
        &foster,
        "[task.migrate]\ncommand = 'puppet append:order:other'\n\
         [program.web]\ncommand = 'puppet append:order:web pause'\nmin_uptime = '1ms'\n",
    );
    let updated = foster.verb(&["update"]).expect(0).stdout;
    assert!(updated.contains("migrate: applies at its next start: command changed\n"), "{updated}");
    assert_eq!(foster.pid_of("migrate"), pid);
    go(&foster);
    foster.wait_for_state("web", "running");
    assert_eq!(foster.content("order"), "migrated\nweb\n");
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn a_program_that_becomes_a_task_is_replaced_and_back() {
    let program = "[program.x]\ncommand = 'puppet append:order:program pause'\nmin_uptime = '1ms'\n\
                   [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(program).start();
    foster.wait_for_state("x", "running");
    foster.wait_for_file("order");
    rewrite(
        &foster,
        &program
            .replace("[program.x]", "[task.x]")
            .replace(" pause'\nmin_uptime = '1ms'\n[program.web]", "'\n[program.web]"),
    );
    let updated = foster.verb(&["update"]).expect(0).stdout;
    assert!(updated.contains("x: ended with success: "), "{updated}");
    foster.wait_for_state("x", "succeeded");
    rewrite(&foster, program);
    foster.verb(&["update"]).expect(0);
    foster.wait_for_state("x", "running");
    foster.wait_for("three lines", || foster.content("order").lines().count() == 3);
}

#[test]
fn the_output_the_environment_and_the_events_of_a_task_are_at_hand() {
    let foster = gated("", "environment = { STEP = 'schema' }").start();
    foster.wait_for_state("migrate", "running");
    foster.wait_for("its output", || foster.verb(&["logs", "migrate"]).stdout == "first\napplying\n");
    let environment = foster.verb(&["exec", "migrate", "--", "puppet", "env"]).expect(0).stdout;
    assert!(environment.contains("STEP=schema\n") && environment.contains("FOSTER_PROGRAM=migrate\n"));
    let refused = foster.verb(&["scale", "migrate", "2"]).expect(1).stderr;
    assert!(refused.contains("cannot scale `migrate`: a task has one instance"), "{refused}");
    go(&foster);
    foster.wait_for_state("web", "running");
    let events = foster.verb(&["events", "--json", "--state", "succeeded"]).expect(0).stdout;
    assert!(
        events.contains("\"program\":\"migrate\"") && events.contains("\"from\":\"running\""),
        "{events}"
    );
    assert_eq!(events.lines().count(), 1, "{events}");
}
