//! The control socket and its verbs.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{End, Following, Foster, Running, binary, may_make_namespaces, resident_kib, rows};

fn three() -> Running {
    let config = "[program.backend]\ncommand = 'puppet report-signals print:words touch:up pause'\nmin_uptime = '1ms'\n[program.web1]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n[program.web2]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    for name in ["backend", "web1", "web2"] {
        foster.wait_for_state(name, "running");
    }
    foster
}

fn states(foster: &Running) -> Vec<String> {
    foster.rows().iter().map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn status_is_a_table_or_rows_with_the_promised_fields() {
    let foster = three();
    let table = foster.verb(&["status"]).expect(0).stdout;
    assert!(table.lines().any(|line| line.starts_with("backend") && line.contains("running")), "{table}");
    let row = foster.row("backend").expect("a row");
    for field in [
        "name",
        "kind",
        "instance",
        "state",
        "pid",
        "uptime_ms",
        "restarts",
        "ready",
        "health",
        "exit",
        "memory_bytes",
    ] {
        assert!(row.get(field).is_some(), "no {field} in {row}");
    }
    assert_eq!(row["kind"], "program");
    assert_eq!(row["ready"], true);
}

#[test]
fn the_memory_of_a_program_is_that_of_all_its_processes_in_a_row_and_in_a_table() {
    let child = "'child:touch:NAME child:pause pause'";
    let program = |name: &str, children: &str| {
        format!(
            "[program.{name}]\ncommand = \"puppet {} touch:up-{name} pause\"\n",
            children.replace("NAME", name)
        )
    };
    let config = format!("{}{}", program("alone", ""), program("family", child));
    let foster = Foster::new().config(&config).start();
    ["up-alone", "up-family", "family"].iter().for_each(|file| foster.wait_for_file(file));
    let memory = |of: &[&str], name: &str| {
        let printed = foster.verb(&[&["status", "--json"], of].concat()).expect(0).stdout;
        let row = rows(&printed).into_iter().find(|row| row["name"] == name).expect("its row");
        row["memory_bytes"].as_u64().expect("its memory")
    };
    for of in [&["family", "alone"][..], &["family"], &[]] {
        let (family, alone) = (memory(of, "family"), memory(&[], "alone"));
        // Three processes of the same program; what each has touched differs a little.
        assert!(family > alone * 2 && family < alone * 6, "{of:?}: {family} of three, {alone} of one");
    }
}

#[test]
fn status_of_a_program_that_is_not_running_is_3() {
    let foster = three();
    foster.verb(&["stop", "web1"]).expect(0);
    foster.verb(&["status", "web1"]).expect(3);
    foster.verb(&["status", "web2"]).expect(0);
}

#[test]
fn status_names_the_program_of_a_lower_tier_that_another_waits_for() {
    let config = "[program.first]\ncommand = 'puppet pause'\npriority = 1\nready = { file = 'go', interval = '10ms' }\n[program.second]\ncommand = 'puppet pause'\npriority = 2\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("first", "starting");
    foster.wait_for_state("second", "waiting");
    let why = "first (starting: not ready yet: go does not exist)";
    foster.wait_for("the first answer of its probe", || {
        foster.row("second").expect("a row")["note"] == format!("waits for {why}")
    });
    let health = foster.verb(&["health", "second"]).expect(1).stdout;
    assert_eq!(health, format!("second: waiting for {why}\n"));
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("second", "running");
}

#[test]
fn a_name_may_be_an_instance_a_glob_or_all() {
    let foster = three();
    foster.verb(&["stop", "backend.0"]).expect(0);
    assert_eq!(states(&foster), ["stopped", "running", "running"]);
    foster.verb(&["stop", "web*"]).expect(0);
    assert_eq!(states(&foster), ["stopped", "stopped", "stopped"]);
    foster.verb(&["start", "all"]).expect(0);
    assert_eq!(states(&foster), ["running", "running", "running"]);
}

#[test]
fn an_unknown_name_fails_with_the_nearest_one() {
    let foster = three();
    let output = foster.verb(&["stop", "bakcend"]).expect(1).text();
    assert!(output.contains("bakcend") && output.contains("backend"), "{output}");
    assert_eq!(states(&foster), ["running", "running", "running"]);
}

#[test]
fn an_order_returns_when_it_is_done_and_succeeds_if_there_is_nothing_to_do() {
    let foster = three();
    let before = foster.pid_of("backend");
    foster.verb(&["restart", "backend"]).expect(0);
    assert_ne!(foster.pid_of("backend"), before);
    foster.verb(&["start", "backend"]).expect(0);
    foster.verb(&["stop", "web1"]).expect(0);
    foster.verb(&["stop", "web1"]).expect(0);
}

#[test]
fn a_failed_order_names_the_program() {
    let config = "[program.good]\ncommand = 'puppet pause'\n[program.bad]\ncommand = 'puppet exit:1'\nautostart = false\nstart_limit = 1\non_failure = 'ignore'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("good", "running");
    let output = foster.verb(&["start", "bad"]).expect(1).text();
    assert!(output.contains("bad"), "{output}");
    foster.verb(&["start", "--no-wait", "bad"]).expect(0);
}

#[test]
fn signal_and_reload_reach_the_main_process() {
    let config =
        "[program.backend]\ncommand = 'puppet report-signals touch:up pause'\nreload_signal = 'HUP'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("backend", "running");
    foster.verb(&["signal", "USR1", "backend"]).expect(0);
    foster.wait_for_line("got USR1");
    foster.verb(&["reload", "backend"]).expect(0);
    foster.wait_for_line("got HUP");
}

#[test]
fn logs_are_the_last_lines_of_output() {
    let foster = three();
    foster.wait_for_line("words");
    let output = foster.verb(&["logs", "-n", "1", "backend"]).expect(0).stdout;
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains("words"), "{output}");
}

