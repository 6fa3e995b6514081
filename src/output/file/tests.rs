use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::sys::stream::Descriptor;

fn numbered(path: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

fn sink(path: &Path, max_size: Option<u64>, keep: u32) -> FileSink {
    FileSink { path: path.to_owned(), max_size, keep }
}

fn opened(sink: &FileSink) -> LogFile {
    match open(sink) {
        (Opened::File(file), _) => file,
        (Opened::Other(other), _) => panic!("not a file: {other:?}"),
    }
}

fn append(file: &mut LogFile, text: &[u8]) -> Vec<FileEvent> {
    let mut events = Vec::new();
    let notice = file.gap().map(|gap| format!("{} lost\n", gap.lines)).unwrap_or_default();
    file.append(1, notice.as_bytes(), text, &mut events);
    events
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_is_rotated_before_a_line_that_exceeds_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(10), 2));
    assert_eq!(append(&mut file, b"one\ntwo\nthree\na very long line\nfour\nfive\n"), []);
    assert_eq!(read(&path), "four\nfive\n");
    assert_eq!(read(&numbered(&path, 1)), "g line\n");
    assert_eq!(read(&numbered(&path, 2)), "a very lon");
    assert!(!numbered(&path, 3).exists());
}

#[test]
fn a_file_without_rotated_files_to_keep_is_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(8), 0));
    append(&mut file, b"one\ntwo\nthree\n");
    assert_eq!(read(&path), "three\n");
    assert!(!numbered(&path, 1).exists());
}

#[test]
fn existing_content_counts_towards_the_size_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "earlier\n").unwrap();
    append(&mut opened(&sink(&path, Some(10), 1)), b"now\n");
    assert_eq!((read(&path), read(&numbered(&path, 1))), ("now\n".to_owned(), "earlier\n".to_owned()));
}

#[test]
fn a_file_that_cannot_be_rotated_exceeds_its_size_and_reports_it_once_per_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::create_dir(numbered(&path, 1)).unwrap();
    fs::write(numbered(&path, 1).join("in the way"), "").unwrap();
    let mut file = opened(&sink(&path, Some(8), 1));
    assert_eq!(append(&mut file, b"one\ntwo\nthree\n"), [FileEvent::CannotRotate(Errno::EISDIR.into())]);
    assert_eq!(append(&mut file, b"a\n"), []);
    assert_eq!(read(&path), "one\ntwo\nthree\na\n");
}

#[test]
fn reopening_leaves_a_moved_file_and_creates_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("moved"));
    let mut file = opened(&sink(&path, None, 0));
    append(&mut file, b"one\n");
    fs::rename(&path, &moved).unwrap();
    append(&mut file, b"two\n");
    assert_eq!(file.reopen(), None);
    append(&mut file, b"three\n");
    assert_eq!((read(&moved), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
}

#[test]
fn a_missing_folder_drops_lines_until_it_exists_and_the_count_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/log");
    let (opened, event) = open(&sink(&path, Some(100), 1));
    assert_eq!(event, Some(FileEvent::Failing(Errno::ENOENT.into())));
    let Opened::File(mut file) = opened else { panic!("no file") };
    assert_eq!(append(&mut file, b"one\ntwo\n"), []);
    fs::create_dir(folder.path().join("missing")).unwrap();
    assert_eq!(file.reopen(), None);
    let gap = Gap { lines: 2, error: Errno::ENOENT.into() };
    assert_eq!(append(&mut file, b"three\n"), [FileEvent::Recovered(gap)]);
    assert_eq!(read(&path), "2 lost\nthree\n");
}

#[test]
fn a_full_disk_is_reported_once_and_counts_its_lines() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut file = LogFile::standard(Target::shared(Descriptor::Own(full.into())));
    assert_eq!(append(&mut file, b"one\ntwo\n"), [FileEvent::Failing(Errno::ENOSPC.into())]);
    assert_eq!(append(&mut file, b"three\n"), []);
    assert_eq!(file.gap(), Some(Gap { lines: 3, error: Errno::ENOSPC.into() }));
}

#[test]
fn a_line_that_was_partly_written_to_a_full_disk_is_completed_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, None, 0));
    // A write that was cut short.
    file.write(b"one\ntw").unwrap();
    file.partial = b"o\n".to_vec();
    file.fail(3, Errno::ENOSPC.into());
    append(&mut file, b"six\n");
    assert_eq!(read(&path), "one\ntwo\n3 lost\nsix\n");
}

