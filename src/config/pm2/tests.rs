//! An ecosystem file of PM2's beside the TOML that says the same: both make one plan.

use std::fs;
use std::path::Path;

use foster_core::sorted::SortedMap;

use super::super::environment::ScriptError;
use super::super::{Environment, Report, load, migrate};
use crate::plan::Plan;

fn environment() -> Environment {
    [("FOSTER_CPUS", "4"), ("PATH", "/nowhere"), ("HOME", "/root")]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn read(name: &str, text: &str, environment: &Environment) -> Result<Plan, Report> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    load(&path, environment)
}

fn plan(name: &str, text: &str) -> Plan {
    read(name, text, &environment()).unwrap_or_else(|report| panic!("{report}"))
}

/// What PM2's defaults are in TOML.
const DEFAULTS: &str = r#"
    [foster]
    start = "together"
    when_all_ended = "fail"
    [defaults]
    start_limit = 16
    backoff = { initial = "0s", max = "0s", reset = "1s" }
    on_failure = "ignore"
    stop_signal = "INT"
    stop_timeout = "1600ms"
    stop_group = true
    stdin = "open"
"#;

/// The definitions, without the variables that PM2 gives every process.
fn defined(plan: &Plan) -> SortedMap<foster_core::ids::InstanceId, crate::plan::Program> {
    let own = ["name", "namespace", "exec_mode", "pm_id", "NODE_APP_INSTANCE", "NODE_OPTIONS"];
    let plain = |mut program: crate::plan::Program| {
        program.namespec = None;
        program.launch.environment.retain(|(name, _)| !own.contains(&name.as_str()));
        program
    };
    plan.instances.iter().map(|(id, instance)| (*id, plain((*instance.program).clone()))).collect()
}

/// An app with these keys, and the TOML table of the same.
#[track_caller]
fn same(keys: &str, toml: &str) {
    let json = plan("ecosystem.json", &format!("{{ apps: [{{ name: 'web', script: 'web.js', {keys} }}] }}"));
    let command = if toml.contains("command") { "" } else { "command = [\"node\", \"web.js\"]\n" };
    let toml = plan("foster.toml", &format!("{DEFAULTS}\n[program.web]\n{command}{toml}"));
    assert_eq!(json.core, toml.core, "{keys}");
    assert_eq!(defined(&json), defined(&toml), "{keys}");
}

/// The error or the warning of an app with these keys.
#[track_caller]
fn says(keys: &str, expected: &str) {
    let text = format!("{{ apps: [{{ name: 'web', script: 'web.js', {keys} }}] }}");
    let said = match read("ecosystem.json", &text, &environment()) {
        Ok(plan) => plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(report) => report.to_string(),
    };
    assert!(said.contains(expected), "{keys}: {said}");
}

#[test]
fn the_command_is_that_of_pm2() {
    same("", "");
    same(
        "cwd: '/srv', args: '-a \"b c\" $HOME'",
        "directory = \"/srv\"\ncommand = [\"node\", \"web.js\", \"-a\", \"b c\", \"$$HOME\"]",
    );
    same(
        "node_args: ['--max-old-space-size=100'], args: ['x y', 1]",
        "command = [\"node\", \"--max-old-space-size=100\", \"web.js\", \"x y\", \"1\"]",
    );
    same("interpreter: 'none'", "command = [\"web.js\"]");
    same("interpreter: 'node@20'", "");
    same(
        "interpreter: 'deno', interpreterArgs: 'run -A'",
        "command = [\"deno\", \"run\", \"-A\", \"web.js\"]",
    );
    for (script, command) in [
        ("web.py", "[\"python3\", \"web.py\"]\nenvironment = { PYTHONUNBUFFERED = \"1\" }"),
        ("./run.sh", "[\"sh\", \"./run.sh\"]"),
        ("dist/main.mjs", "[\"node\", \"dist/main.mjs\"]"),
        ("npm", "[\"npm\"]"),
        ("echo a && exec b", "[\"sh\", \"-c\", \"echo a && exec b\"]"),
    ] {
        same(&format!("script: '{script}'"), &format!("command = {command}"));
    }
}

