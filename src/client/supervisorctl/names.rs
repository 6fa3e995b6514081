//! The names of processes, as supervisorctl takes and prints them. Pure.

/// Group and process of a name; no process: the whole group.
pub(super) fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((group, "" | "*")) => (group, None),
        Some((group, process)) => (group, Some(process)),
        None => (name, Some(name)),
    }
}

/// `group:process`, or `process` where both are the same.
pub(super) fn join(group: &str, process: &str) -> String {
    if group == process { process.to_owned() } else { format!("{group}:{process}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_process_a_process_of_a_group_or_a_group() {
        for (name, parts) in [
            ("web", ("web", Some("web"))),
            ("g:web", ("g", Some("web"))),
            ("g:a:b", ("g", Some("a:b"))),
            ("g:*", ("g", None)),
            ("g:", ("g", None)),
        ] {
            assert_eq!(split(name), parts, "{name}");
        }
        assert_eq!((join("a", "a"), join("a", "b")), ("a".to_owned(), "a:b".to_owned()));
    }
}