#[test]
fn a_line_longer_than_the_file_is_split_and_not_mixed_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(8), 9));
    let mut events = Vec::new();
    file.append(1, b"", b"long ", &mut events);
    file.append(1, b"", b"and longer ", &mut events);
    file.append(1, b"", b"line\nbegun", &mut events);
    file.append(2, b"", b"x\n", &mut events);
    let parts: Vec<String> =
        (1..=3).rev().map(|number| numbered(&path, number)).map(|path| read(&path)).collect();
    assert_eq!(parts, ["long ", "and long", "er line\n"]);
    assert_eq!((read(&path), events), ("begun\nx\n".to_owned(), vec![]));
}

#[test]
fn an_endless_line_never_makes_the_file_longer_than_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(1000), 9));
    (0..100).for_each(|_| drop(append(&mut file, &[b'\r'; 300])));
    let sizes = (1..=9).map(|number| fs::metadata(numbered(&path, number)).unwrap().len());
    assert!(sizes.chain([fs::metadata(&path).unwrap().len()]).all(|size| size <= 1000));
}

#[test]
fn the_renames_of_one_call_are_bounded_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(1), 1000));
    let text: String = (0..5000).map(|number| format!("{number}\n")).collect();
    assert_eq!(append(&mut file, text.as_bytes()), []);
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert!(files < 100, "{files}");
    assert!(read(&path).ends_with("4998\n4999\n"));
}

#[test]
fn a_failed_rename_ends_the_rotation_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(numbered(&path, 1), "precious\n").unwrap();
    // A file cannot take the place of a folder.
    fs::create_dir(numbered(&path, 2)).unwrap();
    let mut file = opened(&sink(&path, Some(8), 2));
    let events = append(&mut file, b"one\ntwo\nthree\n");
    assert_eq!(events, [FileEvent::CannotRotate(Errno::EISDIR.into())]);
    assert_eq!(read(&numbered(&path, 1)), "precious\n");
    assert_eq!(read(&path), "one\ntwo\nthree\n");
}

#[test]
fn a_changed_size_applies_to_the_open_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, None, 0));
    append(&mut file, b"one\ntwo\n");
    file.update(&sink(&path, Some(8), 1));
    append(&mut file, b"three\n");
    assert_eq!((read(&numbered(&path, 1)), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
}

#[test]
fn a_file_that_another_process_replaced_is_not_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(12), 1));
    append(&mut file, b"one\ntwo\nsix\n");
    fs::rename(&path, folder.path().join("moved")).unwrap();
    fs::write(&path, "new\n").unwrap();
    append(&mut file, b"three\n");
    assert_eq!((read(&path), numbered(&path, 1).exists()), ("new\nthree\n".to_owned(), false));
}

#[test]
fn a_link_that_the_programs_user_could_have_placed_is_neither_written_nor_renamed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (logs, secret) = (folder.path().join("logs"), folder.path().join("secret"));
    fs::create_dir(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(&secret, "root\n").unwrap();
    let path = logs.join("log");
    let mut file = opened(&sink(&path, Some(8), 1));
    append(&mut file, b"one\ntwo\n");
    fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    let refused = FileError::UntrustedLink;
    assert_eq!(append(&mut file, b"three\n"), [FileEvent::CannotRotate(refused)]);
    assert_eq!(file.reopen(), Some(FileEvent::Failing(refused)));
    append(&mut file, b"four\n");
    assert_eq!((read(&secret), file.gap()), ("root\n".to_owned(), Some(Gap { lines: 1, error: refused })));
    fs::remove_file(&path).unwrap();
    fs::hard_link(&secret, &path).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&logs, Some(12345), None).unwrap();
        file.reopen();
        assert_eq!(file.gap().map(|gap| gap.error), Some(FileError::UntrustedHardLink));
    }
}

#[test]
fn a_fifo_is_not_a_file_and_opening_it_does_not_wait_for_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (found, event) = open(&sink(&path, Some(1), 1));
    assert_eq!(event, None);
    let Opened::Other(target) = found else { panic!("a file") };
    assert_eq!(target.write(b"line\n"), Ok(5));
}

proptest! {
    #[test]
    fn rotated_files_contain_every_byte_and_only_a_line_longer_than_a_file_is_split(
        batches in prop::collection::vec(prop::collection::vec("[a-z]{0,60}", 1..4), 1..12),
        max_size in 40..90u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = opened(&sink(&path, Some(max_size), 100));
        let mut everything = String::new();
        for batch in batches {
            let text: String = batch.iter().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(append(&mut file, text.as_bytes()), vec![]);
            everything += &text;
        }
        let mut together = String::new();
        for number in (0..=100).rev() {
            let part = if number == 0 { path.clone() } else { numbered(&path, number) };
            if let Ok(text) = fs::read_to_string(part) {
                prop_assert!(text.len() as u64 <= max_size);
                prop_assert!(text.ends_with('\n') || text.len() as u64 == max_size || !text.contains('\n'));
                together += &text;
            }
        }
        prop_assert_eq!(together, everything);
    }
}
