//! A configuration of supervisord's beside the TOML that says the same: both make one plan.

use std::fs;
use std::path::Path;

use foster_core::sorted::SortedMap;
use proptest::prelude::*;

use super::super::{Environment, load};
use crate::plan::Plan;

fn environment() -> Environment {
    [("PORT", "8000"), ("PRICE", "5$ ${PORT} 100%")]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn plan(name: &str, text: &str) -> Plan {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    load(&path, &environment()).unwrap_or_else(|report| panic!("{report}"))
}

/// The definitions, without what supervisord's clients and programs know of supervisord.
fn defined(plan: &Plan) -> SortedMap<foster_core::ids::InstanceId, crate::plan::Program> {
    let plain = |mut program: crate::plan::Program| {
        program.namespec = None;
        program.launch.environment.retain(|(name, _)| !name.starts_with("SUPERVISOR_"));
        program
    };
    plan.instances.iter().map(|(id, instance)| (*id, plain((*instance.program).clone()))).collect()
}

/// What supervisord's defaults are in TOML.
const DEFAULTS: &str = r#"
    [foster]
    start = "together"
    when_all_ended = "stay"
    [defaults]
    restart = "on-failure"
    early_exit = "failure"
    start_limit = 4
    backoff = { initial = "1s", growth = "linear", max = "1day", reset = "1s" }
    on_failure = "ignore"
    stop_timeout = "10s"
    kill_mode = "process"
    stdin = "open"
"#;

/// A `[program:web]` with these lines, and the TOML table of the same.
fn same(conf: &str, toml: &str) {
    same_file(
        &format!("[supervisord]\n[program:web]\ncommand=web\n{conf}"),
        &format!("{DEFAULTS}\n[program.web]\ncommand = \"web\"\n{toml}"),
        conf,
    );
}

fn same_file(conf: &str, toml: &str, what: &str) {
    let (read, written) = (plan("supervisord.conf", conf), plan("foster.toml", toml));
    assert_eq!(read.core, written.core, "{what}");
    assert_eq!(read.settings, written.settings, "{what}");
    assert_eq!(defined(&read), defined(&written), "{what}");
}

#[test]
fn every_key_of_a_program_has_the_meaning_of_fosters_own() {
    same("", "");
    same("directory=/srv\numask=022\nuser=www", "directory = '/srv'\numask = '022'\nuser = 'www'");
    same("priority=5\nautostart=no", "priority = 5\nautostart = false");
    same("autorestart=TRUE", "restart = 'always'");
    same("autorestart=false\nexitcodes=0, 2", "restart = 'never'\nsuccess_exit_codes = [0, 2]");
    same("autorestart=unexpected", "");
    same(
        "startsecs=5\nstartretries=2",
        "min_uptime = '5s'\nstart_limit = 3\nbackoff = { initial = '1s', growth = 'linear', max = '1day', reset = '5s' }",
    );
    same("startretries=-1", "start_limit = 1");
    same("stopsignal=quit\nstopwaitsecs=3", "stop_signal = 'QUIT'\nstop_timeout = '3s'");
    same("stopasgroup=true", "stop_group = true\nkill_mode = 'session'");
    same("killasgroup=true", "kill_mode = 'session'");
    same("stdout_logfile=NONE\nstderr_logfile=/dev/null", "stdout = 'null'\nstderr = 'null'");
    same("stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0", "log_prefix = false");
    same("stderr_logfile=/proc/self/fd/2", "log_prefix = false");
    same("stdout_logfile=AUTO\nstderr_logfile=auto\nstdout_logfile_backups=3", "");
    same(
        "stdout_logfile=/log/a\nredirect_stderr=true",
        "stdout = { file = '/log/a', max_size = '50M', keep = 10 }\nstderr = { file = '/log/a', max_size = '50M', keep = 10 }",
    );
    same(
        "stdout_logfile=/log/a\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=0\nstderr_logfile=/log/b\nstderr_logfile_maxbytes=0",
        "stdout = { file = '/log/a', max_size = '1M', keep = 0 }\nstderr = { file = '/log/b', max_size = 'unlimited', keep = 10 }",
    );
}

#[test]
fn values_are_expanded_once_and_dollars_are_no_references() {
    same(
        "environment=A=\"%(ENV_PRICE)s\",B='x%%y',C=\"%(program_name)s\",D=${PORT}\ndirectory=/%(ENV_PORT)s",
        "environment = { A = '5$$ $${PORT} 100%', B = 'x%y', C = 'web', D = '$${PORT}' }\ndirectory = '/8000'",
    );
}

#[test]
fn processes_are_instances_with_a_number_from_numprocs_start() {
    same(
        "numprocs=2\nnumprocs_start=8\nprocess_name=%(program_name)s_%(process_num)02d\n\
         environment=PORT=\"80%(process_num)02d\",N=\"%(numprocs)d\"",
        "instances = 2\nenvironment = { PORT = '80${FOSTER_INSTANCE+8:02}', N = '2' }",
    );
    let plan = plan(
        "supervisord.conf",
        "[supervisord]\n[program:web]\ncommand=web\nnumprocs=2\nprocess_name=w%(process_num)d\n[program:a.b]\ncommand=x\n\
         [group:all]\nprograms=a.b\n",
    );
    let names: Vec<_> = plan
        .instances
        .iter()
        .map(|(_, instance)| instance.program.namespec.clone().unwrap_or_default())
        .collect();
    assert_eq!(names, ["web:w0", "web:w1", "all:a.b"]);
    let labels: Vec<_> = plan.instances.iter().map(|(_, instance)| instance.label.as_str()).collect();
    assert_eq!(labels, ["web.0", "web.1", "a-b"]);
}

#[test]
fn supervisords_own_section_sets_what_all_programs_have() {
    same_file(
        "[supervisord]\nloglevel=warn\nuser=www\nminfds=1024\nenvironment=A=\"1\",B=\"%(ENV_PORT)s\"\n\
         [program:web]\ncommand=web %(ENV_A)s\nenvironment=A=\"2\"\nstopwaitsecs=20\npriority=1\n\
         [program:db]\ncommand=db\n",
        &format!(
            "{}{}",
            DEFAULTS.replace(
                "[defaults]",
                "log_level = 'warn'\nshutdown_timeout = '31s'\n[defaults]\nuser = 'www'"
            ),
            r#"
        [program.web]
        command = "web 1"
        environment = { B = "8000", A = "2" }
        stop_timeout = "20s"
        priority = 1
        [program.db]
        command = "db"
        environment = { A = "1", B = "8000" }
        "#
        ),
        "[supervisord]",
    );
}

#[test]
fn each_process_finds_what_supervisord_tells_it() {
    let plan = plan(
        "supervisord.conf",
        "[supervisord]\n[unix_http_server]\nfile=/run/s.sock\n[program:web]\ncommand=web\nenvironment=SUPERVISOR_ENABLED=0\n\
         [group:all]\nprograms=web\n",
    );
    let program = plan.programs.values().next().expect("a program");
    let given: Vec<(&str, &str)> =
        program.launch.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        given,
        [
            ("SUPERVISOR_PROCESS_NAME", "web"),
            ("SUPERVISOR_GROUP_NAME", "all"),
            ("SUPERVISOR_SERVER_URL", "unix:///run/s.sock"),
            ("SUPERVISOR_ENABLED", "0"),
        ]
    );
}

