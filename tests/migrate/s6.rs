//! Service directories of s6-overlay, and what is refused of them.

use std::os::unix::fs::symlink;

use super::{migrates, refused};
use crate::support::End;

#[test]
fn a_longrun_is_a_program_with_its_user_and_signal() {
    migrates("s6_nginx");
}

#[test]
fn a_chain_of_execline_is_keys_and_a_oneshot_a_task() {
    let running = migrates("s6_execline");
    assert!(running.path("prepared").exists());
}

#[test]
fn a_logger_is_the_file_of_its_producer() {
    migrates("s6_logger");
}

#[test]
fn bundles_stand_for_their_contents() {
    migrates("s6_bundles");
}

#[test]
fn a_script_that_does_more_runs_as_it_is() {
    let running = migrates("s6_contenv");
    running.wait_for_line("port=80");
}

#[test]
fn dependencies_wait_for_the_descriptor() {
    let running = migrates("s6_chain");
    running.wait_for_state("last", "waiting");
}

#[test]
fn services_and_scripts_of_v2_run_in_their_order() {
    let mut running = migrates("s6_v2");
    assert_eq!(running.content("config/order"), "first\nsecond\nthird\n");
    let output = running.output().stderr();
    let at = |line: &str| output.find(line).unwrap_or_else(|| panic!("{line}: {output}"));
    assert!(
        at("30-done: exited") < at("nginx: starting") && at("30-done: exited") < at("app: starting"),
        "{output}"
    );
    // Its `finish` ends the container.
    running.verb(&["signal", "KILL", "nginx"]).expect(0);
    assert_eq!(running.wait_exit(), End::Code(137));
}

#[test]
fn services_of_v2_and_v3_in_one_tree_know_each_other() {
    let running = migrates("s6_mixed");
    let output = running.output().stderr();
    let at = |line: &str| output.find(line).unwrap_or_else(|| panic!("{line}: {output}"));
    assert!(
        at("01-prepare: exited") < at("check: starting") && at("old: ready") < at("new: starting"),
        "{output}"
    );
}

#[test]
fn hostile_trees_have_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    std::fs::create_dir_all(folder.path().join("empty")).expect("a folder");
    write("links/a/type", "longrun\n");
    write("links/a/run", "#!/bin/sh\nexec a\n");
    symlink("b", folder.path().join("links/c"))
        .and_then(|()| symlink("c", folder.path().join("links/b")))
        .expect("links");
    symlink("finish", folder.path().join("links/a/finish")).expect("a link");
    for (one, other) in [("a", "b"), ("b", "a")] {
        write(&format!("circle/{one}/type"), "longrun\n");
        write(&format!("circle/{one}/run"), "#!/bin/sh\nexec a\n");
        write(&format!("circle/{one}/dependencies.d/{other}"), "");
        write(&format!("bundles/{one}/type"), "bundle\n");
        write(&format!("bundles/{one}/contents.d/{other}"), "");
    }
    write("types/a/type", "service\n");
    write("types/b/type", "longrun\n");
    write("types/c/type", "oneshot\n");
    write("types/c/up", "x\n");
    write("types/c/dependencies.d/nothing", "");
    std::fs::create_dir_all(folder.path().join("pipe/a")).expect("a folder");
    nix::unistd::mkfifo(&folder.path().join("pipe/a/type"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    write("big/a/type", "longrun\n");
    std::fs::File::create(folder.path().join("big/a/run"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("a file");
    write("newline/a\nerror: b/type", "longrun\n");
    write("v2/etc/services.d/a/run", "#!/bin/sh\nexec a\n");
    std::fs::create_dir_all(folder.path().join("v2/etc/cont-init.d")).expect("a folder");
    nix::unistd::mkfifo(&folder.path().join("v2/etc/cont-init.d/x"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO");
    symlink("..", folder.path().join("v2/etc/services.d/loop")).expect("a link");
    write("many/etc/services.d/x", "");
    for number in 0..2100 {
        write(&format!("many/etc/cont-init.d/{number}"), "#!/bin/sh\n");
    }
    for (tree, messages) in [
        ("big", &["big/a/run: error: cannot read the file: it is larger than 4 MiB"][..]),
        ("newline", &["newline/a error: b/type:1:1: error: service `a"]),
        ("v2", &["v2/etc/cont-init.d/x: error: cannot read the file: it is a FIFO", "services.d/loop/type"]),
        ("many", &["there are more than 2000 files"]),
        ("empty", &["no service directories"][..]),
        (
            "links",
            &[
                "links/b: error: cannot read the file: Too many levels",
                "links/a/finish: error: cannot read the file: Too many",
            ],
        ),
        ("circle", &["circle/"]),
        ("bundles", &["no program is enabled"]),
        ("types", &["`service` is not a type", "service `b` has no `run`", "there is no service `nothing`"]),
        ("pipe", &["it is a FIFO"]),
    ] {
        let text = refused(folder.path(), &["--from", "s6", tree]);
        for message in messages {
            assert!(text.contains(message), "{tree}: {text}");
        }
    }
}
