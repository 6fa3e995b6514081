//! Whole configurations: files in, a plan or a report out.
//!
//! Each `tests/fixtures/config/*.toml` (and `*/foster.toml`) has its expected output beside it. After an intended change
//! `UPDATE_EXPECT=1 cargo test --lib config` updates them: read the difference.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use expect_test::expect_file;
use proptest::prelude::*;
use serde_json::Value;

use super::key_spec::ValueKind;
use super::keys::SECTIONS;
use super::reference::{manual, reference};
use super::*;

/// Sunday, 29 November 2026, 12:00 UTC.
const NOW: i64 = 1_795_953_600_000;
const FIXTURES: &str = "tests/fixtures/config";

fn environment() -> Environment {
    variables().into_iter().collect()
}

fn variables() -> Vec<(OsString, OsString)> {
    let text = [
        ("PORT", "8000"),
        ("NUMBER", "5"),
        ("TRUE", "true"),
        ("DURATION", "2s"),
        ("EMPTY", ""),
        ("FOSTER_CPUS", "3"),
        ("TRICKY", "\"\npriority = 1\n${PORT} $$"),
    ];
    let bytes = ("BYTES".into(), OsStr::from_bytes(b"\xff\xfe").to_owned());
    text.into_iter().map(|(name, value)| (name.into(), value.into())).chain([bytes]).collect()
}

fn outcome(path: &Path) -> String {
    let text = match load(path, &environment()) {
        Ok(plan) => start_order(&plan, NOW),
        Err(report) => report.to_string(),
    };
    text.replace(&format!("{FIXTURES}/"), "")
}

/// Loads a text as the only file.
fn load_text(text: impl AsRef<[u8]>) -> Result<Plan, Report> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    fs::write(&path, text).expect("a file");
    load(&path, &environment())
}

pub(super) fn plan_of(text: &str) -> Plan {
    load_text(text).unwrap_or_else(|report| panic!("{report}"))
}

/// `expect_file!` takes relative paths as relative to this file.
fn absolute(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a listing");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_fixture_has_its_expected_output() {
    let mut expected = BTreeSet::new();
    for path in paths(Path::new(FIXTURES)) {
        let main = if path.is_dir() { path.join("foster.toml") } else { path.clone() };
        if [Some(OsStr::new("toml")), Some(OsStr::new("conf"))].contains(&main.extension()) {
            let beside = path.with_extension("expected");
            expect_file![absolute(&beside)].assert_eq(&outcome(&main));
            expected.insert(beside);
        }
    }
    let all = paths(Path::new(FIXTURES)).into_iter();
    let there: BTreeSet<_> = all.filter(|path| path.extension() == Some(OsStr::new("expected"))).collect();
    assert_eq!(there, expected, "an expected output without its configuration");
    assert!(expected.len() > 30);
}

#[test]
fn twenty_mistakes_in_three_files_give_twenty_messages() {
    let report = load(Path::new("tests/fixtures/config/twenty/foster.toml"), &environment());
    assert_eq!(report.expect_err("a report").count(), 20);
}

#[test]
fn the_reference_of_the_keys_is_up_to_date() {
    expect_file!["../../docs/config.md"].assert_eq(&reference());
    expect_file!["../../docs/foster.toml.5"].assert_eq(&manual());
}

fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn the_schema_for_editors_is_up_to_date() {
    expect_file!["../../docs/foster.schema.json"].assert_eq(&json_schema());
}

#[test]
fn every_key_is_in_the_schema_with_its_sentence_and_default() {
    let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
    let properties: Vec<&Value> = std::iter::once(&schema)
        .chain(schema["definitions"].as_object().expect("definitions").values())
        .filter_map(|object| object.get("properties"))
        .collect();
    assert_eq!(properties.len(), SECTIONS.len());
    for section in SECTIONS {
        let is_own = |keys: &&&Value| {
            keys.as_object()
                .is_some_and(|keys| keys.keys().eq(sorted(section.all_keys().map(|key| key.name))))
        };
        let own = properties.iter().find(is_own).unwrap_or_else(|| panic!("{}", section.heading));
        for key in section.keys {
            let property = &own[key.name];
            assert!(
                property["description"].as_str().is_some_and(|text| text.starts_with(key.sentence)),
                "{}",
                key.name
            );
            assert!(property.as_object().expect("an object").len() > 1, "{}", key.name);
        }
    }
    let text = json_schema();
    for reference in text.split("#/definitions/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schema["definitions"].get(reference).is_some(), "{reference}");
    }
}

