//! A notification: lines of `NAME=value` in one datagram, as sd_notify(3) describes them.
//!
//! The sender may be hostile: what is too long or contains a NUL byte is refused whole, an unknown name or a value that
//! makes no sense is skipped. Pure.

use std::time::Duration;

use foster_core::event::Notice;

/// The longest message, in bytes; systemd takes no longer one either (`NOTIFY_BUFFER_MAX`).
pub const LONGEST: usize = 4096;

/// How many lines are read.
const MOST_LINES: usize = 64;

/// How many bytes of a status are kept: enough for a sentence.
const LONGEST_STATUS: usize = 400;

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// For the core, in order.
    pub notices: Vec<Notice>,
    /// `STATUS=`: a sentence for people, which may be empty.
    pub status: Option<String>,
    /// `MAINPID=`: the process that the program calls its main one.
    pub main_pid: Option<i32>,
    /// `FDSTORE=1`: its descriptors are to be kept.
    pub stores_descriptors: bool,
}

/// Reads a message. `None`: it is too long, or contains a NUL byte before its end.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if text.len() > LONGEST || text.contains(&0) {
        return None;
    }
    let mut message = Message::default();
    for line in text.split(|byte| *byte == b'\n').take(MOST_LINES) {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = line.split_at(equals);
        message.take(name, value.get(1..).unwrap_or_default());
    }
    Some(message)
}

impl Message {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let notice = match (name, value) {
            (b"READY", b"1") => Some(Notice::Ready),
            (b"RELOADING", b"1") => Some(Notice::Reloading),
            (b"STOPPING", b"1") => Some(Notice::Stopping),
            (b"WATCHDOG", b"1") => Some(Notice::Alive),
            (b"WATCHDOG", b"trigger") => Some(Notice::Failing),
            (b"WATCHDOG_USEC", _) => microseconds(value).map(Notice::Watchdog),
            (b"EXTEND_TIMEOUT_USEC", _) => microseconds(value).map(Notice::Extend),
            (b"STATUS", _) => {
                self.status = Some(status(value));
                None
            }
            (b"MAINPID", _) => {
                self.main_pid = number(value).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
                None
            }
            (b"FDSTORE", b"1") => {
                self.stores_descriptors = true;
                None
            }
            (_, _) => None,
        };
        self.notices.extend(notice);
    }
}

/// Digits alone: no sign, no blanks.
fn number(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn microseconds(value: &[u8]) -> Option<Duration> {
    number(value).map(Duration::from_micros)
}

/// The sentence without control characters, which would act on the terminal that shows it.
fn status(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let clean = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut kept = String::new();
    for char in clean {
        if kept.len() + char.len_utf8() > LONGEST_STATUS {
            break;
        }
        kept.push(char);
    }
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn notices(text: &str) -> Vec<Notice> {
        parse(text.as_bytes()).expect(text).notices
    }

    #[test]
    fn every_assignment_that_means_something_is_read() {
        let microsecond = Duration::from_micros(1);
        for (text, notice) in [
            ("READY=1", Notice::Ready),
            ("RELOADING=1\nMONOTONIC_USEC=123", Notice::Reloading),
            ("STOPPING=1\n", Notice::Stopping),
            ("WATCHDOG=1", Notice::Alive),
            ("WATCHDOG=trigger", Notice::Failing),
            ("WATCHDOG_USEC=1000000", Notice::Watchdog(microsecond * 1_000_000)),
            ("WATCHDOG_USEC=0", Notice::Watchdog(Duration::ZERO)),
            ("EXTEND_TIMEOUT_USEC=18446744073709551615", Notice::Extend(Duration::from_micros(u64::MAX))),
        ] {
            assert_eq!(notices(text), [notice], "{text}");
        }
        let all =
            parse(b"STATUS=Half way: 50%\nMAINPID=42\nFDSTORE=1\nREADY=1\nERRNO=2\nX_OURS=1\0").unwrap();
        assert_eq!(
            all,
            Message {
                notices: vec![Notice::Ready],
                status: Some("Half way: 50%".into()),
                main_pid: Some(42),
                stores_descriptors: true
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_skipped() {
        let nonsense = [
            "",
            "\n\n",
            "READY",
            "=1",
            "READY=0",
            "READY= 1",
            "ready=1",
            "READY=11",
            "WATCHDOG=",
            "WATCHDOG_USEC=-1",
            "WATCHDOG_USEC=+1",
            "WATCHDOG_USEC=",
            "WATCHDOG_USEC=18446744073709551616",
            "EXTEND_TIMEOUT_USEC=1s",
            "MAINPID=0",
            "MAINPID=-1",
            "MAINPID=4294967297",
            "BARRIER=1",
            "FDSTORE=0",
        ];
        for text in nonsense {
            assert_eq!(parse(text.as_bytes()), Some(Message::default()), "{text:?}");
        }
        assert_eq!(notices("\u{fffd}=1\nREADY=1"), [Notice::Ready]);
        assert_eq!(parse(b"\xff\xfe=\xff\nREADY=1").unwrap().notices, [Notice::Ready]);
    }

    #[test]
    fn what_is_too_long_or_has_a_nul_is_refused_whole() {
        let longest = [b"READY=1\n".as_slice(), &vec![b'x'; LONGEST - 8]].concat();
        assert_eq!(parse(&longest).unwrap().notices, [Notice::Ready]);
        assert_eq!(parse(&[longest.as_slice(), b"x"].concat()), None);
        assert_eq!(parse(b"READY=1\0STOPPING=1"), None);
        assert_eq!(parse(b"READY=1\0\0"), None);
    }

    #[test]
    fn no_message_has_more_than_so_many_lines() {
        assert_eq!(notices(&"READY=1\n".repeat(500)).len(), MOST_LINES);
    }

    #[test]
    fn a_status_is_one_short_line_that_cannot_act_on_a_terminal() {
        let status = |text: &str| parse(format!("STATUS={text}").as_bytes()).unwrap().status.unwrap();
        assert_eq!(status("\u{1b}[31mred\r\t"), "[31mred");
        assert_eq!(status(""), "");
        assert_eq!(status("a=b"), "a=b");
        assert_eq!(status(&"é".repeat(1000)), "é".repeat(LONGEST_STATUS / 2));
        assert_eq!(parse(b"STATUS=\xff!").unwrap().status.unwrap(), "\u{fffd}!");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(message) = parse(&bytes) {
                prop_assert!(message.notices.len() <= MOST_LINES);
                let status = message.status.unwrap_or_default();
                prop_assert!(status.len() <= LONGEST_STATUS && !status.contains(char::is_control));
            }
        }
    }
}
