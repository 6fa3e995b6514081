//! The files that are tried for the counter, with the /proc of several kernels and container engines, and their contents.

use super::*;

const V2_EVENTS: &[u8] = b"low 0\nhigh 12\nmax 40\noom 3\noom_kill 2\noom_group_kill 1\n";
const V1_CONTROL: &[u8] = b"oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";

const V2_MOUNT: &str = "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n";
const OTHERS: &str = "22 1 254:1 / / rw,relatime - ext4 /dev/vda rw\n\
                      24 22 0:5 / /dev rw master:1 propagate_from:2 - devtmpfs devtmpfs rw,memory=x\n";

fn found(membership: &str, mounts: &str) -> Vec<String> {
    candidates(membership.as_bytes(), mounts.as_bytes())
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

/// A file with this text, and a counter on it.
fn counter(text: &str) -> (tempfile::NamedTempFile, OomCounter) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let source = Source::open(file.path());
    assert!(source.is_some());
    (file, OomCounter { source })
}

#[test]
fn in_a_cgroup_namespace_the_counter_is_at_the_mount_point() {
    assert_eq!(found("0::/\n", &format!("{OTHERS}{V2_MOUNT}")), ["/sys/fs/cgroup/memory.events"]);
}

#[test]
fn in_the_host_s_namespace_the_cgroup_is_tried_before_its_ancestors() {
    let expected = [
        "/sys/fs/cgroup/system.slice/app.scope/memory.events",
        "/sys/fs/cgroup/system.slice/memory.events",
        "/sys/fs/cgroup/memory.events",
    ];
    assert_eq!(found("0::/system.slice/app.scope\n", V2_MOUNT), expected);
}

#[test]
fn in_version_1_the_mounted_root_is_removed_from_the_path() {
    let membership = "9:cpu,cpuacct:/docker/abc\n8:memory:/docker/abc\n1:name=systemd:/docker/abc\n";
    let mounts = "33 31 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                  35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro master:12 - cgroup cgroup rw,memory\n";
    assert_eq!(found(membership, mounts), ["/sys/fs/cgroup/memory/memory.oom_control"]);
}

#[test]
fn in_a_hybrid_system_version_1_is_tried_first() {
    let membership = "4:memory:/pod/c1\n0::/pod/c1\n";
    let mounts = "35 31 0:32 /pod /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  41 31 0:38 /pod/c1 /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let expected = [
        "/sys/fs/cgroup/memory/c1/memory.oom_control",
        "/sys/fs/cgroup/memory/memory.oom_control",
        "/sys/fs/cgroup/unified/memory.events",
    ];
    assert_eq!(found(membership, mounts), expected);
}

#[test]
fn a_mount_that_does_not_contain_the_cgroup_is_not_tried() {
    let elsewhere = V2_MOUNT.replace(" / ", " /other ");
    assert_eq!(found("0::/mine\n", &elsewhere), Vec::<String>::new());
    assert_eq!(found("0::/\n", &V2_MOUNT.replace(" / ", " /../.. ")), Vec::<String>::new());
    assert_eq!(found("0::/../mine\n", V2_MOUNT), Vec::<String>::new());
    assert_eq!(found("0::/others\n", &V2_MOUNT.replace(" / ", " /other ")), Vec::<String>::new());
}

#[test]
fn escaped_paths_are_unescaped() {
    let mount = r"30 23 0:26 /a\040b /sys/fs\011/c\134g ro - cgroup2 cgroup rw";
    assert_eq!(
        found("0::/a b/c:d\n", mount),
        ["/sys/fs\t/c\\g/c:d/memory.events", "/sys/fs\t/c\\g/memory.events"]
    );
}

#[test]
fn without_cgroups_or_with_garbage_no_counter_is_found() {
    let garbage =
        "0\n0:\n::\n\u{0}\n- - - - - -\n30 23 0:26 / /sys/fs/cgroup\n30 23 0:26 / /x ro - cgroup2\n";
    for (membership, mounts) in
        [("", ""), ("0::/\n", OTHERS), ("", V2_MOUNT), (garbage, V2_MOUNT), ("0::/\n", garbage)]
    {
        assert_eq!(found(membership, mounts), Vec::<String>::new(), "{membership:?} {mounts:?}");
    }
}

#[test]
fn the_line_is_found_in_the_files_of_both_versions_only() {
    assert_eq!(oom_kills(V2_EVENTS), Some(2));
    assert_eq!(oom_kills(V1_CONTROL), Some(5));
    let hostile: [&[u8]; 6] =
        [b"", b"oom 3\noom_group_kill 1\n", b"oom_kill", b"oom_kill -1\n", b"oom_kill x\n", b"\xff\xfe"];
    for text in hostile {
        assert_eq!(oom_kills(text), None, "{text:?}");
    }
}

#[test]
fn a_kill_is_reported_once() {
    let (file, mut counter) = counter("oom 1\noom_kill 1\n");
    assert!(!counter.has_increased(), "earlier kills are not reported");
    std::fs::write(file.path(), "oom 2\noom_kill 3\n").unwrap();
    assert!(counter.has_increased());
    assert!(!counter.has_increased());
}

#[test]
fn a_counter_that_is_gone_or_decreases_reports_no_kill() {
    let (file, mut counter) = counter("oom_kill 4\n");
    std::fs::write(file.path(), "").unwrap();
    assert!(!counter.has_increased());
    std::fs::write(file.path(), "oom_kill 2\n").unwrap();
    assert!(!counter.has_increased());
    assert!(!OomCounter { source: None }.has_increased());
    assert!(Source::open(Path::new("/proc/self/status")).is_none());
}