#[test]
fn every_key_and_every_default_reaches_the_plan() {
    for name in ["full", "minimal"] {
        let plan = load(&Path::new(FIXTURES).join(format!("{name}.toml")), &environment()).expect("a plan");
        let programs: Vec<_> = plan.programs.values().collect();
        let specs: Vec<_> = plan.core.programs().values().collect();
        let core = (specs, plan.core.settings());
        let text = format!("{:#?}\n{:#?}\n{:#?}\n{core:#?}\n", plan.settings, plan.web, programs);
        expect_file![absolute(format!("{FIXTURES}/{name}.plan"))].assert_eq(&text);
    }
}

#[test]
fn the_full_fixture_has_every_key() {
    let text = fs::read_to_string(Path::new(FIXTURES).join("full.toml")).expect("a file");
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        let elsewhere =
            ["include", "defaults", "enabled", "tcp", "unix", "exec", "file", "log", "notify", "fd", "ipc"];
        if !elsewhere.contains(&key.name) {
            assert!(
                text.contains(&format!("{} =", key.name)) || text.contains(&format!("[{}", key.name)),
                "{}",
                key.name
            );
        }
    }
}

#[test]
fn values_come_from_the_environment_and_are_never_toml() {
    let plan = load(Path::new("tests/fixtures/config/expansion.toml"), &environment()).expect("a plan");
    let program = plan.program(ProgramId(0)).expect("a program");
    assert_eq!(program.launch.command, ["web", "--port", "8000", "$HOME", "$PATH", ""]);
    let variables = [("NAME", "web.0"), ("RAW", "\"\npriority = 1\n${PORT} $$")];
    assert_eq!(
        program.launch.environment,
        variables.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(program.launch.nice, Some(-5));
    let spec = plan.spec(ProgramId(0)).expect("a program");
    assert_eq!((spec.priority, spec.restart.start_limit), (5, None));
    assert_eq!((spec.restart.backoff.factor, spec.restart.backoff.max.as_secs()), (1.5, 60));
    assert!(plan.settings.log_timestamps);
    assert_eq!(plan.settings.socket.as_deref(), Some(Path::new("/run/foster.sock")));
}

#[test]
fn a_program_starts_from_the_defaults() {
    let plan = load(Path::new("tests/fixtures/config/defaults.toml"), &environment()).expect("a plan");
    let environments: Vec<_> =
        plan.programs.values().map(|program| program.launch.environment.clone()).collect();
    let variables = |b: &str| vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), b.to_owned())];
    assert_eq!(environments, [variables("2"), variables("1")]);
    assert_eq!(plan.program(ProgramId(1)).expect("a program").launch.command, ["run", "b"]);
    assert_ne!(
        plan.program(ProgramId(0)).expect("a program").launch.user,
        plan.program(ProgramId(1)).expect("a program").launch.user
    );
}

#[test]
fn every_word_in_the_reference_is_accepted() {
    for section in SECTIONS {
        for key in section.keys {
            let [ValueKind::Words(words)] = key.kinds else { continue };
            for word in *words {
                let rest = "[program.web]\ncommand = ['web']";
                let text = match section.heading {
                    "`[foster]`" => format!("[foster]\n{} = '{word}'\n{rest}", key.name),
                    "`ready`" | "`health`" => {
                        let table = section.heading.trim_matches('`');
                        format!("{rest}\n{table} = {{ http = 'http://[::1]', {} = '{word}' }}", key.name)
                    }
                    "`[task.NAME]`" => format!("[task.x]\ncommand = ['x']\n{} = '{word}'", key.name),
                    "`[job.NAME]`" => {
                        format!("[job.x]\ncommand = ['x']\nschedule = 'every 1h'\n{} = '{word}'", key.name)
                    }
                    "`backoff`" => format!("{rest}\nbackoff = {{ {} = '{word}' }}", key.name),
                    // `stdin = "socket"` needs one.
                    _ => format!("{rest}\nsockets = ['tcp://[::1]:1']\n{} = '{word}'", key.name),
                };
                plan_of(&text);
            }
        }
    }
}

