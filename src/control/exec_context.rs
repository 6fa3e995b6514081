//! The definition of a program's processes, as sent to a client of `foster exec`, which becomes one.
//!
//! The client has another environment, working directory and perhaps user than foster, so everything that a
//! program inherits from foster is sent with the [`Launch`]. Secrets and env files are sent as paths; the client reads
//! them, as any start does. It is one JSON document, sent in pieces: an environment may be larger than a line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::protocol::from_fields;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};

use crate::plan::{Account, EnvFile, Inherit, Launch, Limit, Presence, Unprivileged, User};
use crate::sys::process::Credentials;

/// Everything that defines a process of a program, except the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecContext {
    /// foster's working directory: other paths are relative to it.
    pub base: PathBuf,
    /// foster's user and groups.
    pub credentials: Credentials,
    /// foster's environment.
    pub inherited: Vec<(OsString, OsString)>,
    /// The program's own definition.
    pub launch: Launch,
}

/// Its form in the protocol. A field that the client does not know is an error: the process would lack it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    base: Text,
    credentials: Ids,
    inherited: Vec<(Text, Text)>,
    directory: Option<Text>,
    environment: Vec<(String, String)>,
    env_files: Vec<(Text, bool)>,
    secrets: Vec<(String, Text)>,
    inherit_all: bool,
    user: Option<Identity>,
    umask: Option<u32>,
    capabilities: Option<u64>,
    no_new_privileges: bool,
    limits: Vec<(String, u64, u64)>,
    nice: Option<i8>,
    oom_score_adj: Option<i16>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    user: u32,
    group: u32,
    groups: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    user: NameOrId,
    group: Option<NameOrId>,
    or_foster: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NameOrId {
    Id(u32),
    Name(String),
}

/// Any bytes: environments and paths need not be UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl ExecContext {
    /// Its JSON document.
    pub fn render(&self) -> String {
        // All types of the document can be serialized.
        serde_json::to_string(&self.document()).unwrap_or_default()
    }

    /// Reads a document; `None`: it is not one of this version.
    pub fn parse(document: &str) -> Option<ExecContext> {
        // As fields first, like requests and replies: one kind of reader is in the binary.
        let fields = serde_json::from_slice(document.as_bytes()).ok()?;
        from_fields::<Document>(fields).ok()?.into_context()
    }

    fn document(&self) -> Document {
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
        } = &self.launch;
        let Credentials { user: uid, group: gid, groups } = &self.credentials;
        let groups = groups.iter().map(|group| group.as_raw()).collect();
        let pair = |(name, value): &(OsString, OsString)| (Text::new(name), Text::new(value));
        let env_file = |EnvFile { path, presence }: &EnvFile| (path.into(), *presence == Presence::Required);
        let limit = |limit: &Limit| (limit.resource.as_name().to_owned(), limit.soft, limit.hard);
        Document {
            base: (&self.base).into(),
            credentials: Ids { user: uid.as_raw(), group: gid.as_raw(), groups },
            inherited: self.inherited.iter().map(pair).collect(),
            directory: directory.as_ref().map(Text::from),
            environment: environment.clone(),
            env_files: env_files.iter().map(env_file).collect(),
            secrets: secrets.iter().map(|(name, path)| (name.clone(), path.into())).collect(),
            inherit_all: *inherit_environment == Inherit::All,
            user: user.as_ref().map(Identity::from),
            umask: *umask,
            capabilities: *capabilities,
            no_new_privileges: *no_new_privileges,
            limits: limits.iter().map(limit).collect(),
            nice: *nice,
            oom_score_adj: *oom_score_adj,
        }
    }
}

impl Document {
    fn into_context(self) -> Option<ExecContext> {
        let Ids { user, group, groups } = self.credentials;
        let limit =
            |(name, soft, hard): (String, u64, u64)| Some(Limit { resource: name.parse().ok()?, soft, hard });
        let presence = |required| if required { Presence::Required } else { Presence::Optional };
        Some(ExecContext {
            base: self.base.into(),
            credentials: Credentials {
                user: Uid::from_raw(user),
                group: Gid::from_raw(group),
                groups: groups.into_iter().map(Gid::from_raw).collect(),
            },
            inherited: self.inherited.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            launch: Launch {
                directory: self.directory.map(PathBuf::from),
                environment: self.environment,
                env_files: self
                    .env_files
                    .into_iter()
                    .map(|(path, required)| EnvFile { path: path.into(), presence: presence(required) })
                    .collect(),
                secrets: self.secrets.into_iter().map(|(name, path)| (name, path.into())).collect(),
                inherit_environment: if self.inherit_all { Inherit::All } else { Inherit::Basics },
                user: self.user.map(User::from),
                umask: self.umask,
                capabilities: self.capabilities,
                no_new_privileges: self.no_new_privileges,
                limits: self.limits.into_iter().map(limit).collect::<Option<_>>()?,
                nice: self.nice,
                oom_score_adj: self.oom_score_adj,
                ..Launch::default()
            },
        })
    }
}

