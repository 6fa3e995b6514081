//! An ecosystem file of JavaScript that changes while its apps run: `foster update`, SIGHUP, and `pm2 reload FILE`.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use super::sessions::links;
use super::{row, running};
use crate::support::Running;

const SCRIPT: &str = "console.log(`level ${process.env.LEVEL}`); setInterval(() => {}, 1000);";

fn app(name: &str, level: u32) -> String {
    format!("{{ name: '{name}', cwd: __dirname, script: 'app.js', env: {{ LEVEL: {level} }} }}")
}

fn write(foster: &Running, text: &str) {
    fs::write(foster.path("ecosystem.config.js"), text).expect("a file");
}

fn export(apps: &[String]) -> String {
    format!("const {{ readFileSync }} = require('fs'); module.exports = {{ apps: [{}] }};", apps.join(", "))
}

#[test]
fn an_update_runs_the_file_again_and_applies_what_changed() {
    let Some(foster) = running(SCRIPT, &[app("stays", 1), app("changes", 1)].join(", ")) else { return };
    foster.wait_for_line(r"stays +\| level 1");
    foster.wait_for_line(r"changes +\| level 1");
    let stays = row(&foster, "stays")["pid"].clone();
    write(&foster, &export(&[app("stays", 1), app("changes", 2), app("comes", 3)]));
    let preview = foster.verb(&["update", "--dry-run"]).expect(0);
    assert!(preview.text().contains("comes"), "{}", preview.text());
    foster.verb(&["update"]).expect(0);
    foster.wait_for_line(r"changes +\| level 2");
    foster.wait_for_line(r"comes +\| level 3");
    write(&foster, &export(&[app("stays", 1), app("changes", 4)]));
    foster.signal(Signal::SIGHUP);
    foster.wait_for_line(r"changes +\| level 4");
    foster.wait_for("`comes` is removed", || foster.row("comes").is_none());
    assert_eq!(row(&foster, "stays")["pid"], stays);

    // Called `pm2`.
    write(&foster, &export(&[app("stays", 1), app("changes", 5)]));
    let programs = links();
    let mut reload = Command::new(programs.path().join("pm2"));
    reload.args(["reload", "ecosystem.config.js", "--update-env"]);
    reload.env("FOSTER_SOCKET", foster.path("foster.sock"));
    let output = reload.output().expect("pm2");
    assert!(output.status.success(), "{output:?}");
    foster.wait_for_line(r"changes +\| level 5");
    assert_eq!(row(&foster, "stays")["pid"], stays);
}

#[test]
fn an_update_from_a_file_that_cannot_be_run_changes_nothing() {
    let Some(foster) = running(SCRIPT, &app("web", 1)) else { return };
    foster.wait_for_line("level 1");
    foster.wait_for("`web` is ready", || row(&foster, "web")["ready"] == true);
    let before = row(&foster, "web")["pid"].clone();
    for (text, expected) in [
        (
            "\n\nthrow new Error('no DATABASE_URL');",
            "ecosystem.config.js:3:1: error: this file cannot be run: Error: no DATABASE_URL",
        ),
        ("for (;;) {}", "this file did not end within 4 s"),
        ("module.exports = { apps: [{ name: 'web' }] };", "app `web` has no `script`"),
        ("process.kill(process.ppid, 'SIGKILL');", "was killed by SIGKILL"),
    ] {
        write(&foster, text);
        let refused = foster.verb(&["update"]).expect(1);
        assert!(refused.text().contains(expected), "{text}: {}", refused.text());
        assert!(refused.text().contains("nothing was changed"), "{text}: {}", refused.text());
    }
    assert_eq!(row(&foster, "web")["pid"], before);
    // What foster waits for is Node, and not the supervisor for the file.
    write(&foster, "for (;;) {}");
    foster.signal(Signal::SIGHUP);
    foster.verb(&["restart", "web"]).expect(0);
    assert_ne!(row(&foster, "web")["pid"], before);
}