#[test]
fn wait_returns_when_the_program_is_ready_or_at_its_timeout() {
    let config = "[program.app]\ncommand = 'puppet pause'\nready = { file = 'go', interval = '10ms' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "starting");
    foster.verb(&["wait", "--timeout", "50ms", "app"]).expect(1);
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.verb(&["wait", "--timeout", "20s", "app"]).expect(0);
}

#[test]
fn a_wait_that_a_shutdown_ends_says_so() {
    let config = "[program.app]\ncommand = 'puppet trap:TERM:touch:asked trap:TERM:wait-file:end trap:TERM:exit:0 touch:up pause'\nready = { file = 'go' }\n";
    let mut foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    foster.wait_for_file("asked");
    let answer = foster.verb(&["wait", "app"]).expect(1).stdout;
    assert_eq!(answer, "app: not ready: foster is shutting down\n");
    std::fs::write(foster.path("end"), "").expect("a file");
    assert_eq!(foster.wait_exit(), End::Code(0));
}

#[test]
fn health_exits_only_with_0_or_1() {
    let config = "[program.app]\ncommand = 'puppet pause'\nready = { file = 'go', interval = '10ms' }\n[program.other]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "starting");
    let output = foster.verb(&["health"]).expect(1).text();
    assert!(output.contains("app"), "{output}");
    foster.wait_for_state("other", "running");
    foster.verb(&["health", "other"]).expect(0);
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("app", "running");
    foster.verb(&["health"]).expect(0);
    foster.verb(&["stop", "app"]).expect(0);
    foster.verb(&["health"]).expect(0);
    Foster::new().finish(&["--socket", "/no/such.sock", "health"]).expect(1);
}

#[test]
fn shutdown_ends_the_container_with_status_0() {
    let mut foster = three();
    foster.verb(&["shutdown"]).expect(0);
    assert_eq!(foster.wait_exit(), End::Code(0));
}

