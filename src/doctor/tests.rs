use super::*;

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

/// A root directory with chosen files.
struct FakeRoot(TempDir);

const STATUS: &str = "Name:\tfoster\nPid:\t1\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t0\n\
                      Seccomp:\t2\nCpus_allowed_list:\t0-3,6\n";
const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max core file size        0                    unlimited            bytes     \n\
                      Max processes             unlimited            unlimited            processes \n\
                      Max open files            1024                 524288               files     \n";
const V2: &str = "30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";

impl FakeRoot {
    /// Without files.
    fn none() -> FakeRoot {
        FakeRoot(tempfile::tempdir().unwrap())
    }

    /// A container with foster as PID 1 and cgroups of version 2.
    fn container() -> FakeRoot {
        FakeRoot::none()
            .file("proc/1/comm", "foster\n")
            .file("proc/1/status", STATUS)
            .file("proc/1/limits", LIMITS)
            .file("proc/1/cgroup", "0::/\n")
            .file("proc/1/mountinfo", V2)
            .link("proc/1/ns/pid", "pid:[4026532211]")
            .link("proc/1/fd/1", "pipe:[1]")
            .link("proc/1/fd/2", "pipe:[2]")
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:\n")
            .file("sys/devices/system/cpu/online", "0-7\n")
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> FakeRoot {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> FakeRoot {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
        symlink(target, path).unwrap();
        self
    }

    fn without(self, path: &str) -> FakeRoot {
        fs::remove_file(self.0.path().join(path)).unwrap();
        self
    }

    fn status(self, from: &str, to: &str) -> FakeRoot {
        assert!(STATUS.contains(from));
        self.file("proc/1/status", STATUS.replace(from, to))
    }

    fn cgroup(self, file: &str, text: &str) -> FakeRoot {
        self.file(&format!("sys/fs/cgroup/{file}"), text)
    }

    fn findings(&self) -> Vec<Finding> {
        self.findings_with(&nothing_known())
    }

    fn findings_with(&self, known: &Known) -> Vec<Finding> {
        examine(self.0.path(), known)
    }

    /// The finding about a subject: its grade, state and meaning.
    #[track_caller]
    fn finding(&self, subject: &str) -> (Grade, String, String) {
        of(self.findings(), subject)
    }
}

#[track_caller]
fn of(findings: Vec<Finding>, subject: &str) -> (Grade, String, String) {
    let found = findings.into_iter().find(|finding| finding.subject == subject);
    let found = found.unwrap_or_else(|| panic!("nothing about {subject}"));
    (found.grade, found.value.into_owned(), found.meaning.into_owned())
}

fn nothing_known() -> Known {
    Known {
        configuration: Configuration::None,
        socket: Socket::Disabled,
        termination_log: PathBuf::from("/dev/termination-log"),
        time_zone: None,
    }
}

#[track_caller]
fn shows(root: &FakeRoot, subject: &str, grade: Grade, value: &str, meaning: &str) {
    let found = root.finding(subject);
    assert_eq!((found.0, found.1.as_str()), (grade, value), "{subject}: {}", found.2);
    assert!(found.2.contains(meaning), "{subject}: {}", found.2);
}

#[test]
fn an_ordinary_container_has_no_warnings() {
    let container = FakeRoot::container()
        .cgroup("memory.max", "536870912\n")
        .cgroup("memory.current", "33554432\n")
        .cgroup("memory.events", "oom 0\noom_kill 0\n")
        .cgroup("memory.oom.group", "0\n")
        .cgroup("cpu.max", "max 100000\n")
        .cgroup("pids.max", "100\n")
        .cgroup("pids.current", "7\n");
    shows(&container, "init", Grade::Ok, "PID 1 is `foster`", "reaps every orphan");
    shows(&container, "PID namespace", Grade::Ok, "separate", "kills the remaining");
    shows(&container, "user", Grade::Ok, "0 (root)", "another `user`");
    shows(&container, "no new privileges", Grade::Ok, "off", "setuid");
    shows(&container, "seccomp", Grade::Ok, "a filter", "EPERM");
    shows(&container, "open files", Grade::Ok, "1024, at most 524288", "start with the first number");
    shows(&container, "core files", Grade::Ok, "0, at most unlimited", "no core file");
    shows(&container, "cgroup", Grade::Ok, "version 2, /sys/fs/cgroup/", "out-of-memory killer");
    shows(&container, "memory", Grade::Ok, "512M, 32M in use", "Above it");
    shows(&container, "memory.oom.group", Grade::Ok, "0", "survives");
    shows(&container, "CPUs", Grade::Ok, "5 of 8, by affinity", "see this number");
    shows(&container, "processes", Grade::Ok, "100, 7 in use", "EAGAIN");
    shows(&container, "standard output", Grade::Ok, "a pipe", "programs that write block");
    assert!(container.finding("capabilities").1.starts_with("audit_write, chown, dac_override, "));
    assert!(container.findings().iter().all(|finding| finding.grade != Grade::Bad));
}

#[test]
fn a_group_kill_is_a_warning_at_any_level() {
    let container = FakeRoot::container().cgroup("memory.oom.group", "1\n");
    shows(&container, "memory.oom.group", Grade::Warn, "1", "foster too");
    let above = FakeRoot::container()
        .file("proc/1/cgroup", "0::/pod/app\n")
        .cgroup("pod/app/memory.oom.group", "0\n")
        .cgroup("pod/memory.oom.group", "1\n");
    shows(&above, "memory.oom.group", Grade::Warn, "1", "singleProcessOOMKill");
}

#[test]
fn the_lowest_limit_of_the_parent_cgroups_counts() {
    let nested = FakeRoot::container()
        .file("proc/1/cgroup", "0::/pod/app\n")
        .cgroup("pod/app/memory.max", "max\n")
        .cgroup("pod/memory.max", "1073741824\n")
        .cgroup("pod/app/memory.current", "1024\n")
        .cgroup("pod/app/memory.events", "oom_kill 3\n")
        .cgroup("pod/app/cpu.max", "max 100000\n")
        .cgroup("pod/cpu.max", "150000 100000\n")
        .cgroup("pod/pids.max", "10\n")
        .cgroup("pod/app/pids.current", "9\n");
    shows(&nested, "memory", Grade::Warn, "1.0G, 1.0K in use, 3 killed so far", "restarts");
    shows(&nested, "CPUs", Grade::Note, "1.50 of 5, by quota", "see 5");
    shows(&nested, "processes", Grade::Warn, "10, 9 in use", "nearly");
}

#[test]
fn whether_programs_get_control_groups_is_shown_with_the_obstacle() {
    let container = || FakeRoot::container().cgroup("cgroup.procs", "1\n");
    let shown = |root: FakeRoot, grade, value: &str| shows(&root, "process trees", grade, value, "");
    shown(container(), Grade::Ok, "by cgroups");
    shown(
        container().cgroup("memory.max", "max\n").cgroup("cgroup.type", "domain\n"),
        Grade::Ok,
        "by cgroups",
    );
    let limit = "by /proc, /sys/fs/cgroup/: programs look for its limits in their own cgroup";
    shown(container().cgroup("memory.max", "536870912\n"), Grade::Note, limit);
    shown(container().cgroup("cpu.max", "50000 100000\n"), Grade::Note, limit);
    let threaded = container().cgroup("cgroup.type", "threaded\n");
    shown(threaded, Grade::Note, "by /proc, /sys/fs/cgroup/: it is threaded");
    // A folder that is not there stands for one that cannot be written: root may write to any.
    let missing = "by /proc, /sys/fs/cgroup/: No such file or directory";
    shown(FakeRoot::container(), Grade::Note, missing);
    let old = container().file("proc/1/cgroup", "8:memory:/\n");
    shown(old, Grade::Note, "by /proc, no cgroup of version 2 is visible");
}

#[test]
fn whether_the_kernel_limits_memory_is_shown_with_the_obstacle() {
    let container = || FakeRoot::container().cgroup("cgroup.procs", "1\n");
    let shown = |root: FakeRoot, grade, value: &str| shows(&root, "memory_max", grade, value, "`memory_max`");
    let with = container().cgroup("cgroup.controllers", "cpu memory\n");
    shown(with, Grade::Ok, "foster looks every 2 s, and the kernel has a limit");
    let without = "foster looks every 2 s; /sys/fs/cgroup/ does not have the memory controller";
    shown(container().cgroup("cgroup.controllers", "cpu\n"), Grade::Note, without);
    let limited = container().cgroup("cgroup.controllers", "memory\n").cgroup("memory.max", "536870912\n");
    let limit = "foster looks every 2 s; /sys/fs/cgroup/: programs look for its limits in their own cgroup";
    shown(limited, Grade::Note, limit);
    let old = container().file("proc/1/cgroup", "8:memory:/\n");
    shown(old, Grade::Note, "foster looks every 2 s; no cgroup of version 2 is visible");
}

#[test]
fn version_1_and_a_hybrid_are_read() {
    let one = "33 31 0:30 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n\
               35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
               36 31 0:33 / /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n";
    let old = FakeRoot::container()
        .file("proc/1/cgroup", "9:cpu,cpuacct:/\n8:memory:/\n7:pids:/\n")
        .file("proc/1/mountinfo", one)
        .cgroup("memory/memory.limit_in_bytes", "9223372036854771712\n")
        .cgroup("memory/memory.usage_in_bytes", "2048\n")
        .cgroup("memory/memory.oom_control", "under_oom 0\noom_kill 1\n")
        .cgroup("cpu/cpu.cfs_quota_us", "200000\n")
        .cgroup("cpu/cpu.cfs_period_us", "100000\n")
        .cgroup("pids/pids.max", "max\n");
    shows(&old, "cgroup", Grade::Ok, "version 1, /sys/fs/cgroup/memory/", "");
    shows(&old, "memory", Grade::Warn, "no visible limit, 2.0K in use, 1 killed so far", "leaks");
    shows(&old, "memory.oom.group", Grade::Ok, "missing", "Version 1");
    shows(&old, "CPUs", Grade::Note, "2.00 of 5, by quota", "throttled");
    shows(&old, "processes", Grade::Ok, "no visible limit", "forks endlessly");
    let hybrid = FakeRoot::container()
        .file("proc/1/cgroup", "8:memory:/\n0::/\n")
        .file("proc/1/mountinfo", format!("{one}{V2}"));
    shows(&hybrid, "cgroup", Grade::Ok, "versions 1 and 2, /sys/fs/cgroup/memory/", "");
}

#[test]
fn without_cgroups_or_proc_the_state_is_unknown() {
    let without = FakeRoot::container().without("proc/1/cgroup").without("proc/1/mountinfo");
    shows(&without, "cgroup", Grade::Note, "not visible", "any other SIGKILL");
    shows(&without, "memory", Grade::Ok, "no visible limit", "");
    let nothing = FakeRoot::none();
    shows(&nothing, "init", Grade::Warn, "unknown", "/proc is not mounted");
    shows(&nothing, "standard output", Grade::Note, "unknown", "not visible");
    shows(&nothing, "time zone", Grade::Ok, "UTC", "not set");
    assert!(nothing.findings().iter().all(|finding| !finding.meaning.is_empty()));
}

#[test]
fn garbage_causes_no_wrong_findings() {
    let garbage = b"\xff\xfe\0:::\n- - -\nUid:\nCapEff:\tzz\nMax open files x y\nCpus_allowed_list:\t9-1\n";
    let mut root = FakeRoot::container();
    let files = ["status", "limits", "cgroup", "mountinfo"];
    for file in files {
        root = root.file(&format!("proc/1/{file}"), garbage);
    }
    for finding in root.findings() {
        assert!(!["user", "capabilities", "CPUs", "open files"].contains(&finding.subject), "{finding:?}");
    }
    let wild = FakeRoot::container()
        .status("0-3,6", "0-18446744073709551615")
        .cgroup("cpu.max", "18446744073709551615 0\n")
        .cgroup("memory.max", "-5\n")
        .cgroup("pids.max", "\u{1b}[2J\n");
    shows(&wild, "memory", Grade::Ok, "no visible limit", "");
    shows(&wild, "processes", Grade::Ok, "no visible limit", "");
}

#[test]
fn control_characters_in_a_name_are_replaced() {
    let hostile =
        FakeRoot::container().file("proc/1/comm", "\u{1b}[2Jx\n").link("proc/self/fd/1", "/tmp/\u{1b}[2J");
    assert!(!text(&hostile.findings(), Colour::No).contains('\u{1b}'));
}

#[test]
fn under_another_init_this_process_is_examined() {
    let under = |init: &str| {
        FakeRoot::none().file("proc/1/comm", format!("{init}\n")).file("proc/self/status", STATUS)
    };
    let (grade, value, meaning) = under("tini").finding("init");
    assert_eq!((grade, value), (Grade::Note, format!("PID 1 is `tini`, this is {}", std::process::id())));
    assert!(meaning.contains("subreaper") && meaning.contains("is not needed"), "{meaning}");
    let (_, _, meaning) = under("systemd").finding("init");
    assert!(!meaning.contains("is not needed"), "{meaning}");
    shows(&under("pause"), "user", Grade::Ok, "0", "has no name");
    let machine = under("systemd").link("proc/self/ns/pid", "pid:[4026531836]");
    shows(&machine, "PID namespace", Grade::Note, "the host's", "only its own");
}

#[test]
fn missing_capabilities_are_reported_with_the_effect() {
    let with = |mask: &str| FakeRoot::container().status("00000000a80425fb", mask);
    shows(&with("0000000000000000"), "user", Grade::Warn, "0 (root)", "fails to start");
    shows(&with("0000000000000000"), "capabilities", Grade::Ok, "none", "foster needs none");
    // setgid and setuid, and then kill too.
    shows(&with("00000000000000c0"), "capabilities", Grade::Warn, "setgid, setuid", "cannot stop");
    shows(&with("00000000000000e0"), "capabilities", Grade::Warn, "kill, setgid, setuid", "/dev/stdout");
    shows(&with("000001ffffffffff"), "capabilities", Grade::Ok, "all", "");
    shows(&with("000001fffffffffe"), "capabilities", Grade::Warn, "all but chown", "");
    let unnamed = with("0000000000000000").file(
        "proc/1/status",
        STATUS.replace("0\t0\t0\t0", "12345\t12345\t12345\t12345").replace("a80425fb", "00000000"),
    );
    shows(&unnamed, "user", Grade::Note, "12345", "has no name");
    let on = FakeRoot::container().status("NoNewPrivs:\t0", "NoNewPrivs:\t1");
    shows(&on, "no new privileges", Grade::Ok, "on", "still works");
}

#[test]
fn limits_that_are_too_low_or_too_high_are_reported() {
    let with = |name: &str, values: &str| {
        let line = LIMITS.lines().find(|line| line.starts_with(name)).unwrap();
        FakeRoot::container().file("proc/1/limits", LIMITS.replace(line, &format!("{name} {values}")))
    };
    shows(&with("Max open files", "64 64 files"), "open files", Grade::Warn, "64", "only few programs fit");
    shows(
        &with("Max open files", "1073741816 1073741816 files"),
        "open files",
        Grade::Note,
        "1073741816",
        "takes seconds",
    );
    shows(&with("Max processes", "100 100"), "user's processes", Grade::Warn, "100", "EAGAIN");
    shows(
        &with("Max core file size", "unlimited unlimited"),
        "core files",
        Grade::Note,
        "unlimited",
        "core = 0",
    );
}

#[test]
fn each_kind_of_stream_is_recognized() {
    let to = |target: &str| FakeRoot::container().link("proc/1/fd/1", target);
    shows(&to("/dev/null"), "standard output", Grade::Warn, "/dev/null", "foster logs");
    shows(&to("/dev/pts/0"), "standard output", Grade::Ok, "a terminal, /dev/pts/0", "coloured");
    shows(&to("socket:[7]"), "standard output", Grade::Ok, "a socket", "journal");
    shows(&to("/var/log/x"), "standard output", Grade::Note, "a file, /var/log/x", "is not rotated");
    shows(&to("anon_inode:[x]"), "standard output", Grade::Ok, "anon_inode:[x]", "");
    let closed = FakeRoot::container().without("proc/1/fd/2");
    shows(&closed, "standard error", Grade::Warn, "closed", "foster logs");
}

#[test]
fn the_listener_at_the_socket_determines_the_finding() {
    let container = FakeRoot::container().file("run/keep", "");
    let at = |path: &str, listener| {
        let socket = Socket::At(PathBuf::from(path), listener);
        of(container.findings_with(&Known { socket, ..nothing_known() }), "control socket")
    };
    let cases = [
        (Listener::Supervisor, Grade::Ok, "/run/s, in use", "with this socket fails"),
        (Listener::Denied, Grade::Note, "/run/s, not for this user", "root and its own user"),
        (Listener::Stale, Grade::Ok, "/run/s, left over from an earlier supervisor", "creates it"),
        (Listener::Missing, Grade::Ok, "/run/s, free", "creates it"),
        (Listener::Unknown, Grade::Warn, "/run/s, no answer", "another program"),
    ];
    for (listener, grade, value, meaning) in cases {
        let found = at("/run/s", listener);
        assert_eq!((found.0, found.1.as_str()), (grade, value));
        assert!(found.2.contains(meaning), "{}", found.2);
    }
    let found = at("/nowhere/s", Listener::Missing);
    assert_eq!(found.0, Grade::Warn);
    assert!(found.2.contains("No such file or directory") && found.2.contains("tmpfs"), "{}", found.2);
    assert_eq!(container.finding("control socket").0, Grade::Note);
}

#[test]
fn only_an_invalid_configuration_prevents_foster_from_working() {
    let container = FakeRoot::container();
    let with = |configuration| {
        of(container.findings_with(&Known { configuration, ..nothing_known() }), "configuration")
    };
    let found = with(Configuration::Invalid { problems: 2 });
    assert_eq!((found.0, found.1.as_str()), (Grade::Bad, "2 errors"));
    let found = with(Configuration::Valid { path: "/etc/foster.toml".into(), programs: 1 });
    assert_eq!((found.0, found.1.as_str()), (Grade::Ok, "/etc/foster.toml"));
    assert!(found.2.ends_with("has 1 program."), "{}", found.2);
    assert_eq!(with(Configuration::None).0, Grade::Note);
}

#[test]
fn an_unknown_time_zone_is_a_warning() {
    let container = FakeRoot::container().file("usr/share/zoneinfo/Europe/Vienna", "TZif");
    let in_zone = |zone: &str| {
        let known = Known { time_zone: Some(zone.to_owned()), ..nothing_known() };
        of(container.findings_with(&known), "time zone")
    };
    for zone in ["Europe/Vienna", ":Europe/Vienna", "UTC", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        assert_eq!(in_zone(zone).0, Grade::Ok, "{zone}");
    }
    let found = in_zone("Europe/Viena");
    assert_eq!(found.0, Grade::Warn);
    assert!(found.2.contains("/usr/share/zoneinfo/Europe/Viena"), "{}", found.2);
    let set = FakeRoot::container().file("etc/localtime", "TZif");
    assert_eq!(set.finding("time zone").1, "from /etc/localtime");
}

#[test]
fn an_existing_termination_log_is_reported() {
    let existing = FakeRoot::container().file("dev/termination-log", "");
    assert_eq!(existing.finding("termination log").1, "/dev/termination-log");
    let missing = FakeRoot::container().finding("termination log");
    assert_eq!((missing.0, missing.1.as_str()), (Grade::Ok, "/dev/termination-log, missing"));
}

#[test]
fn the_page_fits_a_terminal_and_ends_with_a_conclusion() {
    let finding = |grade, meaning: &str| Finding::new(grade, "subject", "value", meaning.to_owned());
    let word = "word ".repeat(40);
    let page = text(&[finding(Grade::Ok, word.trim_end()), finding(Grade::Warn, "b")], Colour::No);
    assert!(page.lines().all(|line| line.len() <= 80 && line == line.trim_end()), "{page}");
    assert!(page.starts_with("ok    subject  value\n               word word "), "{page}");
    assert!(page.ends_with("warn  subject  value\n               b\n\nfoster can work here; items marked `warn` need attention (1)\n"));
    let page = text(&[finding(Grade::Bad, "b")], Colour::Yes);
    assert!(page.starts_with("\u{1b}[31mbad \u{1b}[0m  subject  value\n"), "{page}");
    assert!(page.ends_with("foster cannot work here: see the items marked `bad` (1)\n"), "{page}");
    let rows: serde_json::Value = serde_json::from_str(&json(&[finding(Grade::Note, "b")])).unwrap();
    assert_eq!(
        rows,
        serde_json::json!([{ "subject": "subject", "grade": "note", "value": "value", "meaning": "b" }])
    );
}

#[test]
fn a_proc_of_another_namespace_is_a_warning() {
    let foreign = FakeRoot::container().link("proc/self", "4711");
    let (grade, value, meaning) = foreign.finding("/proc");
    assert_eq!(grade, Grade::Warn);
    assert!(value.starts_with("shows pid 4711 for this process, which has pid "), "{value}");
    assert!(meaning.contains("another PID namespace"), "{meaning}");
    let own = FakeRoot::container().link("proc/self", &std::process::id().to_string());
    assert!(own.findings().iter().all(|finding| finding.subject != "/proc"));
}
