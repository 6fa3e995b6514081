//! `[web]`: the page, its buttons, metrics and health, by a client of HTTP; what PID 1 has to do with it, and what strangers
//! may not. The page in a browser: `web/browser.rs`.

mod browser;
mod client;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Foster, Running, may_make_namespaces, python_with, repository};
use client::Address;

/// A foster with a web server at a Unix socket in its folder.
fn start(keys: &str, programs: &str) -> (Running, Address) {
    start_in(Foster::new(), keys, programs)
}

fn start_in(foster: Foster, keys: &str, programs: &str) -> (Running, Address) {
    let path = foster.folder().join("web.sock");
    let config = format!("[web]\nlisten = \"unix://{}\"\n{keys}\n{programs}", path.display());
    let running = foster.config(&config).start();
    running.wait_for_file("web.sock");
    (running, Address::Unix(path))
}

const BACKEND: &str = "[program.backend]\ncommand = \"puppet print:hello pause\"\n";

/// A port that no process listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The pid of the helper in the tests' namespace.
fn helper(foster: &Running) -> i32 {
    let mut found = None;
    foster.wait_for("the web helper", || {
        let status = foster.verb(&["status", "foster-web", "--json"]).stdout;
        let row: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
        let row = row.as_array().and_then(|rows| rows.first().cloned()).unwrap_or(row);
        let inner = row["pid"].as_i64();
        let processes = foster.processes();
        let process = processes.iter().find(|process| Some(i64::from(process.inner_pid)) == inner);
        found = process.map(|process| process.pid);
        found.is_some()
    });
    found.expect("just found")
}