#[test]
fn exit_statuses_distinguish_wrong_usage_from_a_missing_supervisor() {
    Foster::new().finish(&["stopp", "all"]).expect(2);
    Foster::new().finish(&["status", "--no-such-flag"]).expect(2);
    Foster::new().finish(&["--socket", "/no/such.sock", "status"]).expect(4);
    Foster::new().finish(&["version"]).expect(0);
    let help = Foster::new().finish(&["help"]).expect(0).stdout;
    for verb in [
        "run", "check", "status", "start", "stop", "restart", "reload", "signal", "logs", "wait", "health",
        "shutdown",
    ] {
        assert!(help.contains(verb), "{verb}\n{help}");
    }
}

#[test]
fn the_socket_has_mode_700() {
    let foster = three();
    let mode = std::fs::metadata(foster.path("foster.sock")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}

#[test]
fn hostile_clients_delay_no_other_client_and_their_cost_is_bounded() {
    let foster = three();
    let connect = || UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    let before = resident_kib(foster.pid());
    // Silent clients, kept open.
    let silent: Vec<UnixStream> = (0..50).map(|_| connect()).collect();
    for garbage in [&b"\xff\xfe\0\n"[..], b"{\n", b"[]\n", b"{\"verb\":\"no\"}\n", b"null\n"] {
        let mut client = connect();
        client.write_all(garbage).expect("a write");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        // An answer or the end of the connection, but never silence.
        let mut answer = [0; 4096];
        assert!(client.read(&mut answer).is_ok(), "silence after {garbage:?}");
    }
    // A request without a line end: refused once it exceeds 64 KiB.
    let mut endless = connect();
    endless.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let written = (0..64).map(|_| endless.write(&[b'x'; 65536])).take_while(Result::is_ok).count();
    assert!(written < 64, "4 MiB of one line were taken");
    // A client that disconnects in the middle of a request.
    connect().write_all(b"{\"verb\"").expect("a write");
    let start = Instant::now();
    foster.verb(&["status"]).expect(0);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let after = resident_kib(foster.pid());
    assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB after");
    drop(silent);
}

#[test]
fn an_answer_of_any_size_arrives_complete_and_an_unread_one_delays_no_other_client() {
    let mut config = String::from("[program.up]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n");
    let name = |number: usize| format!("a-program-with-a-name-of-some-length-{number}");
    for number in 0..4_500 {
        config += &format!("[program.{}]\ncommand = 'puppet pause'\nautostart = false\n", name(number));
    }
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("up", "running");
    let mut unread = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    unread.write_all(b"{\"verb\":\"status\"}\n").expect("a request");
    let before = resident_kib(foster.pid());
    for _ in 0..3 {
        let rows = foster.rows();
        assert_eq!(rows.len(), 4_501);
        assert_eq!(rows.last().expect("a row")["name"], name(4_499));
    }
    // The unread answer is stored as a list of instances, not as text of more than a megabyte.
    assert!(resident_kib(foster.pid()) < before + 4_096, "{before}");
    let mut answer = String::new();
    let mut bytes = [0; 65_536];
    while !answer.ends_with("{\"reply\":\"end\"}\n") {
        let count = unread.read(&mut bytes).expect("the answer");
        assert_ne!(count, 0, "{} bytes", answer.len());
        answer += std::str::from_utf8(&bytes[..count]).expect("text");
    }
    assert_eq!(answer.lines().count(), 4_502);
    assert!(answer.len() > 1024 * 1024, "{}", answer.len());
    // The same for an order.
    let output = foster.verb(&["stop", "all"]).expect(0).stdout;
    assert_eq!(output.lines().count(), 4_501);
}

#[test]
fn a_signal_that_cannot_be_sent_is_a_failure_with_the_reason() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.web]\ncommand = 'puppet report-signals pause'\nuser = '12345'\nreload_signal = 'HUP'\nmin_uptime = '1ms'\n[program.plain]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).without("CAP_KILL").start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("plain", "running");
    for verb in
        [["signal", "USR1", "web"].as_slice(), &["reload", "web"], &["signal", "--json", "HUP", "web"]]
    {
        let output = foster.verb(verb).expect(1).stdout;
        assert!(output.contains("cannot send SIG") && output.contains("CAP_KILL"), "{output}");
    }
    let output = foster.verb(&["reload", "plain"]).expect(0).stdout;
    assert!(output.starts_with("plain: restarted (pid "), "{output}");
}

