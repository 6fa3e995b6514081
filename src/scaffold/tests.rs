use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::{Image, propose, write};
use crate::config;

/// An image with these files; those below a `bin` folder are commands.
fn image(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    root
}

fn text(root: &TempDir, directory: &str) -> String {
    let variables = vec!["SECRET_KEY".into()];
    let image = Image::new(root.path(), Path::new(directory), "/usr/local/bin:/usr/bin:/usr/sbin", variables);
    propose(&image).map(|proposal| proposal.text).unwrap_or_default()
}

/// What is written, which has to be a valid configuration without warnings.
#[track_caller]
fn check(files: &[(&str, &str)], directory: &str, expected: Expect) {
    check_with_warning(files, directory, None, expected);
}

/// The same; this is in its only warning.
#[track_caller]
fn check_with_warning(files: &[(&str, &str)], directory: &str, warning: Option<&str>, expected: Expect) {
    let text = text(&image(files), directory);
    expected.assert_eq(&text);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    write(&path, &text).expect("written");
    let environment = [("SECRET_KEY".into(), "x".into())].into_iter().collect();
    let plan = config::load(&path, &environment).unwrap_or_else(|report| panic!("{report}"));
    let warnings: Vec<_> = plan.warnings.iter().map(|warning| warning.message.clone()).collect();
    let is_expected = match (warning, warnings.as_slice()) {
        (None, []) => true,
        (Some(part), [only]) => only.contains(part),
        (_, _) => false,
    };
    assert!(is_expected, "{warnings:?}\n{text}");
}

#[test]
fn nginx_in_front_of_fastapi_gets_the_port_that_nginx_passes_to_and_the_health_endpoint() {
    check(
        &[
            ("/usr/sbin/nginx", ""),
            ("/usr/local/bin/uvicorn", ""),
            (
                "/etc/nginx/conf.d/default.conf",
                "server {\n  # proxy_pass http://127.0.0.1:1;\n  location /api { proxy_pass http://127.0.0.1:8123; }\n}\n",
            ),
            ("/app/backend/requirements.txt", "fastapi\n"),
            ("/app/backend/app/__init__.py", ""),
            (
                "/app/backend/app/main.py",
                "from fastapi import FastAPI\n\napp = FastAPI(title=\"x\")\n\n@app.get('/api/health')\ndef health(): ...\n",
            ),
            ("/app/backend/tests/main.py", "app = FastAPI()\n"),
        ],
        "/app",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # FastAPI in `/app/backend/app/main.py`.
            [program.backend]
            command = ["uvicorn", "app.main:app", "--host", "127.0.0.1", "--port", "8123"]
            directory = "/app/backend"
            environment = { PYTHONUNBUFFERED = "1" }  # without it Python holds its output back
            ready = { http = "http://127.0.0.1:8123/api/health" }
            # user = "app"  # give up root's rights: a user that the image should have

            # `nginx` is installed.
            [program.nginx]
            command = ["nginx", "-g", "daemon off;"]  # in the foreground, or foster cannot supervise it
            after = ["backend"]  # started when they are ready: no 502 while they start
            stop_signal = "QUIT"  # finishes the requests it has accepted
            reload_signal = "HUP"  # for `foster reload nginx`
        "##]],
    );
}

#[test]
fn a_flask_application_runs_under_gunicorn_where_that_is_installed() {
    check(
        &[
            ("/opt/venv/bin/gunicorn", ""),
            ("/srv/wsgi.py", "from flask import Flask\nsite = Flask(__name__)\n"),
        ],
        "/srv",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # Flask in `/srv/wsgi.py`.
            [program.backend]
            command = ["/opt/venv/bin/gunicorn", "--bind", "0.0.0.0:8000", "wsgi:site"]
            directory = "/srv"
            environment = { PYTHONUNBUFFERED = "1" }  # without it Python holds its output back
            ready = { tcp = "127.0.0.1:8000" }
            # user = "app"  # give up root's rights: a user that the image should have
        "##]],
    );
}

