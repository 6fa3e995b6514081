//! Service directories of s6-overlay, and what is refused of them.

use std::os::unix::fs::symlink;

use super::{migrates, refused};

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
    for (tree, messages) in [
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
