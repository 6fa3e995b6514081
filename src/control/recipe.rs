//! How a process of a program is made, on its way to a client that becomes one: `foster exec`.
//!
//! The client has another environment, working directory and perhaps user than foster, so all of foster's that a
//! program inherits goes with the [`Launch`]. Secrets and env files go as paths: their values stay where they are,
//! and are read when the process is made, as at any start. Both directions stand here, so that they agree.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use nix::unistd::{Gid, Uid};

use super::protocol::{Part, PartName, Reply};
use crate::plan::{Account, EnvFile, Inherit, Launch, Limit, Presence, Unprivileged, User};
use crate::sys::process::Credentials;

/// All that a process of a program is made from, but the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// foster's working directory.
    pub base: PathBuf,
    /// As whom foster runs.
    pub credentials: Credentials,
    /// foster's environment.
    pub inherited: Vec<(OsString, OsString)>,
    /// The rest.
    pub launch: Launch,
}

/// A part that makes no sense, or is not there: what answers is another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Senseless(pub PartName);

/// The answer that says it, but for its end.
pub fn replies(recipe: &Recipe) -> Vec<Reply> {
    let Recipe { base, credentials, inherited, launch } = recipe;
    let mut said = Said(Vec::new());
    said.bytes(PartName::Base, base.as_os_str());
    let Credentials { user, group, groups } = credentials;
    let ids: Vec<String> = [user.as_raw(), group.as_raw()]
        .into_iter()
        .chain(groups.iter().map(|id| id.as_raw()))
        .map(text)
        .collect();
    said.bytes(PartName::Credentials, ids.join(" "));
    for (name, value) in inherited {
        said.pair(PartName::Inherited, name, value);
    }
    let Launch {
        command: _,
        directory,
        environment,
        env_files,
        secrets,
        inherit_environment,
        user,
        // The client keeps its own, perhaps a terminal.
        stdin: _,
        umask,
        capabilities,
        no_new_privileges,
        limits,
        nice,
        oom_score_adj,
    } = launch;
    if let Some(path) = directory {
        said.bytes(PartName::Directory, path);
    }
    for (name, value) in environment {
        said.pair(PartName::Variable, name, value);
    }
    for EnvFile { path, presence } in env_files {
        let part = match presence {
            Presence::Required => PartName::EnvFile,
            Presence::Optional => PartName::OptionalEnvFile,
        };
        said.bytes(part, path);
    }
    for (name, path) in secrets {
        said.pair(PartName::Secret, name, path);
    }
    match inherit_environment {
        Inherit::All => {}
        Inherit::Basics => said.bytes(PartName::InheritBasics, ""),
    }
    if let Some(User { user, group, unprivileged }) = user {
        said.account(user, PartName::UserName, PartName::UserId);
        match unprivileged {
            Unprivileged::Refused => {}
            Unprivileged::AsFoster => said.bytes(PartName::UserIfPermitted, ""),
        }
        if let Some(group) = group {
            said.account(group, PartName::GroupName, PartName::GroupId);
        }
    }
    said.number(PartName::Umask, *umask);
    said.number(PartName::Capabilities, *capabilities);
    if *no_new_privileges {
        said.bytes(PartName::NoNewPrivileges, "");
    }
    for Limit { resource, soft, hard } in limits {
        said.bytes(PartName::Limit, format!("{} {soft} {hard}", resource.as_name()));
    }
    said.number(PartName::Nice, *nice);
    said.number(PartName::OomScoreAdj, *oom_score_adj);
    said.0
}