#[test]
fn the_keys_of_restarts_are_those_of_pm2() {
    same("autorestart: false", "restart = \"never\"");
    same("autostart: false", "autostart = false");
    same("stop_exit_codes: [0, 143]", "restart = \"on-failure\"\nsuccess_exit_codes = [0, 143]");
    same("stop_exit_codes: 3", "restart = \"on-failure\"\nsuccess_exit_codes = [3]");
    same("max_restarts: 5", "start_limit = 5");
    same("max_restarts: 0", "start_limit = 1");
    same(
        "min_uptime: '5s'",
        "min_uptime = \"5s\"\nbackoff = { initial = \"0s\", max = \"0s\", reset = \"5s\" }",
    );
    same("restart_delay: 100", "backoff = { initial = \"100ms\", max = \"100ms\", reset = \"1s\" }");
    same(
        "restart_delay: 4000, max_restarts: 3",
        "backoff = { initial = \"4s\", max = \"4s\", reset = \"1s\" }\nstart_limit = \"unlimited\"",
    );
    same(
        "exp_backoff_restart_delay: 100",
        "backoff = { initial = \"100ms\", factor = 1.5, max = \"15s\", reset = \"30s\" }\nstart_limit = \"unlimited\"",
    );
    same("max_memory_restart: '300M'", "memory_max = \"300M\"");
    same("max_memory_restart: 300000000", "memory_max = 300000000");
}

#[test]
fn the_keys_of_stopping_and_readiness_are_those_of_pm2() {
    same("killTimeout: 3000", "stop_timeout = \"3s\"");
    same("treekill: false", "stop_group = false\nkill_mode = \"process\"");
    same("wait_ready: true", "ready = { ipc = true, timeout = \"3s\", on_timeout = \"ready\" }");
    same(
        "wait_ready: true, listen_timeout: 500",
        "ready = { ipc = true, timeout = \"500ms\", on_timeout = \"ready\" }",
    );
    let long = plan("e.json", "[{ script: 'a.js', kill_timeout: 60000 }]");
    assert_eq!(long.core.settings().shutdown_timeout.as_secs(), 61);
}

#[test]
fn the_keys_of_users_variables_and_output_are_those_of_pm2() {
    same("uid: 'app', gid: 100", "user = \"app:100\"");
    same("user: 1000", "user = \"1000\"");
    same(
        "env: { A: 1, B: true, C: null, D: '$x', E: { f: [1, 'g'] } }, port: 3000",
        "environment = { A = \"1\", B = \"true\", C = \"null\", D = \"$$x\", E = '{\"f\":[1,\"g\"]}', PORT = \"3000\" }",
    );
    same("filter_env: true", "inherit_environment = false");
    same("out_file: '/dev/null', error_file: '/dev/stderr'", "stdout = \"null\"");
    same("disable_logs: true", "stdout = \"null\"\nstderr = \"null\"");
    let file = |path: &str| format!("stdout = {{ file = \"{path}\", max_size = \"unlimited\" }}");
    same(
        "cwd: '/srv', out_file: 'logs/a.log'",
        &format!("directory = \"/srv\"\n{}", file("/srv/logs/a.log")),
    );
    same("out_file: '~/a.log'", &file("/root/a.log"));
    same("exec_mode: 'cluster', out: '/l/a.log'", &file("/l/a-0.log"));
    same("exec_mode: 'cluster', out: '/l/a.log', merge_logs: true", &file("/l/a.log"));
}

