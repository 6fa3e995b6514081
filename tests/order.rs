//! The order of starts and stops: tiers, `after`, `requires`, `enabled`, `autostart`.

use std::time::Duration;

use crate::support::{End, Following, Foster, cpu_time};

/// A program that writes its name when it starts and when it stops.
fn noted(name: &str, keys: &str) -> String {
    format!(
        "[program.{name}]\ncommand = 'puppet append:order:+{name} trap:TERM:append:order:-{name} trap:TERM:exit:0 touch:{name}.up pause'\nready = {{ file = '{name}.up' }}\n{keys}\n"
    )
}

fn order(of: &crate::support::Running) -> Vec<String> {
    of.content("order").lines().map(str::to_owned).collect()
}

#[test]
fn tiers_start_from_the_lowest_and_stop_from_the_highest() {
    let config = [noted("web", ""), noted("db", "priority = 1"), noted("app", "priority = 10")].concat();
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_state("web", "running");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(order(&foster), ["+db", "+app", "+web", "-web", "-app", "-db"]);
}

#[test]
fn a_program_starts_after_its_dependencies_are_ready_and_stops_before_they_do() {
    let config = [noted("web", "after = ['app']"), noted("app", "after = ['db']"), noted("db", "")].concat();
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_state("web", "running");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(order(&foster), ["+db", "+app", "+web", "-web", "-app", "-db"]);
}

#[test]
fn nothing_starts_before_its_dependencies_are_ready() {
    let config = "[program.backend]\ncommand = 'puppet touch:up wait-file:go touch:ready pause'\nready = { file = 'ready' }\n[program.web]\ncommand = 'puppet touch:web pause'\nafter = ['backend']\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("web", "waiting");
    foster.wait_for_state("backend", "starting");
    assert!(!foster.path("web").exists());
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("web");
}

#[test]
fn programs_that_do_not_depend_on_each_other_start_at_the_same_time() {
    // Each program waits for the other: started one after the other, they would never be ready.
    let config = "[program.a]\ncommand = 'puppet touch:a wait-file:b touch:a.up pause'\nready = { file = 'a.up' }\n[program.b]\ncommand = 'puppet touch:b wait-file:a touch:b.up pause'\nready = { file = 'b.up' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("a", "running");
    foster.wait_for_state("b", "running");
}

#[test]
fn a_program_stops_and_starts_with_the_program_that_it_requires() {
    let config = [noted("db", ""), noted("app", "requires = ['db']")].concat();
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    foster.verb(&["stop", "db"]).expect(0);
    foster.wait_for("app to be down with db", || {
        foster.row("app").is_some_and(|row| row["state"] == "waiting" || row["state"] == "stopped")
    });
    foster.verb(&["start", "db"]).expect(0);
    foster.wait_for_state("app", "running");
    let order = order(&foster);
    assert_eq!(order.iter().filter(|line| *line == "+app").count(), 2, "{order:?}");
}

#[test]
fn a_stopped_exited_or_fatal_program_delays_no_higher_tier() {
    let config = "[program.off]\ncommand = 'puppet pause'\npriority = 1\nautostart = false\n[program.done]\ncommand = 'puppet exit:0'\npriority = 2\nrestart = 'never'\n[program.broken]\ncommand = 'puppet exit:1'\npriority = 3\nstart_limit = 1\non_failure = 'ignore'\n[program.web]\ncommand = 'puppet touch:web pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("web");
    foster.wait_for_state("off", "stopped");
    foster.wait_for_state("done", "exited");
    foster.wait_for_state("broken", "fatal");
}

#[test]
fn a_disabled_program_does_not_exist_and_may_be_named() {
    let config = "[program.worker]\ncommand = 'puppet pause'\nenabled = '${WORKER:-true}'\n[program.web]\ncommand = 'puppet touch:web pause'\nafter = ['worker']\n";
    let foster = Foster::new().config(config).env("WORKER", "false").start();
    foster.wait_for_file("web");
    let names: Vec<_> = foster.rows().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["web"]);
}

#[test]
fn a_program_that_is_not_autostarted_waits_for_an_order() {
    let config = "[program.web]\ncommand = 'puppet pause'\n[program.admin]\ncommand = 'puppet touch:admin pause'\nautostart = false\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("admin", "stopped");
    assert!(!foster.path("admin").exists());
    foster.verb(&["start", "admin"]).expect(0);
    assert!(foster.path("admin").exists());
}