#[test]
fn a_fastcgi_program_has_its_socket_as_standard_input() {
    let conf = |lines: &str| format!("[supervisord]\n[fcgi-program:php]\ncommand=php\n{lines}");
    let toml = |lines: &str| format!("{DEFAULTS}\n[program.php]\ncommand = 'php'\nstdin = 'socket'\n{lines}");
    same_file(
        &conf(
            "socket=unix:///run/%(program_name)s.sock\nsocket_owner=www:web\nsocket_mode=0770\nsocket_backlog=9",
        ),
        &toml("sockets = 'unix:///run/php.sock?backlog=9&mode=0770&user=www&group=web'"),
        "unix",
    );
    same_file(&conf("socket=unix:///run/p"), &toml("sockets = 'unix:///run/p?mode=0700'"), "mode");
    same_file(&conf("socket=tcp://localhost:9002"), &toml("sockets = 'tcp://localhost:9002'"), "tcp");
}

#[test]
fn included_files_have_their_own_folder_and_later_values_win() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write(
        "s.conf",
        "[supervisord]\n[include]\nfiles = conf.d/*.conf none*.conf\n[program:web]\ncommand=a\ndirectory=%(here)s\n",
    );
    write("conf.d/b.conf", "[program:db]\ncommand=db\ndirectory=%(here)s\n[include]\nfiles=x.conf\n");
    write("conf.d/a.conf", "[program:web]\ncommand=b\n");
    let plan =
        load(&folder.path().join("s.conf"), &environment()).unwrap_or_else(|report| panic!("{report}"));
    let found: Vec<_> = plan
        .programs
        .values()
        .map(|program| {
            (program.launch.command[0].as_str(), program.launch.directory.clone().expect("a folder"))
        })
        .collect();
    assert_eq!(found, [("b", folder.path().to_path_buf()), ("db", folder.path().join("conf.d"))]);
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    assert!(plan.warnings[0].message.contains("no file matches `none*.conf`"));
}

