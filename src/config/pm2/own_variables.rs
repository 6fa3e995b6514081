//! The variables that PM2 sets for its own use, and whether a script reads one of them.
//!
//! A configuration for people leaves out those that the script does not read. What a module of the script reads is not seen.

use std::path::Path;

use regex_lite::Regex;

use crate::bounded_read::{self, Accept};

/// A script that has more bytes is not searched.
const LONGEST: usize = 4 << 20;

/// The text of a script, to look for variables in it.
pub(super) fn text_of(script: &Path) -> Option<String> {
    let bytes = bounded_read::read(script, LONGEST, Accept::Regular).ok()?;
    String::from_utf8(bytes).ok()
}

/// Whether a script reads this variable: `process.env.name`, `const { name } = process.env`, `os.environ["name"]`; `$name` in
/// what is no JavaScript.
pub(super) fn is_read(script: &str, name: &str, is_node: bool) -> bool {
    let mut pattern = format!(
        r#"(?:env\.|env\[\s*["'`]|environ(?:\.get\(|\[)\s*["']|getenv\(\s*["']){name}\b|\{{[^{{}}]*\b{name}\b[^{{}}]*\}}\s*=\s*process\.env\b"#
    );
    if !is_node {
        pattern.push_str(&format!(r"|\$\{{?{name}\b"));
    }
    Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_where_a_script_names_it_as_one() {
        for (script, is_node, expected) in [
            ("if (process.env.name === 'web') work();", true, true),
            ("const { name, pm_id: id } = process.env;", true, true),
            ("const { A, name = 'x' } =\n  process.env;", true, true),
            ("env['name']", true, true),
            ("process.env.names; const { name } = person; `${name}`", true, false),
            ("os.environ.get(\"name\", '')", false, true),
            ("echo ${name}", false, true),
            ("echo $names", false, false),
        ] {
            assert_eq!(is_read(script, "name", is_node), expected, "{script}");
        }
    }
}