#[test]
fn the_page_shows_every_program_with_what_it_wrote_escaped() {
    let programs = "[program.backend]\ncommand = \"puppet 'print:<script>alert(1)</script> &' pause\"\n\
         [program.broken]\ncommand = ['/no/such/\"><img>']\non_failure = 'ignore'\nstart_limit = 1\n\
         [task.migrate]\ncommand = 'puppet exit:0'\n[job.backup]\ncommand = 'puppet exit:0'\nschedule = 'every 6h'\n";
    let (foster, web) = start("", programs);
    foster.wait_for_state("broken", "fatal");
    foster.wait_for_state("backend", "running");
    let page = web.get("/");
    assert_eq!((page.status, page.field("Content-Type")), (200, "text/html;charset=utf-8"));
    let policy = page.field("Content-Security-Policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for text in
        [">backend</a>", ">running<", ">fatal<", ">migrate</a>", ">succeeded<", ">backup</a>", "next run in"]
    {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(page.body.contains("/no/such/&quot;&gt;&lt;img&gt;"), "{}", page.body);
    // Without `control` there is nothing to click.
    assert!(!page.body.contains("<form") && !page.body.contains("<img"), "{}", page.body);
    foster.wait_for_line("alert");
    let log = web.get("/log?name=backend");
    assert!(log.body.contains("<span>&lt;script&gt;alert(1)&lt;/script&gt; &amp;</span>"), "{}", log.body);
    let unknown = web.get("/log?name=%3Cscript%3E");
    assert!(!unknown.body.contains("<script>"), "{}", unknown.body);
    assert!(web.get("/log?name=foster").body.contains("backend: starting"));
    for (path, kind) in [("/style.css", "text/css"), ("/script.js", "text/javascript")] {
        let file = web.get(path);
        assert!(file.status == 200 && file.field("Content-Type").starts_with(kind), "{path}: {}", file.head);
        assert_eq!(file.field("X-Content-Type-Options"), "nosniff");
    }
}

#[test]
fn a_button_gives_an_order_and_its_result_is_shown_after_a_redirect() {
    let programs =
        format!("{BACKEND}[job.backup]\ncommand = 'puppet touch:ran exit:0'\nschedule = '@daily'\n");
    let (foster, web) = start("control = true\n", &programs);
    foster.wait_for_state("backend", "running");
    let order = |form: &str| {
        let sent = web.post(form);
        assert_eq!(sent.status, 303, "{form}: {} {}", sent.head, sent.body);
        let place = sent.field("Location").trim_start_matches("./").to_owned();
        web.get(&format!("/{}", place.trim_start_matches('/'))).body
    };
    assert!(web.get("/").body.contains("value=\"stop\" aria-label=\"Stop backend\""));
    let page = order("verb=stop&name=backend");
    assert!(page.contains("<strong>stop backend</strong> done") && page.contains(">stopped<"), "{page}");
    foster.wait_for_state("backend", "stopped");
    let page = order("verb=start&name=backend");
    assert!(page.contains("<strong>start backend</strong> done") && page.contains("started (pid"), "{page}");
    let before = foster.pid_of("backend");
    let page = order("verb=restart&name=all");
    assert!(page.contains("<strong>restart all</strong> done"), "{page}");
    assert_ne!(foster.pid_of("backend"), before);
    let page = order("verb=stop&name=absent");
    assert!(
        page.contains("<strong>stop absent</strong> failed") && page.contains("class=\"result bad\""),
        "{page}"
    );
    order("verb=run&name=backup");
    foster.wait_for_file("ran");
    let page = order("verb=clear&name=backend&back=log");
    assert!(page.contains("<strong>clear backend</strong> done") && !page.contains("<span>hello"), "{page}");
    assert_eq!(foster.verb(&["logs", "backend"]).stdout, "");
    // A number that is not that of a result shows none.
    assert!(!web.get("/?result=1").body.contains("class=\"result"));
}

#[test]
fn an_order_that_takes_long_is_answered_before_it_is_done() {
    let programs = "[program.slow]\ncommand = 'puppet ignore:TERM print:set pause'\nstop_timeout = '10m'\nready = { log = 'set' }\n";
    let (foster, web) = start("control = true\n", programs);
    foster.wait_for_state("slow", "running");
    let sent = web.post("verb=stop&name=slow");
    let page = web.get(&format!("/{}", sent.field("Location").trim_start_matches("./"))).body;
    assert!(
        page.contains("<strong>stop slow</strong> takes longer") && page.contains(">stopping<"),
        "{page}"
    );
}

#[test]
fn an_order_of_another_site_is_refused() {
    let port = free_port();
    let foster = Foster::new()
        .config(&format!("[web]\nlisten = \"127.0.0.1:{port}\"\ncontrol = true\n{BACKEND}"))
        .start();
    foster.wait_for_state("backend", "running");
    let web = Address::Tcp(port);
    let status = |method: &str, path: &str, fields: &[&str]| {
        let form = if method == "POST" { "verb=stop&name=backend" } else { "" };
        web.send(method, path, fields, form).expect("an answer").status
    };
    for fields in [
        &["Origin: http://evil.example"][..],
        &["Origin: null"],
        &["Origin: http://localhost:1"],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site"],
        &["Referer: http://evil.example/localhost"],
    ] {
        assert_eq!(status("POST", "/order", fields), 403, "{fields:?}");
    }
    // The name of another site that leads to this address (DNS rebinding).
    let evil = ["Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"];
    assert_eq!((status("POST", "/order", &evil), status("GET", "/", &evil)), (421, 421));
    assert_eq!(status("GET", "/order?verb=stop&name=backend", &[]), 405);
    foster.wait_for_state("backend", "running");
    assert_eq!(foster.row("backend").expect("a row")["restarts"], 0);
    let own = format!("Origin: http://127.0.0.1:{port}");
    assert_eq!(status("POST", "/order", &[&format!("Host: 127.0.0.1:{port}"), &own]), 303);
    foster.wait_for_state("backend", "stopped");
}

#[test]
fn without_control_an_order_is_refused() {
    let (foster, web) = start("", BACKEND);
    foster.wait_for_state("backend", "running");
    let refused = web.post("verb=stop&name=backend");
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("`control` of `[web]` is false"), "{}", refused.body);
    assert!(!web.get("/log?name=backend").body.contains("<form"));
    foster.wait_for_state("backend", "running");
}

#[test]
fn a_password_is_asked_for_everywhere_but_for_health() {
    let foster = Foster::new().file("secret", "pass wörd\n");
    let keys = format!(
        "username = 'admin'\npassword_file = '{}'\ncontrol = true\n",
        foster.folder().join("secret").display()
    );
    let programs =
        format!("{BACKEND}[program.broken]\ncommand = '/no/such'\non_failure = 'ignore'\nstart_limit = 1\n");
    let (foster, web) = start_in(foster, &keys, &programs);
    foster.wait_for_state("backend", "running");
    foster.wait_for_state("broken", "fatal");
    // `admin:pass wörd`, `admin:pass wörd\n`, `admin:wrong`, `other:pass wörd`.
    let [good, wrong @ ..] = [
        "YWRtaW46cGFzcyB3w7ZyZA==",
        "YWRtaW46cGFzcyB3w7ZyZAo=",
        "YWRtaW46d3Jvbmc=",
        "b3RoZXI6cGFzcyB3w7ZyZA==",
    ]
    .map(|credentials| format!("Authorization: Basic {credentials}"));
    let ask = |path: &str, fields: &[&str]| web.send("GET", path, fields, "").expect("an answer");
    for path in ["/", "/log", "/metrics", "/events", "/follow", "/style.css", "/absent", "/logtail/backend"] {
        let refused = ask(path, &[]);
        assert_eq!(
            (refused.status, refused.field("WWW-Authenticate")),
            (401, "Basic realm=\"default\""),
            "{path}"
        );
        for field in &wrong {
            assert_eq!(ask(path, &[field]).status, 401, "{path} {field}");
        }
    }
    let form = "verb=stop&name=backend";
    assert_eq!(web.send("POST", "/order", &[], form).expect("an answer").status, 401);
    assert_eq!(ask("/", &[&good]).status, 200);
    assert_eq!(ask("/absent", &[&good]).status, 404);
    // An orchestrator has no password, and gets no names.
    let (open, full) = (ask("/healthz", &[]), ask("/healthz", &[&good]));
    assert_eq!((open.status, open.body.as_str()), (503, "not ok\n"));
    assert!(full.status == 503 && full.body.starts_with("broken: fatal: "), "{}", full.body);
    assert_eq!(web.send("POST", "/order", &[&good], form).expect("an answer").status, 303);
    foster.wait_for_state("backend", "stopped");
}

#[test]
fn without_its_password_file_the_server_does_not_start_and_tries_again() {
    let foster = Foster::new();
    let secret = foster.folder().join("secret");
    let keys = format!("username = 'admin'\npassword_file = '{}'\n", secret.display());
    let (foster, web) = start_in(foster, &keys, BACKEND);
    foster.wait_for_line("foster-web: cannot start: reading secret `password_file` from `.*secret`: No such file or directory.*next attempt in");
    foster.wait_for_state("backend", "running");
    // A client waits in the backlog meanwhile, and is not answered without the password.
    let waiting = std::thread::spawn({
        let web = web.clone();
        move || web.get("/").status
    });
    fs::write(&secret, "").expect("a file");
    foster.wait_for_line(
        "foster-web: cannot start: the file of `password_file` is empty or not UTF-8; next attempt in",
    );
    fs::write(&secret, "123").expect("a file");
    assert_eq!(waiting.join().expect("a status"), 401);
    let good = ["Authorization: Basic YWRtaW46MTIz"];
    assert_eq!(web.send("GET", "/", &good, "").expect("an answer").status, 200);
}

#[test]
fn an_update_applies_another_address_password_and_control() {
    let (foster, web) = start("", BACKEND);
    foster.wait_for_state("backend", "running");
    assert_eq!((web.get("/").status, web.post("verb=stop&name=backend").status), (200, 403));
    let (config, secret) = (foster.path("foster.toml"), foster.path("secret"));
    let before = fs::read_to_string(&config).expect("the configuration");
    fs::write(&secret, "123").expect("a file");
    let keys = format!("username = 'admin'\npassword_file = '{}'\ncontrol = true\n", secret.display());
    fs::write(&config, before.replace("[program.", &format!("{keys}[program."))).expect("a file");
    let updated = foster.verb(&["update"]);
    assert!(updated.code == 0 && updated.text().contains("[web] applied"), "{}", updated.text());
    let status = |credentials: &str, form: &str| {
        let field = format!("Authorization: Basic {credentials}");
        let (method, path) = if form.is_empty() { ("GET", "/") } else { ("POST", "/order") };
        web.send(method, path, &[&field], form).expect("an answer").status
    };
    assert_eq!(status("", ""), 401);
    assert_eq!(status("YWRtaW46MTIz", "verb=restart&name=backend"), 303);
    // Another content of the file counts after the next update.
    fs::write(&secret, "124").expect("a file");
    assert_eq!(foster.verb(&["update"]).code, 0);
    assert_eq!((status("YWRtaW46MTIz", ""), status("YWRtaW46MTI0", "")), (401, 200));
    // Another address; the old one is closed.
    let moved = foster.path("moved.sock");
    fs::write(&config, before.replace("/web.sock", "/moved.sock")).expect("a file");
    assert_eq!(foster.verb(&["update"]).code, 0);
    assert_eq!(Address::Unix(moved).get("/").status, 200);
    assert!(web.send("GET", "/", &[], "").is_err());
    // Without the table there is no helper.
    let without = before.split_once("[program.").expect("a program").1;
    fs::write(&config, format!("[program.{without}")).expect("a file");
    assert_eq!(foster.verb(&["update"]).code, 0);
    foster.wait_for("no helper", || foster.verb(&["status", "foster-web"]).code == 1);
}

#[test]
fn an_address_that_is_in_use_is_a_failed_update() {
    let (foster, web) = start("", BACKEND);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    let config = foster.path("foster.toml");
    let before = fs::read_to_string(&config).expect("the configuration");
    let listen = format!("listen = \"unix://{}\"", foster.path("web.sock").display());
    fs::write(&config, before.replace(&listen, &format!("listen = \"127.0.0.1:{port}\""))).expect("a file");
    let updated = foster.verb(&["update"]);
    assert_eq!(updated.code, 1, "{}", updated.text());
    assert!(updated.text().contains("cannot open the socket of `[web]`"), "{}", updated.text());
    assert_eq!(web.get("/").status, 200);
}

#[test]
fn a_check_here_finds_a_port_that_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    let config = format!("[web]\nlisten = \"127.0.0.1:{port}\"\n{BACKEND}");
    let found = Foster::new().config(&config).finish(&["check", "--here", "-c", "foster.toml"]);
    assert_eq!(found.code, 2, "{}", found.text());
    assert!(found.text().contains("cannot open the socket of the web server"), "{}", found.text());
}

