//! `foster exec`: a command, as the program would be run.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use crate::support::{Foster, Running, binary, may_make_namespaces};

fn app(keys: &str) -> Foster {
    let config = format!("[program.app]\ncommand = 'puppet touch:up pause'\n{keys}\n");
    Foster::new().config(&config).env("COLOUR", "green")
}

fn started(foster: Foster) -> Running {
    let foster = foster.start();
    foster.wait_for_file("up");
    foster
}

/// A client in another environment and another place, as `docker exec` makes one.
fn stranger(foster: &Running, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("exec").args(arguments).current_dir("/").env_clear();
    command.env("FOSTER_SOCKET", foster.path("foster.sock")).env("COLOUR", "red").env("STRANGE", "1");
    command.stdin(Stdio::null());
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().expect("a client");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_environment_is_the_programs_with_files_and_secrets_and_not_the_clients() {
    let keys = "environment = { WON = 'written', EXPANDED = '${COLOUR}' }\nenv_file = 'a.env'\nsecrets = { TOKEN = 'token' }";
    let foster = started(app(keys).file("a.env", "WON=a\nFROM_FILE='a b'\n").file("token", "hunter2\n"));
    let seen = said(stranger(&foster, &["app", "--", "puppet", "env"]));
    for line in [
        "WON=written",
        "EXPANDED=green",
        "COLOUR=green",
        "FROM_FILE=a b",
        "TOKEN=hunter2",
        "FOSTER_PROGRAM=app",
        "FOSTER_INSTANCE=0",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line}\n{seen}");
    }
    assert!(!seen.contains("STRANGE") && !seen.contains("FOSTER_SOCKET"), "{seen}");
    // A changed configuration on the disk is nothing to it; a changed secret is read.
    std::fs::write(foster.path("foster.toml"), "[program.app\n").expect("a broken file");
    std::fs::write(foster.path("token"), "hunter3").expect("a new secret");
    assert!(said(stranger(&foster, &["app.0", "--", "puppet", "env"])).contains("TOKEN=hunter3\n"));
}

#[test]
fn an_inherited_environment_may_be_large_and_of_any_bytes() {
    let long = "é".repeat(50_000);
    let foster = started(app("").env("LONG", &long).env("LINES_", "a\nb"));
    let seen = said(stranger(&foster, &["app", "puppet", "env"]));
    assert!(seen.contains(&format!("LONG={long}\n")) && seen.contains("LINES_=a\nb\n"));
}

#[test]
fn a_closed_environment_is_closed_here_too() {
    let foster = started(app("inherit_environment = false\nenvironment = { MINE = '1' }"));
    let seen = said(stranger(&foster, &["app", "puppet", "env"]));
    assert!(seen.contains("MINE=1\n") && seen.contains("PATH=") && !seen.contains("COLOUR"), "{seen}");
}

#[test]
fn the_directory_mask_and_limits_are_the_programs() {
    let keys = "directory = 'sub'\numask = '027'\nlimits = { nofile = [100, 200] }";
    let config = format!(
        "[program.app]\ncommand = 'puppet touch:../up pause'\n{keys}\n[program.plain]\ncommand = 'puppet pause'\n"
    );
    let foster = started(Foster::new().config(&config).file("sub/x", ""));
    let folder = foster.path("").canonicalize().expect("a folder").display().to_string();
    let script = "pwd; umask; ulimit -Sn; ulimit -Hn";
    let seen = said(stranger(&foster, &["app", "--", "sh", "-c", script]));
    assert_eq!(seen, format!("{folder}/sub\n0027\n100\n200\n"));
    // What the program does not say is foster's, not the client's.
    let seen = said(stranger(&foster, &["plain", "--", "sh", "-c", "pwd"]));
    assert_eq!(seen, format!("{folder}\n"));
}

#[test]
fn the_user_its_groups_and_its_capabilities_are_the_programs() {
    if !may_make_namespaces() {
        return;
    }
    let keys = "user = '12345:54321'\ncapabilities = ['net_bind_service']\nno_new_privileges = true";
    let config = format!("[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n{keys}\n");
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    let seen = said(stranger(&foster, &["app", "cat", "/proc/self/status"]));
    for line in [
        "Uid:\t12345\t12345\t12345\t12345",
        "Gid:\t54321\t54321\t54321\t54321",
        "Groups:\t54321 ",
        "CapEff:\t0000000000000400",
        "CapBnd:\t0000000000000400",
        "NoNewPrivs:\t1",
    ] {
        assert!(seen.lines().any(|seen| seen.trim_end() == line.trim_end()), "{line}\n{seen}");
    }
}

#[test]
fn root_becomes_fosters_own_user_where_the_program_has_none() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n[foster]\nsocket = '/tmp/foster.sock'\n";
    let foster = Foster::new().config(config).uid(12345).scratch_root();
    let socket = foster.folder().join("tmp/foster.sock");
    std::fs::create_dir_all(socket.parent().expect("tmp")).expect("tmp");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(socket.parent().expect("tmp"), open).expect("its mode");
    let foster = foster.start();
    foster.wait_for("the socket", || socket.exists());
    // Root, from the outside: the working directory of foster is this one's root, and that is entered.
    let mut command = stranger(&foster, &["app", "--", "cat", "/proc/self/status"]);
    command.env("FOSTER_SOCKET", &socket);
    let seen = said(command);
    assert!(seen.contains("Uid:\t12345\t12345\t12345\t12345"), "{seen}");
}

