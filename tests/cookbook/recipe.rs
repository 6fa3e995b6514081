//! A recipe of `docs/cookbook.md`: its blocks are the files, its Dockerfile is carried out without an engine.
//!
//! The machine's files stand in for the base image, and what the Dockerfile installs is installed here already; every
//! other instruction is carried out as it is, so that the page has no copy here. A block is named by its first line:
//! `# foster.toml`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns};
use regex_lite::Regex;

use crate::support::{Finished, Foster, Running, found, get, may_make_namespaces, repository, run};

/// A section of the page.
pub(super) struct Recipe {
    /// Each block with the name of its file.
    files: Vec<(String, String)>,
    /// Files that are mounted below `/run`.
    mounted: Vec<(String, String)>,
    is_read_only: bool,
}

pub(super) fn page() -> String {
    fs::read_to_string(repository().join("docs/cookbook.md")).expect("the cookbook")
}

/// The headings of the recipes.
pub(super) fn headings(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("## ")).collect()
}

impl Recipe {
    /// The recipe below this heading.
    pub(super) fn named(heading: &str) -> Recipe {
        let page = page();
        let section = page.split("\n## ").find(|section| section.lines().next() == Some(heading));
        let section = section.unwrap_or_else(|| panic!("docs/cookbook.md has no recipe `{heading}`"));
        let block = Regex::new(r"(?s)```\w+\n((?:<\?php )?(?:#|//|;|--) ([\w.-]+)\n.*?)```")
            .expect("a regular expression");
        let files = block.captures_iter(section).map(|found| (found[2].to_owned(), found[1].to_owned()));
        Recipe { files: files.collect(), mounted: Vec::new(), is_read_only: false }
    }

