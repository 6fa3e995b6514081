//! `${NAME:-x}` of a compose file in foster's syntax, and the `.env` file beside it.
//!
//! Compose expands when it starts containers; foster expands the same reference when it starts. A value of `.env` is the
//! reference's default, so that the result does not need the file.

use std::path::Path;

use super::super::files::Files;
use super::super::shell::with_dollars;

/// Why a text cannot be expanded: its part and the remedy.
pub(super) struct Fault {
    pub(super) part: String,
    pub(super) note: &'static str,
}

/// The variables of `.env`; lines that are none are left out, as they may hold secrets.
pub(super) fn variables(files: &mut Files<'_>, path: &Path) -> Vec<(String, String)> {
    let Some(number) = files.read_if_present(path) else { return Vec::new() };
    let text = files.text(number);
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
            continue;
        };
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = unquoted.unwrap_or_else(|| value.split(" #").next().unwrap_or("").trim());
        variables.push((name.trim().to_owned(), value.to_owned()));
    }
    variables
}

/// A text in foster's syntax.
pub(super) fn interpolated(written: &str, variables: &[(String, String)]) -> Result<String, Fault> {
    let mut text = String::new();
    let mut plain = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (name, operator, default, after) = reference(after)?;
        text.push_str(&with_dollars(&std::mem::take(&mut plain)));
        text.push_str(&translated(name, operator, default, variables)?);
        rest = after;
    }
    plain.push_str(rest);
    Ok(text + &with_dollars(&plain))
}

/// The name, the operator, the text after it, and the rest.
fn reference(text: &str) -> Result<(&str, &str, &str, &str), Fault> {
    let fault =
        |part: &str, note| Fault { part: format!("${}", part.chars().take(20).collect::<String>()), note };
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let Some(inside) = text.strip_prefix('{') else {
        let end = text.find(|char| !is_name(char)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(fault(text, "write `$$` for a dollar sign"));
        }
        return Ok((name, "", "", rest));
    };
    let mut depth = 1;
    let end = inside.char_indices().find(|(_, char)| {
        depth += i32::from(*char == '{') - i32::from(*char == '}');
        depth == 0
    });
    let Some((end, _)) = end else { return Err(fault(text, "expected a `}` after it")) };
    let (body, rest) = (inside.get(..end).unwrap_or(""), inside.get(end + 1..).unwrap_or(""));
    let at = body.find(|char| !is_name(char)).unwrap_or(body.len());
    let (name, after) = body.split_at(at);
    let operator = ["", ":-", "-", ":?", "?", ":+", "+"]
        .into_iter()
        .rev()
        .find(|sign| after.starts_with(sign))
        .unwrap_or("");
    if name.is_empty() || (operator.is_empty() && !after.is_empty()) {
        return Err(fault(text, "expected `${NAME}` or `${NAME:-default}`"));
    }
    Ok((name, operator, after.strip_prefix(operator).unwrap_or(""), rest))
}

fn translated(
    name: &str,
    operator: &str,
    default: &str,
    variables: &[(String, String)],
) -> Result<String, Fault> {
    let known = variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let fault = |note| Fault { part: format!("${{{name}{operator}"), note };
    let default = match (operator, known.filter(|value| !value.is_empty())) {
        (":+" | "+", _) => return Err(fault("foster has no `:+`: write the value, or run a shell")),
        (_, Some(value)) => value.to_owned(),
        (":?" | "?", None) => return Ok(format!("${{{name}}}")),
        (_, None) => nested(default, variables)?,
    };
    if default.contains('}') {
        return Err(fault("foster's defaults cannot contain `}`"));
    }
    Ok(format!("${{{name}:-{default}}}"))
}

/// A default that itself has references: only the values of `.env` and their defaults are known.
fn nested(default: &str, variables: &[(String, String)]) -> Result<String, Fault> {
    let mut text = String::new();
    let mut rest = default;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let (name, _, default, after) = reference(after)?;
        let known = variables.iter().rev().find(|(known, _)| known == name);
        text.push_str(known.map_or(default, |(_, value)| value));
        rest = after;
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_fosters_own_and_dollars_stay_dollars() {
        let variables = [("TAG".to_owned(), "1.2".to_owned())];
        for (written, expected) in [
            ("plain", "plain"),
            ("${A}:$B.", "${A:-}:${B:-}."),
            ("${A:-x y}${A-z}", "${A:-x y}${A:-z}"),
            ("${A:?must be set}", "${A}"),
            ("img:${TAG}-${TAG:-2}", "img:${TAG:-1.2}-${TAG:-1.2}"),
            ("${A:-${TAG}-${B:-c}}", "${A:-1.2-c}"),
            ("sh -c 'echo $$HOME $${X} 5$$'", "sh -c 'echo $HOME $${X} 5$'"),
            ("a$$", "a$$"),
            ("$$${A}", "$$${A:-}"),
        ] {
            let text = interpolated(written, &variables).unwrap_or_else(|fault| panic!("{}", fault.part));
            assert_eq!(text, expected, "{written}");
        }
        for written in ["5$", "$1", "${A", "${A:+b}", "${}", "${A B}", "${A:-${}}"] {
            assert!(interpolated(written, &variables).is_err(), "{written}");
        }
    }
}
