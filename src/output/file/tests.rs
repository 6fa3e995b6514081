use super::*;
use proptest::prelude::*;

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
    let mut file_events = Vec::new();
    let notice = file.gap().map(|gap| format!("{} lost\n", gap.lines)).unwrap_or_default();
    file.append(1, notice.as_bytes(), text, &mut file_events);
    file_events
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn it_is_rotated_before_a_line_would_make_it_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(10), 2));
    assert_eq!(append(&mut file, b"one\ntwo\nthree\na very long line\nfour\nfive\n"), []);
    assert_eq!(read(&path), "four\nfive\n");
    assert_eq!(read(&numbered(&path, 1)), "a very long line\n");
    assert_eq!(read(&numbered(&path, 2)), "three\n");
    assert!(!numbered(&path, 3).exists());
}

#[test]
fn with_nothing_to_keep_it_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(8), 0));
    append(&mut file, b"one\ntwo\nthree\n");
    assert_eq!(read(&path), "three\n");
    assert!(!numbered(&path, 1).exists());
}

#[test]
fn what_was_there_before_counts_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "earlier\n").unwrap();
    append(&mut opened(&sink(&path, Some(10), 1)), b"now\n");
    assert_eq!((read(&path), read(&numbered(&path, 1))), ("now\n".to_owned(), "earlier\n".to_owned()));
}

#[test]
fn a_file_that_cannot_be_rotated_grows_on_and_says_so_once_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::create_dir(numbered(&path, 1)).unwrap();
    fs::write(numbered(&path, 1).join("in the way"), "").unwrap();
    let mut file = opened(&sink(&path, Some(8), 1));
    assert_eq!(append(&mut file, b"one\ntwo\nthree\n"), [FileEvent::CannotRotate(Errno::EISDIR)]);
    assert_eq!(append(&mut file, b"a\n"), []);
    assert_eq!(read(&path), "one\ntwo\nthree\na\n");
}

#[test]
fn a_moved_file_is_left_when_it_is_reopened() {
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
fn a_missing_folder_drops_lines_until_it_is_there_and_the_count_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/log");
    let (opened, event) = open(&sink(&path, Some(100), 1));
    assert_eq!(event, Some(FileEvent::Failing(Errno::ENOENT)));
    let Opened::File(mut file) = opened else { panic!("no file") };
    assert_eq!(append(&mut file, b"one\ntwo\n"), []);
    fs::create_dir(folder.path().join("missing")).unwrap();
    assert_eq!(file.reopen(), None);
    let gap = Gap { lines: 2, error: Errno::ENOENT };
    assert_eq!(append(&mut file, b"three\n"), [FileEvent::Recovered(gap)]);
    assert_eq!(read(&path), "2 lost\nthree\n");
}

#[test]
fn a_full_disk_is_told_once_and_counts_its_lines() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut file = LogFile::standard(Target::shared(full.into()));
    assert_eq!(append(&mut file, b"one\ntwo\n"), [FileEvent::Failing(Errno::ENOSPC)]);
    assert_eq!(append(&mut file, b"three\n"), []);
    assert_eq!(file.gap(), Some(Gap { lines: 3, error: Errno::ENOSPC }));
}

#[test]
fn a_line_that_was_begun_on_a_full_disk_is_completed_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, None, 0));
    // What a write that stopped in the middle leaves behind.
    file.write(b"one\ntw").unwrap();
    file.partial = b"o\n".to_vec();
    file.fail(3, Errno::ENOSPC);
    append(&mut file, b"six\n");
    assert_eq!(read(&path), "one\ntwo\n3 lost\nsix\n");
}

#[test]
fn a_long_line_of_one_source_is_not_mixed_with_another_and_not_parted_by_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = opened(&sink(&path, Some(8), 1));
    let mut file_events = Vec::new();
    file.append(1, b"", b"long ", &mut file_events);
    file.append(1, b"", b"and longer ", &mut file_events);
    file.append(1, b"", b"line\nbegun", &mut file_events);
    assert_eq!(read(&numbered(&path, 1)), "long and longer line\n");
    file.append(2, b"", b"x\n", &mut file_events);
    assert_eq!(read(&path), "begun\nx\n");
    assert_eq!(file_events, []);
}

#[test]
fn a_fifo_is_no_file_and_opening_it_waits_for_nobody() {
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
    fn rotated_files_put_together_are_everything_and_no_line_is_split(
        batches in prop::collection::vec(prop::collection::vec("[a-z]{0,30}", 1..8), 1..12),
        max_size in 1..60u64,
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
                prop_assert!(text.ends_with('\n'));
                prop_assert!(text.len() as u64 <= max_size || text.lines().count() == 1);
                together += &text;
            }
        }
        prop_assert_eq!(together, everything);
    }
}
