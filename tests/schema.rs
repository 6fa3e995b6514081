//! The schema for editors, checked with an independent validator: the Python package `jsonschema`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Foster, python_with, repository, run};

/// Prints an object: for each file its invalid values, each with the reason.
const VALIDATOR: &str = r#"
import json, sys, tomllib
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
found = {}
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        document = tomllib.load(file)
    found[path] = [".".join(map(str, error.absolute_path)) + ": " + error.message
                   for error in validator.iter_errors(document)]
print(json.dumps(found))
"#;

/// A Python with this package: that of `.ci/run`, or the machine's.
fn python() -> Option<PathBuf> {
    python_with("jsonschema, tomllib").map(PathBuf::from)
}

/// Validates files; returns the errors of each.
fn validate(python: &Path, files: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new(python);
    command.args(["-c", VALIDATOR]).arg(repository().join("docs/foster.schema.json")).args(files);
    serde_json::from_str(&run(command).expect(0).stdout).expect("an object")
}

/// Whether `foster check` accepts a file, with the variables that the fixtures use.
fn is_accepted(path: &Path) -> bool {
    let known = [
        ("PORT", "8000"),
        ("NUMBER", "5"),
        ("TRUE", "true"),
        ("DURATION", "2s"),
        ("EMPTY", ""),
        ("TRICKY", "\""),
    ];
    let foster = known.iter().fold(Foster::new(), |foster, (name, value)| foster.env(name, value));
    foster.finish(&["check", "-c", path.to_str().expect("a path in UTF-8")]).code == 0
}

/// Every TOML file below a folder.
fn configurations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(configurations(&path)),
            path if path.extension().is_some_and(|kind| kind == "toml") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

#[test]
fn the_verb_prints_the_schema_that_is_checked_in() {
    let printed = Foster::new().finish(&["schema"]).expect(0).stdout;
    assert_eq!(
        printed,
        fs::read_to_string(repository().join("docs/foster.schema.json")).expect("the schema")
    );
    assert!(serde_json::from_str::<Value>(&printed).is_ok());
}

#[test]
fn the_schema_accepts_every_valid_configuration() {
    let Some(python) = python() else { return };
    let mut files = configurations(&repository().join("tests/fixtures/config"));
    files.extend(configurations(&repository().join("examples")));
    files.retain(|path| is_accepted(path));
    assert!(files.len() > 15, "{files:?}");
    for (file, wrong) in validate(&python, &files) {
        assert!(wrong.is_empty(), "{file}\n{}", wrong.join("\n"));
    }
}

#[test]
fn the_schema_rejects_a_wrong_key_or_value_at_its_path() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = [
        ("[program.web]\ncomand = 'x'\n", "program.web: ", "'comand' was unexpected"),
        ("[programs.web]\ncommand = 'x'\n", "", "'programs' was unexpected"),
        ("[foster]\nsockets = 'x'\n", "foster: ", "'sockets' was unexpected"),
        ("[program.web.ready]\nhtpp = 'x'\n", "program.web.ready: ", "'htpp' was unexpected"),
        ("[program.all]\ncommand = 'x'\n", "program: ", "'all'"),
        ("[program.'a b']\ncommand = 'x'\n", "program: ", "'a b' does not match"),
        ("[program.web]\ncommand = 5\n", "program.web.command: ", "5 is not valid"),
        ("[program.web]\nstop_timeout = 'soon'\n", "program.web.stop_timeout: ", "'soon' is not valid"),
        ("[program.web]\nstop_timeout = 5\n", "program.web.stop_timeout: ", "5 is not valid"),
        ("[program.web]\nstop_signal = 'TREM'\n", "program.web.stop_signal: ", "'TREM' is not valid"),
        ("[program.web]\nstop_signal = ['QUIT', 'X']\n", "program.web.stop_signal: ", "'X'] is not valid"),
        ("[program.web]\nrestart = 'sometimes'\n", "program.web.restart: ", "'sometimes' is not valid"),
        ("[program.web]\nautostart = 'yes'\n", "program.web.autostart: ", "'yes' is not valid"),
        ("[program.web]\npriority = 1.5\n", "program.web.priority: ", "1.5 is not valid"),
        ("[program.web]\numask = '089'\n", "program.web.umask: ", "'089' is not valid"),
        ("[program.web]\nafter = 'd b'\n", "program.web.after: ", "'d b' is not valid"),
        ("[program.web]\ncapabilities = ['fly']\n", "program.web.capabilities.0: ", "'fly' is not valid"),
        ("[program.web]\nlimits = { files = 1 }\n", "program.web.limits: ", "'files' is not one of"),
        (
            "[program.web]\nlimits = { nofile = 'many' }\n",
            "program.web.limits.nofile: ",
            "'many' is not valid",
        ),
        ("[program.web]\nstdout = { max_size = '1M' }\n", "program.web.stdout: ", "is not valid"),
        ("[job.a]\nrestart = 'never'\n", "job.a: ", "'restart' was unexpected"),
        ("[task.a]\nrestart = 'never'\n", "task.a: ", "'restart' was unexpected"),
        ("[signals]\nHUPP = 'ignore'\n", "signals: ", "'HUPP' is not valid"),
        ("[signals]\nHUP = 'forwards:x'\n", "signals.HUP: ", "'forwards:x' is not valid"),
        ("[defaults]\nnice = 'low'\n", "defaults.nice: ", "'low' is not valid"),
    ];
    let files: Vec<PathBuf> =
        (0..wrong.len()).map(|index| folder.path().join(format!("{index}.toml"))).collect();
    for (path, (text, _, _)) in files.iter().zip(wrong) {
        fs::write(path, text).expect("a file");
    }
    let found = validate(&python, &files);
    for (path, (text, place, reason)) in files.iter().zip(wrong) {
        let [only] = found[path.to_str().expect("a path")].as_slice() else {
            panic!("not exactly one error: {text}{found:?}")
        };
        assert!(only.starts_with(place) && only.contains(reason), "{text}{only}");
    }
}

#[test]
fn the_schema_accepts_an_expansion_for_every_type() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    let text = "[program.web]\ncommand = '${X}'\nautostart = '${X}'\npriority = '${X:-5}'\nstop_timeout = '${X}s'\n\
                stop_signal = '${X}'\nrestart = '${X:-always}'\nlimits = { nofile = '${X}' }\numask = '${X}'\n\
                backoff = { factor = '${X}' }\nstdout = '${X}'\nafter = ['${X}']\nuser = '${X}:${Y}'\n";
    fs::write(&path, text).expect("a file");
    let found = validate(&python, &[path]);
    assert!(found.values().all(Vec::is_empty), "{found:?}");
}
