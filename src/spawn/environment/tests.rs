//! The order of the sources, and errors without values.

use super::*;
use crate::plan::EnvFile;
use std::fs;

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Inherited variables with a static lifetime, for tests.
fn variables(inherited: impl Iterator<Item = (OsString, OsString)>) -> &'static Variables {
    Box::leak(Box::new(Variables::new(inherited)))
}

fn build(launch: &Launch, inherited: &[(&str, &str)]) -> Result<Environment<'static>, Problem> {
    let inherited = inherited.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Environment::build(launch, variables(inherited), None, &[])
}

fn lines(environment: Environment<'_>) -> Vec<String> {
    environment.into_strings().into_iter().map(|line| line.into_owned().into_string().unwrap()).collect()
}

fn env_file(path: PathBuf) -> EnvFile {
    EnvFile { path, presence: Presence::Required }
}

fn failed(launch: &Launch) -> (&'static str, String) {
    let problem = build(launch, &[]).unwrap_err();
    (problem.stage(), problem.to_string())
}

#[test]
fn later_sources_override_earlier_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("one"), "B=file\nC=file\nD=file\nE=file\nF=file\nHOME=/file").unwrap();
    fs::write(path("two"), "C=second\nD=second\nE=second\nF=second").unwrap();
    fs::write(path("secret"), "secret").unwrap();
    let launch = Launch {
        env_files: vec![env_file(path("one")), env_file(path("two"))],
        secrets: vec![
            ("D".to_owned(), path("secret")),
            ("E".to_owned(), path("secret")),
            ("F".to_owned(), path("secret")),
        ],
        environment: vec![pair("E", "own"), pair("F", "own")],
        ..Launch::default()
    };
    let identity = Identity {
        written: "app".to_owned(),
        user: 1,
        group: 1,
        groups: [1].into(),
        name: "app".into(),
        home: "/home/app".into(),
        shell: "/bin/sh".into(),
    };
    let inherited =
        ["A", "B", "C", "D", "E", "F", "HOME", "USER"].map(|name| (name.into(), "inherited".into()));
    let extra = [pair("F", "foster")];
    let all = Environment::build(&launch, variables(inherited.into_iter()), Some(&identity), &extra).unwrap();
    let expected = [
        "A=inherited",
        "B=file",
        "C=second",
        "D=secret",
        "E=own",
        "F=foster",
        "HOME=/file",
        "LOGNAME=app",
        "SHELL=/bin/sh",
        "USER=app",
    ];
    assert_eq!(lines(all), expected);
}

#[test]
fn variables_for_foster_are_not_inherited() {
    let own = FOSTER_VARIABLES.map(|name| (name, "x"));
    assert_eq!(lines(build(&Launch::default(), &own).unwrap()), [""; 0]);
    let others = [("LISTEN_PORT", "80"), ("NOTIFY_SOCKET_2", "x")];
    assert_eq!(lines(build(&Launch::default(), &others).unwrap()).len(), 2);
}

#[test]
fn only_the_basic_variables_are_inherited_if_requested() {
    let launch = Launch { inherit_environment: Inherit::Basics, ..Launch::default() };
    let inherited = [("PATH", "/bin"), ("LD_PRELOAD", "x"), ("TZ", "UTC"), ("PATHS", "y")];
    assert_eq!(lines(build(&launch, &inherited).unwrap()), ["PATH=/bin", "TZ=UTC"]);
}

#[test]
fn an_inherited_value_that_is_not_utf_8_is_unchanged_and_the_first_of_two_counts() {
    let odd = OsString::from_vec(vec![0xff, b'=', 0xfe]);
    let inherited = [("A".into(), odd), ("A".into(), "second".into())].into_iter();
    let all = Environment::build(&Launch::default(), variables(inherited), None, &[]).unwrap();
    assert_eq!(all.into_strings(), [c"A=\xff=\xfe".to_owned()]);
}

#[test]
fn one_newline_at_the_end_of_a_secret_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    for (content, expected) in [
        ("x", "S=x"),
        ("x\n", "S=x"),
        ("x\r\n", "S=x"),
        ("x\n\n", "S=x\n"),
        ("x\r", "S=x\r"),
        ("", "S="),
        ("\n", "S="),
    ] {
        let path = directory.path().join("secret");
        fs::write(&path, content).unwrap();
        let launch = Launch { secrets: vec![("S".to_owned(), path)], ..Launch::default() };
        assert_eq!(lines(build(&launch, &[]).unwrap()), [expected], "{content:?}");
    }
}

#[test]
fn an_unreadable_secret_is_named_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let launch = Launch { secrets: vec![("S".to_owned(), path.clone())], ..Launch::default() };
    let message = |why: &str| ("secrets", format!("reading secret `S` from `{}`: {why}", path.display()));
    assert_eq!(failed(&launch), message("No such file or directory: mount it there"));
    fs::write(&path, b"hunter2\0").unwrap();
    assert_eq!(failed(&launch), message("it contains a NUL byte"));
    fs::write(&path, vec![b'x'; LARGEST + 1]).unwrap();
    assert_eq!(failed(&launch), message("it is larger than 1 MiB"));
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(failed(&launch), message("it is a FIFO, not a regular file"));
}

#[test]
fn an_invalid_line_of_an_env_file_is_numbered_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    fs::write(&path, "A=1\nhunter2\n").unwrap();
    let launch = Launch { env_files: vec![env_file(path.clone())], ..Launch::default() };
    assert_eq!(
        failed(&launch),
        ("env_file", format!("reading env file `{}`: line 2: `=` is missing", path.display()))
    );
}

#[test]
fn only_an_optional_env_file_may_be_missing() {
    let missing = PathBuf::from("/no/such/file");
    let mut launch = Launch { env_files: vec![env_file(missing)], ..Launch::default() };
    let message = "reading env file `/no/such/file`: No such file or directory: add it, or write \
                   `env_file = \"-/no/such/file\"` where it is optional";
    assert_eq!(failed(&launch), ("env_file", message.to_owned()));
    launch.env_files[0].presence = Presence::Optional;
    assert_eq!(lines(build(&launch, &[]).unwrap()), [""; 0]);
}

#[test]
fn an_invalid_name_or_value_is_rejected() {
    for name in ["", "A=B", "A\0"] {
        let launch = Launch { environment: vec![pair(name, "x")], ..Launch::default() };
        assert_eq!(failed(&launch).0, "environment", "{name:?}");
    }
    let launch = Launch { environment: vec![pair("A", "hunter2\0")], ..Launch::default() };
    let message = "setting variable `A`: its value contains a NUL byte";
    assert_eq!(failed(&launch), ("environment", message.to_owned()));
}

#[test]
fn debug_output_has_no_values() {
    let all = build(&Launch::default(), &[("PASSWORD", "hunter2")]).unwrap();
    assert_eq!(format!("{all:?}"), r#"{"PASSWORD"}"#);
}