#[test]
fn a_toml_file_cannot_include_one() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("s.conf"), "[supervisord]").expect("a file");
    let path = folder.path().join("foster.toml");
    fs::write(&path, "include = 's.conf'\n[program.web]\ncommand = 'x'\n").expect("a file");
    let report = load(Path::new(&path), &environment()).expect_err("a report").to_string();
    assert!(report.contains("it is supervisord's format"), "{report}");
}

#[test]
fn a_migrated_configuration_makes_the_same_plan() {
    let environment: Environment = [("DIR", "/d"), ("OUTER", "o"), ("QUEUE", "q")]
        .map(|(name, value)| (name.into(), value.into()))
        .into_iter()
        .collect();
    let mut files: Vec<std::path::PathBuf> = vec!["tests/fixtures/config/supervisord.conf".into()];
    let folder = fs::read_dir("tests/fixtures/supervisord").expect("a listing");
    files.extend(
        folder.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some()),
    );
    assert!(files.len() > 10);
    let target = tempfile::tempdir().expect("a folder");
    let toml = target.path().join("foster.toml");
    for file in files {
        let text =
            super::super::migrate(&file, None, &environment).unwrap_or_else(|report| panic!("{report}"));
        fs::write(&toml, &text).expect("a file");
        let (read, migrated) = (load(&file, &environment), load(&toml, &environment));
        let read = read.unwrap_or_else(|report| panic!("{report}"));
        let migrated = migrated.unwrap_or_else(|report| panic!("{report}{text}"));
        assert_eq!(read.core, migrated.core, "{text}");
        assert_eq!(read.settings, migrated.settings, "{text}");
        assert_eq!(defined(&read), defined(&migrated), "{text}");
        assert!(!text.contains("namespec"), "{text}");
    }
}

#[test]
fn a_migrated_configuration_reads_as_a_person_would_have_written_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.conf");
    let conf = "[supervisord]\nlogfile=/var/log/s.log\n[group:app]\nprograms=web\n\
                [program:web]\ncommand=web --port 80%(process_num)02d\nprocess_name=w%(process_num)d\nnumprocs=2\n\
                environment=LEVEL=\"%(ENV_LEVEL)s\",PRICE=\"5$\"\nautorestart=true\nredirect_stderr=true\nstdout_logfile=/log/web\n\
                [program:a.b]\ncommand=x\nmystery=1\n";
    fs::write(&path, conf).expect("a file");
    let text = super::super::migrate(&path, None, &Environment::default())
        .unwrap_or_else(|report| panic!("{report}"));
    let text = text.replace(&path.display().to_string(), "s.conf");
    expect_test::expect![[r##"
        # From s.conf, by `foster migrate`. `foster check` checks it; docs/from-supervisord.md says what differs.
        # line 2: `logfile` has no effect: foster's own lines go to its stderr

        # All programs start at once, and foster stays when all have ended.
        [foster]
        start = "together"
        when_all_ended = "stay"
        shutdown_timeout = "9s"

        # supervisord's defaults, where foster's own are others.
        [defaults]
        restart = "on-failure"
        early_exit = "failure"
        start_limit = 4
        backoff = { initial = "1s", growth = "linear", max = "1day", reset = "1s" }
        on_failure = "ignore"
        stop_timeout = "10s"
        kill_mode = "process"
        stdin = "open"

        # Its name there is `app:w${FOSTER_INSTANCE}`.
        [program.web]
        command = "web --port 80${FOSTER_INSTANCE:02}"
        environment = { LEVEL = "${LEVEL}", PRICE = "5$$" }
        instances = 2
        restart = "always"
        stdout = { file = "/log/web", keep = 10 }
        stderr = { file = "/log/web", keep = 10 }

        # Its name there is `a.b`.
        # line 15: unknown key `mystery` in program `a.b`: it has no effect, as in supervisord
        [program.a-b]
        command = "x"
    "##]].assert_eq(&text);
}

#[test]
fn a_capture_that_migrate_cannot_write_is_a_comment() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.conf");
    let migrated = |size: &str| {
        let text = format!("[supervisord]\n[program:a]\ncommand=x\nstdout_capture_maxbytes={size}\n");
        fs::write(&path, text).expect("a file");
        super::super::migrate(&path, None, &environment()).unwrap_or_else(|report| panic!("{report}"))
    };
    assert!(migrated("1MB").contains("# `capture_maxbytes` has no equal"));
    assert!(!migrated("0").contains("capture"));
}