    /// The content of one of its files.
    pub(super) fn file(&self, name: &str) -> &str {
        let found = self.files.iter().find(|(file, _)| file == name);
        found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("the recipe has no `{name}`"))
    }

    /// Adds a file that the reader of the page supplies.
    pub(super) fn with(mut self, name: &str, text: &str) -> Recipe {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Mounts a file below `/run`.
    pub(super) fn mounted(mut self, name: &str, text: &str) -> Recipe {
        self.mounted.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Makes everything but `/tmp` read-only before it starts.
    pub(super) fn read_only(mut self) -> Recipe {
        self.is_read_only = true;
        self
    }

    /// Changes a file, to show what happens without a part of it.
    pub(super) fn changed(mut self, name: &str, from: &str, to: &str) -> Recipe {
        for (_, text) in self.files.iter_mut().filter(|(file, _)| file == name) {
            assert!(text.contains(from), "{name} has no `{from}`");
            *text = text.replace(from, to);
        }
        self
    }

    /// Builds and starts it; nothing if the machine does not have its parts.
    pub(super) fn start(&self) -> Option<Running> {
        if !may_make_namespaces() {
            return None;
        }
        found("ip")?;
        for program in self.programs() {
            let made = Some(python_folder().join(&program)).filter(|path| path.is_file());
            made.or_else(|| found(&program))?;
        }
        let mut foster = Foster::new().image();
        for (name, text) in &self.files {
            foster = foster.file(&format!("context/{name}"), text);
        }
        for (name, text) in &self.mounted {
            foster = foster.file(name, text);
        }
        // With all names of foster in `bin`, the Dockerfile can copy it.
        let foster = foster.all_names().file("build.sh", &self.script());
        Some(foster.program("env", &["-i", "sh", "-e", "/run/build.sh"]).start())
    }

    /// The first word of each command that the build does not make itself.
    fn programs(&self) -> Vec<String> {
        let command = Regex::new(r#"(?m)^command = \["([\w.-]+)""#).expect("a regular expression");
        command.captures_iter(self.file("foster.toml")).map(|found| found[1].to_owned()).collect()
    }
}

/// The folder of what the Dockerfiles install with pip.
fn python_folder() -> PathBuf {
    repository().join("target/python/bin")
}

impl Recipe {
    /// A shell script that carries out the Dockerfile and becomes its `CMD`.
    fn script(&self) -> String {
        let mut lines = vec![
            format!(
                "export PATH={}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root",
                python_folder().display()
            ),
            // The interpreter of the folder above may be below root's home.
            "umask 022; chmod o+x /root; cd /".to_owned(),
        ];
        let joined = self.file("Dockerfile").replace("\\\n", " ");
        let mut become_user = String::new();
        for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (instruction, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            match instruction {
                "FROM" | "HEALTHCHECK" | "EXPOSE" | "VOLUME" => {}
                "COPY" => lines.push(copy(rest)),
                // Installed here already.
                "RUN" if rest.starts_with("apt-get ") || rest.starts_with("pip ") => {}
                "RUN" => lines.push(format!("( {rest} )")),
                "ENV" => lines.push(format!("export {rest}")),
                "WORKDIR" => lines.push(format!("mkdir -p {rest}; cd {rest}")),
                "USER" => {
                    let (user, group) = rest.split_once(':').unwrap_or((rest, rest));
                    become_user =
                        format!("setpriv --reuid {user} --regid {group} --clear-groups --bounding-set -all ");
                }
                "CMD" => {
                    if self.is_read_only {
                        lines.push("mount -o remount,bind,ro / && mount -o remount,bind,ro /run".to_owned());
                    }
                    let command: Vec<String> = serde_json::from_str(rest).expect("the list of CMD");
                    lines.push(format!("exec env -u PWD -u OLDPWD {become_user}{}", command.join(" ")));
                }
                _ => panic!("the cookbook's Dockerfiles have no `{instruction}` so far"),
            }
        }
        lines.join("\n")
    }
}

/// `COPY [--from=foster] [--chmod=MODE] SOURCE… TARGET` of plain files.
fn copy(rest: &str) -> String {
    let (options, names): (Vec<&str>, Vec<&str>) = rest.split(' ').partition(|word| word.starts_with("--"));
    let mode = options.iter().find_map(|option| option.strip_prefix("--chmod=")).unwrap_or("644");
    let Some((target, sources)) = names.split_last() else { panic!("COPY {rest}") };
    if options.contains(&"--from=foster") {
        return format!("install -D /run/bin/foster {target}");
    }
    let into = if target.ends_with('/') {
        format!("mkdir -p {target}; install -t")
    } else {
        "install -D -T".to_owned()
    };
    let sources: Vec<String> = sources.iter().map(|source| format!("/run/context/{source}")).collect();
    match into.contains("-t") {
        true => format!("{into} {target} -m {mode} {}", sources.join(" ")),
        false => format!("{into} -m {mode} {} {target}", sources.join(" ")),
    }
}

/// Sends a GET to a port in the container's network.
pub(super) fn request(foster: &Running, port: u16, target: &str) -> Option<(u16, String)> {
    in_network_of(foster, || get(port, target))
}

/// Calls this with the container's network.
pub(super) fn in_network_of<T: Send>(foster: &Running, call: impl FnOnce() -> T + Send) -> T {
    let network = File::open(format!("/proc/{}/ns/net", foster.pid())).expect("the network of the container");
    thread::scope(|scope| {
        // setns(2) changes the calling thread alone.
        let inside = scope.spawn(|| {
            setns(network, CloneFlags::CLONE_NEWNET).expect("root");
            call()
        });
        inside.join().expect("no panic")
    })
}

/// Runs a command in the container, as `docker exec` does.
pub(super) fn inside(foster: &Running, command: &[&str]) -> Finished {
    run(inside_command(foster, command))
}

pub(super) fn inside_command(foster: &Running, command: &[&str]) -> Command {
    let pid = foster.pid().to_string();
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", &pid, "--mount", "--net", "--pid", "--root", "--wd", "--"]).args(command);
    nsenter.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    nsenter
}
