//! Servers from a distribution: nginx, php-fpm, redis; and what nginx passes on to.
//!
//! nginx's configuration is searched for a few directives, not parsed: a directive that it misses costs the newcomer a
//! line, and one in a file that nginx does not include is the only wrong guess. Next: `scaffold/entry.rs`.

use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::entry::{Entry, array, string, table};
use super::image::Image;

/// Where nginx's configuration is: the main file and the folders that it includes in common images.
const NGINX_FILES: [&str; 1] = ["/etc/nginx/nginx.conf"];
const NGINX_FOLDERS: [&str; 3] = ["/etc/nginx/conf.d", "/etc/nginx/http.d", "/etc/nginx/sites-enabled"];

/// Whether nginx is installed.
pub(super) fn has_nginx(image: &Image) -> bool {
    image.command("nginx").is_some()
}

/// The loopback ports that nginx passes requests on to.
pub(super) fn proxied_ports(image: &Image) -> Vec<u16> {
    let Ok(target) = Regex::new(r"(?:proxy_pass\s+https?://|server\s+)(?:127\.0\.0\.1|localhost):(\d{1,5})")
    else {
        return Vec::new();
    };
    let mut ports = Vec::new();
    for text in nginx_configuration(image) {
        for captures in target.captures_iter(&without_comments(&text)) {
            let port = captures.get(1).and_then(|port| port.as_str().parse::<u16>().ok());
            ports.extend(port.filter(|port| !ports.contains(port)));
        }
    }
    ports
}

/// The servers that are installed, after the applications found before.
pub(super) fn find(image: &Image, applications: &[Entry]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut before: Vec<String> = applications.iter().map(|entry| entry.name.clone()).collect();
    if let Some(php) = image.command_with_prefix("php-fpm") {
        let mut entry = Entry::new("php-fpm", format!("`{php}` is installed."));
        entry.set("command", array(&[php.as_str(), "--nodaemonize"]));
        entry.set_because("stop_signal", string("QUIT"), "finishes the requests it has accepted");
        entry.set_because("reload_signal", string("USR2"), "for `foster reload php-fpm`");
        before.push(entry.name.clone());
        entries.push(entry);
    }
    if image.command("redis-server").is_some() {
        let mut entry = Entry::new("redis", "`redis-server` is installed.");
        entry.set("command", array(&["redis-server", "--daemonize", "no"]));
        entry.set("ready", table(&[("tcp".to_owned(), string("127.0.0.1:6379"))]));
        entry.set_because("priority", "10", "before the programs that use it");
        entries.push(entry);
    }
    if has_nginx(image) {
        let mut entry = Entry::new("nginx", "`nginx` is installed.");
        let is_in_foreground = nginx_configuration(image).iter().any(|text| {
            without_comments(text).split_whitespace().collect::<Vec<_>>().join(" ").contains("daemon off;")
        });
        match is_in_foreground {
            true => entry.set("command", array(&["nginx"])),
            false => entry.set_because(
                "command",
                array(&["nginx", "-g", "daemon off;"]),
                "in the foreground, or foster cannot supervise it",
            ),
        }
        if !before.is_empty() {
            entry.set_because(
                "after",
                array(&before),
                "started when they are ready: no 502 while they start",
            );
        }
        if let Some(port) = listen_port(image) {
            entry.set("ready", table(&[("tcp".to_owned(), string(&format!("127.0.0.1:{port}")))]));
        }
        entry.set_because("stop_signal", string("QUIT"), "finishes the requests it has accepted");
        entry.set_because("reload_signal", string("HUP"), "for `foster reload nginx`");
        for (log, stream) in log_files(image) {
            entry.comment(format!(
                "Its log is in a file. For `docker logs`, in the Dockerfile: RUN ln -sf /dev/{stream} {log}"
            ));
        }
        entries.push(entry);
    }
    entries
}

/// The first TCP port that nginx listens at on every address or on loopback.
fn listen_port(image: &Image) -> Option<u16> {
    let listen =
        Regex::new(r"\blisten\s+(?:(?:\*|0\.0\.0\.0|127\.0\.0\.1|localhost):)?(\d{1,5})[\s;]").ok()?;
    nginx_configuration(image)
        .iter()
        .find_map(|text| listen.captures(&without_comments(text))?.get(1)?.as_str().parse().ok())
}

/// The files that nginx logs to, each with the stream for it; a link into `/dev` is none.
fn log_files(image: &Image) -> Vec<(String, &'static str)> {
    let Ok(directive) = Regex::new(r"\b(access|error)_log\s+(/[\w./-]+)") else { return Vec::new() };
    let mut found: Vec<(String, &'static str)> = Vec::new();
    for text in nginx_configuration(image) {
        for captures in directive.captures_iter(&without_comments(&text)) {
            let part = |number| captures.get(number).map_or("", |part| part.as_str());
            let stream = if part(1) == "error" { "stderr" } else { "stdout" };
            let file = part(2);
            let is_known = found.iter().any(|(known, _)| known == file);
            if !is_known && !file.starts_with("/dev/") && !image.leads_to_device(Path::new(file)) {
                found.push((file.to_owned(), stream));
            }
        }
    }
    found
}

fn nginx_configuration(image: &Image) -> Vec<String> {
    let mut files: Vec<PathBuf> = NGINX_FILES.iter().map(PathBuf::from).collect();
    for folder in NGINX_FOLDERS.map(Path::new) {
        files.extend(image.names(folder).into_iter().map(|name| folder.join(name)));
    }
    files.iter().filter_map(|file| image.text(file)).collect()
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}