#[test]
fn a_disabled_program_can_still_be_named() {
    let plan = load(Path::new("tests/fixtures/config/disabled.toml"), &environment()).expect("a plan");
    assert_eq!(plan.programs.len(), 1);
    assert_eq!(plan.spec(ProgramId(0)).expect("a program").after, []);
    let environment = variables().into_iter().chain([("WORKER".into(), "true".into())]).collect();
    let report = load(Path::new("tests/fixtures/config/disabled.toml"), &environment).expect_err("a report");
    assert!(report.to_string().contains("`QUEUE_URL` is not set"), "{report}");
}

#[test]
fn the_configuration_is_searched_in_the_documented_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("first.toml"), folder.path().join("second.toml"));
    let spans = [first.as_path(), second.as_path()];
    let none = Environment::default();
    let report = locate_among(None, &none, &spans).expect_err("a report").to_string();
    assert!(report.starts_with("foster: error: no configuration found\n     = looked for `"), "{report}");
    assert!(report.ends_with("foster: cannot load the configuration: 1 error\n"), "{report}");

    fs::write(&second, "").expect("a file");
    assert_eq!(locate_among(None, &none, &spans).as_ref(), Ok(&second));
    fs::write(&first, "").expect("a file");
    assert_eq!(locate_among(None, &none, &spans).as_ref(), Ok(&first));

    let bytes = OsStr::from_bytes(b"/\xff.toml");
    let variable = |value: &OsStr| Environment::from_iter([(VARIABLE.into(), value.to_owned())]);
    assert_eq!(locate_among(None, &variable(bytes), &spans), Ok(PathBuf::from(bytes)));
    assert_eq!(locate_among(None, &variable(OsStr::new("")), &spans), Ok(first.clone()));
    let option = Path::new("-");
    assert_eq!(locate_among(Some(option), &variable(bytes), &spans), Ok(option.to_path_buf()));
    assert_eq!(locate(Some(option), &none), Ok(option.to_path_buf()));
}

#[test]
fn a_file_that_cannot_be_read_is_one_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.conf"), "[supervisord]").expect("a file");
    fs::write(at("large.toml"), vec![b'#'; 5 << 20]).expect("a file");
    symlink(at("loop.toml"), at("loop.toml")).expect("a link");
    for (path, reason) in [
        (at("none.toml"), "No such file or directory"),
        (at("none.toml/x"), "No such file or directory"),
        (at("a.conf/x"), "Not a directory"),
        (at("loop.toml"), "Too many levels of symbolic links"),
        (folder.path().to_path_buf(), "Is a directory"),
        (PathBuf::from("/dev/zero"), "it is not a regular file"),
        (at("large.toml"), "it is larger than 4 MiB"),
        (at("none.conf"), "No such file or directory"),
        (PathBuf::new(), "No such file or directory"),
    ] {
        let report = load(&path, &environment()).expect_err("a report");
        let shown = path.display();
        let expected = format!(
            "{shown}: error: cannot read the file: {reason}\nfoster: cannot load the configuration: 1 error\n"
        );
        assert_eq!(report.to_string(), expected);
    }
}

#[test]
fn a_chain_of_a_thousand_programs_is_put_in_order() {
    let mut text = "[program.p0]\ncommand = ['x']\n".to_owned();
    for number in 1..1000 {
        text.push_str(&format!("[program.p{number}]\ncommand = ['x']\nafter = ['p{}']\n", number - 1));
    }
    assert_eq!(plan_of(&text).core.graph().waves().len(), 1000);
}

