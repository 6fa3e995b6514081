//! Keys of a terminal, from the bytes that it sends (console_codes(4), ECMA-48 5.4).
//!
//! A sequence may arrive in two reads, and the escape key alone is its first byte: a lone escape at the end of a read is the
//! key, since a terminal writes a sequence at once. Bytes that are not of a key are dropped. Next: `raw_mode.rs`, which
//! makes a terminal send keys as they are pressed.

use std::os::fd::AsFd;

use nix::errno::Errno;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A character.
    Char(char),
    /// A letter with the control key, in lower case: `Control('c')`.
    Control(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

const ESCAPE: u8 = 0x1b;
/// The longest sequence that is waited for.
const LONGEST: usize = 16;

/// Reads keys; holds the bytes of a key whose end is missing.
#[derive(Debug, Default)]
pub(super) struct KeyReader(Vec<u8>);

/// What is at the start of some bytes.
enum Start {
    /// A key of so many bytes; `None`: those bytes are not of a key that is known.
    Whole(Option<Key>, usize),
    /// The beginning of one.
    Beginning,
}

impl KeyReader {
    /// The keys that can be read now; `None`: the terminal is gone.
    pub(super) fn read(&mut self, terminal: &impl AsFd) -> Option<Vec<Key>> {
        let mut bytes = [0; 256];
        match nix::unistd::read(terminal, &mut bytes) {
            Ok(0) => None,
            Ok(count) => Some(self.take(bytes.get(..count).unwrap_or_default())),
            Err(Errno::EINTR | Errno::EAGAIN) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.0.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.0);
        let (mut rest, mut keys) = (all.as_slice(), Vec::new());
        while !rest.is_empty() {
            match start(rest) {
                Start::Whole(key, length) => {
                    keys.extend(key);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Start::Beginning if rest.len() < LONGEST => {
                    self.0 = rest.to_vec();
                    break;
                }
                Start::Beginning => break,
            }
        }
        keys
    }
}

fn start(bytes: &[u8]) -> Start {
    match bytes {
        [ESCAPE, b'[', rest @ ..] => control_sequence(rest),
        [ESCAPE, b'O', letter, ..] => Start::Whole(lettered(*letter), 3),
        [ESCAPE, b'O'] => Start::Beginning,
        [ESCAPE, ..] => Start::Whole(Some(Key::Escape), 1),
        [b'\r' | b'\n', ..] => Start::Whole(Some(Key::Enter), 1),
        [b'\t', ..] => Start::Whole(Some(Key::Tab), 1),
        [0x7f | 0x08, ..] => Start::Whole(Some(Key::Backspace), 1),
        [byte @ 1..=26, ..] => Start::Whole(Some(Key::Control(char::from(byte + b'a' - 1))), 1),
        [0..0x20, ..] => Start::Whole(None, 1),
        _ => character(bytes),
    }
}

/// What follows `ESC [`: parameters, intermediate bytes, and the final byte.
fn control_sequence(bytes: &[u8]) -> Start {
    let Some(length) = bytes.iter().position(|byte| !(0x20..0x40).contains(byte)) else {
        return Start::Beginning;
    };
    let (parameters, rest) = bytes.split_at(length);
    let key = match (rest.first(), parameters) {
        (Some(b'~'), b"1" | b"7") => Some(Key::Home),
        (Some(b'~'), b"3") => Some(Key::Delete),
        (Some(b'~'), b"4" | b"8") => Some(Key::End),
        (Some(b'~'), b"5") => Some(Key::PageUp),
        (Some(b'~'), b"6") => Some(Key::PageDown),
        (Some(letter), b"") => lettered(*letter),
        (Some(_) | None, _) => None,
    };
    Start::Whole(key, "\x1b[".len() + length + 1)
}

fn lettered(letter: u8) -> Option<Key> {
    match letter {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'F' => Some(Key::End),
        b'H' => Some(Key::Home),
        _ => None,
    }
}

fn character(bytes: &[u8]) -> Start {
    let (valid, error) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), Some(error))
        }
    };
    match (valid.chars().next(), error.map(|error| error.error_len())) {
        (Some(character), _) => {
            let key = (!character.is_control()).then_some(Key::Char(character));
            Start::Whole(key, character.len_utf8())
        }
        (None, Some(None)) => Start::Beginning,
        (None, Some(Some(length))) => Start::Whole(None, length),
        (None, None) => Start::Whole(None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(reads: &[&[u8]]) -> Vec<Key> {
        let mut keys = KeyReader::default();
        reads.iter().flat_map(|bytes| keys.take(bytes)).collect()
    }

    #[test]
    fn a_sequence_is_one_key_also_in_two_reads() {
        use Key::{Backspace, Char, Control, Delete, Down, End, Enter, Escape, Home, PageUp, Tab, Up};
        let all = b"\x1b[Aj\x1b[5~\x03\x1bOH\x1b[4~\x1b[3~\t\r\x7f\x1b";
        let expected =
            [Up, Char('j'), PageUp, Control('c'), Home, End, Delete, Tab, Enter, Backspace, Escape];
        assert_eq!(keys(&[all]), expected);
        assert_eq!(keys(&[b"\x1b[", b"B", b"\x1b[5", b"~", "\u{e4}".as_bytes()]), [Down, PageUp, Char('ä')]);
        assert_eq!(keys(&[b"\xc3", b"\xa4", b"\x1b", b"[A"]), [Char('ä'), Escape, Char('['), Char('A')]);
    }

    #[test]
    fn sequences_that_are_not_of_a_key_are_dropped_whole() {
        // Control and an arrow, an answer to a query, a paste's brackets, bytes that are not UTF-8.
        let none = b"\x1b[1;5A\x1b[?1;2c\x1b[200~\xff\xc3\x28";
        assert_eq!(keys(&[none]), [Key::Char('(')]);
    }

    #[test]
    fn of_any_bytes_few_are_kept() {
        let mut reader = KeyReader::default();
        for seed in 0..5000_u32 {
            let mixed = |at: u32| seed.wrapping_mul(2_654_435_761).rotate_left(at * 5).to_le_bytes();
            let bytes: Vec<u8> = (0..5).flat_map(mixed).collect();
            reader.take(&bytes);
            reader.take(b"\x1b[11111111111111111111");
            assert!(reader.0.len() < LONGEST, "{:?}", reader.0);
        }
    }
}