#[test]
fn foster_exits_when_every_program_has_exited_by_itself() {
    let config = "[program.one]\ncommand = 'puppet print:one'\nrestart = 'never'\n[program.two]\ncommand = 'puppet sleep:0.1 print:two'\nrestart = 'on-failure'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(0));
    let seen = foster.output().stdout();
    assert!(seen.contains("one") && seen.contains("two"), "{seen}");
}

/// `web` is after `api`, which is after `db`.
fn three(db: &str) -> String {
    format!(
        "[program.db]\n{db}\n[program.api]\ncommand = 'puppet pause'\nafter = ['db']\n[program.web]\ncommand = 'puppet pause'\nafter = ['api']\n"
    )
}

#[test]
fn a_start_that_cannot_succeed_now_fails_and_says_what_is_waited_for_and_why() {
    let slow = "backoff = { initial = '1h', max = '1h' }";
    for (db, state, why) in [
        (format!("command = 'puppet exit:3'\n{slow}"), "backoff", "db (backoff: exited with status 3 after "),
        (
            "command = 'puppet exit:3'\nstart_limit = 1\non_failure = 'ignore'".to_owned(),
            "fatal",
            "db (fatal: exited with status 3 after ",
        ),
        ("command = 'puppet pause'\nautostart = false".to_owned(), "stopped", "db (stopped)"),
    ] {
        let config = format!("{}[foster]\nwhen_all_ended = 'stay'\n", three(&db));
        let foster = Foster::new().config(&config).start();
        foster.wait_for_state("db", state);
        foster.wait_for_state("web", "waiting");
        let long = format!("web: waiting for api, which waits for {why}");
        for verb in [&["start", "web"][..], &["restart", "web"], &["health", "web"]] {
            let said = foster.verb(verb).expect(1).stdout;
            assert!(said.starts_with(&long), "{verb:?}: {said}");
        }
        let said = foster.verb(&["start", "api"]).expect(1).stdout;
        assert!(said.starts_with(&format!("api: waiting for {why}")), "{said}");
        let said = foster.verb(&["wait", "--timeout", "10ms", "web"]).expect(1).stdout;
        assert!(said.contains(&format!("waiting for api, which waits for {why}")), "{said}");
        let note = foster.row("web").expect("a row")["note"].clone();
        assert!(
            note.as_str().is_some_and(|note| note.starts_with("waits for api, which waits for ")),
            "{note}"
        );
    }
}

#[test]
fn a_client_that_waits_long_is_told_what_for_and_why() {
    let db = "command = 'puppet touch:up pause'\nready = { file = 'go', interval = '10ms' }";
    let foster = Foster::new().config(&three(db)).start();
    foster.wait_for_file("up");
    let clients: Vec<Following> =
        [&["start", "web"][..], &["wait", "web"], &["start", "db"], &["restart", "web", "--json"]]
            .map(|verb| Following::start(&foster, verb))
            .into();
    let told = clients.into_iter().map(|mut client| client.next_error_line()).collect::<Vec<_>>();
    let why = "db (starting: not ready yet: go does not exist)";
    let web = format!("foster: web: waiting for api, which waits for {why}\n");
    assert_eq!(
        told,
        [
            web.clone(),
            web.clone(),
            "foster: db: starting: not ready yet: go does not exist\n".to_owned(),
            web
        ]
    );
}

#[test]
fn a_long_chain_of_programs_that_wait_costs_a_client_little() {
    const LONG: usize = 1_500;
    let link = |number: usize| {
        let after = if number == 0 { String::new() } else { format!("after = ['p{}']\n", number - 1) };
        format!("[program.p{number}]\ncommand = 'puppet pause'\nautostart = false\n{after}")
    };
    let first = "ready = { file = 'go', interval = '10ms' }\n";
    let config: String = (0..LONG).map(link).collect();
    let foster = Foster::new()
        .config(&config.replacen("autostart = false\n", &format!("autostart = false\n{first}"), 1))
        .start();
    foster.wait_for_state("p0", "stopped");
    let client = Following::start(&foster, &["start", "all"]);
    foster.wait_for_state("p1499", "waiting");
    let before = cpu_time(foster.pid());
    let turns = 20;
    for _ in 0..turns {
        foster.verb(&["status", "p0"]);
    }
    let used = cpu_time(foster.pid()) - before;
    assert!(used < Duration::from_millis(50) * turns, "{used:?} for {turns} turns");
    let note = foster.row("p1499").expect("a row")["note"].clone();
    assert_eq!(note, "waits for p1498, which waits for p0 (starting: not ready yet: go does not exist)");
    drop(client);
}
