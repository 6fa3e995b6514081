//! A number of bytes as users write it, with or without a binary suffix.

/// The bytes: `512K`, `50M`, `1g`, `42`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (text.get(..at)?, 10),
        (at, 'M' | 'm') => (text.get(..at)?, 20),
        (at, 'G' | 'g') => (text.get(..at)?, 30),
        (_, _) => (text, 0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_suffixes() {
        for (text, size) in [("0", 0), ("512K", 512 << 10), ("50M", 50 << 20), ("1g", 1 << 30), ("42", 42)] {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for text in ["", "K", "-1", "+1", "1.5M", "1KB", "1 M", "99999999999G", "é"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