impl From<&User> for Identity {
    fn from(user: &User) -> Identity {
        let User { user, group, unprivileged } = user;
        let or_foster = *unprivileged == Unprivileged::AsFoster;
        Identity { user: user.into(), group: group.as_ref().map(NameOrId::from), or_foster }
    }
}

impl From<Identity> for User {
    fn from(Identity { user, group, or_foster }: Identity) -> User {
        let unprivileged = if or_foster { Unprivileged::AsFoster } else { Unprivileged::Refused };
        User { user: user.into(), group: group.map(Account::from), unprivileged }
    }
}

impl From<&Account> for NameOrId {
    fn from(account: &Account) -> NameOrId {
        match account {
            Account::Name(name) => NameOrId::Name(name.clone()),
            Account::Id(id) => NameOrId::Id(*id),
        }
    }
}

impl From<NameOrId> for Account {
    fn from(account: NameOrId) -> Account {
        match account {
            NameOrId::Name(name) => Account::Name(name),
            NameOrId::Id(id) => Account::Id(id),
        }
    }
}

impl Text {
    fn new(text: &OsStr) -> Text {
        match text.to_str() {
            Some(text) => Text::Utf8(text.to_owned()),
            None => Text::Bytes(text.as_bytes().to_vec()),
        }
    }
}

impl<P: AsRef<Path>> From<&P> for Text {
    fn from(path: &P) -> Text {
        Text::new(path.as_ref().as_os_str())
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> OsString {
        match text {
            Text::Utf8(text) => text.into(),
            Text::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

impl From<Text> for PathBuf {
    fn from(text: Text) -> PathBuf {
        OsString::from(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::protocol::{Piece, Reply};

    fn context() -> ExecContext {
        let environment = vec![("A".into(), "x=y\n".into()), ("LONG".into(), "é".repeat(100_000))];
        let any_bytes = (OsString::from("RAW"), OsString::from_vec(vec![b'=', 0xff, 0x80]));
        ExecContext {
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

    /// Encoded and decoded.
    fn transferred(context: &ExecContext) -> ExecContext {
        let text = |reply: Reply| {
            let Reply::Context(Piece { text }) = Reply::parse(&reply.encode()).unwrap() else {
                panic!("not a piece")
            };
            text
        };
        let document: String = Piece::of(&context.render()).map(Reply::Context).map(text).collect();
        ExecContext::parse(&document).unwrap()
    }

    #[test]
    fn a_context_arrives_unchanged() {
        assert_eq!(transferred(&context()), context());
        let plain = ExecContext { inherited: Vec::new(), launch: Launch::default(), ..context() };
        assert_eq!(transferred(&plain), plain);
    }

    #[test]
    fn an_environment_of_any_bytes_and_any_size_arrives_unchanged() {
        let large = OsString::from_vec(vec![0xfe; 300_000]);
        let context = ExecContext { inherited: vec![("BIG".into(), large)], ..context() };
        assert_eq!(transferred(&context), context);
    }

    #[test]
    fn a_document_of_another_version_is_refused() {
        let document = context().render();
        assert_eq!(ExecContext::parse(""), None);
        assert_eq!(ExecContext::parse("{}"), None);
        assert_eq!(ExecContext::parse(&document.replacen("\"base\"", "\"bass\"", 1)), None);
        assert_eq!(ExecContext::parse(&document.replacen("{\"base\"", "{\"new\":1,\"base\"", 1)), None);
        assert_eq!(ExecContext::parse(&document.replace("RLIMIT_NOFILE", "RLIMIT_NONSENSE")), None);
        assert_eq!(ExecContext::parse(&document[..document.len() - 1]), None);
    }
}