#[test]
fn the_page_is_back_after_its_helper_was_killed() {
    let (foster, web) = start("", BACKEND);
    assert_eq!(web.get("/").status, 200);
    let mut followed = web.follow("/events");
    followed.until("text/event-stream");
    let before = helper(&foster);
    kill(Pid::from_raw(before), Signal::SIGKILL).expect("a signal");
    followed.end();
    foster.wait_for("another helper", || helper(&foster) != before);
    assert_eq!(web.get("/").status, 200);
    foster.wait_for_line("foster-web: .*SIGKILL; started again in");
    assert!(web.get("/metrics").body.contains("foster_web_restarts_total 1\n"));
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let (foster, web) = start("", BACKEND);
    foster.wait_for_line("hello");
    let mut lines = web.open("GET /logtail/backend HTTP/1.0\r\n\r\n");
    let answer = lines.until("hello").to_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(!head.contains("Transfer-Encoding") && head.contains("Connection: close"), "{head}");
    assert_eq!(body, "hello\n");
}

#[test]
fn of_more_clients_than_the_limit_the_one_that_is_idle_for_the_longest_is_closed() {
    const ASK: &str = "HEAD /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_foster, web) = start("", BACKEND);
    let mut first = web.open("");
    let mut others: Vec<_> = (0..63).map(|_| web.open("")).collect();
    // Connections are accepted in their order: once the last one is answered, all of them are.
    let ask = |client: &mut client::Followed| {
        client.send(ASK);
        client.take_until("\r\n\r\n");
    };
    ask(others.last_mut().expect("a client"));
    ask(&mut first);
    ask(&mut web.open(""));
    ask(&mut first);
    others.remove(0).end();
}

