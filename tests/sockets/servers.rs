//! Real servers on foster's sockets, with the lines of `docs/sockets.md`.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::held;
use crate::support::{Foster, Running, found, free_port, get, python_with};

/// The server answers; killed, it answers again from the same socket, and no connection is refused meanwhile.
fn check(foster: &Running, port: u16) {
    foster.wait_for("an answer", || get(port, "/").is_some_and(|(status, _)| status == 200));
    let (pid, sockets) = (foster.pid_of("web"), held(foster));
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    // It waits in the backlog until the next process takes it.
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    assert!(connection.is_ok(), "{connection:?}");
    drop(connection);
    foster.wait_for("another process", || foster.pid_of("web") != pid);
    foster.wait_for("an answer", || get(port, "/").is_some_and(|(status, _)| status == 200));
    foster.wait_for("the sockets from before", || held(foster) == sockets);
}

/// A program `web` with these lines, and this port.
fn web(port: u16, lines: &str) -> String {
    format!("[program.web]\nsockets = ['tcp://127.0.0.1:{port}']\n{lines}\n")
}

#[test]
fn uvicorn_serves_from_descriptor_3() {
    let Some(python) = python_with("uvicorn") else { return };
    let app = "async def app(scope, receive, send):\n\
        \x20   if scope['type'] != 'http':\n        raise RuntimeError('no lifespan')\n\
        \x20   await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n\
        \x20   await send({'type': 'http.response.body', 'body': b'uvicorn'})\n";
    let port = free_port();
    let lines = format!("command = ['{python}', '-m', 'uvicorn', 'app:app', '--fd', '3']");
    let foster = Foster::new().config(&web(port, &lines)).file("app.py", app).start();
    check(&foster, port);
}

#[test]
fn gunicorn_takes_the_sockets_of_systemds_protocol() {
    let Some(python) = python_with("gunicorn") else { return };
    let app =
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'gunicorn']\n";
    let port = free_port();
    let lines = format!("command = ['{python}', '-m', 'gunicorn', '--workers', '2', 'app:app']");
    let foster = Foster::new().config(&web(port, &lines)).file("app.py", app).start();
    check(&foster, port);
}

#[test]
fn node_listens_at_descriptor_3() {
    if found("node").is_none() {
        return;
    }
    let server = "require('http').createServer((request, answer) => answer.end('node')).listen({ fd: 3 })\n";
    let port = free_port();
    let foster =
        Foster::new().config(&web(port, "command = ['node', 'server.js']")).file("server.js", server).start();
    check(&foster, port);
}

#[test]
fn nginx_inherits_the_socket_that_its_variable_names() {
    if found("nginx").is_none() {
        return;
    }
    let port = free_port();
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let conf = format!(
        "daemon off;\npid {here}/nginx.pid;\nerror_log stderr info;\nevents {{}}\nhttp {{\n access_log off;\n \
         client_body_temp_path {here}/body;\n proxy_temp_path {here}/proxy;\n fastcgi_temp_path {here}/fastcgi;\n \
         uwsgi_temp_path {here}/uwsgi;\n scgi_temp_path {here}/scgi;\n \
         server {{ listen 127.0.0.1:{port}; return 200 nginx; }}\n}}\n"
    );
    let lines = format!(
        "command = ['nginx', '-c', '{here}/nginx.conf']\nstop_signal = 'QUIT'\nenvironment = {{ NGINX = '3;' }}"
    );
    let foster = foster.config(&web(port, &lines)).file("nginx.conf", &conf).start();
    check(&foster, port);
    foster.wait_for_line("using inherited sockets from \"3;\"");
}

/// A FastCGI request for a script that does not exist: php-fpm answers that itself.
fn ask_php(port: u16) -> Option<Vec<u8>> {
    let record = |kind: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a short record");
        [&[1, kind, 0, 1, 0, length, 0, 0], content].concat()
    };
    let pair = |name: &str, value: &str| {
        let lengths = [name, value].map(|text| u8::try_from(text.len()).expect("a short text"));
        [&lengths[..], name.as_bytes(), value.as_bytes()].concat()
    };
    let variables = [pair("REQUEST_METHOD", "GET"), pair("SCRIPT_FILENAME", "/no/such.php")].concat();
    let begin = record(1, &[0, 1, 0, 0, 0, 0, 0, 0]);
    let request = [begin, record(4, &variables), record(4, &[]), record(5, &[])].concat();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(&request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn php_fpm_inherits_the_socket_that_its_variable_names() {
    let Some(php) = found("php-fpm8.2") else { return };
    let port = free_port();
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let conf = format!(
        "[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = 127.0.0.1:{port}\npm = static\npm.max_children = 1\n"
    );
    let lines = format!(
        "command = ['{}', '-R', '-y', '{here}/fpm.conf']\nenvironment = {{ FPM_SOCKETS = '127.0.0.1:{port}=3' }}",
        php.display()
    );
    let foster = foster.config(&web(port, &lines)).file("fpm.conf", &conf).start();
    let answers = || ask_php(port).is_some_and(|answer| answer.windows(10).any(|part| part == b"Status: 40"));
    foster.wait_for("an answer", answers);
    foster.wait_for_line("using inherited socket fd=3");
    let (pid, sockets) = (foster.pid_of("web"), held(&foster));
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    foster.wait_for("another process", || foster.pid_of("web") != pid);
    foster.wait_for("an answer", answers);
    foster.wait_for("the sockets from before", || held(&foster) == sockets);
}

/// A CGI script behind nginx and fcgiwrap, which takes its socket as standard input: the convention of FastCGI.
#[test]
fn fcgiwrap_serves_nginx_from_the_socket_at_its_standard_input() {
    let (Some(nginx), Some(fcgiwrap)) = (found("nginx"), found("fcgiwrap")) else { return };
    let port = free_port();
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let nginx_conf = format!(
        "daemon off;\npid {here}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n access_log off;\n\
         client_body_temp_path {here}/body;\n fastcgi_temp_path {here}/fastcgi;\n proxy_temp_path {here}/proxy;\n\
         scgi_temp_path {here}/scgi;\n uwsgi_temp_path {here}/uwsgi;\n\
         server {{\n listen 127.0.0.1:{port};\n location / {{\n\
         fastcgi_pass unix:{here}/app.sock;\n fastcgi_param REQUEST_METHOD GET;\n\
         fastcgi_param SCRIPT_FILENAME {here}/hello;\n }}\n }}\n}}\n"
    );
    let config = format!(
        "[program.app]\ncommand = ['{}']\nsockets = 'unix://{here}/app.sock'\nstdin = 'socket'\ninstances = 2\n\
         [program.nginx]\ncommand = ['{}', '-e', 'stderr', '-c', '{here}/nginx.conf']\n",
        fcgiwrap.display(),
        nginx.display()
    );
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nby FastCGI'\n";
    let foster = foster.config(&config).file("nginx.conf", &nginx_conf).file("hello", script);
    let executable = Permissions::from_mode(0o755);
    std::fs::set_permissions(foster.folder().join("hello"), executable).expect("permissions");
    let foster = foster.start();
    let answers =
        || get(port, "/").is_some_and(|(status, text)| status == 200 && text.contains("by FastCGI"));
    foster.wait_for("an answer", answers);
    let rows = foster.rows();
    let instances = rows.iter().filter(|row| row["name"] == "app").filter_map(|row| row["pid"].as_i64());
    let pids: Vec<i32> = instances.map(|pid| i32::try_from(pid).expect("a pid")).collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    }
    foster.wait_for("an answer of the next processes", answers);
}
