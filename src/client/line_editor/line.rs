//! A line that is edited, and the part of it that a terminal shows. Pure.
//!
//! Keys are those of Emacs, as in readline. A character may take two columns or none (wcwidth(3)); the line scrolls within its
//! row, so that the width of the terminal may change at any time.

/// The longest line in characters.
const LONGEST: usize = 4096;

/// A line and its cursor.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    chars: Vec<char>,
    cursor: usize,
    /// What the last `kill` has cut.
    killed: Vec<char>,
}

impl Line {
    pub(super) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// The text before the cursor.
    pub(super) fn head(&self) -> String {
        self.chars.iter().take(self.cursor).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// Another text, with the cursor at its end.
    pub(super) fn set(&mut self, text: &str) {
        self.chars = text.chars().take(LONGEST).collect();
        self.cursor = self.chars.len();
    }

    /// Inserts a text at the cursor; what is too long is left out.
    pub(super) fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.chars.len());
        let new: Vec<char> = text.chars().take(room).collect();
        let count = new.len();
        self.chars.splice(self.cursor..self.cursor, new);
        self.cursor += count;
    }

    /// The place before or after the character at the cursor, with what is combined with it.
    fn left_of(&self, mut at: usize) -> usize {
        loop {
            at = at.saturating_sub(1);
            if at == 0 || self.chars.get(at).is_none_or(|char| width(*char) > 0) {
                return at;
            }
        }
    }

    fn right_of(&self, mut at: usize) -> usize {
        loop {
            at = (at + 1).min(self.chars.len());
            if self.chars.get(at).is_none_or(|char| width(*char) > 0) {
                return at;
            }
        }
    }

    pub(super) fn go_left(&mut self) {
        self.cursor = self.left_of(self.cursor);
    }

    pub(super) fn go_right(&mut self) {
        self.cursor = self.right_of(self.cursor);
    }

    pub(super) fn go_to_start(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn go_to_end(&mut self) {
        self.cursor = self.chars.len();
    }

    pub(super) fn delete_left(&mut self) {
        let to = self.cursor;
        self.cursor = self.left_of(to);
        self.chars.drain(self.cursor..to);
    }

    pub(super) fn delete(&mut self) {
        self.chars.drain(self.cursor..self.right_of(self.cursor));
    }

    fn kill(&mut self, from: usize, to: usize) {
        if from < to {
            self.killed = self.chars.drain(from..to).collect();
            self.cursor = from;
        }
    }

    pub(super) fn kill_to_end(&mut self) {
        self.kill(self.cursor, self.chars.len());
    }

    pub(super) fn kill_to_start(&mut self) {
        self.kill(0, self.cursor);
    }

    pub(super) fn kill_word(&mut self) {
        let head = self.chars.get(..self.cursor).unwrap_or_default();
        let word = head.iter().rposition(|char| !char.is_whitespace()).map_or(0, |at| at + 1);
        let head = head.get(..word).unwrap_or_default();
        let start = head.iter().rposition(|char| char.is_whitespace()).map_or(0, |at| at + 1);
        self.kill(start, self.cursor);
    }

    pub(super) fn yank(&mut self) {
        let killed: String = self.killed.iter().collect();
        self.insert(&killed);
    }

    /// What a row of so many columns shows of the line, and the column of the cursor in it.
    pub(super) fn window(&self, columns: usize) -> (String, usize) {
        let columns = columns.max(2);
        // One column is left for the cursor behind the last character.
        let (mut start, mut before) = (self.cursor, 0);
        while let Some(char) = start.checked_sub(1).and_then(|at| self.chars.get(at)) {
            if before + width(*char) >= columns {
                break;
            }
            before += width(*char);
            start -= 1;
        }
        let (mut text, mut used) = (String::new(), 0);
        for char in self.chars.iter().skip(start) {
            used += width(*char);
            if used >= columns {
                break;
            }
            text.push(*char);
        }
        (text, before)
    }
}

/// The columns of a text.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The columns of a character: two in East Asian scripts and for pictures, none where it is combined with the one before.
fn width(char: char) -> usize {
    match u32::from(char) {
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x610..=0x61a
        | 0x64b..=0x65f
        | 0x93c
        | 0x94d
        | 0xe31
        | 0xe34..=0xe3a
        | 0xe47..=0xe4e
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x200b..=0x200f
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f
        | 0xfe20..=0xfe2f
        | 0xe0100..=0xe01ef => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xa960..=0xa97c
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        line.set(text);
        line
    }

    #[test]
    fn text_is_inserted_and_deleted_at_the_cursor() {
        let mut line = line("stat");
        line.go_left();
        line.insert("r");
        line.go_to_start();
        line.insert("re");
        assert_eq!((line.text(), line.head()), ("restart".to_owned(), "re".to_owned()));
        line.delete();
        line.go_to_end();
        line.delete_left();
        line.delete();
        assert_eq!(line.text(), "retar");
        line.go_to_start();
        line.delete_left();
        line.go_left();
        assert_eq!(line.text(), "retar");
    }

    #[test]
    fn what_is_killed_can_be_yanked() {
        let mut line = line("stop  web all");
        line.kill_word();
        assert_eq!(line.text(), "stop  web ");
        line.kill_word();
        assert_eq!(line.text(), "stop  ");
        line.yank();
        line.go_to_start();
        line.go_right();
        line.kill_to_end();
        assert_eq!(line.text(), "s");
        line.kill_to_start();
        line.yank();
        line.yank();
        assert_eq!(line.text(), "ss");
    }

    #[test]
    fn a_character_is_one_step_whatever_its_columns() {
        let mut line = line("a日e\u{301}");
        assert_eq!(columns(&line.text()), 4);
        line.go_left();
        assert_eq!(line.head(), "a日");
        line.go_left();
        line.delete();
        assert_eq!(line.text(), "ae\u{301}");
        line.go_to_end();
        line.delete_left();
        assert_eq!(line.text(), "a");
    }

    #[test]
    fn a_row_shows_the_part_around_the_cursor() {
        let mut line = line("0123456789");
        assert_eq!(line.window(80), ("0123456789".to_owned(), 10));
        assert_eq!(line.window(5), ("6789".to_owned(), 4));
        line.go_to_start();
        assert_eq!(line.window(5), ("0123".to_owned(), 0));
        line.set("日本語");
        assert_eq!(line.window(6), ("本語".to_owned(), 4));
        assert_eq!(line.window(0).1, 0);
    }

    proptest! {
        #[test]
        fn no_keys_leave_the_line_or_its_row(keys in "[a-nA日\u{301} ]{0,60}", columns in 2..40_usize) {
            let mut line = Line::default();
            for key in keys.chars() {
                match key {
                    'a' => line.go_left(),
                    'b' => line.go_right(),
                    'c' => line.go_to_start(),
                    'd' => line.go_to_end(),
                    'e' => line.delete(),
                    'f' => line.delete_left(),
                    'g' => line.kill_to_end(),
                    'h' => line.kill_to_start(),
                    'i' => line.kill_word(),
                    'j' => line.yank(),
                    other => line.insert(&other.to_string()),
                }
                let (text, column) = line.window(columns);
                prop_assert!(line.cursor <= line.chars.len() && line.chars.len() <= LONGEST);
                prop_assert!(super::columns(&text) < columns && column < columns);
            }
        }
    }
}
