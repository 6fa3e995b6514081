//! Compose files, and what is refused of them.

use super::{migrates, refused};

#[test]
fn a_web_application_with_a_database_starts_in_its_order() {
    let running = migrates("compose_django");
    let output = running.output().stderr();
    let at = |line: &str| output.find(line).unwrap_or_else(|| panic!("{line}: {output}"));
    assert!(
        at("db: ready after") < at("migrate: starting") && at("migrate: exited") < at("web: starting"),
        "{output}"
    );
}

#[test]
fn anchors_and_merged_keys_are_the_services_own() {
    migrates("compose_node");
}

#[test]
fn a_service_without_a_command_is_not_enabled() {
    migrates("compose_wordpress");
}

#[test]
fn profiles_are_variables() {
    let running = migrates("compose_profiles");
    assert!(running.row("debug").is_none());
}

#[test]
fn services_of_one_file_extend_each_other() {
    migrates("compose_extends");
}

#[test]
fn services_of_other_files_are_included_and_extended() {
    migrates("compose_include");
}

#[test]
fn restarts_are_dockers() {
    migrates("compose_one_shot");
}

#[test]
fn variables_are_expanded_as_compose_does() {
    migrates("compose_env");
}

#[test]
fn a_healthy_service_is_a_ready_one() {
    migrates("compose_scripts");
}

#[test]
fn hostile_files_have_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
    let bomb: Vec<String> =
        (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9))).collect();
    write("bomb.yml", &format!("a0: &a0 lol\n{}", bomb.concat()));
    write("circle.yml", "services:\n  a: &a\n    b: [*a]\n");
    write("extends.yml", "services:\n  a: {extends: b}\n  b: {extends: a}\n");
    write("order.yml", "services:\n  a: {command: x, depends_on: [b]}\n  b: {command: x, depends_on: [a]}\n");
    write("include.yml", "include: [include2.yml]\nservices:\n  a: {command: x}\n");
    write("include2.yml", "include: [./include.yml]\nservices:\n  b: {command: x}\n");
    write("twice.yml", "include: [order.yml]\nservices:\n  a: {command: x}\n");
    write("other.yml", "services:\n  a: {extends: {file: other2.yml, service: a}}\n");
    write("other2.yml", "services:\n  a: {extends: {file: other.yml, service: a}}\n");
    write("itself.yml", "services:\n  a: {extends: {file: none.yml, service: b}}\n");
    let large = format!("services:\n  base: {{command: x, environment: {{A: {}}}}}\n", "y".repeat(1 << 20));
    let many: Vec<String> = (0..2000).map(|number| format!("  s{number}: {{extends: base}}\n")).collect();
    write("large.yml", &(large + &many.concat()));
    write("none.yml", "a: 1\n");
    write("missing.yml", "services:\n  a: {command: x, depends_on: [c]}\n");
    write(
        "value.yml",
        "services:\n  a:\n    command: x\n    stop_grace_period: a while\n    restart: often\n",
    );
    std::fs::write(path("binary.yml"), [0xff_u8, 0, 1, 2]).expect("a file");
    std::fs::File::create(path("huge.yml")).and_then(|file| file.set_len(1 << 30)).expect("a file");
    nix::unistd::mkfifo(&path("pipe.yml"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    for (file, messages) in [
        ("bomb.yml", &["more than 8 MiB of values"][..]),
        ("circle.yml", &["circle.yml:3:9: error: an alias of the value that contains it"]),
        ("include.yml", &["include2.yml:1:11: error: `./include.yml` is included twice, or includes itself"]),
        ("twice.yml", &["twice.yml:3:3: error: service `a` is in another file, too"]),
        ("other.yml", &["other.yml:2:16: error: services extend each other in a circle"]),
        ("itself.yml", &["itself.yml:2:16: error: there is no service `b`"]),
        ("large.yml", &["the services that are extended have more than 8 MiB"]),
        ("extends.yml", &["extend each other in a circle"]),
        ("order.yml", &["order.yml:", "a", "b"]),
        ("none.yml", &["this file has no apps"]),
        ("missing.yml", &["missing.yml:2:32: error: there is no service `c`"]),
        (
            "value.yml",
            &[
                "value.yml:4:24: error: `stop_timeout` cannot be `a while`",
                "value.yml:5:14: error: `restart` cannot be this",
            ],
        ),
        ("binary.yml", &["not UTF-8"]),
        ("huge.yml", &["it is larger than 4 MiB"]),
        ("pipe.yml", &["it is a FIFO"]),
        ("no.yml", &["No such file"]),
    ] {
        let text = refused(folder.path(), &[file]);
        for message in messages {
            assert!(text.contains(message), "{file}: {text}");
        }
    }
}