#[test]
fn django_is_found_by_its_wsgi_module() {
    check(
        &[
            ("/code/manage.py", "#!/usr/bin/env python\n"),
            ("/code/shop/__init__.py", ""),
            ("/code/shop/wsgi.py", "application = get_wsgi_application()\n"),
            ("/code/shop/settings.py", "WSGI_APPLICATION = 'shop.wsgi.application'\n"),
        ],
        "/code",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # Django in `/code/shop/wsgi.py`.
            [program.backend]
            command = ["python3", "manage.py", "runserver", "--noreload", "0.0.0.0:8000"]  # a server for development: install gunicorn for production
            directory = "/code"
            environment = { PYTHONUNBUFFERED = "1" }  # without it Python holds its output back
            ready = { tcp = "127.0.0.1:8000" }
            # user = "app"  # give up root's rights: a user that the image should have
        "##]],
    );
}

#[test]
fn a_node_application_starts_without_npm_where_its_start_command_is_node() {
    check(
        &[
            ("/app/package.json", r#"{"name":"x","scripts":{"start":"node server.js"}}"#),
            ("/app/server.js", "app.listen(process.env.PORT || 3000)\n"),
        ],
        "/app",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # `/app/package.json`.
            [program.node]
            command = ["node", "server.js"]
            directory = "/app"
            environment = { NODE_ENV = "production", PORT = "3000" }
            ready = { tcp = "127.0.0.1:3000" }
            # user = "app"  # give up root's rights: a user that the image should have
        "##]],
    );
    check(
        &[("/app/package.json", r#"{"scripts":{"start":"next start"}}"#), ("/usr/bin/nginx", "")],
        "/app",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # `/app/package.json`.
            [program.node]
            command = ["npm", "start"]  # `next start`; npm passes TERM on, and a command without npm stops faster
            directory = "/app"
            environment = { NODE_ENV = "production" }
            # ready = { tcp = "127.0.0.1:3000" }  # the port it listens at
            # user = "app"  # give up root's rights: a user that the image should have

            # `nginx` is installed.
            [program.nginx]
            command = ["nginx", "-g", "daemon off;"]  # in the foreground, or foster cannot supervise it
            after = ["node"]  # started when they are ready: no 502 while they start
            stop_signal = "QUIT"  # finishes the requests it has accepted
            reload_signal = "HUP"  # for `foster reload nginx`
        "##]],
    );
}

#[test]
fn php_fpm_and_nginx_whose_file_has_daemon_off() {
    check_with_warning(
        &[
            ("/usr/sbin/nginx", ""),
            ("/usr/sbin/php-fpm8.2", ""),
            ("/usr/bin/redis-server", ""),
            ("/etc/nginx/nginx.conf", "user www-data;\ndaemon   off;\n"),
        ],
        "/",
        Some("unless nginx.conf has it"),
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # `php-fpm8.2` is installed.
            [program.php-fpm]
            command = ["php-fpm8.2", "--nodaemonize"]
            stop_signal = "QUIT"  # finishes the requests it has accepted
            reload_signal = "USR2"  # for `foster reload php-fpm`

            # `redis-server` is installed.
            [program.redis]
            command = ["redis-server", "--daemonize", "no"]
            ready = { tcp = "127.0.0.1:6379" }
            priority = 10  # before the programs that use it

            # `nginx` is installed.
            [program.nginx]
            command = ["nginx"]
            after = ["php-fpm"]  # started when they are ready: no 502 while they start
            stop_signal = "QUIT"  # finishes the requests it has accepted
            reload_signal = "HUP"  # for `foster reload nginx`
        "##]],
    );
}

#[test]
fn supervisord_programs_keep_their_keys_and_the_rest_is_named() {
    check_with_warning(
        &[
            (
                "/etc/supervisor/supervisord.conf",
                "[supervisord]\nnodaemon=true\n[include]\nfiles = conf.d/*.conf\n\
                 [program:web]\ncommand=nginx -g 'daemon off;' ; in front\nstdout_logfile=/dev/stdout\n\
                 stdout_logfile_maxbytes=0\nautorestart=true\nstopsignal=QUIT\npriority=20\n",
            ),
            (
                "/etc/supervisor/conf.d/worker.conf",
                "[program:my worker]\ncommand=celery -A app worker\n  --loglevel=%(ENV_LEVEL)s\n\
                 environment=SECRET=\"%(ENV_SECRET_KEY)s\",A='1,2%%',HOME=/app\nuser=www-data\nautorestart=unexpected\n\
                 exitcodes=0,2\nstartsecs=5\nstartretries=3\nstopwaitsecs=30\nstopasgroup=true\n\
                 stdout_logfile=/var/log/%(program_name)s-%(process_num)02d.log\nstdout_logfile_maxbytes=50MB\n\
                 stdout_logfile_backups=10\nredirect_stderr=true\nserverurl=AUTO\nnumprocs=2\n",
            ),
            ("/usr/sbin/nginx", ""),
        ],
        "/",
        Some("`shutdown_timeout` is 9s"),
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # From `/etc/supervisor/supervisord.conf`.
            [program.web]
            command = "nginx -g 'daemon off;'"
            stop_signal = "QUIT"
            priority = 20

            # From `/etc/supervisor/supervisord.conf`.
            # Its name there is "my worker".
            [program.my-worker]
            command = "celery -A app worker --loglevel=${LEVEL:-}"
            environment = { SECRET = "${SECRET_KEY}", A = "1,2%", HOME = "/app" }
            user = "www-data"
            restart = "on-failure"
            success_exit_codes = [0, 2]
            min_uptime = "5s"
            start_limit = 4
            stop_timeout = "30s"
            stop_group = true
            stdout = { file = "/var/log/my worker-${FOSTER_INSTANCE}.log", max_size = "50M", keep = 10 }  # leave it out: the container's log has it then
            # supervisord's `serverurl = AUTO` is not carried over.
            instances = 2
        "##]],
    );
}

#[test]
fn a_procfile_and_an_ecosystem_file_become_programs() {
    check(
        &[(
            "/app/Procfile",
            "# x\nweb: gunicorn app:app --bind 0.0.0.0:8000\nworker: FOO=1 celery worker -c $WORKERS\n\
             release: python manage.py migrate\nbad line\n: x\n",
        )],
        "/app",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # From the `Procfile`.
            [program.web]
            command = ["gunicorn", "app:app", "--bind", "0.0.0.0:8000"]
            directory = "/app"

            # From the `Procfile`.
            [program.worker]
            command = ["sh", "-c", "FOO=1 celery worker -c $WORKERS"]  # its command needs a shell
            directory = "/app"

            # From the `Procfile`.
            [program.release]
            command = ["python", "manage.py", "migrate"]
            directory = "/app"
            # A `release` command runs once: `restart = "never"`, and `after = ["release"]` for the others.
            restart = "never"
        "##]],
    );
    check(
        &[(
            "/app/ecosystem.config.json",
            r#"{"apps":[{"name":"api","script":"server.js","args":"--port 80","instances":"max","env":{"NODE_ENV":"production","N":1},"kill_timeout":3000,"max_restarts":5,"max_memory_restart":"500M","exec_mode":"cluster"},{"script":"./work.py","autorestart":false}]}"#,
        )],
        "/app",
        expect![[r##"
            # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

            # From `ecosystem.config.json`.
            [program.api]
            command = ["node", "server.js", "--port", "80"]
            directory = "/app"
            environment = { N = "1", NODE_ENV = "production" }
            start_limit = 5
            stop_timeout = "3000ms"
            memory_max = "500M"
            instances = "auto"
            # PM2's cluster mode shares the port. Here foster opens it: `sockets = ["tcp://0.0.0.0:3000"]`, and the server listens at `{ fd: 3 }` (docs/sockets.md).

            # From `ecosystem.config.json`.
            # Its name there is "work.py".
            [program.work-py]
            command = ["python3", "./work.py"]
            directory = "/app"
            restart = "never"
        "##]],
    );
    check(
        &[("/app/ecosystem.config.js", "module.exports = {}")],
        "/app",
        expect![[r##"
        # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

        # `ecosystem.config.js` is JavaScript, which `foster init` does not execute.
        [program.app]
        # Write it as JSON and run `foster init` again: node -p 'JSON.stringify(require("./ecosystem.config.js"))' >ecosystem.config.json
        command = ["node", "app.js"]  # its `script` and `args`
    "##]],
    );
}

#[test]
fn what_an_image_contains_cannot_write_keys_of_its_own() {
    let hostile = "x\"]\n[foster]\nsocket = \"/evil";
    let package = serde_json::json!({ "scripts": { "start": hostile }, "name": hostile }).to_string();
    let root = image(&[("/app/package.json", &package)]);
    let written = text(&root, "/app");
    assert!(!written.lines().any(|line| line.starts_with("[foster]")), "{written}");

    let conf = "[program:a]\ncommand=x\nfoo=a\n b\u{1b}[31m\n[program:]\ncommand=y\n[program:all]\ncommand=z\n[program:a]\ncommand=w\n";
    let written = text(&image(&[("/app/supervisord.conf", conf)]), "/app");
    let names: Vec<_> = written.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(names, ["[program.a]", "[program.p-]", "[program.p-all]", "[program.a-2]"], "{written}");
    assert!(!written.contains('\u{1b}'));
}

#[test]
fn an_image_with_nothing_known_and_one_that_cannot_be_read_have_no_proposal() {
    assert_eq!(text(&image(&[("/app/readme.md", "hello")]), "/app"), "");
    assert_eq!(text(&image(&[]), "/nowhere"), "");
    let lone = image(&[("/app/package.json", "{ broken"), ("/app/Procfile", "\u{0}\u{1}")]);
    assert_eq!(text(&lone, "/app"), "");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    write(&path, "a = 1\n").expect("written");
    let refused = write(&path, "b = 2\n").expect_err("refused");
    assert!(refused.contains("exists and is not overwritten"), "{refused}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "a = 1\n");
    assert!(
        write(&folder.path().join("missing/foster.toml"), "").expect_err("refused").contains("cannot write")
    );
}

#[test]
fn nginx_is_ready_at_its_port_and_its_log_files_get_a_hint() {
    let site = "server {\n  # listen 1;\n  listen [::]:8081;\n  listen 127.0.0.1:8080 default_server;\n}\n";
    let main = "error_log /var/log/nginx/error.log;\nhttp {\n access_log /var/log/nginx/access.log main;\n access_log /dev/stdout;\n}\n";
    let files = [
        ("/usr/sbin/nginx", ""),
        ("/etc/nginx/nginx.conf", main),
        ("/etc/nginx/sites-enabled/default", site),
    ];
    check(
        &files,
        "/",
        expect![[r##"
        # Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.

        # `nginx` is installed.
        [program.nginx]
        command = ["nginx", "-g", "daemon off;"]  # in the foreground, or foster cannot supervise it
        ready = { tcp = "127.0.0.1:8080" }
        stop_signal = "QUIT"  # finishes the requests it has accepted
        reload_signal = "HUP"  # for `foster reload nginx`
        # Its log is in a file. For `docker logs`, in the Dockerfile: RUN ln -sf /dev/stderr /var/log/nginx/error.log
        # Its log is in a file. For `docker logs`, in the Dockerfile: RUN ln -sf /dev/stdout /var/log/nginx/access.log
    "##]],
    );
    let root = image(&files);
    let folder = root.path().join("var/log/nginx");
    fs::create_dir_all(&folder).expect("a folder");
    std::os::unix::fs::symlink("/dev/stdout", folder.join("access.log")).expect("a link");
    std::os::unix::fs::symlink("/dev/stderr", folder.join("error.log")).expect("a link");
    assert!(!text(&root, "/").contains("docker logs"));
}

#[test]
fn the_user_of_the_hint_is_one_that_the_image_has() {
    let main = ("/app/main.py", "from fastapi import FastAPI\napp = FastAPI()\n");
    let system = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    let added = format!("{system}worker:x:1000:1000::/home/worker:/bin/sh\n");
    for (passwd, user) in [(system, "www-data"), (added.as_str(), "worker"), ("broken", "app"), ("", "app")] {
        let text = text(&image(&[main, ("/etc/passwd", passwd)]), "/app");
        assert!(text.contains(&format!("# user = \"{user}\"  # give up root's rights")), "{passwd}\n{text}");
    }
}