#[test]
fn the_log_names_the_client_that_ordered_a_stop() {
    let mut foster = three();
    foster.verb(&["stop", "web1"]).expect(0);
    foster.wait_for_line(r"web1: stopping \(pid \d+\): `foster stop` \(uid \d+, (?:pid \d+|outside)\)");
    foster.verb(&["restart", "web2"]).expect(0);
    foster.wait_for_line(r"web2: stopping \(pid \d+\): `foster restart` \(uid \d+, (?:pid \d+|outside)\)");
    foster.verb(&["shutdown"]).expect(0);
    foster.wait_for_line(r"shutting down: `foster shutdown` \(uid \d+, (?:pid \d+|outside)\)");
    assert_eq!(foster.wait_exit(), End::Code(0));
}

#[test]
fn status_with_watch_repeats_until_interrupted() {
    let foster = three();
    let mut watching = Following::start(&foster, &["status", "-w"]);
    let tables = watching.next_lines(8);
    assert_eq!(tables.lines().filter(|line| line.starts_with("NAME")).count(), 2, "{tables}");
    assert_eq!(tables.lines().filter(|line| line.starts_with("backend")).count(), 2, "{tables}");
}

#[test]
fn orders_have_json_output() {
    let foster = three();
    let output = foster.verb(&["restart", "--json", "web1", "web2"]).expect(0).stdout;
    let output: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(output["done"], true);
    assert_eq!(output["outcomes"].as_array().expect("outcomes").len(), 2);
}

#[test]
fn health_with_all_counts_stopped_programs() {
    let foster = three();
    foster.verb(&["stop", "web1"]).expect(0);
    foster.verb(&["health"]).expect(0);
    let output = foster.verb(&["health", "--all"]).expect(1).stdout;
    assert_eq!(output, "web1: stopped\n");
    foster.verb(&["health", "web2"]).expect(0);
}

