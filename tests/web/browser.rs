//! The page in a real Chromium, driven by `page.mjs` with playwright-core.
//!
//! `SCREENSHOTS` of the environment is a folder for pictures. Next: `tests/browser/session.mjs`.

use std::process::{Command, Stdio};

use super::{free_port, helper};
use crate::support::{Foster, found, repository};

const PROGRAMS: &str = r#"
[program.backend]
command = "puppet print:hello pause"
health = { exec = ["true"] }

[program.worker]
command = "puppet pause"

[program.ticker]
command = ["sh", "-c", 'echo "<script>alert(1)</script>"; i=0; while :; do i=$((i+1)); echo "tick $i"; sleep 0.1; done']

[program.broken]
command = "/no/such/program-with-a-name-that-is-much-longer-than-any-narrow-window-could-show-without-a-break"
on_failure = "ignore"
start_limit = 1

[task.migrate]
command = "puppet exit:0"

[job.backup]
command = "puppet exit:0"
schedule = "@daily"
"#;

#[test]
fn the_page_works_in_a_browser_with_and_without_javascript_wide_and_narrow() {
    let (Some(chromium), Some(node), Some(npm)) = (found("chromium"), found("node"), found("npm")) else {
        return;
    };
    let browser = repository().join("tests/browser");
    if !browser.join("node_modules/playwright-core").exists() {
        let status = Command::new(npm).args(["ci", "--silent"]).current_dir(&browser).status();
        assert!(status.expect("npm").success(), "npm ci");
    }
    let port = free_port();
    let config = format!("[web]\nlisten = \"127.0.0.1:{port}\"\ncontrol = true\n{PROGRAMS}");
    let foster = Foster::new().config(&config).all_names().start();
    foster.wait_for_state("backend", "running");
    foster.wait_for_state("worker", "running");
    foster.wait_for_state("broken", "fatal");
    helper(&foster);
    let output = Command::new(node)
        .arg(repository().join("tests/web/page.mjs"))
        .env("CHROMIUM", chromium)
        .env("BASE_URL", format!("http://127.0.0.1:{port}/"))
        .env("FOSTER", foster.path("bin/foster"))
        .env("FOSTER_SOCKET", foster.path("foster.sock"))
        .stdin(Stdio::null())
        .output()
        .expect("node");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    // Every step was done.
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 20, "{text}");
}
