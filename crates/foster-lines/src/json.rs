//! Escapes bytes for a JSON string (RFC 8259, section 7).
//!
//! Most text needs no escape: eight bytes are checked at a time, and runs without an escape are copied whole. Bytes
//! that are not UTF-8 become U+FFFD, one for each maximal subpart, as in `String::from_utf8_lossy`. Pure.

use crate::lines::boundary;

/// Adds a string with its quotes.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, usize::MAX, out);
    out.push(b'"');
}

/// Adds as much of `text` as fits into `room` bytes, and returns how much that was: at least one byte if `room` is six
/// or more.
pub fn escape(text: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
    if plain(text, ASCII) == text.len() && text.len() <= room {
        out.extend_from_slice(text);
        return text.len();
    }
    if let Ok(valid) = std::str::from_utf8(text) {
        return escape_valid(valid, room, out);
    }
    let start = out.len();
    let mut taken = 0;
    for chunk in text.utf8_chunks() {
        let left = room.saturating_sub(out.len() - start);
        let part = escape_valid(chunk.valid(), left, out);
        taken += part;
        if part < chunk.valid().len() {
            break;
        }
        if chunk.invalid().is_empty() {
            continue;
        }
        if room.saturating_sub(out.len() - start) < REPLACEMENT.len() {
            break;
        }
        out.extend_from_slice(REPLACEMENT.as_bytes());
        taken += chunk.invalid().len();
    }
    taken
}

const REPLACEMENT: &str = "\u{FFFD}";

fn escape_valid(text: &str, room: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let mut rest = text.as_bytes();
    loop {
        let left = room.saturating_sub(out.len() - start);
        let run = plain(rest, ANY);
        let fits = if run > left { boundary(rest, left) } else { run };
        let (copied, after) = rest.split_at_checked(fits).unwrap_or((rest, &[]));
        out.extend_from_slice(copied);
        rest = after;
        let Some((byte, after)) = rest.split_first() else { break };
        if fits < run || room.saturating_sub(out.len() - start) < LONGEST_ESCAPE {
            break;
        }
        escape_byte(*byte, out);
        rest = after;
    }
    text.len() - rest.len()
}

const LONGEST_ESCAPE: usize = "\\u0000".len();

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        _ => {
            let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(short);
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES * 0x80;

/// Stops at a byte beyond ASCII.
const ASCII: u64 = HIGH;
/// Does not: the text is known to be UTF-8.
const ANY: u64 = 0;

/// The length of the prefix that needs no escape. Eight bytes at a time: a subtraction from each byte of a word sets the
/// byte's high bit if the byte was smaller. A borrow can set one wrongly, but only above a byte that is set rightly.
fn plain(text: &[u8], beyond: u64) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let mut whole = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = equal(word, b'"');
        let backslash = equal(word, b'\\');
        if (control | quote | backslash) & HIGH | word & beyond != 0 {
            break;
        }
        whole += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\') || (*byte >= 0x80 && beyond != 0);
    let rest = text.get(whole..).unwrap_or(&[]);
    whole + rest.iter().position(special).unwrap_or(rest.len())
}

fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_becomes_valid_json_alone_and_within_text() {
        for byte in 0..=255u8 {
            for text in [vec![byte], [b"plain text ".as_slice(), &[byte], b" and more of it"].concat()] {
                let mut out = Vec::new();
                string(&text, &mut out);
                let read: String = serde_json::from_slice(&out).unwrap();
                assert_eq!(read, String::from_utf8_lossy(&text), "byte {byte:#x}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_that_does_not_fit_is_left_for_the_next_piece(
            text in prop::collection::vec(prop_oneof![Just(0u8), Just(b'"'), Just(b'a'), any::<u8>()], 0..200),
            room in 6..64usize,
        ) {
            let (mut rest, mut read) = (text.as_slice(), String::new());
            while !rest.is_empty() {
                let mut out = Vec::new();
                let taken = escape(rest, room, &mut out);
                prop_assert!(taken > 0 && out.len() <= room);
                read += &serde_json::from_str::<String>(&format!("\"{}\"", String::from_utf8(out).unwrap())).unwrap();
                rest = &rest[taken..];
            }
            prop_assert_eq!(read, String::from_utf8_lossy(&text));
        }
    }
}