/// Puts together what [`replies`] said.
///
/// # Errors
/// One that no foster of this version says.
pub fn assemble(parts: impl IntoIterator<Item = Part>) -> Result<Recipe, Senseless> {
    let nobody = Credentials { user: Uid::from_raw(0), group: Gid::from_raw(0), groups: Vec::new() };
    let (base, inherited, launch) = (PathBuf::new(), Vec::new(), Launch::default());
    let mut recipe = Recipe { base, credentials: nobody, inherited, launch };
    // These two are always said: without them it would be anybody, anywhere.
    let mut owed = vec![PartName::Base, PartName::Credentials];
    let mut begun = Vec::new();
    for piece in parts {
        let (part, more) = (piece.part, piece.more);
        begun.extend(piece.into_bytes());
        if !more {
            take(&mut recipe, part, std::mem::take(&mut begun)).ok_or(Senseless(part))?;
            owed.retain(|other| *other != part);
        }
    }
    match owed.first() {
        None => Ok(recipe),
        Some(part) => Err(Senseless(*part)),
    }
}

fn take(recipe: &mut Recipe, part: PartName, value: Vec<u8>) -> Option<()> {
    let launch = &mut recipe.launch;
    match part {
        PartName::Base => recipe.base = path(value),
        PartName::Credentials => {
            let text = String::from_utf8(value).ok()?;
            let mut ids = text.split(' ').map(u32::from_str);
            let user = Uid::from_raw(ids.next()?.ok()?);
            let group = Gid::from_raw(ids.next()?.ok()?);
            let groups: Result<Vec<Gid>, _> = ids.map(|id| id.map(Gid::from_raw)).collect();
            recipe.credentials = Credentials { user, group, groups: groups.ok()? };
        }
        PartName::Inherited => {
            let (name, value) = split(value)?;
            recipe.inherited.push((OsString::from_vec(name), OsString::from_vec(value)));
        }
        PartName::Directory => launch.directory = Some(path(value)),
        PartName::EnvFile => {
            launch.env_files.push(EnvFile { path: path(value), presence: Presence::Required });
        }
        PartName::OptionalEnvFile => {
            launch.env_files.push(EnvFile { path: path(value), presence: Presence::Optional });
        }
        PartName::Secret => {
            let (name, file) = split(value)?;
            launch.secrets.push((String::from_utf8(name).ok()?, path(file)));
        }
        PartName::Variable => {
            let (name, value) = split(value)?;
            launch.environment.push((String::from_utf8(name).ok()?, String::from_utf8(value).ok()?));
        }
        PartName::InheritBasics => launch.inherit_environment = Inherit::Basics,
        PartName::UserName => user(launch, Account::Name(String::from_utf8(value).ok()?)),
        PartName::UserId => user(launch, Account::Id(number(value)?)),
        PartName::GroupName => group(launch, Account::Name(String::from_utf8(value).ok()?))?,
        PartName::GroupId => group(launch, Account::Id(number(value)?))?,
        PartName::UserIfPermitted => launch.user.as_mut()?.unprivileged = Unprivileged::AsFoster,
        PartName::Umask => launch.umask = Some(number(value)?),
        PartName::Capabilities => launch.capabilities = Some(number(value)?),
        PartName::NoNewPrivileges => launch.no_new_privileges = true,
        PartName::Limit => {
            let text = String::from_utf8(value).ok()?;
            let mut words = text.split(' ');
            let resource = words.next()?.parse().ok()?;
            let (soft, hard) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            launch.limits.push(Limit { resource, soft, hard });
        }
        PartName::Nice => launch.nice = Some(number(value)?),
        PartName::OomScoreAdj => launch.oom_score_adj = Some(number(value)?),
    }
    Some(())
}

fn user(launch: &mut Launch, user: Account) {
    launch.user = Some(User { user, group: None, unprivileged: Unprivileged::Refused });
}

