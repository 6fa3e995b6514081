//! supervisord's dialect of INI: sections, keys, continued lines, comments.
//!
//! As Python's ConfigParser reads it for supervisord: a line that starts with a blank continues the value before it, `;`
//! after a blank starts a comment. What is neither section nor key is left out. Pure.

/// A section with its keys, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `program:web`.
    pub(super) name: String,
    /// Keys in lower case, and their values.
    pub(super) keys: Vec<(String, String)>,
}

impl Section {
    /// The value of a key; the last one counts.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.keys.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// The sections of a text.
pub(super) fn parse(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let name =
            trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name.trim());
        if let (Some(name), false) = (name, line.starts_with([' ', '\t'])) {
            sections.push(Section { name: name.to_owned(), keys: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        let content = without_comment(trimmed);
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = section.keys.last_mut() {
                value.push('\n');
                value.push_str(content);
            }
        } else if let Some((key, value)) = content.split_once(['=', ':']) {
            section.keys.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sections
}

fn without_comment(line: &str) -> &str {
    let starts =
        |(at, _): &(usize, &str)| line.get(..*at).is_some_and(|before| before.ends_with([' ', '\t']));
    let at = line.match_indices(';').find(starts).map_or(line.len(), |(at, _)| at);
    line.get(..at).unwrap_or(line).trim_end()
}
