//! `foster exec`: a command in the environment of a program.

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

/// A client with another environment and another working directory, as with `docker exec`.
fn client_command(foster: &Running, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("exec").args(arguments).current_dir("/").env_clear();
    command.env("FOSTER_SOCKET", foster.path("foster.sock")).env("COLOUR", "red").env("STRANGE", "1");
    command.stdin(Stdio::null());
    command
}

fn output_of(mut command: Command) -> String {
    let output = command.output().expect("a client");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_command_gets_the_environment_files_and_secrets_of_the_program() {
    let keys = "environment = { WON = 'written', EXPANDED = '${COLOUR}' }\nenv_file = 'a.env'\nsecrets = { TOKEN = 'token' }";
    let foster = started(app(keys).file("a.env", "WON=a\nFROM_FILE='a b'\n").file("token", "hunter2\n"));
    let seen = output_of(client_command(&foster, &["app", "--", "puppet", "env"]));
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
    // A changed configuration file has no effect; a changed secret is read.
    std::fs::write(foster.path("foster.toml"), "[program.app\n").expect("a broken file");
    std::fs::write(foster.path("token"), "hunter3").expect("a new secret");
    assert!(
        output_of(client_command(&foster, &["app.0", "--", "puppet", "env"])).contains("TOKEN=hunter3\n")
    );
}

#[test]
fn an_inherited_environment_may_be_large_and_of_any_bytes() {
    let long = "é".repeat(50_000);
    let foster = started(app("").env("LONG", &long).env("LINES_", "a\nb"));
    let seen = output_of(client_command(&foster, &["app", "puppet", "env"]));
    assert!(seen.contains(&format!("LONG={long}\n")) && seen.contains("LINES_=a\nb\n"));
}

#[test]
fn a_program_that_inherits_no_environment_inherits_none_in_exec() {
    let foster = started(app("inherit_environment = false\nenvironment = { MINE = '1' }"));
    let seen = output_of(client_command(&foster, &["app", "puppet", "env"]));
    assert!(seen.contains("MINE=1\n") && seen.contains("PATH=") && !seen.contains("COLOUR"), "{seen}");
}

#[test]
fn the_command_gets_the_directory_umask_and_limits_of_the_program() {
    let keys = "directory = 'sub'\numask = '027'\nlimits = { nofile = [100, 200] }";
    let config = format!(
        "[program.app]\ncommand = 'puppet touch:../up pause'\n{keys}\n[program.plain]\ncommand = 'puppet pause'\n"
    );
    let foster = started(Foster::new().config(&config).file("sub/x", ""));
    let folder = foster.path("").canonicalize().expect("a folder").display().to_string();
    let script = "pwd; umask; ulimit -Sn; ulimit -Hn";
    let seen = output_of(client_command(&foster, &["app", "--", "sh", "-c", script]));
    assert_eq!(seen, format!("{folder}/sub\n0027\n100\n200\n"));
    // Without `directory` the command runs in foster's directory, not in the client's.
    let seen = output_of(client_command(&foster, &["plain", "--", "sh", "-c", "pwd"]));
    assert_eq!(seen, format!("{folder}\n"));
}

#[test]
fn the_command_gets_the_user_groups_and_capabilities_of_the_program() {
    if !may_make_namespaces() {
        return;
    }
    let keys = "user = '12345:54321'\ncapabilities = ['net_bind_service']\nno_new_privileges = true";
    let config = format!("[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n{keys}\n");
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    let seen = output_of(client_command(&foster, &["app", "cat", "/proc/self/status"]));
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
fn without_a_user_in_the_configuration_root_becomes_fosters_user() {
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
    // The client is root outside of the container's root directory, and enters foster's working directory.
    let mut command = client_command(&foster, &["app", "--", "cat", "/proc/self/status"]);
    command.env("FOSTER_SOCKET", &socket);
    let seen = output_of(command);
    assert!(seen.contains("Uid:\t12345\t12345\t12345\t12345"), "{seen}");
}

#[test]
fn the_command_keeps_the_descriptors_of_the_client_and_its_exit_status_is_returned() {
    let foster = started(app(""));
    let mut echo =
        client_command(&foster, &["app", "--", "sh", "-c", "cat; cat <&7; echo oops >&2; exit 42"]);
    let script = "printf 'from stdin\\n' | \"$0\" \"$@\" 7<<E\nfrom 7\nE";
    let arguments: Vec<_> = echo.get_args().map(ToOwned::to_owned).collect();
    echo = Command::new("sh");
    echo.args(["-c", script]).arg(binary()).args(arguments);
    echo.env("FOSTER_SOCKET", foster.path("foster.sock"));
    let output = echo.output().expect("a shell");
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from stdin\nfrom 7\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
    let killed = client_command(&foster, &["app", "sh", "-c", "kill -TERM $$"]).output().expect("a client");
    assert_eq!(killed.status.signal(), Some(15));
}

#[test]
fn the_command_replaces_the_client_and_a_closed_pipe_kills_it() {
    let foster = started(app(""));
    let mut client = client_command(&foster, &["app", "puppet", "ids"]);
    client.process_group(0);
    let seen = output_of(client);
    let session = nix::unistd::getsid(None).expect("a session");
    assert!(seen.contains(&format!("sid={session}")), "{seen}");
    // Rust's runtime ignores SIGPIPE: a command that inherited that would write forever.
    let mut client =
        client_command(&foster, &["app", "yes"]).stdout(Stdio::piped()).spawn().expect("a client");
    drop(client.stdout.take());
    assert_eq!(client.wait().expect("its end").signal(), Some(13));
}

#[test]
fn the_exit_status_distinguishes_the_failures() {
    let keys = "env_file = '-later.env'";
    let foster = started(app(keys).file("text", "no program"));
    let status = |arguments: &[&str]| {
        let output = client_command(&foster, arguments).output().expect("a client");
        (output.status.code().expect("a code"), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = status(&["app", "--", "no-such-command"]);
    assert!(
        code == 127 && message.contains("cannot run the command as `app`: `no-such-command` is not in PATH"),
        "{message}"
    );
    assert_eq!(status(&["app", "./missing"]).0, 127);
    assert_eq!(status(&["app", "./text"]).0, 126);
    assert_eq!(status(&["app", "/etc"]).0, 126);
    let (code, message) = status(&["ap", "true"]);
    assert!(code == 1 && message.contains("did you mean `app`?"), "{message}");
    assert_eq!(status(&["app"]).0, 2);
    std::fs::write(foster.path("later.env"), "no assignment\n").expect("a file");
    let (code, message) = status(&["app", "true"]);
    assert!(code == 1 && message.contains("later.env"), "{message}");
    let absent = Command::new(binary()).args(["exec", "--socket", "/no/such.sock", "app", "true"]).output();
    assert_eq!(absent.expect("a client").status.code(), Some(4));
}

#[test]
fn exec_works_for_a_program_that_is_not_running_and_not_for_several() {
    let config = "[program.a]\ncommand = 'no-such-command'\nautostart = false\n[program.b]\ncommand = 'puppet touch:up pause'\n";
    let foster = started(Foster::new().config(config));
    assert_eq!(output_of(client_command(&foster, &["a", "puppet", "print:here"])), "here\n");
    let output = client_command(&foster, &["all", "true"]).output().expect("a client");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("`all` means several programs: name one of them"), "{message}");
}

#[test]
fn root_runs_nothing_with_its_privileges_for_another_users_supervisor() {
    if !may_make_namespaces() {
        return;
    }
    // The client does not trust the users and capabilities that the supervisor sends.
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
    let mut command = client_command(&foster, &["app", "--", "cat", "/proc/self/status"]);
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
