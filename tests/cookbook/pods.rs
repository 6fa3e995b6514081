//! Recipes of pods, and of logs that a cluster collects.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use regex_lite::Regex;
use serde_json::Value;

use super::recipe::{Recipe, inside, request};
use super::web::assert_stops;
use crate::support::{Running, python_with, run};

/// A YAML document, parsed by an independent parser.
fn yaml(text: &str) -> Option<Value> {
    let python = python_with("yaml")?;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("pod.yaml"), text).expect("a file");
    let mut command = Command::new(python);
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open('pod.yaml')), sys.stdout)";
    command.args(["-c", script]).current_dir(folder.path());
    Some(serde_json::from_str(&run(command).expect(0).stdout).expect("JSON"))
}

/// The command of a probe, carried out in the container as the kubelet does.
fn probe(foster: &Running, pod: &Value, name: &str) -> i32 {
    let container = &pod["spec"]["containers"][0];
    let words =
        container[name]["exec"]["command"].as_array().unwrap_or_else(|| panic!("{name}: {container}"));
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    let user = pod["spec"]["securityContext"]["runAsUser"].as_u64().unwrap_or(0).to_string();
    let become_user = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    inside(foster, &[&become_user[..], &words].concat()).code
}

#[test]
fn the_probes_of_the_pod_answer_from_the_state_of_the_programs() {
    let recipe = Recipe::named("A pod with probes");
    let (Some(pod), Some(foster)) = (yaml(recipe.file("pod.yaml")), recipe.start()) else { return };
    foster.wait_for_file("foster.sock");
    let mut codes = BTreeSet::new();
    foster.wait_for("the startup probe", || {
        codes.insert(probe(&foster, &pod, "startupProbe"));
        codes.contains(&0)
    });
    assert!(codes.is_subset(&BTreeSet::from([0, 1])), "{codes:?}");
    let answers =
        |foster: &Running| ["readinessProbe", "livenessProbe"].map(|name| probe(foster, &pod, name));
    assert_eq!(answers(&foster), [0, 0]);
    foster.verb(&["stop", "web"]).expect(0);
    assert_eq!(answers(&foster), [1, 0], "stopped by an operator: no traffic, and no restart of the pod");
    foster.verb(&["start", "web"]).expect(0);
    assert_eq!(answers(&foster), [0, 0]);
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().expect("a grace period");
    let limit = Regex::new(r#"shutdown_timeout = "(\d+)s""#).expect("a regular expression");
    let limit: u64 =
        limit.captures(recipe.file("foster.toml")).expect("a limit")[1].parse().expect("seconds");
    assert!(limit < grace, "{limit} < {grace}");
    assert_stops(foster);
}

#[test]
fn the_pod_without_root_serves_from_a_read_only_file_system() {
    let recipe = Recipe::named("A read-only pod without root");
    let Some(pod) = yaml(recipe.file("pod.yaml")) else { return };
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/tmp");
    let user = pod["spec"]["securityContext"]["runAsUser"].as_u64().expect("a user");
    assert!(recipe.file("Dockerfile").contains(&format!("USER {user}:{user}")));
    let Some(foster) = recipe.read_only().start() else { return };
    foster.wait_for("an answer", || request(&foster, 8080, "/").is_some_and(|(status, _)| status == 200));
    foster.wait_for("the probe", || probe(&foster, &pod, "readinessProbe") == 0);
    assert_ne!(inside(&foster, &["touch", "/app/file"]).code, 0);
    for process in foster.processes() {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let is_as_in_the_pod =
            status.contains(&format!("Uid:\t{user}\t{user}")) && status.contains("CapEff:\t0000000000000000");
        assert!(is_as_in_the_pod || status.is_empty(), "{status}");
    }
    assert_stops(foster);
}

#[test]
fn a_line_comes_when_it_is_written_and_without_the_setting_it_does_not() {
    let heading = "Output that comes late";
    let Some(foster) = Recipe::named(heading).start() else { return };
    for line in [r"python +\| a line of Python", r"ruby +\| a line of Ruby", r"upper +\| A LINE OF C"] {
        foster.wait_for_line(line);
    }
    inside(&foster, &["sh", "-c", "echo DEBUG one >>/var/log/app.log; echo two >>/var/log/app.log"])
        .expect(0);
    foster.wait_for_line(r"filter +\| two");
    assert!(!foster.output().has_line("DEBUG one"), "{}", foster.output().shown());
    drop(foster);

    let setting = "environment = { PYTHONUNBUFFERED = \"1\" }";
    let Some(foster) = Recipe::named(heading).changed("foster.toml", setting, "").start() else { return };
    // It is written after the other line.
    foster.wait_for_line(r"python +\| it is written");
    foster.wait_for_line(r"ruby +\| a line of Ruby");
    assert!(!foster.output().has_line("a line of Python"), "{}", foster.output().shown());
}

#[test]
fn the_fields_that_vector_and_alloy_read_are_those_of_the_log() {
    let recipe = Recipe::named("JSON logs for Loki and Vector");
    let Some(mut foster) = recipe.start() else { return };
    foster.wait_for("an answer", || request(&foster, 8000, "/").is_some_and(|(status, _)| status == 200));
    foster.wait_for_line("GET / HTTP");
    foster.terminate();
    let log = format!("{}{}", foster.output().stdout(), foster.output().stderr());
    // `foster check --here` of the build prints text.
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let known: BTreeSet<String> =
        lines.iter().filter_map(Value::as_object).flat_map(|line| line.keys().cloned()).collect();
    assert!(lines.iter().any(|line| line["stream"] == "stdout" || line["stream"] == "stderr"), "{log}");
    for (file, pattern) in [("vector.toml", r"\bline\.(\w+)"), ("alloy.river", r#"\w = "(\w+)"[,} ]"#)] {
        let pattern = Regex::new(pattern).expect("a regular expression");
        let read: BTreeSet<String> =
            pattern.captures_iter(recipe.file(file)).map(|found| found[1].to_owned()).collect();
        assert!(read.len() >= 5, "{file}: {read:?}");
        assert!(read.is_subset(&known), "{file} reads {read:?}; the log has {known:?}");
    }
    let stamp = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$").expect("a regular expression");
    assert!(lines.iter().all(|line| line["ts"].as_str().is_some_and(|ts| stamp.is_match(ts))), "{log}");
}
