//! Procfiles.

use super::{migrates, refused};

#[test]
fn the_release_phase_is_a_task() {
    migrates("procfile_rails");
    migrates("procfile_python");
}

#[test]
fn the_port_is_that_of_the_env_file_and_each_process_has_100_more() {
    migrates("procfile_node");
}

#[test]
fn a_command_has_a_shell_where_it_needs_one() {
    migrates("procfile_dev");
    let running = migrates("procfile_shell");
    running.wait_for_line("port=5200");
}

#[test]
fn when_one_process_ends_all_end() {
    let mut running = migrates("procfile_node");
    running.verb(&["signal", "KILL", "worker"]).expect(0);
    assert_eq!(running.wait_exit(), crate::support::End::Code(137));
}

#[test]
fn a_line_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Procfile"), "web: x\nno process\n").expect("a file");
    let text = refused(folder.path(), &["Procfile"]);
    assert!(text.contains("Procfile:2:1: error: not a line of a Procfile"), "{text}");
    std::fs::write(folder.path().join("list"), "web: x\n").expect("a file");
    let text = refused(folder.path(), &["list"]);
    assert!(text.contains("--from FORMAT"), "{text}");
}
