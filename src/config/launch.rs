//! Reads how a process is started: command, user, environment, limits (spec, section 3.1).
//!
//! Users, groups and files need not exist here: they are looked up at each start.

use std::path::PathBuf;

use caps::Capability;
use rlimit::Resource;

use crate::plan::{Account, EnvFile, Inherit, Launch, Limit, Presence, Stdin, Unprivileged, User};

use super::command::main_command;
use super::phrase::described;
use super::reader::Reader;
use super::table::{Item, Kind, Table, Value};
use crate::suggest::suggest;

/// Reads the keys that apply between fork and exec.
pub(super) fn launch(reader: &mut Reader<'_>, table: &Table) -> Launch {
    let inherit = reader.field(table, "inherit_environment", Reader::boolean).unwrap_or(true);
    Launch {
        command: reader.field(table, "command", main_command).unwrap_or_default(),
        directory: reader.field(table, "directory", Reader::path),
        environment: reader.field(table, "environment", environment).unwrap_or_default(),
        env_files: reader.field(table, "env_file", env_files).unwrap_or_default(),
        secrets: reader.field(table, "secrets", secrets).unwrap_or_default(),
        inherit_environment: if inherit { Inherit::All } else { Inherit::Basics },
        user: reader.field(table, "user", user),
        stdin: reader.field(table, "stdin", |reader, item| reader.choice(item, &STDIN)).unwrap_or_default(),
        umask: reader.field(table, "umask", umask),
        capabilities: reader.field(table, "capabilities", capabilities),
        no_new_privileges: reader.field(table, "no_new_privileges", Reader::boolean).unwrap_or_default(),
        limits: reader.field(table, "limits", limits).unwrap_or_default(),
        nice: reader.field(table, "nice", |reader, item| reader.integer(item, -20..=19)),
        oom_score_adj: reader
            .field(table, "oom_score_adj", |reader, item| reader.integer(item, -1000..=1000)),
    }
}

const STDIN: [(&str, Stdin); 4] =
    [("null", Stdin::Null), ("open", Stdin::Open), ("inherit", Stdin::Inherit), ("socket", Stdin::Socket)];

fn environment(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<(String, String)>> {
    const EXPECTED: &str = "a string: `NAME = \"value\"`";
    let table = reader.table(item, "a table such as `{ NAME = \"value\" }`")?;
    let mut variables = Vec::new();
    for item in table.items() {
        let value = match &item.value.kind {
            Kind::Integer(number) => Some(number.to_string()),
            Kind::Boolean(boolean) => Some(boolean.to_string()),
            Kind::String(_) | Kind::Float(_) | Kind::Datetime | Kind::Array(_) | Kind::Table(_) => {
                reader.text_or(item, EXPECTED)
            }
        };
        if variable_name(reader, item) {
            variables.extend(value.map(|value| (item.name().to_owned(), value)));
        }
    }
    Some(variables)
}

fn secrets(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<(String, PathBuf)>> {
    let table = reader.table(item, "a table such as `{ NAME = \"/run/secrets/name\" }`")?;
    let mut secrets = Vec::new();
    for item in table.items() {
        let path = reader.path(item);
        if variable_name(reader, item) {
            secrets.extend(path.map(|path| (item.name().to_owned(), path)));
        }
    }
    Some(secrets)
}

/// The only rule of environ(7): a name ends at the first `=`.
fn variable_name(reader: &mut Reader<'_>, item: Item<'_>) -> bool {
    let valid = !item.name().is_empty() && !item.name().contains(['=', '\0']);
    if !valid {
        let message = format!("`{}` is not a valid name of a variable", item.name());
        reader.diagnostics.error(item.key.span, message, "expected a name without `=`");
    }
    valid
}

fn env_files(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<EnvFile>> {
    let mut files = Vec::new();
    for item in reader.one_or_more(item) {
        let Some(text) = reader.text_or(item, "a path or a list of paths") else { continue };
        let (path, presence) = match text.strip_prefix('-') {
            Some(path) => (path, Presence::Optional),
            None => (text.as_str(), Presence::Required),
        };
        if path.is_empty() {
            reader.refuse(item, "empty", "a path");
            continue;
        }
        files.push(EnvFile { path: PathBuf::from(path), presence });
    }
    Some(files)
}

pub(super) fn user(reader: &mut Reader<'_>, item: Item<'_>) -> Option<User> {
    const EXPECTED: &str = "`name`, `uid`, `name:group` or `uid:gid`";
    let text = if let Kind::Integer(number) = item.value.kind {
        number.to_string()
    } else {
        reader.text_or(item, EXPECTED)?
    };
    let (name, unprivileged) = match text.strip_prefix('-') {
        // A negative number is not a user.
        Some(name) if !matches!(item.value.kind, Kind::Integer(_)) => (name, Unprivileged::AsFoster),
        Some(_) | None => (text.as_str(), Unprivileged::Refused),
    };
    let parsed = match name.split_once(':') {
        None => account(name).map(|user| User { user, group: None, unprivileged }),
        Some((user, group)) => account(user)
            .and_then(|user| account(group).map(|group| User { user, group: Some(group), unprivileged })),
    };
    if parsed.is_none() {
        reader.refuse_text(item, &text, EXPECTED);
    }
    parsed
}

/// A name or a number. The largest number is not a user: it means "unchanged" to the kernel (setresuid(2)).
pub(super) fn account(text: &str) -> Option<Account> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|id| *id != u32::MAX).map(Account::Id);
    }
    let is_name = !text.is_empty()
        && !text.starts_with(['-', '+'])
        && !text.contains(|char: char| char == ':' || char.is_whitespace() || char.is_control());
    is_name.then(|| Account::Name(text.to_owned()))
}