#[test]
fn a_migrated_http_server_is_the_web_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, toml) = (folder.path().join("s.conf"), folder.path().join("foster.toml"));
    let migrated = |server: &str| {
        let programs = "[supervisord]\n[unix_http_server]\nfile=/run/s.sock\n[program:a]\ncommand=x\n";
        fs::write(&path, format!("{programs}{server}")).expect("a file");
        let text =
            super::super::migrate(&path, None, &environment()).unwrap_or_else(|report| panic!("{report}"));
        fs::write(&toml, &text).expect("a file");
        let plan = load(&toml, &environment()).unwrap_or_else(|report| panic!("{report}{text}"));
        let web = text
            .split_once("[web]\n")
            .map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default().to_owned());
        assert!(!text.contains("secret"), "{text}");
        (web.unwrap_or_default(), plan.web.servers)
    };
    let (text, servers) = migrated("[inet_http_server]\nport=*:9001\nusername=user\npassword=secret\n");
    let expected = "listen = \"0.0.0.0:9001\"\nusername = \"user\"\npassword_file = \"/run/foster-web-password\"\ncontrol = true";
    assert_eq!(text.trim(), expected);
    assert!(servers.len() == 1 && servers[0].control && !servers[0].rpc, "{servers:?}");
    // Without a password other hosts may not control the programs.
    let (text, servers) = migrated("[inet_http_server]\nport=9001\n");
    assert_eq!(text.trim(), "listen = \"0.0.0.0:9001\"");
    assert!(servers.len() == 1 && !servers[0].control, "{servers:?}");
    assert_eq!(migrated("").1, []);
}

#[test]
fn another_format_is_not_migrated() {
    let report = super::super::migrate(Path::new("tests/fixtures/config/full.toml"), None, &environment());
    assert!(report.expect_err("a report").to_string().contains("cannot tell what format this is"));
    let report = super::super::migrate(Path::new("/no/such.conf"), None, &environment());
    assert!(report.expect_err("a report").to_string().contains("No such file"));
}

/// Parts of configurations, right and wrong.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[supervisord]\n",
        "[program:a]\n",
        "[program:]\n",
        "[group:g]\n",
        "[include]\n",
        "[fcgi-program:f]\n",
        "[inet_http_server]\n",
        "command=",
        "files=",
        "programs=",
        "environment=",
        "numprocs=",
        "process_name=",
        "socket=",
        "stdout_logfile=",
        "startsecs=",
        "stopwaitsecs=",
        "priority=",
        "port=",
        "a",
        "=",
        ":",
        "%",
        "%(",
        "%(ENV_PRICE)s",
        "%(process_num)02d",
        "%(here)s",
        "\"",
        "'",
        ",",
        "9",
        "99999999999999999999",
        "-1",
        "*",
        " ",
        "\n",
        "\n ",
        ";",
        "é",
        "$",
        "${",
        "}",
        "tcp://",
        "unix://",
    ])
}

proptest! {
    #[test]
    fn no_configuration_causes_a_panic(fragments in prop::collection::vec(fragment(), 0..30)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.conf");
        fs::write(&path, fragments.concat()).expect("a file");
        let _ = load(&path, &environment());
        let _ = super::super::migrate(&path, None, &environment());
    }
}

/// Each of these would take minutes if a step were quadratic.
#[test]
fn a_hostile_file_is_read_at_a_bounded_cost() {
    let many = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
    let program = |keys: &str| format!("[supervisord]\n[program:a]\ncommand=x\n{keys}\n");
    for (text, expected) in [
        (program(&many(120_000, &|number| format!("k{number}=1\n"))), None),
        (program(&format!("environment={}", many(90_000, &|number| format!("K{number}=1,")))), None),
        (program(&many(50_000, &|number| format!("[program:a]\nk{number}=1\n"))), None),
        (format!("[supervisord]\n[program:a]\ncommand=x{}\n", " y".repeat(400_000)), None),
        (format!("[supervisord]\n[program:a]\ncommand=x{}\n", many(100_000, &|n| format!(" ~/a{n}"))), None),
        (
            program(&many(60_000, &|number| format!("[program:p{number}]\n"))),
            Some("there are 10001 programs"),
        ),
        (
            program(&format!("[group:g]\nprograms={}", many(100_000, &|number| format!("p{number},")))),
            Some("there is no program `p0`"),
        ),
        (
            program(&format!(
                "[eventlistener:e]\ncommand=x\nevents={}",
                many(100_000, &|number| format!("T{number},"))
            )),
            Some("there is no event `T0`"),
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.conf");
        fs::write(&path, &text).expect("a file");
        let report = load(&path, &environment()).err().map(|report| report.to_string());
        let start: String = text.chars().take(60).collect();
        match (&report, expected) {
            (Some(report), Some(expected)) => assert!(report.contains(expected), "{start}: {report:.2000}"),
            (None, None) => {}
            (report, _) => panic!("{start}: {report:?}"),
        }
    }
}
