use super::*;

use foster_core::ids::{InstanceId, ProgramId};
use tempfile::TempDir;

/// A root directory whose cgroup of version 2 is an ordinary folder, with these files.
fn fake(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/self/cgroup", "4:memory:/elsewhere\n0::/pod/app\n");
    write("proc/self/mountinfo", "30 23 0:26 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    write("sys/fs/cgroup/app/cgroup.procs", "");
    for (name, text) in files {
        write(&format!("sys/fs/cgroup/app/{name}"), text);
    }
    root
}

fn open(root: &TempDir, role: InitRole) -> Groups {
    let place = OwnPlace::read(root.path());
    Groups::open(root.path(), &place, role, Rc::new(Epoll::new().unwrap()), Owner(0))
}

fn run(number: u32) -> Run {
    Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number }
}

fn folder(root: &TempDir, name: &str) -> PathBuf {
    root.path().join("sys/fs/cgroup/app").join(name)
}

#[test]
fn each_instance_has_a_group_that_outlives_its_runs_and_is_removed_when_none_uses_it() {
    let root = fake(&[("cgroup.type", "domain\n"), ("memory.max", "max\n"), ("cpu.max", "max 100000\n")]);
    let mut groups = open(&root, InitRole::Subreaper);
    assert!(groups.enter(run(1), "web.0").is_some());
    assert!(groups.enter(run(1), "renamed").is_some());
    assert!(folder(&root, "foster/web.0").is_dir());
    assert!(!folder(&root, "foster/renamed").exists(), "a run keeps its group");
    groups.remove_unused();
    assert!(folder(&root, "foster/web.0").is_dir(), "a live run has it");
    groups.end(run(1));
    assert!(!groups.has(run(1)));
    assert!(folder(&root, "foster/web.0").is_dir());
    groups.close();
    assert!(!folder(&root, "foster").exists());
}

#[test]
fn what_an_earlier_foster_left_is_removed_and_what_another_uses_is_left_alone() {
    let root = fake(&[]);
    fs::create_dir_all(folder(&root, "foster/old")).unwrap();
    let mut first = open(&root, InitRole::Init);
    assert!(!folder(&root, "foster/old").exists());
    assert!(first.enter(run(1), "web").is_some());
    let mut second = open(&root, InitRole::Init);
    assert!(second.enter(run(1), "web").is_some());
    assert_eq!(first.parent.as_ref().unwrap().path, Path::new("/pod/app/foster"));
    assert!(folder(&root, "foster/web").is_dir());
    assert!(folder(&root, "foster.1/web").is_dir());
}

#[test]
fn no_group_is_made_where_programs_would_miss_a_limit_or_below_a_threaded_one() {
    for (name, text) in
        [("memory.max", "104857600\n"), ("cpu.max", "50000 100000\n"), ("cgroup.type", "threaded\n")]
    {
        let root = fake(&[(name, text)]);
        assert!(open(&root, InitRole::Init).enter(run(1), "web").is_none(), "{name}");
        assert!(!folder(&root, "foster").exists(), "{name}");
    }
}

#[test]
fn without_version_2_or_without_proc_there_are_no_groups() {
    let root = TempDir::new().unwrap();
    assert!(open(&root, InitRole::Init).enter(run(1), "web").is_none());
    let root = fake(&[]);
    fs::write(root.path().join("proc/self/cgroup"), "4:memory:/app\n1:name=systemd:/app\n").unwrap();
    assert!(open(&root, InitRole::Init).enter(run(1), "web").is_none());
}

#[test]
fn a_name_that_could_be_another_file_or_directory_gets_no_group() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Init);
    for name in ["", ".", "..", "../web", "a/b", ".init", "a b", "a\nb"] {
        assert!(groups.enter(run(1), name).is_none(), "{name:?}");
    }
    // A file of the kernel's is no directory.
    fs::write(folder(&root, "foster/cgroup.kill"), "").unwrap();
    assert!(groups.enter(run(1), "cgroup.kill").is_none());
    assert!(!groups.kill(run(1)));
}

#[test]
fn the_list_of_a_group_leaves_out_what_foster_cannot_see() {
    let root = fake(&[]);
    let mut groups = open(&root, InitRole::Parent);
    assert!(groups.enter(run(1), "web").is_some());
    fs::write(folder(&root, "foster/web/cgroup.procs"), "0\n12\nx\n0\n7\n").unwrap();
    assert_eq!(groups.members(run(1)), [Pid::from_raw(12), Pid::from_raw(7)]);
    assert_eq!(groups.members(run(2)), []);
    fs::write(folder(&root, "foster/web/cgroup.kill"), "").unwrap();
    assert!(groups.kill(run(1)));
    assert_eq!(fs::read_to_string(folder(&root, "foster/web/cgroup.kill")).unwrap(), "1");
    // It is not entered again, and with files in it the folder cannot be removed, as one with processes.
    assert!(groups.enter(run(1), "web").is_none());
}
