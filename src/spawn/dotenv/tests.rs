//! Valid, invalid and random env files.

use super::*;
use proptest::prelude::*;

fn values(text: &str) -> Vec<(String, String)> {
    let text_of = |bytes| String::from_utf8(bytes).unwrap();
    parse(text.as_bytes()).unwrap().into_iter().map(|(name, value)| (text_of(name), text_of(value))).collect()
}

fn value(text: &str) -> String {
    let mut all = values(text);
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0).1
}

#[test]
fn a_plain_value_ends_with_its_line() {
    assert_eq!(value("A=1"), "1");
    assert_eq!(value("A=one two \r\n"), "one two");
    assert_eq!(value("  A = b = c\n"), "b = c");
    assert_eq!(value("A="), "");
    assert_eq!(value("A=\r\n"), "");
    assert_eq!(value("A={\"a\": 'b'}"), "{\"a\": 'b'}");
    assert_eq!(value(r"A=C:\new"), r"C:\new");
    assert_eq!(value("A=$HOME ${B}"), "$HOME ${B}");
}

#[test]
fn a_comment_starts_only_after_a_blank() {
    assert_eq!(value("A=b # c"), "b");
    assert_eq!(value("A= # c"), "");
    assert_eq!(value("A=#b"), "#b");
    assert_eq!(value("A=http://x/#b\t#c"), "http://x/#b");
    assert_eq!(value("A=\"b\" # c"), "b");
    assert_eq!(value("A='b'#c"), "b");
}

#[test]
fn quoted_text_is_literal() {
    assert_eq!(value(r#"A=" b # c ""#), " b # c ");
    assert_eq!(value(r#"A="\n\r\t\"\\\$\x""#), "\n\r\t\"\\$\\x");
    assert_eq!(value(r#"A='\n"$B'"#), r#"\n"$B"#);
    assert_eq!(value("A=\"b\nc\""), "b\nc");
    assert_eq!(value("A=\"b\\\nc\""), "bc");
    assert_eq!(value("A='b\r\nc'\r\n"), "b\r\nc");
    assert_eq!(value("A=\"\""), "");
}

#[test]
fn blank_lines_comments_export_and_a_byte_order_mark_are_ignored() {
    let text = "\u{feff}# first\r\n\r\n \t\n export A=1\n#B=2\nexport\tC=3\nexport=4\nexporter=5";
    let names: Vec<String> = values(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["A", "C", "export", "exporter"]);
}

#[test]
fn a_value_need_not_be_utf_8() {
    assert_eq!(parse(b"A=\xff\xfe").unwrap(), [(b"A".to_vec(), b"\xff\xfe".to_vec())]);
}

#[test]
fn an_invalid_line_is_reported_by_its_number() {
    let no_name = "the text before `=` is not a name";
    for (text, line, why) in [
        ("A=1\n\nB", 3, "`=` is missing"),
        ("A='1\n2'\nB\nC=1", 3, "`=` is missing"),
        ("export A", 1, "`=` is missing"),
        ("=1", 1, no_name),
        ("1A=1", 1, no_name),
        ("A B=1", 1, no_name),
        ("\u{e9}=1", 1, no_name),
        ("export export A=1", 1, no_name),
        ("A=1\nB='2\n3\n", 2, UNCLOSED),
        ("A=\"2\\\"\n", 1, UNCLOSED),
        ("A=\"2\\", 1, UNCLOSED),
        ("A='1' 2", 1, "something follows the closing quote"),
        ("A='1\n2'3", 1, "something follows the closing quote"),
        ("A=1\0", 1, "the value contains a NUL byte"),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(BadLine { line, why }), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_variables_or_an_existing_line(text: Vec<u8>) {
        match parse(&text) {
            Ok(variables) => prop_assert!(variables.iter().all(|(name, _)| is_name(name))),
            Err(bad) => {
                let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
                prop_assert!((1..=lines).contains(&bad.line));
            }
        }
    }

    #[test]
    fn a_quoted_value_is_read_back(value in "[^\0]*") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("A=\"{escaped}\" # end\nB=1");
        let parsed = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&parsed[0].1, value.as_bytes());
        prop_assert_eq!(&parsed[1].1, b"1");
    }
}