#[test]
fn events_and_lines_are_followed() {
    let (foster, web) =
        start("", "[program.backend]\ncommand = \"puppet print:first wait-file:go print:second pause\"\n");
    foster.wait_for_state("backend", "running");
    let mut lines = web.follow("/follow?name=backend");
    lines.until(r#""text":"first""#);
    let mut events = web.follow("/events");
    let head = events.until("\r\n\r\n");
    assert!(head.contains("Content-Type: text/event-stream"), "{head}");
    fs::write(foster.path("go"), "").expect("a file");
    assert!(lines.until(r#""text":"second""#).contains(r#""err":false"#));
    // The followers have been there before this.
    assert_eq!(foster.verb(&["stop", "backend"]).code, 0);
    events.until(r#""event":"stopped""#);
    // No more than some: others can ask.
    let followers: Vec<_> = (0..30).map(|_| web.follow("/events")).collect();
    let mut followers: Vec<_> = followers
        .into_iter()
        .map(|mut one| {
            one.until("\r\n\r\n");
            one
        })
        .collect();
    assert_eq!(web.get("/events").status, 503);
    assert_eq!(web.get("/").status, 200);
    followers.clear();
    foster.wait_for("room for a follower", || {
        web.follow("/events").until("\r\n\r\n").starts_with("HTTP/1.1 200")
    });
}

#[test]
fn what_is_not_a_page_of_the_server_is_an_error() {
    let (_foster, web) = start("metrics = false\n", BACKEND);
    let ask = |method: &str, path: &str| web.send(method, path, &[], "").expect("an answer");
    for path in [
        "/absent",
        "//",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/log/../style.css",
        "/style.css/",
        "/RPC2",
        "/metrics",
        "/logtail/absent",
    ] {
        assert_eq!(ask("GET", path).status, 404, "{path}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO"] {
        let refused = ask(method, "/");
        assert_eq!((refused.status, refused.field("Allow")), (405, "GET, HEAD"), "{method}");
    }
    let (whole, head) = (ask("GET", "/script.js"), ask("HEAD", "/script.js"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.field("Content-Length"), whole.field("Content-Length"));
    assert_eq!(ask("HEAD", "/events").status, 200);
}

#[test]
fn a_server_of_supervisord_has_the_page_beside_its_xml_rpc() {
    let foster = Foster::new();
    let (path, config) = (foster.folder().join("web.sock"), foster.folder().join("s.conf"));
    let socket = foster.folder().join("foster.sock").display().to_string();
    let text = format!(
        "[supervisord]\n[unix_http_server]\nfile={}\n[group:app]\nprograms=backend\n\
         [program:backend]\ncommand=puppet pause\nstartsecs=0\n",
        path.display()
    );
    let config = config.display().to_string();
    let foster =
        foster.file("s.conf", &text).env("FOSTER_SOCKET", &socket).arguments(&["run", "-c", &config]).start();
    foster.wait_for_file("web.sock");
    foster.wait_for_state("backend", "running");
    let web = Address::Unix(path);
    let page = web.get("/");
    assert!(page.status == 200 && page.body.contains(">app:backend</a>"), "{}", page.body);
    assert_eq!((web.get("/RPC2").status, web.get("/metrics").status), (400, 200));
    assert_eq!(web.post("verb=stop&name=backend").status, 303);
    foster.wait_for_state("backend", "stopped");
}

#[test]
fn health_and_readiness_are_those_of_the_verb() {
    let (foster, web) = start("control = true\n", BACKEND);
    foster.wait_for_state("backend", "running");
    let both = || {
        let [health, ready] = ["/healthz", "/readyz"].map(|path| web.get(path));
        ((health.status, health.body), (ready.status, ready.body))
    };
    assert_eq!(both(), ((200, "ok\n".into()), (200, "ok\n".into())));
    assert_eq!(web.post("verb=stop&name=backend").status, 303);
    let (health, ready) = both();
    assert_eq!((health.0, ready.0), (200, 503));
    assert_eq!(ready.1, foster.verb(&["health", "--all"]).stdout);
}

#[test]
fn metrics_are_read_by_the_parsers_of_prometheus() {
    let Some(python) = python_with("prometheus_client") else { return };
    let programs = "[program.backend]\ncommand = \"puppet pause\"\ninstances = 2\nhealth = { exec = ['true'] }\n\
         [program.broken]\ncommand = 'puppet exit:7'\non_failure = 'ignore'\nstart_limit = 2\nbackoff = { initial = '10ms' }\n\
         [program.killed]\ncommand = ['sh', '-c', 'kill -9 $$$$']\nrestart = 'never'\non_failure = 'ignore'\n\
         [program.full]\ncommand = 'puppet lines:3000 touch:done pause'\nstdout = { file = '/dev/full' }\n\
         [task.migrate]\ncommand = 'puppet exit:0'\n[job.backup]\ncommand = 'puppet exit:0'\nschedule = '@daily'\n";
    let (foster, web) = start("", programs);
    foster.wait_for("all lines to be dropped", || {
        web.get("/metrics")
            .body
            .contains("dropped_lines_total{program=\"full\",index=\"0\",kind=\"program\"} 3000\n")
    });
    for (name, state) in [("broken", "fatal"), ("killed", "fatal"), ("migrate", "succeeded")] {
        foster.wait_for_state(name, state);
    }
    foster.wait_for("both instances", || web.get("/healthz").body.matches("backend").count() == 0);
    let script = repository().join("tests/web/metrics.py");
    for (name, accept) in [("text", "text/plain"), ("openmetrics", "application/openmetrics-text")] {
        let answer = web.send("GET", "/metrics", &[&format!("Accept: {accept}")], "").expect("an answer");
        let file = foster.path(name);
        fs::write(&file, &answer.body).expect("a file");
        let output = Command::new(&python).arg(&script).arg(name).arg(&file).output().expect("python");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{}", answer.body);
        assert!(answer.field("Content-Type").starts_with(accept), "{}", answer.head);
    }
}

#[test]
fn a_server_that_no_client_asks_does_nothing() {
    // Only root may see the system call of another process.
    if !may_make_namespaces() {
        return;
    }
    let (foster, web) = start("", BACKEND);
    foster.wait_for_state("backend", "running");
    assert_eq!(web.get("/").status, 200);
    let switches = |pid: i32| {
        let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
        let status = status.expect("a status");
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse::<u64>().ok()).expect("a count")
    };
    // It waits, without a deadline (epoll_wait(2): 232 on x86-64, epoll_pwait(2): 22 on aarch64).
    let pid = helper(&foster);
    let is_waiting = || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let call: Vec<&str> = call.split_whitespace().collect();
        matches!(call.first(), Some(&"232" | &"281" | &"22"))
            && call.get(4).is_some_and(|timeout| timeout.ends_with("ffffffff"))
    };
    foster.wait_for("the helper to wait without a deadline", is_waiting);
    let before = switches(pid);
    // Time that passes for another reason: a program's whole life.
    foster.verb(&["restart", "backend"]).expect(0);
    assert_eq!(switches(pid), before);
    assert!(is_waiting());
}
