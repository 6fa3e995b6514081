//! Completion in real shells: bash and zsh by keys, fish by `complete -C`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Foster, Running, Terminal, binary, found, run};

const CONFIG: &str =
    "[program.backend]\ncommand = 'puppet pause'\n[program.worker]\ncommand = 'puppet pause'\n";

fn container() -> Running {
    let foster = Foster::new().config(CONFIG).file("another.toml", CONFIG).start();
    foster.wait_for_state("backend", "running");
    foster.wait_for_state("worker", "running");
    foster
}

/// A shell in the container's directory, with this foster in PATH and its socket in the environment.
fn shell(program: &Path, foster: &Running) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").expect("PATH");
    let binary = binary();
    command.env("PATH", format!("{}:{path}", binary.parent().expect("a directory").display()));
    command.env("FOSTER_SOCKET", foster.path("foster.sock")).env_remove("FOSTER_CONFIG");
    command.env("HOME", foster.path("")).current_dir(foster.path(""));
    command
}

/// Checks the completions of this shell for the tab key.
fn check_completion(mut terminal: Terminal) {
    terminal.press("foster vers\t\n");
    terminal.wait_for(concat!("^foster ", env!("CARGO_PKG_VERSION")));
    terminal.press("foster stop --no-w\tback\t\n");
    terminal.wait_for("^backend: ");
    terminal.press("foster status --js\twor\t\n");
    terminal.wait_for("\"name\":\"worker\"");
    terminal.press("foster check -c ano\t\n");
    terminal.wait_for("^another.toml: 2 programs");
    terminal.press("foster signal HU\tall\t\n");
    terminal.wait_for("^worker: .*HUP");
    // Twice: after the first one the shell knows that there are several candidates.
    terminal.press("foster re\t\t");
    terminal.wait_for(r"reload\s+(restart|-- Make programs)");
}

#[test]
fn bash_completes_verbs_flags_files_signals_and_program_names() {
    let Some(bash) = found("bash") else { return };
    let foster = container();
    // Turns off the escape sequences that readline writes around each line.
    let rc = "bind 'set enable-bracketed-paste off'\nsource <(foster completions bash)\n";
    fs::write(foster.path("rc"), rc).expect("a file");
    let mut command = shell(&bash, &foster);
    command.args(["--noprofile", "--rcfile", "rc", "-i"]);
    check_completion(Terminal::start(&command));
}

#[test]
fn zsh_completes_verbs_flags_files_signals_and_program_names() {
    let Some(zsh) = found("zsh") else { return };
    let foster = container();
    let rc = "autoload -Uz compinit\ncompinit -D -u\nsource <(foster completions zsh)\n";
    fs::write(foster.path(".zshrc"), rc).expect("a file");
    let mut command = shell(&zsh, &foster);
    command.args(["-d", "-i"]).env("ZDOTDIR", foster.path(""));
    check_completion(Terminal::start(&command));
}

#[test]
fn zsh_finds_the_script_in_fpath() {
    let Some(zsh) = found("zsh") else { return };
    let foster = container();
    let script = foster.verb(&["completions", "zsh"]).expect(0).stdout;
    fs::write(foster.path("_foster"), script).expect("a file");
    fs::write(foster.path(".zshrc"), "fpath=($ZDOTDIR $fpath)\nautoload -Uz compinit\ncompinit -D -u\n")
        .expect("a file");
    let mut command = shell(&zsh, &foster);
    command.args(["-d", "-i"]).env("ZDOTDIR", foster.path(""));
    check_completion(Terminal::start(&command));
}

#[test]
fn fish_completes_verbs_flags_files_signals_and_names_with_descriptions() {
    let Some(fish) = found("fish") else { return };
    let foster = container();
    let completed = |line: &str| {
        let mut command = shell(&fish, &foster);
        let script = format!("foster completions fish | source; complete -C '{line}'");
        command.args(["--no-config", "-c", &script]).env("XDG_CONFIG_HOME", foster.path("config"));
        run(command).expect(0).stdout
    };
    assert_eq!(completed("foster vers"), "version\tPrint the version\n");
    let verbs = completed("foster st");
    assert!(verbs.contains("status\tShow the state of programs\n") && verbs.contains("stop\t"), "{verbs}");
    assert!(completed("foster stop --no").starts_with("--no-wait\tReturn at once"));
    assert_eq!(completed("foster stop back"), "backend\trunning\n");
    assert_eq!(completed("foster stop "), "all\tevery program\nbackend\trunning\nworker\trunning\n");
    assert_eq!(completed("foster signal HU"), "HUP\n");
    assert!(completed("foster check -c ano").starts_with("another.toml"));
    assert_eq!(completed("foster shutdown "), "");
}

#[test]
fn without_a_supervisor_no_name_is_completed_and_nothing_is_printed() {
    let finished =
        Foster::new().env("FOSTER_SOCKET", "/nowhere").finish(&["completions", "bash", "--", "stop", ""]);
    assert_eq!((finished.code, finished.text().as_str()), (0, ""));
}