/// Valid and invalid parts of random configurations.
fn fragment() -> impl Strategy<Value = String> {
    let names: Vec<&str> = SECTIONS.iter().flat_map(|section| section.keys).map(|key| key.name).collect();
    let value = prop_oneof![
        Just("'x'".to_owned()),
        Just("[]".to_owned()),
        Just("['a', 'b']".to_owned()),
        Just("{ http = 'http://localhost', max = '1s', file = '/x' }".to_owned()),
        Just("\"${PORT} ${NONE} ${BYTES} ${\"".to_owned()),
        Just("'forward:a:b:c'".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<String>(),
        "[0-9]{1,25}(s|ms|years|M|G)?".prop_map(|text| format!("'{text}'")),
    ];
    prop_oneof![
        "\\[{1,2}(foster|signals|defaults|program|program\\.[a-z]|program\\.a\\.(ready|health)|task.x)\\]{0,2}\n",
        (prop::sample::select(names), value).prop_map(|(name, value)| format!("{name} = {value}\n")),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(report) = load_text(&bytes) {
            prop_assert!(report.count() > 0);
            prop_assert!(report.to_string().chars().all(|char| char == '\n' || !char.is_control()));
        }
    }

    #[test]
    fn no_configuration_causes_a_panic(fragments in prop::collection::vec(fragment(), 0..20)) {
        match load_text(fragments.concat()) {
            Ok(plan) => prop_assert!(!start_order(&plan, NOW).is_empty()),
            Err(report) => prop_assert!(report.count() > 0),
        }
    }
}

#[test]
fn the_socket_is_found_in_spite_of_errors_in_programs_or_if_it_exists_of_any_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    let socket = |text: &str| {
        fs::write(&path, text).expect("a file");
        socket(&path, &environment())
    };
    let wrong = "[program.web]\ncomand = 7\n[foster]\n";
    assert_eq!(socket(wrong).expect("a place"), Some("/run/foster.sock".into()));
    assert_eq!(socket(&format!("{wrong}socket = '/s'")).expect("a place"), Some("/s".into()));
    assert_eq!(socket(&format!("{wrong}socket = ''")).expect("none"), None);
    assert!(socket(&format!("{wrong}socket = 7")).is_err());
    // The default place counts where it exists.
    assert_eq!(socket("[foster").is_ok(), Path::new("/run/foster.sock").exists());
    let broken = "[foster]\nsocket = '/'\nlog_level = 7\n[program.web\n";
    assert_eq!(socket(broken).expect("what is there"), Some("/".into()));
    assert!(socket(&broken.replace("'/'", "'/no/such'")).is_err());
}

/// The cost of an update is bounded for any file: each of these would take seconds or gigabytes if a step were
/// quadratic.
#[test]
fn a_hostile_configuration_is_rejected_at_a_bounded_cost() {
    let names = |count: usize| (0..count).map(|n| format!("'nobody{n}'")).collect::<Vec<_>>().join(",");
    let variables = |count: usize| (0..count).map(|n| format!("${{UNSET_{n}}}")).collect::<String>();
    let programs = |count: usize| {
        (0..count).map(|n| format!("[program.p{n}]\ncommand='x'\n")).collect::<Vec<_>>().concat()
    };
    let defaults = (0..3000).map(|n| format!("VARIABLE_{n} = 'value'\n")).collect::<String>();
    for (text, expected) in [
        (
            format!("{}\n[program.a]\ncommand='x'\nafter=[{}]", programs(3000), names(10_000)),
            "9500 more errors",
        ),
        (format!("[program.a]\ncommand=[\"{}\"]", variables(16_000)), "16 errors"),
        (programs(10_001), "there are 10001 programs"),
        (format!("[defaults.environment]\n{defaults}{}", programs(9_000)), "take more than 64 MiB"),
        (format!("[program.{}]\ncommand='x'", "a".repeat(70_000)), "it has 70000 bytes"),
        ("[program.a]\ncommand='x'\nready={ log='(.{0,1000}){1,20}!' }".to_owned(), "regular expression"),
        (
            "[program.a]\ncommand='x'\nready={ log='.{0,200}.{0,200}.{0,200}X!' }".to_owned(),
            "`log` is not a regular expression",
        ),
        (format!("[program.a]\ncommand='x'\nnice={}", "9".repeat(10_000)), "does not fit"),
        ((0..20_000).map(|n| format!("key{n} = 1\n")).collect(), "more errors are not listed"),
    ] {
        let report = load_text(&text).expect_err("a report").to_string();
        assert!(report.contains(expected), "{expected}: {}", report.chars().take(2000).collect::<String>());
        assert!(report.len() < 1 << 20, "{expected}: {} bytes", report.len());
    }
}