/// A group belongs to the user that was said before it.
fn group(launch: &mut Launch, group: Account) -> Option<()> {
    launch.user.as_mut()?.group = Some(group);
    Some(())
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn number<T: FromStr>(bytes: Vec<u8>) -> Option<T> {
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// At the first `=`, which no name has.
fn split(mut bytes: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
    let place = memchr::memchr(b'=', &bytes)?;
    let value = bytes.split_off(place + 1);
    bytes.truncate(place);
    Some((bytes, value))
}

fn text(number: impl Display) -> String {
    number.to_string()
}

/// The parts said so far.
struct Said(Vec<Reply>);

impl Said {
    fn bytes(&mut self, part: PartName, value: impl AsRef<OsStr>) {
        self.0.extend(Part::pieces(part, value.as_ref().as_bytes()));
    }

    fn pair(&mut self, part: PartName, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let pair = [name.as_ref().as_bytes(), b"=", value.as_ref().as_bytes()].concat();
        self.0.extend(Part::pieces(part, &pair));
    }

    fn number(&mut self, part: PartName, value: Option<impl Display>) {
        if let Some(value) = value {
            self.bytes(part, text(value));
        }
    }

    fn account(&mut self, account: &Account, by_name: PartName, by_id: PartName) {
        match account {
            Account::Name(name) => self.bytes(by_name, name),
            Account::Id(id) => self.number(by_id, Some(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::protocol::LONGEST_LINE;

    fn recipe() -> Recipe {
        let environment = vec![("A".into(), "x=y\n".into()), ("LONG".into(), "é".repeat(100_000))];
        let any_bytes = (OsString::from("RAW"), OsString::from_vec(vec![b'=', 0xff, 0x80]));
        Recipe {
            base: OsString::from_vec(b"/srv/\xff".to_vec()).into(),
            credentials: Credentials {
                user: Uid::from_raw(7),
                group: Gid::from_raw(8),
                groups: vec![Gid::from_raw(9), Gid::from_raw(0)],
            },
            inherited: vec![any_bytes, ("EMPTY".into(), "".into())],
            launch: Launch {
                directory: Some("sub dir".into()),
                environment,
                env_files: vec![
                    EnvFile { path: "a.env".into(), presence: Presence::Required },
                    EnvFile { path: "b.env".into(), presence: Presence::Optional },
                ],
                secrets: vec![("TOKEN".into(), "/run/secrets/a=b".into())],
                inherit_environment: Inherit::Basics,
                user: Some(User {
                    user: Account::Name("app".into()),
                    group: Some(Account::Id(12)),
                    unprivileged: Unprivileged::AsFoster,
                }),
                umask: Some(0o27),
                capabilities: Some(u64::MAX),
                no_new_privileges: true,
                limits: vec![Limit { resource: rlimit::Resource::NOFILE, soft: 1, hard: rlimit::INFINITY }],
                nice: Some(-3),
                oom_score_adj: Some(-1000),
                ..Launch::default()
            },
        }
    }

    /// Over the wire and back.
    fn carried(recipe: &Recipe) -> Recipe {
        let part = |reply: Reply| {
            let line = reply.encode();
            assert!(line.len() <= LONGEST_LINE);
            let Reply::Part(part) = Reply::parse(&line).unwrap() else { panic!("not a part") };
            part
        };
        assemble(replies(recipe).into_iter().map(part)).unwrap()
    }

    #[test]
    fn a_recipe_arrives_as_it_was_said() {
        assert_eq!(carried(&recipe()), recipe());
        let plain = Recipe { inherited: Vec::new(), launch: Launch::default(), ..recipe() };
        assert_eq!(carried(&plain), plain);
    }

    #[test]
    fn a_part_that_makes_no_sense_is_told() {
        let refused = |part, text: &str| {
            let piece = Part { part, value: text.into(), bytes: Vec::new(), more: false };
            assert_eq!(assemble([piece]), Err(Senseless(part)), "{text}");
        };
        refused(PartName::Umask, "rw");
        refused(PartName::Credentials, "0");
        refused(PartName::Variable, "no sign");
        refused(PartName::Limit, "RLIMIT_NOFILE 1");
        refused(PartName::Limit, "RLIMIT_NONSENSE 1 2");
        refused(PartName::GroupId, "1");
        assert_eq!(assemble([]), Err(Senseless(PartName::Base)));
    }
}
