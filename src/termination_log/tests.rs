//! The summary: which part of it is kept, and files on which writing must not block.

use std::fs::File;
use std::io::Read;

use caps::{CapSet, Capability};
use proptest::prelude::*;

use super::*;

fn error_of(path: &Path) -> Option<i32> {
    write(path, "words\n").unwrap_err().raw_os_error()
}

#[test]
fn a_summary_has_the_cause_and_the_last_output_by_name() {
    let output = ["Traceback (most recent call last):".to_owned(), "KeyError: 'DATABASE_URL'".to_owned()];
    let mut summary = Summary { name: "backend", cause: "backend exited with status 3", output: &output };
    assert_eq!(
        summary.text(),
        "backend exited with status 3\nlast output of backend:\nTraceback (most recent call last):\nKeyError: 'DATABASE_URL'\n"
    );
    summary.output = &[];
    assert_eq!(summary.text(), "backend exited with status 3\n");
}

#[test]
fn repeated_lines_are_counted_and_not_repeated() {
    let output: Vec<String> = ["a", "b", "b", "c", "c", "c", "b"].into_iter().map(str::to_owned).collect();
    let text = Summary { name: "web", cause: "web exited", output: &output }.text();
    let expected = "a\nb\n(the previous line, 1 more time)\nc\n(the previous line, 2 more times)\nb\n";
    assert_eq!(text, format!("web exited\nlast output of web:\n{expected}"));
}

#[test]
fn a_summary_that_is_too_long_keeps_its_head_and_the_newest_lines() {
    let output: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
    let text = Summary { name: "web", cause: "web was killed by SIGSEGV", output: &output }.text();
    assert!(text.starts_with("web was killed by SIGSEGV\n[...]\nline "), "{text}");
    assert!(text.ends_with("\nline 998\nline 999\n"));
    // As many as fit: one more would not have.
    assert!((LIMIT - "line 999\n".len()..=LIMIT).contains(&text.len()), "{}", text.len());
    assert!(text.lines().skip(2).all(|line| output.iter().any(|whole| whole == line)));
}

#[test]
fn a_line_that_is_too_long_alone_is_cut_between_characters() {
    for filler in ["x", "é", "€", "🦀"] {
        let long = filler.repeat(LIMIT);
        let output = [long.clone()];
        let text = Summary { name: "web", cause: "web exited", output: &output }.text();
        assert!(text.starts_with("web exited\n[...]\n"));
        assert!(text.ends_with(&format!("{filler}\n")));
        assert!((LIMIT - 3..=LIMIT).contains(&text.len()), "{filler}: {}", text.len());
        let long = long.repeat(2);
        let cut = fit_to_limit(&long);
        assert!(cut.starts_with(filler) && cut.ends_with(filler) && cut.contains(GAP));
        assert!(cut.len() <= LIMIT);
    }
}

#[test]
fn a_part_of_a_long_line_is_kept() {
    let text = format!("web exited\n{}\nthe end\n", "x".repeat(2 * LIMIT));
    let cut = fit_to_limit(&text);
    assert!(cut.starts_with("web exited\n[...]\nxxx") && cut.ends_with("xxx\nthe end\n"));
    assert_eq!(cut.len(), LIMIT);
}

#[test]
fn a_text_of_exactly_the_limit_is_unchanged() {
    let text = "x".repeat(LIMIT);
    assert_eq!(fit_to_limit(&text), text);
}

proptest! {
    #[test]
    fn any_text_fits_and_keeps_its_beginning_and_end(
        pieces in proptest::collection::vec(prop_oneof!["\\PC{0,40}", Just("\n".to_owned()), "[x€]{500,3000}"], 0..12),
    ) {
        let text = pieces.concat();
        let cut = fit_to_limit(&text);
        prop_assert!(cut.len() <= LIMIT);
        prop_assert_eq!(cut.chars().next(), text.chars().next());
        prop_assert_eq!(cut.chars().next_back(), text.chars().next_back());
    }
}

#[test]
fn the_summary_replaces_the_content_of_an_existing_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "what was there before, and was longer").unwrap();
    write(file.path(), "web exited\n").unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "web exited\n");
    write(file.path(), &"é\n".repeat(LIMIT)).unwrap();
    assert!(std::fs::metadata(file.path()).unwrap().len() <= 4096);
}

#[test]
fn a_missing_file_is_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("termination-log");
    write(&path, "words\n").unwrap();
    assert!(!path.exists());
}

#[test]
fn a_directory_or_something_below_a_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(error_of(directory.path()), Some(libc::EISDIR));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(error_of(&file.path().join("x")), Some(libc::ENOTDIR));
}

#[test]
fn a_file_without_write_permission_is_unchanged() {
    // Of this thread alone (capabilities(7)): root would be allowed to write everything.
    caps::drop(None, CapSet::Effective, Capability::CAP_DAC_OVERRIDE).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "kept").unwrap();
    let read_only = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    std::fs::set_permissions(file.path(), read_only).unwrap();
    assert_eq!(error_of(file.path()), Some(libc::EACCES));
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "kept");
}

#[test]
fn a_fifo_without_a_reader_never_blocks_and_one_with_a_reader_receives_the_summary() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(error_of(&path), Some(libc::ENXIO));
    let mut reader: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    write(&path, "web exited\n").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "web exited\n");
}

#[test]
fn a_full_fifo_never_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let full = (0..1000).find_map(|_| write(&path, &"x".repeat(LIMIT)).err());
    assert_eq!(full.and_then(|error| error.raw_os_error()), Some(libc::EAGAIN));
}

#[test]
fn a_device_receives_the_summary() {
    write(Path::new("/dev/null"), "words\n").unwrap();
    assert_eq!(error_of(Path::new("/dev/full")), Some(libc::ENOSPC));
}
