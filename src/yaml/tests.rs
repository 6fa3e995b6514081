//! YAML as PyYAML's `BaseLoader` reads it, what is refused, and hostile texts.

use proptest::prelude::*;

use super::*;

/// The value as JSON; every scalar is a string.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| (key.text.clone(), json(node)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// Each case was read by PyYAML 6.
#[test]
fn texts_are_read_as_pyyaml_reads_them() {
    for (text, expected) in [
        ("", r#""""#),
        ("# only a comment\n", r#""""#),
        ("a: 1\nb: two words\n", r#"{"a": "1", "b": "two words"}"#),
        ("a:\n  b:\n    c: 1\n  d: 2\ne: 3\n", r#"{"a": {"b": {"c": "1"}, "d": "2"}, "e": "3"}"#),
        (
            "- a\n- b: 1\n  c: 2\n- - x\n  - y\n-\n  z: 1\n",
            r#"["a", {"b": "1", "c": "2"}, ["x", "y"], {"z": "1"}]"#,
        ),
        ("a:\n- 1\n- 2\nb: 3\n", r#"{"a": ["1", "2"], "b": "3"}"#),
        ("a:\n  - x: 1\n    y: 2\n\n  - z\n", r#"{"a": [{"x": "1", "y": "2"}, "z"]}"#),
        (
            "a: \"x\\ty\\u00e9\\\"\\\\ \\x41\"\nb: 'it''s # no'\n\"c d\": 1\n'e': 2\n",
            r#"{"a": "x\tyé\"\\ A", "b": "it's # no", "c d": "1", "e": "2"}"#,
        ),
        (
            "a: [1, two, \"three, 3\", 'x', [y], {k: v}]\nb: {x: 1, 'y': 2, z}\nc: []\nd: {}\n",
            r#"{"a": ["1", "two", "three, 3", "x", ["y"], {"k": "v"}], "b": {"x": "1", "y": "2", "z": ""}, "c": [], "d": {}}"#,
        ),
        (
            "a: [\n  1, # one\n  2,\n]\nb: {\n  x: 1,\n  \"y\": [a b, c],\n}\n",
            r#"{"a": ["1", "2"], "b": {"x": "1", "y": ["a b", "c"]}}"#,
        ),
        ("{\"a\":1,\"b\":[true,null,\"\\/\"]}", r#"{"a": "1", "b": ["true", "null", "/"]}"#),
        (
            "a: |\n  one\n    two\n\n  three\nb: |-\n  x\nc: |+\n  y\n\nd: >\n  folded\n  lines\n\n  para\n    kept\n  more\ne: >-\n  x\n  y\n",
            r#"{"a": "one\n  two\n\nthree\n", "b": "x", "c": "y\n\n", "d": "folded lines\npara\n  kept\nmore\n", "e": "x y"}"#,
        ),
        ("a: |2\n    two\n  zero\n", r#"{"a": "  two\nzero\n"}"#),
        ("- |\n a\n b\n- >\n c\n d\n", r#"["a\nb\n", "c d\n"]"#),
        (
            "a: one\n  two\n\n  three\nb: 'q\n  r'\nc: \"s \\\n  t\n\n  u\"\n",
            r#"{"a": "one two\nthree", "b": "q r", "c": "s t\nu"}"#,
        ),
        (
            "a: x #c\nb: x#c\nc: http://h:80/p#f\nd: \"80:80\"\ne: 12:30\n",
            r#"{"a": "x", "b": "x#c", "c": "http://h:80/p#f", "d": "80:80", "e": "12:30"}"#,
        ),
        (
            "x: &a {k: 1, l: 2}\ny: *a\nz:\n  <<: *a\n  k: 3\nw:\n  <<: [*a, {m: 5}]\n",
            r#"{"x": {"k": "1", "l": "2"}, "y": {"k": "1", "l": "2"}, "z": {"k": "3", "l": "2"}, "w": {"m": "5", "k": "1", "l": "2"}}"#,
        ),
        ("base: &b\n  - 1\n  - 2\nuse: *b\n", r#"{"base": ["1", "2"], "use": ["1", "2"]}"#),
        ("a: !!str 1\nb: !reset null\nc: !tag\n  d: e\n", r#"{"a": "1", "b": "null", "c": {"d": "e"}}"#),
        ("--- \na: 1\n...\n", r#"{"a": "1"}"#),
        ("%YAML 1.2\n---\na: 1\n", r#"{"a": "1"}"#),
        ("a: ~\nb: null\nc:\nd: ''\n", r#"{"a": "~", "b": "null", "c": "", "d": ""}"#),
        ("\u{feff}a: 1\n", r#"{"a": "1"}"#),
        ("a: 1\r\nb:\r\n  - x\r\n  - y\r\n", r#"{"a": "1", "b": ["x", "y"]}"#),
        ("a:   \n   b: 1\n", r#"{"a": {"b": "1"}}"#),
        (
            "test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:8000\"]\n",
            r#"{"test": ["CMD", "curl", "-f", "http://localhost:8000"]}"#,
        ),
        ("command: >\n  sh -c \"a &&\n  b\"\n", r#"{"command": "sh -c \"a && b\"\n"}"#),
        ("a: {b: c, d: [e, f]}\ng: h\n", r#"{"a": {"b": "c", "d": ["e", "f"]}, "g": "h"}"#),
        ("- [a, b]\n- {c: d}\n", r#"[["a", "b"], {"c": "d"}]"#),
        ("k: -1\nl: -x\nm: --flag=1\n", r#"{"k": "-1", "l": "-x", "m": "--flag=1"}"#),
        ("a:\n    - b\n    -   c: 1\n        d: 2\n", r#"{"a": ["b", {"c": "1", "d": "2"}]}"#),
        ("env:\n  - A=1\n  - B=x: y\n", r#"{"env": ["A=1", {"B=x": "y"}]}"#),
        ("a:\n  b\n  c\n", r#"{"a": "b c"}"#),
        ("a: b c\n d e\nf: g\n", r#"{"a": "b c d e", "f": "g"}"#),
        ("x-a: &x\n  k: v\n\ny:\n  <<: *x\n", r#"{"x-a": {"k": "v"}, "y": {"k": "v"}}"#),
        ("a: |\n\n  x\n\nb: 1\n", r#"{"a": "\nx\n", "b": "1"}"#),
        ("a: |\n  x\n # c\nb: 1\n", r#"{"a": "x\n", "b": "1"}"#),
        ("- a\n # c\n- b\n", r#"["a", "b"]"#),
        ("'a': 1\n\"b\" : 2\nc : 3\n", r#"{"a": "1", "b": "2", "c": "3"}"#),
        ("key with spaces: v\n", r#"{"key with spaces": "v"}"#),
        ("a: [1,2,3]\nb: [ ]\n", r#"{"a": ["1", "2", "3"], "b": []}"#),
        ("a: {x: 1,y: 2}\n", r#"{"a": {"x": "1", "y": "2"}}"#),
        ("a: {x:1}\n", r#"{"a": {"x:1": ""}}"#),
        ("- &x a\n- *x\n", r#"["a", "a"]"#),
        ("a: >\n\n  x\n  y\n\n\n  z\n", r#"{"a": "\nx y\n\nz\n"}"#),
    ] {
        let node = parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
        let expected: serde_json::Value = serde_json::from_str(expected).expect("JSON");
        assert_eq!(json(&node), expected, "{text:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_at_its_place() {
    for (text, place, message) in [
        ("? a\n: b\n", "?", "complex key"),
        ("a: b: c\n", ":", "does not belong"),
        ("a: 1\n  b: 2\n", "b:", "a key within a value"),
        ("a:\n  b: 1\n   c: 2\n", "c:", "a key within a value"),
        ("a:\n  b: 1\n c: 2\n", "c:", "indented deeper"),
        ("\ta: 1\n", "a:", "a tab"),
        ("a: [1, 2\n", "", "ends within"),
        ("a: ['1' \"2\"]\n", "\"2\"]", "comma"),
        ("a: \"x\n", "\"", "never closed"),
        ("a: @x\n", "@x", "cannot start"),
        ("a: 1\n---\nb: 2\n", "b: 2", "second document"),
        ("a: 1\na: 2\n", "a", "there already"),
        ("a: *b\n", "*b", "without its anchor"),
        ("a: &a [*a]\n", "*a", "that contains it"),
        ("a: \"\\q\"\n", "\\q", "unknown escape"),
        ("a: |x\n b\n", "|x", "block of lines"),
        ("a: 1\n<<: 2\n", "2", "merges maps"),
        ("a: 1\nb\n", "b", "a key"),
        ("- a\nb: 1\n", "b:", "does not belong"),
        ("a: [x: y]\n", ":", "comma"),
    ] {
        let fault = parse(text).expect_err(text);
        assert!(fault.message.contains(message), "{text:?}: {fault:?}");
        assert!(text[fault.place.clone()].starts_with(place), "{text:?}: {fault:?}");
    }
}

#[test]
fn every_key_and_value_has_its_place() {
    let text = "a: one # note\nb:\n  - 'x'\n  - {c: d}\n";
    let node = parse(text).expect("YAML");
    let mut places = Vec::new();
    fn walk<'t>(node: &Node, text: &'t str, places: &mut Vec<&'t str>) {
        places.push(&text[node.place.clone()]);
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| walk(item, text, places)),
            Value::Map(entries) => entries.iter().for_each(|(key, node)| {
                places.push(&text[key.place.clone()]);
                walk(node, text, places);
            }),
            Value::Plain(_) | Value::Quoted(_) => {}
        }
    }
    walk(&node, text, &mut places);
    assert_eq!(places, [text.trim_end(), "a", "one", "b", "- 'x'\n  - {c: d}", "'x'", "{c: d}", "c", "d"]);
}

#[test]
fn hostile_texts_end_in_bounded_time_and_memory() {
    let lines: Vec<String> = (1..30)
        .map(|level| format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(9)))
        .collect();
    let bomb = format!("a0: &a0 lol\n{}", lines.concat());
    let anchors: String = (0..5000).map(|number| format!("- &a{number} x\n")).collect();
    for (text, message) in [
        (bomb, "8 MiB"),
        ("[".repeat(1_000_000), "too deeply"),
        ("- ".repeat(1_000_000), "too deeply"),
        ("{a: ".repeat(1_000_000), "too deeply"),
        (format!("[{}]", "a,".repeat(2_000_000)), "too many values"),
        ("- a\n".repeat(1_000_000), "too many values"),
        (anchors, "too many anchors"),
        ("a: ".repeat(1_000_000), "does not belong"),
        ("\"".repeat(4_000_001), "does not belong"),
    ] {
        let fault = parse(&text).expect_err("a fault");
        assert!(fault.message.contains(message), "{fault:?}");
    }
    // One line or scalar of the largest size is no reason to refuse a text.
    for text in [
        "x".repeat(4 << 20),
        format!("a: '{} '", "\n".repeat(4 << 20)),
        format!("a: |\n{}", " \n".repeat(2 << 20)),
    ] {
        parse(&text).expect("YAML");
    }
}

proptest! {
    #[test]
    fn every_place_is_in_the_text_and_no_text_causes_a_panic(text in "[-a:#&*!|>'\"\\[\\]{},?\\\\%<é \\t\\r\\n]{0,60}") {
        match parse(&text) {
            Ok(node) => prop_assert!(text.get(node.place).is_some()),
            Err(fault) => prop_assert!(text.get(fault.place).is_some()),
        }
    }

    #[test]
    fn json_is_yaml(strings in prop::collection::vec(any::<String>(), 0..6), number in any::<i32>()) {
        let value = serde_json::json!({ "list": strings, "n": number.to_string(), "map": { "empty": {} } });
        // PyYAML and JSON differ in nothing that JSON's own printer writes.
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let node = parse(&text).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
            prop_assert_eq!(json(&node), value.clone());
        }
    }
}