#[test]
fn the_instances_are_those_of_pm2() {
    for (instances, expected) in
        [("'max'", "\"auto\""), ("0", "\"auto\""), ("3", "3"), ("-1", "3"), ("-9", "1"), ("'2'", "2")]
    {
        same(&format!("instances: {instances}, exec_mode: 'fork'"), &format!("instances = {expected}"));
    }
    same(
        "instances: 2, env: { PORT: 3000 }",
        "instances = 2\nsockets = \"tcp://[::]:3000\"\nenvironment = { PORT = \"3000\" }",
    );
    same(
        "instances: 2, exec_mode: 'fork', env: { PORT: 3000 }",
        "instances = 2\nenvironment = { PORT = \"3000\" }",
    );
    let text = "[{ name: 'a', script: 'a.js', instances: 2 }, { script: 'b.sh', instances: 2, increment_var: 'N', \
                instance_var: 'I', env: { N: 7 } }]";
    let plan = plan("e.json", text);
    let of = |name: &str| -> Vec<String> {
        let all = plan.instances.iter().map(|(_, instance)| &instance.program.launch.environment);
        all.filter_map(|all| all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
            .collect()
    };
    assert_eq!(of("pm_id"), ["0", "1", "2", "3"]);
    assert_eq!((of("NODE_APP_INSTANCE"), of("I"), of("N")), (v(&["0", "1"]), v(&["0", "1"]), v(&["7", "8"])));
    assert_eq!(of("exec_mode"), ["cluster_mode", "cluster_mode", "fork_mode", "fork_mode"]);
}

fn v(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn an_environment_that_is_chosen_wins_and_an_app_without_it_is_a_warning() {
    let chosen: Environment = [("FOSTER_PM2_ENV".into(), "production".into())].into_iter().collect();
    let text = "{ apps: [{ name: 'a', script: 'a.js', env: { A: '1', B: '2' }, env_production: { B: '3' }, append_env_to_name: true },\n\
                { name: 'b', script: 'b.js' }] }";
    let plan = read("e.json", text, &chosen).expect("a plan");
    let first = plan.instances.iter().next().expect("an instance").1;
    let variables: Vec<_> =
        first.program.launch.environment.iter().filter(|(name, _)| name.len() == 1).collect();
    assert_eq!(variables, [&("A".to_owned(), "1".to_owned()), &("B".to_owned(), "3".to_owned())]);
    assert_eq!(first.program.name, "a-production");
    assert!(
        plan.warnings[0].to_string().contains(":2:9: app `b` has no `env_production`"),
        "{}",
        plan.warnings[0]
    );
}

#[test]
fn only_the_apps_that_are_chosen_are_read() {
    let only = |name: &str| [("FOSTER_PM2_ONLY".into(), name.into())].into_iter().collect::<Environment>();
    let text = "[{ script: 'a.js' }, { script: './b.js' }, { script: 'c.js' }]";
    let names =
        |plan: &Plan| plan.instances.iter().map(|(_, one)| one.program.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read("e.json", text, &only("a,c")).expect("a plan")), ["a", "c"]);
    let report = read("e.json", text, &only("d")).expect_err("no app").to_string();
    assert!(report.contains("no app has the name `d`") && report.contains("`a`, `b`, `c`"), "{report}");
}

#[test]
fn a_restart_by_cron_is_a_job() {
    let plan =
        plan("e.json", "[{ script: 'a.js', cron_restart: '0 30 4 * * *' }, { script: 'b.js', cron: '0' }]");
    let jobs: Vec<_> = plan.instances.iter().filter(|(_, one)| one.program.schedule.is_some()).collect();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].1.program.launch.command.get(1..), Some(v(&["restart", "a"]).as_slice()));
}

#[test]
fn what_foster_cannot_do_is_said_at_its_line() {
    says("watch: true", "error: `watch` is not supported");
    says("watch: ['src']", "`watch` is not supported");
    says("kill_timeout: 'soon'", "`kill_timeout` cannot be `soon`");
    says("min_uptime: -1", "`min_uptime` cannot be `-1`");
    says("exec_mode: 'threads'", "`exec_mode` cannot be `threads`");
    says("exec_mode: 'cluster', interpreter: 'python3'", "cluster mode is for Node");
    says("gid: 'app'", "`gid` cannot be `app`");
    says("autorestart: 'perhaps'", "`autorestart` cannot be `perhaps`");
    says("stop_exit_codes: [256]", "success_exit_codes");
    says("args: {}", "`args` cannot be an object");
    says("env: 'x'", "the variables of an app are not an object");
    says("cron_restart: '5 * * * * *'", "foster restarts at a whole minute");
    says("cron_restart: 'often'", "`often`");
    says("instances: 2, exec_mode: 'cluster'", "the port is not known");
    says("max_memory_restart: 'lots'", "lots");
    says("kil_timeout: 3", "unknown key `kil_timeout` of an app");
    says("shutdown_with_message: true", "`shutdown_with_message` has no effect");
    says("pid_file: '/run/a.pid'", "`pid_file` has no effect");
    says("log_file: '/l/a.log'", "to this file alone");
}