#[test]
fn the_descriptors_are_the_clients_and_the_status_is_the_commands() {
    let foster = started(app(""));
    let mut echo = stranger(&foster, &["app", "--", "sh", "-c", "cat; cat <&7; echo oops >&2; exit 42"]);
    let script = "printf 'from stdin\\n' | \"$0\" \"$@\" 7<<E\nfrom 7\nE";
    let arguments: Vec<_> = echo.get_args().map(ToOwned::to_owned).collect();
    echo = Command::new("sh");
    echo.args(["-c", script]).arg(binary()).args(arguments);
    echo.env("FOSTER_SOCKET", foster.path("foster.sock"));
    let output = echo.output().expect("a shell");
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from stdin\nfrom 7\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
    let killed = stranger(&foster, &["app", "sh", "-c", "kill -TERM $$"]).output().expect("a client");
    assert_eq!(killed.status.signal(), Some(15));
}

#[test]
fn the_command_is_the_client_itself_in_its_own_session_and_a_closed_pipe_ends_it() {
    let foster = started(app(""));
    let mut client = stranger(&foster, &["app", "puppet", "ids"]);
    client.process_group(0);
    let seen = said(client);
    let session = nix::unistd::getsid(None).expect("a session");
    assert!(seen.contains(&format!("sid={session}")), "{seen}");
    // Rust's runtime ignores SIGPIPE: a command that relied on it would write for ever.
    let mut client = stranger(&foster, &["app", "yes"]).stdout(Stdio::piped()).spawn().expect("a client");
    drop(client.stdout.take());
    assert_eq!(client.wait().expect("its end").signal(), Some(13));
}

#[test]
fn what_goes_wrong_is_told_apart_by_the_status() {
    let keys = "env_file = '-later.env'";
    let foster = started(app(keys).file("text", "no program"));
    let status = |arguments: &[&str]| {
        let output = stranger(&foster, arguments).output().expect("a client");
        (output.status.code().expect("a code"), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, words) = status(&["app", "--", "no-such-command"]);
    assert!(
        code == 127 && words.contains("cannot run it as `app` would: `no-such-command` is not in PATH"),
        "{words}"
    );
    assert_eq!(status(&["app", "./missing"]).0, 127);
    assert_eq!(status(&["app", "./text"]).0, 126);
    assert_eq!(status(&["app", "/etc"]).0, 126);
    let (code, words) = status(&["ap", "true"]);
    assert!(code == 1 && words.contains("did you mean `app`?"), "{words}");
    assert_eq!(status(&["app"]).0, 2);
    std::fs::write(foster.path("later.env"), "no assignment\n").expect("a file");
    let (code, words) = status(&["app", "true"]);
    assert!(code == 1 && words.contains("later.env"), "{words}");
    let nobody = Command::new(binary()).args(["exec", "--socket", "/no/such.sock", "app", "true"]).output();
    assert_eq!(nobody.expect("a client").status.code(), Some(4));
}

#[test]
fn a_program_that_does_not_run_can_be_had_and_several_cannot() {
    let config = "[program.a]\ncommand = 'no-such-command'\nautostart = false\n[program.b]\ncommand = 'puppet touch:up pause'\n";
    let foster = started(Foster::new().config(config));
    assert_eq!(said(stranger(&foster, &["a", "puppet", "print:here"])), "here\n");
    let output = stranger(&foster, &["all", "true"]).output().expect("a client");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("`all` means several programs: name one of them"), "{words}");
}

#[test]
fn root_takes_no_rights_from_a_supervisor_that_is_not_roots() {
    if !may_make_namespaces() {
        return;
    }
    // What it says of users, groups and capabilities is not believed: it has none of them to give.
    let keys = "user = '-root'\ncapabilities = ['sys_admin', 'dac_override']\nmin_uptime = '1ms'";
    let config =
        format!("[program.app]\ncommand = 'puppet pause'\n{keys}\n[foster]\nsocket = '/tmp/foster.sock'\n");
    let foster = Foster::new().config(&config).uid(12345).scratch_root();
    let socket = foster.folder().join("tmp/foster.sock");
    std::fs::create_dir_all(socket.parent().expect("tmp")).expect("tmp");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(socket.parent().expect("tmp"), open).expect("its mode");
    let foster = foster.start();
    foster.wait_for("the socket", || socket.exists());
    let mut command = stranger(&foster, &["app", "--", "cat", "/proc/self/status"]);
    command.env("FOSTER_SOCKET", &socket);
    let output = command.output().expect("a client");
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        assert!(seen.contains("Uid:\t12345\t12345\t12345\t12345"), "{seen}");
        assert!(seen.contains("CapEff:\t0000000000000000"), "{seen}");
    } else {
        assert!(!seen.contains("Uid:"), "{output:?}");
    }
}
