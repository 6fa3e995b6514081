//! The port of an app in cluster mode, at which foster listens for all its processes.
//!
//! PM2 learns it when the app listens. foster opens the socket before, so that it stays open when all processes end; it takes
//! the port in the variables of the app, or the one in its script. An unchanged `listen` takes the socket through a file that is
//! loaded before the app, `deploy/node/foster-listen.cjs`, which foster carries without its comments.

use std::path::Path;

use regex_lite::Regex;

use crate::bounded_read::{self, Accept};

/// The file without comments and indentation; a test compares it with the original.
const LISTEN: &str = include_str!("foster-listen.js");

/// Where the file is in an image that has it.
const INSTALLED: &str = "/usr/local/lib/foster-listen.cjs";

/// A script that has more bytes is not searched.
const LONGEST: usize = 4 << 20;

/// What is in front of the file: it runs the file under that name, which a stack trace shows.
const BEFORE: &str = "--import=data:text/javascript,import{createRequire}from'node:module';import{runInThisContext}from'node:vm';\
                      runInThisContext('(require=>{'+decodeURIComponent('";
const AFTER: &str = "')+'})',{filename:'foster-listen.cjs'})(createRequire('file:///'))";

/// The option of Node that loads the file: as a part of the command line, since an image of one binary has no file.
pub(super) fn option() -> String {
    let mut option = BEFORE.to_owned();
    for byte in LISTEN.bytes() {
        // A URL within a URL: the module's own is decoded first.
        match char::from(byte) {
            char if char.is_ascii_alphanumeric() || ".,;:=(){}[]<>*!|_-".contains(char) => option.push(char),
            _ => option.push_str(&format!("%25{byte:02X}")),
        }
    }
    option.push_str(AFTER);
    option
}

/// The same for a configuration that a person reads.
pub(super) fn installed() -> String {
    format!("--require {INSTALLED}")
}

/// The port in a script: a number in `listen(3000)`, `PORT || 3000` or `PORT ?? 3000`, or `given` where it reads `PORT`.
pub(super) fn port_in(script: &Path, given: Option<&str>) -> Option<u16> {
    let bytes = bounded_read::read(script, LONGEST, Accept::Regular).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let given = given.filter(|_| text.contains("env.PORT")).and_then(|port| port.parse().ok());
    given.or_else(|| written_port(&text))
}

fn written_port(text: &str) -> Option<u16> {
    let number = Regex::new(r"(?:\.listen\(\s*|\benv\.PORT\s*(?:\|\||\?\?)\s*)(\d{2,5})").ok()?;
    number.captures(text)?.get(1)?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_foster_carries_is_the_original_without_comments() {
        let original = include_str!("../../../deploy/node/foster-listen.cjs");
        let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//") && !line.starts_with("/**");
        let lines: Vec<&str> = original.lines().map(str::trim).filter(is_code).collect();
        expect_test::expect_file!["foster-listen.js"].assert_eq(&format!("{}\n", lines.join("\n")));
    }

    #[test]
    fn a_port_is_found_where_a_script_names_one() {
        for (text, port) in [
            ("app.listen(3000, () => {})", Some(3000)),
            ("const port = process.env.PORT || 8080;", Some(8080)),
            ("app.listen(process.env.PORT ?? 3001)", Some(3001)),
            ("app.listen(port)", None),
            ("app.listen(99999)", None),
        ] {
            assert_eq!(written_port(text), port, "{text}");
        }
    }

    #[test]
    fn the_option_is_one_word_for_node_and_a_literal_text_for_foster() {
        let option = option();
        assert!(!option.contains([' ', '"', '\\', '$', '\n', '#']) && option.is_ascii(), "{option}");
    }
}