#[test]
fn a_file_without_apps_says_so() {
    for (text, expected) in [
        ("{ \"apps\": [] }", "this file has no apps"),
        ("3", "this file has no apps"),
        ("{ apps: [{ name: 'x' }] }", "app `x` has no `script`"),
        ("{ apps: [{ name: process.env.X }] }", ":1:18: error: not a value of JSON"),
    ] {
        let report = read("ecosystem.json", text, &environment()).expect_err(text).to_string();
        assert!(report.contains(expected), "{report}");
    }
}

#[test]
fn javascript_is_run_where_that_is_possible_and_its_mistakes_have_their_line() {
    let run = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("good.config.js") => Ok("[\n  { \"script\": \"a.js\", \"watch\": true }\n]".to_owned()),
        _ => {
            Err(ScriptError { message: "it throws".to_owned(), note: "see there".to_owned(), line: Some(2) })
        }
    };
    let environment = environment().evaluating(run);
    let report = read("good.config.js", "x", &environment).expect_err("`watch`").to_string();
    assert!(report.contains("good.config.js, as JSON:2:23: error: `watch`"), "{report}");
    let report = read("bad.config.js", "one\n  two\n", &environment).expect_err("it throws").to_string();
    assert!(
        report.contains("bad.config.js:2:3: error: it throws\n   2 |   two\n     |   ^^^ see there"),
        "{report}"
    );
    let report =
        read("good.config.js", "x", &super::tests::environment()).expect_err("nothing runs it").to_string();
    assert!(report.contains("no process could be made to run this file"), "{report}");
}

#[test]
fn a_migrated_file_makes_the_same_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ecosystem.json");
    let text = "{ apps: [{ name: 'my web', script: 'web.js', instances: 2, wait_ready: true, env: { PORT: 3000, A: '$B' } },\n\
                { script: 'worker.py', cron_restart: '0 4 * * *', out_file: '/l/w.log', uid: 'app', watch: false }],\n\
                deploy: {} }";
    fs::write(&path, text).expect("a file");
    let toml = migrate(&path, None, &environment()).expect("TOML");
    assert!(
        toml.contains("# line 3: `deploy` has no effect") && toml.contains("Its name there is `my web`."),
        "{toml}"
    );
    assert!(toml.contains("[job.worker-cron]\ncommand = [\"foster\", \"restart\", \"worker\"]"), "{toml}");
    assert!(toml.contains("--require /usr/local/lib/foster-listen.cjs"), "{toml}");
    let (json, toml) = (plan("ecosystem.json", text), plan("foster.toml", &toml));
    assert_eq!(json.core, toml.core);
    let programs = |plan: &Plan| {
        let mut all = defined(plan);
        all.retain(|_, program| program.schedule.is_none());
        all
    };
    assert_eq!(programs(&json), programs(&toml));
}

#[test]
fn a_file_of_yaml_says_the_same_as_one_of_json() {
    let yaml = "apps:\n  - name: web\n    script: web.js # the server\n    instances: 2\n    args: [a, 'b c']\n    env:\n      PORT: 3000\n";
    let json = "{ apps: [{ name: 'web', script: 'web.js', instances: 2, args: ['a', 'b c'], env: { PORT: 3000 } }] }";
    let (yaml, json) = (plan("ecosystem.yaml", yaml), plan("ecosystem.json", json));
    assert_eq!(yaml.core, json.core);
    assert_eq!(defined(&yaml), defined(&json));
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n\
                d: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n\
                apps: [*f, *f, *f, *f, *f, *f, *f, *f]\n";
    let report = read("ecosystem.yaml", bomb, &environment()).expect_err("a bomb").to_string();
    assert!(report.contains("error"), "{report}");
}