fn umask(reader: &mut Reader<'_>, item: Item<'_>) -> Option<u32> {
    const EXPECTED: &str = "an octal string from `\"000\"` to `\"777\"`, such as `\"022\"`";
    let text = reader.text_or(item, EXPECTED)?;
    let umask = octal(&text);
    if umask.is_none() {
        reader.refuse_text(item, &text, EXPECTED);
    }
    umask
}

/// Nine bits of a file's mode, written as an octal number.
pub(super) fn octal(text: &str) -> Option<u32> {
    let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777)
}

fn capabilities(reader: &mut Reader<'_>, item: Item<'_>) -> Option<u64> {
    const EXPECTED: &str = "a list such as `[\"net_bind_service\"]`";
    let mut mask = 0;
    for item in reader.list(item, EXPECTED)? {
        let Some(text) = reader.text_or(item, "the name of a capability") else { continue };
        match caps::to_canonical(&text).parse::<Capability>() {
            Ok(capability) => mask |= capability.bitmask(),
            Err(_) => {
                let names = capability_names();
                let written = text.to_lowercase();
                let bare = written.strip_prefix("cap_").unwrap_or(&written);
                let note = suggest(bare, names.iter().map(String::as_str));
                reader.diagnostics.error(item.value.span, format!("unknown capability `{text}`"), note);
            }
        }
    }
    Some(mask)
}

/// The names of all capabilities in lower case, without `cap_`, sorted.
pub(super) fn capability_names() -> Vec<String> {
    let mut names: Vec<String> = caps::all().iter().map(|known| short(*known)).collect();
    foster_core::sorted::sort(&mut names);
    names
}

fn short(capability: Capability) -> String {
    let name = capability.to_string().to_lowercase();
    name.strip_prefix("cap_").unwrap_or(&name).to_owned()
}

/// The limits of Linux (getrlimit(2)).
const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::AS),
    ("core", Resource::CORE),
    ("cpu", Resource::CPU),
    ("data", Resource::DATA),
    ("fsize", Resource::FSIZE),
    ("locks", Resource::LOCKS),
    ("memlock", Resource::MEMLOCK),
    ("msgqueue", Resource::MSGQUEUE),
    ("nice", Resource::NICE),
    ("nofile", Resource::NOFILE),
    ("nproc", Resource::NPROC),
    ("rss", Resource::RSS),
    ("rtprio", Resource::RTPRIO),
    ("rttime", Resource::RTTIME),
    ("sigpending", Resource::SIGPENDING),
    ("stack", Resource::STACK),
];

/// The names of all limits.
pub(super) fn limit_names() -> impl Iterator<Item = &'static str> {
    RESOURCES.iter().map(|(name, _)| *name)
}

fn limits(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<Limit>> {
    let table = reader.table(item, "a table such as `{ nofile = 65536 }`")?;
    let mut limits = Vec::new();
    for item in table.items() {
        let Some((_, resource)) = RESOURCES.into_iter().find(|(name, _)| *name == item.name()) else {
            let note = suggest(item.name(), limit_names());
            reader.diagnostics.error(item.key.span, format!("unknown limit `{}`", item.name()), note);
            continue;
        };
        limits.extend(limit(reader, item).map(|(soft, hard)| Limit { resource, soft, hard }));
    }
    Some(limits)
}

fn limit(reader: &mut Reader<'_>, item: Item<'_>) -> Option<(u64, u64)> {
    let Kind::Array(values) = &item.value.kind else {
        return bound(reader, item).map(|bound| (bound, bound));
    };
    let [soft, hard]: &[Value; 2] = match values.as_slice().try_into() {
        Ok(pair) => pair,
        Err(_) => {
            reader.refuse(
                item,
                &format!("a list of {}", values.len()),
                "the soft and the hard limit, as in `[100, 200]`",
            );
            return None;
        }
    };
    let (soft, hard) = (bound(reader, item.with(soft)), bound(reader, item.with(hard)));
    let (soft, hard) = (soft?, hard?);
    if soft > hard {
        let message = format!("the soft limit of `{}` is above the hard limit", item.name());
        reader.diagnostics.error(item.value.span, message, "expected the soft limit first");
        return None;
    }
    Some((soft, hard))
}

fn bound(reader: &mut Reader<'_>, item: Item<'_>) -> Option<u64> {
    const EXPECTED: &str = "a number, a size such as `\"64M\"`, `\"unlimited\"`, or `[soft, hard]`";
    match &item.value.kind {
        Kind::Integer(_) => reader.size(item, EXPECTED),
        Kind::String(_) => match reader.text(item)?.as_str() {
            "unlimited" => Some(rlimit::INFINITY),
            _ => reader.size(item, EXPECTED),
        },
        Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime | Kind::Array(_) | Kind::Table(_) => {
            reader.refuse(item, &described(item.value), EXPECTED);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_name_or_a_number() {
        assert_eq!(account("app"), Some(Account::Name("app".to_owned())));
        assert_eq!(account("1000"), Some(Account::Id(1000)));
        assert_eq!(account("1st"), Some(Account::Name("1st".to_owned())));
        for text in ["", "4294967295", "99999999999", "-1", "a b", "a:b", "\n"] {
            assert_eq!(account(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_limit_in_the_table_exists_on_this_system() {
        assert!(RESOURCES.iter().all(|(name, resource)| {
            resource.is_supported() && resource.as_name().eq_ignore_ascii_case(&format!("RLIMIT_{name}"))
        }));
    }
}
