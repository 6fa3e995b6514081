//! Base64 (RFC 4648), for passwords and binary values. Pure.

/// The bytes; `None`: it is not base64. White space is skipped, as in MIME.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0_u32, 0);
    for byte in text {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if padding < 2 => {
                padding += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        count += 1;
        if count == 4 {
            bytes.extend(bits.to_be_bytes().iter().skip(1));
            (bits, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        1 => return None,
        _ => {
            let rest = (bits << (6 * (4 - count))).to_be_bytes();
            bytes.extend(rest.iter().skip(1).take(count as usize - 1));
        }
    }
    Some(bytes)
}

/// The text for these bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or_default();
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_is_encoded() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("dXNlcjrDpA==", "user:ä")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn each_length_is_decoded_and_garbage_is_not() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
            ("dXNlcjpwYXNz\n", "user:pass"),
            ("Zg", "f"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for garbage in ["Z", "Zg=x", "Zg===", "Z!==", "Zm9v=Zg"] {
            assert_eq!(decode(garbage.as_bytes()), None, "{garbage}");
        }
    }
}