#[test]
fn verbs_find_the_abstract_socket_if_no_file_can_be_created() {
    let client = binary();
    let client = client.display();
    let config = format!(
        "[foster]\nsocket = '/nowhere/foster.sock'\n[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n\
         [program.asks]\ncommand = ['{client}', 'status', '--json', 'web']\nafter = ['web']\nrestart = 'never'\n\
         environment = {{ FOSTER_SOCKET = '' }}\n\
         [program.probes]\ncommand = 'puppet pause'\nready = {{ exec = ['{client}', 'health', 'web'] }}\n\
         environment = {{ FOSTER_SOCKET = '' }}\nafter = ['web']\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_line(
        r"cannot listen at `/nowhere/foster.sock`: .*; verbs find foster at the abstract socket `@foster-",
    );
    foster.wait_for_line(r#""name":"web".*"state":"running""#);
    foster.wait_for_line("probes: ready");
}

#[test]
fn status_shows_the_exit_of_the_last_run_of_a_restarted_program() {
    let config = "[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    foster.verb(&["signal", "KILL", "web"]).expect(0);
    foster.wait_for("a restart", || foster.row("web").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for_state("web", "running");
    assert_eq!(foster.row("web").expect("a row")["note"], "last run was killed by SIGKILL");
}

/// The answer to a request that no verb of foster's sends, as JSON lines.
fn asked(foster: &Running, request: &serde_json::Value) -> String {
    let mut client = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    writeln!(client, "{request}").expect("a request");
    client.shutdown(std::net::Shutdown::Write).expect("an end");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_text_reaches_the_standard_input_of_a_program_and_the_rest_is_reported() {
    let config = "[program.reader]\ncommand = ['sh', '-c', 'while read line; do echo got $line; done']\nstdin = 'open'\n\
        min_uptime = '1ms'\n\
        [program.deaf]\ncommand = 'puppet pause'\nstdin = 'open'\nmin_uptime = '1ms'\n\
        [program.closed]\ncommand = ['sh', '-c', 'exec <&-; echo closed; exec sleep 1000']\nstdin = 'open'\n\
        ready = { log = 'closed' }\n\
        [program.plain]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n\
        [program.two]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\ninstances = 2\n\
        [program.off]\ncommand = 'puppet pause'\nautostart = false\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    let input = |name: &str, text: &str| {
        asked(&foster, &serde_json::json!({ "verb": "input", "name": name, "text": text }))
    };
    assert!(input("reader", "one\ntwo\n").contains("8 bytes written"));
    foster.wait_for_line("got two");
    for (name, why) in [
        ("plain", "plain: its standard input is not a pipe of foster's: `stdin = \\\"open\\\"` makes it one"),
        ("closed", "closed: cannot write to its standard input: Broken pipe"),
        ("off", "off: not running"),
        ("two", "`two` means 2 instances: name one of them"),
        ("nobody", "there is no program `nobody`"),
    ] {
        let answer = input(name, "x\n");
        assert!(answer.contains(why), "{name}: {answer}");
    }
    // A pipe has room for 16 pages (pipe(7)): the rest is reported, and foster waits for nothing.
    let (mut kept, text) = (0, "x".repeat(40_960));
    let answer = loop {
        let answer = input("deaf", &text);
        if !answer.contains("40960 bytes written\"") {
            break answer;
        }
        kept += 1;
    };
    assert!(kept == 1 && answer.contains("24576 bytes written, 16384 not"), "{kept}: {answer}");
    assert!(
        input("deaf", "x").contains("0 bytes written, 1 not: the program does not read its standard input")
    );
    assert!(input("reader", "three\n").contains("6 bytes written"));
    foster.wait_for_line("got three");
}

#[test]
fn output_that_is_cleared_is_gone_from_memory_and_file_of_that_instance_alone() {
    let config = "[program.a]\ncommand = 'puppet print:kept pause'\nmin_uptime = '1ms'\n\
        [program.w]\ncommand = 'puppet print:w${FOSTER_INSTANCE} pause'\nmin_uptime = '1ms'\ninstances = 2\n\
        [program.f]\ncommand = 'puppet print:filed pause'\nmin_uptime = '1ms'\n\
        stdout = { file = 'f.log' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    let log = foster.path("f.log");
    foster.wait_for("the file", || std::fs::read_to_string(&log).is_ok_and(|text| text == "filed\n"));
    let logs = |name: &str| foster.verb(&["logs", name]).stdout;
    foster.wait_for("the lines", || logs("w").lines().count() == 2);
    let answer = asked(&foster, &serde_json::json!({ "verb": "clear", "names": ["w.0", "f"] }));
    assert_eq!(answer.matches("\"message\":\"cleared\"").count(), 2, "{answer}");
    assert_eq!((logs("w"), logs("f"), logs("a")), ("w.1    | w1\n".into(), String::new(), "kept\n".into()));
    assert_eq!(std::fs::read_to_string(&log).expect("a file"), "");
    let answer = asked(&foster, &serde_json::json!({ "verb": "clear", "names": ["nobody"] }));
    assert!(answer.contains("there is no program `nobody`"), "{answer}");
    asked(&foster, &serde_json::json!({ "verb": "clear", "names": [] }));
    assert_eq!(logs("all"), "");
}

#[test]
fn a_program_is_removed_by_an_order_until_the_next_update() {
    let config = "[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\nafter = ['db']\n\
        [program.db]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    let remove = |name: &str| {
        asked(&foster, &serde_json::json!({ "verb": "update", "names": [name], "mode": "remove" }))
    };
    assert!(remove("db").contains("`web` comes after `db`, which would not be there"), "{}", remove("db"));
    assert!(remove("web").contains("stopped and removed"));
    assert_eq!(foster.rows().len(), 1);
    assert!(foster.verb(&["update"]).expect(0).stdout.contains("web: started"));
}
