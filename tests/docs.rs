//! The documents match the code: their configurations pass `foster check`, their promises name existing tests,
//! and the files that they link to exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_lite::Regex;

use crate::support::{Foster, check, found, repository, run};

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown file.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![repository().join("examples"), repository().join("docs")];
    while let Some(folder) = folders.pop() {
        // A folder may be missing.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Installed packages are not part of the documents.
            let is_installed = ["node_modules", "venv"].iter().any(|name| entry.file_name() == *name);
            match entry.path() {
                path if path.is_dir() && !is_installed => folders.push(path),
                path => found.push(path),
            }
        }
    }
    found.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| repository().join(name)));
    found.retain(|path| path.extension().is_some_and(|kind| kind == "md"));
    found
}

/// The code blocks in TOML.
fn toml_blocks(text: &str) -> Vec<&str> {
    text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(rest)).collect()
}

#[test]
fn every_configuration_in_the_documents_passes_the_check_without_a_warning() {
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        // A block without a program is a fragment of a configuration.
        let is_whole =
            |block: &&str| ["[program.", "[task.", "[job."].iter().any(|table| block.contains(table));
        for block in toml_blocks(&text).into_iter().filter(is_whole) {
            let finished = check(block);
            assert_eq!(finished.code, 0, "{}\n{block}\n{}", path.display(), finished.text());
            assert_eq!(warnings(&finished.stdout), "", "{}\n{block}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a configuration");
}

#[test]
fn every_configuration_of_the_examples_passes_the_check_without_a_warning() {
    let examples = [
        "quickstart",
        "nginx-backend",
        "terminals",
        "gunicorn-fleet",
        "express-cluster",
        "express-backup",
        "fastapi-host/supervisor",
    ];
    for example in examples {
        let path = repository().join("examples").join(example).join("foster.toml");
        let path = path.to_str().expect("a path in UTF-8");
        let finished = Foster::new().finish(&["check", "-c", path]).expect(0);
        assert_eq!(warnings(&finished.stdout), "", "{path}");
    }
}

/// The lines of `check` that warn.
fn warnings(printed: &str) -> String {
    printed.lines().filter(|line| line.starts_with("warning: ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_configuration_with_a_warning_is_found() {
    let finished = check("[program.redis]\ncommand = ['redis-server', '--daemonize', 'yes']\n").expect(0);
    assert!(warnings(&finished.stdout).contains("remove `--daemonize yes`"), "{}", finished.text());
}

/// An image of this name would come from a public registry, where it is another project's.
#[test]
fn every_copy_is_from_a_stage_or_from_the_image_that_the_document_says_how_to_build() {
    let from = Regex::new(r"--from=([\w./:@-]+)").expect("a regular expression");
    let stage = Regex::new(r"(?m)^FROM \S+ AS (\w+)").expect("a regular expression");
    let target = text("Dockerfile").contains("\nFROM scratch AS foster\n");
    assert!(target, "the Dockerfile has no target `foster`");
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        let built = "docker build --target foster -t foster .";
        let says_how = text.contains(built) || text.contains("](install.md)");
        for block in text.split("```dockerfile\n").skip(1) {
            let block = block.split("```").next().unwrap_or(block);
            let stages: Vec<String> = stage.captures_iter(block).map(|found| found[1].to_owned()).collect();
            for found in from.captures_iter(block) {
                let name = &found[1];
                let exists = stages.iter().any(|stage| stage == name) || name == "foster" && says_how;
                assert!(exists, "{} copies from `{name}`", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no document shows how to copy the binary");
}

/// One that does not copy all that the build reads makes a binary that is larger, and says nothing of it. The same instructions
/// are also built only once.
#[test]
fn every_dockerfile_that_builds_foster_has_the_same_instructions_for_it() {
    fn stage(dockerfile: &str) -> Option<&str> {
        dockerfile.split_once("\nFROM rust:")?.1.split("\nFROM ").next()
    }
    let first = text("Dockerfile");
    let expected = stage(&first).expect("a stage that builds foster");
    for read in ["build.rs", "release.ld", "order.ld", ".cargo"] {
        assert!(repository().join(read).exists() && expected.contains(read), "{read}\n{expected}");
    }
    let mut seen = 0;
    for example in fs::read_dir(repository().join("examples")).expect("the examples").flatten() {
        let path = example.path().join("Dockerfile");
        if let Some(found) = fs::read_to_string(&path).ok().as_deref().and_then(stage) {
            assert_eq!(found, expected, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no example builds foster");
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let promise = Regex::new(r"^\d+\.\d+\. ").expect("a regular expression");
    let named = Regex::new(r"`([\w/.-]+\.(?:rs|py))::(\w+)`").expect("a regular expression");
    let specification = text("SPECIFICATION.md");
    let mut number = String::new();
    let mut tests = 1;
    let mut wrong = Vec::new();
    for line in specification.lines().chain(["0.0. the end"]) {
        if promise.is_match(line) {
            if tests == 0 {
                wrong.push(format!("{number} names no test"));
            }
            line.split(' ').next().unwrap_or(line).clone_into(&mut number);
            tests = 0;
        }
        for found in named.captures_iter(line) {
            tests += 1;
            let source = fs::read_to_string(repository().join(&found[1])).unwrap_or_default();
            let has = |word| source.contains(&format!("{word} {}(", &found[2]));
            if !has("fn") && !has("def") {
                wrong.push(format!("{number} names {}::{}, which does not exist", &found[1], &found[2]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_file_that_a_document_links_to_exists() {
    let pointed = Regex::new(r"`((?:src|crates|tests|examples|docs|\.ci)/[\w/.-]*)`|\]\(([\w/.-]+)\)")
        .expect("a regular expression");
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        for found in pointed.captures_iter(&text) {
            let target = found.get(1).or_else(|| found.get(2)).expect("one of the two").as_str();
            let beside = path.parent().unwrap_or(Path::new("")).join(target);
            if !repository().join(target).exists() && !beside.exists() {
                wrong.push(format!("{} points to {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_manual_pages_have_no_errors() {
    let Some(mandoc) = found("mandoc") else { return };
    for page in ["docs/foster.1", "docs/foster.toml.5"] {
        let mut command = Command::new(&mandoc);
        command.args(["-T", "lint", "-W", "style"]).arg(repository().join(page));
        let finished = run(command);
        assert_eq!((finished.code, finished.text().as_str()), (0, ""));
    }
}

#[test]
fn readme_and_ci_give_the_same_two_commands() {
    let readme = text("README.md");
    for command in ["cargo run --release -- run -c examples/quickstart/foster.toml", "cargo test"] {
        assert!(readme.contains(command), "{command}");
    }
    let ci = text(".ci/run");
    assert!(ci.lines().any(|line| line == "cargo test"), "{ci}");
}

/// Facts that surprise people, each with the document that has to say it.
const WARNINGS: [(&str, &str); 4] = [
    ("CONTRIBUTING.md", "install Debian packages without asking"),
    ("docs/dockerfile.md", "follows symbolic links"),
    ("docs/dockerfile.md", "starts the container again under `always` and `unless-stopped`"),
    ("docs/dockerfile.md", "STOPSIGNAL"),
];

#[test]
fn what_surprises_people_is_documented() {
    for (path, words) in WARNINGS {
        let document = text(path).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(document.contains(words), "{path} does not say `{words}`");
    }
}

/// The files in this row of the table in CONTRIBUTING.md.
fn files_for(what: &str) -> Vec<String> {
    let contributing = text("CONTRIBUTING.md");
    let row = contributing.lines().find(|line| line.starts_with(&format!("| {what} |")));
    let row = row.unwrap_or_else(|| panic!("CONTRIBUTING.md has no row for {what}"));
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_table_of_files_to_touch_is_valid_and_a_verb_needs_at_most_four() {
    for what in ["a key", "a verb", "a state", "an event", "a probe"] {
        let files = files_for(what);
        assert!((1..=4).contains(&files.len()), "{what}: {files:?}");
        for file in files {
            assert!(repository().join(&file).is_file(), "{what}: {file}");
        }
    }
    let named = files_for("a verb");
    let protocol = text("src/control/protocol.rs");
    let request = protocol.split("pub enum Request {").nth(1).and_then(|rest| rest.split("\n}").next());
    let variant = Regex::new(r"(?m)^    ([A-Z]\w+)[({ ]").expect("a regular expression");
    let variants: Vec<String> =
        variant.captures_iter(request.expect("the requests")).map(|found| found[1].to_owned()).collect();
    assert!(variants.len() > 10, "{variants:?}");
    for variant in variants {
        let mention = Regex::new(&format!(r"\bRequest::{variant}\b")).expect("a regular expression");
        for path in sources("src") {
            let name = path.to_string_lossy().into_owned();
            // Two requests are special in the client: `exec` becomes a command, and `shutdown` may end the connection early.
            let special =
                name.starts_with("src/client/") && ["Exec", "Shutdown", "Status"].contains(&variant.as_str());
            let code = text(&name);
            let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
            // supervisorctl, pm2, XML-RPC and event listeners have verbs of other tools, each made of foster's.
            let users = [
                "src/doctor/",
                "src/listeners/",
                "src/client/supervisorctl",
                "src/client/pm2",
                "src/client/top",
                "src/web/",
                "src/xmlrpc/",
            ];
            let is_user = users.iter().any(|user| name.starts_with(user));
            if !is_test && !special && !named.contains(&name) && !is_user {
                assert!(!mention.is_match(&code), "{name} has to change for a verb such as {variant}");
            }
        }
    }
}

/// The Rust files below a folder of the repository, as paths from its root.
fn sources(below: &str) -> Vec<PathBuf> {
    let mut folders = vec![repository().join(below)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path.strip_prefix(repository()).expect("inside").to_path_buf());
            }
        }
    }
    found
}

#[test]
fn the_keys_that_restart_a_program_at_an_update_are_documented() {
    let document = text("docs/update.md");
    let row = document.lines().find(|line| line.contains("a running process is restarted"));
    let documented: BTreeSet<String> = row
        .expect("a row")
        .split('|')
        .nth(1)
        .unwrap_or_default()
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let compared = Regex::new(r#"\.process\("(\w+)""#).expect("a regular expression");
    let code: String = sources("src/init").iter().map(|path| text(&path.to_string_lossy())).collect();
    let in_code: BTreeSet<String> = compared.captures_iter(&code).map(|found| found[1].to_owned()).collect();
    assert_eq!(documented, in_code);
}

#[test]
fn the_entry_points_for_those_who_come_from_tini_run_a_command() {
    let page = text("docs/from-tini.md");
    let mut seen = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("ENTRYPOINT ")) {
        let words: Vec<String> = serde_json::from_str(line).expect("a list");
        let (first, rest) = words.split_first().expect("a program");
        let name = Path::new(first).file_name().expect("a name").to_string_lossy().into_owned();
        let script = format!("{name} {} sh -c 'exit 7'", rest.join(" "));
        Foster::new().all_names().shell(&script).expect(7);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// A number of a probe in the manifest.
fn of_probe(manifest: &str, probe: &str, key: &str) -> Option<u64> {
    let start = manifest.find(&format!("\n          {probe}Probe:\n")).expect("a probe");
    let block = manifest[start..].lines().skip(2).take_while(|line| line.starts_with("            "));
    let value = block.into_iter().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")))?;
    Some(value.parse().expect("a number"))
}

/// The command of a probe in the manifest.
fn command_of_probe(manifest: &str, probe: &str) -> String {
    let start = manifest.find(&format!("\n          {probe}Probe:\n")).expect("a probe");
    let line = manifest[start..].lines().find(|line| line.contains("command: [")).expect("a command");
    line.trim().trim_start_matches("command: ").replace(['[', ']', '"', ','], "")
}

#[test]
fn the_probes_of_the_manifest_differ_as_the_document_says() {
    let (manifest, document) = (text("deploy/kubernetes/deployment.yaml"), text("docs/kubernetes.md"));
    assert_eq!(command_of_probe(&manifest, "startup"), "foster health");
    assert_eq!(command_of_probe(&manifest, "liveness"), "foster health");
    // A pod whose nginx an operator has stopped gets no traffic, and is not restarted.
    assert_eq!(command_of_probe(&manifest, "readiness"), "foster health --all");
    for (probe, failures_by_default) in [("startup", 3), ("readiness", 3), ("liveness", 3)] {
        let every = of_probe(&manifest, probe, "periodSeconds").expect("a period");
        let failures = of_probe(&manifest, probe, "failureThreshold").unwrap_or(failures_by_default);
        let period = if every == 1 { "every second".to_owned() } else { format!("every {every} s") };
        let times = if probe == "startup" { "times" } else { "failures" };
        let row =
            format!("| {probe} | `{}` | {period}, {failures} {times} |", command_of_probe(&manifest, probe));
        assert!(document.contains(&row), "{row}");
        // foster restarts a program sooner than the kubelet the container.
        assert!(probe != "liveness" || every * failures >= 60, "{every} s, {failures} times");
    }
}

#[test]
fn no_image_that_is_deployed_has_the_tag_latest_or_none() {
    let mut seen = 0;
    let is_image = |line: &&str| line.trim_start_matches(['-', ' ']).starts_with("image: ");
    let manifest = |name: &str| text(&format!("deploy/kubernetes/{name}"));
    let documents = documents().into_iter().map(|path| fs::read_to_string(path).expect("a document"));
    for text in documents.chain(["deployment.yaml", "kustomization.yaml"].map(manifest)) {
        // A compose file names the image that it builds.
        let pods = text.split("apiVersion: ").skip(1);
        for line in pods.flat_map(str::lines).filter(is_image) {
            let image = line.split_once("image: ").expect("an image").1.trim();
            let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
            assert!(tag.is_some_and(|tag| tag != "latest"), "{line}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "the manifest and the recipes");
    let kustomization = manifest("kustomization.yaml");
    let tag = kustomization.split_once("newTag: ").expect("a tag").1.trim();
    assert_ne!(tag.trim_matches('"'), "latest");
    let name = format!("/terminals:{}", tag.trim_matches('"'));
    assert!(text("docs/kubernetes.md").contains(&name), "the document builds {name}");
}
