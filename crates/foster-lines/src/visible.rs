//! Makes the control characters of a line visible, for a terminal.
//!
//! A carriage return, a cursor movement or a title sequence would overwrite other lines or control the terminal. They
//! are shown as `^M` and `^[`, as by `cat -v`. Colour sequences (SGR, ECMA-48 8.3.117) are kept and reset at the end of
//! the line; a tab stays, and so does a carriage return right before the newline. Pure.

use crate::lines::End;

const ESCAPE: u8 = 0x1b;
const RESET: &[u8] = b"\x1b[0m";

/// Adds a piece of a line.
pub fn push(piece: &[u8], end: End, out: &mut Vec<u8>) {
    if !piece.iter().any(|byte| needs_care(*byte)) {
        out.extend_from_slice(piece);
        return;
    }
    let mut rest = match end {
        End::Line => piece.strip_suffix(b"\r").unwrap_or(piece),
        End::Piece => piece,
    };
    let mut is_coloured = false;
    while let Some((byte, after)) = rest.split_first() {
        let colour = colour_length(rest);
        if let Some((colour, after)) = rest.split_at_checked(colour).filter(|_| colour > 0) {
            out.extend_from_slice(colour);
            is_coloured = true;
            rest = after;
            continue;
        }
        rest = after;
        match (*byte, after.first()) {
            (b'\t', _) => out.push(b'\t'),
            // C1 control characters as UTF-8 has them.
            (0xc2, Some(second @ 0x80..=0x9f)) => {
                out.extend_from_slice(&[b'^', b'[', second - 0x40]);
                rest = after.get(1..).unwrap_or(&[]);
            }
            (0x7f, _) => out.extend_from_slice(b"^?"),
            (byte @ 0..0x20, _) => out.extend_from_slice(&[b'^', byte + 0x40]),
            (byte, _) => out.push(byte),
        }
    }
    if is_coloured {
        out.extend_from_slice(RESET);
    }
}

/// Adds the line without its colour sequences, to match a pattern against it.
pub fn without_colours(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        match colour_length(rest) {
            0 => {
                out.push(*byte);
                rest = after;
            }
            length => rest = rest.get(length..).unwrap_or(&[]),
        }
    }
}

fn needs_care(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t' || byte == 0x7f || byte == 0xc2
}

/// The length of the colour sequence at the start of these bytes; 0 if there is none.
fn colour_length(bytes: &[u8]) -> usize {
    let Some(parameters) = bytes.strip_prefix(&[ESCAPE, b'[']) else { return 0 };
    let length =
        parameters.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':')).count();
    if parameters.get(length) == Some(&b'm') { length + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(piece: &[u8], end: End) -> String {
        let mut out = Vec::new();
        push(piece, end, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(shown(b"10%\r20%\r", End::Line), "10%^M20%");
        assert_eq!(shown(b"10%\r", End::Piece), "10%^M");
        assert_eq!(shown(b"\x1b]0;title\x07\x1b[2J\x7f", End::Line), "^[]0;title^G^[[2J^?");
        assert_eq!(shown("a\u{9b}31mé\tÂ".as_bytes(), End::Line), "a^[[31mé\tÂ");
    }

    #[test]
    fn a_colour_ends_with_its_line() {
        assert_eq!(shown(b"\x1b[1;31mred", End::Line), "\x1b[1;31mred\x1b[0m");
        assert_eq!(shown(b"plain", End::Line), "plain");
    }

    #[test]
    fn a_line_is_matched_without_its_colours() {
        let mut out = Vec::new();
        without_colours(b"\x1b[32mready\x1b[0m on \x1b[1m80\x1b[2K", &mut out);
        assert_eq!(out, b"ready on 80\x1b[2K");
    }
}
