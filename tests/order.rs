//! The order of starts and stops: tiers, `after`, `requires`, `enabled`, `autostart`.

use crate::support::{End, Foster};

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
