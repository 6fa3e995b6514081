//! `foster doctor` in different environments.

use std::process::Command;

use serde_json::Value;

use crate::support::{End, Foster, binary, may_make_namespaces, run};

const CONFIG: &str = "[program.app]\ncommand = 'puppet pause'\n";

/// The report of a doctor that is the container's first process.
fn report(foster: Foster) -> String {
    let mut foster = foster.config(CONFIG).arguments(&["doctor", "-c", "foster.toml"]).start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    foster.output().stdout()
}

/// The finding about this subject, joined to one line.
fn finding(report: &str, subject: &str) -> String {
    let begins = |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(subject));
    let mut lines = report.lines().skip_while(|line| !begins(line));
    let first = lines.next().unwrap_or_else(|| panic!("nothing about {subject}\n{report}"));
    let more = lines.take_while(|line| line.starts_with("      "));
    let words = std::iter::once(first).chain(more).flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn as_pid_1_it_reports_that_it_adopts_orphans() {
    if !may_make_namespaces() {
        return;
    }
    let report = report(Foster::new());
    assert!(finding(&report, "init").starts_with("ok init PID 1 is `foster`"), "{report}");
    assert!(finding(&report, "PID namespace").contains("separate"), "{report}");
    assert!(finding(&report, "standard output").contains("a pipe"), "{report}");
    assert!(finding(&report, "configuration").contains("has 1 program"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')), "{report}");
}

#[test]
fn under_another_init_it_explains_the_subreaper() {
    let finished = Foster::new().config(CONFIG).finish(&["doctor", "-c", "foster.toml"]).expect(0);
    let init = finding(&finished.stdout, "init");
    assert!(init.starts_with("note init PID 1 is `") && init.contains("subreaper"), "{}", finished.stdout);
    assert_eq!(finished.stderr, "");
}

#[test]
fn inside_a_container_it_examines_pid_1() {
    if !may_make_namespaces() {
        return;
    }
    let config = format!(
        "[program.app]\ncommand = ['{}', 'doctor', '-c', 'foster.toml']\nstdout = 'inherit'\nrestart = 'never'\n\
         [program.other]\ncommand = 'puppet pause'\n",
        binary().display()
    );
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_line("^foster can work here");
    let report = foster.output().stdout();
    assert!(finding(&report, "init").contains("PID 1 is `foster`"), "{report}");
    assert!(finding(&report, "control socket").contains("in use A supervisor replies"), "{report}");
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn as_an_unknown_user_on_a_read_only_file_system_it_reports_what_will_be_missing() {
    if !may_make_namespaces() {
        return;
    }
    let report = report(Foster::new().uid(12345).read_only());
    let user = finding(&report, "user");
    assert!(
        user.starts_with("note user 12345 All programs run as this user") && user.contains("no name"),
        "{report}"
    );
    assert!(finding(&report, "capabilities").starts_with("ok capabilities none"), "{report}");
    assert!(finding(&report, "root file system").starts_with("ok root file system read-only"), "{report}");
    assert!(finding(&report, "control socket").starts_with("warn"), "{report}");
    assert!(finding(&report, "control socket").contains("cannot be created (Permission denied)"), "{report}");
}

#[test]
fn as_root_on_a_read_only_file_system_it_reports_that_there_will_be_no_socket() {
    if !may_make_namespaces() {
        return;
    }
    let report = report(Foster::new().read_only());
    assert!(
        finding(&report, "control socket").contains("cannot be created (Read-only file system)"),
        "{report}"
    );
}

#[test]
fn without_proc_it_reports_that_and_continues() {
    if !may_make_namespaces() {
        return;
    }
    let report = report(Foster::new().without_proc());
    assert!(finding(&report, "init").starts_with("warn init unknown /proc is not mounted"), "{report}");
    assert!(finding(&report, "configuration").starts_with("ok"), "{report}");
}

#[test]
fn a_closed_stdout_causes_no_failure() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" doctor >&-"]).arg(binary()).current_dir("/");
    let finished = run(command);
    assert_eq!((finished.code, finished.text().as_str()), (0, ""));
}

#[test]
fn it_needs_no_configuration_and_an_invalid_one_is_an_error() {
    let without = Foster::new().finish(&["doctor"]).expect(0);
    assert!(
        finding(&without.stdout, "configuration").starts_with("note configuration none"),
        "{}",
        without.stdout
    );
    let wrong =
        Foster::new().config("[program.app]\ncomand = 'x'\n").finish(&["doctor", "-c", "foster.toml"]);
    let wrong = wrong.expect(1);
    assert!(finding(&wrong.stdout, "configuration").starts_with("bad configuration 1 error"));
    assert!(
        wrong.stdout.ends_with("foster cannot work here: see the items marked `bad` (1)\n"),
        "{}",
        wrong.stdout
    );
}

#[test]
fn json_output_is_an_array_with_the_promised_fields() {
    let finished = Foster::new().finish(&["doctor", "--json"]).expect(0);
    let Ok(Value::Array(rows)) = serde_json::from_str(&finished.stdout) else {
        panic!("{}", finished.stdout)
    };
    assert!(rows.len() > 10, "{}", finished.stdout);
    for row in rows {
        let row = row.as_object().expect("an object");
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(names, ["grade", "meaning", "subject", "value"]);
        assert!(row.values().all(|value| value.as_str().is_some_and(|text| !text.is_empty())), "{row:?}");
    }
}
