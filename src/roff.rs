//! Manual pages in man(7), as far as two pages need it.
//!
//! The pages are generated from the tables of verbs and keys and checked in below `docs/`. Only tests generate them, so
//! this is not in the binary.

/// The date of the last revision of the pages.
const DATE: &str = "2026-11-25";

/// A manual page.
#[derive(Debug)]
pub struct Page(String);

impl Page {
    /// A page of this section.
    pub fn new(name: &str, section: u8, purpose: &str) -> Page {
        let title = name.to_uppercase();
        let version = env!("CARGO_PKG_VERSION");
        let mut page =
            Page(format!(".TH {} {section} {DATE} \"foster {version}\" \"foster\"\n", escaped(&title)));
        page.heading("Name");
        page.0 += &format!("{} \\- {}\n", escaped(name), escaped(purpose));
        page
    }

    /// Adds the heading of a section.
    pub fn heading(&mut self, text: &str) {
        self.0 += &format!(".SH {}\n", escaped(text).to_uppercase());
    }

    /// Adds the heading of a subsection.
    pub fn subheading(&mut self, text: &str) {
        self.0 += &format!(".SS {}\n", code(text));
    }

    /// Adds a paragraph; text in backticks is code.
    pub fn paragraph(&mut self, text: &str) {
        // The first paragraph after a heading needs no request.
        let is_first = self.0.lines().next_back().is_some_and(|line| line.starts_with(".S"));
        self.0 += &format!("{}{}", if is_first { "" } else { ".PP\n" }, lines(text));
    }

    /// Adds a term and its description.
    pub fn entry(&mut self, term: &str, text: &str) {
        self.0 += &format!(".TP\n{}{}", lines(&format!("`{term}`")), lines(text));
    }

    /// Returns the page.
    pub fn text(self) -> String {
        self.0
    }
}

/// Breaks a text into lines of at most 80 bytes, none of which is a request.
fn lines(text: &str) -> String {
    const WIDTH: usize = 80;
    let mut result = String::new();
    let mut length = 0;
    for word in code(text).split_whitespace() {
        let is_new = length == 0 || length + 1 + word.len() > WIDTH;
        if is_new && length > 0 {
            result.push('\n');
        } else if !is_new {
            result.push(' ');
        }
        if is_new && word.starts_with(['.', '\'']) {
            result += "\\&";
        }
        result += word;
        length = if is_new { word.len() } else { length + 1 + word.len() };
    }
    result.push('\n');
    result
}

/// Makes code in backticks bold.
fn code(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(index, piece)| match index % 2 {
            0 => escaped(piece),
            _ => format!("\\fB{}\\fP", escaped(piece)),
        })
        .collect()
}

/// Escapes special characters: dashes stay ASCII so that flags can be copied, other characters get their names
/// (groff_char(7)).
fn escaped(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '~' => "\\(ti".to_owned(),
        '^' => "\\(ha".to_owned(),
        letter if letter.is_ascii() => letter.to_string(),
        letter => format!("\\[u{:04X}]", u32::from(letter)),
    };
    text.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_a_request() {
        let mut page = Page::new("x-y", 1, "it");
        page.heading("Of it");
        page.paragraph(".TH \\ `--a` is\n  'b");
        page.paragraph(&format!("{} .b", "a".repeat(78)));
        page.entry("-c", "n × ~");
        let text = page.text();
        let (_, body) = text.split_once('\n').unwrap();
        let expected = format!(
            ".SH NAME\nx\\-y \\- it\n.SH OF IT\n\\&.TH \\e \\fB\\-\\-a\\fP is 'b\n.PP\n{}\n\\&.b\n\
             .TP\n\\fB\\-c\\fP\nn \\[u00D7] \\(ti\n",
            "a".repeat(78)
        );
        assert_eq!(body, expected);
    }
}
