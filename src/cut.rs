//! A text cut to a number of bytes, between two characters.

/// The longest start of a text with at most this many bytes.
pub fn start(text: &str, most: usize) -> &str {
    (0..=most.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// The longest end of a text with at most this many bytes.
pub fn end(text: &str, most: usize) -> &str {
    (text.len().saturating_sub(most)..=text.len()).find_map(|start| text.get(start..)).unwrap_or_default()
}

/// The parts of a text with at most this many bytes each, of which no character has more.
pub fn pieces(mut text: &str, most: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at_checked(start(text, most).len())?;
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_whole() {
        assert_eq!(pieces("aéaéé", 3).collect::<Vec<_>>(), ["aé", "aé", "é"]);
        assert_eq!(pieces("", 3).count(), 0);
    }

    #[test]
    fn no_character_is_cut() {
        for (most, first, last) in [
            (0, "", ""),
            (1, "", ""),
            (2, "é", "é"),
            (3, "éa", "aé"),
            (4, "éa", "aé"),
            (5, "éaé", "éaé"),
            (9, "éaé", "éaé"),
        ] {
            assert_eq!((start("éaé", most), end("éaé", most)), (first, last), "{most}");
        }
    }
}
